"""What the metrics count, and what never becomes a label."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.telemetry.metrics import MOST_VALUES, Metrics, RunFacts
from tests.doubles.attempts import attempt


def samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = metrics.render()[0].decode()
    families = text_string_to_metric_families(text)
    return {(one.name, tuple(sorted(one.labels.items()))): one.value for family in families for one in family.samples}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics).get((f"groundwire_{name}", tuple(sorted(labels.items()))), 0.0)


def test_one_run_is_counted_in_every_figure() -> None:
    """Outcome, flags, fallback, repairs, kept answers, tiers, and each attempt with tokens, cost and latency."""
    metrics = Metrics()
    failed = attempt(route="claude-strong", outcome="overloaded", cost=Decimal("0.0009"), seconds=0.1)
    metrics.observe_run(
        RunFacts(
            workflow="ask",
            outcome="success",
            route="claude-fast",
            flags=("model_fallback", "repaired"),
            seconds=1.2,
            tiers={"context": 0.02, "model": 0.9},
            attempts=(failed, attempt(), attempt(number=2)),
            repairs=1,
            kept=True,
        )
    )
    assert value(metrics, "asks_total", workflow="ask", outcome="success") == 1
    assert value(metrics, "fallbacks_total", workflow="ask") == 1
    assert value(metrics, "run_flags_total", workflow="ask", flag="repaired") == 1
    assert value(metrics, "repair_turns_total", workflow="ask") == 1
    assert value(metrics, "kept_answers_total", workflow="ask") == 1
    assert value(metrics, "model_attempts_total", route="claude-fast", outcome="end") == 2
    assert value(metrics, "model_attempts_total", route="claude-strong", outcome="overloaded") == 1
    assert value(metrics, "model_cost_usd_total", route="claude-fast") == pytest.approx(0.0042)
    assert value(metrics, "model_cost_usd_total", route="claude-strong") == pytest.approx(0.0009)
    assert value(metrics, "model_tokens_total", route="claude-fast", direction="output") == 40
    assert value(metrics, "model_tokens_total", route="claude-fast", direction="cache_write") == 24
    assert value(metrics, "tier_seconds_sum", tier="model") == pytest.approx(0.9)
    assert value(metrics, "tier_seconds_bucket", tier="context", le="0.025") == 1
    assert value(metrics, "ask_seconds_count", workflow="ask") == 1


def test_states_are_set_and_not_added_up() -> None:
    """A breaker is in one state; queues, record and refusals show what they are now."""
    metrics = Metrics()
    metrics.set_breaker("anthropic/claude-haiku-5-5", "open")
    metrics.set_breaker("anthropic/claude-haiku-5-5", "half_open")
    metrics.set_queue("review", 5)
    metrics.set_queue("review", 2)
    metrics.set_audit(head_seq=12)
    metrics.count_refusals(lambda: 3)
    states = [
        value(metrics, "breaker_state", route="anthropic/claude-haiku-5-5", state=one)
        for one in ("closed", "half_open", "open")
    ]
    assert states == [0, 1, 0]
    assert value(metrics, "queue_size", queue="review") == 2
    assert value(metrics, "audit_head_seq") == 12
    assert value(metrics, "refused_connections") == 3


@given(st.text(max_size=80))
def test_no_text_becomes_a_label(text: str) -> None:
    """What is not one short word counts as `other`: a question that strays into a field does not get onto the page."""
    metrics = Metrics()
    metrics.observe_run(RunFacts(workflow=f"{text} ?", outcome="failed", flags=(f"{text} !",)))
    assert value(metrics, "asks_total", workflow="other", outcome="failed") == 1
    assert value(metrics, "run_flags_total", workflow="other", flag="other") == 1


def test_labels_are_bounded() -> None:
    """However many names come in, a label has no more than its most values and `other`; nothing is lost."""
    metrics = Metrics()
    for number in range(MOST_VALUES + 50):
        metrics.observe_run(RunFacts(workflow=f"w{number}", outcome="abstained"))
    counts = {key[1]: count for key, count in samples(metrics).items() if key[0] == "groundwire_asks_total"}
    assert len(counts) == MOST_VALUES + 1
    assert sum(counts.values()) == MOST_VALUES + 50


def test_runs_that_end_at_once_are_all_counted() -> None:
    """Eight threads lose no run."""
    metrics = Metrics()

    def work() -> None:
        for _ in range(100):
            metrics.observe_run(RunFacts(workflow="ask", outcome="success"))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert value(metrics, "asks_total", workflow="ask", outcome="success") == 800
