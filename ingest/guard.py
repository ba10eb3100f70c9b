"""What a file is, by its content, and whether it may be parsed at all. Runs before any parser sees a byte.

`inspect` reads signatures, the directory of a zip container and the streams of an OLE container; the extension tells
apart formats that are all plain text, and is checked against what the content says.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from pathlib import PurePath
from typing import TYPE_CHECKING, NoReturn
from xml.parsers import expat

if TYPE_CHECKING:
    from olefile import OleFileIO  # type: ignore[import-untyped]

from ingest.charset import wide_codec
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.media_types import (
    ARCHIVES,
    BINARY_EXTENSIONS,
    FLAT_WORD,
    OFFICE_MAIN_PARTS,
    PARSERS,
    SIGNATURES,
    TEXT_EXTENSIONS,
    UNREAD,
)

OLE_SIGNATURE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_FILE_PASS, _BOUND_SHEET = 0x2F, 0x85  # record types of [MS-XLS]
_OLE_UNREAD = (("visiodocument", "a Visio drawing"), ("contents", "a Works document"), ("props9", "a Project plan"))
_SAMPLE = 65_536  # bytes in which a text shows itself
_NOT_TEXT = re.compile(r"[\x00-\x07\x0e-\x1a\x1c-\x1f\ufffd]")
_NOT_TEXT_SHARE = 0.01  # of the characters of a sample; about 10% where data is compressed or random
_HTML = re.compile(
    r"(?i)(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body|title|meta|table|div|p|h[1-6])\b", re.DOTALL
)
_XHTML = re.compile(r"<html\b[^>]*\bxmlns\s*=\s*[\"']http://www\.w3\.org/1999/xhtml")
_HEADER_BLOCK = re.compile(r"(?:[\x21-\x39\x3b-\x7e]+:.*\r?\n(?:[ \t]+\S.*\r?\n)*)+")
_MAIL_HEADER = re.compile(
    r"(?im)^(?:from|to|cc|subject|date|received|return-path|message-id|mime-version|delivered-to):"
)


def inspect(data: bytes, name: str, limits: ParseLimits) -> str:
    """The media type of `data`, one of `PARSERS`, judged by content.

    Raises FileRefused with one of the codes empty, too_large, unknown_type, wrong_extension, encrypted, zip_bomb,
    too_many_members, too_nested, archive, truncated.
    """
    if not data:
        _refuse(name, "empty", "The file is empty.", "Check that it was copied or exported completely.")
    if len(data) > limits.max_bytes:
        cause = f"The file has {len(data):,} bytes; the limit is {limits.max_bytes:,}."
        _refuse(name, "too_large", cause, "Split it, or raise the limit on size.")
    media_type = _detect(data, name, limits)
    expected = BINARY_EXTENSIONS.get(_extension(name))
    if expected is not None and PARSERS[media_type] != expected:
        cause = f"The file is named .{_extension(name)}, but its content is {media_type}."
        _refuse(name, "wrong_extension", cause, "Give it the extension of what it is, or export it again.")
    return media_type


def _refuse(name: str, code: str, cause: str, next_step: str) -> NoReturn:
    raise FileRefused(name, code, cause, next_step)


def _extension(name: str) -> str:
    return PurePath(name).suffix[1:].lower()


def _detect(data: bytes, name: str, limits: ParseLimits) -> str:
    for signature, media_type in SIGNATURES:
        if data.startswith(signature):
            return media_type
    if b"%PDF-" in data[:1024]:  # where readers look for it (ISO 32000-1, annex H, note 13)
        return "application/pdf"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "image/webp"
    if data[:2] == b"BM" and data[6:10] == bytes(4):
        return "image/bmp"
    if data[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return _detect_zip(data, name, limits)
    if data.startswith(OLE_SIGNATURE):
        return _detect_ole(data, name)
    _refuse_archive(data, name)
    for signature, words in UNREAD:
        if data.startswith(signature):
            _refuse_unread(name, words)
    text = _text_sample(data)
    if text is not None:
        return _detect_text(data, text, name, limits)
    if _extension(name) in BINARY_EXTENSIONS:
        cause = f"The file is named .{_extension(name)}, but its content is not of that format."
        _refuse(name, "wrong_extension", cause, "Check that it was copied completely, or export it again.")
    cause = "The content is of no format that is known here."
    _refuse(name, "unknown_type", cause, "Export it as PDF, DOCX, HTML or plain text.")


def _refuse_archive(data: bytes, name: str) -> None:
    kind = next((kind for signature, kind in ARCHIVES if data.startswith(signature)), None)
    if kind is None and data[257:262] == b"ustar":
        kind = "tar"
    if kind is not None:
        _refuse(
            name, "archive", f"The file is an archive ({kind}), not a document.", "Unpack it and ingest the folder."
        )


def _refuse_unread(name: str, words: str) -> NoReturn:
    _refuse(name, "unknown_type", f"The file is {words}, which is not read here.", "Export it as PDF or DOCX.")


# Zip containers


def _detect_zip(data: bytes, name: str, limits: ParseLimits) -> str:
    try:
        container = zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        cause = "The file begins as a zip container, but its directory is missing or damaged."
        _refuse(name, "truncated", cause, "Copy or download it again.")
    with container:
        members = container.infolist()
        _check_size(members, name, limits)
        if any(member.flag_bits & 0x1 for member in members):
            _refuse_encrypted(name)
        try:
            media_type = _zip_type(container, name)
            _check_markup(container, name, limits)
        except (
            zipfile.BadZipFile,
            OSError,
            EOFError,
            NotImplementedError,
            ValueError,
            zlib.error,
            RuntimeError,
        ) as error:
            cause = f"A member of the zip container is damaged ({error})."
            _refuse(name, "truncated", cause, "Copy or download it again.")
    return media_type


def _check_size(members: list[zipfile.ZipInfo], name: str, limits: ParseLimits) -> None:
    """Judges by the directory alone: a member never unpacks to more than the size stated there."""
    if len(members) > limits.max_members:
        cause = f"The container has {len(members):,} members; the limit is {limits.max_members:,}."
        _refuse(name, "too_many_members", cause, "Split the document, or raise the limit on members.")
    unpacked = sum(member.file_size for member in members)
    ratio = max((m.file_size / max(1, m.compress_size) for m in members if m.file_size > 1_000_000), default=0.0)
    if unpacked > limits.max_unpacked_bytes or ratio > limits.max_ratio:
        cause = f"The container unpacks to {unpacked:,} bytes, at a ratio of up to {max(ratio, 1):,.0f} to 1."
        _refuse(
            name, "zip_bomb", cause, "Ingest it only if you trust it, with higher limits on unpacked size and ratio."
        )


def _refuse_encrypted(name: str) -> NoReturn:
    _refuse(
        name, "encrypted", "The file is protected by a password.", "Save it without a password and ingest it again."
    )


def _zip_type(container: zipfile.ZipFile, name: str) -> str:
    names = set(container.namelist())
    if "[Content_Types].xml" in names:
        return _office_type(container.read("[Content_Types].xml"), name)
    if "mimetype" in names:
        media_type = container.read("mimetype")[:200].decode("ascii", "replace").strip()
        if "META-INF/manifest.xml" in names and b"encryption-data" in container.read("META-INF/manifest.xml"):
            _refuse_encrypted(name)
        if "META-INF/encryption.xml" in names and media_type == "application/epub+zip":
            _refuse_protected_book(container, name)
        if media_type in PARSERS:
            return media_type
        _refuse_unread(name, f"of the type {media_type[:80]!r}")
    if any(entry.endswith((".iwa", "Index.zip")) or entry in ("index.xml", "index.apxl") for entry in names):
        _refuse_unread(name, "an Apple iWork document")
    _refuse(name, "archive", "The file is an archive (zip), not a document.", "Unpack it and ingest the folder.")


def _office_type(content_types: bytes, name: str) -> str:
    found = re.findall(rb"""ContentType\s*=\s*["']([^"']+)["']""", content_types)
    for content_type in found:
        media_type = OFFICE_MAIN_PARTS.get(content_type.decode("ascii", "replace"))
        if media_type is not None:
            return media_type
    if any(b"visio" in content_type for content_type in found):
        _refuse_unread(name, "a Visio drawing")
    _refuse_unread(name, "a package of parts (such as XPS) without an Office document in it")


def _refuse_protected_book(container: zipfile.ZipFile, name: str) -> None:
    """Fonts may be obfuscated in a book that is otherwise open; an encrypted chapter means a protected book."""
    encrypted = re.findall(rb"""URI\s*=\s*["']([^"']+)["']""", container.read("META-INF/encryption.xml"))
    if any(uri.lower().endswith((b".xhtml", b".html", b".htm", b".xml")) for uri in encrypted):
        _refuse_encrypted(name)


def _check_markup(container: zipfile.ZipFile, name: str, limits: ParseLimits) -> None:
    for member in container.infolist():
        if member.filename.endswith((".xml", ".rels")):
            check_nesting(container.read(member), name, limits)


def check_nesting(xml: bytes, name: str, limits: ParseLimits) -> None:
    """Raises FileRefused `too_nested` when elements of `xml` lie deeper than the limit; malformed markup passes."""
    depth = 0

    def opened(_tag: str, _attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth > limits.max_nesting:
            cause = f"Its markup is nested more than {limits.max_nesting} levels deep."
            _refuse(
                name, "too_nested", cause, "Save it anew in the program that made it, or raise the limit on nesting."
            )

    def closed(_tag: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartElementHandler = opened
    parser.EndElementHandler = closed
    try:
        parser.Parse(xml, True)
    except (expat.ExpatError, ValueError, LookupError):  # malformed, or in an encoding that expat does not know
        return


# OLE containers


def _detect_ole(data: bytes, name: str) -> str:
    import olefile

    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            return _ole_type(container, name)
    except FileRefused:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged container raises whatever it runs into
        cause = f"The file begins as an old Office container, but it is damaged ({error})."
        _refuse(name, "truncated", cause, "Copy or download it again.")


def _ole_type(container: OleFileIO, name: str) -> str:
    streams = {entry[0].lower() for entry in container.listdir()}
    if "encryptedpackage" in streams:
        _refuse_encrypted(name)
    if "worddocument" in streams:
        if container.openstream("WordDocument").read(12)[11] & 0x01:  # fEncrypted of the FIB, [MS-DOC] 2.5.2
            _refuse_encrypted(name)
        return "application/msword"
    for stream in ("workbook", "book"):
        if stream in streams:
            if _workbook_is_encrypted(container.openstream(stream).read(_SAMPLE)):
                _refuse_encrypted(name)
            return "application/vnd.ms-excel"
    if "powerpoint document" in streams:
        token = container.openstream("Current User").read(16)[12:16] if "current user" in streams else b""
        if token == b"\xdf\xc4\xd1\xf3" or "encryptedsummary" in streams:  # headerToken, [MS-PPT] 2.3.2
            _refuse_encrypted(name)
        return "application/vnd.ms-powerpoint"
    if "__properties_version1.0" in streams:
        return "application/vnd.ms-outlook"
    words = next((words for stream, words in _OLE_UNREAD if stream in streams), "an old container of unknown content")
    _refuse_unread(name, words)


def _workbook_is_encrypted(stream: bytes) -> bool:
    """Whether a FilePass record comes before the first sheet's ([MS-XLS] 2.4.117)."""
    at = 0
    while at + 4 <= len(stream):
        kind, size = int.from_bytes(stream[at : at + 2], "little"), int.from_bytes(stream[at + 2 : at + 4], "little")
        if kind == _FILE_PASS:
            return True
        if kind == _BOUND_SHEET:
            return False
        at += 4 + size
    return False


