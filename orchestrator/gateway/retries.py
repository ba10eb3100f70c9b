"""Whether and when the same model is asked again after a failure: a pure rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from orchestrator.gateway.outcomes import AttemptOutcome
from orchestrator.gateway.port import RETRYABLE

_RETRIED: Final[frozenset[AttemptOutcome]] = frozenset({*RETRYABLE, "cut"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """How often and how long."""

    tries: int = 3  # of one route in one call; as the SDKs of Anthropic and OpenAI do by default
    base_s: float = 0.5  # longest wait before the second try
    cap_s: float = 8.0  # longest wait before any


def wait_before_retry(
    outcome: AttemptOutcome,
    *,
    tried: int,
    retry_after_s: float | None,
    left_s: float,
    needed_s: float,
    config: RetryConfig,
    random: float,
) -> float | None:
    """Seconds to wait before the next try of the same route, None when there should be none.

    Full jitter: uniform over [0, min(cap, base * 2^n)), `random` in [0, 1) (Brooker, "Exponential Backoff And Jitter",
    AWS Architecture Blog, 2015). What the provider asks for by `retry_after_s` is a lower bound of it. None as well
    when the wait would leave less than `needed_s`, what an attempt is expected to take, of the `left_s` seconds.
    """
    if outcome not in _RETRIED or tried >= config.tries:
        return None
    wait = random * min(config.cap_s, config.base_s * 2 ** (tried - 1))
    if retry_after_s is not None:
        wait = max(wait, retry_after_s)
    return wait if wait + needed_s <= left_s else None
