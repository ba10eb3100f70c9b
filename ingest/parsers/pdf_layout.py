"""From words with boxes to the pieces of a page in reading order: columns, rows, tables, paragraphs, headings.

Only geometry and type decide, in multiples of the font size, so that the same figures hold for any page size. A row of
text with wide gaps is a table row: it stays on one line, cells apart by a tab, so that a figure stays with its label.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median
from typing import Literal, NamedTuple

from ingest.elements import Element

Box = tuple[float, float, float, float]

CELL_GAP = 1.2  # font sizes between two words that belong to different cells; justified text stays below one
SAME_ROW = 0.5  # font sizes between the middles of two words on one line; a superscript is off by about 0.3
GUTTER = 0.8  # font sizes of white between two columns of prose
PARAGRAPH_GAP = 1.25  # times the usual distance of lines
HEADING_SIZE = 1.12  # times the body size
HEADING_WORDS = 25
RUNNING_PAGES = 3  # a line that returns at the same edge of so many pages is a running header or footer
MAX_LEVEL = 6

_BULLET = re.compile(r"(?:[•◦▪▫●○■□–—·‣⁃∙*\uf0b7\uf0a7-]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)])")
_CURRENCY = re.compile(r"[$€£¥₹(+−–-]+|(?:US|C|A|HK)\$")
_TAIL = re.compile(r"[)%]+|\)%|[)\]]\s*%?|x|bps|pts?\.?")
_NUMBER = re.compile(r"[(+−–—$€£¥-]*\s*\d[\d,.'’ ]*\)?%?")
_SENTENCE_END = re.compile(r"[.!?:;。！？][)\"'”’\]]*$")
_PLAIN = {
    **{code: None for code in (*range(0x09), *range(0x0B, 0x20), 0xAD, 0xFFFF)},
    **{0x02: "-", 0xFFFE: "-"},
    **dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True)),
}
_HYPHENS = "-\x02\ufffe\xad\u2010"  # pdfium puts U+0002 or U+FFFE for a hyphen at the end of a line


class Word(NamedTuple):
    """A run of characters without blanks; the box is left, top, right, bottom in points from the top left."""

    left: float
    top: float
    right: float
    bottom: float
    size: float
    bold: bool
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows that belong together."""

    kind: Literal["prose", "list_item", "table", "header", "footer"]
    text: str
    page: int
    box: Box
    size: float
    bold: bool


def read_rows(words: Sequence[Word], page: int) -> list[list[Row]]:
    """The columns of a page in reading order, each as rows from top to bottom."""
    upright = [word for word in words if not _is_turned(word)]
    turned = [word for word in words if _is_turned(word)]
    columns = list(_columns(_merged(_segments(upright))))
    flows = [_rows(column, page) for column in columns if column]
    if turned:  # axis labels and margin notes: in the order of the file, after the rest
        flows.append([_row([_segment(group)], page) for group in _groups_of_line(turned)])
    return flows


def _is_turned(word: Word) -> bool:
    return len(word.text) > 2 and word.bottom - word.top > 2.5 * word.size > 0 and word.right - word.left < 2 * word.size


def _groups_of_line(words: Sequence[Word]) -> list[list[Word]]:
    return [list(group) for _, group in groupby(words, key=lambda word: word.line)]


def _union(boxes: Iterable[Box]) -> Box:
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
    level = abs((word.top + word.bottom) - (last.top + last.bottom)) / 2
    return word.line == last.line and -size < gap < CELL_GAP * size and level < SAME_ROW * size


def _segment(words: Sequence[Word]) -> Segment:
    lefts, tops, rights, bottoms, sizes, bolds, texts, lines = zip(*words, strict=True)
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
            if last is not None and segment.box[0] - last.box[2] < 0.5 * max(segment.size, 1.0):
                merged[-1] = _joined(last, segment)
            else:
                merged.append(segment)
    return merged


def _joined(first: Segment, second: Segment) -> Segment:
    gap = second.box[0] - first.box[2]
    between = "" if -0.5 * first.size < gap < 0.1 * first.size else " "
    size = first.size if len(first.text) >= len(second.text) else second.size
    box = _union((first.box, second.box))
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
    if len(segments) < 10:
        return None
    left, _, right, _ = _union(s.box for s in segments)
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
    if not (_is_prose(one) and _is_prose(other)):
        return False
    a, b = _union(s.box for s in one), _union(s.box for s in other)
    return min(a[3], b[3]) - max(a[1], b[1]) > 0.3 * min(a[3] - a[1], b[3] - b[1])


