"""Any server that speaks OpenAI's chat completions: Ollama, vLLM, llama.cpp, a proxy. The only file importing `openai`.

As with the other adapter, every answer is streamed, and the SDK neither retries nor reads the environment. (Its log
holds no content at any level.) Servers differ in what they know; `OpenAiConfig` says it, nothing is tried out on them.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import httpx2
import openai
from openai.types.chat import ChatCompletionChunk

from orchestrator.gateway.port import (
    FailureKind,
    ModelInfo,
    ModelReply,
    ModelRequest,
    ProviderFailure,
    Stop,
    TokenUsage,
)
from orchestrator.gateway.providers.structured_output import portable_schema
from orchestrator.gateway.providers.wire import (
    MOST_CHARACTERS_PER_TOKEN,
    PROMPT_TOO_LONG,
    USAGE_ESTIMATED,
    at_least,
    estimated_tokens,
    failure_kind,
    retry_after_s,
    token_count,
    usable_key,
    word,
)
from orchestrator.network import refusal_in

NO_KEY: Final = "none"  # sent where a server wants no key; without one the SDK would look into the environment

# The last five come from an answer of the wrong shape: the SDK builds its objects without checking.
_ERRORS: Final = (
    *(openai.OpenAIError, httpx2.HTTPError, OSError),
    *(ValueError, AttributeError, TypeError, LookupError, RecursionError),
)
_CODES: Final[Mapping[str, FailureKind]] = {  # of errors, where they say more than the status
    "insufficient_quota": "spend_limit",
    "billing_hard_limit_reached": "spend_limit",
    "rate_limit_exceeded": "rate_limited",
    "invalid_api_key": "bad_credential",
    "invalid_request_error": "bad_request",
}
_TOO_LONG: Final = frozenset({"context_length_exceeded", "exceed_context_size_error"})  # OpenAI; llama.cpp
_TOO_LONG_TEXTS: Final = ("maximum context length", "exceeds the available context size")  # vLLM; older llama.cpp
_STOPS: Final[Mapping[str, Stop]] = {"length": "truncated", "content_filter": "refused"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAiConfig:
    """What a server knows."""

    answer_format: Literal["json_schema", "json_object", "text"] = "json_schema"  # the others: schema in the prompt
    strict: bool = True  # whether it knows `strict` of a schema
    reports_usage: bool = True  # whether it knows `stream_options`
    output_limit: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"  # the latter: OpenAI's own models
    knows_effort: bool = False  # whether it knows `reasoning_effort`


class OpenAiProvider:
    """One server with one key or none. `http_client` carries every connection, and is closed with the provider.

    Raises BadInput for a key that no header can hold.
    """

    def __init__(
        self,
        *,
        base_url: str,
        http_client: httpx2.AsyncClient,
        api_key: str | None = None,
        config: OpenAiConfig | None = None,
    ) -> None:
        self._config = config or OpenAiConfig()
        self._connect_s = http_client.timeout.connect or math.inf
        self._client = openai.AsyncOpenAI(
            api_key=usable_key(api_key or NO_KEY),
            base_url=base_url,
            http_client=http_client,
            max_retries=0,
            admin_api_key="",  # any value keeps it from asking the environment
            webhook_secret="",
        )
        # What no argument turns off: OPENAI_ORG_ID, OPENAI_PROJECT_ID, and headers that may even set the key.
        self._client.organization = self._client.project = None
        self._client._custom_headers = {}

    async def complete(self, request: ModelRequest, *, timeout_s: float) -> ModelReply:
        """Send the request once, as a stream. Raises ProviderFailure, with what was used where a stream had begun."""
        if request.native_citations:
            raise ProviderFailure("bad_request", "native_citations")
        seen = _Seen(prompt=_prompt_text(request), room=request.max_output_tokens * MOST_CHARACTERS_PER_TOKEN)
        failure = None
        try:
            async with asyncio.timeout(timeout_s):
                await self._stream(request, seen, timeout_s)
        except _ERRORS as error:
            failure = _failure(error)
        if failure is None or (seen.began and failure.kind == "unreachable"):
            return seen.reply(request.model)
        if failure.detail == PROMPT_TOO_LONG:
            return _context_full(request.model, failure)
        failure.usage = seen.counted if seen.began else None
        failure.request_id = failure.request_id or seen.request_id
        raise failure

    async def count_tokens(self, request: ModelRequest, *, timeout_s: float) -> int | None:  # noqa: ARG002
        """None: this wire has no call for it."""
        return None

    async def models(self, *, timeout_s: float) -> Sequence[ModelInfo]:
        """The models of the server; vLLM also says how much fits. Raises ProviderFailure."""
        try:
            async with asyncio.timeout(timeout_s):
                pages = self._client.models.list(timeout=self._timeout(timeout_s))
                return [_info(model) async for model in pages]
        except _ERRORS as error:
            failure = _failure(error)
        raise failure  # outside of the handler, so that it does not drag the SDK's error along

    async def close(self) -> None:
        """End its connections."""
        await self._client.close()

    async def _stream(self, request: ModelRequest, seen: _Seen, timeout_s: float) -> None:
        stream = await self._client.chat.completions.create(
            **_body(request, self._config), stream=True, timeout=self._timeout(timeout_s)
        )
        async with stream:
            seen.request_id = word(stream.response.headers.get("x-request-id")) or None
            async for chunk in stream:
                seen.take(chunk)
        if not seen.began:
            raise ValueError("what came back was no stream of chunks")

    def _timeout(self, timeout_s: float) -> httpx2.Timeout:
        return httpx2.Timeout(timeout_s, connect=min(timeout_s, self._connect_s))


@dataclass(slots=True, kw_only=True, repr=False)
class _Seen:
    """What a completion has brought so far."""

    prompt: str
    room: int  # most characters of text
    began: bool = False
    model: str | None = None
    request_id: str | None = None
    finish_reason: str | None = None
    refused: bool = False
    usage: TokenUsage | None = None
    text: str = ""

    def take(self, chunk: ChatCompletionChunk) -> None:
        """Read one chunk. Raises AttributeError or TypeError for what is none."""
        self.began, self.model = True, chunk.model
        for choice in chunk.choices[:1]:
            self.text += choice.delta.content or ""
            if len(self.text) > self.room:
                raise ValueError("more came than was asked for")
            self.refused = self.refused or bool(choice.delta.refusal)
            self.finish_reason = choice.finish_reason or self.finish_reason
        if chunk.usage is not None:
            self.usage = _usage(chunk.usage)

    @property
    def counted(self) -> TokenUsage:
        """Usage as told, or as estimated where the server did not get to tell."""
        return at_least(self.usage or TokenUsage(input=estimated_tokens(self.prompt)), self.text)

    def reply(self, model: str) -> ModelReply:
        """The reply that `model` gave, whole or cut."""
        stop: Stop = "cut"
        if self.refused:
            stop = "refused"
        elif self.finish_reason is not None:
            stop = _STOPS.get(self.finish_reason, "end")
        detail = self.finish_reason if stop == "refused" and not self.refused else None
        return ModelReply(
            text=self.text,
            stop=stop,
            usage=self.usage or self.counted,
            model=word(self.model) or model,
            request_id=self.request_id,
            detail=detail if self.usage else USAGE_ESTIMATED,
        )


def _body(request: ModelRequest, config: OpenAiConfig) -> dict[str, Any]:
    """What is sent, but for `stream`."""
    system, answer_format = _answer_format(request, config)
    messages = [{"role": "system", "content": system}] if system else []
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [*messages, *({"role": turn.role, "content": turn.text} for turn in request.turns)],
        config.output_limit: request.max_output_tokens,
    }
    if config.reports_usage:
        body["stream_options"] = {"include_usage": True}
    if config.knows_effort and request.effort:
        body["reasoning_effort"] = request.effort
    return {**body, "response_format": answer_format} if answer_format else body


def _answer_format(request: ModelRequest, config: OpenAiConfig) -> tuple[str, dict[str, Any] | None]:
    """The system text and `response_format`: the schema stands in one of them."""
    if request.schema is None:
        return request.system, None
    schema = portable_schema(request.schema)
    if config.answer_format == "json_schema":
        strict = {"strict": True} if config.strict else {}
        return request.system, {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": schema, **strict},
        }
    told = f"Answer with one JSON object that fits this JSON schema, and with nothing else:\n{json.dumps(schema)}"
    system = f"{request.system}\n\n{told}".lstrip()
    return system, {"type": "json_object"} if config.answer_format == "json_object" else None


def _prompt_text(request: ModelRequest) -> str:
    return "\n".join([request.system, *(turn.text for turn in request.turns)])


def _usage(told: Any) -> TokenUsage:
    """Usage as told; what was read from a cache is part of `prompt_tokens`, and is taken apart."""
    details = told.prompt_tokens_details
    read = token_count(getattr(details, "cached_tokens", None), 0)
    written = token_count(getattr(details, "cache_write_tokens", None), 0)
    return TokenUsage(
        input=max(0, token_count(told.prompt_tokens) - read - written),
        output=token_count(told.completion_tokens),
        cache_read=read,
        cache_write=written,
    )


def _info(model: Any) -> ModelInfo:
    if not isinstance(model.id, str):
        raise ValueError("what came back was no list of models")
    fits = getattr(model, "max_model_len", None)
    return ModelInfo(model=model.id, context_tokens=fits if isinstance(fits, int) else None)


def _context_full(model: str, failure: ProviderFailure) -> ModelReply:
    return ModelReply(text="", stop="context_full", usage=TokenUsage(), model=model, request_id=failure.request_id)


def _failure(error: BaseException) -> ProviderFailure:
    """What an error of the SDK means, with nothing of what it holds but words of the protocol."""
    refused = refusal_in(error)
    if refused is not None:
        return ProviderFailure("not_allowed", word(refused.item))
    if isinstance(error, openai.APITimeoutError | httpx2.TimeoutException | TimeoutError):
        return ProviderFailure("timeout")
    if isinstance(error, openai.APIConnectionError | httpx2.TransportError | OSError):
        return ProviderFailure("unreachable", type(error.__cause__ or error).__name__)
    if isinstance(error, openai.APIResponseValidationError):
        return ProviderFailure("garbled", status=error.status_code)
    if isinstance(error, openai.APIError):
        return _told_failure(error)
    return ProviderFailure("garbled", type(error).__name__)


def _told_failure(error: openai.APIError) -> ProviderFailure:
    """An error that the server names: as an answer of its own, or within a stream that had begun well."""
    names = [word(name) for name in (error.code, error.type) if word(name)]
    told = next((_CODES[name] for name in names if name in _CODES), None)
    too_long = any(name in _TOO_LONG for name in names) or any(
        text in error.message.lower() for text in _TOO_LONG_TEXTS
    )
    detail = PROMPT_TOO_LONG if too_long else next(iter(names), "")
    if not isinstance(error, openai.APIStatusError):
        within = failure_kind(int(detail)) if re.fullmatch(r"[45]\d\d", detail) else "server_error"
        return ProviderFailure(told or within, detail, status=200)
    return ProviderFailure(
        "spend_limit" if told == "spend_limit" else failure_kind(error.status_code),
        detail,
        status=error.status_code,
        retry_after_s=retry_after_s(error.response.headers),
        request_id=word(error.request_id) or None,
    )
