from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retrieval.sentences import MAX_CHARACTERS, MAX_CHARACTERS_UNMARKED, sentence_spans


def sentences(text: str) -> list[str]:
    return [text[start:end] for start, end in sentence_spans(text)]


@given(
    st.one_of(
        st.text(),
        st.text(alphabet=" \n\r\t.!?。।؟\"')]»1aBß中ท|-\u2028\x1c", max_size=200),
        st.lists(st.sampled_from(["Dr. ", "e.g. ", "A b. ", "\n\n", "- x\n", "1. ", "  ", "字。", "ab", "“Q?” "])).map(
            "".join
        ),
    )
)
@example("")
@example(" \n ")
@example("a." * 1_000)
def test_the_slices_tile_the_text_up_to_white_space(text: str) -> None:
    """Spans are ordered, never empty, bare of white space at their ends, and only white space lies between them."""
    position = 0
    for start, end in sentence_spans(text):
        assert position <= start < end <= len(text)
        assert text[position:start].strip() == ""
        assert text[start:end] == text[start:end].strip()
        assert end - start <= MAX_CHARACTERS
        position = end
    assert text[position:].strip() == ""


@pytest.mark.parametrize(
    "expected",
    [
        ["Dr. Anna Weber joined on 3 May.", "She leads Support."],
        ["The fee is 3.50 EUR per seat.", "It rises to 4.25 EUR in 2027."],
        ["See fig. 3 and No. 12, e.g. the table.", "Then stop."],
        ["It moved to the U.S. Army base.", "J. R. Smith signed."],
        ["He lives in the U.S.", "The house is old."],
        ['"Is it safe?" she asked.', "Nobody knew!", "Really?"],
        ["He said “Stop.”", "They did."],
        ["It was shown.[3]", "Later it failed.[4][5]"],
        ["Visit example.com or mail a.b@example.com today.", "Use v1.2.3 only."],
        ["Am 3. Oktober 1990 war es so weit.", "Die Frist beträgt z.B. 14 Tage.", "Danach verfällt sie."],
        ["Il part à 8 h.", "Mme Dupont reste."],
    ],
)
def test_full_stops_that_end_nothing_do_not_split(expected: list[str]) -> None:
    """Abbreviations, initials, decimals, ordinals and addresses stay whole; real ends are found."""
    assert sentences(" ".join(expected)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("退款期限为30天。之后不予退款！真的吗？", ["退款期限为30天。", "之后不予退款！", "真的吗？"]),
        ("彼は「はい。」と言った。次へ。", ["彼は「はい。」", "と言った。", "次へ。"]),
        ("यह पहला वाक्य है। यह दूसरा है॥", ["यह पहला वाक्य है।", "यह दूसरा है॥"]),
        ("هل يمكن ذلك؟ نعم. شكرا", ["هل يمكن ذلك؟", "نعم.", "شكرا"]),
        ("Это г. Москва. Он большой.", ["Это г. Москва.", "Он большой."]),
    ],
)
def test_other_scripts_have_their_own_stops(text: str, expected: list[str]) -> None:
    """Chinese, Japanese, Hindi, Arabic and Russian text is split at the marks those scripts use."""
    assert sentences(text) == expected


def test_thai_is_cut_at_its_spaces() -> None:
    """Thai has no full stop: a long run is cut at spaces into pieces of bounded length."""
    text = " ".join(["พนักงานทุกคนมีสิทธิลาพักร้อนสิบวัน"] * 20)
    pieces = sentences(text)
    assert len(pieces) > 3
    assert all(len(piece) <= MAX_CHARACTERS_UNMARKED for piece in pieces)
    assert all(word == "พนักงานทุกคนมีสิทธิลาพักร้อนสิบวัน" for piece in pieces for word in piece.split())


def test_rows_items_and_short_lines_count_as_sentences() -> None:
    """Table rows, list items and stand-alone lines are sentences; a paragraph wrapped by its parser is not split."""
    assert sentences("Plan | Price\nBasic | 10 EUR\nPro | 25 EUR") == ["Plan | Price", "Basic | 10 EUR", "Pro | 25 EUR"]
    assert sentences("Bring:\n- a laptop\n- your badge\n1. Sign in.\n2. Wait.") == [
        "Bring:",
        "- a laptop",
        "- your badge",
        "1. Sign in.",
        "2. Wait.",
    ]
    assert sentences("Name: Ines Roth\nPhone: 123") == ["Name: Ines Roth", "Phone: 123"]
    wrapped = "Every employee of the company receives a laptop from\nInformation Technology on the first\nday."
    assert sentences(wrapped) == [wrapped]
    assert sentences("A heading without a stop that is rather long, longer than a line\n\nText.")[1] == "Text."


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "unit", ["a", ".", " ", "\n", "a ", ". ", "A.", "\t", "[1]", ".\n", "字", "ท ", "'", "a" * 999 + "  "]
)
def test_a_huge_text_is_cut_into_bounded_pieces(unit: str) -> None:
    """300 kB of anything end in bounded pieces; work that grows with the square would run into the time limit."""
    text = unit * (300_000 // len(unit))
    assert max((end - start for start, end in sentence_spans(text)), default=0) <= MAX_CHARACTERS
