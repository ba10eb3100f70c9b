"""PPTX, its templates and slide shows: what hides is taken out, what `unstructured` passes over is added.

Hidden slides, hidden and off-slide shapes, and text in the colour of its ground or too small to read are taken out
before the slides are partitioned. Of each slide its notes, charts and diagrams are read too; what masters and layouts
show on every slide follows once, at the end.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from ingest.elements import Element, HiddenReason, HiddenText, ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.media_types import PPTX
from ingest.parsers.embedded import embedded
from ingest.parsers.openxml import (
    SAME_COLOUR,
    TINY,
    contrast,
    drawn_text,
    hex_colour,
    lost,
    read_package,
    read_xml,
    set_main_type,
    title_of,
    write_package,
)
from ingest.parsers.unstructured_adapter import partition_pptx

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_SHAPES = tuple(_P + tag for tag in ("sp", "grpSp", "graphicFrame", "pic", "cxnSp"))
_DRAWN = ("/diagramData", "/chart")  # ends of relationship types
_PROMPTS = ("title", "ctrTitle", "subTitle", "body", "obj")  # placeholders that say "Click to edit" on a master

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True, kw_only=True)
class _Frame:
    """Where the children of a group land on the slide: x * scale_x + left, y * scale_y + top."""

    left: float = 0.0
    top: float = 0.0
    scale_x: float = 1.0
    scale_y: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Slide:
    """What decides on a slide whether a piece of text is seen."""

    number: int
    width: float  # English Metric Units, as all lengths here
    height: float
    theme: dict[str, str]  # name of a scheme colour -> RRGGBB
    ground: str  # RRGGBB, "" where it is not a plain colour
    hidden: list[HiddenText] = field(default_factory=list)

    def report(self, element: Any, reason: HiddenReason) -> None:
        text = "\n".join(_paragraphs(element))
        if text:
            self.hidden.append(HiddenText(text=text, reason=reason, place=f"slide {self.number}"))


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """The text of the slides in reading order with the slide's number as page, and the text in them that is hidden.

    Raises FileRefused `too_many_pages`.
    """
    from pptx import Presentation

    parts = read_package(data)
    set_main_type(parts, PPTX + ".main+xml")
    presentation = Presentation(io.BytesIO(write_package(parts)))
    slides = list(presentation.slides)
    if len(slides) > limits.max_pages:
        cause = f"It has {len(slides):,} slides; the limit is {limits.max_pages:,}."
        raise FileRefused(name, "too_many_pages", cause, "Split it, or raise the limit on pages.")
    size = float(presentation.slide_width or 0), float(presentation.slide_height or 0)
    hidden = [text for number, slide in enumerate(slides, 1) for text in _reveal(slide, number, size)]
    shown = io.BytesIO()
    presentation.save(shown)
    elements = _with_lost(partition_pptx(shown.getvalue()), slides)
    elements += [Element(text=text) for text, _ in lost(_mastered(presentation), elements)]
    shown_slides = [(str(slide.part.partname).lstrip("/"), n) for n, slide in enumerate(slides, 1) if _is_shown(slide)]
    within = embedded(parts, shown_slides, limits)
    return ParsedDocument(
        media_type=PPTX,
        elements=(*elements, *within.elements),
        title=title_of(parts),
        hidden=(*hidden, *within.hidden),
        pages=len(slides),
        notes=tuple(within.notes),
    )


def _is_shown(slide: Any) -> bool:
    return slide._element.get("show") not in ("0", "false")


def _with_lost(elements: list[Element], slides: list[Any]) -> list[Element]:
    """`elements` and behind those of each slide what they lack of its own text, notes, charts and diagrams."""
    whole = []
    for number, slide in enumerate(slides, 1):
        own = [element for element in elements if element.page == number]
        own += [Element(text=text, page=number) for text, _ in lost(((t, None) for t in _all_text(slide)), own)]
        whole += own
    return whole


def _all_text(slide: Any) -> Iterator[str]:
    yield from _paragraphs(slide._element)
    for relation in slide.part.rels.values():
        if relation.reltype.endswith(_DRAWN):
            yield from drawn_text(relation.target_part.blob)
    if slide.has_notes_slide:
        yield from _paragraphs(slide.notes_slide._element)


def _mastered(presentation: Any) -> Iterator[tuple[str, None]]:
    """What masters and layouts put on every slide: their own text, not the prompts in their placeholders."""
    for master in presentation.slide_masters:
        for sheet in (master, *master.slide_layouts):
            for shape in sheet._element.iter(_P + "sp"):
                if _placeholder(shape) in (None, "ftr", "hdr"):
                    yield from ((text, None) for text in _paragraphs(shape))
    for relation in presentation.part.rels.values():
        if relation.reltype.endswith(("/handoutMaster", "/notesMaster")):  # printed on every handout
            yield from ((text, None) for text in _printed(read_xml(relation.target_part.blob)))


def _printed(master: Any) -> Iterator[str]:
    """What a master of printed pages says itself; its body holds prompts."""
    for shape in master.iter(_P + "sp"):
        if _placeholder(shape) not in _PROMPTS:
            yield from _paragraphs(shape)


def _paragraphs(element: Any) -> Iterator[str]:
    """Lines of text in `element`; page numbers and dates that a program fills in (fields) are left out."""
    for paragraph in element.iter(_A + "p"):
        pieces = (piece for piece in paragraph.iter(_A + "t", _A + "br") if piece.getparent().tag != _A + "fld")
        text = "".join("\n" if piece.tag == _A + "br" else piece.text or "" for piece in pieces)
        if text.strip():
            yield text.strip()


def _placeholder(shape: Any) -> str | None:
    """Kind of the placeholder that `shape` is, None when it is none."""
    found = shape.find(f"{_P}nvSpPr/{_P}nvPr/{_P}ph")
    return None if found is None else found.get("type", "obj")


# Revealing


def _reveal(slide: Any, number: int, size: tuple[float, float]) -> list[HiddenText]:
    """Takes out of `slide` what is not seen, and returns it."""
    theme = _theme(slide.slide_layout.slide_master)
    seen = _Slide(number=number, width=size[0], height=size[1], theme=theme, ground=_ground(slide, theme))
    tree = slide.shapes._spTree
    if not _is_shown(slide):
        seen.report(tree, "hidden_part")
        if slide.has_notes_slide:
            seen.report(slide.notes_slide._element, "hidden_part")
            _empty(slide.notes_slide.shapes._spTree)
        _empty(tree)
        return seen.hidden
    for shape in list(slide.shapes):
        _reveal_shape(shape, seen, _Frame())
    for number_field in list(tree.iter(_A + "fld")):
        if number_field.get("type") == "slidenum":  # elements know their page
            number_field.getparent().remove(number_field)
    _reveal_runs(tree, seen)
    return seen.hidden


def _empty(tree: Any) -> None:
    for shape in list(tree.iterchildren(*_SHAPES)):
        tree.remove(shape)


def _reveal_shape(shape: Any, slide: _Slide, frame: _Frame) -> None:
    box = _box(shape, frame)
    reason: HiddenReason | None = None
    if any(named.get("hidden") in ("1", "true") for named in shape._element.xpath("./*/p:cNvPr")):
        reason = "hidden_part"
    elif box is not None and (box[2] <= 0 or box[3] <= 0 or box[0] >= slide.width or box[1] >= slide.height):
        reason = "off_page"
    if reason is not None:
        slide.report(shape._element, reason)
        shape._element.getparent().remove(shape._element)
    elif shape._element.tag == _P + "grpSp":
        inner = _inner_frame(shape._element, frame)
        for member in list(shape.shapes):
            _reveal_shape(member, slide, inner)


def _box(shape: Any, frame: _Frame) -> Box | None:
    """Where `shape` lies on the slide; None where neither it nor its layout says."""
    if None in (shape.left, shape.top, shape.width, shape.height):
        return None
    left, top = shape.left * frame.scale_x + frame.left, shape.top * frame.scale_y + frame.top
    return left, top, left + shape.width * frame.scale_x, top + shape.height * frame.scale_y


def _inner_frame(group: Any, frame: _Frame) -> _Frame:
    """The frame of a group's children, from its own and their rectangle (ECMA-376 part 1, 20.1.7.5)."""
    place = group.find(f"{_P}grpSpPr/{_A}xfrm")
    rectangles = [] if place is None else [place.find(_A + tag) for tag in ("off", "ext", "chOff", "chExt")]
    if len(rectangles) != 4 or any(rectangle is None for rectangle in rectangles):
        return frame
    offset, extent, child_offset, child_extent = rectangles
    scale_x = float(extent.get("cx")) / (float(child_extent.get("cx")) or 1.0)
    scale_y = float(extent.get("cy")) / (float(child_extent.get("cy")) or 1.0)
    return _Frame(
        left=frame.left + (float(offset.get("x")) - float(child_offset.get("x")) * scale_x) * frame.scale_x,
        top=frame.top + (float(offset.get("y")) - float(child_offset.get("y")) * scale_y) * frame.scale_y,
        scale_x=frame.scale_x * scale_x,
        scale_y=frame.scale_y * scale_y,
    )


