from __future__ import annotations

import io
import zipfile
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import FileRefused
from ingest.guard import inspect
from ingest.limits import ParseLimits
from ingest.media_types import ARCHIVES, BINARY_EXTENSIONS, DOCX, PARSERS, SIGNATURES, TEXT_EXTENSIONS, UNREAD, XLSX

LIMITS = ParseLimits()
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def a_zip(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as container:
        for name, data in members.items():
            container.writestr(name, data)
    return out.getvalue()


def office(main_type: str, **members: bytes) -> bytes:
    types = f'<Types><Override PartName="/main.xml" ContentType="{main_type}"/></Types>'.encode()
    return a_zip({"[Content_Types].xml": types, **members})


WORD = DOCX + ".main+xml"


def refused(data: bytes, name: str, limits: ParseLimits = LIMITS) -> str:
    with pytest.raises(FileRefused) as caught:
        inspect(data, name, limits)
    error = caught.value
    assert error.item == name
    assert error.cause.endswith(".")
    assert error.next_step.endswith(".")
    return error.code


@pytest.mark.parametrize(
    ("data", "name", "media_type"),
    [
        (b"%PDF-1.7\n...", "a.pdf", "application/pdf"),
        (b"junk before\n%PDF-1.7", "a.pdf", "application/pdf"),
        (b"\x89PNG\r\n\x1a\n....", "a.png", "image/png"),
        (b"\xff\xd8\xff\xe0....", "a.jpg", "image/jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "a.webp", "image/webp"),
        (b"{\\rtf1 hi}", "a.rtf", "application/rtf"),
        (b"{\\rtf1 hi}", "a.doc", "application/rtf"),
        (b"<!DOCTYPE html><p>hi", "a.html", "text/html"),
        (b"<html><body>hi", "page", "text/html"),
        (b"<html><table>", "a.xls", "text/html"),
        (b"# Title", "a.md", "text/markdown"),
        (b"a,b\n1,2", "a.csv", "text/csv"),
        (b"a\tb", "a.tsv", "text/tab-separated-values"),
        (b'{"a": 1}', "a.json", "application/json"),
        (b'{"a": 1}', "noname", "application/json"),
        (b"<?xml version='1.0'?><a/>", "a.xml", "application/xml"),
        (b"<html xmlns='http://www.w3.org/1999/xhtml'><p/></html>", "a.xml", "application/xhtml+xml"),
        (b"From: a@example.com\nSubject: hi\n\ntext", "a.eml", "message/rfc822"),
        (b"From: a@example.com\nSubject: hi\n\ntext", "message", "message/rfc822"),
        (b"From a@example.com Mon Jan 1\nFrom: a@example.com\nTo: b@example.com\n\nx", "box", "application/mbox"),
        (b"WEBVTT\n", "a.vtt", "text/vtt"),
        (b"int main() { return 0; }", "main.c", "text/plain"),
        (b"just words", "README", "text/plain"),
        ("schön".encode("utf-16"), "a.txt", "text/plain"),
        ("plain words, no mark".encode("utf-16-le"), "a.txt", "text/plain"),
        (office(WORD), "a.docx", DOCX),
        (office(WORD), "no extension", DOCX),
        (office(WORD), "a.doc", DOCX),
        (office(XLSX + ".main+xml"), "a.xlsx", XLSX),
        (a_zip({"mimetype": b"application/epub+zip"}), "a.epub", "application/epub+zip"),
        (
            a_zip({"mimetype": b"application/vnd.oasis.opendocument.text"}),
            "a.odt",
            "application/vnd.oasis.opendocument.text",
        ),
        (
            b'<?xml version="1.0"?><office:document office:mimetype="application/vnd.oasis.opendocument.text">',
            "a.fodt",
            "application/vnd.oasis.opendocument.text-flat-xml",
        ),
    ],
)
def test_the_type_is_told_by_content(data: bytes, name: str, media_type: str) -> None:
    """Content decides on the type; the extension only tells formats apart that are all plain text."""
    assert inspect(data, name, LIMITS) == media_type


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"", "a.txt", "empty"),
        (bytes(range(256)) * 20, "a.pdf", "wrong_extension"),
        (b"just words", "a.docx", "wrong_extension"),
        (b"\x89PNG\r\n\x1a\n....", "a.pdf", "wrong_extension"),
        (office(WORD), "a.xlsx", "wrong_extension"),
        (bytes(range(256)) * 20, "a.bin", "unknown_type"),
        (bytes(range(256)) * 20, "a.txt", "unknown_type"),
        (b"MZ\x90\x00 a program", "setup.exe", "unknown_type"),
        (b"\x1f\x8b\x08....", "a.gz", "archive"),
        (b"7z\xbc\xaf\x27\x1c", "a.7z", "archive"),
        (b"a.txt".ljust(257, b"\0") + b"ustar\x0000", "a.tar", "archive"),
        (a_zip({"a.txt": b"hi"}), "a.zip", "archive"),
        (a_zip({"[Content_Types].xml": b"<Types/>"}), "a.xps", "unknown_type"),
        (a_zip({"mimetype": b"application/x-else"}), "a.odt", "unknown_type"),
        (a_zip({"Index/Document.iwa": b"x"}), "a.pages", "unknown_type"),
        (office(WORD)[:-30], "a.docx", "truncated"),
        (OLE + b"x" * 100, "a.doc", "truncated"),
        (
            a_zip(
                {
                    "mimetype": b"application/vnd.oasis.opendocument.text",
                    "META-INF/manifest.xml": b"<manifest:encryption-data/>",
                }
            ),
            "a.odt",
            "encrypted",
        ),
        (office(WORD, **{"word/document.xml": b"<a>" * 300}), "a.docx", "too_nested"),
        (b"<a>" * 300, "a.xml", "too_nested"),
    ],
)
def test_what_cannot_be_parsed_is_refused_by_its_cause(data: bytes, name: str, code: str) -> None:
    """Every refusal names the file, a stable code, a cause and a next step in whole sentences."""
    assert refused(data, name) == code


