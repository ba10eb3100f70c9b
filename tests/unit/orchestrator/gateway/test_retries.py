"""Whether and when the same model is asked again."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.gateway.outcomes import AttemptOutcome
from orchestrator.gateway.port import RETRYABLE, FailureKind, Stop
from orchestrator.gateway.retries import RetryConfig, wait_before_retry

CONFIG = RetryConfig()
RETRIED = sorted({*RETRYABLE, "cut"})
OTHERS = sorted({*get_args(FailureKind), *get_args(Stop), "breaker_open", "busy", "cancelled", "lost"} - {*RETRIED})


def wait(
    outcome: AttemptOutcome = "overloaded",
    *,
    tried: int = 1,
    after: float | None = None,
    left: float = 1_000.0,
    needed: float = 1.0,
    random: float = 0.5,
) -> float | None:
    return wait_before_retry(
        outcome, tried=tried, retry_after_s=after, left_s=left, needed_s=needed, config=CONFIG, random=random
    )


@pytest.mark.parametrize("outcome", OTHERS)
def test_what_would_fail_again_is_not_retried(outcome: AttemptOutcome) -> None:
    """Answers, refusals, bad requests and keys, spent limits: not even when the provider names a time."""
    assert wait(outcome) is None
    assert wait(outcome, after=0.1) is None


@pytest.mark.parametrize("outcome", RETRIED)
def test_what_passes_is_retried_until_the_tries_are_used(outcome: AttemptOutcome) -> None:
    """Three tries of a route, and no fourth."""
    assert [wait(outcome, tried=tried) is not None for tried in (1, 2, 3, 4)] == [True, True, False, False]


@given(
    tried=st.integers(1, 40),
    random=st.floats(0, 1, exclude_max=True),
    base=st.floats(0.01, 10),
    cap=st.floats(0.01, 60),
)
def test_the_wait_is_uniform_below_a_doubling_bound(tried: int, random: float, base: float, cap: float) -> None:
    """Full jitter: the share `random` of the smaller of the cap and the base doubled once per try."""
    config = RetryConfig(tries=100, base_s=base, cap_s=cap)
    found = wait_before_retry(
        "timeout", tried=tried, retry_after_s=None, left_s=1e9, needed_s=0, config=config, random=random
    )
    bound = min(cap, base * 2.0 ** (tried - 1))
    assert found == pytest.approx(random * bound)
    assert 0 <= found <= bound  # type: ignore[operator]


def test_bounds_of_the_default_waits() -> None:
    """Half a second, then one."""
    assert wait(random=0.0) == 0
    assert wait(random=0.998) == pytest.approx(0.499)
    assert wait(tried=2, random=0.998) == pytest.approx(0.998)


@given(
    after=st.one_of(st.none(), st.floats(0, 100), st.just(float("inf"))),
    left=st.floats(-5, 100),
    needed=st.floats(0, 50),
    random=st.integers(0, 1_023).map(lambda parts: parts / 1_024),
    tried=st.integers(1, 2),
)
def test_what_the_provider_asks_for_is_honoured_when_it_fits_and_never_cut_short(
    after: float | None, left: float, needed: float, random: float, tried: int
) -> None:
    """A wait is at least `retry_after_s`, and leaves the time of an attempt; otherwise there is no retry at all."""
    jitter = random * 0.5 * 2 ** (tried - 1)
    least = max(jitter, after or 0.0)
    found = wait(after=after, left=left, needed=needed, random=random, tried=tried)
    assert found == (least if least + needed <= left else None)


def test_a_wait_that_just_fits_is_taken() -> None:
    """To the last moment, not beyond."""
    assert wait(after=5.0, left=7.0, needed=2.0) == 5.0
    assert wait(after=5.0, left=6.99, needed=2.0) is None
