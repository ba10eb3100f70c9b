from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ingest.errors import FileRefused
from ingest.guard import inspect
from ingest.limits import ParseLimits
from ingest.parsers import parse
from tests.doubles.ole_file import ole_file, workbook

LIMITS = ParseLimits()
WORD = {"WordDocument": bytes(512)}
SLIDES = {"PowerPoint Document": bytes(512), "Current User": bytes(12) + b"\x5f\xc0\x91\xe3"}


def refusal(data: bytes, name: str, limits: ParseLimits = LIMITS) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        parse(data, name, limits)
    return caught.value


@pytest.mark.parametrize(
    ("streams", "media_type"),
    [
        (WORD, "application/msword"),
        (SLIDES, "application/vnd.ms-powerpoint"),
        ({"Workbook": workbook()}, "application/vnd.ms-excel"),
        ({"__properties_version1.0": bytes(64)}, "application/vnd.ms-outlook"),
    ],
)
def test_old_formats_are_told_by_their_streams(streams: dict[str, bytes], media_type: str) -> None:
    """The streams of an OLE container say what it is, whatever its name."""
    assert inspect(ole_file(streams), "file", LIMITS) == media_type


@pytest.mark.parametrize(
    "streams",
    [
        {"EncryptedPackage": bytes(64), "EncryptionInfo": bytes(64)},
        {"WordDocument": bytes(11) + b"\x01" + bytes(500)},
        {"PowerPoint Document": bytes(512), "Current User": bytes(12) + b"\xdf\xc4\xd1\xf3"},
        {"Workbook": workbook()[:20] + struct.pack("<HH", 0x2F, 2) + bytes(2) + workbook()[20:]},
    ],
    ids=["office 2007", "doc", "ppt", "xls"],
)
def test_encrypted_files_are_refused(streams: dict[str, bytes]) -> None:
    """Each old format, and the container of encrypted new ones, shows that it needs a password."""
    assert refusal(ole_file(streams), "a.doc").code == "encrypted"


def test_other_containers_are_named() -> None:
    """An OLE container of a program that is not read here is refused by its name."""
    error = refusal(ole_file({"VisioDocument": bytes(64)}), "a.vsd")
    assert (error.code, "Visio" in error.cause) == ("unknown_type", True)


def test_a_workbook_is_read_with_what_is_hidden_in_it() -> None:
    """Cells and page headers of an XLS come out as those of an XLSX do; a hidden row is a record."""
    stream = workbook(
        (0, 0, "Item"), (0, 1, "Sum"), (1, 0, "Rent"), (1, 1, 950.0), (2, 0, "secret"), hidden_row=2, header="&CBudget"
    )
    result = parse(ole_file({"Workbook": stream}), "costs.xls", LIMITS)
    text = "\n".join(element.text for element in result.elements)
    assert [word for word in ("Item", "Sum", "Rent", "950", "Budget") if word not in text] == []
    assert "secret" not in text
    assert [(hidden.reason, "secret" in hidden.text) for hidden in result.hidden] == [("hidden_part", True)]
    assert result.media_type == "application/vnd.ms-excel"


def test_text_boxes_of_a_workbook_are_read() -> None:
    """The text of a shape comes out, also where no cell holds anything and its text is stored in pieces."""
    result = parse(ole_file({"Workbook": workbook(shape="drawn €")}), "costs.xls", LIMITS)
    assert [element.text for element in result.elements] == ["drawn €"]


def test_a_damaged_workbook_is_refused() -> None:
    """A workbook stream that breaks off is refused, not half read."""
    assert refusal(ole_file({"Workbook": workbook()[:30]}), "costs.xls").code in ("unreadable", "no_text")


def _programs(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "soffice"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


@pytest.mark.parametrize(("streams", "wanted"), [(WORD, "DOCX"), (SLIDES, "PPTX")])
def test_without_libreoffice_the_way_out_is_named(
    streams: dict[str, bytes], wanted: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where LibreOffice is missing, the refusal says so and names the format to save as."""
    monkeypatch.setenv("PATH", str(tmp_path))
    error = refusal(ole_file(streams), "a.doc")
    assert error.code == "needs_libreoffice"
    assert wanted in error.next_step


def test_libreoffice_turns_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the program writes into the folder that it is given is parsed in the place of the old file."""
    from docx import Document

    document = Document()
    document.add_paragraph("turned words")
    document.save(str(tmp_path / "ready.docx"))
    _programs(
        tmp_path, f'while [ "$1" != --outdir ]; do shift; done; cp {tmp_path}/ready.docx "$2/source.docx"', monkeypatch
    )
    result = parse(ole_file(WORD), "old.doc", LIMITS)
    assert [element.text for element in result.elements] == ["turned words"]
    assert result.media_type == "application/msword"


@pytest.mark.parametrize(("script", "code"), [("exit 0", "unreadable"), ("exec sleep 60", "too_slow")])
def test_libreoffice_may_fail_or_hang(script: str, code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A conversion that gives nothing or takes too long is refused by its cause."""
    _programs(tmp_path, script, monkeypatch)
    assert refusal(ole_file(WORD), "old.doc", ParseLimits(seconds=0.5)).code == code
