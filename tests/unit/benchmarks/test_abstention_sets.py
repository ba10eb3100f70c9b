"""Sets of questions without an answer: what is hidden is hidden from the one who asks, and from nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.public_sets import Record, abstention, read, write
from evals.golden import GoldenCase, read_golden
from ingest.tags import AccessTags

PASSAGES = [
    {"pid": "Ferry#0", "title": "Ferry", "text": "The ferry leaves at noon."},
    {"pid": "Ferry#1", "title": "Ferry", "text": "It takes an hour."},
    {"pid": "Town Hall#0", "title": "Town Hall", "text": "The hall opens at nine."},
]
QUESTIONS = [
    {"qid": "a", "pid": "Ferry#0", "question": "When?", "answers": [{"text": "noon"}], "unanswerable": False},
    {"qid": "b", "pid": "Town Hall#0", "question": "Who?", "answers": [], "unanswerable": True, "cause": "antonym"},
    {"qid": "c", "pid": "Town Hall#0", "question": "Why?", "answers": [], "unanswerable": True},
]


def converted(name: str, tmp_path: Path, files: dict[str, list[Record]]) -> tuple[list[Record], dict[str, GoldenCase]]:
    for file, records in files.items():
        write(tmp_path / "data" / file, records)
    abstention.SETS[name](tmp_path / "data", tmp_path / "out")
    cases = read_golden(tmp_path / "out" / "golden.jsonl")
    return list(read(tmp_path / "out" / "records.jsonl")), {case.id: case for case in cases}


def hidden_from(case: GoldenCase, records: list[Record]) -> set[str]:
    """The records whose tags deny them to whoever asks the case; each has tags that ingest takes."""
    assert case.principal
    fields = set(AccessTags.model_fields)
    tags: dict[str, Any] = {r["id"]: AccessTags(**{k: v for k, v in r.items() if k in fields}) for r in records}
    return {id_ for id_, tag in tags.items() if f"user:{case.principal.subject}" in tag.deny}


def test_squad_hides_the_article_and_names_the_cause(tmp_path: Path) -> None:
    """The same question again from somebody who may read nothing of its article; adversarial ones have their cause."""
    files = {"passages.jsonl": PASSAGES, "questions.jsonl": QUESTIONS}
    records, cases = converted("squad2-abstention", tmp_path, files)
    assert {id_: case.kind for id_, case in cases.items()} == {
        "a": "answerable",
        "a-hidden": "hidden",
        "b": "adversarial/antonym",
        "c": "adversarial/unnamed",
    }
    assert hidden_from(cases["a-hidden"], records) == {"Ferry#0", "Ferry#1"}
    assert cases["a-hidden"].answerable is False
    assert all(not hidden_from(cases[id_], records) for id_ in ("a", "b", "c"))
    assert cases["a"].reference == ("noon",)


def test_clapnq_hides_the_passage(tmp_path: Path) -> None:
    """The right answers are the selected sentences; the passage that only misleads stays readable."""
    questions = [
        {
            "id": "1",
            "question": "When?",
            "passages": [{"title": "Ferry", "text": "The ferry leaves at noon."}],
            "answers": [{"selected_sentences": ["The ferry leaves at noon."]}],
            "unanswerable": False,
        },
        {
            "id": "2",
            "question": "Why?",
            "passages": [{"title": "Hall", "text": "The hall opens at nine."}],
            "answers": [],
            "unanswerable": True,
        },
    ]
    records, cases = converted("clapnq-abstention", tmp_path, {"questions.jsonl": questions})
    assert {id_: case.kind for id_, case in cases.items()} == {
        "1": "answerable",
        "1-hidden": "hidden",
        "2": "misleading",
    }
    assert hidden_from(cases["1-hidden"], records) == {"passage-1"}
    assert cases["1"].reference == ("The ferry leaves at noon.",)
    assert cases["2"].reference_ids == ()


def test_mtrag_hides_every_passage_of_the_documents(tmp_path: Path) -> None:
    """Asked is the last turn; hidden are also passages that other tasks took from the same document."""

    def task(id_: str, kind: str, passages: list[str]) -> Record:
        contexts = [{"document_id": passage, "title": None, "text": "Text."} for passage in passages]
        turns = [{"speaker": "user", "text": "First?"}, {"speaker": "user", "text": f"Last {id_}?"}]
        return {"task_id": id_, "answerability": [kind], "turns": turns, "contexts": contexts}

    tasks = [
        task("x<::>1", "ANSWERABLE", ["ibm_007-0-90", "836_12-1-2-3"]),
        task("y<::>1", "PARTIAL", ["ibm_007-90-200", "ibm_008-0-90", "836_13-1-2-3"]),
        task("z<::>1", "UNANSWERABLE", []),
    ]
    records, cases = converted("mtrag-un", tmp_path, {"tasks.jsonl": tasks})
    assert hidden_from(cases["x<::>1-hidden"], records) == {
        "ibm_007-0-90",
        "ibm_007-90-200",
        "836_12-1-2-3",
        "836_13-1-2-3",
    }
    assert cases["y<::>1"].question == "Last y<::>1?"
    assert [(case.kind, case.answerable) for case in cases.values()] == [
        ("answerable", True),
        ("hidden", False),
        ("partial", True),
        ("unanswerable", False),
    ]


@pytest.mark.parametrize("name", abstention.SETS)
def test_no_document_is_somebody_elses(name: str) -> None:
    """Names of these sets are not those of others, so that one list can hold them all."""
    from benchmarks.public_sets import reading

    assert name not in reading.SETS
