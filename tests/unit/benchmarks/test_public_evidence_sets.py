"""What the converters of `benchmarks.public_sets.evidence` write is what `groundwire eval support` reads."""

from __future__ import annotations

from pathlib import Path

from benchmarks.public_sets import write
from benchmarks.public_sets.evidence import SETS
from evals.support import read_cases


def test_wice_keeps_labels_and_supporting_sets(tmp_path: Path) -> None:
    """Partly supported claims are `partial`, and sets without a sentence are left out."""
    claims = [
        {
            "id": "a",
            "label": "partially_supported",
            "claim": "A and B.",
            "evidence": ["A.", "C."],
            "supporting_sentences": [[0]],
        },
        {"id": "b", "label": "not_supported", "claim": "D.", "evidence": ["A."], "supporting_sentences": [[]]},
    ]
    write(tmp_path / "in/claims.jsonl", claims)
    SETS["wice"](tmp_path / "in", tmp_path / "out")
    first, second = read_cases(tmp_path / "out/claims.jsonl")
    assert (first.label, first.supporting, first.evidence) == ("partial", ((0,),), ("A.", "C."))
    assert (second.label, second.supporting) == ("not_supported", ())


def test_clapnq_answers_stand_on_selected_and_on_other_sentences(tmp_path: Path) -> None:
    """Each answer is a case twice: on what was selected for it, and on the rest of the passage."""
    passage = {"title": "T", "text": "A. B. C.", "sentences": ["A.", "B.", "C."]}
    answer = {"answer": "It is B.", "selected_sentences": ["B."]}
    everything = {"answer": "It is A, B and C.", "selected_sentences": ["A.", "B.", "C."]}
    write(tmp_path / "in/questions.jsonl", [{"id": "q", "passages": [passage], "answers": [answer, everything]}])
    SETS["clapnq-sentences"](tmp_path / "in", tmp_path / "out")
    found = {case.id: case for case in read_cases(tmp_path / "out/claims.jsonl")}
    assert set(found) == {"q-0-selected", "q-0-others"}
    assert (found["q-0-selected"].evidence, found["q-0-selected"].label) == (("B.",), "supported")
    assert (found["q-0-others"].evidence, found["q-0-others"].label) == (("A.", "C."), "not_supported")
    assert found["q-0-others"].context == "T"
