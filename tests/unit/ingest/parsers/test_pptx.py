"""Presentations are made with python-pptx."""

from __future__ import annotations

import io
from typing import Any

import pytest
from pptx import Presentation
from pptx.chart.data import CategoryChartData
from pptx.dml.color import RGBColor
from pptx.enum.chart import XL_CHART_TYPE
from pptx.enum.dml import MSO_THEME_COLOR
from pptx.util import Inches, Pt

from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers import parse


def parsed(presentation: Any, limits: ParseLimits | None = None) -> ParsedDocument:
    out = io.BytesIO()
    presentation.save(out)
    return parse(out.getvalue(), "talk.pptx", limits or ParseLimits())


def a_slide(presentation: Any, title: str) -> Any:
    slide = presentation.slides.add_slide(presentation.slide_layouts[5])
    slide.shapes.title.text = title
    return slide


def a_box(shapes: Any, text: str, left: float = 1.0) -> Any:
    box = shapes.add_textbox(Inches(left), Inches(2), Inches(2), Inches(1))
    box.text_frame.text = text
    return box


def texts(document: ParsedDocument) -> list[str]:
    return [element.text for element in document.elements]


def test_structure_is_kept() -> None:
    """Slide titles are headings, tables are rows, and each element knows its slide."""
    presentation = Presentation()
    presentation.core_properties.title = "Plans"
    first = a_slide(presentation, "Where we are")
    a_box(first.shapes, "Revenue grew by 4%")
    table = first.shapes.add_table(2, 2, Inches(1), Inches(4), Inches(4), Inches(1)).table
    for cell, text in zip(table.iter_cells(), ("Year", "Sum", "2025", "7"), strict=True):
        cell.text = text
    a_slide(presentation, "Where we go").notes_slide.notes_text_frame.text = "Mention the budget."
    result = parsed(presentation)
    assert {(e.kind, e.level, e.page, e.text) for e in result.elements} == {
        ("heading", 1, 1, "Where we are"),
        ("paragraph", 0, 1, "Revenue grew by 4%"),
        ("table", 0, 1, "Year\tSum\n2025\t7"),
        ("heading", 1, 2, "Where we go"),
        ("paragraph", 0, 2, "Mention the budget."),
    }
    assert (result.pages, result.title, result.hidden) == (2, "Plans", ())


def test_a_hidden_slide_is_kept_out_and_the_others_keep_their_numbers() -> None:
    """A hidden slide with its notes becomes quarantine records; the slides behind it keep their page."""
    presentation = Presentation()
    a_slide(presentation, "First")
    hidden = a_slide(presentation, "Not for you")
    hidden._element.set("show", "0")
    hidden.notes_slide.notes_text_frame.text = "Nor this"
    a_slide(presentation, "Third")
    result = parsed(presentation)
    assert [(element.text, element.page) for element in result.elements] == [("First", 1), ("Third", 3)]
    assert [(h.text, h.reason, h.place) for h in result.hidden] == [
        ("Not for you", "hidden_part", "slide 2"),
        ("Nor this", "hidden_part", "slide 2"),
    ]


def _hidden_shape(slide: Any) -> None:
    a_box(slide.shapes, "unseen")._element.nvSpPr.cNvPr.set("hidden", "1")


def _left_of_the_slide(slide: Any) -> None:
    a_box(slide.shapes, "unseen", left=-3.0)


def _right_of_the_slide(slide: Any) -> None:
    a_box(slide.shapes, "unseen", left=15.0)


def _in_a_group_off_the_slide(slide: Any) -> None:
    group = slide.shapes.add_group_shape()
    a_box(group.shapes, "unseen")
    group.left = Inches(-20)


def _white(slide: Any) -> None:
    a_box(slide.shapes, "unseen").text_frame.paragraphs[0].runs[0].font.color.rgb = RGBColor(255, 255, 255)


def _colour_of_the_background(slide: Any) -> None:
    font = a_box(slide.shapes, "unseen").text_frame.paragraphs[0].runs[0].font
    font.color.theme_color = MSO_THEME_COLOR.BACKGROUND_1


def _colour_of_its_shape(slide: Any) -> None:
    box = a_box(slide.shapes, "unseen")
    box.fill.solid()
    box.fill.fore_color.rgb = RGBColor(0x20, 0x40, 0x60)
    box.text_frame.paragraphs[0].runs[0].font.color.rgb = RGBColor(0x21, 0x40, 0x60)


def _tiny(slide: Any) -> None:
    a_box(slide.shapes, "unseen").text_frame.paragraphs[0].runs[0].font.size = Pt(1)


