from __future__ import annotations

import codecs
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.charset import decode, wide_codec
from ingest.errors import FileRefused

GERMAN = "Die Reisekosten für Übernachtungen werden bis zur Höhe von 120 Euro erstattet."
JAPANESE = "出張費の精算は翌月の十日までに経理部へ提出してください。領収書が必要です。"
CHINESE = "员工每年享有二十天带薪年假，未休假期可以顺延至次年三月底。"
RUSSIAN = "Командировочные расходы возмещаются в течение десяти рабочих дней."


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        (GERMAN, "utf-32"),
        (GERMAN, "cp1252"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (CHINESE, "gb18030"),
        (RUSSIAN, "cp1251"),
    ],
)
def test_reads_the_encodings_people_have(text: str, encoding: str) -> None:
    """A text comes back as it was written, with and without a byte order mark, in old and new encodings."""
    assert decode(text.encode(encoding), "note.txt") == text


def test_declared_encoding_decides_when_it_is_not_utf_8() -> None:
    """What the file says of itself is believed where its bytes are no UTF-8."""
    assert decode("naïve".encode("mac_roman"), "a.html", "mac_roman") == "naïve"
    assert decode("naïve".encode(), "a.html", "cp1252") == "naïve"


def test_a_damaged_byte_costs_one_character() -> None:
    """UTF-8 with a broken byte is still read as UTF-8."""
    data = (GERMAN * 50).encode()[:-1] + b"\xff"
    assert decode(data, "a.txt") == (GERMAN * 50)[:-1] + "\ufffd"


def test_what_fits_nothing_is_refused() -> None:
    """Bytes that are text in no encoding are refused with the reason and what to do."""
    with pytest.raises(FileRefused) as refused:
        decode(bytes(range(128, 256)) * 40 + b"\x81\x8d\x8f\x90\x9d\x00\x01\x02" * 40, "a.txt")
    assert (refused.value.code, refused.value.item) == ("unreadable_encoding", "a.txt")


@settings(deadline=None)
@given(text=st.text(alphabet=st.characters(exclude_characters="\r", exclude_categories=["Cs"]), max_size=60))
def test_marked_texts_come_back_exactly(text: str) -> None:
    """Whatever is written with a byte order mark is read back."""
    assert decode(codecs.BOM_UTF8 + text.encode(), "x") == text
    assert decode(codecs.BOM_UTF16_BE + text.encode("utf-16-be"), "x") == text


@settings(deadline=None)
@given(data=st.binary(max_size=80))
def test_any_bytes_are_text_or_refused(data: bytes) -> None:
    """No bytes make the decoder fail in another way."""
    with suppress(FileRefused):
        assert isinstance(decode(data, "x"), str)


@given(st.text(min_size=20, alphabet=st.characters(max_codepoint=0x2FF, min_codepoint=0x20)))
def test_wide_text_with_a_mark_is_recognised(text: str) -> None:
    """UTF-16 and UTF-32 with a byte order mark are told apart."""
    for codec in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        assert wide_codec(f"\ufeff{text}".encode(codec)) == codec
