"""From rows of text to the pieces of a document: tables, list items, paragraphs, headings, running lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Literal

from ingest.elements import Element
from ingest.parsers.pdf_layout import BULLET, Box, Row, union

PARAGRAPH_GAP = 1.25  # times the usual distance of lines
HEADING_SIZE = 1.12  # times the body size
HEADING_WORDS = 25
RUNNING_PAGES = 3  # a line that returns at the same edge of so many pages is a running header or footer
MAX_LEVEL = 6

_PAGE_NUMBER = re.compile(r"(?:page )?[-–—(]? ?(?:[a-z]-)?0 ?[-–—)]?(?: (?:of|/) 0)?")  # of a signature
_SENTENCE_END = re.compile(r"[.!?:;。！？][)\"'”’\]]*$")
_PLAIN = {
    **dict.fromkeys((*range(0x09), *range(0x0B, 0x20), 0xAD, 0xFFFF)),
    **{0x02: "-", 0xFFFE: "-"},
    **dict(zip(range(0xFB00, 0xFB07), ("ff", "fi", "fl", "ffi", "ffl", "st", "st"), strict=True)),
}
_HYPHENS = "-\x02\ufffe\xad\u2010"  # pdfium puts U+0002 or U+FFFE for a hyphen at the end of a line


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Rows that belong together."""

    kind: Literal["prose", "list_item", "table", "header", "footer"]
    text: str
    page: int
    box: Box
    size: float
    bold: bool


def mark_running(pages: Sequence[list[list[Row]]], heights: Sequence[float]) -> list[list[list[Row]]]:
    """Marks the rows at the upper and lower edge that return on other pages; digits may differ."""
    edges: list[dict[int, str]] = []
    counts: Counter[tuple[str, str]] = Counter()
    for flows, height in zip(pages, heights, strict=True):
        rows = sorted((row for flow in flows for row in flow), key=lambda row: row.box[1])
        upper = [row for row in rows[:2] if row.box[3] < 0.15 * height]
        lower = [row for row in rows[-2:] if row.box[1] > 0.85 * height or _PAGE_NUMBER.fullmatch(_signature(row))]
        edges.append({**{id(row): "header" for row in upper}, **{id(row): "footer" for row in lower}})
        counts.update({(edges[-1][id(row)], _signature(row)) for row in upper + lower})

    def marked(row: Row, edge: str | None) -> Row:
        if edge and counts[edge, _signature(row)] >= RUNNING_PAGES:
            return replace(row, running="header" if edge == "header" else "footer")
        return row

    return [
        [[marked(row, edge.get(id(row))) for row in flow] for flow in flows]
        for flows, edge in zip(pages, edges, strict=True)
    ]


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
        box=union(row.box for row in rows),
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
    left, _, right, _ = union(row.box for row in rows)
    end = start + 1
    while (
        end < len(rows)
        and len(rows[end].cells) == 1
        and not _breaks(rows[end - 1], rows[end], usual, right, right - left)
    ):
        end += 1
    return end


def _breaks(last: Row, row: Row, usual: float, right: float, wide: float) -> bool:
    """Whether a new paragraph begins at `row`."""
    size = max(last.size, 1.0)
    if abs(row.size - last.size) > 0.08 * size or row.bold != last.bold:
        return True
    if (row.box[1] - last.box[1]) / size > PARAGRAPH_GAP * usual + 0.1 or row.box[1] < last.box[1]:
        return True
    if BULLET.fullmatch(row.text.split(" ", 1)[0]) and " " in row.text and not last.text.endswith(tuple(_HYPHENS)):
        return True
    if row.bold and last.box[2] - last.box[0] < 0.6 * wide and row.text[:1] != "(" and not row.text[:1].islower():
        return True  # headings below each other
    ended = _SENTENCE_END.search(last.text) is not None
    indented = row.box[0] - last.box[0] > 0.8 * size
    return ended and (indented or last.box[2] < right - 0.2 * max(right - last.box[0], 1.0))


def _prose(rows: Sequence[Row], known: frozenset[str]) -> Block:
    text = rows[0].text
    for row in rows[1:]:
        text = _append(text, row.text, known)
    listed = BULLET.fullmatch(text.split(" ", 1)[0]) is not None and " " in text
    return _block("list_item" if listed else "prose", rows, text)


def _append(text: str, line: str, known: frozenset[str]) -> str:
    """Joins a line to the text before it. A hyphen at the end goes, unless the document writes the word with it."""
    if not (len(text) > 1 and text[-1] in _HYPHENS and text[-2].isalpha() and line[:1].islower()):
        return text + (line if text[-1] in _HYPHENS and len(text) > 1 and text[-2].isalnum() else " " + line)
    first, second = text[:-1].rsplit(None, 1)[-1], line.split(None, 1)[0]
    return text[:-1] + ("-" if _keeps_hyphen(_bare(first), _bare(second), known) else "") + line


def _keeps_hyphen(first: str, second: str, known: frozenset[str]) -> bool:
    """As the document writes the word elsewhere; else whether both halves are words of it."""
    if "-" in first or first + second in known:
        return "-" in first
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
    return [
        _element(block, ranks[look] if look else 0) for block, look in zip(blocks, looks, strict=True) if block.text
    ]


def _heading_look(block: Block, body: float) -> tuple[float, bool] | None:
    """(size, bold) that a heading is ranked by; None for what is no heading."""
    text = block.text
    words = text.split()
    if block.kind not in ("prose", "list_item") or not words or len(words) > HEADING_WORDS:
        return None
    if not any(c.isalpha() for c in text) or BULLET.fullmatch(text) or text[0] in "•◦▪▫●○■□‣":
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
    """Larger is higher, then bold; sizes within a tenth are one."""
    levels: dict[tuple[float, bool], int] = {}
    level, last = 0, (float("inf"), True)
    for look in sorted(set(looks), reverse=True):
        if look[0] < 0.9 * last[0] or look[1] != last[1]:
            level, last = min(level + 1, MAX_LEVEL), look
        levels[look] = level
    return levels


def _element(block: Block, level: int) -> Element:
    kind = "heading" if level else "paragraph" if block.kind == "prose" else block.kind
    return Element(text=block.text, kind=kind, level=level, page=block.page, box=block.box)
