from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl import Workbook
from openpyxl.comments import Comment
from openpyxl.styles import Font, PatternFill

from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.tables import parse

LIMITS = ParseLimits()


def lines(document: ParsedDocument) -> list[str]:
    return [element.text for element in document.elements]


def workbook(fill: Callable[[Any], None]) -> ParsedDocument:
    """A workbook with a table on the sheet Costs, changed by `fill`, as parsed."""
    book = Workbook()
    sheet = book.active
    sheet.title = "Costs"
    for row in (("Item", "Price", "Owner"), ("Pen", 2, "Ada"), ("Ink", 3, "Bob"), ("Cup", 4, "Eve")):
        sheet.append(row)
    fill(book)
    out = io.BytesIO()
    book.save(out)
    return parse(out.getvalue(), "costs.xlsx", LIMITS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_with_any_delimiter(delimiter: str) -> None:
    """The delimiter is told from the rows; quoted cells may hold it and line breaks."""
    text = "\r\n".join([delimiter.join(("Item", "Note")), delimiter.join(("Pen", f'"a{delimiter}b\r\nc ""d"""'))])
    assert lines(parse(text.encode(), "a.csv", LIMITS)) == [
        f'Item\tNote\nPen\ta{" " if delimiter == "	" else delimiter}b c "d"'
    ]


def test_csv_with_one_column() -> None:
    """A file of one column is read as lines."""
    assert lines(parse(b"Name\nAda\nBob\n", "a.csv", LIMITS)) == ["Name", "Ada", "Bob"]


def test_csv_of_an_old_system() -> None:
    """A table in the encoding of an old system is read."""
    text = "Ort;Straße;Größe\nKöln;Hauptstraße;groß\nMünchen;Müllerstraße;größer\n"
    assert lines(parse(text.encode("cp1252"), "a.csv", LIMITS)) == [
        "Ort\tStraße\tGröße\nKöln\tHauptstraße\tgroß\nMünchen\tMüllerstraße\tgrößer"
    ]


def test_sheets_stand_under_their_names() -> None:
    """Each sheet is a heading and its rows; empty sheets leave nothing."""

    def fill(book: Any) -> None:
        book.create_sheet("Empty")
        book.create_sheet("Notes").append(["Keep receipts."])

    document = workbook(fill)
    assert [(element.kind, element.text) for element in document.elements] == [
        ("heading", "Costs"),
        ("table", "Item\tPrice\tOwner\nPen\t2\tAda\nInk\t3\tBob\nCup\t4\tEve"),
        ("heading", "Notes"),
        ("paragraph", "Keep receipts."),
    ]
    assert not document.hidden


def test_values_look_as_in_the_sheet() -> None:
    """Dates, decimals, thousands, percent and currency are written as their format shows them."""
    cells = (
        (date(2026, 3, 1), "yyyy-mm-dd", "2026-03-01"),
        (datetime(2026, 3, 1, 9, 30), "dd.mm.yyyy hh:mm", "2026-03-01 09:30:00"),
        (1599.989, "#,##0.00", "1,599.99"),
        (-1599.99, '"$"#,##0.00;[Red]("$"#,##0.00)', "($1,599.99)"),
        (1200, "#,##0 [$€-407]", "1,200 €"),
        (0.125, "0.0%", "12.5%"),
        (0.1 + 0.2, "General", "0.3"),
        (True, "General", "TRUE"),
        (123456789012345, "General", "123456789012345"),
    )

    def fill(book: Any) -> None:
        sheet = book.create_sheet("Values")
        for at, (value, number_format, _) in enumerate(cells, 1):
            sheet.cell(row=at, column=1, value=value).number_format = number_format

    assert lines(workbook(fill))[3:] == [shown for _, _, shown in cells]


HIDE: dict[str, Callable[[Any], None]] = {
    "row": lambda book: setattr(book["Costs"].row_dimensions[3], "hidden", True),
    "flat row": lambda book: setattr(book["Costs"].row_dimensions[3], "height", 0.1),
    "column": lambda book: setattr(book["Costs"].column_dimensions["B"], "hidden", True),
    "white": lambda book: setattr(book["Costs"]["A3"], "font", Font(color="FFFFFFFF")),
    "tiny": lambda book: setattr(book["Costs"]["A3"], "font", Font(size=1)),
    "format": lambda book: setattr(book["Costs"]["A3"], "number_format", ";;;"),
}


@pytest.mark.parametrize(
    ("way", "secret", "reason", "place"),
    [
        ("row", "Ink\t3\tBob", "hidden_part", "sheet Costs, row 3"),
        ("flat row", "Ink\t3\tBob", "hidden_part", "sheet Costs, row 3"),
        ("column", "Price\n2\n3\n4", "hidden_part", "sheet Costs, column B"),
        ("white", "Ink", "same_colour", "sheet Costs, row 3"),
        ("tiny", "Ink", "tiny_font", "sheet Costs, row 3"),
        ("format", "Ink", "invisible_mode", "sheet Costs, row 3"),
    ],
)
def test_hidden_cells(way: str, secret: str, reason: str, place: str) -> None:
    """Rows, columns and cells that a person does not see are kept out and reported with their place."""
    document = workbook(HIDE[way])
    assert [(hidden.text, hidden.reason, hidden.place) for hidden in document.hidden] == [(secret, reason, place)]
    cells = [cell for line in lines(document)[1].split("\n") for cell in line.split("\t")]
    assert not set(secret.replace("\n", "\t").split("\t")) & set(cells)
    assert "Cup" in cells


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_hidden_sheet(state: str) -> None:
    """A hidden sheet is one hidden text."""

    def fill(book: Any) -> None:
        sheet = book.create_sheet("Salaries")
        sheet.append(["Ada", 9000])
        sheet.sheet_state = state

    document = workbook(fill)
    assert "9000" not in "".join(lines(document))
    assert [(hidden.text, hidden.place) for hidden in document.hidden] == [("Ada\t9000", "hidden sheet Salaries")]


def test_white_on_dark_is_visible() -> None:
    """White text in a dark cell, as headers have it, is no hidden text."""

    def fill(book: Any) -> None:
        cell = book["Costs"]["A1"]
        cell.font, cell.fill = Font(color="FFFFFFFF"), PatternFill("solid", fgColor="FF1F3864")

    assert not workbook(fill).hidden


def test_text_beside_the_cells() -> None:
    """Comments and the headers of the printed page are read too."""

    def fill(book: Any) -> None:
        book["Costs"]["B2"].comment = Comment("Agreed with sales.", "Ada")
        book["Costs"].oddFooter.center.text = "Internal use only"

    texts = lines(workbook(fill))
    assert "B2: Agreed with sales." in texts
    assert "Internal use only" in texts


def test_formula_without_result_is_noted() -> None:
    """A formula that was never calculated has no text; the document says how many there are."""
    document = workbook(lambda book: book["Costs"].append(["Sum", "=SUM(B2:B4)"]))
    assert document.notes == ("Sheet Costs has 1 formulas without a stored result.",)


def test_too_many_sheets_are_refused() -> None:
    """More sheets than the limit are refused before any is read."""
    book = Workbook()
    book.create_sheet()
    out = io.BytesIO()
    book.save(out)
    with pytest.raises(FileRefused) as refused:
        parse(out.getvalue(), "a.xlsx", ParseLimits(max_pages=1))
    assert refused.value.code == "too_many_pages"


ODS = """<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"
 xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0"><office:automatic-styles>
 <style:style style:name="off"><style:table-properties table:display="false"/></style:style></office:automatic-styles>
 <office:body><office:spreadsheet>
 <table:table table:name="Costs"><table:table-column table:number-columns-repeated="2"/>
 <table:table-column table:visibility="collapse"/>{rows}</table:table>
 <table:table table:name="Salaries" table:style-name="off">{rows}</table:table>
 </office:spreadsheet></office:body></office:document-content>"""


def ods(*rows: str) -> ParsedDocument:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        package.writestr("content.xml", ODS.format(rows="".join(rows)))
    return parse(out.getvalue(), "a.ods", LIMITS)


def row(*cells: str, attributes: str = "") -> str:
    inner = "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" for cell in cells)
    return f"<table:table-row {attributes}>{inner}</table:table-row>"


