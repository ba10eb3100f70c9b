"""A loopback double of an OpenAI-compatible server: chat completions and models, strict about what servers refuse.

By hand: `python -m tests.doubles.openai_api --port 8792`; the base URL ends in /v1.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import count
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response, StreamingResponse

from tests.doubles.model_answers import SPOILING, Answer, Asked, good_answer, spoilt, tokens
from tests.doubles.model_double import Mode, ModelDouble, parsed
from tests.doubles.serving import serve_by_hand, serving

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MODELS = {"llama-4-8b": 128_000, "qwen-4-4b": 32_000}  # name to tokens that fit
_FIELDS = frozenset(
    ("model", "messages", "max_tokens", "max_completion_tokens", "stream", "stream_options", "response_format")
)
_SCHEMA_KEYS = frozenset(
    (
        *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref"),
        *("$defs", "description", "title", "format", "minItems", "maxItems"),
    )
)
_ROLES = ("system", "user", "assistant")
_DELTA_CHARS = 48


class OpenAiDouble(ModelDouble):
    """The handle, with what kind of server it is."""

    def __init__(self, answer: Answer = good_answer) -> None:
        super().__init__(answer)
        self.knows_json_schema = True
        self.knows_strict = True
        self.knows_stream_options = True  # without it usage is never told
        self.knows_effort = False
        self.cached_tokens = 0  # of every prompt, read from a cache
        self._numbers = count(1)

    def new_id(self, kind: str) -> str:
        return f"{kind}{next(self._numbers):020d}"


class Refused(Exception):
    """What the server answers with an error."""

    def __init__(self, status: int, message: str, code: str | None = None, **headers: str) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def body(self) -> dict[str, Any]:
        kind = {401: "authentication_error", 429: "requests", 500: "server_error"}.get(self.status)
        return {"message": self.message, "type": kind or "invalid_request_error", "param": None, "code": self.code}


def create_app(double: OpenAiDouble) -> FastAPI:
    """The server over a handle."""
    app = FastAPI(openapi_url=None)
    double.install_admin(app)

    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return JSONResponse({"error": error.body}, error.status, {**_ids(double), **error.headers})

    async def admitted(request: Request, endpoint: str) -> Any:
        body = parsed(await request.body())
        double.record(endpoint, request, body)
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if double.key is not None and key != double.key:
            raise Refused(401, "Incorrect API key provided.", "invalid_api_key")
        return body

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> Response:
        body = await admitted(request, "messages")
        check_completion(double, body)
        mode = double.take_mode("messages")
        failed = _failure(mode)
        if failed is not None:
            return failed
        if mode == "slow" and not await double.hold(request):
            return Response(status_code=499)
        return _reply(double, request, body, mode)

    @app.get("/v1/models")
    async def models(request: Request) -> Response:
        await admitted(request, "models")
        failed = _failure(double.take_mode("models"))
        data = [
            {"id": name, "object": "model", "created": 0, "owned_by": "test", "max_model_len": fits}
            for name, fits in MODELS.items()
        ]
        return failed or JSONResponse({"object": "list", "data": data}, headers=_ids(double))

    return app


def _ids(double: OpenAiDouble) -> dict[str, str]:
    return {"x-request-id": double.names_itself or double.new_id("req-")}


def _failure(mode: Mode) -> Response | None:
    """The answer of a mode that never gets to the model. Raises Refused for those with a proper error."""
    match mode:
        case "429":
            raise Refused(429, "Rate limit reached", "rate_limit_exceeded", retry_after="0.02")
        case "429_long":
            raise Refused(429, "Rate limit reached", "rate_limit_exceeded", retry_after="7200")
        case "429_date":
            until, now = NOW + timedelta(hours=1), format_datetime(NOW, usegmt=True)
            raise Refused(429, "Rate limit reached", retry_after=format_datetime(until, usegmt=True), date=now)
        case "500":
            raise Refused(500, "The server had an error")
        case "529":
            raise Refused(503, "The model is overloaded")
        case "spend_limit":
            raise Refused(429, "You exceeded your current quota", "insufficient_quota")
        case "prompt_too_long":
            raise Refused(400, "This model's maximum context length is 128000 tokens.", "context_length_exceeded")
        case "html_502":
            return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", 502)
        case "html_200":
            return HTMLResponse("<html><body>Please sign in to the network</body></html>")
    return None


def check_completion(double: OpenAiDouble, body: Any) -> None:
    """Raises Refused for a request that a server would not take."""
    if not isinstance(body, dict):
        raise Refused(400, "We could not parse the JSON body of your request.")
    unknown = set(body) - _FIELDS - ({"reasoning_effort"} if double.knows_effort else set())
    if unknown or ("stream_options" in body and not (body.get("stream") and double.knows_stream_options)):
        raise Refused(400, f"Unknown parameter: {sorted(unknown) or 'stream_options'}", "unknown_parameter")
    if body.get("model") not in MODELS:
        raise Refused(404, "The model does not exist", "model_not_found")
    turns = body.get("messages")
    if not isinstance(turns, list) or not any(turn.get("role") == "user" for turn in turns):
        raise Refused(400, "messages: a user message is required")
    for turn in turns:
        if (
            turn.get("role") not in _ROLES
            or not isinstance(turn.get("content"), str)
            or set(turn) - {"role", "content"}
        ):
            raise Refused(400, "messages: role and content are required, and nothing else is permitted")
    _check_format(double, body.get("response_format"))


def _check_format(double: OpenAiDouble, wanted: Any) -> None:
    if wanted is None or wanted == {"type": "json_object"}:
        return
    if wanted.get("type") != "json_schema" or not double.knows_json_schema:
        raise Refused(400, "response_format: unknown type", "unknown_parameter")
    schema = wanted["json_schema"]
    if set(schema) - {"name", "schema"} - ({"strict"} if double.knows_strict else set()):
        raise Refused(400, "response_format.json_schema: unknown parameter", "unknown_parameter")
    if schema.get("strict"):
        check_strict_schema(schema["schema"])


def check_strict_schema(schema: dict[str, Any]) -> None:
    """Raises Refused for what strict mode does not take: open objects, optional properties, unknown keywords."""
    extra = sorted(set(schema) - _SCHEMA_KEYS)
    if extra:
        raise Refused(400, f"Invalid schema for response_format: {extra} is not permitted")
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            raise Refused(400, "Invalid schema: 'additionalProperties' is required to be supplied and to be false")
        if set(schema.get("required", ())) != set(schema.get("properties", {})):
            raise Refused(400, "Invalid schema: 'required' is required to be supplied and to hold every property")
    elif not schema.keys() & {"type", "$ref", "anyOf", "enum", "const"}:
        raise Refused(400, "Invalid schema: schema must have a 'type' key")
    parts = [*schema.get("properties", {}).values(), *schema.get("$defs", {}).values(), *schema.get("anyOf", ())]
    for part in [*parts, *filter(None, [schema.get("items")])]:
        check_strict_schema(part)


def asked(body: dict[str, Any]) -> Asked:
    """The request in the form that both wires share; a schema may stand in the system text."""
    system = "\n".join(turn["content"] for turn in body["messages"] if turn["role"] == "system")
    wanted = (body.get("response_format") or {}).get("json_schema")
    return Asked(
        system=system,
        turns=tuple((turn["role"], turn["content"]) for turn in body["messages"] if turn["role"] != "system"),
        schema=wanted["schema"] if wanted else _schema_in(system),
        body=body,
    )


def _schema_in(text: str) -> dict[str, Any] | None:
    at = text.find("{")
    while at >= 0:
        try:
            found, _ = json.JSONDecoder().raw_decode(text, at)
        except ValueError:
            found = None
        if isinstance(found, dict) and "properties" in found:
            return found
        at = text.find("{", at + 1)
    return None


def completion(double: OpenAiDouble, body: dict[str, Any], mode: Mode) -> dict[str, Any]:
    """What the model says, why it stopped, and what it used."""
    prompt = asked(body)
    effective = "wrong_schema" if mode == "good_after_repair" and not prompt.repairing else mode
    text = "" if mode == "refusal" else double.answer(prompt)
    text = spoilt(text, effective) if effective in SPOILING else text
    limit = body.get("max_tokens") or body.get("max_completion_tokens") if double.keeps_limit else None
    limit = limit or MODELS[body["model"]]
    finish = "length" if mode in ("truncation", "context_exceeded") or tokens(text) > limit else "stop"
    finish = "content_filter" if mode == "content_filter" else finish
    text = text[: 4 * limit]
    read = sum(tokens(turn["content"]) for turn in body["messages"])
    usage: dict[str, Any] = {
        "prompt_tokens": read,
        "completion_tokens": tokens(text),
        "total_tokens": read + tokens(text),
    }
    if double.cached_tokens:
        usage["prompt_tokens_details"] = {"cached_tokens": double.cached_tokens}
    refusal = "I cannot help with that." if mode == "refusal" else None
    return {"text": text, "refusal": refusal, "finish_reason": finish, "usage": usage}


def _reply(double: OpenAiDouble, request: Request, body: dict[str, Any], mode: Mode) -> Response:
    said = completion(double, body, mode)
    head = {"id": double.new_id("chatcmpl-"), "created": 0, "model": double.names_itself or body["model"]}
    if body.get("stream"):
        chunks = _chunks(double, request, said, {**head, "object": "chat.completion.chunk"}, mode)
        return StreamingResponse(chunks, media_type="text/event-stream", headers=_ids(double))
    if mode == "garbage_body":
        return Response("{not json", media_type="application/json")
    message = {"role": "assistant", "content": said["text"], "refusal": said["refusal"]}
    choice = {"index": 0, "message": message, "finish_reason": said["finish_reason"]}
    whole = {**head, "object": "chat.completion", "choices": [choice], "usage": said["usage"]}
    return JSONResponse(whole, headers=_ids(double))


async def _chunks(
    double: OpenAiDouble, request: Request, said: dict[str, Any], head: dict[str, Any], mode: Mode
) -> AsyncIterator[str]:
    """The completion as it is streamed, broken off as the mode says after the first piece of text."""

    def chunk(delta: dict[str, Any], finish: str | None = None) -> str:
        return f"data: {json.dumps({**head, 'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]})}\n\n"

    if mode == "garbage_body":
        yield "data: {not json\n\n"
        return
    yield chunk({"role": "assistant", "content": ""})
    if said["refusal"]:
        yield chunk({"refusal": said["refusal"]})
    for at in range(0, len(said["text"]), _DELTA_CHARS):
        yield chunk({"content": said["text"][at : at + _DELTA_CHARS]})
        if at == 0 and mode == "error_in_stream":
            yield f"data: {json.dumps({'error': Refused(500, 'The server had an error').body})}\n\n"
            return
        if at == 0 and mode == "cut_stream":
            return
        if at == 0 and mode == "dropped_connection":
            raise ConnectionResetError
        if at == 0 and mode == "stalled_stream" and not await double.hold(request):
            return
    yield chunk({}, said["finish_reason"])
    if double.knows_stream_options:
        yield f"data: {json.dumps({**head, 'choices': [], 'usage': said['usage']})}\n\n"
    yield "data: [DONE]\n\n"


@contextmanager
def openai_api(answer: Answer = good_answer) -> Iterator[tuple[str, OpenAiDouble]]:
    """(base URL, handle) of a double that answers until the block ends."""
    double = OpenAiDouble(answer)
    with serving(create_app(double)) as url:
        try:
            yield f"{url}/v1", double
        finally:
            double.release()


def main() -> None:
    """Serve a double that takes any key."""
    parser = argparse.ArgumentParser(description="A double of an OpenAI-compatible server on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    double = OpenAiDouble()
    double.key = None
    serve_by_hand(create_app(double), parser.parse_args().port)


if __name__ == "__main__":
    main()
