"""What DOCX and PPTX share: a package of XML parts that is read, rewritten and checked for lost text."""

from __future__ import annotations

import io
import posixpath
import re
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import unquote

from ingest.elements import Element

Kind = TypeVar("Kind")

TINY = 2.0  # points; no printed text is set smaller than 4
SAME_COLOUR = 1.1  # contrast ratio; 1 is no difference at all, WCAG 2.2 asks for 4.5 to read with ease

_SPACE = re.compile(r"\s+")
_RELATION = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
_DRAWING = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_CHART = "{http://schemas.openxmlformats.org/drawingml/2006/chart}"


def read_xml(data: bytes) -> Any:
    """The root of `data` without comments, no entity resolved and no network used; raises lxml's XMLSyntaxError."""
    from lxml import etree

    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    return etree.fromstring(data, parser)


def write_xml(root: Any) -> bytes:
    """`root` as a part of a package."""
    from lxml import etree

    return bytes(etree.tostring(root, xml_declaration=True, encoding="UTF-8", standalone=True))


def read_package(data: bytes) -> dict[str, bytes]:
    """The parts of an Office Open XML package by their name."""
    with zipfile.ZipFile(io.BytesIO(data)) as container:
        return {member.filename: container.read(member) for member in container.infolist() if not member.is_dir()}


def write_package(parts: dict[str, bytes]) -> bytes:
    """A package of `parts`, not compressed: it lives only until it is parsed."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as container:
        for name, data in parts.items():
            container.writestr(name, data)
    return out.getvalue()


def main_part(parts: dict[str, bytes]) -> str:
    """The name of the part that a package is about (ECMA-376 part 2, section 8.4). Raises KeyError without one."""
    return next(
        target for kind, target in relations(parts, "").values() if kind.endswith("/officeDocument") and target in parts
    )


def relations(parts: dict[str, bytes], part: str) -> dict[str, tuple[str, str]]:
    """What `part` refers to within the package, "" the package itself: id -> (type, name of the part)."""
    folder, _, name = part.rpartition("/")
    content = parts.get(posixpath.join(folder, "_rels", f"{name}.rels"))
    found = {}
    for relation in () if content is None else read_xml(content).iter(_RELATION):
        target = unquote(relation.get("Target", ""))
        if relation.get("TargetMode") != "External":
            where = posixpath.normpath(posixpath.join("/" + folder, target)).lstrip("/")
            found[relation.get("Id", "")] = (relation.get("Type", ""), where)
    return found


def set_main_type(parts: dict[str, bytes], main_type: str) -> None:
    """Gives templates, slide shows and documents with macros the plain main type, which is all that readers take."""
    pattern = rb"application/[\w.-]+\.(?:document|template|presentation|slideshow|macroEnabled(?:Template)?)\.main\+xml"
    parts["[Content_Types].xml"] = re.sub(pattern, main_type.encode(), parts["[Content_Types].xml"])


def title_of(parts: dict[str, bytes]) -> str | None:
    """The title among the document's properties."""
    core = next((data for name, data in parts.items() if name.lower() == "docprops/core.xml"), None)
    found = None if core is None else read_xml(core).findtext("{http://purl.org/dc/elements/1.1/}title")
    return (found or "").strip() or None


def drawn_text(content: bytes) -> Iterator[str]:
    """Of a diagram or a chart: a line per paragraph and one per series of values."""
    root = read_xml(content)
    for piece in root.iter(_DRAWING + "p", _CHART + "strCache", _CHART + "numCache"):
        texts = (text.text or "" for text in piece.iter(_DRAWING + "t", _CHART + "v"))
        line = ("" if piece.tag == _DRAWING + "p" else " ").join(texts).strip()
        if line:
            yield line


def lost(paragraphs: Iterable[tuple[str, Kind]], elements: Iterable[Element]) -> Iterator[tuple[str, Kind]]:
    """Those of `paragraphs` whose characters, spaces apart, are nowhere in the text of `elements`."""
    text = "".join(_SPACE.sub("", element.text) for element in elements)
    at = 0  # both are in about the same order: what comes next is mostly found where the last one ended
    for paragraph, kind in paragraphs:
        squeezed = _SPACE.sub("", paragraph)
        found = text.find(squeezed, at)
        found = text.find(squeezed) if found < 0 else found
        if found < 0:
            yield paragraph, kind
        else:
            at = found + len(squeezed)


def hex_colour(value: str | None) -> str | None:
    """`value` in capitals if it is a colour RRGGBB."""
    return value.upper() if value and re.fullmatch(r"[0-9a-fA-F]{6}", value) else None


def contrast(ink: str, ground: str) -> float:
    """Contrast ratio of two colours RRGGBB, 1 to 21 (WCAG 2.2, relative luminance)."""
    lighter, darker = sorted((_luminance(ink), _luminance(ground)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
