"""`eval pii` counts exact spans by type, shows what was touched beside them, and says what it cannot judge."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from api.cli import groundwire
from evals.personal_data import AnnotatedText, evaluate_personal_data, judge, summarise
from ingest.errors import BadInput
from orchestrator.personal_data.chain import DetectorChain, standard_chain
from orchestrator.personal_data.detection import Entity

TEXT = "Write to ann@example.com or bo@example.com since 1999."


def written(tmp_path: Path, *texts: dict[str, Any]) -> Path:
    path = tmp_path / "set.jsonl"
    path.write_text("".join(json.dumps(text) + "\n" for text in texts), "utf-8")
    return path


def span(kind: str, part: str, text: str = TEXT) -> dict[str, Any]:
    return {"type": kind, "start": text.index(part), "end": text.index(part) + len(part)}


def test_exact_spans_and_touched_ones(tmp_path: Path) -> None:
    """One of two right, one found a little elsewhere: half of everything, and all touched."""
    spans = [span("EMAIL_ADDRESS", "ann@example.com"), span("EMAIL_ADDRESS", "to ann"), span("PERSON", "bo")]
    spans[1] = span("EMAIL_ADDRESS", "o@example.com")
    report, cases = evaluate_personal_data(written(tmp_path, {"id": "1", "text": TEXT, "spans": spans}))
    figures = report["by_type"]["EMAIL_ADDRESS"]
    assert [figures[name]["value"] for name in ("precision", "recall", "f1", "touched")] == [0.5, 0.5, 0.5, 1.0]
    assert figures["f1"]["low"] < 0.5 < figures["f1"]["high"]
    assert figures["n"] == 2
    assert report["not_covered"] == {"PERSON": 1}
    assert [case["type"] for case in cases[0]["false"]] == ["EMAIL_ADDRESS"]
    assert "bo@" not in json.dumps(cases)


def test_older_names_and_years_alone(tmp_path: Path) -> None:
    """ADDRESS is STREET_ADDRESS, a date of birth a DATE_TIME, and a year alone is neither a hit nor a miss."""
    text = "Born 5 May 1990 at 12 Main Street, since 1999"
    spans = [
        span("DATE_TIME", "5 May 1990", text),
        span("ADDRESS", "12 Main Street", text),
        span("DATE_TIME", "1999", text),
    ]
    report, _ = evaluate_personal_data(written(tmp_path, {"id": "1", "text": text, "spans": spans}))
    assert {kind: figures["f1"]["value"] for kind, figures in report["by_type"].items()} == {
        "DATE_TIME": 1.0,
        "STREET_ADDRESS": 1.0,
    }
    assert report["by_type"]["DATE_TIME"]["n"] == 1
    assert report["bare_years"] == 1


def test_false_finds_of_a_set_without_labels(tmp_path: Path) -> None:
    """What is found where nothing is labelled is counted by type and per 10,000 words."""
    report, _ = evaluate_personal_data(written(tmp_path, {"id": "1", "text": TEXT}))
    assert report["by_type"] == {}
    assert report["words"] == 7
    assert report["not_labelled"] == {"EMAIL_ADDRESS": {"n": 2, "per_10000_words": 2857.14}}


@pytest.mark.parametrize(
    "bad",
    [
        {"id": "1"},
        {"id": "1", "text": "x", "spans": [{"type": "A", "start": 0, "end": 2}]},
        {"id": "1", "text": "x", "spans": [{"type": "A", "start": 0}]},
    ],
)
def test_a_set_that_cannot_be_used(tmp_path: Path, bad: dict[str, Any]) -> None:
    """A text without its fields, or a span outside of it, is refused with its place; so is an empty set."""
    with pytest.raises(BadInput, match=r"set\.jsonl:1"):
        evaluate_personal_data(written(tmp_path, bad))
    with pytest.raises(BadInput, match="no text"):
        evaluate_personal_data(written(tmp_path))


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    name: str = "broken"
    types: frozenset[str] = frozenset({"A"})

    def detect(self, text: str) -> Iterator[Entity]:
        raise RuntimeError(text)


def test_failures_are_counted() -> None:
    """A detector that fails is named in the report with the number of texts."""
    chain = DetectorChain([Broken()])
    result = judge(AnnotatedText(id="1", text="x"), chain.detect("x"))
    assert summarise([result, result], chain.types)["failed"] == {"broken: RuntimeError": 2}


def test_the_command_prints_the_contract(tmp_path: Path) -> None:
    """`groundwire eval pii --json` has precision, recall and F1 by type, each with its interval; a table without."""
    path = written(tmp_path, {"id": "1", "text": TEXT, "spans": [span("EMAIL_ADDRESS", "ann@example.com")]})
    done = CliRunner().invoke(groundwire, ["eval", "pii", "--set", str(path), "--json"])
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout)["by_type"]["EMAIL_ADDRESS"]
    assert all(figures[name].keys() == {"value", "low", "high"} for name in ("precision", "recall", "f1"))
    cases = tmp_path / "cases.jsonl"
    table = CliRunner().invoke(groundwire, ["eval", "pii", "--set", str(path), "--cases", str(cases)])
    assert "EMAIL_ADDRESS"[:5] in table.stdout
    assert json.loads(cases.read_text("utf-8"))["missed"] == []


def test_types_looked_for_are_presidios() -> None:
    """The standard detectors go by Presidio's names of types."""
    ours = {"DATE_OF_BIRTH", "STREET_ADDRESS"}  # of which Presidio has none, or only in its data sets
    assert standard_chain().types - ours == {
        *("EMAIL_ADDRESS", "PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "IP_ADDRESS", "DATE_TIME", "URL")
    }