@pytest.mark.parametrize(
    ("hide", "reason"),
    [
        (_hidden_shape, "hidden_part"),
        (_left_of_the_slide, "off_page"),
        (_right_of_the_slide, "off_page"),
        (_in_a_group_off_the_slide, "off_page"),
        (_white, "same_colour"),
        (_colour_of_the_background, "same_colour"),
        (_colour_of_its_shape, "same_colour"),
        (_tiny, "tiny_font"),
    ],
)
def test_what_is_not_seen_is_kept_out_and_reported(hide: Any, reason: str) -> None:
    """Hidden and off-slide shapes, ink in the colour of its ground and tiny letters are records, not elements."""
    presentation = Presentation()
    hide(a_slide(presentation, "Seen"))
    result = parsed(presentation)
    assert texts(result) == ["Seen"]
    assert [(h.text, h.reason, h.place) for h in result.hidden] == [("unseen", reason, "slide 1")]


def test_white_on_a_dark_shape_or_background_is_seen() -> None:
    """White letters are visible on a dark shape, on a dark background, and over a picture or another shape."""
    presentation = Presentation()
    on_shape = a_slide(presentation, "One")
    box = a_box(on_shape.shapes, "white on dark")
    box.fill.solid()
    box.fill.fore_color.rgb = RGBColor(0, 0, 0x60)
    _white_run(box)
    on_background = a_slide(presentation, "Two")
    on_background.background.fill.solid()
    on_background.background.fill.fore_color.rgb = RGBColor(0, 0, 0)
    _white_run(a_box(on_background.shapes, "white on black"))
    over_shape = a_slide(presentation, "Three")
    over_shape.shapes.add_shape(1, 0, 0, Inches(10), Inches(7))
    _white_run(a_box(over_shape.shapes, "white over a shape"))
    result = parsed(presentation)
    assert {"white on dark", "white on black", "white over a shape"} <= set(texts(result))
    assert result.hidden == ()


def _white_run(box: Any) -> None:
    box.text_frame.paragraphs[0].runs[0].font.color.rgb = RGBColor(255, 255, 255)


def test_groups_and_charts_are_read() -> None:
    """Text in a group and the words and figures of a chart come out with their slide."""
    presentation = Presentation()
    slide = a_slide(presentation, "Figures")
    a_box(slide.shapes.add_group_shape().shapes, "inside a group")
    data = CategoryChartData()
    data.categories = ["North", "South"]
    data.add_series("Sales", (3, 4))
    slide.shapes.add_chart(XL_CHART_TYPE.BAR_CLUSTERED, 0, 0, Inches(4), Inches(3), data)
    result = parsed(presentation)
    assert {"inside a group", "Sales", "North South", "3 4"} <= set(texts(result))
    assert {element.page for element in result.elements} == {1}


def test_what_masters_say_is_read_once() -> None:
    """Text that a layout puts on every slide comes once; the prompts of placeholders never do."""
    presentation = Presentation()
    layout = presentation.slide_layouts[5]
    source = a_box(a_slide(presentation, "One").shapes, "ACME confidential")
    layout.shapes._spTree.append(source._element)  # moves the box to the layout
    a_slide(presentation, "Two")
    result = parsed(presentation)
    assert texts(result) == ["One", "Two", "ACME confidential"]
    assert result.elements[-1].page is None


def test_too_many_slides_are_refused() -> None:
    """More slides than the limit on pages are refused before they are read."""
    presentation = Presentation()
    for number in range(3):
        a_slide(presentation, f"Slide {number}")
    with pytest.raises(FileRefused) as caught:
        parsed(presentation, ParseLimits(max_pages=2))
    assert caught.value.code == "too_many_pages"


def test_slide_shows_are_read() -> None:
    """A PPSX is read as a PPTX is."""
    presentation = Presentation()
    a_slide(presentation, "Show")
    presentation.part._content_type = "application/vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml"
    assert texts(parsed(presentation)) == ["Show"]


def test_embedded_files_of_shown_slides_are_read() -> None:
    """A file embedded on a slide follows at the end with the slide's page; one on a hidden slide stays out."""
    presentation = Presentation()
    for name in ("shown", "secret"):
        slide = presentation.slides.add_slide(presentation.slide_layouts[5])
        slide.shapes.title.text = name
        inner = io.BytesIO(f"Text that is {name}.".encode())
        slide.shapes.add_ole_object(inner, "Package", 0, 0, icon_width=914400, icon_height=914400)
    presentation.slides[1]._element.set("show", "0")
    out = io.BytesIO()
    presentation.save(out)
    document = parse(out.getvalue(), "deck.pptx", ParseLimits())
    assert [(element.text, element.page) for element in document.elements] == [
        ("shown", 1),
        ("Embedded file", 1),
        ("Text that is shown.", 1),
    ]
