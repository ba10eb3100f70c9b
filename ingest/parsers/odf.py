"""OpenDocument texts and presentations (ODF 1.3), packaged or as one flat XML file; spreadsheets only when flat."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from ingest.elements import Element, ElementKind, HiddenReason, HiddenText, ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.openxml import SAME_COLOUR, TINY, contrast, hex_colour, read_xml
from ingest.parsers.rows import table_elements

_NAMESPACE = "{urn:oasis:names:tc:opendocument:xmlns:%s:1.0}"
_OFFICE, _TEXT, _TABLE, _DRAW, _STYLE, _PRESENTATION = (
    _NAMESPACE % name for name in ("office", "text", "table", "drawing", "style", "presentation")
)
_FO, _SVG = (_NAMESPACE % f"{name}-compatible" for name in ("xsl-fo", "svg"))
_DC = "{http://purl.org/dc/elements/1.1/}"

_LEFT_OUT = frozenset(
    (
        _TEXT + "tracked-changes",
        _TEXT + "sequence-decls",
        _TEXT + "page-number",
        _OFFICE + "forms",
        _DRAW + "glue-point",
    )
)
_BREAKS = {_TEXT + "tab": "\t", _TEXT + "line-break": "\n"}
_OWN_FLOW = frozenset((_TEXT + "note", _OFFICE + "annotation", _DRAW + "text-box", _DRAW + "frame"))
_STYLED = (_TEXT, _TABLE, _DRAW)
_LENGTH = re.compile(r"(-?[\d.]+)(pt|in|cm|mm|px)?")
_POINTS = {"pt": 1.0, "in": 72.0, "cm": 72 / 2.54, "mm": 72 / 25.4, "px": 0.75}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """What a style says on whether text is seen."""

    hidden: bool = False
    ink: str | None = None
    ground: str | None = None  # RRGGBB, "" where it is there but is not a plain colour
    points: float = 12.0


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """Paragraphs, headings and tables; in presentations with the slide's number as page. Raises `too_many_pages`."""
    roots = _roots(data)
    reader = _Reader(roots)
    for body in (body for root in roots for body in root.iter(_OFFICE + "body")):
        reader.read_body(body, name, limits)
    reader.page = None
    for root in roots:
        reader.read_masters(root)
    titles = (root.findtext(f".//{_OFFICE}meta/{_DC}title") for root in roots)
    return ParsedDocument(
        media_type="application/vnd.oasis.opendocument.text",
        elements=tuple(reader.elements),
        title=next((title.strip() for title in titles if title and title.strip()), None),
        hidden=tuple(reader.hidden),
        pages=reader.pages or None,
    )


def _roots(data: bytes) -> list[Any]:
    """The content, the styles and the metadata."""
    if not data.startswith(b"PK"):
        return [read_xml(data)]
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        names = set(container.namelist())
        parts = (part for part in ("content.xml", "styles.xml", "meta.xml") if part in names)
        return [read_xml(container.read(part)) for part in parts]


