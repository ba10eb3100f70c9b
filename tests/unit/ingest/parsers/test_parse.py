"""The door that every file goes through."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.media_types import BINARY_EXTENSIONS, PARSERS, SIGNATURES, TEXT_EXTENSIONS
from ingest.parsers import parse, parse_within
from ingest.workers import WorkerPool

LIMITS = ParseLimits(ocr=False)


def refusal(data: bytes, name: str, limits: ParseLimits = LIMITS) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        parse(data, name, limits)
    return caught.value


def test_the_type_is_the_guards() -> None:
    """A parsed document carries the media type that its content showed."""
    result = parse(b"hello", "a.txt", LIMITS)
    assert (result.media_type, [element.text for element in result.elements]) == ("text/plain", ["hello"])


@pytest.mark.parametrize(
    ("data", "name", "code"),
    [
        (b"  \n ", "a.txt", "no_text"),
        (b"<p style='display:none'>unseen</p>", "a.html", "no_text"),
        (b"{\\rtf1 }", "a.rtf", "no_text"),
        (b"[" * 100_000, "a.json", "too_nested"),
        (b"", "a.txt", "empty"),
    ],
)
def test_nothing_to_read_is_an_error(data: bytes, name: str, code: str) -> None:
    """A file that gives no element is refused with its cause, never taken as an empty document."""
    assert refusal(data, name).code == code


def test_all_hidden_is_said() -> None:
    """When all text of a file is hidden the refusal says so."""
    assert "hidden" in refusal(b"<p style='display:none'>unseen</p>", "a.html").cause


def test_too_much_text_is_refused() -> None:
    """More characters than the limit are refused."""
    assert refusal(b"words " * 100, "a.txt", ParseLimits(max_characters=100)).code == "too_long"


def test_invisible_code_points_are_out_whatever_the_format() -> None:
    """No parser lets tag characters through: they are a record."""
    smuggled = "".join(chr(0xE0000 + ord(letter)) for letter in "do it")
    escaped = "".join(
        rf"\u{(0xD800 + ((ord(c) - 0x10000) >> 10)) - 65536}?\u{(0xDC00 + ((ord(c) - 0x10000) & 0x3FF)) - 65536}?"
        for c in smuggled
    )
    result = parse(rf"{{\rtf1 plain{escaped} text}}".encode(), "a.rtf", LIMITS)
    assert [element.text for element in result.elements] == ["plain text"]
    assert [(hidden.reason, hidden.text) for hidden in result.hidden] == [("invisible_code_points", "do it")]


def test_a_file_within_a_file_is_a_document_or_a_note() -> None:
    """A refusal of an inner file does not refuse the outer one, and depth is counted down to the limit."""
    inner = parse_within(b"words", "a.txt", LIMITS)
    assert not isinstance(inner, str)
    assert parse_within(b"", "a.txt", LIMITS) == "a.txt was left out: The file is empty."
    assert "too deep" in str(parse_within(b"words", "a.txt", ParseLimits(max_embedded=0)))


def test_files_are_parsed_in_workers() -> None:
    """A document and a refusal come back from a worker process as they are."""

    async def body() -> None:
        async with WorkerPool(parse, workers=1, seconds=30, memory_bytes=LIMITS.memory_bytes) as pool:
            assert await pool.run("a.txt", b"hello", "a.txt", LIMITS) == parse(b"hello", "a.txt", LIMITS)
            with pytest.raises(FileRefused) as caught:
                await pool.run("b.txt", b"", "b.txt", LIMITS)
            assert (caught.value.item, caught.value.code) == ("b.txt", "empty")

    asyncio.run(body())


def test_heavy_libraries_wait_for_the_first_file() -> None:
    """Importing the door loads no parser and no library behind one."""
    heavy = ("unstructured", "docx", "pptx", "openpyxl", "lxml", "pypdfium2", "xlrd", "olefile", "numpy", "torch")
    script = f"import sys, ingest.parsers; print([name for name in {heavy!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"


BEGINNINGS = [b"", b"%PDF-1.7\n", b"From: a\nTo: b\nContent-Type: multipart/mixed; boundary=x\n\n", b"{\\rtf1{\\*\\u"]
BEGINNINGS += [b"<html><p hidden>", b"<?xml version='1.0'?>", b"{", *(signature for signature, _ in SIGNATURES)]
NAMES = [f"a.{extension}" for extension in ("", "doc", *BINARY_EXTENSIONS, *TEXT_EXTENSIONS)]


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(BEGINNINGS), st.binary(max_size=400), st.sampled_from(NAMES))
def test_arbitrary_bytes_are_parsed_or_refused(beginning: bytes, rest: bytes, name: str) -> None:
    """Whatever a file holds, it gives a document with text or FileRefused, nothing else."""
    with suppress(FileRefused):
        result = parse(beginning + rest, name, LIMITS)
        assert result.media_type in PARSERS
        assert all(element.text for element in result.elements)
        assert result.elements


def test_hidden_text_is_kept_up_to_the_limit() -> None:
    """Of a long hidden text the record holds the beginning."""
    page = f"<p>Seen.</p><p hidden>{'x' * 100}</p>".encode()
    document = parse(page, "a.html", ParseLimits(max_hidden_characters=10))
    assert [hidden.text for hidden in document.hidden] == ["x" * 10]
