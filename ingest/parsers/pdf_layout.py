"""From words with boxes to rows of text in reading order: columns first, then lines, then the cells of a line.

Only geometry and type decide, in multiples of the font size, so that the same figures hold for any page size. A row of
text with wide gaps is a table row: it stays on one line, cells apart by a tab, so that a figure stays with its label.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from statistics import median
from typing import Literal, NamedTuple

Box = tuple[float, float, float, float]

CELL_GAP = 1.2  # font sizes between two words that belong to different cells; justified text stays below one
FIGURE_GAP = 0.7  # font sizes between two figures in different cells
SAME_ROW = 0.5  # font sizes between the middles of two words on one line; a superscript is off by about 0.3
SPACED_OUT = 2.5  # letters between two blanks on average, below which a text may be letter-spaced; English has 4.5
GUTTER = 0.8  # font sizes of white between two columns of prose
BULLET = re.compile(
    r"(?:[•◦▪▫●○■□–—·‣⁃∙*\uf0b7\uf0a7-]|\((?:\d{1,2}|[a-zA-Z]|[ivxIVX]{1,5})\)|(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)])"
)
_CURRENCY = re.compile(r"[$€£¥₹(+−–-]+|(?:US|C|A|HK)\$")
_TAIL = re.compile(r"[)%]+|\)%|[)\]]\s*%?|x|bps|pts?\.?")
_NUMBER = re.compile(r"[(+−–—$€£¥-]*\s*\d[\d,.'’ ]*\)?%?")


class Word(NamedTuple):
    """A run of characters without blanks; the box is left, top, right, bottom in points from the top left."""

    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool
    turned: bool  # not upright on the page
    text: str
    line: int  # number of the line in the order of the file


class Segment(NamedTuple):
    """Words side by side: a line of a column, or a cell of a row."""

    box: Box
    size: float  # of most of its letters
    bold: bool  # all of it
    text: str
    line: int

    @property
    def middle(self) -> float:
        """Height of its middle on the page."""
        return (self.box[1] + self.box[3]) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of a column; more than one cell when it is a row of a table."""

    page: int  # counts from 1
    cells: tuple[str, ...]
    box: Box
    size: float
    bold: bool
    running: Literal["", "header", "footer"] = ""

    @property
    def text(self) -> str:
        """The cells apart by a tab."""
        return "\t".join(self.cells)


def read_rows(words: Sequence[Word], page: int) -> list[list[Row]]:
    """The columns of a page in reading order, each as rows from top to bottom."""
    turned = [word for word in words if word.turned]
    upright = [word for word in words if not word.turned] if turned else words
    columns = list(_columns(_merged(_segments(_closed_up(upright)))))
    flows = [_rows(column, page) for column in columns if column]
    if turned:  # axis labels and margin notes: in the order of the file, after the rest
        flows.append([_row([_segment(group)], page) for group in _groups_of_line(turned)])
    return flows


def _groups_of_line(words: Sequence[Word]) -> list[list[Word]]:
    return [list(group) for _, group in groupby(words, key=lambda word: word.line)]


def _closed_up(words: Sequence[Word]) -> list[Word]:
    """Letter-spaced lines with their letters put together, where gaps of two widths tell letters from words."""
    return [word for line in _groups_of_line(words) for word in _closed_up_line(line)]


def _closed_up_line(line: list[Word]) -> list[Word]:
    letters = sum([len(word.text) for word in line])
    if len(line) < 6 or letters > SPACED_OUT * len(line) or not all(word.text[0].isalpha() for word in line):
        return line
    gaps = sorted(after.left - before.right for before, after in pairwise(line))
    jump, narrow = max((wider - gap, gap) for gap, wider in pairwise(gaps))
    if not 0 <= narrow < min(0.3 * line[0].size, jump):
        return line
    closed = [line[0]]
    for before, after in pairwise(line):
        last = closed[-1]
        if after.left - before.right > narrow:
            closed.append(after)
        else:
            box = union((last[:4], after[:4]))
            closed[-1] = last._replace(
                left=box[0], top=box[1], right=box[2], bottom=box[3], text=last.text + after.text
            )
    return closed