# Text


def _text_sample(data: bytes) -> str | None:
    """The beginning of `data` if it can be text, with one character per byte where the encoding is not a wide one."""
    text = (
        data[:_SAMPLE]
        .decode(wide_codec(data) or "latin-1", "replace")
        .removeprefix("\ufeff")
        .removeprefix("\xef\xbb\xbf")
    )
    return text if len(_NOT_TEXT.findall(text)) <= len(text) * _NOT_TEXT_SHARE else None


def _detect_text(data: bytes, text: str, name: str, limits: ParseLimits) -> str:
    media_type = _flat_document(text) or TEXT_EXTENSIONS.get(_extension(name)) or _sniff(text.lstrip())
    if media_type == "application/xml" and _XHTML.search(text):
        media_type = "application/xhtml+xml"
    if media_type.endswith("xml"):
        check_nesting(data, name, limits)
    return media_type


def _flat_document(text: str) -> str | None:
    """Office documents that are one XML file instead of a container."""
    if not text.lstrip().startswith("<"):
        return None
    if "<pkg:package" in text[:2000] and "wordprocessingml" in text:
        return FLAT_WORD
    found = re.search(r"""<office:document\b[^>]*\boffice:mimetype\s*=\s*["']([\w.+/-]+)["']""", text)
    return f"{found[1]}-flat-xml" if found and f"{found[1]}-flat-xml" in PARSERS else None


def _sniff(text: str) -> str:
    """Of a text whose extension says nothing."""
    if text.startswith("<?xml"):
        return "application/xml"
    if _HTML.match(text):
        return "text/html"
    if text.startswith("From ") and _mail_follows(text.partition("\n")[2]):
        return "application/mbox"
    if _mail_follows(text):
        return "message/rfc822"
    return "application/json" if text.startswith(("{", "[")) and text.rstrip().endswith(("}", "]")) else "text/plain"


def _mail_follows(text: str) -> bool:
    """Whether `text` begins with a block of header lines (RFC 5322), among them two that mail has."""
    block = _HEADER_BLOCK.match(text)
    return block is not None and len(_MAIL_HEADER.findall(block[0])) >= 2
