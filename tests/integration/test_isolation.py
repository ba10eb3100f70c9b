"""What a reader may not read leaves no trace in anything that the reader sees."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from api.views import document_json, hit_json
from ingest.report import IngestReport
from orchestrator.services import Services
from tests.integration.conftest import Open, person

QUESTIONS = [
    "When does the canteen open?",
    "How many days of leave are there?",
    "What is the budget of the merger with Nordlicht?",
    "canteen",
    "leave 30 days canteen 11:30 merger",
]
VISIBLE = [
    ("canteen", "The canteen opens at 11:30 and closes at 14:00. On Fridays there is fish."),
    ("leave", "Every employee has 30 days of leave a year. Unused days end on 31 March."),
    ("badge", "Badges are renewed at the reception. A lost badge costs 25 euros."),
    ("bikes", "Bicycles are kept in the cellar. The code of the door changes every month."),
]
WORDS = (
    "canteen",
    "opens",
    "leave",
    "days",
    "merger",
    "Nordlicht",
    "budget",
    "11:30",
    "30",
    "employee",
    "fish",
    "badge",
    "secret",
    "plan",
)


async def what_is_seen(services: Services) -> dict[str, Any]:
    """Everything that the reader gets to see: answers, hits with scores, lists, counts and errors."""
    scope = services.scope(person("rita", "staff"))
    seen: dict[str, Any] = {}
    for question in QUESTIONS:
        answer = (await services.ask(question, scope)).model_dump(mode="json", exclude={"run_id", "timings_ms"})
        hits = [hit_json(hit) for hit in await services.retriever.search(question, scope, k=20)]
        seen[question] = {"answer": answer, "hits": hits}
    rows = await services.library.documents(scope, limit=1000)
    seen["documents"] = [document_json(row) | {"created_at": None} for row in rows]
    seen["hidden"] = await services.library.current(scope, "hidden-1")
    return seen


async def ingest(services: Services, *records: dict[str, Any]) -> IngestReport:
    report = await services.ingest_records(list(records), "default", "owner")
    assert not report.failed
    return report


def hidden(chance: random.Random, number: int, **tags: Any) -> dict[str, Any]:
    body = " ".join(chance.choice(WORDS) for _ in range(chance.randint(5, 120)))
    return {"id": f"hidden-{number}", "title": chance.choice(WORDS), "text": f"{body}.", **tags}


async def _compare(opened: Open) -> None:
    chance = random.Random(7)
    guards = [
        {"allow": ["group:board"]},
        {"allow": ["public"], "classification": "regulated"},
        {"allow": ["public"], "region": "mars"},
        {"allow": ["public"], "valid_to": "2001-01-01"},
        {"allow": ["public"], "valid_from": "2999-01-01"},
        {"allow": ["public"], "deny": ["user:rita"]},
        {},
    ]
    async with opened() as services:
        for name, text in VISIBLE:
            await ingest(services, {"id": name, "title": name.title(), "text": text, "allow": ["group:staff"]})
        before = await what_is_seen(services)
        assert before[QUESTIONS[0]]["hits"]
        assert before[QUESTIONS[0]]["answer"]["status"] == "answered"
        await ingest(services, *(hidden(chance, n, **guards[n % len(guards)]) for n in range(60)))
        assert await what_is_seen(services) == before, "adding"
        other = [hidden(chance, n, allow=["public"]) | {"text": f"{QUESTIONS[n % 5]} Yes."} for n in range(10)]
        await services.ingest_records(other, "another-tenant", "owner")
        assert await what_is_seen(services) == before, "another tenant, the same ids"
        await ingest(services, *(hidden(chance, n, **guards[n % len(guards)]) for n in range(30)))
        assert await what_is_seen(services) == before, "changing"
        for number in range(20):
            await services.set_access("default", f"hidden-{number}", {"allow": ["user:someone"], "deny": ["user:rita"]})
        assert await what_is_seen(services) == before, "other tags"
        for number in range(60):
            key = services.ledger.find("default", f"hidden-{number}")
            assert key is not None
            await services.pipeline.delete(key)
        assert await what_is_seen(services) == before, "removing"
        await ingest(
            services, {"id": "canteen-2", "text": "The canteen opens at 7:00 on Mondays.", "allow": ["public"]}
        )
        assert await what_is_seen(services) != before, "what may be read does change what is seen"


def test_hidden_documents_change_no_byte(opened: Open) -> None:
    """Adding, changing, retagging or removing what one may not read changes no answer, score, list or count."""
    asyncio.run(_compare(opened))
