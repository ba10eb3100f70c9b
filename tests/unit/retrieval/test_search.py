"""Hybrid search over the Edge engine, with an encoder that hashes words and a library in memory."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.encoder import TokenVectors
from ingest.errors import BadInput
from ingest.ledger.rows import ChunkScreening
from ingest.tags import AccessTags, Classification
from retrieval.access import Principal, ReadScope, read_scope
from retrieval.chunk_index import chunk_points, index_config, of_document
from retrieval.edge import open_edge
from retrieval.evidence import Hit, Passage
from retrieval.index import Delete, Upsert, VectorIndex
from retrieval.sanitising import Sanitised
from retrieval.search import Found, Retriever
from tests.doubles.encoder import HashEncoder

ENCODER = HashEncoder(dimensions=32)
READER = read_scope(Principal(subject="ann", clearance=Classification.internal))
HIDDEN = AccessTags(allow=frozenset({"group:board"}))
OPEN = AccessTags(allow=frozenset({"public"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document of one version."""

    name: str
    chunks: tuple[str, ...]
    title: str = ""
    tags: AccessTags = OPEN
    number: int = 1


HANDBOOK = (
    Document(name="leave.md", title="Parental leave", chunks=("Sixteen weeks are paid.", "Tell the office early.")),
    Document(name="vans.md", title="Vans", chunks=("A van is charged at night.", "The depot keeps every van key.")),
    Document(name="POLARBAY_2021.pdf", title="Report", chunks=("Revenue was high.", "Revenue 1,200 and 3,400 in 2021")),
    Document(name="POLARBAY_2022.pdf", title="Report", chunks=("Revenue was low.", "Revenue 1,500 and 3,900 in 2022")),
    Document(name="NORCAP_2022.pdf", title="Report", chunks=("Revenue was fine.", "Revenue 9,500 and 7,900 in 2022")),
)


@dataclass(slots=True)
class Memory:
    """The part of the library that a search reads, in memory."""

    passages_by_id: dict[str, tuple[Passage, AccessTags]] = field(default_factory=dict)

    async def passages(self, scope: ReadScope, chunk_ids: Sequence[str]) -> dict[str, Passage]:
        """Those that the scope permits."""
        known = ((key, self.passages_by_id[key]) for key in chunk_ids if key in self.passages_by_id)
        return {key: passage for key, (passage, tags) in known if scope.permits(tags)}

    async def tokens(self, scope: ReadScope, chunk_ids: Sequence[str]) -> dict[str, TokenVectors]:
        """Token vectors of those that the scope permits."""
        found = await self.passages(scope, chunk_ids)
        return {key: ENCODER.encode([passage.text]).tokens[0] for key, passage in found.items()}


@dataclass(slots=True, kw_only=True)
class Shelf:
    """An index, a library and a retriever over both, on a loop of their own."""

    index: VectorIndex
    library: Memory
    retriever: Retriever
    loop: asyncio.AbstractEventLoop

    def put(self, *documents: Document) -> None:
        points = []
        for document in documents:
            version = _version(document)
            points += chunk_points(version)
            for chunk, text in zip(version.staged.chunks, document.chunks, strict=True):
                self.library.passages_by_id[chunk.id] = (_passage(document, chunk.id, text), document.tags)
        self.loop.run_until_complete(self.index.update([Upsert(points=points)]))

    def remove(self, *documents: Document) -> None:
        for document in documents:
            self.loop.run_until_complete(self.index.update([Delete(where=of_document(document.name))]))
            for n in range(len(document.chunks)):
                self.library.passages_by_id.pop(_id(document, n), None)

    def search(self, question: str, scope: ReadScope = READER, **options: Any) -> Sanitised:
        return self.loop.run_until_complete(self.retriever.search(question, scope, **options))


def _id(document: Document, ordinal: int) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{document.name} {document.number} {ordinal}"))


