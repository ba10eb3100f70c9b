"""The OpenAI-compatible adapter with the real SDK over a real socket, against a strict double of such a server."""

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
from orchestrator.gateway.port import ModelReply, ProviderFailure, TokenUsage, Turn
from orchestrator.gateway.providers.openai_compatible import OpenAiConfig, OpenAiProvider
from orchestrator.guarded_http import guarded_client
from orchestrator.network import allow_list
from tests.doubles.model_double import Mode
from tests.doubles.model_requests import KEY, SECRET, SENTENCE, grounded_request, leaks
from tests.doubles.openai_api import OpenAiDouble, create_app
from tests.doubles.serving import Stage, serving

ROOT = Path(__file__).parents[2]
T = TypeVar("T")
MODEL = "llama-4-8b"
Double = tuple[str, OpenAiDouble]
CAME = 12  # tokens of the first piece, after which streams break


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[str, Stage]]:
    stage = Stage()
    with serving(stage) as url:
        yield f"{url}/v1", stage


@pytest.fixture
def double(stage: tuple[str, Stage]) -> Iterator[Double]:
    handle = OpenAiDouble()
    stage[1].app = create_app(handle)
    yield stage[0], handle
    handle.release()


def run(
    url: str,
    work: Callable[[OpenAiProvider], Coroutine[Any, Any, T]],
    key: str | None = KEY,
    config: OpenAiConfig | None = None,
) -> T:
    """`work` with a provider, which is closed after it."""

    async def main() -> T:
        provider = OpenAiProvider(
            base_url=url, api_key=key, http_client=guarded_client(allow_list([url])), config=config
        )
        try:
            return await work(provider)
        finally:
            await provider.close()

    return asyncio.run(main())


def ask(
    url: str, timeout_s: float = 10.0, key: str | None = KEY, config: OpenAiConfig | None = None, **changes: Any
) -> ModelReply:
    request = grounded_request(**{"model": MODEL, **changes})
    return run(url, lambda provider: provider.complete(request, timeout_s=timeout_s), key, config)


def failure(url: str, timeout_s: float = 10.0, **changes: Any) -> ProviderFailure:
    with pytest.raises(ProviderFailure) as caught:
        ask(url, timeout_s, **changes)
    return caught.value


