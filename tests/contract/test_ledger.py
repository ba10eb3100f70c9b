"""What every ledger promises, run over SQLite and PostgreSQL (GROUNDWIRE_TEST_POSTGRES_URL names a server of yours)."""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.elements import HiddenText
from ingest.encoder import TokenVectors
from ingest.errors import BadInput, DependencyDown
from ingest.ledger.rows import ChunkRow, EncodingRow, StagedVersion, VersionRow, document_key
from ingest.ledger.store import Ledger, open_ledger
from ingest.screening import Finding, Screening
from ingest.tags import AccessTags, Classification, Integrity
from tests.doubles.postgres import fresh_database

OPEN = AccessTags(owner="ann", allow=frozenset({"public"}))
CLOSED = AccessTags(owner="ann", allow=frozenset({"group:board"}), classification=Classification.confidential)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'ledger.db'}"
        return
    with fresh_database(request.getfixturevalue("postgres")) as url:
        yield url


@pytest.fixture
def ledger(url: str) -> Iterator[Ledger]:
    ledger = open_ledger(url)
    yield ledger
    ledger.close()


def version(name: str, pieces: Sequence[str] = ("First.", "Second."), number: int = 1, **more: Any) -> StagedVersion:
    """A version whose chunks are the pieces, in one text."""
    tenant = more.pop("tenant", "default")
    row: dict[str, Any] = {
        "key": document_key(tenant, name),
        "document_id": name,
        "source_uri": f"record:{name}",
        "number": number,
        "state": "staged",
        "tags": OPEN,
        "content_hash": hashlib.sha256(f"{name} {pieces}".encode()).hexdigest(),
        "title": name.title(),
        "media_type": "text/plain",
        "pages": None,
        "notes": ("a note",),
        "text": "\n".join(pieces),
        "created_at": "2026-01-01T00:00:00.000+00:00",
    }
    chunks, start = [], 0
    for ordinal, piece in enumerate(pieces):
        chunk = ChunkRow(
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{tenant} {name} {number} {ordinal}")),
            ordinal=ordinal,
            start=start,
            end=start + len(piece),
            page=ordinal + 1,
            page_end=ordinal + 1,
            headings=("Über", name),
            encoding_hash=piece[:64],
        )
        chunks.append(chunk)
        start = chunk.end + 1
    hidden = (HiddenText(text="white ink", reason="low_contrast", place="page 1"),)
    return StagedVersion(version=VersionRow(**row | more), chunks=tuple(chunks), hidden=hidden)


def encoding(piece: str) -> EncodingRow:
    vector = np.arange(16, dtype=np.float32) + len(piece)
    tokens = TokenVectors(bits=np.array([[1, 2], [250, 255]], np.uint8), starts=np.array([0, 7], np.int32))
    return EncodingRow(hash=piece[:64], dense=vector, tokens=tokens)


def put(ledger: Ledger, *staged: StagedVersion, tenant: str = "default") -> None:
    pieces = {chunk.encoding_hash for item in staged for chunk in item.chunks}
    ledger.stage(staged, tenant, "encoder", [encoding(piece) for piece in sorted(pieces)])
    ledger.settle(staged)


def ids(*staged: StagedVersion) -> list[str]:
    return [chunk.id for item in staged for chunk in item.chunks]


def encoded(ledger: Ledger, *pieces: str, tenant: str = "default") -> set[str]:
    return set(ledger.known_encodings(tenant, "encoder", pieces))


