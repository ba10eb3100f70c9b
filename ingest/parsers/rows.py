"""Rows of a table as elements: windows that fit into a chunk, each with the header repeated so that it reads alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from zlib import crc32

from ingest.elements import Element

_SIGNS = re.compile(r"\d{1,3}|[\u2e80-\u9fff\uac00-\ud7ff]|[^\W\d_]{1,6}|[^\w\s]|_")  # about one word piece each
_NUMBER = re.compile(r"[-+(]?[\s$€£¥]*\d[\d\s.,:/%-]*[)%]?")
_WINDOW = 200  # word pieces


def table_elements(
    rows: Sequence[Sequence[str]], *, header: bool | None = None, page: int | None = None
) -> list[Element]:
    """Elements of kind table for the rows of one table: cells apart by tabs, some rows in each, the header on top.

    `header` says whether the first row is one; None: judged by its cells. A row that is longer than a window is written
    as `header: value` lines, so that its parts can be read wherever it is cut.
    """
    filled = [[" ".join(cell.split()) for cell in row] for row in rows]
    filled = [row for row in filled if any(row)]
    if not filled:
        return []
    has_header = _looks_like_header(filled) if header is None else header and len(filled) > 1
    names = filled[0] if has_header else []
    body = filled[1:] if has_header else filled
    return [Element(text=text, kind="table", page=page) for text in _windows(names, body)]


def sheet_elements(rows: Iterable[Sequence[str]]) -> list[Element]:
    """Elements of a sheet: rows of one cell are paragraphs, blocks of rows between empty ones are tables."""
    elements: list[Element] = []
    block: list[Sequence[str]] = []
    for row in (*rows, ()):
        filled = [cell for cell in row if cell.strip()]
        if filled and (len(filled) > 1 or block):
            block.append(row)
            continue
        elements += _block_elements(block)
        block = []
        elements += [Element(text=cell.strip()) for cell in filled]
    return elements


def _block_elements(block: list[Sequence[str]]) -> list[Element]:
    """A table without the columns that are empty all over, and the single cells below it as notes."""
    notes: list[Element] = []
    while block and sum(1 for cell in block[-1] if cell.strip()) == 1 and max(map(len, block)) > 2:
        notes.insert(0, Element(text=next(cell.strip() for cell in block.pop() if cell.strip())))
    columns = [
        at
        for at in range(max(map(len, block), default=0))
        if any(row[at : at + 1] and row[at].strip() for row in block)
    ]
    return table_elements([[row[at] if at < len(row) else "" for at in columns] for row in block]) + notes


def _looks_like_header(rows: list[list[str]]) -> bool:
    """Whether the first row names the columns: no numbers, nothing twice, no gap before the last column."""
    first = [cell for cell in rows[0] if cell]
    if len(rows) < 2 or len(first) < 2 or len(first) < max(map(_width, rows[1:6])) or len(set(first)) < len(first):
        return False
    return not any(_NUMBER.fullmatch(cell) for cell in first) and all(len(cell) < 80 for cell in first)


def _width(row: list[str]) -> int:
    return sum(1 for cell in row if cell)


def _windows(names: list[str], body: list[list[str]]) -> Iterator[str]:
    """Windows end at their limit, and past half of it behind one row in four that its own content picks.

    So a row that is added moves the boundaries of a few windows, not of all that follow.
    """
    top = _line(names)
    base = _size(top)
    lines: list[str] = []
    size = base
    for row in body:
        line = _line(row)
        cost = _size(line)
        if lines and (size + cost > _WINDOW or (size > _WINDOW // 2 and crc32(lines[-1].encode()) % 4 == 0)):
            yield "\n".join([top, *lines] if top else lines)
            lines, size = [], base
        if base + cost > _WINDOW and names:
            yield "\n".join(_named(names, row))
            continue
        lines.append(line)
        size += cost
    if lines:
        yield "\n".join([top, *lines] if top else lines)


def _line(row: list[str]) -> str:
    last = max((at for at, cell in enumerate(row) if cell), default=-1)
    return "\t".join(row[: last + 1])


def _named(names: list[str], row: list[str]) -> Iterator[str]:
    for at, cell in enumerate(row):
        if cell:
            yield f"{names[at]}: {cell}" if at < len(names) and names[at] else cell


def _size(line: str) -> int:
    return len(_SIGNS.findall(line))
