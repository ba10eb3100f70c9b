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
from pathlib import Path
from typing import Any

from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits

_SUCCESSORS = {"worddocument": "docx", "powerpoint document": "pptx"}  # OLE stream -> format to turn it into

_BOF, _EOF, _HEADER, _FOOTER = 0x0809, 0x000A, 0x0014, 0x0015  # record types of [MS-XLS]
_WORKSHEET = b"\x10\0"


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """As its successor is parsed. Raises FileRefused: `needs_libreoffice`, `unreadable`, `too_slow`, `encrypted`."""
    from ingest.parsers import parse as parse_any

    successor = _successor(data)
    turned = _turn_workbook(data, name) if successor is None else _turn(data, name, successor, limits)
    return parse_any(turned, f"{Path(name).stem}.{successor or 'xlsx'}", limits)


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


def _turn_workbook(data: bytes, name: str) -> bytes:
    """The workbook's values and what is hidden in it, as XLSX."""
    import openpyxl
    import xlrd  # type: ignore[import-untyped]

    try:
        old = xlrd.open_workbook(file_contents=data, formatting_info=True, logfile=io.StringIO())
    except xlrd.XLRDError as error:
        code = "encrypted" if "encrypted" in str(error) else "unreadable"
        raise FileRefused(name, code, f"The workbook cannot be read ({error}).", "Save it as XLSX.") from None
    new = openpyxl.Workbook()
    new.remove(new.active)
    margins = _margins(data)
    for sheet in old.sheets():
        target = new.create_sheet(sheet.name)
        target.sheet_state = ("visible", "hidden", "veryHidden")[sheet.visibility]
        _copy_cells(sheet, target, old.datemode)
        _copy_hidden(sheet, target)
        _copy_margins(next(margins, {}), target)
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


def _margins(data: bytes) -> Iterator[dict[int, str]]:
    """Header and footer of each sheet by their record type, which xlrd passes over ([MS-XLS] 2.4.136 and 2.4.124)."""
    import olefile

    with olefile.OleFileIO(io.BytesIO(data)) as container:
        stream = container.openstream("Workbook").read() if container.exists("Workbook") else b""
    at, found = 0, None
    while at + 4 <= len(stream):
        kind, size = struct.unpack_from("<HH", stream, at)
        body = stream[at + 4 : at + 4 + size]
        if kind == _BOF and body[2:4] == _WORKSHEET:
            found = dict[int, str]()
        elif kind == _EOF and found is not None:
            yield found
            found = None
        elif kind in (_HEADER, _FOOTER) and size > 3 and found is not None:
            found[kind] = body[3:].decode("utf-16-le" if body[2] & 1 else "latin-1", "replace")
        at += 4 + size


def _copy_margins(margins: dict[int, str], target: Any) -> None:
    from openpyxl.worksheet.header_footer import HeaderFooterItem
    from openpyxl.xml.functions import Element

    for kind, name in ((_HEADER, "oddHeader"), (_FOOTER, "oddFooter")):
        if kind in margins:
            node = Element(name)
            node.text = margins[kind]
            setattr(target.HeaderFooter, name, HeaderFooterItem.from_tree(node))
