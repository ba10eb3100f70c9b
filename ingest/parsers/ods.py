"""Workbooks of OpenDocument, read from `content.xml` (ODF 1.3 part 3, section 9) and page layout in `styles.xml`."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from typing import Any

from ingest.elements import Element, HiddenText, ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.openxml import read_xml
from ingest.parsers.rows import sheet_elements

_TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
_TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
_STYLE = "{urn:oasis:names:tc:opendocument:xmlns:style:1.0}"
_OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
_DRAW = "{urn:oasis:names:tc:opendocument:xmlns:drawing:1.0}"
_MOST_REPEATS = 64  # of one cell; more are the ground of a design
_UNSEEN = ("collapse", "filter")
_FIELDS = {_TEXT + tag for tag in ("page-number", "page-count", "sheet-name", "date", "time", "title", "file-name")}


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """Each sheet under a heading with its name. Raises FileRefused: too_many_pages for more sheets than the limit."""
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        root = read_xml(package.read("content.xml"))
        styles = read_xml(package.read("styles.xml")) if "styles.xml" in package.namelist() else None
    sheets = root.findall(f".//{_OFFICE}spreadsheet/{_TABLE}table")
    if len(sheets) > limits.max_pages:
        cause = f"It has {len(sheets):,} sheets; the limit is {limits.max_pages:,}."
        raise FileRefused(name, "too_many_pages", cause, "Split it, or raise the limit on pages.")
    unseen = {
        style.get(_STYLE + "name")
        for style in root.iter(_STYLE + "style")
        if any(part.get(_TABLE + "display") == "false" for part in style.iter(_STYLE + "table-properties"))
    }
    elements = [Element(text=text, kind="header") for text in _page_texts(styles)]
    hidden: list[HiddenText] = []
    for sheet in sheets:
        title = sheet.get(_TABLE + "name") or "Sheet"
        body = sheet_elements(_visible_rows(sheet, title, hidden)) + _shapes(sheet)
        if sheet.get(_TABLE + "style-name") in unseen:
            text = "\n".join(element.text for element in body)
            hidden += [HiddenText(text=text, reason="hidden_part", place=f"hidden sheet {title}")] if text else []
        elif body:
            elements += [Element(text=title, kind="heading", level=1), *body]
    media_type = "application/vnd.oasis.opendocument.spreadsheet"
    return ParsedDocument(media_type=media_type, elements=tuple(elements), hidden=tuple(hidden))


def _visible_rows(sheet: Any, title: str, hidden: list[HiddenText]) -> Iterator[list[str]]:
    columns = _unseen_columns(sheet)
    at = 1
    for row in _own(sheet, "table-row"):
        cells = list(_cells(row))
        row_is_unseen = row.get(_TABLE + "visibility") in _UNSEEN or _in_closed_group(row)
        is_seen = [not row_is_unseen and column not in columns for column in range(len(cells))]
        secret = "\t".join(text for text, seen in zip(cells, is_seen, strict=True) if text and not seen)
        if secret:
            hidden.append(HiddenText(text=secret, reason="hidden_part", place=f"sheet {title}, row {at}"))
        at += _repeats(row, "number-rows-repeated")
        yield [text if seen else "" for text, seen in zip(cells, is_seen, strict=True)]


def _own(sheet: Any, tag: str) -> Iterator[Any]:
    """The rows or columns of a sheet, not those of a table inside a cell."""
    return (node for node in sheet.iter(_TABLE + tag) if next(node.iterancestors(_TABLE + "table")) is sheet)


def _in_closed_group(row: Any) -> bool:
    return any(group.get(_TABLE + "display") == "false" for group in row.iterancestors(_TABLE + "table-row-group"))


def _unseen_columns(sheet: Any) -> set[int]:
    columns: set[int] = set()
    at = 0
    for column in _own(sheet, "table-column"):
        count = min(_repeats(column, "number-columns-repeated"), 16_384)
        if column.get(_TABLE + "visibility") in _UNSEEN:
            columns.update(range(at, at + count))
        at += count
    return columns


def _cells(row: Any) -> Iterator[str]:
    for cell in row.iterchildren(_TABLE + "table-cell", _TABLE + "covered-table-cell"):
        text = " ".join(_paragraph(part) for part in cell.iterchildren(_TEXT + "p")).strip()
        notes = (
            _paragraph(part) for note in cell.iterchildren(_OFFICE + "annotation") for part in note.iter(_TEXT + "p")
        )
        comment = " ".join(notes).strip()
        yield f"{text} ({comment})" if text and comment else text or comment
        for _ in range(min(_repeats(cell, "number-columns-repeated"), _MOST_REPEATS) - 1):
            yield text


def _repeats(node: Any, attribute: str) -> int:
    value = node.get(_TABLE + attribute) or "1"
    return int(value) if value.isdecimal() else 1


def _paragraph(node: Any) -> str:
    """The text of a paragraph; `text:s` stands for spaces, tabs and breaks for one."""
    parts = [node.text or ""]
    for child in node:
        if child.tag in (_TEXT + "s", _TEXT + "tab", _TEXT + "line-break"):
            parts.append(" ")
        elif isinstance(child.tag, str) and child.tag != _OFFICE + "annotation":
            parts.append(_paragraph(child))
        parts.append(child.tail or "")
    return "".join(parts)


def _shapes(sheet: Any) -> list[Element]:
    """Text boxes and other shapes with text, as paragraphs."""
    boxes = sheet.iter(_DRAW + "frame", _DRAW + "custom-shape", _DRAW + "rect", _DRAW + "ellipse")
    texts = ("\n".join(map(_paragraph, box.iter(_TEXT + "p"))).strip() for box in boxes)
    return [Element(text=text) for text in texts if text]


def _page_texts(styles: Any) -> list[str]:
    """Headers and footers of the printed page that say more than a page number."""
    if styles is None:
        return []
    texts = [
        _paragraph(line).strip()
        for place in styles.iter(_STYLE + "header", _STYLE + "footer")
        if place.get(_STYLE + "display") != "false"
        for line in place.iter(_TEXT + "p")
        if not any(child.tag in _FIELDS for child in line.iter())
    ]
    return [text for text in dict.fromkeys(texts) if text]
