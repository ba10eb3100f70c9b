"""The public sets become files that `groundwire eval pii` reads, and the benchmark runs on texts and folders."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from benchmarks import personal_data
from benchmarks.public_sets.personal_data import SETS
from evals.personal_data import read_texts


def test_sets_are_read_by_the_evaluation(tmp_path: Path) -> None:
    """Spans keep type, start and end, both files become one set too, and texts of the others have no spans."""
    spans = [{"type": "PERSON", "start": 0, "end": 3, "value": "Ann"}]
    for name in ("a", "b"):
        record = {"id": f"{name}-1", "template_id": 1, "text": "Ann", "spans": spans}
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(record) + "\n", "utf-8")
    SETS["pii-presidio"](tmp_path, tmp_path / "out")
    texts = read_texts(tmp_path / "out/all.jsonl")
    assert [text.id for text in texts] == ["a-1", "b-1"]
    assert texts[0].spans[0].model_dump() == {"type": "PERSON", "start": 0, "end": 3}
    (tmp_path / "docs.jsonl").write_text('{"path": "p.md", "text": "x"}\n', "utf-8")
    (tmp_path / "passages.jsonl").write_text('{"pid": "A#0", "text": "y"}\n', "utf-8")
    for name, expected in (("pii-handbook", ("p.md", "x")), ("pii-squad2", ("A#0", "y"))):
        SETS[name](tmp_path, tmp_path / name)
        (text,) = read_texts(tmp_path / name / "texts.jsonl")
        assert (text.id, text.text, text.spans) == (*expected, ())


def test_the_benchmark_counts_and_shows(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each path gets its speed beside the target and its finds per 10,000 words."""
    (tmp_path / "note.md").write_text("Write to ann@example.com today.", "utf-8")
    arguments = ["personal_data", str(tmp_path), "--repeat", "1", "--show", "EMAIL_ADDRESS"]
    monkeypatch.setattr(sys, "argv", arguments)
    personal_data.main()
    shown = capsys.readouterr().out
    assert "MB/s" in shown
    assert "'ann@example.com' in" in shown
    assert "2500.00" in shown
