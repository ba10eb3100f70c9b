"""DOCX, its templates, and Word's flat XML: what hides is taken out, what `unstructured` passes over is put in its way.

Before the document is partitioned its revisions are accepted, content controls and other wrappers are dissolved, and
text boxes become paragraphs after the one that holds them. Notes, comments, charts and diagrams follow at the end.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

from ingest.elements import Element, ElementKind, HiddenReason, HiddenText, ParsedDocument
from ingest.limits import ParseLimits
from ingest.media_types import DOCX
from ingest.parsers.openxml import (
    SAME_COLOUR,
    TINY,
    contrast,
    drawn_text,
    hex_colour,
    lost,
    read_package,
    read_xml,
    set_main_type,
    title_of,
    write_package,
    write_xml,
)
from ingest.parsers.unstructured_adapter import partition_docx

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PKG = "{http://schemas.microsoft.com/office/2006/xmlPackage}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"

_STORY = re.compile(r"word/(?:document|header|footer|footnotes|endnotes|comments)\d*\.xml")
_NOTES = re.compile(r"word/(?:footnotes|endnotes|comments)\d*\.xml")
_DRAWN = re.compile(r"word/(?:diagrams/data|charts/chart)\d*\.xml")
_FOREIGN = re.compile(r"word/(?!embeddings/)[^/]*\.(?:html?|mht|mhtml|rtf|txt)")  # w:altChunk, merged in when opened
_DROPPED = tuple(_W + tag for tag in ("del", "moveFrom"))
_WRAPPERS = tuple(_W + tag for tag in ("ins", "moveTo", "smartTag", "fldSimple", "customXml", "sdt", "sdtContent"))

_CHARACTERS = {_W + "tab": "\t", _W + "br": "\n", _W + "cr": "\n", _W + "noBreakHyphen": "-"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How text is set, as far as that decides whether a person sees it; None is what the surroundings say."""

    hidden: bool | None = None
    ink: str | None = None  # RRGGBB
    ground: str | None = None  # RRGGBB, or "" where it is there but its colour is not known
    points: float | None = None

    def over(self, base: _Look) -> _Look:
        """This look where it says something, else `base`."""
        return _Look(
            hidden=base.hidden if self.hidden is None else self.hidden,
            ink=self.ink or base.ink,
            ground=base.ground if self.ground is None else self.ground,
            points=self.points or base.points,
        )


def parse(data: bytes, _name: str, limits: ParseLimits) -> ParsedDocument:
    """The document's text in reading order, and the text in it that is hidden, white or tiny."""
    parts = read_package(data) if data.startswith(b"PK") else _unflatten(data)
    set_main_type(parts, DOCX + ".main+xml")
    styles = _styles(parts.get("word/styles.xml"))
    stories = {part: read_xml(content) for part, content in parts.items() if _STORY.fullmatch(part)}
    hidden = [text for part, root in stories.items() for text in _reveal(root, styles, PurePosixPath(part).stem)]
    parts.update({part: write_xml(root) for part, root in stories.items()})
    elements = partition_docx(write_package(parts))
    elements += [Element(text=text, kind=kind) for text, kind in lost(_body(stories), elements)]
    elements += [Element(text=text) for text in _notes(stories)]
    elements += [Element(text=text) for text in _drawn(parts)]
    merged, notes = _merged(parts, limits)
    return ParsedDocument(
        media_type=DOCX,
        elements=(*elements, *(element for document in merged for element in document.elements)),
        title=title_of(parts),
        hidden=(*hidden, *(text for document in merged for text in document.hidden)),
        notes=tuple(notes),
    )


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


def _body(stories: dict[str, Any]) -> Iterator[tuple[str, ElementKind]]:
    for part, root in stories.items():
        if not _NOTES.fullmatch(part):
            kind: ElementKind = "header" if "header" in part else "footer" if "footer" in part else "paragraph"
            yield from ((text, kind) for text in _paragraphs(root))


def _notes(stories: dict[str, Any]) -> Iterator[str]:
    """Footnotes, endnotes and comments, which `unstructured` leaves out."""
    for part, root in stories.items():
        if _NOTES.fullmatch(part):
            yield from _paragraphs(root)


