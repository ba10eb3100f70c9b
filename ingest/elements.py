"""What a parser hands on: the pieces of a document in reading order, and the text that a person would not have seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

ElementKind = Literal["heading", "paragraph", "list_item", "table", "code", "caption", "header", "footer"]

HiddenReason = Literal[
    "css_hidden",  # HTML: display, visibility, opacity, the hidden attribute, clipped or moved out of view
    "same_colour",  # ink on the same ground
    "tiny_font",  # too small to read
    "off_page",  # placed outside the page or slide
    "covered",  # drawn under something opaque
    "invisible_mode",  # PDF text rendering mode 3, DOCX vanish
    "hidden_part",  # a hidden row, column, sheet or slide, a comment of the markup
    "invisible_code_points",  # zero-width, tag and bidirectional control characters
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """One visible piece of a document."""

    text: str  # never empty, no invisible code points, lines separated by "\n"
    kind: ElementKind = "paragraph"
    level: int = 0  # of a heading, 1 is the highest; 0 for everything else
    page: int | None = None  # counts from 1; None where the format has no pages
    box: tuple[float, float, float, float] | None = None  # left, top, right, bottom in points from the page's top left


@dataclass(frozen=True, slots=True, kw_only=True)
class HiddenText:
    """Text that a person would not have seen, kept out of the index and kept as a quarantine record."""

    text: str
    reason: HiddenReason
    place: str  # where it was, for a person: "page 3", "sheet Costs, row 7", "element <div>"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedDocument:
    """What one file or record turned into."""

    media_type: str
    elements: tuple[Element, ...]
    title: str | None = None  # as the document names itself, else None
    hidden: tuple[HiddenText, ...] = ()
    pages: int | None = None
    notes: tuple[str, ...] = field(
        default=()
    )  # what a person should know: "page 4 has no text and tesseract is missing"
