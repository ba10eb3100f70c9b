"""What `python -m benchmarks.public_sets` makes of public sets is what `groundwire eval` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.public_sets.reading import SETS
from evals.collection import read_collection
from evals.golden import read_golden
from ingest.sources import Source, discover


def write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


def gold(folder: Path, level: Any = "document") -> dict[str, set[str]]:
    return {query.id: set(query.gains) for query in read_collection(folder, level).queries}


def test_squad2_gold_is_the_passage_of_an_answerable_question(tmp_path: Path) -> None:
    """Unanswerable questions are in the golden set alone; the others have their passage and every answer text."""
    write_lines(tmp_path / "in/passages.jsonl", [{"pid": "A#0", "title": "A", "text": "It began in May 1973."}])
    answers = [{"text": "May 1973", "start": 12}, {"text": "1973", "start": 16}, {"text": "1973", "start": 16}]
    questions = [
        {"qid": "yes", "pid": "A#0", "question": "When?", "answers": answers, "unanswerable": False},
        {"qid": "no", "pid": "A#0", "question": "Why?", "answers": [], "unanswerable": True},
    ]
    write_lines(tmp_path / "in/questions.jsonl", questions)
    SETS["squad2"](tmp_path / "in", tmp_path / "out")
    assert gold(tmp_path / "out") == {"yes": {"A#0"}}
    cases = {case.id: case for case in read_golden(tmp_path / "out/golden.jsonl")}
    assert cases["yes"].answerable
    assert cases["yes"].reference == ("1973", "May 1973")
    assert cases["yes"].reference_ids == ("A#0",)
    assert not cases["no"].answerable
    assert cases["no"].reference == ()


def test_xquad_has_a_collection_for_each_language(tmp_path: Path) -> None:
    """Passages and questions of one language never meet those of another, though they share their ids."""
    passages = [
        {"pid": f"{lang}:A#0", "lang": lang, "article": "Big_Ben", "text": text}
        for lang, text in [("en", "x"), ("de", "y")]
    ]
    questions = [
        {"qid": "q", "lang": lang, "pid": f"{lang}:A#0", "question": "?!", "answers": [{"text": "x", "start": 0}]}
        for lang in ("en", "de")
    ]
    write_lines(tmp_path / "in/passages.jsonl", passages)
    write_lines(tmp_path / "in/questions.jsonl", questions)
    SETS["xquad"](tmp_path / "in", tmp_path / "out")
    assert gold(tmp_path / "out/de") == {"q": {"de:A#0"}}
    records = list(read_collection(tmp_path / "out/en").records())
    assert records == [{"id": "en:A#0", "title": "Big Ben", "text": "x"}]


def test_financebench_pages_count_from_one(tmp_path: Path) -> None:
    """Page 0 of the data is page 1 of the gold; a question is kept where the document of its evidence is there."""
    write_lines(
        tmp_path / "in/pages.jsonl",
        [{"doc_name": "ACME_2022", "page": 0, "text": "Sales"}, {"doc_name": "ACME_2022", "page": 1, "text": " "}],
    )
    questions = [
        {"id": "here", "question": "?!", "evidence": [{"doc_name": "ACME_2022", "page": 0}]},
        {"id": "gone", "question": "?!", "evidence": [{"doc_name": "OTHER_2022", "page": 0}]},
    ]
    write_lines(tmp_path / "in/questions.jsonl", questions)
    (tmp_path / "in/pdfs").mkdir()
    (tmp_path / "in/pdfs/ACME_2022.pdf").write_bytes(b"%PDF-")
    SETS["financebench"](tmp_path / "in", tmp_path / "out")
    assert gold(tmp_path / "out/pages") == {"here": {"ACME_2022#1"}}
    assert gold(tmp_path / "out/pdfs", "page") == {"here": {"ACME_2022.pdf#1"}}


def test_clapnq_references_are_the_selected_sentences(tmp_path: Path) -> None:
    """A passage that two questions share is one document; a question without answer has neither gold nor reference."""
    passage = {"title": "T", "text": "One. Two.", "sentences": ["One.", "Two."]}
    answer = {"answer": "It is two.", "selected_sentences": ["Two."]}
    questions = [
        {"id": "1", "question": "a?", "passages": [passage], "answers": [answer], "unanswerable": False},
        {"id": "2", "question": "b?", "passages": [passage], "answers": [], "unanswerable": True},
    ]
    write_lines(tmp_path / "in/questions.jsonl", questions)
    SETS["clapnq"](tmp_path / "in", tmp_path / "out")
    assert gold(tmp_path / "out") == {"1": {"passage-0000"}}
    assert read_collection(tmp_path / "out").documents == 1
    assert [case.reference for case in read_golden(tmp_path / "out/golden.jsonl")] == [("Two.",), ()]


def test_a_departments_documents_are_for_its_group(tmp_path: Path) -> None:
    """The records carry access tags that the ingest takes as they are."""
    doc = {"path": "legal/nda.md", "department": "legal", "title": "NDA", "text": "# NDA"}
    write_lines(tmp_path / "in/docs.jsonl", [doc])
    SETS["sourcegraph"](tmp_path / "in", tmp_path / "out")
    (source,) = discover([tmp_path / "out/records.jsonl"], {})
    assert isinstance(source, Source)
    assert source.id == "legal/nda.md"
    assert source.tags.allow == {"group:legal"}
    assert source.tags.department == "legal"
