"""Writes OLE containers ([MS-CFB]) and the least workbook in one ([MS-XLS]): no library that we have can."""

from __future__ import annotations

import struct

_SECTOR = 512
_END, _FREE, _FAT = 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def ole_file(streams: dict[str, bytes]) -> bytes:
    """A container of version 3 with `streams` at its root, each padded to the 4,096 bytes that spare a mini stream."""
    sectors: list[bytes] = []
    chains: list[int] = []
    entries = [_entry("Root Entry", 5, child=1 if streams else _FREE)]
    for number, (name, data) in enumerate(streams.items(), 1):
        padded = data.ljust(max(4096, -(-len(data) // _SECTOR) * _SECTOR), b"\0")
        start = _append(padded, sectors, chains)
        right = number + 1 if number < len(streams) else _FREE
        entries.append(_entry(name, 2, right=right, start=start, size=len(padded)))
    directory = b"".join(entries)
    first_directory = _append(directory.ljust(-(-len(directory) // _SECTOR) * _SECTOR, b"\0"), sectors, chains)
    count = 1
    while count * 128 < len(chains) + count:
        count += 1
    tables = list(range(len(chains), len(chains) + count))
    fat = chains + [_FAT] * count
    fat += [_FREE] * (count * 128 - len(fat))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<IIIIIIIII", 0, count, first_directory, 0, 4096, _END, 0, _END, 0)
    header += struct.pack("<109I", *(tables + [_FREE] * (109 - count)))
    return header + b"".join(sectors) + struct.pack(f"<{len(fat)}I", *fat)


def _append(data: bytes, sectors: list[bytes], chains: list[int]) -> int:
    start = len(chains)
    count = len(data) // _SECTOR
    sectors.append(data)
    chains.extend([*range(start + 1, start + count), _END])
    return start


def _entry(name: str, kind: int, *, right: int = _FREE, child: int = _FREE, start: int = _END, size: int = 0) -> bytes:
    encoded = name.encode("utf-16-le") + b"\0\0"
    links = struct.pack("<HBBIII", len(encoded), kind, 1, _FREE, right, child)
    return encoded.ljust(64, b"\0") + links + bytes(36) + struct.pack("<IQ", start, size)


def workbook(
    *cells: tuple[int, int, str | float], hidden_row: int | None = None, header: str = "", shape: str = ""
) -> bytes:
    """The Workbook stream of one sheet named "Costs" with `cells` (row, column, value) and a text box."""
    sheet = [_record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0010, 0, 0, 0, 0))]
    if header:
        sheet.append(_record(0x0014, struct.pack("<HB", len(header), 0) + header.encode("latin-1")))
    if hidden_row is not None:
        sheet.append(_record(0x0208, struct.pack("<HHHHHHHH", hidden_row, 0, 2, 255, 0, 0, 0x0120, 15)))
    for row, column, value in cells:
        place = struct.pack("<HHH", row, column, 0)
        if isinstance(value, str):
            sheet.append(_record(0x0204, place + struct.pack("<HB", len(value), 0) + value.encode("latin-1")))
        else:
            sheet.append(_record(0x0203, place + struct.pack("<d", value)))
    if shape:
        sheet.append(_record(0x005D, struct.pack("<HHHHH12xHH", 0x15, 18, 6, 1, 0, 0, 0)))
        sheet.append(_record(0x01B6, bytes(10) + struct.pack("<HH4x", len(shape), 0)))
        sheet += [_record(0x003C, b"\1" + part.encode("utf-16-le")) for part in (shape[:2], shape[2:])]
        sheet.append(_record(0x003C, bytes(16)))  # formatting runs
    sheet.append(_record(0x000A, b""))
    font = _record(0x0031, struct.pack("<HHHHHBBBBBB", 200, 0, 0x7FFF, 400, 0, 0, 0, 0, 0, 5, 0) + b"Arial")
    style = _record(0x00E0, struct.pack("<HHH", 0, 0, 0xFFF5) + bytes(14))
    before = _record(0x0809, struct.pack("<HHHHII", 0x0600, 0x0005, 0, 0, 0, 0)) + font * 4 + style
    name = b"Costs"
    place = len(before) + len(_record(0x0085, bytes(8) + name)) + 4
    bound = _record(0x0085, struct.pack("<IBBBB", place, 0, 0, len(name), 0) + name)
    return before + bound + _record(0x000A, b"") + b"".join(sheet)


def _record(kind: int, body: bytes) -> bytes:
    return struct.pack("<HH", kind, len(body)) + body