def read_tokens(body: dict[str, Any]) -> int:
    return sum(-(-len(turn["content"]) // 4) for turn in body["messages"])


def test_a_good_answer_comes_back_whole(double: Double) -> None:
    """The reply is a valid grounded answer that quotes the right source, with usage and request id as told."""
    url, handle = double
    reply = ask(url)
    answer = GroundedAnswer.model_validate_json(reply.text)
    assert [(quote.source, quote.quote) for quote in answer.claims[0].quotes] == [(2, SENTENCE)]
    assert (reply.stop, reply.model, reply.detail) == ("end", MODEL, None)
    assert reply.request_id is not None
    told = TokenUsage(input=read_tokens(handle.requests[0].body), output=-(-len(reply.text) // 4))
    assert (reply.usage, handle.calls()) == (told, 1)


def test_the_wire_holds_what_was_asked_and_nothing_else(double: Double) -> None:
    """Streamed with usage, structured by a strict schema, the system text first; no sampling settings."""
    url, handle = double
    ask(url, effort="low")
    sent = handle.requests[0]
    assert sent.body.keys() == {"model", "max_tokens", "messages", "stream", "stream_options", "response_format"}
    assert [turn["role"] for turn in sent.body["messages"]] == ["system", "user"]
    assert sent.body["response_format"]["json_schema"]["strict"] is True
    assert sent.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("mode", "kind", "status", "retry_after_s", "detail"),
    [
        ("429", "rate_limited", 429, 0.02, "rate_limit_exceeded"),
        ("429_long", "rate_limited", 429, 7200.0, "rate_limit_exceeded"),
        ("429_date", "rate_limited", 429, 3600.0, "requests"),
        ("500", "server_error", 500, None, "server_error"),
        ("529", "overloaded", 503, None, "invalid_request_error"),
        ("html_502", "server_error", 502, None, ""),
        ("html_200", "garbled", None, None, "ValueError"),
        ("garbage_body", "garbled", None, None, "JSONDecodeError"),
        ("spend_limit", "spend_limit", 429, None, "insufficient_quota"),
    ],
)
def test_a_failure_before_an_answer_is_typed(
    double: Double, mode: Mode, kind: str, status: int | None, retry_after_s: float | None, detail: str
) -> None:
    """One request on the wire, no hidden retry; money that is used up is no rate limit, though its status is 429."""
    url, handle = double
    handle.enqueue(mode)
    failed = failure(url)
    assert (failed.kind, failed.status, failed.retry_after_s, failed.detail) == (kind, status, retry_after_s, detail)
    assert failed.usage is None
    assert (handle.calls(), handle.given[mode]) == (1, 1)


@pytest.mark.parametrize(
    ("mode", "stop", "detail"),
    [
        ("refusal", "refused", None),
        ("content_filter", "refused", "content_filter"),
        ("truncation", "truncated", None),
        ("cut_stream", "cut", "usage_estimated"),
        ("dropped_connection", "cut", "usage_estimated"),
        ("prompt_too_long", "context_full", None),
    ],
)
def test_what_is_no_failure_and_no_answer_is_a_stop(double: Double, mode: Mode, stop: str, detail: str | None) -> None:
    """Refusal, filter, truncation, full context and a cut stream raise nothing; each has its stop."""
    url, handle = double
    handle.enqueue(mode)
    reply = ask(url)
    assert (reply.stop, reply.detail) == (stop, detail)
    assert handle.calls() == 1


def test_an_error_in_mid_stream_keeps_what_was_used(double: Double) -> None:
    """No usage is told before the end of a stream, so it is estimated from what was sent and what came."""
    url, handle = double
    handle.enqueue("error_in_stream")
    failed = failure(url)
    assert (failed.kind, failed.status) == ("server_error", 200)
    assert failed.usage is not None
    assert abs(failed.usage.input - read_tokens(handle.requests[0].body)) <= 1
    assert failed.usage.output == CAME
    assert failed.request_id is not None


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
    assert (reply.stop, reply.usage.output, handle.calls()) == ("end", -(-len(reply.text) // 4), 1)


def test_a_repair_turn_gets_the_good_answer(double: Double) -> None:
    """A conversation with the bad answer and what was wrong with it is taken in order."""
    url, handle = double
    handle.default = "good_after_repair"
    first = ask(url)
    asked_again = (Turn(role="assistant", text=first.text), Turn(role="user", text="claims: field required"))
    reply = ask(url, turns=(*grounded_request(MODEL).turns, *asked_again))
    assert GroundedAnswer.model_validate_json(reply.text).answerable


@pytest.mark.parametrize("answer_format", ["json_object", "text"])
def test_a_server_without_schemas_is_told_in_words(double: Double, answer_format: Any) -> None:
    """Where `response_format` knows no schema, it stands in the system text; nothing unknown is sent."""
    url, handle = double
    handle.knows_json_schema = False
    reply = ask(url, config=OpenAiConfig(answer_format=answer_format))
    assert GroundedAnswer.model_validate_json(reply.text).claims[0].quotes[0].quote == SENTENCE
    sent = handle.requests[0].body
    assert sent.get("response_format") == ({"type": "json_object"} if answer_format == "json_object" else None)
    assert '"claims"' in sent["messages"][0]["content"]


def test_a_server_that_knows_less_is_sent_less(double: Double) -> None:
    """No `strict`, no `stream_options`: what such a server refuses is left out, and usage is estimated and said so."""
    url, handle = double
    handle.knows_strict = handle.knows_stream_options = False
    assert failure(url).kind == "bad_request"
    reply = ask(url, config=OpenAiConfig(strict=False, reports_usage=False))
    assert (reply.stop, reply.detail) == ("end", "usage_estimated")
    assert abs(reply.usage.input - read_tokens(handle.requests[1].body)) <= 1
    assert reply.usage.output == -(-len(reply.text) // 4)


def test_a_server_that_knows_more_is_told_more(double: Double) -> None:
    """Effort, and the newer name of the output limit, go out only where the server is said to know them."""
    url, handle = double
    handle.knows_effort = True
    ask(url, config=OpenAiConfig(knows_effort=True, output_limit="max_completion_tokens"), effort="high")
    sent = handle.requests[0].body
    assert (sent["reasoning_effort"], sent["max_completion_tokens"], "max_tokens" in sent) == ("high", 500, False)


def test_tokens_read_from_a_cache_are_told_apart(double: Double) -> None:
    """The wire counts them within the prompt; they cost less."""
    url, handle = double
    handle.cached_tokens = 30
    usage = ask(url).usage
    assert (usage.cache_read, usage.prompt) == (30, read_tokens(handle.requests[0].body))


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
    """Cancelling is seen by the server at once, so it can stop writing what nobody reads."""
    url, handle = double
    handle.enqueue(mode)

    async def work(provider: OpenAiProvider) -> None:
        call = asyncio.create_task(provider.complete(grounded_request(MODEL), timeout_s=30))
        await asyncio.to_thread(handle.wait_for, lambda double: double.holding == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await asyncio.to_thread(handle.wait_for, lambda double: double.disconnects == 1)

    run(url, work)


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
        failed = failure(f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
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


def test_a_server_without_keys_needs_none(double: Double) -> None:
    """A local server is used as it stands; a server that wants a key says so as a bad credential."""
    url, handle = double
    assert failure(url, key=None).kind == "bad_credential"
    handle.key = None
    assert ask(url, key=None).stop == "end"
    assert handle.requests[-1].headers["authorization"] == "Bearer none"


def test_an_unknown_model_is_a_bad_request(double: Double) -> None:
    """It would fail again."""
    failed = failure(double[0], model="unheard-of")
    assert (failed.kind, failed.status, failed.detail) == ("bad_request", 404, "model_not_found")


def test_native_citations_are_refused_without_asking(double: Double) -> None:
    """The wire has none: a route that promises them is wrong, and nothing is sent."""
    url, handle = double
    assert failure(url, native_citations=True).detail == "native_citations"
    assert handle.requests == []


def test_models_are_listed_and_tokens_are_not_counted(double: Double) -> None:
    """The list says how much fits where the server tells; there is no call to count."""
    url, _ = double
    models = {info.model: info.context_tokens for info in run(url, lambda provider: provider.models(timeout_s=10))}
    assert models == {"llama-4-8b": 128_000, "qwen-4-4b": 32_000}
    assert run(url, lambda provider: provider.count_tokens(grounded_request(MODEL), timeout_s=10)) is None


@pytest.mark.parametrize(
    ("mode", "kind"), [("500", "server_error"), ("html_200", "garbled"), ("html_502", "server_error")]
)
def test_listing_fails_in_types_too(double: Double, mode: Mode, kind: str) -> None:
    """The same failures as a completion's, without what the SDK raised."""
    url, handle = double
    handle.enqueue(mode, endpoint="models")
    with pytest.raises(ProviderFailure) as caught:
        run(url, lambda provider: provider.models(timeout_s=10))
    assert (caught.value.kind, caught.value.__context__, handle.calls("models")) == (kind, None, 1)


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

    async def work(provider: OpenAiProvider) -> None:
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
        provider = OpenAiProvider(base_url=url, api_key=KEY, http_client=client)
        with pytest.raises(ProviderFailure) as caught:
            await provider.complete(grounded_request(MODEL), timeout_s=10)
        await provider.close()
        assert client.is_closed
        return caught.value

    failed = asyncio.run(main())
    assert (failed.kind, failed.detail) == ("not_allowed", url.removeprefix("http://").removesuffix("/v1"))
    assert handle.requests == []


def test_many_calls_at_a_time_each_get_their_own_answer(double: Double) -> None:
    """Sixty calls over one provider: nothing is mixed up or lost."""
    url, handle = double
    handle.answer = lambda asked: asked.turns[0][1]

    async def work(provider: OpenAiProvider) -> list[ModelReply]:
        turns = [(Turn(role="user", text=f"caller {number}"),) for number in range(60)]
        requests = [grounded_request(MODEL, schema=None, turns=turn) for turn in turns]
        return await asyncio.gather(*(provider.complete(request, timeout_s=30) for request in requests))

    replies = run(url, work)
    assert [reply.text for reply in replies] == [f"caller {number}" for number in range(60)]
    assert len({reply.request_id for reply in replies}) == handle.calls() == 60


HOSTILE = {
    "OPENAI_API_KEY": "hostile-key",
    "OPENAI_ADMIN_KEY": "hostile-admin",
    "OPENAI_ORG_ID": "hostile-org",
    "OPENAI_PROJECT_ID": "hostile-project",
    "OPENAI_WEBHOOK_SECRET": "hostile",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/hostile",
    "OPENAI_CUSTOM_HEADERS": "authorization: Bearer hostile\nx-hostile: 1",
    "OPENAI_API_TYPE": "azure",
    "OPENAI_API_VERSION": "hostile",
    "AZURE_OPENAI_ENDPOINT": "http://127.0.0.1:9",
    "OPENAI_LOG": "debug",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "SSL_CERT_FILE": "/hostile.pem",
}
SCRIPT = """
import asyncio, sys
from orchestrator.gateway.providers.openai_compatible import OpenAiProvider
from orchestrator.guarded_http import guarded_client
from orchestrator.network import allow_list
from tests.doubles.model_requests import grounded_request
async def main():
    provider = OpenAiProvider(
        base_url=sys.argv[1], api_key=sys.argv[2] or None, http_client=guarded_client(allow_list([sys.argv[1]]))
    )
    reply = await provider.complete(grounded_request("llama-4-8b"), timeout_s=20)
    await provider.close()
    return reply
print(asyncio.run(main()).stop)
"""


@pytest.mark.parametrize("key", [KEY, ""])
def test_nothing_of_a_hostile_environment_reaches_the_wire(double: Double, key: str) -> None:
    """Keys, organisations, addresses, headers, proxies and logging of the environment have no effect, key or none."""
    url, handle = double
    handle.key = key or None
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, url, key],
        env={**os.environ, **HOSTILE, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "end\n", done.stderr
    assert leaks(done.stderr) == []
    sent = handle.requests[0]
    assert sent.headers["authorization"] == f"Bearer {key or 'none'}"
    assert not any("hostile" in f"{name}{value}" for name, value in sent.headers.items())
    assert SECRET in json.dumps(sent.body)  # what is searched for elsewhere does go over the wire
