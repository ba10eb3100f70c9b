"""What the Messages API refuses, and how a request to it is read: for the double of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.doubles.model_answers import Asked, tokens

VERSIONS = ("2023-06-01", "2026-10-21")
_FIELDS = frozenset(
    [
        "model",
        "max_tokens",
        "messages",
        "system",
        "stream",
        "output_config",
        "metadata",
        "stop_sequences",
        "thinking",
        "tools",
        "tool_choice",
        "service_tier",
        "cache_control",
        "container",
        "inference_geo",
        "speed",
        "diagnostics",
        "user_profile_id",
    ]
)
COUNT_FIELDS = frozenset(
    ["model", "messages", "system", "output_config", "thinking", "tools", "tool_choice", "cache_control"]
)
_GONE_FIELDS = ("temperature", "top_p", "top_k")
_SCHEMA_KEYS = frozenset(
    [
        "type",
        "properties",
        "required",
        "additionalProperties",
        "items",
        "enum",
        "const",
        "anyOf",
        "allOf",
        "$ref",
        "$defs",
        "description",
        "title",
        "format",
        "minItems",
    ]
)
_EFFORTS = ("low", "medium", "high", "xhigh", "max")


@dataclass(frozen=True, kw_only=True)
class Model:
    """One model of the catalogue."""

    context: int = 1_000_000
    output: int = 64_000
    lifecycle: str = "active"
    knows_effort: bool = True


MODELS = {
    "claude-haiku-5-5": Model(),
    "claude-sonnet-5-5": Model(),
    "claude-opus-5-5": Model(output=128_000),
    "claude-haiku-4-9": Model(context=200_000, knows_effort=False),
    "claude-opus-3-9": Model(lifecycle="retired"),
}


class Refused(Exception):
    """What the API answers with an error."""

    def __init__(self, status: int, message: str, code: str | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


def check_message(body: Any, fields: frozenset[str] = _FIELDS) -> None:
    """Raises Refused for a request that the API would not take."""
    if not isinstance(body, dict):
        raise Refused(400, "The request body is not valid JSON")
    for name in body:
        if name in _GONE_FIELDS:
            raise Refused(400, f"{name}: this parameter is not supported in API version {VERSIONS[-1]}")
        if name not in fields:
            raise Refused(400, f"{name}: Extra inputs are not permitted")
    model = MODELS.get(str(body.get("model")))
    if model is None or model.lifecycle == "retired":
        raise Refused(404, f"model: {body.get('model')}")
    if fields is _FIELDS:
        _check_limit(body.get("max_tokens"), model)
    _check_turns(body.get("messages"))
    _check_texts(body.get("system", []), "system", frozenset({"text"}))
    cites = _check_documents(body)
    _check_output(body.get("output_config", {}), cites, model)
    if prompt_tokens(body) > model.context:
        raise Refused(400, f"prompt is too long: {prompt_tokens(body)} tokens > {model.context} maximum")


def _check_limit(limit: Any, model: Model) -> None:
    if limit is None:
        raise Refused(400, "max_tokens: Field required")
    if not isinstance(limit, int) or not 0 < limit <= model.output:
        raise Refused(400, f"max_tokens: {limit} is not between 1 and {model.output}")


def _check_turns(turns: Any) -> None:
    if not isinstance(turns, list) or not turns:
        raise Refused(400, "messages: at least one message is required")
    for number, turn in enumerate(turns):
        if not isinstance(turn, dict) or set(turn) != {"role", "content"}:
            raise Refused(400, f"messages.{number}: role and content are required, and nothing else is permitted")
        if turn["role"] not in ("user", "assistant"):
            raise Refused(400, f'messages.{number}: Unexpected role "{turn["role"]}"')
        _check_texts(turn["content"], f"messages.{number}", frozenset({"text", "document"}))
    if turns[0]["role"] != "user":
        raise Refused(400, "messages: first message must use the user role")
    if turns[-1]["role"] != "user":
        raise Refused(400, "This model does not support assistant message prefill.")


def _check_texts(content: Any, place: str, kinds: frozenset[str]) -> None:
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
    for block in blocks:
        if block.get("type") not in kinds:
            raise Refused(400, f"{place}: unexpected content type {block.get('type')}")
        if block["type"] == "text" and not block.get("text"):
            raise Refused(400, f"{place}: text content blocks must be non-empty")
        if set(block) - {"type", "text", "cache_control", "source", "title", "context", "citations"}:
            raise Refused(400, f"{place}: Extra inputs are not permitted")


def _check_documents(body: dict[str, Any]) -> bool:
    """Whether documents are to be cited. Raises Refused where only some are."""
    enabled = [bool((block.get("citations") or {}).get("enabled")) for block in _documents(body)]
    for block in _documents(body):
        if set(block.get("source", {})) != {"type", "media_type", "data"} or not block["source"]["data"]:
            raise Refused(400, "document: a text source with media_type and data is required")
    if any(enabled) and not all(enabled):
        raise Refused(400, "citations must be enabled on all or none of the documents")
    return any(enabled)


def _check_output(config: Any, cites: bool, model: Model) -> None:
    if not isinstance(config, dict) or set(config) - {"effort", "format"}:
        raise Refused(400, "output_config: Extra inputs are not permitted")
    if config.get("effort") not in (None, *_EFFORTS):
        raise Refused(400, "output_config.effort: unknown value")
    if "effort" in config and not model.knows_effort:
        raise Refused(400, "output_config.effort: this model does not support the effort parameter")
    wanted = config.get("format")
    if wanted is None:
        return
    if cites:
        raise Refused(400, "output_config.format: citations are not compatible with structured outputs")
    if set(wanted) != {"type", "schema"} or wanted["type"] != "json_schema":
        raise Refused(400, "output_config.format: type json_schema and a schema are required")
    check_schema(wanted["schema"], wanted["schema"].get("$defs", {}))


def check_schema(schema: Any, defs: dict[str, Any], within: tuple[str, ...] = ()) -> None:
    """Raises Refused for a schema that cannot be compiled into a grammar."""
    if not isinstance(schema, dict) or set(schema) - _SCHEMA_KEYS:
        extra = sorted(set(schema) - _SCHEMA_KEYS) if isinstance(schema, dict) else schema
        raise Refused(400, f"output_config.format.schema: properties {extra} are not supported")
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/$defs/")
        if name in within:
            raise Refused(400, "output_config.format.schema: Recursive schemas are not supported")
        if name not in defs:
            raise Refused(400, f"output_config.format.schema: {schema['$ref']} cannot be resolved")
        check_schema(defs[name], defs, (*within, name))
    elif "anyOf" in schema:
        for choice in schema["anyOf"]:
            check_schema(choice, defs, within)
    elif "enum" not in schema and "const" not in schema:
        _check_type(schema, defs, within)


def _check_type(schema: dict[str, Any], defs: dict[str, Any], within: tuple[str, ...]) -> None:
    kind = schema.get("type")
    if kind not in ("object", "array", "string", "integer", "number", "boolean", "null"):
        raise Refused(400, f"output_config.format.schema: type {kind} is not supported")
    if kind == "object" and schema.get("additionalProperties") is not False:
        raise Refused(400, "For 'object' type, 'additionalProperties' must be explicitly set to false")
    if kind == "array" and schema.get("minItems", 0) not in (0, 1):
        raise Refused(400, "For 'array' type, 'minItems' values other than 0 or 1 are not supported")
    for part in schema.get("properties", {}).values():
        check_schema(part, defs, within)
    if "items" in schema:
        check_schema(schema["items"], defs, within)


# How it is read


def _documents(body: dict[str, Any]) -> list[dict[str, Any]]:
    turns = [turn["content"] for turn in body["messages"] if isinstance(turn["content"], list)]
    return [block for content in turns for block in content if block["type"] == "document"]


def _plain(content: Any) -> str:
    if isinstance(content, str):
        return content
    return "".join(block["text"] for block in content if block["type"] == "text")


def asked(body: dict[str, Any]) -> Asked:
    """The request in the form that both wires share."""
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    return Asked(
        system=_plain(body.get("system", "")),
        turns=tuple((turn["role"], _plain(turn["content"])) for turn in body["messages"]),
        schema=schema,
        documents=tuple((block.get("title", ""), block["source"]["data"]) for block in _documents(body)),
        body=body,
    )


def prompt_tokens(body: dict[str, Any]) -> int:
    prompt = asked(body)
    texts = [prompt.system, *(text for _, text in prompt.turns), *(text for _, text in prompt.documents)]
    return sum(map(tokens, texts))