def test_what_goes_in_comes_out(ledger: Ledger) -> None:
    """A version is read back with every field, its chunks in order, its hidden text and its encodings."""
    item = version("a", ("Grüße 🚲 an alle", "日本語のテキスト"), pages=3)
    put(ledger, item)
    read = ledger.version(item.version.key, 1)
    assert (read.version, read.chunks) == (replace(item.version, state="current"), item.chunks)
    assert ledger.hidden_of(item.version.key, 1) == list(item.hidden)
    known = ledger.known_encodings("default", "encoder", ["Grüße 🚲 an alle"])["Grüße 🚲 an alle"]
    np.testing.assert_array_equal(known.dense, encoding("Grüße 🚲 an alle").dense)
    bits = {row.chunk_id: row for row in ledger.token_bits("default", "encoder", ids(item))}
    assert bits.keys() == set(ids(item))
    assert bits[item.chunks[0].id].tokens.bits.tolist() == [[1, 2], [250, 255]]
    assert bits[item.chunks[0].id].tokens.starts.tolist() == [0, 7]
    assert ledger.counts() == {"documents": 1, "chunks": 2, "staged": 0, "hidden_texts": 1}


def test_a_staged_version_is_nobodys_until_it_settles(ledger: Ledger) -> None:
    """Staged is work left over: `unsettled` returns it whole, the version before stays current until `settle`."""
    first, second = version("a"), version("a", ("New.",), number=2)
    put(ledger, first)
    ledger.stage([second], "default", "encoder", [encoding("New.")])
    (left,) = ledger.unsettled()
    assert (left.version, left.chunks) == (second.version, second.chunks)
    assert [row.number for row in ledger.current_versions("default")] == [1]
    assert ledger.serving_keys() == [(first.version.key, 2)]
    for _ in range(2):  # settling twice changes nothing
        ledger.settle([left])
        states = [(row.number, row.state) for row in ledger.versions_of(first.version.key)]
        assert states == [(1, "superseded"), (2, "current")]
    assert list(ledger.unsettled()) == []


def test_staging_half_of_a_batch_is_impossible(ledger: Ledger) -> None:
    """A version that is there already fails the whole batch and leaves nothing of it."""
    put(ledger, version("a"))
    with pytest.raises(Exception, match=r"(?i)unique"):
        ledger.stage([version("b"), version("a")], "default", "encoder", [encoding("B.")])
    assert [row.document_id for row in ledger.current_versions("default")] == ["a"]
    assert list(ledger.unsettled()) == []
    assert encoded(ledger, "B.") == set()


def test_sources_are_known_by_their_tenant(ledger: Ledger) -> None:
    """The same id in two tenants is two documents, and neither tenant meets the other's."""
    here, there = (
        version("a"),
        version("a", ("Theirs.",), tenant="other", tags=OPEN.model_copy(update={"tenant": "other"})),
    )
    put(ledger, here)
    put(ledger, there, tenant="other")
    assert ledger.find("default", "a") == ledger.find("default", "record:a") == here.version.key
    assert ledger.find("other", "a") == there.version.key
    assert ledger.source_states("other", ["record:a"])["record:a"].content_hash == there.version.content_hash
    assert ledger.owners_of("default", ["a", "b"]) == {"a": "record:a"}
    assert ledger.passages("default", ids(there)) == []
    assert ledger.token_bits("default", "encoder", ids(there)) == []
    assert ledger.neighbours("default", there.chunks[0].id) == []
    assert encoded(ledger, "Theirs.") == set()
    with pytest.raises(BadInput):
        ledger.tags_of("third", "a")


@pytest.mark.parametrize("name", ["a\0", "\ud800", "\0"])
def test_a_name_that_no_database_holds_is_unknown(ledger: Ledger, name: str) -> None:
    """To ask for it is no error of the database."""
    put(ledger, version("a"))
    assert ledger.find("default", name) is None
    with pytest.raises(BadInput):
        ledger.tags_of("default", name)
    assert len(ledger.current_versions("default", after=name)) == (name != "a\0")


def test_tags_change_at_once_and_until_the_index_holds_them_that_is_work(ledger: Ledger) -> None:
    """`set_tags` is what readers see next; `unindexed_tags` names the document until `mark_indexed`."""
    item = version("a")
    put(ledger, item)
    assert ledger.unindexed_tags() == []
    ledger.set_tags(item.version.key, CLOSED)
    assert ledger.tags_of("default", "a") == CLOSED
    assert {row.tags for row in ledger.passages("default", ids(item))} == {CLOSED}
    assert ledger.unindexed_tags() == [(item.version.key, CLOSED)]
    ledger.mark_indexed(item.version.key, CLOSED)
    assert ledger.unindexed_tags() == []


