"""Files within files: objects in an Office document, found through its relations and unwrapped; attachments of a PDF.

Workbooks behind charts are left alone: the chart shows what it shows, and the rest of the workbook nobody sees.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from ingest.elements import Element, HiddenText, ParsedDocument
from ingest.guard import OLE_SIGNATURE
from ingest.limits import ParseLimits
from ingest.parsers.openxml import relations

_OBJECTS = ("/package", "/oleObject")  # ends of relationship types
_NAMELESS = re.compile(r"(?i)oleObject|Microsoft_")  # names that Office gives to what it packs
_NATIVE = "\x01Ole10Native"


@dataclass(slots=True, kw_only=True)
class Embedded:
    """What was read of the files within a file."""

    kind: str = "Embedded file"  # what people call them
    elements: list[Element] = field(default_factory=list)
    hidden: list[HiddenText] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, data: bytes, name: str, limits: ParseLimits, page: int | None = None) -> None:
        """Parses one such file; its text goes under a heading with its name."""
        from ingest.parsers import parse_within

        document = parse_within(data, name, limits)
        if isinstance(document, str):
            self.notes.append(f"The {self.kind.lower()} {document}")
            return
        title = self.kind if _NAMELESS.match(name) else f"{self.kind} {name}"
        self.elements.append(Element(text=title, kind="heading", level=1, page=page))
        self._take(document, f"{self.kind.lower()} {name}, ", page)

    def merge(self, data: bytes, name: str, limits: ParseLimits) -> None:
        """Parses a file that is shown as a part of the document itself."""
        from ingest.parsers import parse_within

        document = parse_within(data, name, limits)
        if isinstance(document, str):
            self.notes.append(f"The merged file {document}")
        else:
            self._take(document, "", None)

    def _take(self, document: ParsedDocument, place: str, page: int | None) -> None:
        self.elements += [replace(element, page=page, box=None) for element in document.elements]
        self.hidden += [replace(text, place=place + text.place) for text in document.hidden]
        self.notes += document.notes


def embedded(parts: dict[str, bytes], owners: Iterable[tuple[str, int | None]], limits: ParseLimits) -> Embedded:
    """The objects that `owners`, each the name of a part and its page, refer to; each file once."""
    found, seen = Embedded(), set[str]()
    for owner, page in owners:
        for kind, target in relations(parts, owner).values():
            if kind.endswith(_OBJECTS) and target in parts and target not in seen:
                seen.add(target)
                data, name = _unwrapped(parts[target], PurePosixPath(target).name)
                found.add(data, name, limits, page)
    return found


def _unwrapped(data: bytes, name: str) -> tuple[bytes, str]:
    """The file in an OLE object and its name; anything else as it is."""
    if not data.startswith(OLE_SIGNATURE):
        return data, name
    import olefile  # type: ignore[import-untyped]

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            streams = {entry[0].lower(): entry[0] for entry in container.listdir() if len(entry) == 1}
            for stream in ("package", "contents"):
                if stream in streams:
                    return container.openstream(streams[stream]).read(), name
            if _NATIVE.lower() in streams:
                return _native(container.openstream(streams[_NATIVE.lower()]).read(), name)
    except Exception:  # noqa: BLE001 - a damaged container raises whatever it runs into; the guard says what is wrong
        return data, name
    return data, name


def _native(stream: bytes, name: str) -> tuple[bytes, str]:
    """Of a file that was packed as it is: label, path and temporary path before its bytes ([MS-OLEDS] 2.3.6)."""
    label_end = stream.index(0, 6)
    path_end = stream.index(0, label_end + 1)
    at = path_end + 5  # two fixed words
    temporary = int.from_bytes(stream[at : at + 4], "little")
    at += 4 + temporary
    size = int.from_bytes(stream[at : at + 4], "little")
    label = stream[6:label_end].decode("cp1252", "replace").replace("\\", "/").rpartition("/")[2]
    return stream[at + 4 : at + 4 + size], label or name
