"""EPUB: the chapters of the book in the order of its spine, each read as HTML."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from posixpath import dirname, join, normpath
from typing import Any
from urllib.parse import unquote

from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.openxml import read_xml

_CONTAINER = "{urn:oasis:names:tc:opendocument:xmlns:container}"
_PACKAGE = "{http://www.idpf.org/2007/opf}"
_DC = "{http://purl.org/dc/elements/1.1/}"


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """The book's text chapter by chapter. Raises FileRefused `unreadable` when it has no list of chapters."""
    from ingest.parsers import html

    with zipfile.ZipFile(io.BytesIO(data)) as container:
        package_name, package = _package(container, name)
        chapters, notes = [], []
        for chapter in _spine(package, dirname(package_name)):
            try:
                chapters.append(html.parse(container.read(chapter), chapter, limits))
            except (KeyError, FileRefused) as error:
                notes.append(f"The chapter {chapter} was left out: {getattr(error, 'cause', 'it is missing.')}")
    title = package.findtext(f".//{_DC}title")
    return ParsedDocument(
        media_type="application/epub+zip",
        elements=tuple(element for chapter in chapters for element in chapter.elements),
        title=title.strip() if title and title.strip() else None,
        hidden=tuple(replace(hidden) for chapter in chapters for hidden in chapter.hidden),
        notes=(*notes, *(note for chapter in chapters for note in chapter.notes)),
    )


def _package(container: zipfile.ZipFile, name: str) -> tuple[str, Any]:
    """Name and root of the package document (EPUB Open Container Format 3.3, section 4.2.6.3.1)."""
    try:
        rootfile = read_xml(container.read("META-INF/container.xml")).find(f".//{_CONTAINER}rootfile")
        path = rootfile.get("full-path")
        return path, read_xml(container.read(path))
    except (KeyError, AttributeError):
        cause = "The book has no list of its chapters."
        raise FileRefused(name, "unreadable", cause, "Export it again from the program that made it.") from None


def _spine(package: Any, folder: str) -> list[str]:
    items = {item.get("id"): item.get("href", "") for item in package.iter(_PACKAGE + "item")}
    references = (items.get(reference.get("idref")) for reference in package.iter(_PACKAGE + "itemref"))
    return [normpath(join(folder, unquote(href))) for href in references if href]