class _Reader:
    """Walks one document; `page` is the slide that is being read."""

    def __init__(self, roots: list[Any]) -> None:
        self.elements: list[Element] = []
        self.hidden: list[HiddenText] = []
        self.page: int | None = None
        self.pages = 0
        self._styles = {s.get(_STYLE + "name", ""): s for root in roots for s in root.iter(_STYLE + "style")}
        self._width = max((_points(e.get(_FO + "page-width")) for root in roots for e in root.iter()), default=0.0)

    def read_body(self, body: Any, name: str, limits: ParseLimits) -> None:
        slides = list(body.iter(_DRAW + "page"))
        if len(slides) > limits.max_pages:
            cause = f"It has {len(slides):,} slides; the limit is {limits.max_pages:,}."
            raise FileRefused(name, "too_many_pages", cause, "Split it, or raise the limit on pages.")
        if not slides:
            self._read(body, _Look())
        for number, slide in enumerate(slides, 1):
            self.page, self.pages = number, number
            if self._property(slide.get(_DRAW + "style-name"), _PRESENTATION + "visibility") == "hidden":
                self._hide(slide, "hidden_part")
            else:
                self._read(slide, _Look(ground=""))  # the background of a slide is drawn, and not followed

    def read_masters(self, root: Any) -> None:
        """Headers and footers of pages, and what the masters of slides say themselves."""
        for master in root.iter(_STYLE + "master-page"):
            for element in master:
                if element.tag in (_STYLE + "header", _STYLE + "footer"):
                    kind: ElementKind = "header" if element.tag.endswith("header") else "footer"
                    before = len(self.elements)
                    self._read(element, _Look())
                    self.elements[before:] = [replace(e, kind=kind, level=0) for e in self.elements[before:]]
                elif element.get(_PRESENTATION + "placeholder") != "true" and element.tag != _PRESENTATION + "notes":
                    self._read(element, _Look(ground=""))

    def _read(self, element: Any, look: _Look) -> None:
        for child in element:
            if not isinstance(child.tag, str) or child.tag in _LEFT_OUT:
                continue
            if self._is_off_page(child):
                self._hide(child, "off_page")
            elif child.tag == _TABLE + "table":
                self._read_table(child, look)
            elif child.tag in (_TEXT + "p", _TEXT + "h"):
                self._read_paragraph(child, look)
            elif child.get(_TEXT + "display") == "none" or child.tag == _TEXT + "hidden-paragraph":
                self._hide(child, "hidden_part")
            else:
                self._read(child, self._look(child, look))

    def _read_paragraph(self, paragraph: Any, look: _Look) -> None:
        text = "".join(self._text(paragraph, self._look(paragraph, look))).strip()
        if text:
            level = int(paragraph.get(_TEXT + "outline-level", "1")) if paragraph.tag == _TEXT + "h" else 0
            listed = next(paragraph.iterancestors(_TEXT + "list-item"), None) is not None
            kind: ElementKind = (
                "heading" if level or self._is_title(paragraph) else "list_item" if listed else "paragraph"
            )
            self.elements.append(Element(text=text, kind=kind, level=level or int(kind == "heading"), page=self.page))
        for part in paragraph.iter(*_OWN_FLOW):
            if (
                next(part.iterancestors(*_OWN_FLOW, _TEXT + "p", _TEXT + "h"), None) is paragraph
                or part.getparent() is None
            ):
                self._read(part, look)

    def _is_title(self, paragraph: Any) -> bool:
        frame = next(paragraph.iterancestors(_DRAW + "frame"), None)
        return frame is not None and frame.get(_PRESENTATION + "class") == "title"

    def _text(self, element: Any, look: _Look) -> Iterator[str]:
        """What is seen of the text in `element`; what is not goes to the records."""
        yield from self._seen(element.text, look)
        for child in element:
            if not isinstance(child.tag, str):
                pass
            elif child.tag in _BREAKS:
                yield _BREAKS[child.tag]
            elif child.tag == _TEXT + "s":
                yield " " * min(int(child.get(_TEXT + "c", "1")), 80)
            elif child.tag in (_TEXT + "hidden-text", _TEXT + "script"):
                self._hide(child, "hidden_part")
            elif child.tag not in _OWN_FLOW and child.tag not in _LEFT_OUT:
                yield from self._text(child, self._look(child, look))
            yield from self._seen(child.tail, look)

    def _seen(self, text: str | None, look: _Look) -> Iterator[str]:
        if not text:
            return
        reason = _why_hidden(look)
        if reason is None:
            yield re.sub(r"[ \t\r\n]+", " ", text)  # white space in the markup counts as one space (ODF 1.3, 6.1.2)
        elif text.strip():
            self.hidden.append(HiddenText(text=text.strip(), reason=reason, place=self._place()))

    def _read_table(self, table: Any, look: _Look) -> None:
        rows = []
        for row in table.iter(_TABLE + "table-row"):
            if row.get(_TABLE + "visibility") in ("collapse", "filter"):
                self._hide(row, "hidden_part")
            else:
                rows.append([self._cell(cell, look) for cell in row if cell.tag == _TABLE + "table-cell"])
        self.elements += table_elements(rows, page=self.page)

    def _cell(self, cell: Any, look: _Look) -> str:
        inner = self._look(cell, look)
        texts = ("".join(self._text(p, self._look(p, inner))) for p in cell.iter(_TEXT + "p", _TEXT + "h"))
        return " ".join(" ".join(texts).split())

    # Hidden

    def _hide(self, element: Any, reason: HiddenReason) -> None:
        text = " ".join(" ".join(element.itertext()).split())
        if text:
            self.hidden.append(HiddenText(text=text, reason=reason, place=self._place()))

    def _place(self) -> str:
        return f"slide {self.page}" if self.page else f"after element {len(self.elements)}"

    def _is_off_page(self, shape: Any) -> bool:
        left, width = shape.get(_SVG + "x"), shape.get(_SVG + "width")
        if left is None or width is None or self.page is None:
            return False
        return _points(left) + _points(width) <= 0 or (self._width > 0 and _points(left) >= self._width)

    def _look(self, element: Any, base: _Look) -> _Look:
        """`base` with what the style of `element` and the styles it is based on change."""
        name = next((element.get(kind + "style-name") for kind in _STYLED if element.get(kind + "style-name")), None)
        size, ink = self._property(name, _FO + "font-size"), self._property(name, _FO + "color")
        ground = self._own_ground(name)
        return _Look(
            hidden=base.hidden or self._property(name, _TEXT + "display") == "none",
            ink=hex_colour(ink.lstrip("#")) if ink else base.ink,
            ground=base.ground if ground is None else ground,
            points=_points(size) if size and not size.endswith("%") else base.points,
        )

    def _own_ground(self, name: str | None) -> str | None:
        fill = self._property(name, _DRAW + "fill")
        if fill not in (None, "none", "solid"):
            return ""
        colour = self._property(name, _DRAW + "fill-color" if fill == "solid" else _FO + "background-color")
        return hex_colour(colour.lstrip("#")) if colour else None

    def _property(self, name: str | None, attribute: str) -> str | None:
        seen: set[str] = set()
        while name is not None and name in self._styles and name not in seen:
            seen.add(name)
            style = self._styles[name]
            for properties in style:
                if isinstance(properties.tag, str) and properties.get(attribute) is not None:
                    return str(properties.get(attribute))
            name = style.get(_STYLE + "parent-style-name")
        return None


def _why_hidden(look: _Look) -> HiddenReason | None:
    if look.hidden:
        return "invisible_mode"
    if look.points <= TINY:
        return "tiny_font"
    ground = "FFFFFF" if look.ground is None else look.ground
    return "same_colour" if look.ink and ground and contrast(look.ink, ground) < SAME_COLOUR else None


def _points(length: str | None) -> float:
    found = _LENGTH.fullmatch(length or "")
    return float(found[1]) * _POINTS[found[2] or "pt"] if found else 0.0