def _reveal_runs(tree: Any, slide: _Slide) -> None:
    for run in list(tree.iter(_A + "r")):
        reason = _why_hidden(run, slide)
        text = (run.findtext(_A + "t") or "").strip()
        if reason is not None:
            if text:
                slide.hidden.append(HiddenText(text=text, reason=reason, place=f"slide {slide.number}"))
            run.getparent().remove(run)


def _why_hidden(run: Any, slide: _Slide) -> HiddenReason | None:
    properties = run.find(_A + "rPr")
    if properties is None:
        return None
    size = properties.get("sz", "")
    if size.isdecimal() and int(size) / 100 <= TINY:
        return "tiny_font"
    fill = properties.find(_A + "solidFill")
    if fill is None:
        return "same_colour" if properties.find(_A + "noFill") is not None else None
    if any(alpha.get("val") in ("0", "0%") for alpha in fill.iter(_A + "alpha")):
        return "same_colour"
    ink, ground = _colour(fill, slide.theme), _behind(run, slide)
    return "same_colour" if ink and ground and contrast(ink, ground) < SAME_COLOUR else None


def _behind(run: Any, slide: _Slide) -> str:
    """The colour behind a run: of its cell or shape, else of the slide unless something is drawn between them."""
    for around in run.iterancestors(_A + "tc", _P + "sp", _P + "graphicFrame"):
        fill = _fill(around.find(_A + "tcPr" if around.tag == _A + "tc" else _P + "spPr"), slide.theme)
        if fill is not None:
            return fill
        if around.tag == _P + "graphicFrame" or around.find(_P + "style") is not None:
            return ""  # a table's or a shape's style decides
        if around.tag == _P + "sp" and any(_paints(other) for other in around.itersiblings(*_SHAPES, preceding=True)):
            return ""
    return slide.ground


