"""Prometheus metrics of the pipeline. The only file that imports `prometheus_client`.

Labels are names of things that the installation configures (workflows, routes, queues) and words of the contract;
never a person, a tenant or a text. What is not a short word, or is one too many, counts as `other`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from orchestrator.gateway.outcomes import Attempt

Outcome = Literal["success", "abstained", "in_review", "refused", "failed"]
BreakerState = Literal["closed", "half_open", "open"]
BREAKER_STATES: Final[tuple[BreakerState, ...]] = ("closed", "half_open", "open")
FALLBACK: Final = "model_fallback"  # the flag of the gateway that a route other than the first one answered
MOST_VALUES: Final = 200  # of one label; Prometheus keeps a series for each
# Seconds. From what an extractive ask takes to a run's deadline.
BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
_WORD: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,95}")  # a model may stand after its provider


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """What the metrics take from one finished run."""

    workflow: str
    outcome: Outcome
    route: str = ""  # of the model whose output was used
    flags: Sequence[str] = ()
    seconds: float = 0.0  # end to end
    tiers: Mapping[str, float] = field(default_factory=dict)  # seconds by tier
    attempts: Sequence[Attempt] = ()
    repairs: int = 0  # repair turns
    kept: bool = False  # a kept answer was given again


class Metrics:
    """The metrics of one process. Safe to use from several threads."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._seen: dict[str, set[str]] = {}
        self._runs = self._counter("asks", "Runs by how they ended.", "workflow", "outcome")
        self._flags = self._counter("run_flags", "Runs with a flag that the asker saw.", "workflow", "flag")
        self._fallbacks = self._counter("fallbacks", "Runs that another route than the first answered.", "workflow")
        self._repairs = self._counter("repair_turns", "Repair turns after an invalid output.", "workflow")
        self._kept = self._counter("kept_answers", "Runs that a kept answer served.", "workflow")
        self._attempts = self._counter("model_attempts", "Attempts at models.", "route", "outcome")
        self._tokens = self._counter("model_tokens", "Tokens, as the provider counts them.", "route", "direction")
        self._cost = self._counter("model_cost_usd", "Cost in US dollars, of failed attempts too.", "route")
        self._seconds = self._histogram("ask_seconds", "Time of a run, end to end.", "workflow")
        self._tiers = self._histogram("tier_seconds", "Time in one tier.", "tier")
        self._latency = self._histogram("model_attempt_seconds", "Time of one attempt.", "route")
        self._breakers = self._gauge("breaker_state", "1 for the state that a breaker is in.", "route", "state")
        self._queues = self._gauge("queue_size", "What waits in a queue.", "queue")
        self._head = self._gauge("audit_head_seq", "Number of the newest event.")
        self._refused = self._gauge("refused_connections", "Connections that the network guard refused.")

    def observe_run(self, facts: RunFacts) -> None:
        """Count a run that has ended; once for each."""
        workflow = self._word("workflow", facts.workflow)
        self._runs.labels(workflow, facts.outcome).inc()
        self._seconds.labels(workflow).observe(facts.seconds)
        for tier, seconds in facts.tiers.items():
            self._tiers.labels(self._word("tier", tier)).observe(seconds)
        for flag in facts.flags:
            self._flags.labels(workflow, self._word("flag", flag)).inc()
        if FALLBACK in facts.flags:
            self._fallbacks.labels(workflow).inc()
        if facts.repairs:
            self._repairs.labels(workflow).inc(facts.repairs)
        if facts.kept:
            self._kept.labels(workflow).inc()
        for attempt in facts.attempts:
            self._observe_attempt(attempt)

    def set_breaker(self, route: str, state: BreakerState) -> None:
        """What state the breaker of a route is in."""
        for one in BREAKER_STATES:
            self._breakers.labels(self._word("route", route), one).set(float(one == state))

    def set_queue(self, queue: str, size: int) -> None:
        """How much waits there."""
        self._queues.labels(self._word("queue", queue)).set(size)

    def set_audit(self, *, head_seq: int) -> None:
        """How long the record is."""
        self._head.set(head_seq)

    def count_refusals(self, count: Callable[[], int]) -> None:
        """Where the number of refused connections comes from, as `network.ProcessGuard.refused` counts them."""
        self._refused.set_function(count)

    def render(self) -> tuple[bytes, str]:
        """The page for Prometheus, and its content type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def _observe_attempt(self, attempt: Attempt) -> None:
        route, usage = self._word("route", attempt.route), attempt.usage
        self._attempts.labels(route, attempt.outcome).inc()
        self._latency.labels(route).observe(attempt.seconds)
        self._cost.labels(route).inc(float(attempt.cost))
        counts = {"input": usage.input, "output": usage.output, "cache_read": usage.cache_read}
        for direction, count in (counts | {"cache_write": usage.cache_write + usage.cache_write_long}).items():
            if count:
                self._tokens.labels(route, direction).inc(count)

    def _word(self, label: str, value: str) -> str:
        seen = self._seen.setdefault(label, set())
        if value in seen:
            return value
        if len(seen) >= MOST_VALUES or _WORD.fullmatch(value) is None:
            return "other"
        seen.add(value)
        return value

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"groundwire_{name}", text, labels, registry=self._registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"groundwire_{name}", text, labels, registry=self._registry)

    def _histogram(self, name: str, text: str, *labels: str) -> Histogram:
        return Histogram(f"groundwire_{name}", text, labels, registry=self._registry, buckets=BUCKETS)
