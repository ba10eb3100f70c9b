"""PDF files written here, read back: headings, pages, tables, columns, damage, encryption, scans."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.lib.pagesizes import A4
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.lib.styles import getSampleStyleSheet
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    PageBreak,
    PageTemplate,
    Paragraph,
    SimpleDocTemplate,
    Table,
)

from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers import ocr
from ingest.parsers.pdf import parse

LIMITS = ParseLimits(ocr=False)
STYLES = getSampleStyleSheet()
PROSE = (
    "The harbour office keeps a ledger of every ship that enters the basin, with the hour of its arrival, the name of "
    "its master and the weight of its cargo in tonnes. "
)


def canvas_pdf(draw: Callable[[Canvas], object], **options: object) -> bytes:
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=A4, **options)
    draw(canvas)
    canvas.save()
    return buffer.getvalue()


def story_pdf(story: list[Flowable], **options: object) -> bytes:
    buffer = io.BytesIO()
    SimpleDocTemplate(buffer, pagesize=A4, **options).build(story)
    return buffer.getvalue()


def read(data: bytes, limits: ParseLimits = LIMITS) -> ParsedDocument:
    return parse(data, "a.pdf", limits)


def lines(canvas: Canvas, texts: list[str], x: float = 72, y: float = 760, pitch: float = 14) -> None:
    for at, text in enumerate(texts):
        canvas.drawString(x, y - at * pitch, text)


@pytest.fixture(scope="module")
def report() -> ParsedDocument:
    """Two pages: a title, sections, paragraphs, a bullet list and a table."""
    rows = [["Berth", "2023", "2024"], ["North quay, dues paid", "$1,204", "$1,377"], ["South quay", "(310)", "88"]]
    story = [
        Paragraph("Harbour Report", STYLES["Title"]),
        Paragraph(PROSE * 2, STYLES["BodyText"]),
        Paragraph("Dues", STYLES["Heading1"]),
        Paragraph(PROSE, STYLES["BodyText"]),
        Paragraph("Late payment", STYLES["Heading2"]),
        Paragraph(PROSE, STYLES["BodyText"]),
        PageBreak(),
        Paragraph("Figures", STYLES["Heading1"]),
        Table(rows, colWidths=[200, 80, 80]),
        Paragraph(PROSE, STYLES["BodyText"]),
    ]
    return read(story_pdf(story, title="Harbour Report 2024"))


def test_headings_have_levels_by_size(report: ParsedDocument) -> None:
    """Larger headings stand above smaller ones; body text is no heading."""
    found = [(element.text, element.level) for element in report.elements if element.kind == "heading"]
    assert found == [("Harbour Report", 1), ("Dues", 1), ("Late payment", 2), ("Figures", 1)]


def test_lines_are_joined_to_paragraphs(report: ParsedDocument) -> None:
    """A paragraph of several lines is one element with single blanks."""
    paragraphs = [element.text for element in report.elements if element.kind == "paragraph"]
    assert paragraphs == [(PROSE * 2).strip(), PROSE.strip(), PROSE.strip(), PROSE.strip()]


def test_a_table_row_is_a_line_with_cells_apart(report: ParsedDocument) -> None:
    """Figures stay on the line of their label."""
    table = next(element for element in report.elements if element.kind == "table")
    assert table.text.split("\n") == [
        "Berth\t2023\t2024",
        "North quay, dues paid\t$1,204\t$1,377",
        "South quay\t(310)\t88",
    ]


def test_pages_count_from_one_and_boxes_lie_on_the_page(report: ParsedDocument) -> None:
    """Each element knows its page, and its box runs from the top left of it."""
    assert report.pages == 2
    pages = [element.page for element in report.elements]
    assert pages == sorted(pages, key=lambda page: page or 0)
    assert set(pages) == {1, 2}
    for element in report.elements:
        assert element.box is not None
        left, top, right, bottom = element.box
        assert 0 <= left < right <= A4[0]
        assert 0 <= top < bottom <= A4[1]
    tops = [element.box[1] for element in report.elements if element.box and element.page == 1]
    assert tops == sorted(tops)


def test_the_title_comes_from_the_metadata(report: ParsedDocument) -> None:
    """A title in the metadata wins."""
    assert report.title == "Harbour Report 2024"


@pytest.mark.parametrize("metadata", ["untitled", "Microsoft Word - plan.doc", "scan_0012.pdf", "0000-17-0008", ""])
def test_the_title_falls_back_to_the_first_heading(metadata: str) -> None:
    """What programs put there as a title is passed over."""
    story = [Paragraph("Tide tables", STYLES["Heading1"]), Paragraph(PROSE, STYLES["BodyText"])]
    assert read(story_pdf(story, title=metadata)).title == "Tide tables"


def test_without_heading_or_metadata_there_is_no_title() -> None:
    """No title is made up."""
    assert read(story_pdf([Paragraph(PROSE, STYLES["BodyText"])])).title is None


def test_two_columns_are_read_one_after_the_other() -> None:
    """The left column ends before the right one begins, and a headline over both comes first."""
    buffer = io.BytesIO()
    frames = [Frame(50, 50, 230, 650), Frame(315, 50, 230, 650)]

    def headline(canvas: Canvas, _: object) -> None:
        canvas.setFont("Helvetica-Bold", 18)
        canvas.drawString(50, 760, "A headline that runs over both of the columns")

    numbered = [Paragraph(f"Piece {n}. {PROSE}", STYLES["BodyText"]) for n in range(16)]
    BaseDocTemplate(buffer, pagesize=A4, pageTemplates=[PageTemplate(frames=frames, onPage=headline)]).build(numbered)
    elements = read(buffer.getvalue()).elements
    assert elements[0].text == "A headline that runs over both of the columns"
    pieces = [int(element.text.split()[1].rstrip(".")) for element in elements if element.text.startswith("Piece")]
    assert pieces == list(range(16))


def test_columns_drawn_line_by_line_across_are_still_told_apart() -> None:
    """Geometry decides, not the order of the file."""

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 9)
        for at in range(20):
            canvas.drawString(60, 700 - 12 * at, f"left line {at} speaks about ships and cargo")
            canvas.drawString(320, 700 - 12 * at, f"right line {at} speaks about tides and wind")

    text = " ".join(element.text for element in read(canvas_pdf(draw)).elements)
    assert text.index("left line 19") < text.index("right line 0 ")


def test_hyphens_at_line_ends_go_unless_they_belong() -> None:
    """A word cut by the line end is whole again; a compound keeps its hyphen."""

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 11)
        texts = [
            "The well-known office gives infor-",
            "mation on every ship, as a well-",
            "known paper has said before.",
        ]
        lines(canvas, texts)

    text = read(canvas_pdf(draw)).elements[0].text
    assert text == "The well-known office gives information on every ship, as a well-known paper has said before."


def test_running_lines_are_marked() -> None:
    """What returns at the edges of the pages is header and footer, the page number's change notwithstanding."""

    def draw(canvas: Canvas) -> None:
        for page in range(1, 5):
            canvas.setFont("Helvetica", 9)
            canvas.drawString(72, 810, "Harbour Office")
            canvas.drawString(280, 30, f"Page {page} of 4")
            canvas.setFont("Helvetica", 11)
            canvas.drawString(72, 700, f"Report number {page * 17} on the basin and its ships.")
            canvas.showPage()

    kinds = [element.kind for element in read(canvas_pdf(draw)).elements]
    assert kinds == ["header", "paragraph", "footer"] * 4


