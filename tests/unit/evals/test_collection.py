"""Collections in the layout of BEIR."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.collection import read_collection
from evals.json_lines import spread
from evals.own_home import fingerprint, own_home
from ingest.errors import BadInput
from orchestrator.settings import Settings

CORPUS = [{"_id": "d1", "title": "One", "text": "first"}, {"_id": "d2", "title": "Two", "text": "second", "deny": "x"}]
QUERIES = [{"_id": "q1", "text": "which?"}, {"_id": "q2", "text": "none"}, {"_id": "q3", "text": "both"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq3\td1\t2\nq3\td2\t1\nq2\td2\t0\n"


def lines(records: list[dict[str, str]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def lay_out(folder: Path, changes: Mapping[str, str | None] | None = None) -> Path:
    files = {"corpus.jsonl": lines(CORPUS), "queries.jsonl": lines(QUERIES), "qrels.tsv": QRELS} | dict(changes or {})
    for name, content in files.items():
        if content is not None:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(content, "utf-8")
    return folder


def test_a_collection_has_the_queries_that_have_something_relevant(tmp_path: Path) -> None:
    """Queries keep their order and their relevance; one that was judged 0 everywhere is left out."""
    collection = read_collection(lay_out(tmp_path / "tiny"))
    assert collection.name == "tiny"
    assert collection.documents == 2
    assert {query.id: dict(query.gains) for query in collection.queries} == {"q1": {"d1": 1}, "q3": {"d1": 2, "d2": 1}}


def test_records_hold_id_title_and_text_alone(tmp_path: Path) -> None:
    """No other field of a corpus reaches the ingest, where it could be taken for an access tag."""
    records = list(read_collection(lay_out(tmp_path)).records())
    assert records[1] == {"id": "d2", "title": "Two", "text": "second"}


def test_a_record_with_a_title_alone_is_its_title(tmp_path: Path) -> None:
    """BEIR's documents without a text are found by their title."""
    corpus = lines([*CORPUS, {"_id": "d3", "title": "Only this", "text": ""}])
    records = list(read_collection(lay_out(tmp_path, {"corpus.jsonl": corpus})).records())
    assert records[2]["text"] == "Only this"


def test_qrels_may_lie_in_their_folder(tmp_path: Path) -> None:
    """qrels/test.tsv, as BEIR has it, is read like qrels.tsv."""
    folder = lay_out(tmp_path, {"qrels.tsv": None, "qrels/test.tsv": QRELS})
    assert len(read_collection(folder).queries) == 2


def test_pages_of_files_are_named_by_file_and_page(tmp_path: Path) -> None:
    """Over a folder of files the qrels of page level name FILE#PAGE, and the file must be there."""
    page = "query-id\tcorpus-id\tscore\nq1\tsub/a#b.pdf#12\t1\n"
    folder = lay_out(tmp_path, {"corpus.jsonl": None, "corpus/sub/a#b.pdf": "x", "qrels.tsv": page})
    assert dict(read_collection(folder, "page").queries[0].gains) == {"sub/a#b.pdf#12": 1.0}
    with pytest.raises(BadInput) as refused:
        read_collection(folder, "document")
    assert refused.value.code == "unknown_document"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"corpus.jsonl": None}, "missing_corpus"),
        ({"corpus/a.txt": "x"}, "two_corpora"),
        ({"qrels.tsv": None}, "missing_qrels"),
        ({"qrels/test.tsv": QRELS}, "two_qrels"),
        ({"queries.jsonl": None}, "missing_file"),
        ({"qrels.tsv": "q9\td1\t1\n"}, "unknown_query"),
        ({"qrels.tsv": "q1\td9\t1\n"}, "unknown_document"),
        ({"qrels.tsv": "q1\td1\t1\nq1\td1\t0\n"}, "contradiction"),
        ({"qrels.tsv": "q1 d1 1\n"}, "bad_qrel"),
        ({"qrels.tsv": "q1\td1\tmuch\n"}, "bad_qrel"),
        ({"qrels.tsv": "q1\td1\tnan\n"}, "bad_qrel"),
        ({"qrels.tsv": "query-id\tcorpus-id\tscore\nq2\td2\t0\n"}, "no_queries"),
        ({"queries.jsonl": lines([*QUERIES, QUERIES[0]])}, "duplicate_id"),
        ({"corpus.jsonl": lines([*CORPUS, CORPUS[0]])}, "duplicate_id"),
        ({"corpus.jsonl": '{"title": "no id"}\n'}, "missing_field"),
        ({"queries.jsonl": '{"_id": "q1"}\n'}, "missing_field"),
        ({"queries.jsonl": "[1]\n"}, "not_json"),
        ({"queries.jsonl": "{broken\n"}, "not_json"),
    ],
)
def test_what_is_missing_or_contradicts_itself_is_named(
    tmp_path: Path, changes: Mapping[str, str | None], code: str
) -> None:
    """Each fault of a collection is a BadInput with a code and a place of its own."""
    folder = lay_out(tmp_path, changes)
    with pytest.raises(BadInput) as refused:
        read_collection(folder)
    assert refused.value.code == code
    assert str(folder) in refused.value.item