def test_a_damaged_member_is_refused() -> None:
    """A container whose bytes no longer fit their checksums is refused before it reaches a parser."""
    data = bytearray(office(WORD, **{"word/document.xml": bytes(range(256)) * 10}))
    at = data.index(b"word/document.xml") + 60
    data[at : at + 20] = bytes(20)
    assert refused(bytes(data), "a.docx") == "truncated"


def test_encrypted_members_are_refused() -> None:
    """A container with the encryption flag set on a member is refused as encrypted."""
    data = bytearray(a_zip({"secret.txt": b"hi"}))
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert refused(bytes(data), "a.zip") == "encrypted"


def test_sizes_are_judged_by_the_directory_before_anything_is_unpacked() -> None:
    """Size on disk, number of members, ratio of a member and unpacked size each have a limit."""
    bomb = office(WORD, **{"word/document.xml": bytes(5_000_000)})
    assert refused(bomb, "a.docx") == "zip_bomb"
    many = office(WORD, **{f"word/{number}.xml": b"<a/>" for number in range(30)})
    assert refused(many, "a.docx", ParseLimits(max_members=20)) == "too_many_members"
    assert refused(many, "a.docx", ParseLimits(max_unpacked_bytes=50)) == "zip_bomb"
    assert refused(many, "a.docx", ParseLimits(max_bytes=100)) == "too_large"


def test_the_limit_on_nesting_is_exact() -> None:
    """Markup as deep as the limit passes, one level more is refused; empty elements side by side count once."""
    limits = ParseLimits(max_nesting=10)
    assert inspect(b"<a>" * 10 + b"</a>" * 10, "a.xml", limits) == "application/xml"
    assert inspect(b"<a>" + b"<b/>" * 50 + b"</a>", "a.xml", limits) == "application/xml"
    assert refused(b"<a>" * 11 + b"</a>" * 11, "a.xml", limits) == "too_nested"


def test_every_type_has_a_parser_and_every_extension_a_type() -> None:
    """The tables agree: what the guard can answer is on the allow-list."""
    assert {media_type for _, media_type in SIGNATURES} <= set(PARSERS)
    assert set(TEXT_EXTENSIONS.values()) <= set(PARSERS)
    assert set(BINARY_EXTENSIONS.values()) <= set(PARSERS.values())


BEGINNINGS = [
    b"",
    b"PK\x03\x04",
    OLE,
    b"%PDF-",
    b"<?xml version='1.0'?>",
    b"From: a\nTo: b\n\n",
    b"\xff\xfe",
    *(signature for signature, _ in SIGNATURES + ARCHIVES + UNREAD),
]
NAMES = [f"a.{extension}" for extension in ("", "doc", "txt", "zip", *BINARY_EXTENSIONS, *TEXT_EXTENSIONS)]


@given(st.sampled_from(BEGINNINGS), st.binary(max_size=600), st.sampled_from(NAMES))
def test_arbitrary_bytes_are_typed_or_refused(beginning: bytes, rest: bytes, name: str) -> None:
    """Whatever a file holds, the guard answers with a type of the allow-list or FileRefused, nothing else."""
    with suppress(FileRefused):
        assert inspect(beginning + rest, name, LIMITS) in PARSERS


@given(st.data())
def test_damaged_containers_are_typed_or_refused(data: st.DataObject) -> None:
    """Bytes changed anywhere in a good container lead to a type or to FileRefused, nothing else."""
    container = bytearray(office(WORD, **{"word/document.xml": b"<w:document>text</w:document>" * 3}))
    for _ in range(data.draw(st.integers(1, 4))):
        container[data.draw(st.integers(4, len(container) - 1))] = data.draw(st.integers(0, 255))
    with suppress(FileRefused):
        assert inspect(bytes(container), "a.docx", LIMITS) in PARSERS