def test_a_document_on_its_way_out_is_invisible_and_then_gone(ledger: Ledger) -> None:
    """From `begin_delete` on nobody reads it; `finish_delete` takes all of it but encodings that others use."""
    gone, stays = version("gone", ("Shared.", "Own.")), version("stays", ("Shared.",))
    put(ledger, gone, stays)
    ledger.begin_delete(gone.version.key)
    assert ledger.find("default", "gone") is None
    assert ledger.versions_of(gone.version.key, text=True) == []
    assert [row.document_id for row in ledger.passages("default", ids(gone, stays))] == ["stays"]
    assert ledger.deleting() == [gone.version.key]
    ledger.finish_delete(gone.version.key)
    assert ledger.deleting() == []
    assert ledger.hidden_of(gone.version.key, 1) == []
    assert encoded(ledger, "Shared.", "Own.") == {"Shared."}
    with pytest.raises(LookupError):
        ledger.version(gone.version.key, 1)
    put(ledger, gone)  # and it may come again
    assert ledger.find("default", "gone") == gone.version.key


def test_a_sweep_takes_superseded_chunks_after_their_grace(ledger: Ledger) -> None:
    """Chunks of an old version go with their encodings once the grace is over; its text stays."""
    first, second = version("a", ("Old.", "Kept.")), version("a", ("Kept.", "New."), number=2)
    put(ledger, first)
    put(ledger, second)
    ledger.sweep(older_than_s=3600)
    assert len(ledger.passages("default", ids(first))) == 2
    ledger.sweep(older_than_s=-1)
    assert ledger.passages("default", ids(first)) == []
    assert [row.text for row in ledger.versions_of(first.version.key, text=True)] == ["Old.\nKept.", "Kept.\nNew."]
    assert encoded(ledger, "Old.", "Kept.", "New.") == {"Kept.", "New."}


def test_a_passage_of_an_old_version_carries_the_tags_of_now(ledger: Ledger) -> None:
    """Whoever may not read the document now can be kept from what it said before."""
    first = version("a")
    put(ledger, first)
    put(ledger, version("a", ("New.",), number=2, tags=CLOSED))
    assert {(row.state, row.tags, row.current_tags) for row in ledger.passages("default", ids(first))} == {
        ("superseded", OPEN, CLOSED)
    }


def test_neighbours_are_the_chunks_beside(ledger: Ledger) -> None:
    """One before and one after, in reading order, fewer at the ends."""
    item = version("a", ("One.", "Two.", "Three."))
    put(ledger, item)
    one, two, three = ids(item)
    assert ledger.neighbours("default", two) == [one, three]
    assert ledger.neighbours("default", one) == [two]


def test_pages_of_documents_are_in_the_same_order_everywhere(ledger: Ledger) -> None:
    """Sorted by code point, whatever the database thinks of languages, so that a cursor means the same."""
    names = ["a", "a/b", "a-b", "A", "B", "_", "é", "z", "Z", "10", "9"]
    put(ledger, *(version(name, (f"{name}.",)) for name in names))
    found: list[str] = []
    while page := ledger.current_versions("default", after=found[-1] if found else "", limit=3):
        found += [row.document_id for row in page]
    assert found == sorted(names)


def test_long_lists_are_asked_in_parts(ledger: Ledger) -> None:
    """More ids than one statement takes."""
    item = version("a", [f"Piece {number}." for number in range(1200)])
    put(ledger, item)
    assert len(ledger.passages("default", ids(item))) == 1200
    assert len(encoded(ledger, *(f"Piece {number}." for number in range(1200)))) == 1200


