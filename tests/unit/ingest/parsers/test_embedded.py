"""Files within files, found through the relations of a package."""

from __future__ import annotations

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from ingest.limits import ParseLimits
from ingest.parsers import parse
from ingest.parsers.embedded import embedded
from tests.doubles.ole_file import ole_file

LIMITS = ParseLimits()
RELATIONS = (
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">{}</Relationships>'.format
)
RELATION = (
    '<Relationship Id="r{}" Target="{}" '
    'Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}"/>'.format
)


def package(*relations: str, **parts: bytes) -> dict[str, bytes]:
    return {"word/_rels/document.xml.rels": RELATIONS("".join(relations)).encode()} | parts


def texts(parts: dict[str, bytes], limits: ParseLimits = LIMITS) -> list[str]:
    return [element.text for element in embedded(parts, [("word/document.xml", None)], limits).elements]


def test_only_objects_are_read_and_each_once() -> None:
    """A file counts once however often it is referred to; pictures, links and files elsewhere are no objects."""
    parts = package(
        RELATION(1, "embeddings/a.txt", "package"),
        RELATION(2, "/word/embeddings/a.txt", "oleObject"),
        RELATION(3, "media/b.txt", "image"),
        RELATION(4, "embeddings/gone.txt", "package"),
        **{"word/embeddings/a.txt": b"First.", "word/media/b.txt": b"Second.", "word/embeddings/c.txt": b"Third."},
    )
    assert texts(parts) == ["Embedded file a.txt", "First."]


def test_files_within_files_end_at_the_limit() -> None:
    """Deeper than the limit a file is left out with a note."""
    parts = package(RELATION(1, "embeddings/a.txt", "package"), **{"word/embeddings/a.txt": b"First."})
    found = embedded(parts, [("word/document.xml", None)], ParseLimits(max_embedded=0))
    assert found.elements == []
    assert found.notes == ["The embedded file a.txt was left out: it lies too deep within other files."]


@pytest.mark.parametrize("stream", ["Package", "CONTENTS"])
def test_what_an_object_wraps_is_read(stream: str) -> None:
    """An OLE object gives the file in it, under no name where Office made its name up."""
    data = ole_file({stream: b"Wrapped words. ".ljust(5120)})
    parts = package(RELATION(1, "embeddings/oleObject1.bin", "oleObject"), **{"word/embeddings/oleObject1.bin": data})
    assert texts(parts) == ["Embedded file", "Wrapped words."]


@given(st.binary(max_size=200))
def test_damaged_objects_are_noted(stream: bytes) -> None:
    """Whatever an object's stream holds, there is text or a note, and no error."""
    data = ole_file({"\x01Ole10Native": stream})
    parts = package(RELATION(1, "embeddings/oleObject1.bin", "oleObject"), **{"word/embeddings/oleObject1.bin": data})
    found = embedded(parts, [("word/document.xml", None)], LIMITS)
    assert found.elements or found.notes


def test_objects_of_shown_sheets_are_read() -> None:
    """A file embedded in a sheet follows the sheets; one in a hidden sheet stays out."""
    book = Workbook()
    book.active.title = "Shown"
    book.active["A1"] = "See the object."
    book.create_sheet("Kept back").sheet_state = "hidden"
    plain, out = io.BytesIO(), io.BytesIO()
    book.save(plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(out, "w") as container:
        for name in source.namelist():
            container.writestr(name, source.read(name))
        for number, text in enumerate(("Said openly.", "Said to nobody."), 1):
            relation = RELATION(1, f"../embeddings/note{number}.txt", "package")
            container.writestr(f"xl/worksheets/_rels/sheet{number}.xml.rels", RELATIONS(relation))
            container.writestr(f"xl/embeddings/note{number}.txt", text)
    document = parse(out.getvalue(), "a.xlsx", LIMITS)
    assert [element.text for element in document.elements] == [
        "Shown",
        "See the object.",
        "Embedded file note1.txt",
        "Said openly.",
    ]
