"""The binary formats of Office 97 to 2003, and XLSB: turned into their successors, which have parsers of their own.

XLS is read with xlrd. For DOC, PPT and XLSB LibreOffice does the turning, where it is installed.
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any

from ingest.elements import Element, ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits

_SUCCESSORS = {"worddocument": "docx", "powerpoint document": "pptx"}  # OLE stream -> format to turn it into

# Record types of [MS-XLS] that xlrd passes over: page headers and footers, and the text of shapes and notes.
_BOF, _EOF, _HEADER, _FOOTER, _SHAPE_TEXT, _CONTINUE = 0x0809, 0x000A, 0x0014, 0x0015, 0x01B6, 0x003C
_WORKSHEET = b"\x10\0"  # the kind of substream in its BOF


@dataclass(slots=True, kw_only=True)
class _Extras:
    """What a sheet says outside its cells."""

    margins: dict[int, str] = field(default_factory=dict)  # record type -> header or footer
    drawn: list[str] = field(default_factory=list)  # text of shapes and notes


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """As its successor is parsed. Raises FileRefused: `needs_libreoffice`, `unreadable`, `too_slow`, `encrypted`."""
    from ingest.parsers import parse as parse_any

    successor = _successor(data)
    if successor is None:
        return _parse_workbook(data, name, limits)
    return parse_any(_turn(data, name, successor, limits), f"{Path(name).stem}.{successor}", limits)


def _successor(data: bytes) -> str | None:
    """The format that LibreOffice should turn `data` into, None for XLS."""
    if data.startswith(b"PK"):
        return "xlsx"
    import olefile  # type: ignore[import-untyped]

    with olefile.OleFileIO(io.BytesIO(data)) as container:
        streams = {entry[0].lower() for entry in container.listdir()}
    return next((successor for stream, successor in _SUCCESSORS.items() if stream in streams), None)


def _turn(data: bytes, name: str, successor: str, limits: ParseLimits) -> bytes:
    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        cause = "The file is in an old binary format of Office, which only LibreOffice can read."
        raise FileRefused(
            name, "needs_libreoffice", cause, f"Install LibreOffice, or save the file as {successor.upper()}."
        )
    with tempfile.TemporaryDirectory(prefix="groundwire-") as folder:
        source = Path(folder, "source.bin")
        source.write_bytes(data)
        profile = f"-env:UserInstallation={Path(folder, 'profile').as_uri()}"  # its own, so that several can run
        command = [program, profile, "--headless", "--norestore", "--convert-to", successor, "--outdir", folder]
        if not _run([*command, str(source)], limits.seconds / 2):  # the other half is for parsing what comes out
            cause = f"LibreOffice took longer than {limits.seconds / 2:g} seconds to read it."
            raise FileRefused(name, "too_slow", cause, "Split it, or raise the limit on seconds.")
        turned = Path(folder, f"source.{successor}")
        if not turned.exists():
            cause = "LibreOffice could not read it."
            raise FileRefused(name, "unreadable", cause, f"Open it and save it as {successor.upper()}.")
        return turned.read_bytes()


def _run(command: list[str], seconds: float) -> bool:
    """Whether `command` ended in time; if not, it is ended with the processes that it started."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True)  # noqa: S603
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return False
    return True


# XLS


