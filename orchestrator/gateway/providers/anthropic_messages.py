"""Claude over the Messages API. The only file that imports `anthropic`.

Every message is streamed, so that a broken connection leaves what was used so far. The SDK is left no freedom: it does
not retry, reads no environment and no profile, emits no spans, and its own log stays above DEBUG, where it would print
prompts. Its exceptions hold the request with its key and the answer's body, so none of them leaves this file.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import anthropic
import httpx2
from anthropic.types import Message, RawMessageStreamEvent

from orchestrator.gateway.port import (
    FailureKind,
    ModelInfo,
    ModelReply,
    ModelRequest,
    ProviderFailure,
    Stop,
    TokenUsage,
)
from orchestrator.gateway.providers.native_citations import CitedBlock, grounded_answer
from orchestrator.gateway.providers.structured_output import portable_schema
from orchestrator.gateway.providers.wire import (
    MOST_CHARACTERS_PER_TOKEN,
    PROMPT_TOO_LONG,
    USAGE_ESTIMATED,
    at_least,
    failure_kind,
    retry_after_s,
    token_count,
    usable_key,
    word,
)
from orchestrator.network import refusal_in

T = TypeVar("T")

BASE_URL: Final = "https://api.anthropic.com"

# The last five come from an answer of the wrong shape: the SDK builds its objects without checking.
_ERRORS: Final = (
    *(anthropic.AnthropicError, httpx2.HTTPError, OSError),
    *(ValueError, AttributeError, TypeError, LookupError, RecursionError),
)
_KINDS: Final[Mapping[str, FailureKind]] = {  # of errors that come within a stream or a batch, so without a status
    "authentication_error": "bad_credential",
    "permission_error": "bad_credential",
    "billing_error": "spend_limit",
    "rate_limit_error": "rate_limited",
    "overloaded_error": "overloaded",
    "timeout_error": "timeout",
    "api_error": "server_error",
    "invalid_request_error": "bad_request",
    "not_found_error": "bad_request",
}
_STOPS: Final[Mapping[str, Stop]] = {
    "max_tokens": "truncated",
    "refusal": "refused",
    "model_context_window_exceeded": "context_full",
}

logging.getLogger("anthropic").setLevel(logging.WARNING)  # at DEBUG it prints prompts, and ANTHROPIC_LOG can ask for it


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicConfig:
    """What may be set about the Messages API."""

    batch_poll_s: float = 30.0  # between two looks at a batch that has not ended


class AnthropicProvider:
    """The Messages API with one key. `http_client` carries every connection, and is closed with the provider.

    Effort is sent to every model but those of which `models` has learnt that they do not know it. Raises BadInput for a
    key that no header can hold.
    """

    def __init__(
        self,
        *,
        api_key: str,
        http_client: httpx2.AsyncClient,
        base_url: str = BASE_URL,
        config: AnthropicConfig | None = None,
    ) -> None:
        self._config = config or AnthropicConfig()
        self._connect_s = http_client.timeout.connect or math.inf
        self._without_effort: frozenset[str] = frozenset()
        self._client = anthropic.AsyncAnthropic(
            api_key=usable_key(api_key),
            base_url=base_url,
            http_client=http_client,
            max_retries=0,
            open_telemetry=False,
            webhook_key="",  # any value keeps it from asking the environment
        )
        self._client._custom_headers = {}  # ANTHROPIC_CUSTOM_HEADERS, which no argument turns off, may even set the key

    async def complete(self, request: ModelRequest, *, timeout_s: float) -> ModelReply:
        """Send the request once, as a stream. Raises ProviderFailure, with what was used where a stream had begun."""
        seen = _Seen(
            native_citations=request.native_citations, room=request.max_output_tokens * MOST_CHARACTERS_PER_TOKEN
        )
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
        failure.usage = at_least(seen.usage, seen.text) if seen.began else None
        failure.request_id = failure.request_id or seen.request_id
        raise failure

    async def count_tokens(self, request: ModelRequest, *, timeout_s: float) -> int | None:
        """Tokens of the request as the API counts them, for free. Raises ProviderFailure."""
        body = {key: value for key, value in self._body(request).items() if key != "max_tokens"}

        async def counted() -> int:
            return token_count((await self._client.messages.count_tokens(**body, timeout=timeout)).input_tokens)

        timeout = self._timeout(timeout_s)
        return await self._once(counted(), timeout_s)

    async def models(self, *, timeout_s: float) -> Sequence[ModelInfo]:
        """The models that the key can use, with their limits and what they can do. Raises ProviderFailure."""

        async def listed() -> list[ModelInfo]:
            pages = self._client.models.list(limit=1000, timeout=self._timeout(timeout_s))
            found = [model async for model in pages]
            told = (model for model in found if model.capabilities is not None)
            self._without_effort = frozenset(model.id for model in told if not _able(model, "effort"))
            return [_info(model) for model in found]

        return await self._once(listed(), timeout_s)

    async def submit_batch(self, requests: Mapping[str, ModelRequest], *, timeout_s: float) -> str:
        """Submit requests by an id of the caller's own (1 to 64 letters, digits, `_`, `-`); gives the batch's id.

        Half the price, done within a day. Batches are kept by the provider for weeks: not for confidential data.
        Raises ProviderFailure.
        """
        entries: list[Any] = [{"custom_id": name, "params": self._body(request)} for name, request in requests.items()]

        async def submitted() -> str:
            return _text((await self._client.messages.batches.create(requests=entries, timeout=timeout)).id)

        timeout = self._timeout(timeout_s)
        return await self._once(submitted(), timeout_s)

    async def batch_results(self, batch_id: str, *, timeout_s: float) -> Mapping[str, ModelReply | ProviderFailure]:
        """Wait until the batch has ended; gives replies and failures by the caller's ids.

        Raises ProviderFailure, of kind `timeout` when it has not ended within `timeout_s`: it can be asked again.
        """

        async def ended() -> dict[str, ModelReply | ProviderFailure]:
            batches, timeout = self._client.messages.batches, self._timeout(timeout_s)
            while (await batches.retrieve(batch_id, timeout=timeout)).processing_status != "ended":  # noqa: ASYNC110
                await asyncio.sleep(self._config.batch_poll_s)
            results = await batches.results(batch_id, timeout=timeout)
            return {entry.custom_id: _batch_result(entry.result) async for entry in results}

        return await self._once(ended(), timeout_s)

    async def close(self) -> None:
        """End its connections."""
        await self._client.close()

    async def _stream(self, request: ModelRequest, seen: _Seen, timeout_s: float) -> None:
        stream = await self._client.messages.create(
            **self._body(request), stream=True, timeout=self._timeout(timeout_s)
        )
        async with stream:
            seen.request_id = word(stream.response.headers.get("request-id")) or None
            async for event in stream:
                seen.take(event)
        if not seen.began:
            raise ValueError("what came back was no stream of events")

    def _body(self, request: ModelRequest) -> dict[str, Any]:
        """What is sent, but for `stream`."""
        body: dict[str, Any] = {
            "model": request.model,
            "max_tokens": request.max_output_tokens,
            "messages": [{"role": turn.role, "content": turn.text} for turn in request.turns],
        }
        if request.system:
            body["system"] = _system(request)
        if request.native_citations:
            body["messages"][0]["content"] = _documents(request)
        tells_effort = request.effort and request.model not in self._without_effort
        output: dict[str, Any] = {"effort": request.effort} if tells_effort else {}
        if request.schema is not None and not request.native_citations:  # the API refuses both together
            output["format"] = {"type": "json_schema", "schema": portable_schema(request.schema)}
        return {**body, "output_config": output} if output else body

    async def _once(self, call: Awaitable[T], timeout_s: float) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                return await call
        except _ERRORS as error:
            failure = _failure(error)
        raise failure  # outside of the handler, so that it does not drag the SDK's error along

    def _timeout(self, timeout_s: float) -> httpx2.Timeout:
        return httpx2.Timeout(timeout_s, connect=min(timeout_s, self._connect_s))


@dataclass(slots=True, kw_only=True, repr=False)
class _Seen:
    """What a message has brought so far."""

    native_citations: bool
    room: int = 0  # characters that may still come as a stream
    began: bool = False
    stopped: bool = False
    model: str | None = None
    request_id: str | None = None
    stop_reason: str | None = None
    category: str | None = None
    usage: TokenUsage = field(default_factory=TokenUsage)
    blocks: dict[int, CitedBlock] = field(default_factory=dict)  # by their index, text blocks only

    @property
    def text(self) -> str:
        return "".join(block.text for block in self.blocks.values())

    def take(self, event: RawMessageStreamEvent) -> None:
        """Read one event; kinds that it does not know are passed over, as the API asks of its clients."""
        match event.type:
            case "message_start":
                self.began, self.model, self.usage = True, event.message.model, _usage(event.message.usage)
            case "content_block_start" if event.content_block.type == "text":
                self.blocks[event.index] = CitedBlock(text=event.content_block.text)
            case "content_block_delta" if event.delta.type == "text_delta":
                self.blocks[event.index].text += event.delta.text
                self.room -= len(event.delta.text)
                if self.room < 0:
                    raise ValueError("more came than was asked for")
            case "content_block_delta" if event.delta.type == "citations_delta":
                self._cite(event.index, event.delta.citation)
            case "message_delta":
                self._stop(event.delta)
                self.usage = _usage(event.usage, self.usage)
            case "message_stop":
                self.stopped = True

    def taketoken_count(self, message: Message) -> None:
        """Read a message that did not come as a stream."""
        self.began = self.stopped = True
        self.model, self.usage = message.model, _usage(message.usage)
        self._stop(message)
        for index, block in enumerate(message.content):
            if block.type == "text":
                self.blocks[index] = CitedBlock(text=block.text)
                for citation in block.citations or ():
                    self._cite(index, citation)

    def _cite(self, index: int, citation: Any) -> None:
        self.blocks[index].quotes.append((citation.document_index, citation.cited_text))

    def _stop(self, delta: Any) -> None:
        self.stop_reason = delta.stop_reason
        self.category = word(getattr(delta.stop_details, "category", None)) or None

    def reply(self, model: str) -> ModelReply:
        """The reply that `model` gave, whole or cut."""
        cut = not self.stopped or self.stop_reason is None
        stop: Stop = "cut" if cut else _STOPS.get(self.stop_reason or "", "end")
        blocks = self.blocks.values()
        return ModelReply(
            text=grounded_answer(blocks) if self.native_citations and stop == "end" else self.text,
            stop=stop,
            usage=at_least(self.usage, self.text) if cut else self.usage,
            model=word(self.model) or model,
            request_id=self.request_id,
            detail=USAGE_ESTIMATED if cut else self.category,
        )


def _system(request: ModelRequest) -> list[dict[str, Any]]:
    """The system text, of which the provider may keep what is the same for every run."""
    shared, own = request.system[: request.cacheable], request.system[request.cacheable :]
    cached = [{"type": "text", "text": shared, "cache_control": {"type": "ephemeral"}}] if shared else []
    return [*cached, *([{"type": "text", "text": own}] if own else [])]


def _documents(request: ModelRequest) -> list[dict[str, Any]]:
    return [
        *(
            {
                "type": "document",
                "title": title,
                "source": {"type": "text", "media_type": "text/plain", "data": text},
                "citations": {"enabled": True},
            }
            for title, text in request.documents
        ),
        {"type": "text", "text": request.turns[0].text},
    ]


def _usage(told: Any, before: TokenUsage | None = None) -> TokenUsage:
    """Usage as told; what a later event leaves out stands as it was. All counts are totals so far."""
    before = before or TokenUsage()
    by_age = getattr(told, "cache_creation", None)
    long = token_count(getattr(by_age, "ephemeral_1h_input_tokens", None), before.cache_write_long)
    written = token_count(told.cache_creation_input_tokens, before.cache_write + before.cache_write_long)
    return TokenUsage(
        input=token_count(told.input_tokens, before.input),
        output=token_count(told.output_tokens, before.output),
        cache_read=token_count(told.cache_read_input_tokens, before.cache_read),
        cache_write=max(0, written - long),
        cache_write_long=long,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("what came back had no id")
    return value


def _able(model: Any, capability: str) -> bool:
    return bool(getattr(getattr(model.capabilities, capability, None), "supported", False))


def _info(model: Any) -> ModelInfo:
    names = {"batch": "batches", "citations": "citations", "structured_outputs": "structured_output"}
    able = {ours for theirs, ours in names.items() if _able(model, theirs)}
    return ModelInfo(
        model=_text(model.id),
        context_tokens=model.max_input_tokens,
        max_output_tokens=model.max_tokens,
        retired=model.lifecycle == "retired",
        capabilities=frozenset({*able, "streaming", "prompt_caching"}),  # which every model has
    )


def _batch_result(result: Any) -> ModelReply | ProviderFailure:
    match result.type:
        case "succeeded":
            seen = _Seen(native_citations=False)
            seen.taketoken_count(result.message)
            seen.native_citations = any(block.quotes for block in seen.blocks.values())
            return seen.reply(result.message.model)
        case "errored":
            kind = word(result.error.error.type)
            return ProviderFailure(_KINDS.get(kind, "server_error"), kind, request_id=result.error.request_id)
        case "expired":
            return ProviderFailure("timeout", "the batch expired")
        case _:
            return ProviderFailure("server_error", "the batch was cancelled")


def _context_full(model: str, failure: ProviderFailure) -> ModelReply:
    return ModelReply(text="", stop="context_full", usage=TokenUsage(), model=model, request_id=failure.request_id)


def _failure(error: BaseException) -> ProviderFailure:
    """What an error of the SDK means, with nothing of what it holds but words of the protocol."""
    refused = refusal_in(error)
    if refused is not None:
        return ProviderFailure("not_allowed", word(refused.item))
    if isinstance(error, anthropic.APIStatusError):
        return _status_failure(error)
    if isinstance(error, anthropic.APITimeoutError | httpx2.TimeoutException | TimeoutError):
        return ProviderFailure("timeout")
    if isinstance(error, anthropic.APIResponseValidationError):
        return ProviderFailure("garbled", status=error.status_code)
    if isinstance(error, anthropic.APIConnectionError | httpx2.TransportError | OSError):
        return ProviderFailure("unreachable", type(error.__cause__ or error).__name__)
    return ProviderFailure("garbled", type(error).__name__)


def _status_failure(error: anthropic.APIStatusError) -> ProviderFailure:
    status, kind, code = error.status_code, word(error.type), word(error.error_code)
    too_long = status == 400 and (error.api_message or "").lower().startswith("prompt is too long")
    if code.endswith("spend_limit_reached"):
        meaning: FailureKind = "spend_limit"
    elif status < 400:  # an error within a stream that had begun well
        meaning = _KINDS.get(kind, "server_error")
    else:
        meaning = failure_kind(status)
    return ProviderFailure(
        meaning,
        PROMPT_TOO_LONG if too_long else code or kind,
        status=status,
        retry_after_s=retry_after_s(error.response.headers),
        request_id=word(error.request_id) or None,
    )
