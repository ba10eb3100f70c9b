from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.parsers.rows import sheet_elements, table_elements

CELLS = st.lists(
    st.lists(st.sampled_from(["", "a", "Name", "12", "x y", "漢字", "1,5", "w" * 50]), max_size=6), max_size=30
)


def test_windows_repeat_the_header() -> None:
    """Every window of a long table begins with the header, and every row is in exactly one."""
    rows = [["Item", "Price"], *([f"thing number {at}", f"{at} euros"] for at in range(100))]
    windows = [element.text.split("\n") for element in table_elements(rows)]
    assert len(windows) > 2
    assert {window[0] for window in windows} == {"Item\tPrice"}
    assert [line for window in windows for line in window[1:]] == ["\t".join(row) for row in rows[1:]]


def test_a_new_row_changes_few_windows() -> None:
    """After a row is added on top, most windows of a long table are as they were."""
    rows = [["Item", "Price"], *([f"thing number {at}", f"{at} euros"] for at in range(400))]
    before = {element.text for element in table_elements(rows)}
    after = [element.text for element in table_elements([rows[0], ["a new thing", "1 euro"], *rows[1:]])]
    assert sum(text not in before for text in after) < len(after) / 3


def test_first_row_of_values_is_no_header() -> None:
    """A first row with numbers or a gap is data, and is not repeated."""
    assert [element.text for element in table_elements([["a", "1"], ["b", "2"]])] == ["a\t1\nb\t2"]
    rows = [["Total", "", "sum"], ["a", "b", "c"]]
    assert [element.text for element in table_elements(rows)] == ["Total\t\tsum\na\tb\tc"]


def test_long_row_names_its_values() -> None:
    """A row that no window holds is written with the header at each value."""
    text = "many words " * 120
    (element,) = table_elements([["Item", "Note"], ["pen", text]])
    assert element.text == f"Item: pen\nNote: {text.strip()}"


def test_sheet_has_blocks_and_notes() -> None:
    """Titles above a table and notes below are paragraphs; empty rows part tables; empty columns vanish."""
    rows = [["Costs 2026"], [], ["", "Item", "", "Price", "Unit"], ["", "Pen", "", "2", "EUR"], ["", "Net of tax"], []]
    rows += [["A", "B"], ["1", "2"]]
    assert [(element.kind, element.text) for element in sheet_elements(rows)] == [
        ("paragraph", "Costs 2026"),
        ("table", "Item\tPrice\tUnit\nPen\t2\tEUR"),
        ("paragraph", "Net of tax"),
        ("table", "A\tB\n1\t2"),
    ]


@given(rows=CELLS)
@settings(deadline=None)
def test_no_value_is_lost(rows: list[list[str]]) -> None:
    """Every cell of a sheet is in its elements."""
    text = "\n".join(element.text for element in sheet_elements(rows))
    assert all(cell in text for row in rows for cell in row)
