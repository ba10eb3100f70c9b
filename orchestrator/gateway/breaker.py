"""A circuit breaker for one model of one provider: after enough failures in a row it is left alone for a while.

    closed ──failures in a row──► open ──cooldown──► half-open ──probe succeeds──► closed
                                   ▲                     │
                                   └────probe fails──────┘

Half-open lets one probe through at a time; a probe that ends without a verdict (cancelled, refused by the provider
for the request's own sake) makes room for the next. Time is whatever clock the caller reads.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BreakerState = Literal["closed", "open", "half_open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerConfig:
    """When it opens, and for how long."""

    failures: int = 5  # in a row
    cooldown_s: float = 30.0


class Permit:
    """Leave for one call. Its holder says once how the call ended; what is said after that has no effect."""

    def __init__(self, breaker: Breaker, opened: int, probe: bool) -> None:
        self._breaker = breaker
        self._opened = opened
        self._probe = probe
        self._done = False

    def succeeded(self) -> None:
        """The model answered."""
        self._end(failed=False)

    def failed(self, now: float) -> None:
        """The model did not answer, for a reason of its own."""
        self._end(failed=True, now=now)

    def released(self) -> None:
        """Nothing was learnt of the model."""
        self._end(failed=None)

    def _end(self, *, failed: bool | None, now: float = 0.0) -> None:
        if not self._done:
            self._done = True
            self._breaker._ended(self._opened, self._probe, failed, now)


class Breaker:
    """The breaker of one model. Used from one event loop."""

    def __init__(self, config: BreakerConfig) -> None:
        self._config = config
        self._failures = 0  # in a row, while closed
        self._opened_at: float | None = None
        self._opened = 0  # how often it has opened: a verdict on a call from before counts no more
        self._probing = False

    def state(self, now: float) -> BreakerState:
        """What it is at this moment."""
        if self._opened_at is None:
            return "closed"
        return "half_open" if now - self._opened_at >= self._config.cooldown_s else "open"

    def closed_to(self, now: float) -> bool:
        """Whether a call would get no permit."""
        state = self.state(now)
        return state == "open" or (state == "half_open" and self._probing)

    def admit(self, now: float) -> Permit | None:
        """Leave for a call, None when there is none now."""
        if self.closed_to(now):
            return None
        probe = self.state(now) == "half_open"
        self._probing = self._probing or probe
        return Permit(self, self._opened, probe)

    def _ended(self, opened: int, probe: bool, failed: bool | None, now: float) -> None:
        if opened != self._opened:
            return
        if probe:
            self._probing = False
        if failed is None:
            return
        self._failures = self._failures + 1 if failed else 0
        if failed and (probe or self._failures >= self._config.failures):
            self._opened_at, self._failures, self._opened = now, 0, self._opened + 1
        elif not failed and probe:
            self._opened_at, self._opened = None, self._opened + 1
