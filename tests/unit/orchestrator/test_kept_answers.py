"""Which answers are kept, and when one is given again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.ledger.rows import ChunkScreening, VersionRow
from ingest.screening import Finding
from ingest.tags import Classification
from orchestrator.citations import Draft, DraftClaim, Quote, verify
from orchestrator.contract import Claim, Confidence
from orchestrator.kept_answers import AnswerKey, KeptAnswer, KeptAnswers, KeptConfig, NotKept, answer_key
from orchestrator.routing import Approved
from orchestrator.store.answers import KeptAnswerStore, Recalled
from orchestrator.store.database import Database, open_database
from retrieval.access import Principal, ReadScope, read_scope
from retrieval.evidence import Hit, Passage
from retrieval.sanitising import Sanitised, sanitise
from retrieval.screening_policy import ScreeningPolicy
from tests.doubles.subject_cipher import MemoryCipher

DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)
TODAY = DAY.date()
QUESTION = "Who approves trips?"
TRAVEL = "Trips are booked early. Ines Roth approves trips outside Europe."
MADE_BY = {"prompt": "p1", "route": "claude-haiku", "policy": "v1", "workflow": "1.0.0"}
SCREENED = ChunkScreening(screener="s", failed=(), findings=(), peaks={})
PASSAGE = Passage(
    chunk_id="c1",
    document_id="travel",
    version=1,
    title="Travel",
    source_uri="file:///travel",
    text=TRAVEL,
    start=5,
    end=5 + len(TRAVEL),
    page=None,
    page_end=None,
    headings=("Trips",),
    screening=SCREENED,
)
ANN = Principal(subject="ann", groups=frozenset({"staff"}), clearance=Classification.internal)


def scope(who: Principal = ANN, day: date = TODAY) -> ReadScope:
    return read_scope(who, today=day)


def found(*passages: Passage) -> Sanitised:
    hits = [Hit(passage=passage, score=1.0, legs={}) for passage in passages or (PASSAGE,)]
    return sanitise(hits, ScreeningPolicy())


def key(
    who: ReadScope | None = None, evidence: Sanitised | None = None, question: str = QUESTION, **made: str
) -> AnswerKey:
    return answer_key(question, who or scope(), evidence or found(), **MADE_BY | made)  # type: ignore[arg-type]


@dataclass
class Library:
    """Stored texts of the documents that may be read."""

    texts: dict[tuple[str, int], str] = field(default_factory=lambda: {("travel", 1): "····\n" + TRAVEL})
    asked: list[tuple[ReadScope, frozenset[tuple[str, int]]]] = field(default_factory=list)

    async def stored(self, scope: ReadScope, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], VersionRow]:
        places = frozenset(wanted)
        self.asked.append((scope, places))
        rows = {place: SimpleNamespace(text=self.texts[place]) for place in places if place in self.texts}
        return cast("dict[tuple[str, int], VersionRow]", rows)


def approved(*words: str, outcome: str = "answer") -> Approved:
    """As routing gives it, with claims that went through the gate of citations."""
    draft = Draft(
        claims=tuple(
            DraftClaim(text=f"It says: {one}", quotes=(Quote(passage=PASSAGE, text=one),))
            for one in words or ("Ines Roth approves trips",)
        )
    )
    claims = verify(draft, Library().texts).claims
    produced = SimpleNamespace(route="claude-haiku", model="haiku")
    validated = SimpleNamespace(claims=claims, support=tuple(0.9 for _ in claims), produced=produced)
    confidence = Confidence(score=0.8, calibrated=True, signals={"support": 0.9})
    return cast(Approved, SimpleNamespace(outcome=outcome, validated=validated, confidence=confidence))


class Home:
    """Kept answers over a real database."""

    def __init__(self, database: Database, **config: int) -> None:
        self.now = DAY
        self.database = database
        self.cipher = MemoryCipher()
        store = KeptAnswerStore(database)
        self.kept = KeptAnswers(store, self.cipher, KeptConfig(**config), now=lambda: self.now)

    def keep(self, under: AnswerKey, result: Approved | None = None, run: str = "run-1") -> bool:
        write = self.kept.keep(under, result or approved(), run, ("model_fallback",))
        if write is not None:
            with self.database.write() as db:
                write(db)
        return write is not None

    def find(
        self,
        under: AnswerKey,
        who: ReadScope | None = None,
        evidence: Sanitised | None = None,
        library: Library | None = None,
    ) -> KeptAnswer | NotKept:
        reading = self.kept.find(under, who or scope(), evidence or found(), library or Library())
        return asyncio.run(reading)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(f"sqlite:///{tmp_path / 'record.db'}")
    yield database
    database.close()


def miss(outcome: KeptAnswer | NotKept) -> str:
    assert isinstance(outcome, NotKept)
    return outcome.reason


def hit(outcome: KeptAnswer | NotKept) -> KeptAnswer:
    assert isinstance(outcome, KeptAnswer)
    return outcome


def claims_of(result: Approved) -> tuple[Claim, ...]:
    return result.validated.claims


def test_an_answer_is_given_again(database: Database) -> None:
    """The same question over the same evidence has the same claims, verified anew within the scope."""
    home, library = Home(database), Library()
    assert miss(home.find(key())) == "none"
    assert home.keep(key())
    again = hit(home.find(key(question="Who  approves\ntrips?"), library=library))
    assert again.verified.claims == claims_of(approved())
    assert (again.number, again.run_id, again.kept_at) == (1, "run-1", DAY)
    assert (again.support, again.confidence.score, again.flags) == ((0.9,), 0.8, ("model_fallback",))
    assert (again.route, again.model) == ("claude-haiku", "haiku")
    assert library.asked == [(scope(), frozenset({("travel", 1)}))]


def test_a_new_answer_supersedes_the_one_before(database: Database) -> None:
    """The newest is given; those before keep their numbers."""
    home = Home(database, max_versions=2)
    for number in range(1, 4):
        home.keep(key(), run=f"run-{number}")
    assert (hit(home.find(key())).number, hit(home.find(key())).run_id) == (3, "run-3")
    rows = KeptAnswerStore(database).answers(key().hash, "default", "ann")
    assert [(row.number, row.run_id) for row in rows] == [(3, "run-3"), (2, "run-2")]


def test_only_an_answer_of_bounded_size_is_kept(database: Database) -> None:
    """What goes to a person, what has no claims and what is too large leaves nothing behind."""
    home = Home(database, max_bytes=700)
    for outcome in ("abstain", "review", "act"):
        assert not home.keep(key(), approved(outcome=outcome))
    assert not home.keep(key(), approved("these words are nowhere"))
    assert not home.keep(key(), approved("Ines Roth approves trips", "Trips are booked early."))
    assert miss(home.find(key())) == "none"
    assert home.keep(key())


# The key


@pytest.mark.parametrize(
    "change",
    [{name: "another"} for name in (*MADE_BY, "risk", "history")]
    + [{"question": "Who approves TRIPS?"}, {"question": "Who?"}],
)
def test_whatever_an_answer_came_from_is_in_its_key(change: dict[str, str]) -> None:
    """Another prompt, route, policy, workflow, risk, conversation or question has another key."""
    assert key(**change).hash != key().hash


@pytest.mark.parametrize(
    "change",
    [
        {"chunk_id": "c2"},
        {"document_id": "d"},
        {"version": 2},
        {"title": "T"},
        {"text": TRAVEL + "!"},
        {"headings": ()},
        {"source_uri": "x"},
        {"classification": Classification.public},
        {"region": "eu"},
        {"screening": replace(SCREENED, screener="newer")},
    ],
)
def test_other_evidence_is_another_key(change: dict[str, Any]) -> None:
    """A new version, a new screening, other tags or another passage beside: the answer is not found again."""
    assert key(evidence=found(replace(PASSAGE, **change))).hash != key().hash
    assert key(evidence=found(PASSAGE, replace(PASSAGE, **change))).hash != key().hash


def test_what_screening_takes_out_is_another_key() -> None:
    """Also when the same screener's finding is only now acted upon."""
    order = Finding(kind="override", score=0.9999, start=10, end=20, reason="It is an order.")
    passage = replace(PASSAGE, screening=replace(SCREENED, findings=(order,), peaks={"override": 0.9999}))
    hits = [Hit(passage=passage, score=1.0, legs={})]
    policies = (ScreeningPolicy(), ScreeningPolicy(act=1.0, flag=1.0), ScreeningPolicy(act=1.0, flag=0.9))
    assert len({key(evidence=sanitise(hits, policy)).hash for policy in policies}) == 3