def test_open_document_sheets() -> None:
    """Of an OpenDocument sheet the visible cells are read; hidden rows, columns and sheets are reported."""
    document = ods(
        row("Item", "Price", "Key"),
        row("Pen", "2<text:s/>EUR", "k1", attributes='table:number-rows-repeated="2"'),
        row("Trap", "0", "k2", attributes='table:visibility="collapse"'),
        '<table:table-row table:number-rows-repeated="1048000">'
        '<table:table-cell table:number-columns-repeated="16384"/></table:table-row>',
    )
    assert lines(document) == ["Costs", "Item\tPrice\nPen\t2 EUR"]
    assert [(hidden.text, hidden.place) for hidden in document.hidden][:3] == [
        ("Key", "sheet Costs, row 1"),
        ("k1", "sheet Costs, row 2"),
        ("Trap\t0\tk2", "sheet Costs, row 4"),
    ]
    assert document.hidden[-1].place == "hidden sheet Salaries"


@given(text=st.text(st.sampled_from('ab,;|"\n\t 1漢\x00\ud800\u200b'), max_size=60))
@settings(deadline=None)
def test_any_csv_is_read(text: str) -> None:
    """No text makes the reader of delimited files fail, and no element is empty."""
    document = parse(text.encode("utf-8", "replace"), "a.csv", LIMITS) if text else None
    assert document is None or all(element.text.strip() for element in document.elements)
