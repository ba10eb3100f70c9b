"""What an answer says of its sources, over a real home: older editions, disagreement, follow-ups, personal data."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

import orchestrator.services
from ingest.tags import Classification
from orchestrator.contract import Answer
from retrieval.access import Principal
from tests.doubles.screener import MarkScreener
from tests.integration.conftest import Open, person


@pytest.fixture(autouse=True)
def quiet_screener(monkeypatch: pytest.MonkeyPatch) -> None:
    """Screening is not what these tests are about."""
    monkeypatch.setattr(orchestrator.services, "_open_screener", MarkScreener)


ANN = person("ann")
AGENT = Principal(subject="bea", roles=frozenset({"agent"}), clearance=Classification.internal)


def ask(opened: Open, records: list[dict[str, Any]], question: str, *, asker: Principal = ANN, **more: Any) -> Answer:
    """The answer to a question over these records; `earlier` goes with the question, other things are settings."""
    earlier = more.pop("earlier", ())

    async def run() -> Answer:
        async with opened(**more) as services:
            await services.ingest_records([r | {"allow": ["public"]} for r in records], "default", "ann")
            return await services.ask(question, services.scope(asker), earlier=earlier)

    return asyncio.run(run())


def cited(answer: Answer) -> set[str]:
    return {citation.document_id for claim in answer.claims for citation in claim.citations}


EDITIONS = [
    {"id": "old", "title": "Return rules 2024", "text": "A grinder can be returned within 30 days of delivery."},
    {"id": "new", "title": "Return rules 2025", "text": "A grinder can be returned within 60 days of delivery."},
]


def test_a_newer_edition_answers_alone(opened: Open) -> None:
    """Of two editions that were found the newer one is cited, and the answer says that there is an older one."""
    answer = ask(opened, EDITIONS, "Within how many days of delivery can a grinder be returned?")
    assert (answer.status, cited(answer)) == ("answered", {"new"})
    assert "older_edition_left_out" in answer.flags
    assert answer.conflicts == ()


def test_an_older_edition_answers_what_the_newer_does_not(opened: Open) -> None:
    """What only the older edition says is said, and marked."""
    records = [EDITIONS[0], EDITIONS[1] | {"text": "Shipping has a price."}]
    answer = ask(opened, records, "Within how many days of delivery can a grinder be returned?")
    assert (answer.status, cited(answer)) == ("answered", {"old"})
    assert "older_edition_cited" in answer.flags


def test_a_disagreement_is_shown_with_its_source(opened: Open) -> None:
    """Two sources of equal standing that say different things are both there, the other one as a checked citation."""
    records = [
        {"id": "shop", "title": "Shop", "text": "A grinder can be returned within 30 days of delivery."},
        {"id": "web", "title": "Web site", "text": "A grinder can be returned within 60 days of delivery."},
    ]
    answer = ask(opened, records, "Within how many days of delivery can a grinder be returned?")
    assert "sources_disagree" in answer.flags
    conflict = answer.conflicts[0]
    claim = answer.claims[conflict.claim]
    assert conflict.kind == "value"
    assert {claim.citations[0].document_id, conflict.citations[0].document_id} == {"shop", "web"}
    texts = {record["id"]: record["text"] for record in records}
    for citation in (claim.citations[0], conflict.citations[0]):
        assert texts[citation.document_id][citation.start : citation.end] == citation.quote


def test_a_follow_up_is_asked_with_its_topic(opened: Open) -> None:
    """What was asked of the documents is told; a first question is asked as it is."""
    records = [{"id": "k3", "title": "Veltrim K3", "text": "The Veltrim K3 is sold with a lid."}]
    answer = ask(opened, records, "Is it sold with a lid?", earlier=["What is the price of the Veltrim K3?"])
    assert answer.asked == "Is it sold with a lid? (Veltrim K3)"
    assert "question_completed" in answer.flags
    assert ask(opened, records, "Is the K3 sold with a lid?").asked is None


MAIL = [
    {"id": "mail", "title": "Contact", "text": "The dealer in Osaka is reached at sato@kettlestrand.example daily."}
]


def test_personal_data_is_kept_back_from_roles_that_do_not_open_it(opened: Open) -> None:
    """A reader whose roles do not open e-mail addresses gets a placeholder, in claim and quote; offsets stay."""
    rules: dict[str, Any] = {"personal_data_for_everyone": (), "personal_data_for_roles": {"agent": {"*"}}}
    question = "How is the dealer in Osaka reached?"
    kept = ask(opened, MAIL, question, **rules)
    assert "sato@" not in kept.model_dump_json()
    assert "[EMAIL_1]" in kept.answer
    assert "personal_data_kept_back" in kept.flags
    shown = ask(opened, MAIL, question, asker=AGENT, **rules)
    assert "sato@kettlestrand.example" in shown.answer
    assert shown.claims[0].citations[0].start == kept.claims[0].citations[0].start


def test_a_detector_that_fails_lets_nothing_out(opened: Open, monkeypatch: Any) -> None:
    """Where a detector raises, the text that it should have seen is withheld, and the answer says so."""
    from orchestrator.personal_data.internet import EmailDetector

    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(EmailDetector, "detect", fail)
    answer = ask(opened, MAIL, "How is the dealer in Osaka reached?", personal_data_for_everyone=())
    assert "personal_data_unchecked" in answer.flags
    assert "Osaka" not in answer.answer
    assert "sato@" not in answer.model_dump_json()
