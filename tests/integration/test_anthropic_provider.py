"""Claude's adapter with the real SDK over a real socket, against a strict double of the Messages API."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from orchestrator.egress.contracts import GroundedAnswer
from orchestrator.gateway.port import ModelReply, ModelRequest, ProviderFailure, TokenUsage, Turn
from orchestrator.gateway.providers.anthropic_messages import AnthropicConfig, AnthropicProvider
from orchestrator.guarded_http import guarded_client
from orchestrator.network import allow_list
from tests.doubles.messages_api import MessagesDouble, create_app
from tests.doubles.model_double import Mode
from tests.doubles.model_requests import KEY, SECRET, SENTENCE, grounded_request, leaks
from tests.doubles.serving import Stage, serving

ROOT = Path(__file__).parents[2]
T = TypeVar("T")
MODEL = "claude-haiku-5-5"
Double = tuple[str, MessagesDouble]
PARTIAL = TokenUsage(input=0, output=12)  # a cut stream: 48 characters of the answer came


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[str, Stage]]:
    stage = Stage()
    with serving(stage) as url:
        yield url, stage


@pytest.fixture
def double(stage: tuple[str, Stage]) -> Iterator[Double]:
    handle = MessagesDouble()
    stage[1].app = create_app(handle)
    yield stage[0], handle
    handle.release()


def run(url: str, work: Callable[[AnthropicProvider], Coroutine[Any, Any, T]], key: str = KEY) -> T:
    """`work` with a provider, which is closed after it."""

    async def main() -> T:
        provider = AnthropicProvider(
            api_key=key,
            base_url=url,
            http_client=guarded_client(allow_list([url])),
            config=AnthropicConfig(batch_poll_s=0.005),
        )
        try:
            return await work(provider)
        finally:
            await provider.close()

    return asyncio.run(main())


def ask(url: str, timeout_s: float = 10.0, key: str = KEY, **changes: Any) -> ModelReply:
    request = grounded_request(**{"model": MODEL, **changes})
    return run(url, lambda provider: provider.complete(request, timeout_s=timeout_s), key)


def failure(url: str, timeout_s: float = 10.0, **changes: Any) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        ask(url, timeout_s, **changes)
    return caught.value


def test_a_good_answer_comes_back_whole(double: Double) -> None:
    """The reply is a valid grounded answer that quotes the right source, with usage and request id as told."""
    url, handle = double
    reply = ask(url)
    answer = GroundedAnswer.model_validate_json(reply.text)
    assert [(quote.source, quote.quote) for quote in answer.claims[0].quotes] == [(2, SENTENCE)]
    assert (reply.stop, reply.model, reply.detail) == ("end", MODEL, None)
    assert reply.request_id is not None
    assert reply.request_id.startswith("req_")
    prompt = grounded_request(MODEL)
    assert reply.usage == TokenUsage(
        input=-(-len(prompt.system) // 4) - (-len(prompt.turns[0].text) // 4), output=-(-len(reply.text) // 4)
    )
    assert handle.calls() == 1


def test_the_wire_holds_what_was_asked_and_nothing_else(double: Double) -> None:
    """Streamed, structured by a closed schema, system text marked for the cache; no sampling settings, no spans."""
    url, handle = double
    ask(url, effort="low")
    sent = handle.requests[0]
    assert sent.body.keys() == {"model", "max_tokens", "messages", "system", "stream", "output_config"}
    assert sent.body["stream"] is True
    assert sent.body["output_config"]["effort"] == "low"
    assert sent.body["output_config"]["format"]["schema"]["additionalProperties"] is False
    assert sent.body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert "traceparent" not in sent.headers


@pytest.mark.parametrize(
    ("mode", "kind", "status", "retry_after_s", "detail"),
    [
        ("429", "rate_limited", 429, 0.02, "rate_limit_error"),
        ("429_long", "rate_limited", 429, 7200.0, "rate_limit_error"),
        ("429_date", "rate_limited", 429, 3600.0, "rate_limit_error"),
        ("500", "server_error", 500, None, "api_error"),
        ("529", "overloaded", 529, None, "overloaded_error"),
        ("html_502", "server_error", 502, None, ""),
        ("html_200", "garbled", None, None, "ValueError"),
        ("garbage_body", "garbled", None, None, "JSONDecodeError"),
        ("spend_limit", "spend_limit", 400, None, "enforced_spend_limit_reached"),
    ],
)
def test_a_failure_before_an_answer_is_typed(
    double: Double, mode: Mode, kind: str, status: int | None, retry_after_s: float | None, detail: str
) -> None:
    """One request on the wire, no hidden retry, and the failure says what to do next."""
    url, handle = double
    handle.enqueue(mode)
    failed = failure(url)
    assert (failed.kind, failed.status, failed.retry_after_s, failed.detail) == (kind, status, retry_after_s, detail)
    assert failed.usage is None
    assert (handle.calls(), handle.given[mode]) == (1, 1)


@pytest.mark.parametrize(
    ("mode", "stop", "detail"),
    [
        ("refusal", "refused", "cyber"),
        ("truncation", "truncated", None),
        ("context_exceeded", "context_full", None),
        ("cut_stream", "cut", "usage_estimated"),
        ("dropped_connection", "cut", "usage_estimated"),
        ("prompt_too_long", "context_full", None),
    ],
)
def test_what_is_no_failure_and_no_answer_is_a_stop(double: Double, mode: Mode, stop: str, detail: str | None) -> None:
    """Refusal, truncation, full context and a cut stream raise nothing; each has its own stop."""
    url, handle = double
    handle.enqueue(mode)
    reply = ask(url)
    assert (reply.stop, reply.detail) == (stop, detail)
    assert handle.calls() == 1


@pytest.mark.parametrize("mode", ["cut_stream", "dropped_connection"])
def test_a_cut_stream_is_metered_by_what_came(double: Double, mode: Mode) -> None:
    """The prompt is metered as told at the start, the output by the text that came, not by the placeholder of 1."""
    url, handle = double
    handle.enqueue(mode)
    whole_input = run(url, lambda p: p.count_tokens(grounded_request(MODEL), timeout_s=10))
    reply = ask(url)
    assert reply.usage == TokenUsage(input=whole_input or 0, output=PARTIAL.output)
    assert len(reply.text) == 4 * PARTIAL.output


def test_an_error_in_mid_stream_keeps_what_was_used(double: Double) -> None:
    """It is mapped by its type, since its status is 200, and carries usage and request id."""
    url, handle = double
    handle.enqueue("error_in_stream")
    failed = failure(url)
    assert (failed.kind, failed.status) == ("overloaded", 200)
    assert failed.usage is not None
    assert failed.usage.input > 0
    assert failed.usage.output == PARTIAL.output
    assert failed.request_id is not None
    assert handle.calls() == 1


@pytest.mark.parametrize(
    ("mode", "holds"),
    [
        ("malformed_json", "Here is the answer: {"),
        ("wrong_schema", '"reply"'),
        ("uncited_claim", '"quotes": []'),
        ("invented_quote", "moon office"),
        ("placeholder_leak", "[EMAIL_9]"),
        ("good_after_repair", '"reply"'),
    ],
)
def test_a_bad_answer_is_handed_on_for_egress_to_judge(double: Double, mode: Mode, holds: str) -> None:
    """The adapter believes nothing and repairs nothing: the text comes as it was written, and is metered."""
    url, handle = double
    handle.enqueue(mode)
    reply = ask(url)
    assert holds in reply.text
    assert reply.stop == "end"
    assert reply.usage.output == -(-len(reply.text) // 4)
    assert handle.calls() == 1


def test_a_repair_turn_gets_the_good_answer(double: Double) -> None:
    """A conversation with the bad answer and what was wrong with it is taken in order."""
    url, handle = double
    handle.default = "good_after_repair"
    first = ask(url)
    turns = (
        *grounded_request(MODEL).turns,
        Turn(role="assistant", text=first.text),
        Turn(role="user", text="claims: field required"),
    )
    assert GroundedAnswer.model_validate_json(ask(url, turns=turns).text).answerable


@pytest.mark.parametrize(("mode", "began"), [("slow", False), ("stalled_stream", True)])
def test_a_model_that_hangs_times_out_and_is_hung_up_on(double: Double, mode: Mode, began: bool) -> None:
    """The attempt ends when its time is up, and the connection with it; what a stream had used is kept."""
    url, handle = double
    handle.enqueue(mode)
    failed = failure(url, timeout_s=0.4)
    assert failed.kind == "timeout"
    assert (failed.usage is not None) is began
    handle.wait_for(lambda double: double.disconnects == 1)
    assert handle.calls() == 1


@pytest.mark.parametrize("mode", ["slow", "stalled_stream"])
def test_a_cancelled_call_closes_its_connection(double: Double, mode: Mode) -> None:
    """Cancelling is seen by the provider at once, so it can stop writing what nobody reads."""
    url, handle = double
    handle.enqueue(mode)

    async def work(provider: AnthropicProvider) -> None:
        call = asyncio.create_task(provider.complete(grounded_request(MODEL), timeout_s=30))
        await asyncio.to_thread(handle.wait_for, lambda double: double.holding == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(handle.wait_for, lambda double: double.disconnects == 1)

    run(url, work)


def test_a_slow_model_is_waited_for(double: Double) -> None:
    """What takes its time but comes within it is a good answer."""
    url, handle = double
    handle.enqueue("stalled_stream")

    async def work(provider: AnthropicProvider) -> ModelReply:
        call = asyncio.create_task(provider.complete(grounded_request(MODEL), timeout_s=30))
        await asyncio.to_thread(handle.wait_for, lambda double: double.holding == 1)
        handle.release()
        return await call

    assert run(url, work).stop == "end"


def test_ids_and_names_that_are_sentences_are_not_taken(double: Double) -> None:
    """A server may write the prompt where its name or the request's id belongs; neither gets into the record."""
    url, handle = double
    handle.names_itself = f"I was asked: {SECRET}"
    reply = ask(url)
    assert (reply.stop, reply.model, reply.request_id) == ("end", MODEL, None)


