"""The text of a DOCX as elements: one walk over its paragraphs and tables, section by section.

This walk, not unstructured, is the parser of record for DOCX: unstructured asks python-docx some 26 XPath queries for
each paragraph (11 s for 2,000 of them on a busy machine), drops content controls, insertions and text boxes, and needs
the whole package written anew to be shown a document without its hidden text. Kinds are told as it tells them: by style
and outline level, with the labels of numbered paragraphs in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest.elements import Element, ElementKind
from ingest.parsers.docx_numbering import Numbering
from ingest.parsers.docx_styles import Role, role_of
from ingest.parsers.rows import table_elements

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_LETTERS = (
    _W + "t",
    "{http://schemas.openxmlformats.org/officeDocument/2006/math}t",
    "{http://schemas.openxmlformats.org/drawingml/2006/main}t",
)
_CHARACTERS = {_W + "tab": "\t", _W + "ptab": "\t", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "-"}
_PAGE_BREAK = _W + "lastRenderedPageBreak"
_PIECES = (*_LETTERS, *_CHARACTERS, _PAGE_BREAK)
_PARAGRAPH, _TABLE, _ROW, _CELL = (_W + tag for tag in ("p", "tbl", "tr", "tc"))
_BLOCKS = frozenset((_PARAGRAPH, _TABLE))
_BULLET = re.compile(r"[•‣▪▫■□●○◦∙·\uf0b7\uf0a7]\s*")
_LONGEST_CELL = 600  # characters; longer ones are prose that a table arranges on the page
_WIDEST = 100  # columns that one cell may span


@dataclass(slots=True, kw_only=True)
class Walk:
    """Reads the parts of one document in their order."""

    styles: dict[str, Role]
    numbering: Numbering
    headers: dict[str, Any]  # relationship id -> root of a header's or footer's part
    paged: bool  # whether the document says where its pages begin
    even_differs: bool = False  # whether even pages have headers of their own
    shown: set[str] = field(default_factory=set)  # relationship ids of the headers and footers that were read
    _page: int = 1

    def read(self, document: Any) -> Iterator[Element]:
        """The elements of the main part; headers before, footers behind what they stand on."""
        sections = [
            section for section in document.iter(_W + "sectPr") if section.getparent().tag != _W + "sectPrChange"
        ]
        following = iter(sections)
        section = next(following, None)
        yield from self._margins(section, "header")
        for block in self._blocks(document):
            yield from self._block(block)
            if section is not None and block.tag == _PARAGRAPH and next(block.iter(_W + "sectPr"), None) is section:
                yield from self._margins(section, "footer")
                section = next(following, None)
                yield from self._margins(section, "header")
        yield from self._margins(section, "footer")

    def _blocks(self, container: Any) -> Iterator[Any]:
        """Paragraphs and tables in order, whatever else they are wrapped in."""
        for child in container:
            if child.tag in _BLOCKS:
                yield child
            elif len(child) and child.tag != _W + "sectPr":
                yield from self._blocks(child)

    def _block(self, block: Any) -> Iterator[Element]:
        if block.tag == _TABLE:
            yield from self._table(block)
            return
        text, role = self._labelled(block)
        page = self._turn(block)
        if text:
            kind = role.kind or "paragraph"
            yield Element(text=text, kind=kind, level=role.level if kind == "heading" else 0, page=page)

    def _turn(self, block: Any) -> int | None:
        """The page on which the text of a block begins; counts on over the page breaks in it."""
        if not self.paged:
            return None
        page, said = self._page, False
        for piece in block.iter(_PAGE_BREAK, *_LETTERS):
            if piece.tag == _PAGE_BREAK:
                self._page += 1
                page = page if said else self._page
            else:
                said = said or bool(piece.text)
        return page

    def _labelled(self, paragraph: Any) -> tuple[str, Role]:
        """The text of a paragraph with the label of its number in front, and what the paragraph is."""
        role = role_of(paragraph.find(_W + "pPr"), self.styles)
        text = _text(paragraph)
        if not text:
            return "", role
        if role.number is not None and role.number != "0":
            depth = role.depth
            if depth is None:
                depth = self.numbering.level_of_style(role.number, role.numbered_by)
            label = self.numbering.label(role.number, depth)
            text = f"{label} {text}" if label else text
            role = role if role.kind == "heading" else Role(kind="list_item")
        bullet = _BULLET.match(text)
        if bullet and role.kind != "heading":
            return text[bullet.end() :], Role(kind="list_item")
        return text, role

    def _table(self, table: Any) -> Iterator[Element]:
        """A table of data as rows; one that only arranges the page as what its cells hold."""
        rows = [row for row in self._inner(table, _ROW) if any(True for _ in self._inner(row, _CELL))]
        if not rows:
            return
        arranges = max(sum(1 for _ in self._inner(row, _CELL)) for row in rows) < 2
        if arranges or next(table.iterdescendants(_TABLE), None) is not None or _longest(table) > _LONGEST_CELL:
            for row in rows:
                for cell in self._inner(row, _CELL):
                    for block in self._blocks(cell):
                        yield from self._block(block)
            return
        page = self._turn(rows[0])
        cells = [list(self._cells(row)) for row in rows]
        for row in rows[1:]:
            self._turn(row)
        header = rows[0].find(f"{_W}trPr/{_W}tblHeader") is not None
        yield from table_elements(cells, header=header or None, page=page)

    def _inner(self, container: Any, tag: str) -> Iterator[Any]:
        """The rows of a table or the cells of a row, whatever else they are wrapped in."""
        for child in container:
            if child.tag == tag:
                yield child
            elif child.tag not in _BLOCKS and child.tag not in (_ROW, _CELL) and len(child):
                yield from self._inner(child, tag)

    def _cells(self, row: Any) -> Iterator[str]:
        """Texts of a row, one for each column: a cell that goes on from above or spans columns leaves them empty."""
        properties = row.find(_W + "trPr")
        yield from [""] * (0 if properties is None else _count(properties, "gridBefore"))
        for cell in self._inner(row, _CELL):
            properties = cell.find(_W + "tcPr")
            yield " ".join(self._labelled(paragraph)[0] for paragraph in cell.iter(_PARAGRAPH))
            if properties is not None:
                yield from [""] * (_count(properties, "gridSpan") - 1)

    def _margins(self, section: Any | None, kind: ElementKind) -> Iterator[Element]:
        """The headers or footers that the pages of a section have."""
        if section is None:
            return
        first = section.find(_W + "titlePg")
        has_first = first is not None and first.get(_W + "val", "1") not in ("0", "false", "off")
        for reference in section.iter(f"{_W}{kind}Reference"):
            where, name = reference.get(_W + "type", "default"), reference.get(_R + "id", "")
            if (where == "first" and not has_first) or (where == "even" and not self.even_differs):
                continue
            self.shown.add(name)
            if name in self.headers:
                text = "\n".join(self._lines(self.headers[name]))
                if text:
                    yield Element(text=text, kind=kind)

    def _lines(self, container: Any) -> Iterator[str]:
        for block in self._blocks(container):
            if block.tag == _TABLE:
                yield from (line for row in block.iter(_ROW) if (line := " ".join(paragraph_texts(row))))
            elif text := _text(block):
                yield text


def is_paged(document: Any) -> bool:
    """Whether Word has stored where pages began when it last showed the document."""
    return next(document.iter(_PAGE_BREAK), None) is not None


def paragraph_texts(part: Any) -> Iterator[str]:
    """The paragraphs that are anywhere in a part."""
    return filter(None, map(_text, part.iter(_PARAGRAPH)))


def _text(paragraph: Any) -> str:
    return "".join(_pieces(paragraph.iter(*_PIECES))).strip()


def _pieces(pieces: Iterable[Any]) -> Iterator[str]:
    for piece in pieces:
        yield _CHARACTERS.get(piece.tag) or piece.text or ""


def _longest(table: Any) -> int:
    """Characters of the table's longest cell."""
    return max((sum(len(text.text or "") for text in cell.iter(*_LETTERS)) for cell in table.iter(_CELL)), default=0)


def _count(properties: Any, tag: str) -> int:
    """A number of columns, within reason."""
    found = properties.find(_W + tag)
    value = "" if found is None else found.get(_W + "val", "")
    return min(int(value), _WIDEST) if value.isdecimal() else 0
