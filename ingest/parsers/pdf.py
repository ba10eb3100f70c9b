"""PDF: paragraphs, headings and table rows with their pages and boxes; hidden text apart; scanned pages through OCR."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.elements import Element, HiddenText, ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers import ocr
from ingest.parsers.embedded import Embedded
from ingest.parsers.pdf_blocks import build_blocks, mark_running, to_elements, vocabulary
from ingest.parsers.pdf_layout import Row, Word, read_rows

if TYPE_CHECKING:
    from ingest.parsers.pdf_hidden import HiddenSpan
    from ingest.parsers.pdfium import Page, Pdf

MEDIA_TYPE = "application/pdf"
SCAN_LETTERS = 20  # a page with fewer and a picture of half its size is taken for a scan with a stamp on it

_LINEARIZED = re.compile(rb"/Linearized\b[^>]{0,500}?/L\s+(\d{1,15})\b", re.DOTALL)
_TABLE_AT = re.compile(rb"startxref\s+(\d{1,15})")

# pdfium writes U+FFFE, older versions U+0002, for a hyphen at the end of a line and goes on with the next line
_WORD = re.compile(r"[^\s\x02\ufffe]+[\x02\ufffe]?")
_NO_TITLE = re.compile(
    r"(?i)untitled|\(\w+\)$|microsoft word\b|microsoft powerpoint\b|document\d*$|.*\.[a-z]{2,5}$|[\W\d_]*$"
)


@dataclass(slots=True, kw_only=True)
class _Reading:
    """What has been read so far, page by page."""

    pages: list[list[list[Row]]] = field(default_factory=list)
    heights: list[float] = field(default_factory=list)
    recognised: list[Element] = field(default_factory=list)
    hidden: list[HiddenText] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    scans: int = 0  # pages handed to OCR


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """The visible text of a PDF in reading order.

    Raises FileRefused with code encrypted (a password is needed), unreadable (no PDF, or its end is missing),
    too_many_pages, or no_text (nothing can be read on any page, and nothing is hidden either).
    """
    from ingest.parsers.pdfium import Pdf

    deadline = time.monotonic() + limits.ocr_share * limits.seconds
    pdf = Pdf(data, name)
    try:
        _check(pdf, data, name, limits)
        reading = _Reading()
        for index in range(len(pdf)):
            _read_page(pdf, index, reading, limits, deadline)
        attached = Embedded(kind="Attachment")
        for label, content in pdf.attachments(limits.max_members):
            attached.add(content, label or "without a name", limits)
        return _document(pdf, name, reading, attached)
    finally:
        pdf.close()


def _check(pdf: Pdf, data: bytes, name: str, limits: ParseLimits) -> None:
    if len(pdf) > limits.max_pages:
        cause = f"It has {len(pdf)} pages; the limit is {limits.max_pages}."
        raise FileRefused(name, "too_many_pages", cause, "Split it, or raise the limit on pages.")
    # pdfium mends a cut file by searching it for objects and gives back some of the pages as if they were all
    if _is_cut(data):
        raise FileRefused(name, "unreadable", "The end of the PDF is missing.", "Fetch the whole file and try again.")


def _is_cut(data: bytes) -> bool:
    """Whether the file ends before its last table of objects (ISO 32000-1, 7.5.5 and annex F)."""
    stated = _LINEARIZED.search(data[:2048])
    if stated and int(stated[1]) > len(data):
        return True
    return all(int(offset) == 0 for offset in _TABLE_AT.findall(data))  # 0 stands at the end of a first section


def _read_page(pdf: Pdf, index: int, reading: _Reading, limits: ParseLimits, deadline: float) -> None:
    from ingest.parsers.pdf_hidden import find_hidden

    number = index + 1
    flows: list[list[Row]] = []
    height = 0.0
    with pdf.page(index) as page:
        if page is None:
            reading.notes.append(f"Page {number} is damaged and was left out.")
        else:
            spans = find_hidden(page)
            reading.hidden += [_record(page.text, span, number) for span in spans]
            words = _words(page, spans)
            flows, height = read_rows(words, number), page.height
            if _is_scan(page, sum(len(word.text) for word in words)):
                flows = [] if _recognise(page, number, reading, limits, deadline) else flows
    reading.pages.append(flows)
    reading.heights.append(height)


def _is_scan(page: Page, letters: int) -> bool:
    if letters == 0:
        return page.has_picture()
    return letters < SCAN_LETTERS and page.picture_share() > 0.5


def _record(text: str, span: HiddenSpan, number: int) -> HiddenText:
    words = _WORD.findall(text[span.start : span.end])
    return HiddenText(text=" ".join(words), reason=span.reason, place=f"page {number}")


def _words(page: Page, hidden: Sequence[HiddenSpan]) -> list[Word]:
    text = page.text
    for span in hidden:
        text = text[: span.start] + " " * (span.end - span.start) + text[span.end :]
    spans = [match.span() for match in _WORD.finditer(text)]
    boxes, styles = page.word_boxes(spans), page.styles([start for start, _ in spans])
    words, line, at = [], 0, 0
    for (start, end), box, style in zip(spans, boxes, styles, strict=True):
        line += text.count("\n", at, start)
        at = start
        words.append(Word(*box, *style, page.is_turned(start, box), text[start:end], line))
    return words


def _recognise(page: Page, number: int, reading: _Reading, limits: ParseLimits, deadline: float) -> bool:
    """Reads a page of pixels; notes why when that cannot be done. True when it gave text."""
    program = ocr.find_tesseract() if limits.ocr else None
    why = ""
    if not limits.ocr:
        why = "it holds only pictures and recognition is switched off"
    elif program is None:
        why = "it holds only pictures and tesseract is not installed"
    elif reading.scans >= limits.max_ocr_pages:
        why = f"only {limits.max_ocr_pages} pages of a document are recognised"
    elif time.monotonic() > deadline:
        why = "the time for recognition was used up"
    if program is None or why:
        reading.notes.append(f"Page {number} was not read: {why}.")
        return False
    reading.scans += 1
    scale = min(ocr.DOTS_PER_INCH / 72, (limits.max_ocr_pixels / max(page.width * page.height, 1.0)) ** 0.5)
    grey = page.render_grey(scale)
    seconds = deadline - time.monotonic()
    try:
        found = ocr.recognise(grey, program=program, languages=limits.ocr_languages, seconds=seconds)
    except ocr.OcrFailed as error:
        reading.notes.append(f"Page {number} was not read: {error}")
        return False
    if not found:
        reading.notes.append(f"Page {number} holds a picture in which no text was recognised.")
    reading.recognised += [Element(text=text, page=number) for text in found]
    return bool(found)


def _document(pdf: Pdf, name: str, reading: _Reading, attached: Embedded) -> ParsedDocument:
    pages = mark_running(reading.pages, reading.heights)
    known = vocabulary(row for flows in pages for flow in flows for row in flow)
    blocks = [block for flows in pages for flow in flows for block in build_blocks(flow, known)]
    elements = sorted(to_elements(blocks) + reading.recognised, key=lambda element: element.page or 0)
    if not elements and not reading.hidden and not attached.elements:
        _refuse_empty(name, reading)
    return ParsedDocument(
        media_type=MEDIA_TYPE,
        elements=(*elements, *attached.elements),
        title=_title(pdf.title, elements),
        hidden=(*reading.hidden, *attached.hidden),
        pages=len(pdf),
        notes=(*reading.notes, *attached.notes),
    )


def _refuse_empty(name: str, reading: _Reading) -> None:
    """Raises FileRefused with the reason that most pages share."""
    if any("not installed" in note for note in reading.notes):
        raise FileRefused(name, "no_text", "Its pages are pictures and tesseract is not installed.", ocr.INSTALL)
    if reading.notes:
        next_step = "Check the file in a viewer, or export it with its text."
        raise FileRefused(name, "no_text", f"No page could be read. {reading.notes[0]}", next_step)
    raise FileRefused(name, "no_text", "Its pages are empty.", "Check that it is the right file.")


def _title(metadata: str, elements: Sequence[Element]) -> str | None:
    """The metadata's title if it names the document rather than a program or a file, else the first heading."""
    title = " ".join(metadata.split())
    if 3 <= len(title) <= 200 and not _NO_TITLE.match(title):
        return title
    heading = next((element for element in elements if element.kind == "heading"), None)
    return " ".join(heading.text.split()) if heading else None
