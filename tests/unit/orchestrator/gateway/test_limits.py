"""Which accounts a call counts against, and with which limits."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.gateway.limits import Allowance, Limit, Owner, Period, allowances, billionths, read_limits
from orchestrator.gateway.routes import Demand

NOW = datetime(2026, 11, 20, 10, 5, 59, 999_999, tzinfo=UTC)
DEMAND = Demand(
    run_id="r1",
    tenant="acme",
    workflow="ask",
    task="grounded_answer",
    risk="low",
    classification=Classification.internal,
)
OWNERS: tuple[Owner, ...] = ("team", "workflow")
PERIODS: tuple[Period, ...] = ("minute", "day", "month")


def test_a_run_with_a_budget_has_an_account_of_its_own() -> None:
    """Without a budget and limits nothing is counted."""
    assert allowances((), DEMAND, None, NOW) == ()
    own = Allowance(owner="run:r1", period="run", billionths=50_000_000)
    assert allowances((), DEMAND, Decimal("0.05"), NOW) == (own,)
    assert own.account == ("run:r1", "run")


@pytest.mark.parametrize(
    ("per", "period"), [("minute", "2026-11-20T10:05"), ("day", "2026-11-20"), ("month", "2026-11")]
)
def test_periods_are_those_of_the_calendar(per: Period, period: str) -> None:
    """The last microsecond of a minute still belongs to it."""
    (found,) = allowances((Limit(of="team", per=per, requests=3),), DEMAND, None, NOW)
    assert found == Allowance(owner="team:acme", period=period, requests=3)


def test_a_workflow_counts_for_each_team_by_itself() -> None:
    """The name of its account holds both."""
    (found,) = allowances((Limit(of="workflow", per="day", tokens=7, cost_usd=Decimal("0.5")),), DEMAND, None, NOW)
    assert found == Allowance(owner="workflow:acme/ask", period="2026-11-20", tokens=7, billionths=500_000_000)


@given(
    limits=st.lists(
        st.builds(
            Limit,
            of=st.sampled_from(OWNERS),
            per=st.sampled_from(PERIODS),
            name=st.sampled_from([None, "acme", "ask", "other"]),
            requests=st.integers(0, 9),
        ),
        unique_by=lambda limit: (limit.of, limit.per, limit.name),
    )
)
def test_the_limit_of_a_name_takes_the_place_of_the_one_for_all(limits: list[Limit]) -> None:
    """For each kind and period one limit holds: the one with the name, else the common one."""
    found = {a.account: a.requests for a in allowances(limits, DEMAND, None, NOW)}
    expected: dict[tuple[str, str], int | None] = {}
    for of, name, owner in (("team", "acme", "team:acme"), ("workflow", "ask", "workflow:acme/ask")):
        for per, period in zip(PERIODS, ("2026-11-20T10:05", "2026-11-20", "2026-11"), strict=True):
            mine = {limit.name: limit.requests for limit in limits if (limit.of, limit.per) == (of, per)}
            if name in mine or None in mine:
                expected[owner, period] = mine.get(name, mine.get(None))
    assert found == expected


@given(st.decimals(0, 1_000_000_000, places=12))
def test_a_limit_is_never_above_what_was_written(dollars: Decimal) -> None:
    """Rounded down, by less than a billionth."""
    assert 0 <= dollars - Decimal(billionths(dollars)).scaleb(-9) < Decimal("1E-9")


def test_a_file_of_limits_is_read(tmp_path: Path) -> None:
    """Money is taken to the last digit."""
    file = tmp_path / "limits.yaml"
    file.write_text("limits:\n- {of: team, per: month, name: acme, cost_usd: 0.1}\n- {of: team, per: month}\n")
    assert read_limits(file) == (
        Limit(of="team", per="month", name="acme", cost_usd=Decimal("0.1")),
        Limit(of="team", per="month"),
    )


@pytest.mark.parametrize(
    ("limits", "place", "code"),
    [
        ("[{of: team, per: day}, {of: team, per: day, requests: 1}]", "limits.1", "duplicate_limit"),
        ("[{of: person, per: day}]", "limits.0.of", "bad_entry"),
        ("[{of: team, per: year}]", "limits.0.per", "bad_entry"),
        ("[{of: team, per: day, tokens: -1}]", "limits.0.tokens", "bad_entry"),
        ("[{of: team, per: day, cost_usd: 1.0e+30}]", "limits.0.cost_usd", "bad_entry"),
        ("[{of: team, per: day, dollars: 1}]", "limits.0.dollars", "bad_entry"),
    ],
)
def test_a_limit_that_cannot_hold_is_refused_with_its_place(tmp_path: Path, limits: str, place: str, code: str) -> None:
    """Given twice, of an unknown kind, below zero, or above what the ledger can count."""
    file = tmp_path / "limits.yaml"
    file.write_text(f"limits: {limits}\n")
    with pytest.raises(BadInput) as refusal:
        read_limits(file)
    assert (refusal.value.item, refusal.value.code) == (f"{file}: {place}", code)
