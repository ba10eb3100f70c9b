"""Mail: single messages (EML, MHTML, Outlook MSG) and mailboxes (mbox), with what is attached to them.

Of a message sent in several forms the richest is read, which is the one that mail programs show. Attachments go through
the same guard and parsers as files do.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message
from typing import Any

from ingest.charset import decode, wide_codec
from ingest.elements import Element, HiddenText, ParsedDocument
from ingest.errors import FileRefused
from ingest.guard import OLE_SIGNATURE
from ingest.limits import ParseLimits

_FIELDS = ("From", "To", "Cc", "Date")
_ENVELOPE = re.compile(rb"(?:\A|(?<=\n\n)|(?<=\r\n\r\n))From \S.*\r?\n", re.MULTILINE)
_QUOTED_ENVELOPE = re.compile(rb"(?m)^>(>*From )")


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What was read so far of one message."""

    name: str
    limits: ParseLimits
    elements: list[Element] = field(default_factory=list)
    hidden: list[HiddenText] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def head(self, subject: str, fields: Iterable[tuple[str, str]]) -> None:
        lines = "\n".join(f"{label}: {value}" for label, value in fields if value)
        self.elements += [Element(text=subject, kind="heading", level=1)] if subject else []
        self.elements += [Element(text=lines)] if lines else []

    def text(self, text: str) -> None:
        paragraphs = (part.strip() for part in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n").replace("\r", "\n")))
        self.elements += [Element(text=paragraph) for paragraph in paragraphs if paragraph]

    def html(self, html: str) -> None:
        from ingest.parsers.html import parse_text

        try:
            self._add(parse_text(html, self.name, self.limits))
        except FileRefused as error:
            self.notes.append(f"The HTML text of the message was left out: {error.cause}")

    def attachment(self, data: bytes, name: str) -> None:
        from ingest.parsers import parse_within

        document = parse_within(data, name, self.limits)
        if isinstance(document, str):
            self.notes.append(f"The attachment {document}")
        else:
            self.elements.append(Element(text=f"Attachment {name}", kind="heading", level=1))
            self._add(document, f"attachment {name}, ")

    def _add(self, document: ParsedDocument, place: str = "") -> None:
        self.elements += [replace(element, page=None, box=None) for element in document.elements]
        self.hidden += [replace(hidden, place=place + hidden.place) for hidden in document.hidden]
        self.notes += document.notes


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """Subject as heading, who wrote to whom, the text, and each attachment under a heading of its own.

    Raises FileRefused `encrypted`, and `too_many_members` for a mailbox with more messages than that limit.
    """
    if data.startswith(OLE_SIGNATURE):
        readings = [_outlook(data, name, limits)]
    else:
        codec = wide_codec(data)
        plain = data.decode(codec, "replace").lstrip("\ufeff").encode() if codec else data
        readings = [_message(message, name, limits) for message in _messages(plain, name, limits)]
    first = readings[0].elements[0] if len(readings) == 1 and readings[0].elements else None
    return ParsedDocument(
        media_type="message/rfc822",
        elements=tuple(element for reading in readings for element in reading.elements),
        title=first.text if first is not None and first.kind == "heading" else None,
        hidden=tuple(hidden for reading in readings for hidden in reading.hidden),
        notes=tuple(note for reading in readings for note in reading.notes),
    )


def _messages(data: bytes, name: str, limits: ParseLimits) -> list[Message]:
    """The messages of a mailbox (RFC 4155), or the only one."""
    starts = list(_ENVELOPE.finditer(data))
    if not starts or starts[0].start() > 0:
        return [message_from_bytes(data)]
    if len(starts) > limits.max_members:
        cause = f"The mailbox has {len(starts):,} messages; the limit is {limits.max_members:,}."
        raise FileRefused(name, "too_many_members", cause, "Split it, or raise the limit on members.")
    ends = [start.start() for start in starts[1:]] + [len(data)]
    bodies = (data[start.end() : end] for start, end in zip(starts, ends, strict=True))
    return [message_from_bytes(_QUOTED_ENVELOPE.sub(rb"\1", body)) for body in bodies]


# Internet messages


def _message(message: Message, name: str, limits: ParseLimits) -> _Reading:
    reading = _Reading(name=name, limits=limits)
    reading.head(_header(message, "Subject"), ((label, _header(message, label)) for label in _FIELDS))
    _read(message, reading)
    return reading


def _read(part: Message, reading: _Reading) -> None:
    kind = part.get_content_type()
    if kind in ("multipart/encrypted", "application/pkcs7-mime") and not _is_signed_only(part):
        cause = "The message is encrypted."
        raise FileRefused(reading.name, "encrypted", cause, "Save it decrypted from the mail program that can open it.")
    if kind == "multipart/alternative":
        shown = _richest(part)
        if shown is not None:
            _read(shown, reading)
    elif kind == "message/rfc822":
        for inner in _parts(part):
            reading.attachment(inner.as_bytes(), f"{_header(inner, 'Subject') or 'message'}.eml")
    elif part.is_multipart():
        for inner in _parts(part):
            _read(inner, reading)
    elif kind in ("text/plain", "text/html") and part.get_content_disposition() != "attachment":
        (reading.html if kind == "text/html" else reading.text)(_decoded(part))
    else:
        data = part.get_payload(decode=True)
        if isinstance(data, bytes) and data:
            reading.attachment(data, _file_name(part))


def _is_signed_only(part: Message) -> bool:
    return str(part.get_param("smime-type", "")).lower() == "signed-data"


def _richest(part: Message) -> Message | None:
    """The last of several forms that has text in it (RFC 2046, 5.1.4); HTML before plain text."""
    forms = list(_parts(part))
    for wanted in ("text/html", "text/plain"):
        for form in reversed(forms):
            if any(inner.get_content_type() == wanted for inner in form.walk()):
                return form
    return forms[-1] if forms else None


def _parts(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    yield from (inner for inner in (payload if isinstance(payload, list) else ()) if isinstance(inner, Message))


def _decoded(part: Message) -> str:
    data = part.get_payload(decode=True)
    if not isinstance(data, bytes):
        return ""
    charset = part.get_content_charset()
    try:  # first of all: seven-bit encodings such as ISO-2022-JP would pass as UTF-8
        return data.decode(charset or "ascii")
    except (UnicodeError, LookupError):
        return decode(data, "the message", charset or "cp1252")  # what old mail programs wrote without saying so


def _header(message: Message, label: str) -> str:
    return _plain(message.get(label) or "")


def _plain(raw: Any) -> str:
    """The text of a header, its encoded words (RFC 2047) decoded where they can be."""
    try:
        text = str(make_header(decode_header(raw)))
    except (UnicodeError, LookupError, HeaderParseError, ValueError):
        text = str(raw)
    return " ".join(text.encode("utf-8", "replace").decode().replace("\0", "").split())


def _file_name(part: Message) -> str:
    try:
        name = part.get_filename()
    except (UnicodeError, LookupError, ValueError):
        name = None
    return " ".join((name or "").split()) or f"without a name ({part.get_content_type()})"


# Outlook


def _outlook(data: bytes, name: str, limits: ParseLimits) -> _Reading:
    from oxmsg import Message as OutlookMessage

    message = OutlookMessage.load(io.BytesIO(data))
    reading = _Reading(name=name, limits=limits)
    to = ", ".join(f"{person.name} <{person.email_address}>" for person in message.recipients)
    sent = message.sent_date.isoformat(" ", "minutes") if message.sent_date else ""
    people = (("From", _plain(message.sender or "")), ("To", _plain(to)), ("Date", sent))
    reading.head(_plain(message.subject or ""), people)
    if message.html_body:
        reading.html(message.html_body)
    elif message.body:
        reading.text(message.body)
    for attachment in message.attachments:
        _outlook_attachment(attachment, reading)
    return reading


def _outlook_attachment(attachment: Any, reading: _Reading) -> None:
    name = attachment.file_name or "without a name"
    if attachment.file_bytes:
        reading.attachment(attachment.file_bytes, name)
    else:
        reading.notes.append(f"The attachment {name} was left out: it is stored as an object of Outlook.")