NAMES = st.sampled_from(["a", "b", "a b", "a,b", 'a","b', "group:a", ""])
PRINCIPALS = st.builds(
    Principal,
    subject=NAMES,
    tenant=NAMES,
    groups=st.frozensets(NAMES, max_size=2),
    roles=st.frozensets(NAMES, max_size=2),
    clearance=st.sampled_from(list(Classification)),
    regions=st.frozensets(NAMES, max_size=2),
)
SCOPES = st.builds(scope, PRINCIPALS, st.sampled_from([date(2026, 3, 1), date(2026, 3, 2)]))


@settings(max_examples=500, deadline=None)
@given(SCOPES, SCOPES)
def test_two_scopes_never_share_a_key(one: ReadScope, other: ReadScope) -> None:
    """Whatever names and tokens look like: equal scopes have equal keys, different ones have different keys."""
    assert (key(one).hash == key(other).hash) == (one == other)


def test_names_that_look_like_lists_are_told_apart() -> None:
    """A group whose name spells two tokens is not these two."""
    one = scope(replace(ANN, groups=frozenset({"a,group:b"})))
    other = scope(replace(ANN, groups=frozenset({"a", "b"})))
    assert key(one).hash != key(other).hash


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_two_scopes_never_share_a_row(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """What was kept for one scope is found by that scope and by no other, not even with the other's own key."""
    one, other = data.draw(SCOPES), data.draw(SCOPES)
    database = open_database(f"sqlite:///{tmp_path_factory.mktemp('kept') / 'record.db'}")
    try:
        home = Home(database)
        home.keep(key(one))
        assert hit(home.find(key(one), one))
        if one != other:
            assert miss(home.find(key(other), other)) == "none"
        if (one.tenant, one.principal.subject) != (other.tenant, other.principal.subject):
            assert miss(home.find(key(one), other)) == "none"
    finally:
        database.close()


# Verified at this moment


@pytest.mark.parametrize(
    "texts",
    [
        {},
        {("travel", 2): "····\n" + TRAVEL},
        {("travel", 1): "····\n" + TRAVEL.replace("Roth", "Rotb")},
        {("travel", 1): "·····\n" + TRAVEL},
        {("travel", 1): ""},
    ],
)
def test_a_citation_that_does_not_hold_now_spoils_the_answer(
    database: Database, texts: dict[tuple[str, int], str]
) -> None:
    """A document that is closed or gone, or whose text is another or stands elsewhere: not given again."""
    home = Home(database)
    home.keep(key(), approved("Trips are booked early.", "Ines Roth approves trips"))
    assert miss(home.find(key(), library=Library(texts))) == "changed"
    assert hit(home.find(key()))


def test_evidence_without_what_was_cited_spoils_the_answer(database: Database) -> None:
    """A citation has to stand in what retrieval found now, as screening left it."""
    home = Home(database)
    home.keep(key())
    assert miss(home.find(key(), evidence=found(replace(PASSAGE, chunk_id="c9")))) == "changed"
    at = 5 + TRAVEL.index("Ines")
    order = Finding(kind="override", score=0.9999, start=at, end=at + 4, reason="It is an order.")
    screened = replace(SCREENED, findings=(order,), peaks={"override": 0.9999})
    assert miss(home.find(key(), evidence=found(replace(PASSAGE, screening=screened)))) == "changed"


# Recall, expiry, erasure


def test_a_recalled_document_takes_its_answers_along(database: Database) -> None:
    """What the document was found for is marked and not given again until a new answer is kept."""
    home = Home(database)
    other = replace(PASSAGE, chunk_id="c2", document_id="meals", text="Meals are paid.", end=20)
    wide = found(PASSAGE, other)
    home.keep(key(evidence=wide), run="run-7")
    home.keep(key(), run="run-8")
    with database.write() as db:
        marked = home.kept.recall(db, "default", "meals", because="It was wrong.")
        assert home.kept.recall(db, "default", "travel", 2, because="x") == []
    assert marked == [Recalled(run_id="run-7", subject="ann", key=key(evidence=wide).hash, number=1)]
    assert home.find(key(evidence=wide), evidence=wide) == NotKept(reason="recalled", run_id="run-7")
    assert hit(home.find(key())).run_id == "run-8"
    home.keep(key(evidence=wide), run="run-9")
    assert hit(home.find(key(evidence=wide), evidence=wide)).number == 2


def test_an_answer_expires(database: Database) -> None:
    """Beyond its days it is not given, and then removed."""
    home = Home(database, days=3)
    home.keep(key())
    home.now += timedelta(days=3, seconds=1)
    assert miss(home.find(key())) == "expired"
    with database.write() as db:
        assert home.kept.expire(db) == 1
    assert miss(home.find(key())) == "none"


def test_erasing_a_subject_erases_their_answers(database: Database) -> None:
    """With the key gone nothing can be read; then the rows go too, and another's stay."""
    home = Home(database)
    bob = scope(replace(ANN, subject="bob"))
    home.keep(key())
    home.keep(key(bob))
    home.cipher.erase("default", "ann")
    assert miss(home.find(key())) == "erased"
    with database.write() as db:
        assert home.kept.erase(db, "default", "ann") == 1
    assert miss(home.find(key())) == "none"
    assert hit(home.find(key(bob), bob))


def test_what_is_stored_is_sealed(database: Database, tmp_path: Path) -> None:
    """No word of an answer lies readable in the files; bytes that were altered or moved are not given out."""
    home = Home(database)
    home.keep(key())
    home.keep(key(question="Other?"))
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Ines" not in files
    assert b"approves" not in files
    with database.write() as db:
        moved = "(SELECT sealed FROM kept_answers WHERE key = :other)"
        change = sa.text(f"UPDATE kept_answers SET sealed = {moved} WHERE key = :key")
        db.execute(change, {"key": key().hash, "other": key(question="Other?").hash})
    assert miss(home.find(key())) == "altered"
    with database.write() as db:
        db.execute(sa.text("UPDATE kept_answers SET sealed = :new"), {"new": b"other bytes"})
    assert miss(home.find(key(question="Other?"))) == "altered"
