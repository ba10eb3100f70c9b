"""Workbooks of Excel: values as a person sees them, sheet by sheet, through openpyxl's read-only mode.

That mode says nothing of hidden rows and columns, of drawings, page headers and comments: these are read from the parts
of the package.
"""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any

from lxml import etree

from ingest.elements import Element, HiddenReason, HiddenText, ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.embedded import embedded
from ingest.parsers.openxml import TINY, drawn_text, read_xml, relations, title_of
from ingest.parsers.rows import sheet_elements

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_HEADER_CODE = re.compile(r'&(?:"[^"]*"|K[0-9A-Fa-f]{6}|\d+|[A-Za-z])')
_GROUPED = re.compile(r"[#0],[#0]")
_DECIMALS = re.compile(r"\.(0+)")
_CURRENCY = re.compile(r'"([^"\d]{1,3})"|\[\$([^\]\-]{1,3})|([$€£¥])')
_LITERAL = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.')
_WHITE = "FFFFFFFF"
_BESIDE_SHEETS = re.compile(r"(?i)^docprops/core\.xml$|/embeddings/|/worksheets/_rels/")


@dataclass(slots=True)
class _Sheet:
    """What read-only mode does not tell of a sheet."""

    rows: set[int] = field(default_factory=set)  # hidden, counted from 1
    columns: set[int] = field(default_factory=set)  # hidden, counted from 1
    unvalued: int = 0  # formulas without a stored result
    page_texts: list[str] = field(default_factory=list)  # headers and footers of the printed page


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """Each sheet under a heading with its name. Raises FileRefused: too_many_pages for more sheets than the limit."""
    from openpyxl import load_workbook

    elements: list[Element] = []
    hidden: list[HiddenText] = []
    notes: list[str] = []
    shown: list[str] = []  # parts of the sheets that are seen
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        book = load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False)
        if len(book.worksheets) > limits.max_pages:
            cause = f"It has {len(book.worksheets):,} sheets; the limit is {limits.max_pages:,}."
            raise FileRefused(name, "too_many_pages", cause, "Split it, or raise the limit on pages.")
        for sheet in book.worksheets:
            part = sheet._worksheet_path
            known = _scan(package.open(part))
            body = sheet_elements(_visible_rows(sheet, known, hidden)) + _beside(
                package, part, known, sheet.title, hidden
            )
            if sheet.sheet_state != "visible":
                text = "\n".join(element.text for element in body)
                hidden += (
                    [HiddenText(text=text, reason="hidden_part", place=f"hidden sheet {sheet.title}")] if text else []
                )
                continue
            if known.unvalued:
                notes.append(f"Sheet {sheet.title} has {known.unvalued} formulas without a stored result.")
            shown.append(part.lstrip("/"))
            if body:
                elements += [Element(text=sheet.title, kind="heading", level=1), *body]
        parts = {part: package.read(part) for part in package.namelist() if _BESIDE_SHEETS.search(part)}
    within = embedded(parts, [(part, None) for part in shown], limits)
    return ParsedDocument(
        media_type="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        elements=(*elements, *within.elements),
        title=title_of(parts),
        hidden=(*hidden, *within.hidden),
        notes=(*notes, *within.notes),
    )


def _scan(part: Any) -> _Sheet:
    """One pass over the XML of a sheet."""
    known = _Sheet()
    tags = tuple(_MAIN + tag for tag in ("row", "col", "c", "headerFooter"))
    for _, node in etree.iterparse(part, tag=tags, resolve_entities=False, no_network=True, huge_tree=True):
        tag = node.tag[len(_MAIN) :]
        is_hidden = node.get("hidden") in ("1", "true") or _is_flat(node)
        if tag == "c":
            known.unvalued += node.find(_MAIN + "f") is not None and not node.findtext(_MAIN + "v")
            continue  # cleared with its row
        if tag == "row" and is_hidden and node.get("r"):
            known.rows.add(int(node.get("r")))
        elif tag == "col" and is_hidden:
            known.columns.update(range(int(node.get("min")), min(int(node.get("max")), 16_384) + 1))
        elif tag == "headerFooter":
            texts = (_HEADER_CODE.sub("\n", child.text or "") for child in node)
            known.page_texts += [line.strip() for text in texts for line in text.split("\n") if line.strip()]
        node.clear()
        while tag == "row" and node.getprevious() is not None:
            del node.getparent()[0]
    return known


def _is_flat(node: Any) -> bool:
    """Whether a row has no height or a column no width."""
    size = node.get("ht") or node.get("width")
    return size is not None and float(size) < 1


def _visible_rows(sheet: Any, known: _Sheet, hidden: list[HiddenText]) -> Iterator[list[str]]:
    """The cells that can be seen as text, row by row; the others go to `hidden`."""
    sheet.reset_dimensions()  # they are often wrong, and cells beyond them would be lost
    secret_rows: list[tuple[int, str]] = []
    columns: dict[int, list[str]] = {}
    styles: dict[int, HiddenReason | None] = {}
    for at, row in enumerate(sheet.iter_rows(), 1):
        texts = [_shown(cell.value, cell.number_format) if cell.value is not None else "" for cell in row]
        if at in known.rows:
            if any(texts):
                secret_rows.append((at, "\t".join(filter(None, texts))))
            continue
        for column, cell in enumerate(row):
            if not texts[column]:
                continue
            if column + 1 in known.columns:
                columns.setdefault(column, []).append(texts[column])
                texts[column] = ""
                continue
            style = cell._style_id
            if style not in styles:
                styles[style] = _unreadable(cell)
            if reason := styles[style]:
                hidden.append(HiddenText(text=texts[column], reason=reason, place=f"sheet {sheet.title}, row {at}"))
                texts[column] = ""
        yield texts
    hidden += _grouped(secret_rows, sheet.title)
    for column, texts in columns.items():
        place = f"sheet {sheet.title}, column {_letters(column + 1)}"
        hidden.append(HiddenText(text="\n".join(texts), reason="hidden_part", place=place))


