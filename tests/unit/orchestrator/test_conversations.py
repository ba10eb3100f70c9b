"""What is remembered of a conversation, and what of it is told again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from ingest.errors import BadInput, DependencyDown
from ingest.ledger.rows import ChunkScreening
from ingest.screening import Finding
from ingest.tags import AccessTags, Classification
from orchestrator.context import History
from orchestrator.contract import Answer, Citation, Claim, Confidence, Route
from orchestrator.conversations import ConversationConfig, Conversations, Turn, earlier_questions, summary
from orchestrator.selection import estimated_tokens
from orchestrator.store.conversations import ConversationStore
from orchestrator.store.database import Database, open_database
from retrieval.access import Principal, ReadScope, read_scope
from retrieval.evidence import Hit, Passage
from retrieval.sanitising import Sanitised, sanitise
from retrieval.screening_policy import ScreeningPolicy
from retrieval.search import Found
from tests.doubles.subject_cipher import MemoryCipher

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRAVEL = "Trips are booked early. Ines Roth approves trips outside Europe."
LEAVE = "Every employee has 25 days of leave."


class Clock:
    def __init__(self) -> None:
        self.now = DAY

    def __call__(self) -> datetime:
        return self.now


class Shelf:
    """Documents with tags, read again as `Retriever.reread` reads them."""

    def __init__(self) -> None:
        self.passages: dict[str, Passage] = {}
        self.tags: dict[str, AccessTags] = {}

    def put(self, document: str, text: str, *groups: str, version: int = 1, **more: object) -> None:
        chunk = f"{document}-{version}"
        values: dict[str, object] = {
            "chunk_id": chunk,
            "document_id": document,
            "version": version,
            "title": document.title(),
            "source_uri": f"file:///{document}",
            "text": text,
            "start": 0,
            "end": len(text),
            "page": None,
            "page_end": None,
            "headings": (),
            "screening": ChunkScreening(screener="s", failed=(), findings=(), peaks={}),
        }
        self.passages[chunk] = Passage(**values | more)  # type: ignore[arg-type]
        self.tags[chunk] = AccessTags(allow=frozenset(groups or {"public"}))

    def cite(self, document: str, quote: str, version: int = 1) -> Citation:
        passage = self.passages[f"{document}-{version}"]
        start = passage.text.index(quote)
        return Citation(
            document_id=document,
            version=version,
            chunk_id=passage.chunk_id,
            title=passage.title,
            source_uri=passage.source_uri,
            page=None,
            start=start,
            end=start + len(quote),
            quote=quote,
        )

    async def reread(self, found: Sequence[Found], scope: ReadScope) -> Sanitised:
        readable = [one for one in found if one.chunk_id in self.tags and scope.permits(self.tags[one.chunk_id])]
        hits = [Hit(passage=self.passages[one.chunk_id], score=one.score, legs=one.legs) for one in readable]
        return sanitise(hits, ScreeningPolicy())


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'record.db'}")
    yield database
    database.close()


@pytest.fixture
def shelf() -> Shelf:
    shelf = Shelf()
    shelf.put("travel", TRAVEL)
    shelf.put("leave", LEAVE, "group:staff", classification=Classification.confidential, region="eu")
    return shelf


def scope(*groups: str) -> ReadScope:
    person = Principal(subject="ann", groups=frozenset(groups), clearance=Classification.regulated)
    return read_scope(person, today=DAY.date())


def claim(text: str, *citations: Citation) -> Claim:
    return Claim(text=text, citations=citations)


def answer(*claims: Claim, asked: str | None = None) -> Answer:
    return Answer(
        run_id="run-1",
        status="answered" if claims else "abstained",
        answer="",
        claims=claims,
        asked=asked,
        confidence=Confidence(score=1.0, calibrated=False, signals={}),
        model="extractive",
        route=Route(decision="answer"),
        timings_ms={},
    )


def say(
    database: Database, made: Conversations, question: str, *claims: Claim, subject: str = "ann", to: str = "trip"
) -> None:
    write = made.turn("default", subject, to, question, answer(*claims, asked=f"{question} (x)"))
    with database.write() as db:
        write(db)


def told(turns: Sequence[Turn], who: ReadScope, shelf: Shelf, budget: int = 1_000) -> str:
    found = history(turns, who, shelf, budget)
    return found.text if found else ""


def history(turns: Sequence[Turn], who: ReadScope, shelf: Shelf, budget: int = 1_000) -> History | None:
    return asyncio.run(summary(turns, who, shelf, budget_tokens=budget))


def conversations(database: Database, **config: int) -> Conversations:
    return Conversations(ConversationStore(database), MemoryCipher(), ConversationConfig(**config), Clock())


def test_what_was_said_is_read_again(database: Database, shelf: Shelf) -> None:
    """Questions as they were put and as they were asked, claims with their places and without the words there."""
    made = conversations(database)
    say(database, made, "Who approves trips?", claim("Ines Roth does.", shelf.cite("travel", "Ines Roth approves")))
    say(database, made, "And meals?")
    first, second = made.read("default", "ann", "trip")
    assert (first.number, first.question, first.asked) == (1, "Who approves trips?", "Who approves trips? (x)")
    assert (first.said_at, first.run_id) == (DAY, "run-1")
    (said,) = first.claims
    place = said.places[0]
    assert said.text == "Ines Roth does."
    assert TRAVEL[place.start : place.end] == "Ines Roth approves"
    assert second.claims == ()
    assert earlier_questions((first, second)) == ("Who approves trips?", "And meals?")
    assert made.read("default", "ann", "trip", latest=1) == (second,)
    assert made.listed("default", "ann") == [("trip", DAY)]


def test_another_subjects_conversation_is_unknown(database: Database) -> None:
    """Under the same id another person, or the same name in another tenant, has one of their own."""
    made = conversations(database)
    say(database, made, "Who approves trips?")
    assert (
        made.read("default", "bob", "trip") == made.read("x", "ann", "trip") == made.read("default", "ann", "y") == ()
    )
    say(database, made, "Mine?", subject="bob")
    assert [turn.question for turn in made.read("default", "bob", "trip")] == ["Mine?"]
    assert [turn.question for turn in made.read("default", "ann", "trip")] == ["Who approves trips?"]


def test_nothing_readable_lies_in_the_database(database: Database, shelf: Shelf, tmp_path: Path) -> None:
    """Neither questions nor claims are found in the files; an altered or moved row is noticed."""
    made = conversations(database)
    say(database, made, "Who approves Veltrim?", claim("Ines Roth does.", shelf.cite("travel", "Ines Roth approves")))
    say(database, made, "Other?", to="other")
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Veltrim" not in files
    assert b"Ines" not in files
    with database.write() as db:
        moved = "(SELECT sealed FROM conversation_turns WHERE conversation = 'other')"
        db.execute(sa.text(f"UPDATE conversation_turns SET sealed = {moved} WHERE conversation = 'trip'"))
    with pytest.raises(DependencyDown, match="altered"):
        made.read("default", "ann", "trip")
    with database.write() as db:
        db.execute(sa.text("UPDATE conversation_turns SET sealed = :new"), {"new": b"other bytes"})
    with pytest.raises(DependencyDown, match="altered"):
        made.read("default", "ann", "other")


def test_an_erased_subject_reads_as_empty(database: Database) -> None:
    """With the key gone there is nothing to read, with or without the rows; another's are as they were."""
    cipher = MemoryCipher()
    made = Conversations(ConversationStore(database), cipher, now=Clock())
    say(database, made, "Who approves trips?")
    say(database, made, "Mine?", subject="bob")
    cipher.erase("default", "ann")
    assert made.read("default", "ann", "trip") == ()
    with database.write() as db:
        assert made.erase(db, "default", "ann") == 1
        assert not made.delete(db, "default", "ann", "trip")
        assert made.delete(db, "default", "bob", "trip")
    assert made.read("default", "bob", "trip") == ()


