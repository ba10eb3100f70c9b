"""Builds the binary documents of the sample company (DOCX, PPTX, XLSX, PDF) from the readable text in `source/`.

`source/hr/employee-handbook.pdf.md` becomes `company/hr/employee-handbook.pdf`, and so on; the format is the one before
`.md`. Dates, metadata and the order and time stamps of archive members are fixed, so that building again with the same
libraries gives the same bytes.

    .venv/bin/python samples/build.py [TARGET]        TARGET is samples/company unless given

The source is a small part of Markdown: `#` headings, paragraphs, `-` lists and `|` tables, and besides
`===` on a line of its own for a new page, and `{hidden}` at the start of a paragraph or the end of a heading for text
that the built file holds but does not show: a vanished run (DOCX), white ink (PDF), a hidden sheet (XLSX) or a hidden
slide (PPTX). In a workbook each `##` heading names a sheet, in a presentation it starts a slide.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

HERE: Final = Path(__file__).parent
AUTHOR: Final = "Kettlestrand A/S"
BUILT: Final = datetime(2026, 1, 2, 9, 0, 0)
ZIP_TIME: Final = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip archive can state
HIDDEN: Final = "{hidden}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One piece of a source text."""

    kind: Literal["heading", "paragraph", "item", "table", "page"]
    text: str = ""
    level: int = 0  # of a heading
    rows: tuple[tuple[str, ...], ...] = ()  # of a table, the header first
    hidden: bool = False


def read(source: str) -> Iterator[Block]:
    """The blocks of a source text; pieces are separated by blank lines, and each line of a list is a piece."""
    for piece in re.split(r"\n\s*\n", source.strip()):
        if piece == "===":
            yield Block(kind="page")
        elif piece.startswith("|"):
            yield Block(kind="table", rows=tuple(_cells(line) for line in piece.splitlines() if not _is_rule(line)))
        elif piece.startswith("- "):
            yield from (Block(kind="item", text=item) for item in re.split(r"\n?^- ", piece, flags=re.M) if item)
        elif heading := re.fullmatch(r"(#+) (.+?)( \{hidden\})?", piece):
            yield Block(kind="heading", text=heading[2], level=len(heading[1]), hidden=bool(heading[3]))
        else:
            text = " ".join(piece.split())
            yield Block(kind="paragraph", text=text.removeprefix(HIDDEN).strip(), hidden=text.startswith(HIDDEN))


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))


def _is_rule(line: str) -> bool:
    return set(line) <= set("|-: ")


def write_docx(blocks: list[Block], title: str, path: Path) -> None:
    """A Word document; a hidden paragraph becomes a vanished run."""
    from docx import Document

    document = Document()
    document.core_properties.title = title
    document.core_properties.author = document.core_properties.last_modified_by = AUTHOR
    document.core_properties.created = document.core_properties.modified = BUILT
    for block in blocks:
        if block.kind == "heading":
            document.add_heading(block.text, level=min(block.level - 1, 9))
        elif block.kind == "item":
            document.add_paragraph(" ".join(block.text.split()), style="List Bullet")
        elif block.kind == "paragraph":
            document.add_paragraph().add_run(block.text).font.hidden = block.hidden or None
        elif block.kind == "page":
            document.add_page_break()
        else:
            table = document.add_table(rows=0, cols=len(block.rows[0]), style="Table Grid")
            for row in block.rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
    _save_zip(document.save, path)


def write_pptx(blocks: list[Block], title: str, path: Path) -> None:
    """A presentation: a slide for each second-level heading; a hidden one is marked as not shown."""
    from pptx import Presentation
    from pptx.util import Cm

    deck = Presentation()
    properties = deck.core_properties
    properties.title, properties.author, properties.last_modified_by = title, AUTHOR, AUTHOR
    properties.created = properties.modified = BUILT
    slide: Any = None
    for block in blocks:
        if block.kind == "heading":
            slide = deck.slides.add_slide(deck.slide_layouts[0 if block.level == 1 else 1])
            slide.shapes.title.text = block.text
            if block.hidden:
                slide._element.set("show", "0")
        elif block.kind == "table":
            cells = slide.shapes.add_table(len(block.rows), len(block.rows[0]), Cm(2), Cm(9), Cm(21), Cm(6)).table
            for number, row in enumerate(block.rows):
                for column, text in enumerate(row):
                    cells.cell(number, column).text = text
        else:
            frame = slide.placeholders[1].text_frame
            paragraph = frame.add_paragraph() if frame.text else frame.paragraphs[0]
            paragraph.text = " ".join(block.text.split())
    _save_zip(deck.save, path)


