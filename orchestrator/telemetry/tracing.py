"""Spans for runs, their tiers and every attempt at a model: ids, sizes and times, no content. Imports `opentelemetry`.

Attributes follow OpenTelemetry's semantic conventions for generative AI where there is one (`gen_ai.*`); ours begin
with `groundwire.`. Our spans go to an exporter of our own, so that what other libraries put into theirs does not leave
with them. Messages of exceptions are not recorded. While tracing is off `opentelemetry.trace` is not even imported.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from contextvars import Token
from dataclasses import dataclass, field
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from ingest.errors import BadInput, GroundwireError
from orchestrator.telemetry.logs import RUN, TIER

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer, TracerProvider

    from orchestrator.gateway.outcomes import Attempt

_GOOD: Final = "end"  # the outcome of an attempt that a model ended itself
# As the conventions name providers; others stand as they are.
_PROVIDERS: Final = {"extractive": "groundwire", "scripted": "groundwire"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TracingConfig:
    """Where spans go."""

    endpoint: str | None = None  # OTLP over HTTP, as https://collector:4318/v1/traces; None: off
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    share: float = 1.0  # of the runs that are traced
    service: str = "groundwire"
    deadline_s: float = 5.0  # of one export


class Tracing:
    """Makes spans. With no tracer it only notes run and tier for the logs."""

    def __init__(self, tracer: Tracer | None = None, provider: Any = None) -> None:
        self._tracer = tracer
        self._provider = provider

    def run(self, run_id: str, workflow: str) -> Scope:
        """`with tracing.run(…) as run:` around a whole run."""
        if self._tracer is None:
            return Scope(RUN, run_id, None)
        facts = {"groundwire.run.id": run_id, "groundwire.workflow": workflow, "gen_ai.workflow.name": workflow}
        return Scope(
            RUN,
            run_id,
            self._tracer.start_as_current_span(
                f"run {workflow}", attributes=facts, record_exception=False, set_status_on_exception=False
            ),
        )

    def tier(self, name: str) -> Scope:
        """`with tracing.tier("context") as tier:` around one tier of a run."""
        if self._tracer is None:
            return Scope(TIER, name, None)
        facts = {"groundwire.tier": name, "groundwire.run.id": RUN.get()}
        return Scope(
            TIER,
            name,
            self._tracer.start_as_current_span(
                name, attributes=facts, record_exception=False, set_status_on_exception=False
            ),
        )

    def attempt(self, attempt: Attempt) -> None:
        """One attempt at a model, with the times at which it was made, under the tier that is open."""
        if self._tracer is None:
            return
        from opentelemetry.trace import SpanKind

        begun = int(attempt.started_at.timestamp() * 1e9)
        span = self._tracer.start_span(
            f"chat {attempt.model}", kind=SpanKind.CLIENT, start_time=begun, attributes=_attempt_facts(attempt)
        )
        if attempt.outcome != _GOOD:
            _mark_failed(span, attempt.outcome)
        span.end(end_time=begun + int(timedelta(seconds=attempt.seconds) / timedelta(microseconds=1)) * 1000)

    def close(self) -> None:
        """Send what is left."""
        if self._provider is not None:
            self._provider.shutdown()


class Scope:
    """An open run or tier."""

    __slots__ = ("_opened", "_span", "_token", "_value", "_variable")

    def __init__(self, variable: Any, value: str, opened: Any) -> None:
        self._variable = variable
        self._value = value
        self._opened = opened
        self._span: Span | None = None
        self._token: Token[str] | None = None

    def __enter__(self) -> Scope:
        self._token = self._variable.set(self._value)
        if self._opened is not None:
            self._span = self._opened.__enter__()
        return self

    def note(self, **sizes: float) -> None:
        """Add numbers: counts, sizes, scores. Words have no place here, so no content can get in."""
        if self._span is not None:
            for name, value in sizes.items():
                if isinstance(value, int | float):
                    self._span.set_attribute(f"groundwire.{name}", value)

    def outcome(self, outcome: str, route: str = "") -> None:
        """What came of it: a word of the contract (`answered`, `abstained`, …) and the name of the model's route."""
        if self._span is not None:
            self._span.set_attribute("groundwire.outcome", outcome)
            if route:
                self._span.set_attribute("groundwire.route", route)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        if self._span is not None:
            if error is not None:
                _mark_failed(self._span, error.code if isinstance(error, GroundwireError) else _name(error))
            self._opened.__exit__(kind, error, where)
        if self._token is not None:
            self._variable.reset(self._token)


def open_tracing(config: TracingConfig) -> Tracing:
    """Tracing as configured. Raises BadInput when spans are wanted and the extra `telemetry` is not installed."""
    if config.endpoint is None:
        return Tracing()
    try:
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        exporting = importlib.import_module("opentelemetry.sdk.trace.export")
        sampling = importlib.import_module("opentelemetry.sdk.trace.sampling")
        resources = importlib.import_module("opentelemetry.sdk.resources")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        requests = importlib.import_module("requests")  # which the exporter sends with
    except ImportError as error:
        cause = "Spans are to be exported, and the exporter of OpenTelemetry is not installed."
        raise BadInput("telemetry", "extra_missing", cause, "pip install 'groundwire[telemetry]'") from error
    provider = sdk.TracerProvider(
        resource=resources.Resource({"service.name": config.service}),
        sampler=sampling.ParentBased(sampling.TraceIdRatioBased(config.share)),
    )
    session = requests.Session()
    session.trust_env = False  # no proxy and no password of the environment
    exporter = otlp.OTLPSpanExporter(
        endpoint=config.endpoint, headers=dict(config.headers), timeout=config.deadline_s, session=session
    )
    provider.add_span_processor(exporting.BatchSpanProcessor(exporter))
    return traced_by(provider)


def traced_by(provider: TracerProvider) -> Tracing:
    """Tracing into a provider that exists, as tests and hosts of their own have one."""
    return Tracing(provider.get_tracer("groundwire"), provider)


def _attempt_facts(attempt: Attempt) -> dict[str, str | int | float]:
    usage = attempt.usage
    facts: dict[str, str | int | float] = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(attempt.provider, attempt.provider),
        "gen_ai.request.model": attempt.model,
        "gen_ai.usage.input_tokens": usage.prompt,
        "gen_ai.usage.output_tokens": usage.output,
        "gen_ai.usage.cache_read.input_tokens": usage.cache_read,
        "gen_ai.usage.cache_creation.input_tokens": usage.cache_write + usage.cache_write_long,
        "groundwire.run.id": RUN.get(),
        "groundwire.route": attempt.route,
        "groundwire.attempt.number": attempt.number,
        "groundwire.attempt.purpose": attempt.purpose,
        "groundwire.attempt.outcome": attempt.outcome,
        "groundwire.cost_usd": float(attempt.cost),
    }
    if attempt.request_id:
        facts["gen_ai.response.id"] = attempt.request_id
    if attempt.status is not None:
        facts["http.response.status_code"] = attempt.status
    return facts


def _mark_failed(span: Span, kind: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR))


def _name(error: BaseException) -> str:
    return f"{type(error).__module__}.{type(error).__qualname__}"
