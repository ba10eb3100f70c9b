"""DOCX, its templates, and Word's flat XML: what hides is taken out, then the text is read in its order.

Notes and comments, charts and diagrams, documents merged in and embedded files follow at the end.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from ingest.elements import Element, HiddenText, ParsedDocument
from ingest.limits import ParseLimits
from ingest.media_types import DOCX
from ingest.parsers.docx_body import Walk, is_paged, paragraph_texts
from ingest.parsers.docx_hidden import looks, reveal
from ingest.parsers.docx_numbering import Numbering
from ingest.parsers.docx_styles import roles
from ingest.parsers.embedded import Embedded, embedded
from ingest.parsers.openxml import drawn_text, main_part, read_package, read_xml, relations, title_of, write_xml

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PKG = "{http://schemas.microsoft.com/office/2006/xmlPackage}"

_MARGINS = ("/header", "/footer")  # ends of relationship types
_NOTES = ("/footnotes", "/endnotes", "/comments")
_PROPERTIES = ("/styles", "/numbering", "/settings")
_DRAWN = re.compile(r"word/(?:diagrams/data|charts/chart)\d*\.xml")
_FOREIGN = re.compile(r"word/(?!embeddings/)[^/]*\.(?:html?|mht|mhtml|rtf|txt)")  # w:altChunk, merged in when opened


def parse(data: bytes, _name: str, limits: ParseLimits) -> ParsedDocument:
    """The document's text in reading order, and the text in it that is hidden, white or tiny."""
    parts = read_package(data) if data.startswith(b"PK") else _unflatten(data)
    main = main_part(parts)
    document = read_xml(parts[main])
    related = relations(parts, main)
    margins = {name: read_xml(parts[part]) for name, part in _of_kind(parts, related, _MARGINS)}
    notes = [read_xml(parts[part]) for _, part in _of_kind(parts, related, _NOTES)]
    style_sheet, numbering, settings = (
        next((read_xml(parts[part]) for _, part in _of_kind(parts, related, (kind,))), None) for kind in _PROPERTIES
    )
    styles = looks(style_sheet)
    stories = {"document": document} | {PurePosixPath(related[name][1]).stem: root for name, root in margins.items()}
    stories |= {f"note {number}": root for number, root in enumerate(notes, 1)}
    hidden = [text for story, root in stories.items() for text in reveal(root, styles, story)]
    walk = Walk(
        styles=roles(style_sheet),
        numbering=Numbering(numbering),
        headers=margins,
        paged=is_paged(document),
        even_differs=settings is not None and settings.find(_W + "evenAndOddHeaders") is not None,
    )
    elements = list(walk.read(document))
    elements += [Element(text=text) for root in notes for text in paragraph_texts(root)]
    elements += [Element(text=text) for text in _drawn(parts)]
    hidden += [_unshown(root, related[name][1]) for name, root in margins.items() if name not in walk.shown]
    within = _merged(parts, limits, embedded(parts, [(main, None)], limits))
    return ParsedDocument(
        media_type=DOCX,
        elements=(*elements, *within.elements),
        title=title_of(parts),
        hidden=(*(text for text in hidden if text.text), *within.hidden),
        notes=tuple(within.notes),
    )


def _of_kind(
    parts: dict[str, bytes], related: dict[str, tuple[str, str]], kinds: tuple[str, ...]
) -> Iterator[tuple[str, str]]:
    """Id and part of the relations whose type ends with one of `kinds`."""
    yield from ((name, part) for name, (kind, part) in related.items() if kind.endswith(kinds) and part in parts)


def _unshown(root: Any, part: str) -> HiddenText:
    """A header or footer that no page shows."""
    return HiddenText(text="\n".join(paragraph_texts(root)), reason="hidden_part", place=PurePosixPath(part).stem)


def _unflatten(data: bytes) -> dict[str, bytes]:
    """The package in Word's flat XML, where each part is an element."""
    parts = {}
    types = ['<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">']
    for part in read_xml(data).iter(_PKG + "part"):
        name, content = part.get(_PKG + "name", ""), part.find(_PKG + "xmlData")
        if content is not None and len(content):
            parts[name.lstrip("/")] = write_xml(content[0])
        else:
            parts[name.lstrip("/")] = b64decode(part.findtext(_PKG + "binaryData") or "")
        types.append(f'<Override PartName="{name}" ContentType="{part.get(_PKG + "contentType", "")}"/>')
    return {"[Content_Types].xml": "".join((*types, "</Types>")).encode(), **parts}


def _drawn(parts: dict[str, bytes]) -> Iterator[str]:
    """The words of diagrams and charts."""
    for part, content in parts.items():
        if _DRAWN.fullmatch(part):
            yield from drawn_text(content)


def _merged(parts: dict[str, bytes], limits: ParseLimits, within: Embedded) -> Embedded:
    """Adds documents in other formats that Word merges in when it opens this one."""
    for part, content in parts.items():
        if _FOREIGN.fullmatch(part):
            within.merge(content, part, limits)
    return within
