"""A breaker opens after failures in a row, and closes after one probe that succeeds."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from orchestrator.gateway.breaker import Breaker, BreakerConfig, Permit

CONFIG = BreakerConfig(failures=3, cooldown_s=10.0)


def permit(breaker: Breaker, now: float) -> Permit:
    found = breaker.admit(now)
    assert found is not None
    return found


def opened(at: float = 0.0) -> Breaker:
    breaker = Breaker(CONFIG)
    for _ in range(CONFIG.failures):
        permit(breaker, at).failed(at)
    return breaker


def test_it_opens_after_failures_in_a_row_alone() -> None:
    """A success in between starts the count anew; what taught nothing leaves it as it is."""
    breaker = Breaker(CONFIG)
    for ending in ("failed", "failed", "succeeded", "failed", "released", "failed"):
        one = permit(breaker, 0.0)
        one.failed(0.0) if ending == "failed" else getattr(one, ending)()
    assert breaker.state(0.0) == "closed"
    permit(breaker, 0.0).failed(0.0)
    assert breaker.state(0.0) == "open"
    assert breaker.admit(9.9) is None


def test_half_open_lets_one_probe_through() -> None:
    """After the cooldown one call finds out for all; when it succeeds, all may call."""
    breaker = opened()
    probe = permit(breaker, 10.0)
    assert (breaker.state(10.0), breaker.admit(10.0), breaker.closed_to(10.0)) == ("half_open", None, True)
    probe.succeeded()
    assert (breaker.state(10.0), breaker.closed_to(10.0)) == ("closed", False)


def test_a_failed_probe_opens_it_for_another_cooldown() -> None:
    """One failure is enough then."""
    breaker = opened()
    permit(breaker, 10.0).failed(12.0)
    assert breaker.state(21.9) == "open"
    assert breaker.state(22.0) == "half_open"


def test_a_released_probe_makes_room_for_the_next() -> None:
    """A cancelled probe does not keep the model away for ever."""
    breaker = opened()
    permit(breaker, 10.0).released()
    permit(breaker, 10.0).succeeded()
    assert breaker.state(10.0) == "closed"


@pytest.mark.parametrize("late", ["succeeded", "failed"])
def test_a_verdict_on_a_call_of_an_earlier_period_does_not_count(late: str) -> None:
    """A call that began before it opened neither closes it nor takes the probe's place nor counts after it closed."""
    breaker = Breaker(CONFIG)
    early = [permit(breaker, 0.0) for _ in range(5)]
    for _ in range(CONFIG.failures):
        permit(breaker, 0.0).failed(0.0)

    def say(one: Permit, now: float) -> None:
        one.failed(now) if late == "failed" else one.succeeded()

    say(early[0], 5.0)
    assert breaker.state(9.9) == "open"
    probe = permit(breaker, 10.0)
    say(early[1], 10.0)
    assert (breaker.state(10.0), breaker.admit(10.0)) == ("half_open", None)
    probe.succeeded()
    for one in early[2:]:
        say(one, 11.0)
    assert breaker.state(11.0) == "closed"


def test_what_is_said_twice_counts_once() -> None:
    """The first verdict holds."""
    breaker = Breaker(CONFIG)
    one = permit(breaker, 0.0)
    for _ in range(CONFIG.failures):
        one.failed(0.0)
    assert breaker.state(0.0) == "closed"


class Against(RuleBasedStateMachine):
    """Any order of calls and endings, against a model that is told in periods."""

    permits = Bundle("permits")

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(CONFIG)
        self.now = 0.0
        self.period = 0
        self.open_until: float | None = None
        self.row = 0
        self.probes: set[Permit] = set()

    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(target=permits)
    def ask(self) -> object:
        half_open = self.open_until is not None and self.now >= self.open_until
        may = self.open_until is None or (half_open and not self.probes)
        assert self.breaker.closed_to(self.now) == (not may)
        found = self.breaker.admit(self.now)
        assert (found is not None) == may
        if found is None:
            return multiple()
        if half_open:
            self.probes.add(found)
        return found, self.period

    @rule(permit=consumes(permits), ending=st.sampled_from(["failed", "failed", "succeeded", "released"]))
    def end(self, permit: tuple[Permit, int], ending: str) -> None:
        one, period = permit
        one.failed(self.now) if ending == "failed" else getattr(one, ending)()
        probe = one in self.probes
        self.probes.discard(one)
        if period != self.period or ending == "released":
            return
        self.row = self.row + 1 if ending == "failed" else 0
        if ending == "failed" and (probe or self.row == CONFIG.failures):
            self.open_until, self.row, self.period = self.now + CONFIG.cooldown_s, 0, self.period + 1
        elif ending == "succeeded" and probe:
            self.open_until, self.period = None, self.period + 1

    @invariant()
    def one_probe_at_most(self) -> None:
        assert len(self.probes) <= 1

    @invariant()
    def the_state_is_that_of_the_model(self) -> None:
        if self.open_until is None:
            assert self.breaker.state(self.now) == "closed"
        else:
            assert self.breaker.state(self.now) == ("half_open" if self.now >= self.open_until else "open")


TestAgainst = Against.TestCase
TestAgainst.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