@pytest.mark.parametrize("target", ["a.pdf", "a.pdf#0", "a.pdf#-1", "a.pdf#x", "#"])
def test_a_page_that_is_none_is_refused(tmp_path: Path, target: str) -> None:
    """At page level a corpus-id without a page from 1 on is a mistake of the qrels."""
    folder = lay_out(tmp_path, {"corpus.jsonl": None, "corpus/a.pdf": "x", "qrels.tsv": f"q1\t{target}\t1\n"})
    with pytest.raises(BadInput) as refused:
        read_collection(folder, "page")
    assert refused.value.code == "bad_page"


def test_records_have_no_pages(tmp_path: Path) -> None:
    """Page level over corpus.jsonl is refused."""
    with pytest.raises(BadInput) as refused:
        read_collection(lay_out(tmp_path), "page")
    assert refused.value.code == "no_pages"


@given(st.lists(st.integers(), max_size=40), st.integers(1, 50))
def test_a_limit_keeps_a_part_in_order_from_everywhere(items: list[int], limit: int) -> None:
    """As many items as asked for, in order, no two gaps between them differing by more than one."""
    numbered = list(enumerate(items))
    places = [place for place, _ in spread(numbered, limit)]
    assert len(places) == min(limit, len(items))
    gaps = {after - before for before, after in pairwise(places)}
    assert not gaps or (min(gaps) >= 1 and max(gaps) - min(gaps) <= 1)


def test_a_home_of_its_own_stays_on_this_machine_and_changes_with_the_corpus(tmp_path: Path) -> None:
    """The home of an evaluation lies below the given one, uses no server, and is another for another content."""
    corpus = tmp_path / "corpus.jsonl"
    corpus.write_text("one")
    settings = Settings(home=tmp_path / "home", database_url="postgresql://server/prod", qdrant_url="http://server")
    first = own_home(settings, "tiny", [corpus])
    assert first.home.parent == tmp_path / "home" / "evals"
    assert first.embedded
    assert first.ledger_url.startswith("sqlite:")
    assert own_home(settings, "tiny", [corpus]).home == first.home
    other_encoder = settings.model_copy(update={"encoder_model": "another"})
    assert own_home(other_encoder, "tiny", [corpus]).home != first.home
    corpus.write_text("two")
    assert own_home(settings, "tiny", [corpus]).home != first.home


def test_a_fingerprint_covers_names_and_contents_of_a_folder(tmp_path: Path) -> None:
    """Moving text from one file to another, or renaming a file, is another revision."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "a.txt").write_text("1")
    (folder / "b.txt").write_text("2")
    before = fingerprint([folder])
    (folder / "a.txt").write_text("2")
    (folder / "b.txt").write_text("1")
    swapped = fingerprint([folder])
    (folder / "b.txt").rename(folder / "c.txt")
    assert len({before, swapped, fingerprint([folder])}) == 3