def union(boxes: Iterable[Box]) -> Box:
    """The smallest box around all of them."""
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return min(lefts), min(tops), max(rights), max(bottoms)


def _segments(words: Sequence[Word]) -> list[Segment]:
    """Cuts the stream of words wherever it jumps."""
    groups: list[list[Word]] = []
    for word in words:
        if groups and _continues(groups[-1][-1], word):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [_segment(group) for group in groups]


def _continues(last: Word, word: Word) -> bool:
    size = max(last.size, word.size, 1.0)
    gap = word.left - last.right
    if gap > 0.3 * size and _starts_cell(last.text, word.text, gap / size):
        return False
    level = abs((word.top + word.bottom) - (last.top + last.bottom)) / 2
    return word.line == last.line and -size < gap < CELL_GAP * size and level < SAME_ROW * size


def _starts_cell(before: str, text: str, gap: float) -> bool:
    """Whether a figure or its currency sign opens a cell, although the gap (in font sizes) is less than CELL_GAP."""
    closed = before[-1:].isdigit() or before[-1:] in ")%—–"
    if _CURRENCY.fullmatch(text) and not text.startswith(("—", "–")):
        return closed and gap > 0.3 and text[0] not in "(+-−"
    return closed and gap > FIGURE_GAP and _NUMBER.match(text) is not None and _NUMBER.search(before) is not None


def _segment(words: Sequence[Word]) -> Segment:
    lefts, tops, rights, bottoms, sizes, bolds, _, texts, lines = zip(*words, strict=True)
    size = sizes[0]
    if min(sizes) != max(sizes):
        letters: Counter[float] = Counter()
        for word in words:
            letters[word.size] += len(word.text)
        size = letters.most_common(1)[0][0]
    box = (min(lefts), min(tops), max(rights), max(bottoms))
    return Segment(box, size, all(bolds), " ".join(texts), lines[0])


def _by_rows(segments: Iterable[Segment]) -> list[list[Segment]]:
    """Segments at one height together, each row from left to right."""
    rows: list[list[Segment]] = []
    for segment in sorted(segments, key=lambda s: s.middle):
        head = rows[-1][0] if rows else None
        if head is not None and segment.middle - head.middle < SAME_ROW * max(min(segment.size, head.size), 1.0):
            rows[-1].append(segment)
        else:
            rows.append([segment])
    for row in rows:
        row.sort(key=lambda s: s.box[0])
    return rows


def _merged(segments: Iterable[Segment]) -> list[Segment]:
    """Joins what the file wrote in pieces: neighbours on a row with no more than a blank between them."""
    merged: list[Segment] = []
    for row in _by_rows(segments):
        start = len(merged)
        for segment in row:
            last = merged[-1] if len(merged) > start else None
            gap = (segment.box[0] - last.box[2]) / max(segment.size, 1.0) if last is not None else 1.0
            if last is not None and gap < 0.5 and not _starts_cell(last.text, segment.text.split(" ", 1)[0], gap):
                merged[-1] = _joined(last, segment)
            else:
                merged.append(segment)
    return merged


def _joined(first: Segment, second: Segment) -> Segment:
    gap = second.box[0] - first.box[2]
    between = "" if -0.5 * first.size < gap < 0.05 * first.size else " "
    size = first.size if len(first.text) >= len(second.text) else second.size
    box = union((first.box, second.box))
    return Segment(box, size, first.bold and second.bold, first.text + between + second.text, first.line)