def test_what_is_old_is_forgotten(database: Database) -> None:
    """A turn beyond its days is not read any more, and then removed."""
    clock = Clock()
    made = Conversations(ConversationStore(database), MemoryCipher(), ConversationConfig(days=2), clock)
    say(database, made, "First?")
    clock.now += timedelta(days=1.5)
    say(database, made, "Second?")
    clock.now += timedelta(days=1)
    assert [turn.question for turn in made.read("default", "ann", "trip")] == ["Second?"]
    with database.write() as db:
        assert made.expire(db) == 1


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\0b"])
def test_an_id_that_cannot_be_used_is_refused(database: Database, name: str) -> None:
    """Before anything is written."""
    with pytest.raises(BadInput, match="id of a conversation"):
        conversations(database).turn("default", "ann", name, "Who?", answer())


# Summaries


def test_a_summary_keeps_citations(database: Database, shelf: Shelf) -> None:
    """Turns in order; each claim with the documents that carry it, of which each is listed once by title."""
    made = conversations(database)
    travel, leave = shelf.cite("travel", "Ines Roth approves"), shelf.cite("leave", "25 days")
    say(database, made, "Who approves\ntrips?", claim("Ines Roth does.", travel), claim("All do.", travel, leave))
    say(database, made, "Why?")
    found = history(made.read("default", "ann", "trip"), scope("staff"), shelf)
    assert found == History(
        text="Asked: Who approves trips?\nAnswered: Ines Roth does. [H1]\nAnswered: All do. [H1] [H2]\nAsked: Why?\n"
        "[H1] Travel\n[H2] Leave",
        classification=Classification.confidential,
        regions=frozenset({"eu"}),
    )
    assert history((), scope(), shelf) is None


