from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.elements import Element, ParsedDocument
from ingest.limits import ParseLimits
from ingest.parsers.rtf import parse

HEAD = rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset128 B;}}{\colortbl;\red255\green255\blue255;}"


def parsed(body: bytes) -> ParsedDocument:
    return parse(HEAD + body + b"}", "a.rtf", ParseLimits())


def texts(body: bytes) -> list[str]:
    return [element.text for element in parsed(body).elements]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rb"One\par Two", ["One", "Two"]),
        (rb"caf\'e9 \'80", ["café €"]),
        (rb"\f1\'93\'fa\'96{\f1 \'7b}", ["日�{"]),
        (rb"\f1 \'93\'fa\'96\'7b", ["日本"]),
        (rb"\u26085?\u26412?", ["日本"]),
        (rb"\u-10179?\u-8704?", ["😀"]),
        (rb"\uc2\u8364ab!", ["€!"]),
        (rb"lone \u-10179? half", ["lone � half"]),
        (rb"a\~b\_c\emdash d\{e\}", ["a\xa0b-c—d{e}"]),
        (rb"{\*\generator Word;}x{\pict 0102}{\info{\author Ann}}y", ["xy"]),
        (rb"{\field{\*\fldinst HYPERLINK x}{\fldrslt here}}", ["here"]),
        (rb"a\bin4 }}}}b", ["ab"]),
        (rb"kept {\deleted gone }text", ["kept text"]),
    ],
)  # fmt: skip
def test_text_is_read_as_it_shows(body: bytes, expected: list[str]) -> None:
    """Escapes, code pages, Unicode, symbols, fields and groups that hold no text."""
    assert texts(body) == expected


def test_structure() -> None:
    """Styles named "heading N" make headings, \\ls list items, cells tables; notes and headers stand apart."""
    body = (
        rb"{\stylesheet{\s3 heading 2;}}{\header Top\par}\pard\s3 Title\par\pard\ls1 item\par\pard plain"
        rb"{\footnote Note}\par\trowd\intbl a\cell b\cell\row\intbl c\cell d\cell\row\pard end"
    )
    assert parsed(body).elements == (
        Element(text="Top", kind="header"),
        Element(text="Title", kind="heading", level=2),
        Element(text="item", kind="list_item"),
        Element(text="Note"),
        Element(text="plain"),
        Element(text="a\tb\nc\td", kind="table"),
        Element(text="end"),
    )


@pytest.mark.parametrize(
    ("format_", "reason"), [(rb"\v", "invisible_mode"), (rb"\cf1", "same_colour"), (rb"\fs2", "tiny_font")]
)
def test_hidden_text_is_kept_out_and_reported(format_: bytes, reason: str) -> None:
    """Hidden, white and tiny text is a record; the text around it stays."""
    result = parsed(b"before {" + format_ + rb" unseen}after")
    assert [element.text for element in result.elements] == ["before after"]
    assert [(hidden.text, hidden.reason) for hidden in result.hidden] == [("unseen", reason)]


def test_the_title_is_the_documents_own() -> None:
    """The title of the properties is the title, as Unicode where both forms are given."""
    assert parsed(rb"{\info{\title Plan}}x").title == "Plan"
    assert parsed(rb"{\info{\upr{\title ??}{\*\ud{\title \u26085?}}}}x").title == "日"


@given(st.lists(st.sampled_from(list(rb"\{}'*ab u0v-;" + b"\n\x80")), max_size=60))
def test_any_bytes_are_read(body: list[int]) -> None:
    """No sequence of braces, control words and bytes makes the reader fail."""
    assert parsed(bytes(body)).media_type == "application/rtf"


@given(st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), min_size=1))
def test_unicode_survives(text: str) -> None:
    """Text written as \\u escapes comes back character for character."""
    units = text.encode("utf-16-le")
    escaped = b"".join(
        rb"\u%d?" % int.from_bytes(units[at : at + 2], "little", signed=True) for at in range(0, len(units), 2)
    )
    assert "".join(texts(escaped)) == text.strip()