def _columns(segments: list[Segment], depth: int = 0) -> Iterator[list[Segment]]:
    """Splits at gutters between columns of prose; what crosses a gutter parts the page into bands."""
    gutter = _gutter(segments) if depth < 3 else None
    if gutter is None:
        yield segments
        return
    crossing = sorted((s for s in segments if s.box[0] < gutter < s.box[2]), key=lambda s: s.middle)
    sides = [s for s in segments if not s.box[0] < gutter < s.box[2]]
    edges = [s.middle for s in crossing]
    done: list[Segment] = []
    for at, edge in enumerate([*edges, float("inf")]):
        low = edges[at - 1] if at else float("-inf")
        band = [s for s in sides if low <= s.middle < edge]
        if band:
            if done:
                yield done
                done = []
            yield from _columns([s for s in band if s.box[2] <= gutter], depth + 1)
            yield from _columns([s for s in band if s.box[0] >= gutter], depth + 1)
        if at < len(crossing):
            done.append(crossing[at])
    if done:
        yield done


def _gutter(segments: Sequence[Segment]) -> float | None:
    """Middle of the widest white strip that has prose on both sides, or None."""
    if len(segments) < 4:
        return None
    left, _, right, _ = union(s.box for s in segments)
    wide = right - left
    narrow = [s for s in segments if s.box[2] - s.box[0] < 0.6 * wide]
    size = median(s.size for s in segments)
    strips = []
    reach = left
    for segment in sorted(narrow, key=lambda s: s.box[0]):
        gap = segment.box[0] - reach
        if gap >= GUTTER * size and left + 0.2 * wide < reach + gap / 2 < right - 0.2 * wide:
            strips.append((gap, reach + gap / 2))
        reach = max(reach, segment.box[2])
    for _, middle in sorted(strips, reverse=True):
        if _side_by_side([s for s in narrow if s.box[2] <= middle], [s for s in narrow if s.box[0] >= middle]):
            return middle
    return None


def _side_by_side(one: Sequence[Segment], other: Sequence[Segment]) -> bool:
    """Whether both are columns of prose that stand next to each other for most of the shorter one."""
    # the author's order is a witness: whoever writes one side first means columns, a table is written row by row
    in_turn = max(s.line for s in one) < min(s.line for s in other) if one and other else False
    least = 2 if in_turn else 5
    if not (_is_prose(one, least) and _is_prose(other, least)):
        return False
    a, b = union(s.box for s in one), union(s.box for s in other)
    return min(a[3], b[3]) - max(a[1], b[1]) > 0.3 * min(a[3] - a[1], b[3] - b[1])


def _is_prose(side: Sequence[Segment], least: int) -> bool:
    """Mostly lines of several words that fill the column, and no fewer than `least` of them."""
    if len(side) < least:
        return False
    left, _, right, _ = union(s.box for s in side)
    long = [s for s in side if s.text.count(" ") >= 2 and sum(c.isdigit() for c in s.text) < 0.3 * len(s.text)]
    full = sum(s.box[2] - s.box[0] > 0.6 * (right - left) for s in long)
    letters = sum(len(s.text) for s in side)
    return full >= least and full >= 0.45 * len(side) and sum(len(s.text) for s in long) > 0.7 * letters


def _rows(segments: Iterable[Segment], page: int) -> list[Row]:
    return [_row(row, page) for row in _by_rows(segments)]


def _row(segments: Sequence[Segment], page: int) -> Row:
    cells: list[str] = []
    for segment in segments:
        text = segment.text
        # a currency sign or an opening bracket stands apart from its figure, a closing one or a percent sign too
        opens = bool(cells) and _CURRENCY.fullmatch(cells[-1]) is not None and text[:1].isdigit()
        closes = bool(cells) and _TAIL.fullmatch(text) is not None and cells[-1][-1:].isdigit()
        if opens or closes:
            cells[-1] += text if closes or cells[-1].endswith("(") else " " + text
        else:
            cells.append(text)
    if len(cells) > 1 and BULLET.fullmatch(cells[0]) and not _NUMBER.fullmatch(cells[1]):
        cells[:2] = [cells[0] + " " + cells[1]]
    largest = max(segments, key=lambda s: len(s.text))
    box = union(s.box for s in segments)
    return Row(page=page, cells=tuple(cells), box=box, size=largest.size, bold=all(s.bold for s in segments))
