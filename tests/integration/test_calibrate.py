"""`groundwire eval calibrate` as a user runs it, over a harbour written here: before, with and after labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from api.cli import groundwire
from ingest.errors import BadInput
from orchestrator.confidence import RULE

SHIPS = {
    "Alder": 1911, "Birch": 1923, "Cedar": 1934, "Damson": 1948, "Elder": 1952, "Fir": 1961, "Gorse": 1967,
    "Hazel": 1970, "Iris": 1975, "Juniper": 1979, "Kale": 1983, "Larch": 1988, "Maple": 1991, "Nettle": 1996,
}  # fmt: skip
ABROAD = ["the parliament of Uruguay", "a symphony orchestra", "photosynthesis", "the Roman senate", "a comet"]


def write_lines(path: Path, records: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")
    return path


def run_json(*arguments: object) -> tuple[Result, Any]:
    result = CliRunner().invoke(groundwire, [*map(str, arguments), "--json"])
    return result, json.loads(result.stdout) if result.stdout else None


@pytest.fixture(scope="module")
def harbour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("harbour")
    ships = [
        {"id": name, "title": name, "text": f"The ferry {name} was launched in {year}. She carries mail and timber."}
        for name, year in SHIPS.items()
    ]
    write_lines(folder / "ships.jsonl", ships)
    known = [
        {"id": name, "question": f"When was the ferry {name} launched?", "answerable": True, "reference": str(year)}
        for name, year in SHIPS.items()
    ]
    unknown = [
        {"id": f"x{number}", "question": f"How is {thing} governed?", "answerable": False}
        for number, thing in enumerate(ABROAD)
    ]
    write_lines(folder / "golden.jsonl", [*known, *unknown])
    write_lines(folder / "few.jsonl", [*known[:3], *unknown[:1]])
    write_lines(
        folder / "hopeless.jsonl",
        [*known[:3], *({**case, "id": f"{i}{case['id']}"} for i in range(4) for case in unknown)],
    )
    return folder


@pytest.fixture(scope="module")
def home(harbour: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home")
    result, _ = run_json("ingest", harbour / "ships.jsonl", "--owner", "ane", "--home", folder)
    assert result.exit_code == 0
    return folder


@pytest.mark.parametrize(("name", "code"), [("few", "too_few_labels"), ("hopeless", "risk_not_reached")])
def test_labels_that_show_nothing_change_nothing(harbour: Path, home: Path, name: str, code: str) -> None:
    """Too few labels, or too many wrong answers, are bad input; no file is left, and scores stay uncalibrated."""
    result, _ = run_json("eval", "calibrate", "--set", harbour / f"{name}.jsonl", "--home", home, "--as", "ane")
    assert isinstance(result.exception, BadInput)
    assert result.exception.code == code
    assert not (home / "calibration.json").exists()
    _, answer = run_json("ask", "When was the ferry Alder launched?", "--home", home, "--as", "ane")
    assert answer["confidence"]["calibrated"] is False


def test_labels_make_scores_chances(harbour: Path, home: Path, tmp_path: Path) -> None:
    """The file is written and in force: scores are calibrated, answers keep to its threshold, their error is reported.

    Questions that the rule would leave out are asked as well, as all of them are labels.
    """
    path = tmp_path / "calibration.json"
    common = ("--set", harbour / "golden.jsonl", "--home", home, "--as", "ane")
    result, report = run_json("eval", "calibrate", *common, "--risk", 0.2, "--confidence", 0.8)
    try:
        assert result.exit_code == 0
        path = Path(report["file"])
        stored = json.loads(path.read_text("utf-8"))
        assert path == home / "calibration.json"
        assert stored["rule"] == RULE.version
        assert (stored["risk"], stored["confidence"]) == (0.2, 0.8)
        assert report["n"] == stored["n"] == len(SHIPS) + len(ABROAD)
        assert report["wrong"] == stored["wrong"] == len(ABROAD)
        assert report["highest_risk"] <= 0.2
        assert sum(one["n"] for one in report["bins"]) == report["n"]
        assert 0 <= report["calibration_error"]["value"] <= 1
        _, answer = run_json("ask", "When was the ferry Alder launched?", "--home", home, "--as", "ane")
        assert answer["confidence"]["calibrated"] is True
        assert answer["status"] == "answered"
        _, measured = run_json("eval", "answers", *common)
        assert measured["calibration_error"]["value"] is not None
        assert measured["wrong_at_full_coverage"]["value"] <= 0.2
        people = CliRunner().invoke(groundwire, ["eval", "calibrate", *map(str, common), "--risk", "0.2"])
        assert "Written to" in people.stdout
        assert "promised" in people.stdout
    finally:
        path.unlink(missing_ok=True)
