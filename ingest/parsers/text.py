"""Texts that carry their own layout: plain text, logs, reStructuredText, subtitles, calendars; JSON and XML as text."""

from __future__ import annotations

import re
from pathlib import PurePath

from ingest.charset import decode
from ingest.codepoints import reveal
from ingest.elements import Element, HiddenText, ParsedDocument
from ingest.limits import ParseLimits

_BLANK_LINES = re.compile(r"\n(?:[ \t\u3000\f\v]*\n)+|\f")
_TIMES = re.compile(r"^[ \t]*(?:\d+:)?\d{2}:\d{2}[.,]\d{3}[ \t]*-->.*$", re.MULTILINE)
_VOICE = re.compile(r"<v(?:\.[^ \t>]{0,99})?[ \t]([^>\n]{1,200})>")
_CUE_TAG = re.compile(r"</?(?:[a-z]|\d)[^>\n]{0,200}>")
_ADORNMENT = re.compile(r"([^\w\s])\1+")
_DIRECTIVE = re.compile(r"\.\. (?:[\w:-]+::|_[^:\n]+:|\[[^\]\n]+\]|\|[^|\n]+\|)[ \t]*")
_OPTION = re.compile(r"^[ \t]+:[\w-]+:.*\n?", re.MULTILINE)
_ROLE = re.compile(
    r":[\w-]{1,40}(?::[\w-]{1,40})?:`([^`<]+?)(?:\s*<[^`]*>)?`|`([^`<]+?)(?:\s*<[^`]*>)?`_{1,2}|``([^`]+)``"
)
_CALENDAR_LINE = re.compile(
    r"(SUMMARY|DESCRIPTION|LOCATION|ORGANIZER|ATTENDEE|DTSTART|DTEND|DUE|COMMENT)(?:;(?:[^:\"]|\"[^\"]*\")*)?:(.*)"
)
_CALENDAR_ESCAPE = re.compile(r"\\([nN,;\\])")
_MARKDOWN = re.compile(r"^#{1,6} \S|^```|^ {0,3}\|?[ \t]*:?-{3,}:?[ \t]*\||\]\((?:https?:/)?/", re.MULTILINE)


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """Paragraphs and headings of a text file. Raises FileRefused: unreadable_encoding, too_nested, unreadable."""
    from ingest.parsers import structured

    kind = _kind(data, name)
    if kind == "xml":
        return reveal(structured.parse_xml(data, name, limits))
    text = decode(data, name)
    if kind == "json":
        return reveal(structured.parse_json(text, name, limits) or _plain(text))
    readers = {"vtt": _subtitles, "rst": _restructured, "ics": _calendar}
    return reveal(readers.get(kind, _plain)(text))


def parse_record(text: str, name: str, limits: ParseLimits) -> ParsedDocument:
    """The text of a record: Markdown if it has Markdown's headings, links, tables or fences, else plain."""
    if _MARKDOWN.search(text):
        from ingest.parsers.markdown import parse_text

        return parse_text(text, name, limits)
    return reveal(_plain(text.replace("\r\n", "\n").replace("\r", "\n")))


def _kind(data: bytes, name: str) -> str:
    """Which layout a text has: by its extension, else by how it begins."""
    extension = PurePath(name).suffix[1:].lower()
    if extension in ("xml", "json", "vtt", "rst", "ics", "txt", "text", "log"):
        return extension
    if extension in ("ndjson", "jsonl"):
        return "json"
    beginning = data[:200].lstrip(b"\xef\xbb\xbf \t\r\n")
    marks = ((b"<?xml", "xml"), (b"{", "json"), (b"[", "json"), (b"WEBVTT", "vtt"), (b"BEGIN:VCALENDAR", "ics"))
    return next((kind for mark, kind in marks if beginning.startswith(mark)), "plain")


def _blocks(text: str) -> list[str]:
    """What blank lines separate, with the lines as they are."""
    return [block.rstrip() for block in map(_outer_lines, _BLANK_LINES.split(text)) if block.strip()]


def _outer_lines(block: str) -> str:
    return block.strip("\n")


def _plain(text: str) -> ParsedDocument:
    return ParsedDocument(media_type="text/plain", elements=tuple(Element(text=block) for block in _blocks(text)))


def _subtitles(text: str) -> ParsedDocument:
    """What is said, without cue numbers, times and tags; notes are not shown to anyone (W3C WebVTT, section 4)."""
    said: list[str] = []
    hidden: list[HiddenText] = []
    for block in _blocks(text):
        if block.startswith("NOTE"):
            hidden.append(HiddenText(text=block, reason="hidden_part", place="note of the subtitles"))
        elif times := _TIMES.search(block):
            cue = _CUE_TAG.sub("", _VOICE.sub(r"\1: ", block[times.end() :])).strip()
            if cue:
                said.append(cue)
        elif not block.startswith(("WEBVTT", "STYLE", "REGION")):
            said.append(block)
    elements = tuple(Element(text="\n".join(said[at : at + 10])) for at in range(0, len(said), 10))
    return ParsedDocument(media_type="text/vtt", elements=elements, hidden=tuple(hidden))


def _restructured(text: str) -> ParsedDocument:
    """Headings by their adornment in the order of first use; comments are not shown (Docutils specification)."""
    levels: list[str] = []
    elements: list[Element] = []
    hidden: list[HiddenText] = []
    for block in _blocks(text):
        heading, rest = _adorned(block, levels)
        if heading:
            elements.append(heading)
        directive = _DIRECTIVE.match(rest)
        if rest.startswith(("..\n", ".. ")) and not directive:
            hidden.append(HiddenText(text=rest[2:].strip(), reason="hidden_part", place="comment"))
            continue
        if directive:
            rest = _OPTION.sub("", rest[directive.end() :])
        rest = _ROLE.sub(lambda match: next(group for group in match.groups() if group), rest).strip()
        if rest:
            elements.append(Element(text=rest))
    title = next((element.text for element in elements if element.kind == "heading"), None)
    return ParsedDocument(media_type="text/x-rst", elements=tuple(elements), title=title, hidden=tuple(hidden))


def _adorned(block: str, levels: list[str]) -> tuple[Element | None, str]:
    """The heading that a block begins with, and what is behind it."""
    lines = block.split("\n")
    over = len(lines) > 2 and _ADORNMENT.fullmatch(lines[0].strip()) is not None
    at = 1 if over else 0
    if len(lines) < at + 2 or not lines[at].strip() or not _ADORNMENT.fullmatch(lines[at + 1].strip()):
        return None, block
    style = ("over" if over else "under") + lines[at + 1].strip()[0]
    if style not in levels:
        levels.append(style)
    heading = Element(text=lines[at].strip(), kind="heading", level=levels.index(style) + 1)
    return heading, "\n".join(lines[at + 2 :])


def _calendar(text: str) -> ParsedDocument:
    """One paragraph for each event or task: its properties that people read (RFC 5545, section 3.8)."""
    elements: list[Element] = []
    lines: list[str] = []
    for line in re.sub(r"\n[ \t]", "", text).split("\n"):
        if line.startswith(("END:", "BEGIN:")) and lines:
            elements.append(Element(text="\n".join(lines)))
            lines = []
        elif (match := _CALENDAR_LINE.match(line)) and match[2].strip():
            value = _CALENDAR_ESCAPE.sub(lambda escape: "\n" if escape[1] in "nN" else escape[1], match[2])
            lines.append(f"{match[1].removeprefix('DT').capitalize()}: {value.strip()}")
    return ParsedDocument(media_type="text/calendar", elements=tuple(elements)) if elements else _plain(text)