def test_no_server_is_unreachable() -> None:
    """A refused connection is a failure to be retried elsewhere."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        failed = failure(f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert (failed.kind, failed.detail) == ("unreachable", "ConnectError")


def test_a_server_that_does_not_stop_is_cut_off(double: Double) -> None:
    """More text than the tokens that were asked for can be is no answer; what it used is known."""
    url, handle = double
    handle.keeps_limit = False
    handle.answer = lambda _: "x" * 2000
    failed = failure(url, max_output_tokens=10)
    assert failed.kind == "garbled"
    assert failed.usage is not None
    assert failed.usage.output >= 10 * 128 // 4


def test_a_rotated_key_is_a_bad_credential(double: Double) -> None:
    """401 is told apart from a bad request, since another key may do."""
    url, handle = double
    handle.key = "another"
    failed = failure(url)
    assert (failed.kind, failed.status, failed.detail) == ("bad_credential", 401, "authentication_error")


@pytest.mark.parametrize("model", ["claude-unheard-of", "claude-opus-3-9"])
def test_an_unknown_or_retired_model_is_a_bad_request(double: Double, model: str) -> None:
    """It would fail again."""
    failed = failure(double[0], model=model)
    assert (failed.kind, failed.status, failed.detail) == ("bad_request", 404, "not_found_error")


def test_the_system_text_is_read_from_the_cache_the_second_time(double: Double) -> None:
    """What was written to the cache, read from it, and neither, is told apart; unmarked text is never cached."""
    url, handle = double
    handle.cache_minimum_tokens = 10
    first, second, unmarked = ask(url).usage, ask(url).usage, ask(url, cacheable=0).usage
    system = -(-grounded_request(MODEL).cacheable // 4)
    assert (first.cache_write, first.cache_read) == (system, 0)
    assert (second.cache_write, second.cache_read) == (0, system)
    assert (unmarked.cache_write, unmarked.cache_read) == (0, 0)
    assert first.prompt == second.prompt == unmarked.prompt == unmarked.input


def test_tokens_are_counted_by_the_api(double: Double) -> None:
    """The count equals the usage of the same request."""
    url, handle = double
    request = grounded_request(MODEL)
    assert run(url, lambda provider: provider.count_tokens(request, timeout_s=10)) == ask(url).usage.prompt
    assert "max_tokens" not in handle.requests[0].body


def test_models_are_listed_with_what_they_can_do(double: Double) -> None:
    """Limits, retirement and capabilities are known at start-up."""
    models = {info.model: info for info in run(double[0], lambda provider: provider.models(timeout_s=10))}
    assert models[MODEL].context_tokens == 1_000_000
    assert {"structured_output", "citations", "batches", "streaming", "prompt_caching"} <= models[MODEL].capabilities
    assert [name for name, info in models.items() if info.retired] == ["claude-opus-3-9"]


@pytest.mark.parametrize(
    ("mode", "kind"), [("529", "overloaded"), ("html_200", "garbled"), ("html_502", "server_error")]
)
def test_the_other_calls_fail_in_types_too(double: Double, mode: Mode, kind: str) -> None:
    """Counting, listing and batches raise the same failures as a message does, without what the SDK raised."""
    url, handle = double
    request = grounded_request(MODEL)
    calls: dict[str, Callable[[AnthropicProvider], Coroutine[Any, Any, Any]]] = {
        "count_tokens": lambda provider: provider.count_tokens(request, timeout_s=10),
        "models": lambda provider: provider.models(timeout_s=10),
        "batches": lambda provider: provider.submit_batch({"a": request}, timeout_s=10),
    }
    for endpoint, call in calls.items():
        handle.enqueue(mode, endpoint=endpoint)
        with pytest.raises(ProviderFailure) as caught:
            run(url, call)
        assert (caught.value.kind, handle.calls(endpoint)) == (kind, 1)
        assert caught.value.__context__ is None


def test_a_batch_gives_each_request_its_own_result(double: Double) -> None:
    """Replies and failures come back by the caller's ids, whatever the order, once the batch has ended."""
    url, handle = double
    handle.enqueue("good", "refusal", "500")
    requests = {name: grounded_request(MODEL) for name in ("good", "refused", "broken")}
    requests["unknown"] = grounded_request("claude-unheard-of")

    async def work(provider: AnthropicProvider) -> Any:
        batch = await provider.submit_batch(requests, timeout_s=10)
        return await provider.batch_results(batch, timeout_s=10)

    results = run(url, work)
    assert GroundedAnswer.model_validate_json(results["good"].text).answerable
    assert (results["refused"].stop, results["refused"].detail) == ("refused", "cyber")
    assert (results["broken"].kind, results["unknown"].kind) == ("server_error", "bad_request")
    assert handle.calls("messages") == 0


