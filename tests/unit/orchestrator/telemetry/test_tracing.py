"""Spans: their tree, their times, and that they hold no content."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from ingest.errors import BadInput, DependencyDown
from orchestrator.telemetry.logs import RUN, TIER
from orchestrator.telemetry.tracing import Tracing, TracingConfig, open_tracing, traced_by
from tests.doubles.attempts import BEGUN, attempt

ROOT = Path(__file__).parents[4]
QUESTION = "How much does Ada Lovelace earn?"


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracing(exported: InMemorySpanExporter) -> Tracing:
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exported))
    return traced_by(provider)


def test_a_run_has_a_span_for_each_tier_and_attempt(tracing: Tracing, exported: InMemorySpanExporter) -> None:
    """Attempts lie under their tier, tiers under the run; times are those of the attempt, and its detail stays out."""
    with tracing.run("run-1", "ask") as run:
        with tracing.tier("context") as tier:
            tier.note(passages=10, evidence_tokens=1200)
        with tracing.tier("model"):
            tracing.attempt(attempt(outcome="overloaded", status=529, detail=QUESTION))
            tracing.attempt(attempt(number=2))
        run.outcome("answered", "claude-fast")
    spans = {span.name + str(number): span for number, span in enumerate(exported.get_finished_spans())}
    context, first, second, model, root = spans.values()
    assert [parent(context), parent(model)] == [span_id(root)] * 2
    assert [parent(first), parent(second)] == [span_id(model)] * 2
    assert (first.start_time, first.end_time) == (
        int(BEGUN.timestamp() * 1e9),
        int(BEGUN.timestamp() * 1e9) + 750_000_000,
    )
    facts = dict(second.attributes or {})
    assert facts["gen_ai.request.model"] == "claude-haiku-5-5"
    assert (facts["gen_ai.usage.input_tokens"], facts["gen_ai.usage.output_tokens"]) == (162, 20)
    assert (facts["gen_ai.provider.name"], facts["gen_ai.operation.name"]) == ("anthropic", "chat")
    assert facts["groundwire.run.id"] == "run-1"
    assert (first.attributes or {})["error.type"] == "overloaded"
    assert (first.status.is_ok, second.status.is_ok) == (False, True)
    assert (context.attributes or {})["groundwire.evidence_tokens"] == 1200
    assert (root.attributes or {})["groundwire.outcome"] == "answered"
    assert "Lovelace" not in "".join(span.to_json() for span in spans.values())


def test_what_an_exception_says_is_not_in_a_span(tracing: Tracing, exported: InMemorySpanExporter) -> None:
    """A library's exception leaves its type, one of ours its code; neither the text nor a stack with it."""
    for error in (ValueError(QUESTION), DependencyDown(QUESTION, "model_down", QUESTION, "Wait.")):
        with pytest.raises(type(error)), tracing.run("run-1", "ask"), tracing.tier("model") as tier:  # noqa: PT012
            tier.note(words=QUESTION)  # type: ignore[arg-type]
            raise error
    text = "".join(span.to_json() for span in exported.get_finished_spans())
    assert "Lovelace" not in text
    kinds = [(span.attributes or {})["error.type"] for span in exported.get_finished_spans()]
    assert kinds == ["builtins.ValueError"] * 2 + ["model_down"] * 2
    assert all(not span.events for span in exported.get_finished_spans())


def test_run_and_tier_are_known_to_the_logs_whether_or_not_spans_are_made() -> None:
    """Both are set within and gone after, also when it fails."""
    tracing = open_tracing(TracingConfig())
    with pytest.raises(KeyError), tracing.run("run-1", "ask") as run:  # noqa: PT012
        run.outcome("answered")
        with tracing.tier("model") as tier:
            tier.note(tokens=1)
            tracing.attempt(attempt())
            assert (RUN.get(), TIER.get()) == ("run-1", "model")
        assert TIER.get() == ""
        raise KeyError
    assert RUN.get() == ""
    tracing.close()


def test_while_tracing_is_off_its_library_is_not_loaded() -> None:
    """A process that makes no spans does not pay for importing what would make them."""
    body = """
import sys
sys.path.insert(0, sys.argv[1])
from orchestrator.telemetry.tracing import TracingConfig, open_tracing
from tests.doubles.attempts import attempt
tracing = open_tracing(TracingConfig())
with tracing.run("run-1", "ask") as run, tracing.tier("model"):
    tracing.attempt(attempt())
    run.outcome("answered")
tracing.close()
print([name for name in sys.modules if name.split(".")[0] == "opentelemetry"])
"""
    done = subprocess.run([sys.executable, "-c", body, str(ROOT)], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_an_exporter_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With an endpoint and no exporter the start ends with what to install."""
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(BadInput, match=r"groundwire\[telemetry\]"):
        open_tracing(TracingConfig(endpoint="http://127.0.0.1:4318/v1/traces"))


def test_spans_arrive_at_a_collector_over_a_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra installed: sent when tracing ends, with the headers given, past the environment's proxy."""
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    got: list[tuple[str, str | None, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, self.headers.get("x-key"), body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_address[1]}/v1/traces"
    tracing = open_tracing(TracingConfig(endpoint=endpoint, headers={"x-key": "k"}))
    with tracing.run("run-1", "ask"), tracing.tier("model"):
        tracing.attempt(attempt())
    tracing.close()
    server.shutdown()
    server.server_close()
    assert [(path, key) for path, key, _ in got] == [("/v1/traces", "k")]
    assert all(name in got[0][2] for name in (b"run ask", b"chat claude-haiku-5-5", b"run-1"))


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def span_id(span: ReadableSpan) -> int:
    found: str = json.loads(span.to_json())["context"]["span_id"]
    return int(found, 16)