def test_encodings_are_stored_once(ledger: Ledger) -> None:
    """What is there stays, what is new is added; dropping an encoder leaves the others'."""
    ledger.add_encodings("default", "encoder", [encoding("x")])
    ledger.add_encodings("default", "encoder", [replace(encoding("x"), dense=np.zeros(16, np.float32)), encoding("y")])
    known = ledger.known_encodings("default", "encoder", ["x", "y", "z"])
    assert known.keys() == {"x", "y"}
    assert known["x"].dense[1] == 2.0
    ledger.add_encodings("default", "other", [encoding("x")])
    ledger.drop_encoder("encoder")
    assert ledger.known_encodings("default", "encoder", ["x", "y"]) == {}
    assert ledger.known_encodings("default", "other", ["x"]).keys() == {"x"}


def test_facts_are_replaced_together(ledger: Ledger) -> None:
    """A fact has one value, and is None before."""
    assert ledger.fact("index") is None
    ledger.set_facts({"index": "1", "encoder": "e"})
    ledger.set_facts({"index": "2"})
    assert (ledger.fact("index"), ledger.fact("encoder")) == ("2", "e")


def test_a_ledger_opens_again_with_what_it_holds(ledger: Ledger, url: str) -> None:
    """Migrations run once; a second opening finds everything."""
    put(ledger, version("a"))
    again = open_ledger(url)
    assert [row.document_id for row in again.current_versions("default")] == ["a"]
    again.close()


