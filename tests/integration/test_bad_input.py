"""Bad input through the whole command: each item gets its reason, the rest goes on, nothing is half-written."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from docx import Document
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

from tests.doubles.ole_file import ole_file

ROOT = Path(__file__).parents[2]


def groundwire(home: Path, *args: object, largest_file: int | None = None, **settings: object) -> tuple[int, Any, str]:
    """Exit code, JSON on stdout and the words on stderr of a command."""
    limit = [] if largest_file is None else [str(largest_file)]
    command = [sys.executable, "-m", "tests.doubles.cli_runner", *limit, "--", *map(str, args)]
    done = subprocess.run(
        [*command, "--home", str(home), "--json"],
        cwd=ROOT,
        env=os.environ | {f"GROUNDWIRE_{name.upper()}": str(value) for name, value in settings.items()},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else None, done.stderr


def docx(text: str) -> bytes:
    document = Document()
    document.add_paragraph(text)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


def pdf(text: str, **options: Any) -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, **options)
    canvas.drawString(72, 700, text)
    canvas.save()
    return out.getvalue()


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as container:
        for name, data in members.items():
            container.writestr(name, data)
    return out.getvalue()


def endless_pdf() -> bytes:
    """A small page whose colours are computed: 200,000 steps for each of 250,000 pixels, which takes minutes."""
    program = b"{" + b"1 pop " * 100_000 + b"}"
    bodies = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 500 500]/Contents 4 0 R/Resources<</Shading<</S 5 0 R>>>>>>",
        b"<</Length 5>>stream\n/S sh\nendstream",
        b"<</ShadingType 1/ColorSpace/DeviceRGB/Domain[0 500 0 500]/Function[6 0 R 6 0 R 6 0 R]>>",
        b"<</FunctionType 4/Domain[0 500 0 500]/Range[0 1]/Length %d>>stream\n" % len(program)
        + program
        + b"\nendstream",
    ]
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    tail = b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, len(out))
    return out + head + table + tail


BAD: dict[str, tuple[Callable[[], bytes], str]] = {  # name: (content, the reason's code)
    "protected.docx": (lambda: ole_file({"EncryptedPackage": b"x" * 64, "EncryptionInfo": b"y" * 64}), "encrypted"),
    "protected.pdf": (lambda: pdf("Secret.", encrypt=StandardEncryption("key")), "encrypted"),
    "cut.docx": (lambda: docx("Half of it.")[:-2000], "truncated"),
    "cut.pdf": (lambda: pdf("Half of it.")[:-200], "unreadable"),
    "empty.txt": (lambda: b"", "empty"),
    "junk.dat": (lambda: bytes(range(1, 32)) * 50, "unknown_type"),
    "note.one": (lambda: b"\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d" + bytes(500), "unknown_type"),
    "picture.pdf": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(100), "wrong_extension"),
    "bomb.docx": (lambda: zipped(**{"word/document.xml": bytes(20_000_000)}), "zip_bomb"),
    "files.zip": (lambda: zipped(**{"a.txt": b"text"}), "archive"),
    "deep.xml": (lambda: b"<a>" * 1000 + b"</a>" * 1000, "too_nested"),
    "coded.txt": (lambda: bytes((at * 37 + 11) % 128 + 128 for at in range(4_000)), "unreadable_encoding"),
    "blank.html": (lambda: b"<p hidden>All of it is hidden.</p>", "no_text"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One of each kind, and three good documents among them."""
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, (content, _) in BAD.items():
        (docs / name).write_bytes(content())
    (docs / "good.md").write_text("# Leave\n\nFive days move to the next year.\n", "utf-8")
    (docs / "good.docx").write_bytes(docx("The canteen opens early."))
    lines = ['{"id": "r1", "text": "A good record."}', '{"text": "No name."}', "{not json", '{"id": "r2"}']
    (docs / "records.jsonl").write_text("\n".join(lines), "utf-8")
    (tmp_path / "tags.jsonl").write_text(
        '{"path": "docs/good.md", "allow": ["group:staff"]}\n{"path": "docs/gone.md", "allow": ["public"]}\n', "utf-8"
    )
    return docs


def test_each_bad_item_has_its_reason_and_the_rest_goes_on(folder: Path, tmp_path: Path) -> None:
    """Every bad file, record and tag line has cause and next step; the good ones are in; again is the same."""
    home = tmp_path / "home"
    for run in ("first", "second"):
        code, report, _ = groundwire(home, "ingest", folder, "--tags", tmp_path / "tags.jsonl")
        failed = {Path(failure["path"]).name: failure["error"] for failure in report["failed"]}
        assert code == 0
        assert failed == {name: reason for name, (_, reason) in BAD.items()} | {
            "records.jsonl:2": "no_id",
            "records.jsonl:3": "not_json",
            "records.jsonl:4": "no_text",
            "gone.md": "tags_without_document",
        }
        assert all(failure["reason"].count(".") >= 2 for failure in report["failed"])  # a cause and a next step
        assert (report["documents"], report["unchanged"]) == (3, 0 if run == "first" else 3)
    _, listed, _ = groundwire(home, "documents", "list")
    known = sorted(document["document_id"] for document in listed["documents"])
    assert known == ["docs/good.docx", "docs/good.md", "r1"]


@pytest.mark.parametrize(
    ("name", "content", "limits", "reason"),
    [
        ("hang.pdf", endless_pdf, {"parse_seconds": 5}, "too_slow"),
        (
            "glutton.txt",
            lambda: b"words and words \n\n" * 4_000_000,
            {"parse_memory_bytes": 200_000_000, "max_characters": 100_000_000},
            "out_of_memory",
        ),
    ],
)
def test_a_hang_or_a_glutton_costs_one_file(
    tmp_path: Path, name: str, content: Callable[[], bytes], limits: dict[str, int], reason: str
) -> None:
    """A file that would be read for minutes or eats memory is ended at its limit; those around it are in."""
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.txt").write_text("Read before.", "utf-8")
    (docs / name).write_bytes(content())
    (docs / "z.txt").write_text("Read after.", "utf-8")
    code, report, _ = groundwire(tmp_path / "home", "ingest", docs, **limits)
    assert [(Path(failure["path"]).name, failure["error"]) for failure in report["failed"]] == [(name, reason)]
    assert (code, report["documents"]) == (0, 2)


def test_a_full_disk_stops_the_run_and_the_next_one_recovers(tmp_path: Path) -> None:
    """When nothing more can be written the command says so and ends with 3; with room again all of it is there."""
    home, docs = tmp_path / "home", tmp_path / "docs"
    docs.mkdir()
    (docs / "small.txt").write_text("The canteen opens early.", "utf-8")
    assert groundwire(home, "ingest", docs)[0] == 0
    for number in range(5):
        text = "\n\n".join(f"Rule {number}.{line} says what applies to case {line}." for line in range(2_000))
        (docs / f"rules{number}.txt").write_text(text, "utf-8")
    code, report, words = groundwire(home, "ingest", docs, largest_file=300_000)
    assert code == 3, words
    assert report["error"]["code"] == "ledger_down"
    assert "disk" in report["error"]["next_step"]
    code, report, words = groundwire(home, "ingest", docs)
    assert (code, report["documents"], report["failed"]) == (0, 6, []), words
    assert report["unchanged"] >= 1
    _, listed, _ = groundwire(home, "documents", "list")
    assert len(listed["documents"]) == 6