def test_a_currency_sign_stays_with_its_figure() -> None:
    """Filings set the sign apart, at the left edge of the cell."""

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 10)
        for at, (label, figures) in enumerate([("Revenue", ("3,642", "3,507")), ("Profit", ("662", "645"))]):
            y = 700 - 14 * at
            canvas.drawString(72, y, label)
            for column, figure in enumerate(figures):
                canvas.drawString(262 + 48 * column, y, "$")
                canvas.drawRightString(305 + 48 * column, y, figure)

    assert read(canvas_pdf(draw)).elements[0].text == "Revenue\t$ 3,642\t$ 3,507\nProfit\t$ 662\t$ 645"


def test_a_label_over_two_lines_is_put_together_with_its_figures() -> None:
    """The figures of a wrapped label stand on one line with all of it."""

    def draw(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 10)
        canvas.drawString(72, 714, "Cash")
        canvas.drawRightString(400, 714, "17")
        canvas.drawString(72, 700, "Receivables, net of allowances for")
        canvas.drawString(80, 688, "doubtful accounts")
        canvas.drawRightString(400, 688, "2,065")

    assert "Receivables, net of allowances for doubtful accounts\t2,065" in read(canvas_pdf(draw)).elements[0].text


def refusal(data: bytes, limits: ParseLimits = LIMITS) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        read(data, limits)
    assert caught.value.item == "a.pdf"
    assert caught.value.cause.endswith(".")
    assert caught.value.next_step.endswith(".")
    return caught.value


