from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from api.cli import groundwire
from evals.support import average_precision, evidence_overlap, judge_cases, read_cases, summarise
from ingest.errors import BadInput

CASES: list[dict[str, Any]] = [
    {
        "id": "carried",
        "claim": "Ines Roth approves trips outside of Europe.",
        "evidence": ["The canteen closes at two.", "Ines Roth approves trips outside Europe."],
        "label": "supported",
        "supporting": [[0, 1], [1]],
    },
    {
        "id": "in part",
        "claim": "Laptops are encrypted and repaired in Lisbon.",
        "evidence": ["Laptops are encrypted.", "The canteen closes at two."],
        "label": "partial",
        "supporting": [[0]],
    },
    {
        "id": "other",
        "claim": "Omar Diaz painted the ceiling in 1512.",
        "evidence": ["The canteen closes at two."],
        "label": "not_supported",
    },
]


def write(path: Path, cases: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(case) + "\n" for case in cases), "utf-8")
    return path


def test_figures_of_a_set(tmp_path: Path) -> None:
    """Carried claims rank first, the sentences that carry them are found, and contradictions are counted by label."""
    cases = read_cases(write(tmp_path / "set.jsonl", CASES))
    judged, seconds = judge_cases(cases)
    report = summarise(cases, judged)
    assert report["labels"] == {"supported": 1, "partial": 1, "not_supported": 1}
    assert report["auroc"]["value"] == report["auroc_partial_as_supported"]["value"] == 1.0
    assert report["average_precision_partial_as_not"]["value"] == 1.0
    assert report["sentence_precision"]["value"] == report["sentence_recall"]["value"] == 1.0
    assert report["contradicted"]["supported"]["value"] == 0.0
    assert report["contradicted"]["not_supported"]["value"] == 1.0
    assert seconds >= 0.0


@pytest.mark.parametrize("arguments", [[], ["--no-vectors"]])
def test_the_command_prints_the_report(tmp_path: Path, arguments: list[str]) -> None:
    """`eval support --json` gives the figures with their intervals, the rule and the encoder, and each case a line."""
    path, lines = write(tmp_path / "set.jsonl", CASES), tmp_path / "cases.jsonl"
    options = ["--set", str(path), "--home", str(tmp_path / "home"), "--cases", str(lines), "--json", *arguments]
    result = CliRunner().invoke(groundwire, ["eval", "support", *options])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["auroc"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert (report["encoder"] is None) == bool(arguments)
    assert [json.loads(line)["id"] for line in lines.read_text().splitlines()] == ["carried", "in part", "other"]


@pytest.mark.parametrize(
    ("change", "code"),
    [({"label": "maybe"}, "bad_case"), ({"supporting": [[2]]}, "bad_case"), ({"id": "other"}, "duplicate_id")],
)
def test_a_set_that_cannot_be_used_is_refused(tmp_path: Path, change: dict[str, Any], code: str) -> None:
    """A label that does not exist, a sentence that is not there and an id that was used are named with their line."""
    path = write(tmp_path / "set.jsonl", [CASES[2], CASES[0] | change])
    with pytest.raises(BadInput, match=r"set\.jsonl:2") as raised:
        read_cases(path)
    assert raised.value.code == code


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    """A file without a case measures nothing."""
    with pytest.raises(BadInput, match="no case"):
        read_cases(write(tmp_path / "set.jsonl", []))


def test_overlap_counts_sentences_whatever_their_spelling() -> None:
    """Spacing, case, punctuation and a sentence cut in two do not matter; other sentences do."""
    gold = ["Ines Roth approves trips , outside Europe .", "Meals are refunded up to 40 EUR a day."]
    found = evidence_overlap(["Ines Roth approves trips, outside Europe.", "Laptops are encrypted."], gold)
    assert (found.precision, found.recall, found.f1) == (0.5, 0.5, 0.5)
    assert evidence_overlap(["Meals are refunded"], gold).recall == 0.5
    assert evidence_overlap([], gold).f1 == evidence_overlap(gold, []).f1 == 0.0


@given(st.lists(st.text(max_size=60), max_size=5), st.lists(st.text(max_size=60), max_size=5))
def test_overlap_is_a_share_and_turns_around(cited: list[str], gold: list[str]) -> None:
    """Each share lies between 0 and 1; exchanging the sides exchanges precision and recall."""
    one, other = evidence_overlap(cited, gold), evidence_overlap(gold, cited)
    assert 0.0 <= one.precision <= 1.0
    assert (one.precision, one.recall) == (other.recall, other.precision)


def test_average_precision_of_known_rankings() -> None:
    """The figures of rankings that can be worked out by hand; equal scores come together."""
    assert average_precision([3, 2, 1], [1, 0, 1]) == pytest.approx((1 + 2 / 3) / 2)
    assert average_precision([1, 1, 1, 1], [1, 0, 0, 0]) == pytest.approx(0.25)
    assert average_precision([1, 2], [0, 0]) == 0.0


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=20), st.randoms())
def test_average_precision_does_not_depend_on_the_order_of_the_rows(rows: list[tuple[int, bool]], random: Any) -> None:
    """Ties are not broken by place."""
    shuffled = random.sample(rows, len(rows))
    one, other = (average_precision(*np.array(given).T) for given in (rows, shuffled))
    assert one == pytest.approx(other)