def _is_prose(side: Sequence[Segment]) -> bool:
    """Mostly lines of several words that fill the column."""
    if len(side) < 5:
        return False
    left, _, right, _ = _union(s.box for s in side)
    long = [s for s in side if s.text.count(" ") >= 2 and sum(c.isdigit() for c in s.text) < 0.3 * len(s.text)]
    full = sum(s.box[2] - s.box[0] > 0.6 * (right - left) for s in long)
    return full >= 5 and full >= 0.45 * len(side) and sum(len(s.text) for s in long) > 0.7 * sum(len(s.text) for s in side)


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
    if len(cells) > 1 and _BULLET.fullmatch(cells[0]) and not _NUMBER.fullmatch(cells[1]):
        cells[:2] = [cells[0] + " " + cells[1]]
    largest = max(segments, key=lambda s: len(s.text))
    box = _union(s.box for s in segments)
    return Row(page=page, cells=tuple(cells), box=box, size=largest.size, bold=all(s.bold for s in segments))


def mark_running(pages: Sequence[list[list[Row]]], heights: Sequence[float]) -> list[list[list[Row]]]:
    """Marks the rows at the upper and lower edge that return on other pages; digits may differ."""
    edges: list[dict[int, str]] = []
    counts: Counter[tuple[str, str]] = Counter()
    for flows, height in zip(pages, heights, strict=True):
        rows = sorted((row for flow in flows for row in flow), key=lambda row: row.box[1])
        upper = [row for row in rows[:2] if row.box[3] < 0.15 * height]
        lower = [row for row in rows[-2:] if row.box[1] > 0.85 * height]
        edges.append({**{id(row): "header" for row in upper}, **{id(row): "footer" for row in lower}})
        counts.update({(edges[-1][id(row)], _signature(row)) for row in upper + lower})

    def marked(row: Row, edge: str | None) -> Row:
        if edge and counts[edge, _signature(row)] >= RUNNING_PAGES:
            return replace(row, running="header" if edge == "header" else "footer")
        return row

    return [[[marked(row, edge.get(id(row))) for row in flow] for flow in flows] for flows, edge in zip(pages, edges, strict=True)]


def _signature(row: Row) -> str:
    return re.sub(r"\d+", "0", " ".join(row.text.lower().split()))


def build_blocks(flow: Sequence[Row], known: frozenset[str]) -> list[Block]:
    """Running lines, tables, list items and paragraphs of one column; `known` are the document's words, lower case."""
    blocks = [_block(row.running, [row], row.text) for row in flow if row.running == "header"]
    body = [row for row in flow if not row.running]
    at = 0
    usual = _usual_pitch(body)
    while at < len(body):
        end = _table_end(body, at)
        if end > at:
            blocks.append(_table(body[at:end]))
        else:
            end = _paragraph_end(body, at, usual)
            blocks.append(_prose(body[at:end], known))
        at = end
    return blocks + [_block(row.running, [row], row.text) for row in flow if row.running == "footer"]


def _block(kind: str, rows: Sequence[Row], text: str) -> Block:
    return Block(
        kind=kind,  # type: ignore[arg-type]
        text=_clean(text),
        page=rows[0].page,
        box=_union(row.box for row in rows),
        size=max(rows, key=lambda row: len(row.text)).size,
        bold=all(row.bold for row in rows),
    )


def _clean(text: str) -> str:
    return text.translate(_PLAIN).strip()


def _usual_pitch(rows: Sequence[Row]) -> float:
    """Distance of the lines of most paragraphs, in font sizes."""
    pitches = [
        (low.box[1] - high.box[1]) / high.size
        for high, low in pairwise(rows)
        if high.size and abs(high.size - low.size) < 0.5 and len(low.cells) == len(high.cells) == 1
    ]
    close = [pitch for pitch in pitches if 0.8 < pitch < 2.5]
    return median(close) if close else 1.2


def _table_end(rows: Sequence[Row], start: int) -> int:
    """Where the table that begins at `start` ends; `start` itself when none begins there.

    A row with a single cell belongs to a table when another row with cells follows close: it is a label whose
    figures stand further down, or a heading inside the table.
    """
    if len(rows[start].cells) < 2:
        return start
    end, at = start + 1, start + 1
    while at < len(rows) and at - end < 3 and rows[at].box[1] - rows[at - 1].box[3] < 2.5 * max(rows[at].size, 1.0):
        if len(rows[at].cells) > 1:
            end = at + 1
        elif len(rows[at].text) > 120:
            break
        at += 1
    return end


def _table(rows: Sequence[Row]) -> Block:
    """One line per row; a label that runs over several lines is put together."""
    lines: list[list[str]] = []
    for row in rows:
        cells = list(row.cells)
        last = lines[-1] if lines else None
        if last is not None and cells[0][:1].islower() and not _SENTENCE_END.search(last[0]):
            if len(last) == 1:
                lines[-1] = [last[0] + " " + cells[0], *cells[1:]]
                continue
            if len(cells) == 1:
                last[0] += " " + cells[0]
                continue
        lines.append(cells)
    return _block("table", rows, "\n".join("\t".join(cells) for cells in lines))