def hello(canvas: Canvas) -> None:
    canvas.drawString(72, 700, "The basin is closed on Sundays.")


def test_a_password_is_asked_for() -> None:
    """A file that opens only with a password is refused as encrypted."""
    data = canvas_pdf(hello, encrypt=StandardEncryption("secret", ownerPassword="owner", canPrint=0))
    assert refusal(data).code == "encrypted"


def test_the_empty_password_is_tried() -> None:
    """A file that is only protected against changes is read."""
    data = canvas_pdf(hello, encrypt=StandardEncryption("", ownerPassword="owner", canPrint=0))
    assert read(data).elements[0].text == "The basin is closed on Sundays."


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n", b"%PDF-1.7\n" + bytes(range(256)) * 40, b"hello"])
def test_junk_is_unreadable(data: bytes) -> None:
    """What is no PDF is refused as such."""
    assert refusal(data).code == "unreadable"


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_cut_file_is_unreadable(share: float) -> None:
    """Half a file is never taken for a whole one, although pdfium would mend it."""
    story = [Paragraph(PROSE * 10, STYLES["BodyText"]), PageBreak(), Paragraph(PROSE * 10, STYLES["BodyText"])]
    data = story_pdf(story)
    assert refusal(data[: int(len(data) * share)]).code == "unreadable"


def test_too_many_pages_are_refused() -> None:
    """The limit on pages is checked before any is read."""

    def draw(canvas: Canvas) -> None:
        for _ in range(3):
            hello(canvas)
            canvas.showPage()

    assert refusal(canvas_pdf(draw), ParseLimits(max_pages=2)).code == "too_many_pages"


def test_empty_pages_are_refused() -> None:
    """A file with nothing on its pages is no success."""
    error = refusal(canvas_pdf(lambda canvas: canvas.showPage()))
    assert error.code == "no_text"
    assert "empty" in error.cause


def picture_of(text: str) -> ImageReader:
    """The text as pixels, 200 dots per inch."""
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("L", (1654, 2339), 255)
    ImageDraw.Draw(image).text((200, 300), text, fill=0, font=ImageFont.load_default(48))
    return ImageReader(image)


def scanned(canvas: Canvas) -> None:
    canvas.drawImage(picture_of("The pilot boards at dawn"), 0, 0, *A4)


@contextmanager
def tesseract(monkeypatch: pytest.MonkeyPatch, path: str | None) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setattr(ocr, "find_tesseract", lambda: path)
        yield


def test_a_scan_without_tesseract_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The refusal names the cause and the way out."""
    with tesseract(monkeypatch, None):
        error = refusal(canvas_pdf(scanned), ParseLimits())
    assert error.code == "no_text"
    assert "tesseract is not installed" in error.cause
    assert "tesseract-ocr" in error.next_step


def test_a_scanned_page_among_others_leaves_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the document is read and the note names the page."""

    def draw(canvas: Canvas) -> None:
        hello(canvas)
        canvas.showPage()
        scanned(canvas)

    with tesseract(monkeypatch, None):
        document = read(canvas_pdf(draw), ParseLimits())
    assert [element.page for element in document.elements] == [1]
    assert document.notes == ("Page 2 was not read: it holds only pictures and tesseract is not installed.",)


