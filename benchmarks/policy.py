"""How many decisions a second the policies take on one core: every kind, asked anew and asked again.

    python -m benchmarks.policy [--decisions 20000]

Figures are processor time of this process, in rounds that alternate. "Anew" asks questions that were never asked, so
that nothing kept helps; "again" asks a few, over and over, as a server does; "Cedar alone" hands Cedar requests that
are ready, without our reading and wording. The target is 5,000 a second anew.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Final

import cedarpy

from benchmarks.report import heading, table, verdict
from ingest.tags import Classification
from orchestrator.policy import facts
from orchestrator.policy.decisions import DataFacts, RouteFacts
from orchestrator.policy.engine import CedarPolicy, load_policy
from orchestrator.workflows import ASK
from retrieval.access import Principal

TARGET: Final = 5_000.0  # decisions a second, anew
ROUNDS: Final = 5
Ask = Callable[[int], object]


def kinds(policy: CedarPolicy) -> dict[str, Ask]:
    """A question of each kind, another one for each number."""

    def principal(number: int) -> Principal:
        return Principal(subject=f"user{number}", roles=frozenset({"operator", "auditor", "curator"}))

    def route(number: int) -> RouteFacts:
        return RouteFacts(
            name=f"route{number}", provider="p", model="m", region="eu", in_process=False, retains_data=False
        )

    sent = DataFacts(classification=Classification.internal, regions=frozenset({"eu"}))
    record = {"tenant": "default", "subject": "somebody"}
    return {
        "start": lambda number: policy.may_start(principal(number), ASK),
        "route_model": lambda number: policy.may_route(ASK, route(number), sent),
        "call_tool": lambda number: policy.may_call(principal(number), ASK, "echo"),
        "go_on": lambda number: policy.approval(ASK, "low", {"acts": False, "cost_cents": number}),
        "see_run": lambda number: policy.may(principal(number), "see_run", record),
    }


def cedar_alone(policy: CedarPolicy) -> Ask:
    """The same Cedar call as `start`, with everything made before."""
    asker = facts.person(Principal(subject="user", roles=frozenset({"operator", "auditor", "curator"})))
    request = facts.Request(action="start", principal=asker, resource=facts.workflow("ask", "low"))
    parsed = cedarpy.PolicySet.from_str("\n".join(one.text for one in policy.files.statements))
    schema = cedarpy.Schema.from_str(policy.files.schema[1])
    entities, ready = json.dumps(request.entities()), request.as_json()
    return lambda _: cedarpy.is_authorized(ready, parsed, entities, schema)


def rate(ask: Ask, numbers: range) -> float:
    """Decisions a processor second."""
    began = time.process_time()
    for number in numbers:
        ask(number)
    return len(numbers) / max(1e-9, time.process_time() - began)


def main() -> None:
    """Print the rates, and whether the target is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--decisions", type=int, default=20_000, help="of each kind, in all rounds together")
    count = max(1, parser.parse_args().decisions // ROUNDS)
    policy = load_policy()
    anew: dict[str, list[float]] = {}
    again: dict[str, list[float]] = {}
    cedar: list[float] = []
    for turn in range(ROUNDS):
        cedar.append(rate(cedar_alone(policy), range(count)))
        for name, ask in kinds(policy).items():
            anew.setdefault(name, []).append(rate(ask, range(turn * count, (turn + 1) * count)))
            again.setdefault(name, []).append(rate(lambda number, ask=ask: ask(-1 - number % 10), range(count)))
    facts_ = f"{len(policy.rules)} policies, {count} questions of each kind in each of {ROUNDS} rounds, medians"
    heading("Decisions a processor second", facts_, packages=("groundwire", "cedarpy"))
    rows = [[name, f"{median(anew[name]):,.0f}", f"{median(again[name]):,.0f}"] for name in anew]
    table(["kind", "anew", "again"], [*rows, ["Cedar alone, start", f"{median(cedar):,.0f}", ""]])
    slowest = min(median(rates) for rates in anew.values())
    print(f"\nSlowest kind, anew: {slowest:,.0f}, {verdict(slowest, TARGET, least=True)}")


if __name__ == "__main__":
    main()
