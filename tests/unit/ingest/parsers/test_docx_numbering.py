"""Lists as Word defines them, and the labels that it shows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from ingest.parsers.docx_numbering import Numbering, _roman

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def level(at: int, text: str, form: str = "decimal", start: int | None = 1, more: str = "") -> str:
    begin = "" if start is None else f'<w:start w:val="{start}"/>'
    return f'<w:lvl w:ilvl="{at}">{begin}<w:numFmt w:val="{form}"/>{more}<w:lvlText w:val="{text}"/></w:lvl>'


def numbering(levels: str, *lists: str) -> Numbering:
    """One definition and the lists that use it, numbered from 1; each is what stands in its w:num."""
    nums = "".join(
        f'<w:num w:numId="{number}"><w:abstractNumId w:val="0"/>{override}</w:num>'
        for number, override in enumerate(lists or ("",), 1)
    )
    markup = f'<w:numbering {W}><w:abstractNum w:abstractNumId="0">{levels}</w:abstractNum>{nums}</w:numbering>'
    return Numbering(etree.fromstring(markup))


def test_levels_count_within_each_other() -> None:
    """A deeper level starts again under each number of the level above it."""
    labels = numbering(level(0, "%1.") + level(1, "%1.%2"))
    assert [labels.label("1", at) for at in (0, 1, 1, 0, 1)] == ["1.", "1.1", "1.2", "2.", "2.1"]


@pytest.mark.parametrize(
    ("form", "shown"),
    [
        ("lowerLetter", "c"),
        ("upperLetter", "C"),
        ("lowerRoman", "iii"),
        ("upperRoman", "III"),
        ("decimalZero", "03"),
        ("ordinal", "3rd"),
        ("bullet", ""),
        ("none", ""),
    ],
)
def test_forms(form: str, shown: str) -> None:
    """Numbers are written as the level says."""
    labels = numbering(level(0, "%1", form))
    assert [labels.label("1", 0) for _ in range(3)][-1] == shown


def test_lists_of_one_definition_go_on_unless_they_start_again() -> None:
    """A second list goes on where the first one stopped; one with a start of its own begins there, once."""
    override = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="7"/></w:lvlOverride>'
    labels = numbering(level(0, "%1"), "", "", override)
    assert [labels.label(name, 0) for name in ("1", "2", "3", "3", "1")] == ["1", "2", "7", "8", "9"]


def test_a_list_may_look_different() -> None:
    """A list that defines a level anew is shown so, and the others are not."""
    labels = numbering(
        level(0, "%1"), "", f'<w:lvlOverride w:ilvl="0">{level(0, "(%1)", "upperLetter")}</w:lvlOverride>'
    )
    assert [labels.label(name, 0) for name in ("1", "2", "1")] == ["1", "(B)", "3"]


def test_legal_numbers_are_arabic() -> None:
    """On a legal level the numbers of the levels above are Arabic whatever they look like themselves."""
    labels = numbering(level(0, "%1", "upperRoman") + level(1, "%1.%2", more="<w:isLgl/>"))
    assert [labels.label("1", at) for at in (0, 1)] == ["I", "1.1"]


def test_a_level_may_count_through() -> None:
    """A level that says that nothing restarts it goes on counting."""
    labels = numbering(level(0, "%1") + level(1, "%2", more='<w:lvlRestart w:val="0"/>'))
    assert [labels.label("1", at) for at in (0, 1, 0, 1)] == ["1", "1", "2", "2"]


def test_what_is_not_defined_has_no_label() -> None:
    """Unknown lists and levels, and documents without lists, give nothing; a level without a start begins at 0."""
    assert Numbering(None).label("1", 0) == ""
    labels = numbering(level(0, "%1", start=None))
    assert [labels.label("1", 5), labels.label("9", 0), labels.label("1", 0)] == ["", "", "0"]


@given(st.integers(1, 3999))
def test_roman_numbers_say_their_number(number: int) -> None:
    """Each letter counts its value, less where a greater one follows."""
    values = [{"m": 1000, "d": 500, "c": 100, "l": 50, "x": 10, "v": 5, "i": 1}[letter] for letter in _roman(number)]
    pairs = zip(values, [*values[1:], 0], strict=True)
    assert sum(-value if value < following else value for value, following in pairs) == number
