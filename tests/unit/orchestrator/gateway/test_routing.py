"""Which routes a call may take, in which order."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.tags import Classification
from orchestrator.gateway.prices import Band, Price, PriceTable
from orchestrator.gateway.routes import Capability, Demand, ModelRoute, Routes
from orchestrator.gateway.routing import Health, Plan, RoutingConfig, plan_routes
from orchestrator.policy.decisions import Decision
from orchestrator.workflows import RISKS, Risk

NAMES = ("a", "b", "c", "d", "e")
CAPABILITIES: tuple[Capability, ...] = ("structured_output", "streaming", "citations")
CONFIG = RoutingConfig()


def price(model: str, dollars: str) -> Price:
    rate = Decimal(dollars)
    band = Band(input=rate, output=rate, cache_read=rate, cache_write=rate, cache_write_long=rate)
    return Price(provider="anthropic", model=model, bands=(band,))


PRICES = PriceTable(version="v", prices=(price("cheap", "1"), price("dear", "9")))


def some_route(name: str = "a", **changes: Any) -> ModelRoute:
    facts: dict[str, Any] = {
        "name": name,
        "provider": "anthropic",
        "model": "cheap",
        "region": "us",
        "credential": "key",
        "level": 1,
    }
    return ModelRoute(**(facts | changes))


def demand(**changes: Any) -> Demand:
    facts: dict[str, Any] = {
        "run_id": "r",
        "tenant": "t",
        "workflow": "ask",
        "task": "answer",
        "risk": "low",
        "classification": Classification.public,
    }
    return Demand(**(facts | changes))


def decision(allowed: bool) -> Decision:
    return Decision(allowed=allowed, action="route_model", policies=("p",), version="v", reason="By p.")


def planned(
    *routes: ModelRoute,
    wanted: Demand | None = None,
    denied: frozenset[str] = frozenset(),
    secrets: frozenset[str] = frozenset({"key"}),
    broken: frozenset[str] = frozenset(),
    invalid: frozenset[str] = frozenset(),
    prompt: int = 100,
    output: int = 100,
) -> Plan:
    return plan_routes(
        Routes(routes=routes, version="v", source=Path("routes.yaml")),
        wanted or demand(),
        lambda route: decision(route.name not in denied),
        Health(credentials=secrets.__contains__, open_breakers=broken, invalid_before=invalid),
        PRICES,
        prompt_tokens=prompt,
        output_tokens=output,
        config=CONFIG,
    )


@pytest.mark.parametrize(
    ("route", "situation", "reason", "detail"),
    [
        ({}, {"wanted": demand(route="b")}, "not_wanted", "b was asked for."),
        ({}, {"wanted": demand(without=frozenset("a"))}, "invalid_before", "It has answered this prompt already."),
        ({}, {"invalid": frozenset("a")}, "invalid_before", "It has answered this prompt already."),
        ({"tasks": frozenset({"judge"})}, {}, "task", "It does no answer."),
        ({}, {"wanted": demand(needs=frozenset({"citations"}))}, "capability", "It has no citations."),
        ({}, {"wanted": demand(above_level=1)}, "level", "Its level 1 is not above 1."),
        ({}, {"wanted": demand(regions=frozenset({"eu"}))}, "region", "The data must stay in eu; it works in us."),
        ({}, {"secrets": frozenset()}, "no_credential", "There is no secret named key."),
        ({"context_tokens": 199}, {}, "context_full", "About 200 tokens are wanted of the 199 that it takes."),
        ({}, {"broken": frozenset("a")}, "breaker_open", "It has failed too often just now."),
        ({}, {"denied": frozenset("a")}, "policy", "By p."),
    ],
)
def test_each_rule_leaves_a_route_out_and_says_so(
    route: dict[str, Any], situation: dict[str, Any], reason: str, detail: str
) -> None:
    """One rule broken is enough; the plan tells people which."""
    plan = planned(some_route(**route), **situation)
    assert plan.candidates == ()
    assert (plan.left_out[0].reason, plan.left_out[0].detail) == (reason, detail)
    assert plan.why() == f"a: {detail}"
    assert not plan.leaves_process


def test_what_is_read_here_stays_in_its_region() -> None:
    """Data that must stay in a region may go to a local model, and to one of that region."""
    routes = [some_route("a", region="local"), some_route("b", region="eu"), some_route("c", region="us")]
    plan = planned(*routes, wanted=demand(regions=frozenset({"eu"})))
    assert [one.route.name for one in plan.candidates] == ["a", "b"]


def test_outputs_longer_than_the_model_writes_need_no_room() -> None:
    """A route takes the call when prompt and what it can write fit."""
    assert planned(some_route(context_tokens=150, max_output_tokens=50)).candidates


def test_a_plan_knows_whether_anything_leaves() -> None:
    """Only a plan of models within the process keeps everything in."""
    inside = some_route("b", provider="scripted", credential=None)
    assert not planned(inside).leaves_process
    assert planned(inside, some_route()).leaves_process


def test_stronger_than_needed_is_no_fault_and_weaker_is() -> None:
    """For a high risk level 2 comes before level 1, however cheap that is; for a low one the cheapest comes first."""
    weak = some_route("weak", level=1)
    strong = some_route("strong", level=2, model="dear")
    free = some_route("none", level=0, provider="scripted", credential=None)
    low = planned(weak, strong, free)
    high = planned(weak, strong, free, wanted=demand(risk="high"))
    assert [one.route.name for one in low.candidates] == ["weak", "strong", "none"]
    assert [one.route.name for one in high.candidates] == ["strong", "weak", "none"]


def some_routes() -> st.SearchStrategy[list[ModelRoute]]:
    one = st.builds(
        some_route,
        name=st.sampled_from(NAMES),
        provider=st.sampled_from(["anthropic", "scripted"]),
        model=st.sampled_from(["cheap", "dear"]),
        region=st.sampled_from(["local", "eu", "us"]),
        credential=st.sampled_from([None, "key", "other"]),
        capabilities=st.frozensets(st.sampled_from(CAPABILITIES)),
        tasks=st.frozensets(st.sampled_from(["answer", "judge"])),
        level=st.integers(0, 3),
        latency_s=st.sampled_from([1.0, 2.0]),
        context_tokens=st.sampled_from([150, 1_000]),
        max_output_tokens=st.sampled_from([10, 500]),
    )
    return st.lists(one, max_size=5, unique_by=lambda route: route.name)


some_names = st.frozensets(st.sampled_from(NAMES), max_size=2)


@given(
    routes=some_routes(),
    risk=st.sampled_from(RISKS),
    wish=st.sampled_from([None, None, *NAMES]),
    regions=st.frozensets(st.sampled_from(["eu", "us"]), max_size=1),
    needs=st.frozensets(st.sampled_from(CAPABILITIES), max_size=1),
    above=st.integers(-1, 2),
    without=some_names,
    invalid=some_names,
    broken=some_names,
    denied=some_names,
)
def test_no_candidate_breaks_a_rule_and_every_route_is_accounted_for(
    routes: list[ModelRoute],
    risk: Risk,
    wish: str | None,
    regions: frozenset[str],
    needs: frozenset[Capability],
    above: int,
    without: frozenset[str],
    invalid: frozenset[str],
    broken: frozenset[str],
    denied: frozenset[str],
) -> None:
    """A route is a candidate exactly when it keeps every rule, else left out with a reason; the order is total."""
    wanted = demand(risk=risk, route=wish, regions=regions, needs=needs, above_level=above, without=without)
    plan = planned(*routes, wanted=wanted, denied=denied, broken=broken, invalid=invalid)

    def may(route: ModelRoute) -> bool:
        return (
            wish in (None, route.name)
            and route.name not in without | invalid | broken | denied
            and (not route.tasks or "answer" in route.tasks)
            and needs <= route.capabilities
            and route.level > above
            and (not regions or route.region == "local" or route.region in regions)
            and route.credential in (None, "key")
            and 100 + min(100, route.max_output_tokens) <= route.context_tokens
        )

    assert {one.route.name for one in plan.candidates} == {route.name for route in routes if may(route)}
    assert len(plan.candidates) + len(plan.left_out) == len(routes)
    assert all(one.detail and one.route.name in plan.why() for one in plan.left_out)
    assert all(one.decision.allowed for one in plan.candidates)
    ranks = [
        (max(0, CONFIG.levels[risk] - one.route.level), one.cost, one.route.latency_s, one.route.name)
        for one in plan.candidates
    ]
    assert ranks == sorted(ranks)
    backwards = planned(*reversed(routes), wanted=wanted, denied=denied, broken=broken, invalid=invalid)
    assert backwards.candidates == plan.candidates


def test_costs_count_before_latency_and_names_last() -> None:
    """Of equal strength the cheaper comes first, then the faster, then the one that the alphabet puts first."""
    routes = [
        some_route("d", model="dear", latency_s=1),
        some_route("c", latency_s=2),
        some_route("b", latency_s=1),
        some_route("a", latency_s=2),
    ]
    plan = planned(*routes)
    assert [one.route.name for one in plan.candidates] == ["b", "a", "c", "d"]
    assert [one.cost for one in plan.candidates] == [Decimal("0.0002")] * 3 + [Decimal("0.0018")]


def test_a_cost_counts_no_more_output_than_the_model_writes() -> None:
    """A dear model that is short may cost less than a cheap one that is long."""
    short = some_route("short", model="dear", max_output_tokens=1)
    plan = planned(short, some_route("long"), prompt=1, output=100)
    assert [(one.route.name, one.cost) for one in plan.candidates] == [
        ("short", Decimal("0.000018")),
        ("long", Decimal("0.000101")),
    ]
