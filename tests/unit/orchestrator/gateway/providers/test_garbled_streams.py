"""Whatever a server streams, a reply or a typed failure comes of it. The real SDKs over a transport in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, get_args

import httpx2
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.gateway.port import FailureKind, ModelReply, Provider, ProviderFailure, Stop
from orchestrator.gateway.providers.anthropic_messages import AnthropicProvider
from orchestrator.gateway.providers.openai_compatible import OpenAiProvider
from tests.doubles.model_requests import grounded_request

MakeProvider = Callable[[httpx2.AsyncClient], Provider]
DEEP = b"[" * 100_000


def event(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


def chunk(**data: Any) -> bytes:
    return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'model': 'm', **data})}\n\n".encode()


USAGE = {"input_tokens": 5, "output_tokens": 1}
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": USAGE}
DELTA = {"type": "text_delta", "text": "some words"}
CITATION = {"type": "char_location", "cited_text": "x", "document_index": 0, "start_char_index": 0, "end_char_index": 1}
JUNK = [
    b"\n\n",
    b": comment\n\n",
    b"data: [DONE]\n\n",
    b"data: null\n\n",
    b"data: []\n\n",
    b'data: "text"\n\n',
    b"data: {oops\n\n",
    b"event: message_start\ndata: \xff\xfe\n\n",
    b"event: content_block_delta\ndata: " + DEEP + b"\n\n",
    b"data: " + DEEP + b"\n\n",
    b"<html>\r\n\r\n</html>",
]
MESSAGES = [
    *[event("message_start", message=MESSAGE)] * 3,
    *[event("content_block_start", index=0, content_block={"type": "text", "text": ""})] * 3,
    *[event("content_block_delta", index=0, delta=DELTA)] * 3,
    event("content_block_delta", index=7, delta=DELTA),
    event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": CITATION}),
    event("content_block_delta", index=0, delta={"type": "citations_delta", "citation": None}),
    event("content_block_delta", index=0, delta={"type": "thinking_delta", "thinking": "hm"}),
    event("content_block_delta", index=0),
    event("content_block_start", index=1, content_block={"type": "brand_new"}),
    event("content_block_stop", index=0),
    event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 4}),
    event("message_delta", delta={"stop_reason": "brand_new"}, usage={"output_tokens": -4}),
    event("message_delta", delta=None, usage=None),
    event("message_start"),
    event("message_start", message={**MESSAGE, "usage": {"input_tokens": "many"}}),
    event("message_stop"),
    event("brand_new_event", x=1),
    event("error", error={"type": "overloaded_error", "message": "x"}),
    event("error"),
    b"event: error\ndata: plain words\n\n",
    *JUNK,
]
CHOICE = {"index": 0, "delta": {"content": "some words"}, "finish_reason": None}
COMPLETIONS = [
    *[chunk(choices=[CHOICE])] * 4,
    chunk(choices=[{**CHOICE, "finish_reason": "stop"}]),
    chunk(choices=[{**CHOICE, "finish_reason": "brand_new"}]),
    chunk(choices=[{"index": 0, "delta": None}]),
    chunk(choices=[{"index": 0, "delta": {"content": 7}}]),
    chunk(choices=[], usage={"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}),
    chunk(choices=[], usage={"prompt_tokens": None}),
    chunk(choices=[], usage={"prompt_tokens": 5, "completion_tokens": -2, "total_tokens": 3}),
    chunk(
        choices=[], usage={"prompt_tokens": 5, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 9}}
    ),
    chunk(choices=None),
    chunk(choices={"a": 1}),
    b'data: {"error": {"message": "x", "type": "server_error"}}\n\n',
    b'data: {"error": "x"}\n\n',
    b'data: {"error": {"code": 429}}\n\n',
    *JUNK,
]


def outcome(make: MakeProvider, model: str, stream: list[bytes], status: int) -> ModelReply | ProviderFailure:
    async def main() -> ModelReply | ProviderFailure:
        def answer(_: httpx2.Request) -> httpx2.Response:
            return httpx2.Response(status, content=b"".join(stream), headers={"content-type": "text/event-stream"})

        provider = make(httpx2.AsyncClient(transport=httpx2.MockTransport(answer)))
        try:
            return await provider.complete(grounded_request(model), timeout_s=30)
        except ProviderFailure as failed:
            return failed
        finally:
            await provider.close()

    return asyncio.run(main())


def check(result: ModelReply | ProviderFailure) -> None:
    if isinstance(result, ProviderFailure):
        assert result.kind in get_args(FailureKind)
    else:
        assert result.stop in get_args(Stop)
    usage = result.usage
    assert usage is None or min(usage.input, usage.output, usage.cache_read, usage.cache_write) >= 0


statuses = st.sampled_from([200] * 6 + [400, 429, 500])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, len(MESSAGES) - 1), max_size=8), statuses)
def test_any_stream_of_events_has_an_outcome(places: list[int], status: int) -> None:
    """Events out of order, twice, of unknown kinds, of the wrong shape, or no events at all."""
    check(
        outcome(
            lambda client: AnthropicProvider(api_key="k", base_url="http://double", http_client=client),
            "claude-haiku-5-5",
            [MESSAGES[place] for place in places],
            status,
        )
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, len(COMPLETIONS) - 1), max_size=8), statuses)
def test_any_stream_of_chunks_has_an_outcome(places: list[int], status: int) -> None:
    """The same for the other wire."""
    stream = [COMPLETIONS[place] for place in places]
    check(outcome(lambda client: OpenAiProvider(base_url="http://double/v1", http_client=client), "m", stream, status))