def test_no_more_pages_are_recognised_than_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recognition is dear, so it stops at its limit and says so."""

    def draw(canvas: Canvas) -> None:
        for _ in range(3):
            scanned(canvas)
            canvas.showPage()

    seen: list[tuple[int, ...]] = []

    def recognise(grey: np.ndarray, **_: object) -> list[str]:
        seen.append(grey.shape)
        return ["The pilot boards at dawn"]

    monkeypatch.setattr(ocr, "recognise", recognise)
    with tesseract(monkeypatch, "/usr/bin/tesseract"):
        document = read(canvas_pdf(draw), ParseLimits(max_ocr_pages=2))
    assert [(element.text, element.page) for element in document.elements] == [
        ("The pilot boards at dawn", 1),
        ("The pilot boards at dawn", 2),
    ]
    assert document.notes == ("Page 3 was not read: only 2 pages of a document are recognised.",)
    assert seen == [(3508, 2481)] * 2  # A4 at 300 dots per inch


def test_a_failed_recognition_leaves_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that tesseract cannot read costs that page only."""

    def fails(grey: np.ndarray, **_: object) -> list[str]:
        raise ocr.OcrFailed("Recognition took longer than 3 seconds.")

    def draw(canvas: Canvas) -> None:
        hello(canvas)
        canvas.showPage()
        scanned(canvas)

    monkeypatch.setattr(ocr, "recognise", fails)
    with tesseract(monkeypatch, "/usr/bin/tesseract"):
        document = read(canvas_pdf(draw), ParseLimits())
    assert document.notes == ("Page 2 was not read: Recognition took longer than 3 seconds.",)


@pytest.mark.skipif(ocr.find_tesseract() is None, reason="tesseract is not installed")
def test_a_scan_is_recognised() -> None:
    """With tesseract the text of a scanned page is read."""
    document = read(canvas_pdf(scanned), ParseLimits())
    assert [(element.text, element.page) for element in document.elements] == [("The pilot boards at dawn", 1)]


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2000), st.booleans())
def test_arbitrary_bytes_raise_nothing_but_a_refusal(data: bytes, marked: bool) -> None:
    """Whatever the bytes, the answer is a refusal."""
    with pytest.raises(FileRefused):
        read(b"%PDF-1.4\n" * marked + data)


SOUND = canvas_pdf(
    lambda canvas: (hello(canvas), canvas.rect(50, 50, 100, 100, fill=1), hello(canvas)), pageCompression=0
)


@settings(max_examples=120, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_a_damaged_file_is_read_or_refused(seed: int, count: int) -> None:
    """Bytes changed at random in a sound file end in a document or in a refusal."""
    chance = random.Random(seed)
    data = bytearray(SOUND)
    for _ in range(count):
        data[chance.randrange(len(data))] = chance.randrange(256)
    try:
        elements = read(bytes(data)).elements
    except FileRefused:
        return
    assert all(element.text.strip() and element.page == 1 for element in elements)


def test_attached_files_are_read() -> None:
    """A file attached to a PDF follows under a heading with its name; one that cannot be read leaves a note."""
    import pypdfium2

    document = pypdfium2.PdfDocument(canvas_pdf(lambda canvas: canvas.drawString(72, 700, "The covering letter.")))
    document.new_attachment("terms.txt").set_data(b"Delivery within ten days.")
    document.new_attachment("odd.bin").set_data(bytes(range(1, 32)) * 9)
    saved = io.BytesIO()
    document.save(saved)
    parsed = read(saved.getvalue())
    assert [element.text for element in parsed.elements] == [
        "The covering letter.",
        "Attachment terms.txt",
        "Delivery within ten days.",
    ]
    assert len(parsed.notes) == 1
    assert parsed.notes[0].startswith("The attachment odd.bin was left out:")


def test_a_short_page_is_no_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page with a word or two and no picture keeps them and is not handed to OCR."""
    monkeypatch.setattr(ocr, "find_tesseract", lambda: pytest.fail("recognition was asked for"))
    parsed = read(canvas_pdf(lambda canvas: canvas.drawString(72, 700, "Annex B")), ParseLimits())
    assert [element.text for element in parsed.elements] == ["Annex B"]