def _paints(shape: Any) -> bool:
    """Whether a shape below may be the ground: pictures, groups, tables, and shapes with a fill."""
    if shape.tag != _P + "sp":
        return True
    properties = shape.find(_P + "spPr")
    filled = properties is not None and any(child.tag.endswith("Fill") for child in properties)
    return (filled and properties.find(_A + "noFill") is None) or shape.find(_P + "style") is not None


# Colours


def _theme(master: Any) -> dict[str, str]:
    """Scheme colours by the names that slides use, through the master's colour map."""
    part = next((r.target_part for r in master.part.rels.values() if r.reltype.endswith("/theme")), None)
    if part is None:
        return {}
    scheme = next(read_xml(part.blob).iter(_A + "clrScheme"), ())
    colours = {}
    for entry in scheme:
        for colour in entry:
            value = hex_colour(colour.get("lastClr") or colour.get("val"))
            if isinstance(entry.tag, str) and value:
                colours[entry.tag.removeprefix(_A)] = value
    mapped = master._element.find(_P + "clrMap")
    return colours | {
        name: colours[to] for name, to in (mapped.attrib if mapped is not None else {}).items() if to in colours
    }


def _ground(slide: Any, theme: dict[str, str]) -> str:
    """The plain colour of the background that applies, "" when it is a picture, a gradient or a pattern."""
    for sheet in (slide, slide.slide_layout, slide.slide_layout.slide_master):
        background = sheet._element.find(f"{_P}cSld/{_P}bg")
        if background is not None:
            reference = background.find(_P + "bgRef")
            if reference is not None:  # 1001 is the theme's first fill, which is plain
                return _colour(reference, theme) if reference.get("idx") == "1001" else ""
            return _fill(background.find(_P + "bgPr"), theme) or ""
    return "FFFFFF"


def _fill(properties: Any, theme: dict[str, str]) -> str | None:
    """RRGGBB of a plain fill, "" of another, None without one."""
    for child in () if properties is None else properties:
        if child.tag == _A + "solidFill":
            return _colour(child, theme)
        if child.tag in (_A + "gradFill", _A + "blipFill", _A + "pattFill", _A + "grpFill"):
            return ""
    return None


def _colour(holder: Any, theme: dict[str, str]) -> str:
    """RRGGBB of the colour in `holder`; "" where it is tinted or shaded, or not known."""
    for colour in holder:
        if any(not change.tag.endswith("}alpha") for change in colour):
            return ""
        if colour.tag == _A + "srgbClr":
            return hex_colour(colour.get("val")) or ""
        if colour.tag == _A + "schemeClr":
            return theme.get(colour.get("val"), "")
        if colour.tag == _A + "sysClr":
            return hex_colour(colour.get("lastClr")) or ""
    return ""