def _paragraphs(root: Any) -> Iterator[str]:
    for paragraph in root.iter(_W + "p"):
        text = "".join(
            _CHARACTERS.get(piece.tag) or piece.text or "" for piece in paragraph.iter(_W + "t", *_CHARACTERS)
        )
        if text.strip():
            yield text.strip()


def _drawn(parts: dict[str, bytes]) -> Iterator[str]:
    """The words of diagrams and charts."""
    for part, content in parts.items():
        if _DRAWN.fullmatch(part):
            yield from drawn_text(content)


def _merged(parts: dict[str, bytes], limits: ParseLimits) -> tuple[list[ParsedDocument], list[str]]:
    """Documents in other formats that Word merges in when it opens this one, and what to know of the files within."""
    from ingest.parsers import parse_within

    merged, notes = [], [f"The embedded file {part} was not read." for part in parts if "/embeddings/" in part]
    for part, content in parts.items():
        if _FOREIGN.fullmatch(part):
            document = parse_within(content, part, limits)
            if isinstance(document, ParsedDocument):
                merged.append(document)
            else:
                notes.append(document)
    return merged, notes


# Revealing


def _reveal(root: Any, styles: dict[str, _Look], story: str) -> list[HiddenText]:
    """Rewrites `root` so that a reader finds all that is seen and nothing else; returns what is not seen."""
    for element in list(root.iter(*_DROPPED)):
        element.getparent().remove(element)
    for alternatives in list(root.iter(_MC + "AlternateContent")):
        shown = next((child for child in alternatives if next(child.iter(_W + "t"), None) is not None), None)
        _replace(
            alternatives, () if shown is None and not len(alternatives) else alternatives[0] if shown is None else shown
        )
    hidden = _take_out_hidden(root, styles, story)
    for box in reversed(list(root.iter(_W + "txbxContent"))):
        holder = next(box.iterancestors(_W + "p"), None)
        if holder is not None:
            for child in reversed(list(box)):
                holder.addnext(child)
    for properties in list(root.iter(_W + "sdtPr", _W + "sdtEndPr")):
        properties.getparent().remove(properties)
    for wrapper in reversed(list(root.iter(*_WRAPPERS))):
        _replace(wrapper, wrapper)
    return hidden


def _replace(element: Any, children: Iterable[Any]) -> None:
    for child in list(children):
        element.addprevious(child)
    element.getparent().remove(element)


def _take_out_hidden(root: Any, styles: dict[str, _Look], story: str) -> list[HiddenText]:
    """Removes the runs that are not seen; those of one paragraph and reason make one record."""
    found: dict[tuple[int, HiddenReason], list[str]] = {}
    number = 0
    for element in list(root.iter(_W + "p", _W + "r")):
        if element.tag == _W + "p":
            number += 1
            continue
        reason = _why_hidden(element, styles)
        if reason is not None:
            found.setdefault((number, reason), []).append("".join(piece.text or "" for piece in element.iter(_W + "t")))
            element.getparent().remove(element)
    texts = ((place, reason, "".join(pieces).strip()) for (place, reason), pieces in found.items())
    return [
        HiddenText(text=text, reason=reason, place=f"{story}, paragraph {place}")
        for place, reason, text in texts
        if text
    ]


def _why_hidden(run: Any, styles: dict[str, _Look]) -> HiddenReason | None:
    paragraph = next(run.iterancestors(_W + "p"), None)
    style = _attribute(run, "w:rPr/w:rStyle")
    look = _look(run.find(_W + "rPr")).over(styles.get(style or "", _Look()))
    look = look.over(_paragraph_look(paragraph, styles)).over(styles.get("defaults", _Look()))
    if look.hidden:
        return "invisible_mode"
    if look.points is not None and look.points <= TINY:
        return "tiny_font"
    if look.ink is not None:
        ground = look.ground if look.ground is not None else _ground(run, styles)
        if ground and contrast(look.ink, ground) < SAME_COLOUR:
            return "same_colour"
    return None