def test_what_may_not_be_read_any_more_disappears(database: Database, shelf: Shelf) -> None:
    """A claim goes with the first of its places that is closed, gone, in another version or taken out by screening."""
    made = conversations(database)
    say(
        database,
        made,
        "Leave and trips?",
        claim("25 days.", shelf.cite("leave", "25 days")),
        claim("Both.", shelf.cite("travel", "booked early"), shelf.cite("leave", "25 days")),
        claim("Ines Roth does.", shelf.cite("travel", "Ines Roth approves")),
    )
    turns = made.read("default", "ann", "trip")
    alone = "Asked: Leave and trips?\nAnswered: Ines Roth does. [H1]\n[H1] Travel"
    found = history(turns, scope(), shelf)
    assert found == History(text=alone, classification=Classification.internal)
    del shelf.passages["leave-1"], shelf.tags["leave-1"]
    assert told(turns, scope("staff"), shelf) == alone
    at = TRAVEL.index("Ines")
    order = Finding(kind="override", score=0.9999, start=at, end=at + 9, reason="It is an order.")
    screened = ChunkScreening(screener="t", failed=(), findings=(order,), peaks={"override": 0.9999})
    shelf.put("travel", TRAVEL, screening=screened)
    assert told(turns, scope("staff"), shelf) == "Asked: Leave and trips?"
    shelf.put("travel", TRAVEL, screening=None)
    assert told(turns, scope("staff"), shelf) == "Asked: Leave and trips?"


def test_a_place_is_that_of_its_version(database: Database, shelf: Shelf) -> None:
    """A chunk that now belongs to another version, or ends before the place, carries nothing."""
    made = conversations(database)
    say(database, made, "Who?", claim("Ines Roth does.", shelf.cite("travel", "outside Europe.")))
    turns = made.read("default", "ann", "trip")
    shelf.put("travel", TRAVEL[:-3])
    assert told(turns, scope(), shelf) == "Asked: Who?"
    shelf.put("travel", TRAVEL)
    assert "Ines" in told(turns, scope(), shelf)
    shelf.passages["travel-1"] = replace(shelf.passages["travel-1"], version=2)
    assert told(turns, scope(), shelf) == "Asked: Who?"


def test_a_summary_stays_within_its_budget(database: Database, shelf: Shelf) -> None:
    """The latest turns are told, long questions in part; what does not fit is not."""
    made = conversations(database)
    for number in range(6):
        say(database, made, f"Question {number} " + "about trips " * 100)
    turns = made.read("default", "ann", "trip")
    text = told(turns, scope(), shelf, budget=300)
    assert estimated_tokens(text) <= 300
    assert [line[:17] for line in text.splitlines()] == ["Asked: Question 4", "Asked: Question 5"]
    assert told(turns, scope(), shelf, budget=20) == ""