def test_a_batch_that_does_not_end_in_time_can_be_asked_again(double: Double) -> None:
    """The wait has a deadline of its own; the batch is not lost."""
    url, handle = double
    handle.batch_polls = 1_000_000

    async def work(provider: AnthropicProvider) -> Any:
        batch = await provider.submit_batch({"a": grounded_request(MODEL)}, timeout_s=10)
        with pytest.raises(ProviderFailure, match="timeout"):
            await provider.batch_results(batch, timeout_s=0.1)
        handle.batches[batch].polls_left = 0
        return await provider.batch_results(batch, timeout_s=10)

    assert run(url, work)["a"].stop == "end"


def test_native_citations_become_the_same_contract(double: Double) -> None:
    """What the provider cites is a grounded answer like any other, with its source numbered from 1."""
    url, handle = double
    documents = (("Office", "The office opens at eight."), ("Leave", f"{SENTENCE} Ask the people team."))
    reply = ask(url, native_citations=True, documents=documents)
    answer = GroundedAnswer.model_validate_json(reply.text)
    assert [(quote.source, quote.quote) for quote in answer.claims[0].quotes] == [(2, SENTENCE)]
    assert answer.claims[0].text == f"According to the document, {SENTENCE}"
    sent = handle.requests[0].body
    assert "output_config" not in sent
    assert [block["type"] for block in sent["messages"][0]["content"]] == ["document", "document", "text"]