def _parse_workbook(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    from ingest.parsers import tables

    extras = list(_extras(data))
    document = tables.parse(_turn_workbook(data, name, extras), f"{Path(name).stem}.xlsx", limits)
    drawn = (
        Element(text=text.strip(), page=page)
        for page, extra in enumerate(extras, 1)
        for text in extra.drawn
        if text.strip()
    )
    return replace(document, elements=(*document.elements, *drawn))


def _turn_workbook(data: bytes, name: str, extras: list[_Extras]) -> bytes:
    """The workbook's values, what is hidden in it and its page headers, as XLSX."""
    import openpyxl
    import xlrd  # type: ignore[import-untyped]

    try:
        old = xlrd.open_workbook(file_contents=data, formatting_info=True, logfile=io.StringIO())
    except xlrd.XLRDError as error:
        code = "encrypted" if "encrypted" in str(error) else "unreadable"
        raise FileRefused(name, code, f"The workbook cannot be read ({error}).", "Save it as XLSX.") from None
    new = openpyxl.Workbook()
    new.remove(new.active)
    for sheet, extra in zip(old.sheets(), chain(extras, repeat(_Extras())), strict=False):
        target = new.create_sheet(sheet.name)
        target.sheet_state = ("visible", "hidden", "veryHidden")[sheet.visibility]
        _copy_cells(sheet, target, old.datemode)
        _copy_hidden(sheet, target)
        _copy_margins(extra.margins, target)
    out = io.BytesIO()
    new.save(out)
    return out.getvalue()


def _copy_cells(sheet: Any, target: Any, datemode: int) -> None:
    import xlrd
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    for row in range(sheet.nrows):
        for column, cell in enumerate(sheet.row(row)):
            if cell.ctype in (xlrd.XL_CELL_EMPTY, xlrd.XL_CELL_BLANK):
                continue
            copy = target.cell(row + 1, column + 1)
            if cell.ctype == xlrd.XL_CELL_TEXT:
                copy.value = ILLEGAL_CHARACTERS_RE.sub("", cell.value)
                copy.data_type = "s"  # also where it begins with "="
            elif cell.ctype == xlrd.XL_CELL_DATE:
                copy.value = _date(cell.value, datemode)
            elif cell.ctype == xlrd.XL_CELL_ERROR:
                copy.value = xlrd.error_text_from_code.get(cell.value, "#ERROR")
            else:
                copy.value = bool(cell.value) if cell.ctype == xlrd.XL_CELL_BOOLEAN else cell.value
                copy.number_format = sheet.book.format_map[sheet.book.xf_list[cell.xf_index].format_key].format_str


def _date(value: float, datemode: int) -> Any:
    """A date, a time of day, or the number itself where it is none."""
    import xlrd
    from xlrd.xldate import xldate_as_datetime  # type: ignore[import-untyped]

    try:
        moment = xldate_as_datetime(value, datemode)
    except (xlrd.xldate.XLDateError, ValueError, OverflowError):
        return value
    return moment.time() if 0 <= value < 1 else moment


def _copy_hidden(sheet: Any, target: Any) -> None:
    from openpyxl.utils import get_column_letter

    for row, info in sheet.rowinfo_map.items():
        if info.hidden:
            target.row_dimensions[row + 1].hidden = True
    for column, info in sheet.colinfo_map.items():
        if info.hidden:
            target.column_dimensions[get_column_letter(column + 1)].hidden = True


def _extras(data: bytes) -> Iterator[_Extras]:
    """What each sheet says outside its cells."""
    found: _Extras | None = None
    wanted = 0  # characters that the text of a shape still lacks
    for kind, body in _records(data):
        if kind == _BOF and body[2:4] == _WORKSHEET:
            found = _Extras()
        elif found is None:
            continue
        elif kind == _EOF:
            yield found
            found = None
        elif kind in (_HEADER, _FOOTER) and len(body) > 3:
            found.margins[kind] = _characters(body[2:])
        elif kind == _SHAPE_TEXT:
            wanted = int.from_bytes(body[10:12], "little")
            found.drawn.append("")
        elif kind == _CONTINUE and wanted and found.drawn:
            text = _characters(body)[:wanted]
            found.drawn[-1] += text
            wanted -= len(text)


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    import olefile

    with olefile.OleFileIO(io.BytesIO(data)) as container:
        stream = container.openstream("Workbook").read() if container.exists("Workbook") else b""
    at = 0
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + size]
        at += 4 + size


def _characters(body: bytes) -> str:
    """A string behind its flag, which says whether a character takes two bytes ([MS-XLS] 2.5.293)."""
    return body[1:].decode("utf-16-le" if body[:1] == b"\x01" else "latin-1", "replace")


def _copy_margins(margins: dict[int, str], target: Any) -> None:
    from openpyxl.worksheet.header_footer import HeaderFooterItem
    from openpyxl.xml.functions import Element

    for kind, name in ((_HEADER, "oddHeader"), (_FOOTER, "oddFooter")):
        if kind in margins:
            node = Element(name)
            node.text = margins[kind]
            setattr(target.HeaderFooter, name, HeaderFooterItem.from_tree(node))