def test_two_first_openings_at_once_make_one_schema(url: str) -> None:
    """Processes that start together do not trip over each other's migrations."""
    opened: list[Ledger] = []
    barrier = threading.Barrier(3)

    def first() -> None:
        barrier.wait()
        opened.append(open_ledger(url))

    threads = [threading.Thread(target=first) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [ledger.counts()["documents"] for ledger in opened] == [0, 0, 0]
    for ledger in opened:
        ledger.close()


def finding(start: int, end: int, score: float = 0.99) -> Finding:
    return Finding(kind="override", score=score, start=start, end=end, reason="Überschrieben.")


def screened(ledger: Ledger, *items: StagedVersion) -> dict[str, tuple[Finding, ...] | None]:
    """What readers of each chunk meet; None where no screener saw its version."""
    found = {row.chunk.id: row.screening for row in ledger.passages("default", ids(*items))}
    return {key: found[key] and found[key].findings for key in ids(*items)}  # type: ignore[union-attr]


def test_findings_are_kept_and_lie_on_the_chunks_that_they_touch(ledger: Ledger) -> None:
    """Exactly those that share a character with a chunk, or stand on a line that is one of its headings."""
    across, first, gap = finding(2, 8), finding(0, 1, 0.5), finding(6, 7)
    screening = Screening(screener="s1", findings=(first, across, gap), failed=("rules",))
    item = version("a", ("First.", "Second."), screening=screening)
    bare = version("b")
    put(ledger, item, bare)
    assert ledger.version(item.version.key, 1).version.screening == screening
    assert ledger.version(bare.version.key, 1).version.screening is None
    one, two = item.chunks
    assert screened(ledger, item, bare) == {
        one.id: (first, across),
        two.id: (across,),
        **dict.fromkeys(ids(bare)),
    }
    (row,) = ledger.passages("default", [two.id])
    assert row.screening is not None
    assert (row.screening.screener, row.screening.failed) == ("s1", ("rules",))
    assert row.screening.peaks == {"override": 0.99}
    named = version("c", ("Über\nText.", "More."), screening=Screening(screener="s1", findings=(finding(0, 5),)))
    put(ledger, named)
    assert all(found == (finding(0, 5),) for found in screened(ledger, named).values())


def test_a_new_screening_replaces_the_old_one(ledger: Ledger) -> None:
    """At once and whole; what is gone meanwhile stays gone."""
    item = version("a", screening=Screening(screener="s1", findings=(finding(0, 3),)))
    put(ledger, item)
    ledger.save_screening(item, Screening(screener="s2", findings=(finding(8, 9),)))
    assert screened(ledger, item) == {item.chunks[0].id: (), item.chunks[1].id: (finding(8, 9),)}
    ledger.finish_delete(item.version.key)
    ledger.save_screening(item, Screening(screener="s3", findings=()))
    assert ledger.passages("default", ids(item)) == []
    assert ledger.outdated_screenings("s3") == []


def test_outdated_screenings_are_found_page_by_page(ledger: Ledger) -> None:
    """Never screened, by another screener or with a failure; staged versions too, superseded ones not."""
    done = Screening(screener="s2", findings=())
    items = [
        version("none"),
        version("older", screening=Screening(screener="s1", findings=(finding(0, 1),))),
        version("failed", screening=replace(done, failed=("x",))),
        version("done", screening=done),
    ]
    put(ledger, *items)
    ledger.stage([version("done", ("New.",), number=2)], "default", "encoder", [encoding("New.")])
    found: list[tuple[str, int]] = []
    while page := ledger.outdated_screenings("s2", after=found[-1] if found else ("", 0), limit=1):
        found += page
    keys = {item.version.document_id: item.version.key for item in items}
    assert found == sorted([(keys["none"], 1), (keys["older"], 1), (keys["failed"], 1), (keys["done"], 2)])
    assert len(ledger.outdated_screenings(None)) == 5
    assert ledger.screening_counts("s2") == {"unscreened": 1, "older_screener": 1, "failed": 1, "with_findings": 1}
    ledger.settle([version("done", ("New.",), number=2)])
    ledger.begin_delete(keys["none"])
    assert ledger.screening_counts("s2")["unscreened"] == 1
    assert (keys["done"], 1) not in ledger.outdated_screenings(None)


def test_integrity_is_as_tagged_or_as_the_kind_of_source_says(ledger: Ledger) -> None:
    """Mail comes from outside unless somebody says otherwise; all else is the house's own."""
    reviewed = OPEN.model_copy(update={"integrity": Integrity.reviewed})
    cases = {
        "text": (version("text"), Integrity.internal),
        "mail": (version("mail", media_type="message/rfc822"), Integrity.external),
        "outlook": (version("outlook", media_type="application/vnd.ms-outlook"), Integrity.external),
        "tagged": (version("tagged", media_type="message/rfc822", tags=reviewed), Integrity.reviewed),
    }
    for item, expected in cases.values():
        put(ledger, item)
        assert {row.integrity for row in ledger.passages("default", ids(item))} == {expected}
        assert ledger.version(item.version.key, 1).version.integrity == expected


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(_TEXT, min_size=1, max_size=4))
def test_offsets_count_characters(ledger: Ledger, pieces: list[str]) -> None:
    """A passage is the slice of the text that Python would cut, in every script and beyond the basic plane."""
    item = version("a", pieces)
    put(ledger, item)
    found = {row.chunk.ordinal: row.text for row in ledger.passages("default", ids(item))}
    assert found == dict(enumerate(pieces))
    ledger.finish_delete(item.version.key)


def test_a_database_that_counts_bytes_is_refused(postgres: str) -> None:
    """Offsets would mean something else in it: the error says how to make a database that counts characters."""
    with fresh_database(postgres, encoding="SQL_ASCII") as url, pytest.raises(DependencyDown, match="UTF8"):
        open_ledger(url)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql+psycopg://nobody@127.0.0.1:1/none", "ledger_down"),
        ("postgresql+nodriver://localhost/x", "bad_database_url"),
        ("nonsense", "bad_database_url"),
    ],
)
def test_a_ledger_that_cannot_be_opened_says_why(url: str, code: str) -> None:
    """A database that is down and a URL that names none are told apart, each with what to do."""
    with pytest.raises((DependencyDown, BadInput)) as caught:
        open_ledger(url)
    assert caught.value.code == code
    assert caught.value.next_step


def test_a_password_is_not_repeated() -> None:
    """An error about a database shows nothing of its password."""
    with pytest.raises(DependencyDown) as caught:
        open_ledger("postgresql+psycopg://nobody:sesame@127.0.0.1:1/none")
    assert "sesame" not in str(caught.value)