def _paragraph_look(paragraph: Any, styles: dict[str, _Look]) -> _Look:
    if paragraph is None:
        return _Look()
    style = _attribute(paragraph, "w:pPr/w:pStyle")
    ground = _fill(paragraph.find(f"{_W}pPr/{_W}shd"))
    return _Look(ground=ground).over(styles.get(style or "default", _Look()))


def _ground(run: Any, styles: dict[str, _Look]) -> str:
    """The colour behind a run that has none of its own, "" where it is there but not known."""
    for around in run.iterancestors():
        ground = None
        if around.tag == _W + "tc":
            ground = _fill(around.find(f"{_W}tcPr/{_W}shd"))
        elif around.tag == _W + "tbl":
            ground = styles.get(_attribute(around, "w:tblPr/w:tblStyle") or "", _Look()).ground
        elif around.tag.endswith(("}wsp", "}wgp", "}shape", "}rect", "}group")):
            ground = _shape_fill(around)
        elif around.tag == _W + "document":
            ground = hex_colour((_find(around, "w:background") or {}).get(_W + "color"))
        if ground is not None:
            return ground
    return "FFFFFF"


def _shape_fill(shape: Any) -> str | None:
    """Of a drawn shape or group: its plain colour, "" for what only a renderer can tell, None when it has no fill."""
    if shape.tag.endswith(("}wgp", "}group")):
        return ""
    if shape.get("fillcolor"):
        return hex_colour(shape.get("fillcolor").lstrip("#")) or ""
    properties = next((child for child in shape if child.tag.endswith("}spPr")), ())
    fill = next((child for child in properties if child.tag.endswith("Fill")), None)
    if fill is None:
        return "" if any(child.tag.endswith("}style") for child in shape) else None
    if fill.tag.endswith("}noFill"):
        return None
    return next((hex_colour(colour.get("val")) or "" for colour in fill), "")


# Looks


def _styles(content: bytes | None) -> dict[str, _Look]:
    """Looks by the id of their style, what they are based on included; `default` is that of a plain paragraph."""
    if content is None:
        return {}
    root = read_xml(content)
    elements = {style.get(_W + "styleId", ""): style for style in root.iter(_W + "style")}
    styles = {name: _style_look(name, elements) for name in elements}
    default = (name for name, e in elements.items() if e.get(_W + "default") and e.get(_W + "type") == "paragraph")
    styles["default"] = styles.get(next(default, ""), _Look())
    styles["defaults"] = _look(root.find(f"{_W}docDefaults/{_W}rPrDefault/{_W}rPr"))
    return styles


def _style_look(name: str, elements: dict[str, Any]) -> _Look:
    look, seen = _Look(), set[str]()
    while name in elements and name not in seen:
        seen.add(name)
        element = elements[name]
        own = _look(element.find(_W + "rPr"))
        if element.get(_W + "type") == "table" and next(element.iter(_W + "shd"), None) is not None:
            own = replace(own, ground="")  # which cells it colours depends on where they stand
        elif own.ground is None:
            own = replace(own, ground=_fill(element.find(f"{_W}pPr/{_W}shd")))
        look = look.over(own)
        name = _attribute(element, "w:basedOn") or ""
    return look


def _look(properties: Any) -> _Look:
    """Of run properties (w:rPr)."""
    if properties is None:
        return _Look()
    vanish = properties.find(_W + "vanish")
    ground = _fill(properties.find(_W + "shd"))
    highlight = _attribute(properties, "w:highlight")
    if highlight not in (None, "none"):
        ground = "FFFFFF" if highlight == "white" else ""
    size = _attribute(properties, "w:sz") or ""
    return _Look(
        hidden=None if vanish is None else vanish.get(_W + "val", "1") not in ("0", "false", "off"),
        ink=hex_colour(_attribute(properties, "w:color")),
        ground=ground,
        points=int(size) / 2 if size.isdecimal() else None,
    )


def _fill(shading: Any) -> str | None:
    return None if shading is None else hex_colour(shading.get(_W + "fill"))


def _find(element: Any, path: str) -> Any:
    return element.find(path.replace("w:", _W))


def _attribute(element: Any, path: str) -> str | None:
    """The w:val of the element at `path`."""
    found = _find(element, path)
    return None if found is None else found.get(_W + "val")