def _grouped(rows: list[tuple[int, str]], title: str) -> Iterator[HiddenText]:
    """Hidden rows that follow one another as one record."""
    while rows:
        size = next((at for at in range(1, len(rows)) if rows[at][0] != rows[at - 1][0] + 1), len(rows))
        first, last = rows[0][0], rows[size - 1][0]
        where = f"row {first}" if first == last else f"rows {first} to {last}"
        text = "\n".join(text for _, text in rows[:size])
        yield HiddenText(text=text, reason="hidden_part", place=f"sheet {title}, {where}")
        rows = rows[size:]


def _letters(column: int) -> str:
    from openpyxl.utils import get_column_letter

    return str(get_column_letter(column))


def _unreadable(cell: Any) -> HiddenReason | None:
    """Why the text of a cell with this style cannot be read; None when it can."""
    if cell.number_format.replace(" ", "") == ";;;":
        return "invisible_mode"
    font, fill = cell.font, cell.fill
    if font.sz is not None and font.sz <= TINY:
        return "tiny_font"
    if font.color is None:
        return None
    ink = _colour(font.color)
    ground = _colour(fill.fgColor) if fill.fill_type == "solid" else _WHITE if fill.fill_type is None else None
    return "same_colour" if ink is not None and ink == ground else None


def _colour(colour: Any) -> str | None:
    """ARGB of a colour that can be told without the theme; theme 0 without tint is the white of a sheet."""
    if colour.type == "rgb":
        return "FF" + str(colour.rgb)[-6:].upper()
    return _WHITE if colour.type == "theme" and colour.theme == 0 and not colour.tint else None


def _shown(value: object, number_format: str) -> str:
    """A value as text, with the date, decimals, thousands, percent sign and currency of its format."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d") if value.time() == time(0) else value.strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, int | float):
        return _number(value, number_format)
    return str(value)


def _number(value: float, number_format: str) -> str:
    sections = number_format.split(";")
    section = sections[1] if value < 0 and len(sections) > 1 else sections[0]
    pattern = _LITERAL.sub("", section)
    if not any(sign in pattern for sign in "0#") or re.search(r"[eE]\+|/|\?", pattern):
        return f"{value:.15g}" if isinstance(value, float) else str(value)
    decimals = _DECIMALS.search(pattern)
    if "%" in pattern:
        return f"{value * 100:.{len(decimals[1]) if decimals else 0}f}%"
    size = f"{abs(value):{',' if _GROUPED.search(pattern) else ''}.{len(decimals[1]) if decimals else 0}f}"
    found = _CURRENCY.search(section)
    symbol = next((group.strip() for group in found.groups() if group), "") if found else ""
    text = symbol + size if not found or found.start() < section.find("0") else f"{size} {symbol}"
    if value >= 0:
        return text
    return f"({text})" if "(" in section else f"-{text}"


def _beside(package: zipfile.ZipFile, part: str, known: _Sheet, title: str, hidden: list[HiddenText]) -> list[Element]:
    """Text of a sheet outside its cells: page headers and footers, shapes, charts, diagrams, comments."""
    elements = [Element(text=text, kind="header") for text in dict.fromkeys(known.page_texts)]
    targets = _targets(package, part)
    threads = [target for target in targets if "/threadedComments/" in target]
    for target in targets:
        if target in threads or ("/comments" in target and not threads):  # threads are repeated as plain comments
            elements += _comments(package.read(target))
        elif "/drawings/" in target and target.endswith(".xml"):
            elements += _drawing(package, target, title, hidden)
    return elements


def _targets(package: zipfile.ZipFile, part: str) -> list[str]:
    """The parts of the package that `part` refers to, as far as they exist."""
    folder, base = posixpath.split(part)
    rels = posixpath.join(folder, "_rels", f"{base}.rels").lstrip("/")
    names = set(package.namelist())
    if rels not in names:
        return []
    found = relations({rels: package.read(rels)}, part.lstrip("/"))
    return [path for path in dict.fromkeys(path for _, path in found.values()) if path in names]


def _comments(content: bytes) -> Iterator[Element]:
    for node in read_xml(content).iter("{*}comment", "{*}threadedComment"):
        text = "".join(part.text or "" for part in node.iter("{*}t", "{*}text") if not len(part)).strip()
        if text:
            yield Element(text=f"{node.get('ref')}: {text}")


def _drawing(package: zipfile.ZipFile, part: str, title: str, hidden: list[HiddenText]) -> Iterable[Element]:
    elements = []
    for shape in read_xml(package.read(part)).iter("{*}sp", "{*}cxnSp"):
        text = "\n".join("".join(run.text or "" for run in lines.iter("{*}t")) for lines in shape.iter("{*}p")).strip()
        properties = next(shape.iter("{*}cNvPr"), None)
        if not text:
            continue
        if properties is not None and properties.get("hidden") in ("1", "true"):
            hidden.append(HiddenText(text=text, reason="hidden_part", place=f"sheet {title}, hidden shape"))
        else:
            elements.append(Element(text=text))
    for target in _targets(package, part):
        if "/charts/chart" in target or "/diagrams/data" in target:
            lines = "\n".join(dict.fromkeys(drawn_text(package.read(target))))
            elements += [Element(text=lines)] if lines else []
    return elements