@pytest.mark.parametrize(
    "mode", ["good", "html_502", "error_in_stream", "cut_stream", "garbage_body", "spend_limit", "slow"]
)
def test_nothing_that_is_seen_or_kept_holds_content_or_key(
    double: Double, mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither the failure, its causes and its frames with their values, nor any log, nor any repr."""
    url, handle = double
    handle.enqueue(mode)
    handle.answer = lambda _: f"{SECRET} {SENTENCE}"
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    contexts: list[BaseException | None] = []

    async def work(provider: AnthropicProvider) -> None:
        seen.extend([repr(provider), str(vars(provider))])
        try:
            seen.append(repr(await provider.complete(grounded_request(MODEL), timeout_s=0.5)))
        except ProviderFailure as failed:
            contexts.extend([failed.__cause__, failed.__context__])
            told = traceback.TracebackException.from_exception(failed, capture_locals=True)
            seen.extend([repr(failed), repr(vars(failed)), *told.format()])

    run(url, work)
    assert not any(contexts)
    seen += [str(record.__dict__) for record in caplog.records if record.name.partition(".")[0] != "asyncio"]
    assert leaks(*seen) == []


def test_a_host_that_is_not_allowed_is_never_talked_to(double: Double) -> None:
    """The client's list decides, whatever the SDK wraps its refusal in."""
    url, handle = double

    async def main() -> ProviderFailure:
        client = guarded_client(allow_list(["https://example.org"]))
        provider = AnthropicProvider(api_key=KEY, base_url=url, http_client=client)
        with pytest.raises(ProviderFailure) as caught:
            await provider.complete(grounded_request(MODEL), timeout_s=10)
        await provider.close()
        assert client.is_closed
        return caught.value

    failed = asyncio.run(main())
    assert (failed.kind, failed.detail) == ("not_allowed", url.removeprefix("http://").removesuffix("/v1"))
    assert handle.requests == []


def test_many_calls_at_a_time_each_get_their_own_answer(double: Double) -> None:
    """Sixty calls over one provider, with refusals and failures between them: nothing is mixed up or lost."""
    url, handle = double
    handle.answer = lambda asked: json.dumps({"model": asked.turns[0][1]})

    async def work(provider: AnthropicProvider) -> list[ModelReply]:
        requests = [
            ModelRequest(
                model=MODEL,
                system="",
                turns=(Turn(role="user", text=f"caller {number}"),),
                schema=None,
                max_output_tokens=100,
            )
            for number in range(60)
        ]
        return await asyncio.gather(*(provider.complete(request, timeout_s=30) for request in requests))

    replies = run(url, work)
    assert [json.loads(reply.text)["model"] for reply in replies] == [f"caller {number}" for number in range(60)]
    assert len({reply.request_id for reply in replies}) == handle.calls() == 60


HOSTILE = {
    "ANTHROPIC_API_KEY": "hostile-key",
    "ANTHROPIC_AUTH_TOKEN": "hostile-token",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:9/hostile",
    "ANTHROPIC_CUSTOM_HEADERS": "authorization: Bearer hostile\nx-api-key: hostile\nx-hostile: 1",
    "ANTHROPIC_PROFILE": "hostile",
    "ANTHROPIC_CONFIG_DIR": "/hostile",
    "ANTHROPIC_WEBHOOK_SIGNING_KEY": "hostile",
    "ANTHROPIC_OPEN_TELEMETRY_TRACES_CONTENT_MODE": "content",
    "ANTHROPIC_LOG": "debug",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "SSL_CERT_FILE": "/hostile.pem",
}
SCRIPT = """
import asyncio, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
spans, tracers = InMemorySpanExporter(), TracerProvider()
tracers.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(tracers)
from orchestrator.gateway.providers.anthropic_messages import AnthropicProvider
from orchestrator.guarded_http import guarded_client
from orchestrator.network import allow_list
from tests.doubles.model_requests import grounded_request
async def main():
    provider = AnthropicProvider(
        api_key="test-key", base_url=sys.argv[1], http_client=guarded_client(allow_list([sys.argv[1]]))
    )
    reply = await provider.complete(grounded_request("claude-haiku-5-5"), timeout_s=20)
    await provider.close()
    return reply
reply = asyncio.run(main())
print(reply.stop, len(spans.get_finished_spans()))
"""


def test_nothing_of_a_hostile_environment_reaches_the_wire(double: Double) -> None:
    """Keys, addresses, headers, profiles, proxies, logging and spans of the environment have no effect."""
    url, handle = double
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, url],
        env={**os.environ, **HOSTILE, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "end 0\n", done.stderr
    assert leaks(done.stderr) == []
    sent = handle.requests[0]
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert not any("hostile" in f"{name}{value}" for name, value in sent.headers.items())
    assert "traceparent" not in sent.headers
    assert SECRET in json.dumps(sent.body)  # what is searched for elsewhere does go over the wire