def _paragraph_end(rows: Sequence[Row], start: int, usual: float) -> int:
    right = max(row.box[2] for row in rows)
    end = start + 1
    while end < len(rows) and len(rows[end].cells) == 1 and not _breaks(rows[end - 1], rows[end], usual, right):
        end += 1
    return end


def _breaks(last: Row, row: Row, usual: float, right: float) -> bool:
    """Whether a new paragraph begins at `row`."""
    size = max(last.size, 1.0)
    if abs(row.size - last.size) > 0.08 * size or row.bold != last.bold:
        return True
    if (row.box[1] - last.box[1]) / size > PARAGRAPH_GAP * usual + 0.1 or row.box[1] < last.box[1]:
        return True
    if _BULLET.fullmatch(row.text.split(" ", 1)[0]) and " " in row.text and not last.text.endswith(tuple(_HYPHENS)):
        return True
    ended = _SENTENCE_END.search(last.text) is not None
    indented = row.box[0] - last.box[0] > 0.8 * size
    return ended and (indented or last.box[2] < right - 0.2 * max(right - last.box[0], 1.0))


def _prose(rows: Sequence[Row], known: frozenset[str]) -> Block:
    text = rows[0].text
    for row in rows[1:]:
        text = _append(text, row.text, known)
    listed = _BULLET.fullmatch(text.split(" ", 1)[0]) is not None and " " in text
    return _block("list_item" if listed else "prose", rows, text)


def _append(text: str, line: str, known: frozenset[str]) -> str:
    """Joins a line to the text before it. A hyphen at the end goes, unless the document writes the word with it."""
    if not (len(text) > 1 and text[-1] in _HYPHENS and text[-2].isalpha() and line[:1].islower()):
        return text + (line if text[-1] in _HYPHENS and len(text) > 1 and text[-2].isalnum() else " " + line)
    first, second = text[:-1].rsplit(None, 1)[-1], line.split(None, 1)[0]
    return text[:-1] + ("-" if _keeps_hyphen(_bare(first), _bare(second), known) else "") + line


def _keeps_hyphen(first: str, second: str, known: frozenset[str]) -> bool:
    """As the document writes the word elsewhere; else whether both halves are words of it."""
    if first + second in known:
        return False
    return f"{first}-{second}" in known or (first in known and second in known)


def _bare(word: str) -> str:
    return word.lower().strip(".,;:!?()[]\"'“”‘’")


def vocabulary(rows: Iterable[Row]) -> frozenset[str]:
    """The words of a document in lower case, to tell a hyphen that belongs from one that a line end put in."""
    return frozenset(_bare(word) for row in rows for word in row.text.split())


def to_elements(blocks: Sequence[Block]) -> list[Element]:
    """Blocks of a whole document as elements; headings are told by size, weight and shape against its body text."""
    letters: Counter[float] = Counter()
    for block in blocks:
        letters[round(block.size, 1)] += len(block.text)
    body = letters.most_common(1)[0][0] if letters else 0.0
    looks = [_heading_look(block, body) for block in blocks]
    ranks = _levels(look for look in looks if look is not None)
    return [_element(block, ranks[look] if look else 0) for block, look in zip(blocks, looks, strict=True) if block.text]


def _heading_look(block: Block, body: float) -> tuple[float, bool] | None:
    """(size, bold) that a heading is ranked by; None for what is no heading."""
    text = block.text
    words = text.split()
    if block.kind not in ("prose", "list_item") or not words or len(words) > HEADING_WORDS:
        return None
    if not any(c.isalpha() for c in text) or _BULLET.fullmatch(text) or text[0] in "•◦▪▫●○■□‣":
        return None
    if text.endswith((".", ",", ";")) and not re.match(r"(?:item|part|section|chapter|note)\s+\w+\.$", text.lower()):
        return None
    if block.size >= HEADING_SIZE * body:
        return round(block.size * 2) / 2, block.bold
    capitals = text.isupper() and sum(c.isalpha() for c in text) >= 4 and len(words) <= 12
    if block.size >= 0.9 * body and (block.bold or capitals) and len(words) <= 15:
        return round(body * 2) / 2, block.bold
    return None


def _levels(looks: Iterable[tuple[float, bool]]) -> dict[tuple[float, bool], int]:
    """Larger is higher, then bold; sizes within five in a hundred are one."""
    levels: dict[tuple[float, bool], int] = {}
    level, last = 0, (float("inf"), True)
    for look in sorted(set(looks), reverse=True):
        if look[0] < 0.95 * last[0] or look[1] != last[1]:
            level, last = min(level + 1, MAX_LEVEL), look
        levels[look] = level
    return levels


def _element(block: Block, level: int) -> Element:
    kind = "heading" if level else "paragraph" if block.kind == "prose" else block.kind
    return Element(text=block.text, kind=kind, level=level, page=block.page, box=block.box)
