"""Words with boxes to rows and blocks, without any PDF."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.parsers.pdf_blocks import build_blocks, mark_running, to_elements, vocabulary
from ingest.parsers.pdf_layout import Row, Word, read_rows


def word(text: str, left: float, top: float, line: int = 0, size: float = 10, bold: bool = False) -> Word:
    """A word whose letters are half as wide as high."""
    return Word(left, top, left + 0.5 * size * len(text), top + size, size, bold, False, text, line)


def sentence(text: str, left: float, top: float, line: int = 0, size: float = 10, bold: bool = False) -> list[Word]:
    words = []
    for part in text.split():
        words.append(word(part, left, top, line, size, bold))
        left += 0.5 * size * (len(part) + 0.6)
    return words


def blocks_of(words: list[Word]) -> list[tuple[str, str]]:
    flows = read_rows(words, 1)
    known = vocabulary(row for flow in flows for row in flow)
    return [(block.kind, block.text) for flow in flows for block in build_blocks(flow, known)]


positions = st.tuples(st.floats(0, 500), st.floats(0, 700), st.integers(0, 30), st.sampled_from([6.0, 10.0, 18.0]))
texts = st.text("abcXYZ019$().,-", min_size=1, max_size=8)


@given(st.lists(st.tuples(texts, positions, st.booleans(), st.booleans()), max_size=60))
def test_no_letter_is_lost_or_made_up(made: list[tuple[str, tuple[float, float, int, float], bool, bool]]) -> None:
    """Whatever the geometry, the letters of the words are the letters of the elements; only hyphens may go."""
    words = [
        Word(x, y, x + 4 * len(text), y + size, size, bold, turned, text, line)
        for text, (x, y, line, size), bold, turned in made
    ]
    flows = read_rows(words, 1)
    known = vocabulary(row for flow in flows for row in flow)
    elements = to_elements([block for flow in flows for block in build_blocks(flow, known)])

    def letters(parts: list[str]) -> Counter[str]:
        return Counter(c for part in parts for c in part if not c.isspace() and c != "-")

    assert letters([element.text for element in elements]) == letters([text for text, *_ in made])


def test_a_line_written_in_pieces_is_one_line() -> None:
    """Producers place words one by one, in any order."""
    words = sentence("ships enter the basin at dawn", 50, 100)
    scattered = [piece._replace(line=at) for at, piece in enumerate(words)]
    assert blocks_of(scattered[::-1]) == [("prose", "ships enter the basin at dawn")]


def test_a_superscript_stays_on_its_line() -> None:
    """A raised figure begins no line of its own."""
    words = [*sentence("net sales", 50, 100), word("1", 96, 98.5, size=6), *sentence("rose again", 105, 100)]
    assert len(read_rows(words, 1)[0]) == 1


def test_wide_gaps_part_cells() -> None:
    """A gap wider than a blank opens a cell; a row of a table keeps its cells apart by tabs."""
    words = [*sentence("Dues paid", 50, 100), word("1,204", 200, 100), word("(310)", 260, 100)]
    assert blocks_of(words) == [("table", "Dues paid\t1,204\t(310)")]


@pytest.mark.parametrize("bullet", ["•", "–", "1.", "(a)", "iv."])
def test_bullets_open_list_items(bullet: str) -> None:
    """A bullet set apart is no cell, and each bullet opens an item."""
    words = []
    for at, text in enumerate(("the pilot boards", "the tug makes fast")):
        words += [word(bullet, 50, 100 + 12 * at, at), *sentence(text, 70, 100 + 12 * at, at)]
    assert blocks_of(words) == [
        ("list_item", f"{bullet} the pilot boards"),
        ("list_item", f"{bullet} the tug makes fast"),
    ]


def test_a_gap_between_lines_parts_paragraphs() -> None:
    """Lines at the usual distance are one paragraph, a wider gap begins the next."""
    tops = [100, 112, 124, 150, 162, 174]
    words = [
        w
        for at, top in enumerate(tops)
        for w in sentence(f"line {'abcdef'[at]} of the harbour book goes on", 50, top, at)
    ]
    assert [text.split()[1] for _, text in blocks_of(words)] == ["a", "d"]


def test_headings_below_each_other_stay_apart() -> None:
    """Short bold lines do not run together."""
    words = [
        *sentence("Part One", 50, 100, 0, bold=True),
        *sentence("Dues", 50, 114, 1, bold=True),
        *sentence("every ship that enters the basin pays dues by weight of its cargo in tonnes", 50, 128, 2),
    ]
    assert [text for _, text in blocks_of(words)][:2] == ["Part One", "Dues"]


def row(text: str, page: int, top: float) -> Row:
    return Row(page=page, cells=(text,), box=(50, top, 200, top + 10), size=10, bold=False)


def test_running_lines_need_to_return() -> None:
    """A line at the edge of one page only is text; one that returns, digits aside, is a running line."""
    pages = [[[row(f"Chapter {'ABC'[at]}", at, 20), row(f"Page {at}", at, 780)]] for at in range(3)]
    marked = mark_running(pages, [800.0] * 3)
    assert [[line.running for line in flow] for page in marked for flow in page] == [["", "footer"]] * 3


def test_words_of_two_columns_are_never_on_one_line() -> None:
    """Prose side by side is read column by column even when the lines of both stand at one height."""
    words = []
    for at in range(8):
        words += sentence("left side speaks about ships and the sea", 50, 100 + 12 * at, 2 * at)
        words += sentence("right side speaks about wind and the tide", 300, 100 + 12 * at, 2 * at + 1)
    text = " ".join(text for _, text in blocks_of(words))
    assert text.count("left side") == text.count("right side") == 8
    assert text.rindex("left side") < text.index("right side")


def test_a_table_of_words_is_read_by_rows() -> None:
    """Short entries side by side are a table, not columns."""
    words = []
    entries = [("Ada", "Oslo"), ("Bo", "Riga"), ("Cy", "Kiel"), ("Di", "Gdansk"), ("Ed", "Bergen")]
    for at, (name, place) in enumerate(entries):
        words += [word(name, 50, 100 + 12 * at, 2 * at), word(place, 300, 100 + 12 * at, 2 * at + 1)]
    assert blocks_of(words) == [("table", "Ada\tOslo\nBo\tRiga\nCy\tKiel\nDi\tGdansk\nEd\tBergen")]


def test_letter_spaced_words_are_put_together() -> None:
    """Where gaps of two widths tell letters from words, the letters of a word stand together; figures stay apart."""
    words, left = [], 50.0
    for text in ("W i d e", "l e t t e r s", "h e r e"):
        for letter in text.split():
            words.append(word(letter, left, 100))
            left += 5 + 1.5
        left += 5
    figures = [word(figure, 50 + 9 * at + (20 if at > 3 else 0), 140, line=1) for at, figure in enumerate("1234567")]
    assert [text for _, text in blocks_of(words)] == ["Wide letters here"]
    assert all("12" not in text for _, text in blocks_of(figures))
