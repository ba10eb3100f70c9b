"""A thousand questions at once, with every way in which a model can fail mixed in."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import yaml

from ingest.errors import GroundwireError
from orchestrator.audit.verification import verify
from orchestrator.contract import Answer
from orchestrator.gateway.breaker import BreakerConfig
from orchestrator.gateway.outcomes import Attempt
from orchestrator.workflows import ASK
from tests.doubles.model_double import MODES, Mode
from tests.doubles.model_house import CLAUDE, EXTRACTIVE, LLAMA, ModelHouse, model_house

ASKS, AT_ONCE, PEOPLE = 1_000, 40, 400
PLACES = ("canteen", "library", "gym", "garage", "workshop", "museum", "archive", "kitchen")
RECORDS = [
    {
        "id": place,
        "title": place.title(),
        "text": f"The {place} opens at {7 + n}:30. Ask {place}@example.org.",
        "allow": ["public"],
    }
    for n, place in enumerate(PLACES)
]
NOT_SENT = {"breaker_open", "busy"}
DAY_LIMIT = Decimal("0.05")  # US dollars: less than half of what all of it would cost


async def ask_all(house: ModelHouse, seed: int) -> list[Answer | BaseException]:
    """Every question, at most so many at a time, each for a route or for whichever the routing takes."""
    chance = random.Random(seed)
    services, gate = house.services, asyncio.Semaphore(AT_ONCE)
    judge = replace(services.asker._parts.judge, threshold=0.05)
    wishes = [(chance.choice(PLACES), chance.choice((None, None, CLAUDE, LLAMA, EXTRACTIVE))) for _ in range(ASKS)]

    async def one(number: int, place: str, route: str | None) -> Answer:
        async with gate:
            scope = services.scope(house.reader(f"person-{number % PEOPLE}"))
            return await services.ask(f"When does the {place} open?", scope, model=route, judge=judge)

    asks = [one(number, place, route) for number, (place, route) in enumerate(wishes)]
    return await asyncio.gather(*asks, return_exceptions=True)


def all_attempts(house: ModelHouse) -> list[Attempt]:
    rows = house.services.governance.runs.page("default", subject=None, before=None, limit=2 * ASKS)
    return [attempt for row in rows for attempt in house.services.governance.usage.attempts(row.run_id)]


def unverified(house: ModelHouse, answer: Answer) -> int:
    """Claims without a citation, and citations that are not what is stored."""
    scope = house.services.scope(house.reader())
    cited = [citation for claim in answer.claims for citation in claim.citations]
    places = {(one.document_id, one.version) for one in cited}
    stored = house.run(house.services.library.stored(scope, places)) if places else {}
    wrong = sum(stored[one.document_id, one.version].text[one.start : one.end] != one.quote for one in cited)
    return wrong + sum(not claim.citations for claim in answer.claims)


def test_a_thousand_asks(tmp_path: Path) -> None:
    """No unverified citation leaves, no ask is without an outcome, each request on a wire is in the ledger once, the
    budget holds, and the chain verifies."""
    limits = tmp_path / "limits.yaml"
    limits.write_text(yaml.safe_dump({"limits": [{"of": "team", "per": "day", "cost_usd": str(DAY_LIMIT)}]}))
    routes = {"attempt_s": 1.0, "concurrency": AT_ONCE}
    with model_house(tmp_path, RECORDS, routes=routes, limits_file=limits) as house:
        gateway = house.services.gateway
        breaker = BreakerConfig(failures=5, cooldown_s=0.05)  # so that failures go on to be met
        gateway._config = replace(gateway._config, breaker=breaker)
        chance = random.Random(4)
        modes: list[Mode] = [*MODES, *["good"] * len(MODES)]  # every other one is good
        for double in (house.claude, house.llama):
            double.enqueue(*chance.choices(modes, k=4 * ASKS))
        results = house.run(ask_all(house, seed=5))

        answers = [one for one in results if isinstance(one, Answer)]
        errors = [one for one in results if not isinstance(one, Answer)]
        assert all(isinstance(error, GroundwireError) for error in errors), Counter(map(repr, errors))
        assert {one.status for one in answers} == {"answered", "in_review", "refused"}
        assert sum(unverified(house, one) for one in answers) == 0
        assert all(not one.claims for one in answers if one.status != "answered")
        assert set(MODES) <= set(house.claude.given) | set(house.llama.given)

        usage = house.services.governance.usage
        rows = house.services.governance.runs.page("default", subject=None, before=None, limit=2 * ASKS)
        assert len(rows) == ASKS
        assert all(row.finished_at is not None for row in rows)
        told = {one.run_id: one.status for one in answers}
        assert all(row.status == told.get(row.run_id, "failed") for row in rows)

        attempts = all_attempts(house)
        sent = Counter(one.route for one in attempts if one.outcome not in NOT_SENT)
        assert (sent[CLAUDE], sent[LLAMA]) == (house.claude.calls(), house.llama.calls())
        assert len({one.id for one in attempts}) == len(attempts)
        assert not [one for one in attempts if one.outcome in ("sent", "lost")]

        cost = sum((one.cost for one in attempts), Decimal(0))
        by_run = {row.run_id: row.cost_usd for row in rows}
        assert cost == sum(by_run.values(), Decimal(0))
        day = rows[0].started_at.strftime("%Y-%m-%d")
        assert cost == Decimal(usage.balance("team:default", day).billionths).scaleb(-9) <= DAY_LIMIT
        assert any("no_output_over_budget" in one.flags for one in answers)
        assert max(by_run.values()) <= Decimal(str(ASK.max_cost_usd))
        custody = house.services.governance.custody
        assert verify(custody.database, custody.keys, witness=custody.config.witness, deep=True).ok