def _version(document: Document) -> Any:
    """What the pipeline hands to the publisher, as far as a chunk in the index needs it."""
    text = "\n".join(document.chunks)
    starts = np.cumsum([0, *(len(chunk) + 1 for chunk in document.chunks)]).tolist()
    chunks = [
        SimpleNamespace(id=_id(document, n), ordinal=n, start=starts[n], end=starts[n] + len(chunk), headings=())
        for n, chunk in enumerate(document.chunks)
    ]
    row = SimpleNamespace(
        key=document.name,
        number=document.number,
        title=document.title,
        source_uri=document.name,
        tags=document.tags,
        text=text,
    )
    dense = ENCODER.encode(document.chunks).dense
    return SimpleNamespace(staged=SimpleNamespace(version=row, chunks=chunks), dense=dense)


def _passage(document: Document, chunk_id: str, text: str) -> Passage:
    return Passage(
        chunk_id=chunk_id,
        document_id=document.name,
        version=document.number,
        title=document.title,
        source_uri=document.name,
        text=text,
        start=0,
        end=len(text),
        page=None,
        page_end=None,
        headings=(),
        screening=ChunkScreening(screener="none", failed=(), findings=(), peaks={}),
    )


@contextmanager
def open_shelf(folder: Path) -> Iterator[Shelf]:
    loop = asyncio.new_event_loop()
    index = loop.run_until_complete(open_edge(folder, index_config(ENCODER.dimensions)))
    library = Memory()
    try:
        yield Shelf(index=index, library=library, retriever=Retriever(index, library, ENCODER), loop=loop)
    finally:
        loop.run_until_complete(index.close())
        loop.close()


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    with open_shelf(tmp_path_factory.mktemp("index")) as opened:
        opened.put(*HANDBOOK)
        yield opened


def texts(hits: Sequence[Hit]) -> list[str]:
    return [hit.passage.text for hit in hits]


def figures(hits: Sequence[Hit]) -> list[tuple[object, ...]]:
    return [(hit.passage.chunk_id, hit.score, *hit.legs.items()) for hit in hits]


def test_the_best_passage_comes_first(shelf: Shelf) -> None:
    """A passage that says what is asked for is found, with the score of each leg."""
    hits = shelf.search("When is a van charged?", k=3)
    assert texts(hits)[0] == "A van is charged at night."
    assert len(hits) == 3
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert hits[0].legs["lexical"] > 0
    assert hits[0].legs["dense"] > 0
    assert hits[0].legs["late"] > 0
    assert hits[0].tokens is not None


def test_a_named_document_goes_before_others(shelf: Shelf) -> None:
    """Of three like reports the one of the company and the year in question is found."""
    hits = shelf.search("What was the revenue of Polar Bay in FY22?", k=2)
    assert {hit.passage.document_id for hit in hits} == {"POLARBAY_2022.pdf"}
    assert hits[0].legs["named"] > 0


def test_a_number_is_sought_in_figures(shelf: Shelf) -> None:
    """A question for an amount prefers the passage with figures."""
    assert texts(shelf.search("How much revenue had Norcap?", k=1)) == ["Revenue 9,500 and 7,900 in 2022"]


def test_k_and_per_document_bound_the_hits(shelf: Shelf) -> None:
    """Never more than k, nor more than `per_document` of one document; k beyond the corpus gives all of it."""
    assert len(shelf.search("revenue", k=1)) == 1
    single = shelf.search("revenue", k=10, per_document=1)
    assert len({hit.passage.document_id for hit in single}) == len(single) > 1
    assert len(shelf.search("revenue", k=500)) == sum(len(document.chunks) for document in HANDBOOK)


def test_a_question_without_terms_still_searches(shelf: Shelf) -> None:
    """Stop words alone have no lexical leg; the other legs answer."""
    assert len(shelf.search("what is it?", k=2)) == 2