def write_xlsx(blocks: list[Block], title: str, path: Path) -> None:
    """A workbook: a sheet for each second-level heading; numbers become numbers."""
    from openpyxl import Workbook
    from openpyxl.styles import Font

    book = Workbook()
    book.remove(book.active)
    book.properties.title, book.properties.creator, book.properties.created = title, AUTHOR, BUILT
    sheet: Any = None
    for block in blocks:
        if block.kind == "heading" and block.level == 2:
            sheet = book.create_sheet(block.text)
            sheet.sheet_state = "hidden" if block.hidden else "visible"
        elif block.kind == "table":
            for number, row in enumerate(block.rows):
                sheet.append([_number(cell) for cell in row])
                if number == 0:
                    for cell in sheet[sheet.max_row]:
                        cell.font = Font(bold=True)
        elif sheet is not None:
            sheet.append([block.text])
    _save_zip(book.save, path)


def _number(cell: str) -> int | float | str:
    if re.fullmatch(r"-?\d+", cell):
        return int(cell)
    return float(cell) if re.fullmatch(r"-?\d+\.\d+", cell) else cell


def write_pdf(blocks: list[Block], title: str, path: Path) -> None:
    """A PDF on A4 with a page footer; a hidden paragraph is drawn in white."""
    from reportlab.lib import colors
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.styles import ParagraphStyle, getSampleStyleSheet
    from reportlab.lib.units import cm
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import ListFlowable, PageBreak, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

    styles = getSampleStyleSheet()
    body = ParagraphStyle("Text", parent=styles["BodyText"], fontSize=10.5, leading=15, spaceAfter=6)
    white = ParagraphStyle("White", parent=body, textColor=colors.white)
    grid = TableStyle(
        [
            ("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
            ("FONTNAME", (0, 0), (-1, 0), "Helvetica-Bold"),
            ("FONTSIZE", (0, 0), (-1, -1), 9.5),
        ]
    )

    def flowable(block: Block) -> Any:
        text = block.text.replace("&", "&amp;").replace("<", "&lt;")
        match block.kind:
            case "heading":
                return Paragraph(text, styles["Title" if block.level == 1 else f"Heading{block.level - 1}"])
            case "item":
                return ListFlowable([Paragraph(text, body)], bulletType="bullet")
            case "table":
                return Table([list(row) for row in block.rows], style=grid, hAlign="LEFT", spaceBefore=6, spaceAfter=10)
            case "page":
                return PageBreak()
            case _:
                return Paragraph(text, white if block.hidden else body)

    def footer(canvas: Canvas, _: object) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.drawString(2.5 * cm, 1.3 * cm, f"{AUTHOR} - {title}")
        canvas.drawRightString(18.5 * cm, 1.3 * cm, f"Page {canvas.getPageNumber()}")

    document = SimpleDocTemplate(
        str(path), pagesize=A4, title=title, author=AUTHOR, invariant=1, leftMargin=2.5 * cm, rightMargin=2.5 * cm
    )
    document.build([*map(flowable, blocks), Spacer(1, 1)], onFirstPage=footer, onLaterPages=footer)


def _save_zip(save: Callable[[BytesIO], object], path: Path) -> None:
    """Writes an office file with fixed member times, and without the time of saving that openpyxl insists on."""
    saved = BytesIO()
    save(saved)
    stamp = BUILT.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(saved) as source, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            data = source.read(name)
            if name == "docProps/core.xml":
                data = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, data)
            target.writestr(zipfile.ZipInfo(name, ZIP_TIME), data, zipfile.ZIP_DEFLATED)


WRITERS: Final = {".docx": write_docx, ".pptx": write_pptx, ".xlsx": write_xlsx, ".pdf": write_pdf}


def build(target: Path) -> list[Path]:
    """Builds every document of `source/` below `target`; returns the paths written."""
    written = []
    for source in sorted((HERE / "source").rglob("*.md")):
        path = target / source.relative_to(HERE / "source").with_suffix("")
        path.parent.mkdir(parents=True, exist_ok=True)
        blocks = list(read(source.read_text(encoding="utf-8")))
        WRITERS[path.suffix](blocks, blocks[0].text, path)
        written.append(path)
    return written


if __name__ == "__main__":
    build(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "company")