@pytest.mark.parametrize(("question", "code"), [(" \n", "empty_question"), ("x" * 10_001, "question_too_long")])
def test_questions_that_cannot_be_asked(shelf: Shelf, question: str, code: str) -> None:
    """Nothing but white space, and more characters than allowed, are refused by name."""
    with pytest.raises(BadInput) as caught:
        shelf.search(question)
    assert caught.value.code == code


def test_whoever_may_read_nothing_finds_nothing(shelf: Shelf) -> None:
    """Another tenant's reader gets no hit and no error."""
    assert not shelf.search("revenue", read_scope(Principal(subject="eve", tenant="other")))


def test_what_the_library_does_not_give_is_dropped(shelf: Shelf) -> None:
    """When the index lags behind the ledger, the ledger decides."""
    best = shelf.search("When is a van charged?", k=1)[0]
    kept = shelf.library.passages_by_id.pop(best.passage.chunk_id)
    try:
        assert best.passage.text not in texts(shelf.search("When is a van charged?", k=10))
    finally:
        shelf.library.passages_by_id[best.passage.chunk_id] = kept


def test_one_document_never_shows_two_versions(shelf: Shelf) -> None:
    """While a version takes over, only the newer one is shown."""
    newer = Document(name="vans.md", title="Vans", chunks=("A van is charged at noon.",), number=2)
    shelf.put(newer)
    try:
        hits = shelf.search("When is a van charged?", k=10)
        assert {hit.passage.version for hit in hits if hit.passage.document_id == "vans.md"} == {2}
    finally:
        shelf.remove(newer)
        shelf.put(*HANDBOOK)


def test_the_same_question_twice_gives_the_same_hits(shelf: Shelf) -> None:
    """Scores and order are deterministic, ties go by id."""
    assert figures(shelf.search("revenue", k=10)) == figures(shelf.search("revenue", k=10))


WORDS = ("revenue", "van", "Polar", "Bay", "POLARBAY_2022", "leave", "2022", "charged", "weeks", "9,500")
hidden_documents = st.lists(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join), min_size=1, max_size=3),
    min_size=1,
    max_size=4,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hidden_documents, st.sampled_from(["revenue of Polar Bay in 2022", "When is a van charged?", "weeks of leave"]))
def test_hidden_documents_change_nothing(shelf: Shelf, contents: list[list[str]], question: str) -> None:
    """Adding and removing documents that the asker may not read changes no hit, score or leg by one bit."""
    before = figures(shelf.search(question, k=20))
    hidden = [
        Document(name=f"{n}-{text[0]}.md", title=text[0], chunks=tuple(text), tags=HIDDEN)
        for n, text in enumerate(contents)
    ]
    shelf.put(*hidden)
    try:
        assert figures(shelf.search(question, k=20)) == before
    finally:
        shelf.remove(*hidden)
    assert figures(shelf.search(question, k=20)) == before


def test_order_of_arrival_changes_nothing(tmp_path: Path) -> None:
    """Documents give the same hits and scores in whatever order they came."""
    found = []
    for name, documents in (("forth", HANDBOOK), ("back", HANDBOOK[::-1])):
        with open_shelf(tmp_path / name) as opened:
            opened.put(*documents)
            found.append(figures(opened.search("revenue of Polar Bay in 2022", k=20)))
    assert found[0] == found[1]


def test_reading_again_gives_the_hits_that_were_found(shelf: Shelf) -> None:
    """What a run found is read again with its scores and token vectors, and without what the scope does not permit."""
    hits = shelf.search("When is a van charged?", k=3)
    found = [Found(chunk_id=hit.passage.chunk_id, score=hit.score, legs=hit.legs) for hit in hits]
    again = shelf.loop.run_until_complete(shelf.retriever.reread(found, READER))
    assert figures(again) == figures(hits)
    assert all(hit.tokens is not None for hit in again)
    stranger = read_scope(Principal(subject="eve", tenant="other", clearance=Classification.internal))
    assert not len(shelf.loop.run_until_complete(shelf.retriever.reread(found, stranger)))
