"""What of a DOCX a reader does not see: runs that vanish, are too small or have the colour of their ground.

Revisions are accepted, and content controls and other wrappers dissolved, in the same pass over a part.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ingest.elements import HiddenReason, HiddenText
from ingest.parsers.openxml import SAME_COLOUR, TINY, contrast, hex_colour

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_MC = "{http://schemas.openxmlformats.org/markup-compatibility/2006}"
_VANISH = _W + "vanish"
_DROPPED = tuple(_W + tag for tag in ("del", "moveFrom"))
_WRAPPERS = tuple(_W + tag for tag in ("ins", "moveTo", "smartTag", "fldSimple", "customXml", "sdt", "sdtContent"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How text is set, as far as that decides whether a person sees it; None is what the surroundings say."""

    hidden: bool | None = None
    ink: str | None = None  # RRGGBB
    ground: str | None = None  # RRGGBB, or "" where it is there but its colour is not known
    points: float | None = None

    def over(self, base: Look) -> Look:
        """This look where it says something, else `base`."""
        return Look(
            hidden=base.hidden if self.hidden is None else self.hidden,
            ink=self.ink or base.ink,
            ground=base.ground if self.ground is None else self.ground,
            points=self.points or base.points,
        )


_PLAIN = Look()


def reveal(root: Any, styles: dict[str, Look], story: str) -> list[HiddenText]:
    """Rewrites `root` so that a reader finds all that is seen and nothing else; returns what is not seen."""
    for element in list(root.iter(*_DROPPED)):
        element.getparent().remove(element)
    for alternatives in list(root.iter(_MC + "AlternateContent")):
        shown = next((child for child in alternatives if next(child.iter(_W + "t"), None) is not None), None)
        _replace(
            alternatives, () if shown is None and not len(alternatives) else alternatives[0] if shown is None else shown
        )
    hidden = _take_out_hidden(root, styles, story)
    for box in reversed(list(root.iter(_W + "txbxContent"))):
        holder = next(box.iterancestors(_W + "p"), None)
        if holder is not None:
            for child in reversed(list(box)):
                holder.addnext(child)
    for properties in list(root.iter(_W + "sdtPr", _W + "sdtEndPr")):
        properties.getparent().remove(properties)
    for wrapper in reversed(list(root.iter(*_WRAPPERS))):
        _replace(wrapper, wrapper)
    return hidden


def _replace(element: Any, children: Iterable[Any]) -> None:
    for child in list(children):
        element.addprevious(child)
    element.getparent().remove(element)


def _take_out_hidden(root: Any, styles: dict[str, Look], story: str) -> list[HiddenText]:
    """Removes the runs that are not seen; those of one paragraph and reason make one record."""
    found: dict[tuple[int, HiddenReason], list[str]] = {}
    number, paragraph, base = 0, None, Look()
    for element in list(root.iter(_W + "p", _W + "r")):
        if element.tag == _W + "p":
            number += 1
            continue
        around = next(element.iterancestors(_W + "p"), None)
        if around is not paragraph or around is None:
            paragraph, base = around, _paragraph_look(around, styles)
        reason = _why_hidden(element, base, styles)
        if reason is not None:
            found.setdefault((number, reason), []).append("".join(piece.text or "" for piece in element.iter(_W + "t")))
            element.getparent().remove(element)
    texts = ((place, reason, "".join(pieces).strip()) for (place, reason), pieces in found.items())
    return [
        HiddenText(text=text, reason=reason, place=f"{story}, paragraph {place}")
        for place, reason, text in texts
        if text
    ]


def _why_hidden(run: Any, base: Look, styles: dict[str, Look]) -> HiddenReason | None:
    """Why a run in a paragraph that looks like `base` is not seen."""
    properties = run.find(_W + "rPr")
    look = base
    if properties is not None:
        style = styles.get(_value(properties, "rStyle") or "", _PLAIN)
        look = _look(properties).over(style).over(base)
    if look.hidden:
        return "invisible_mode"
    if look.points is not None and look.points <= TINY:
        return "tiny_font"
    if look.ink is not None:
        ground = look.ground if look.ground is not None else _ground(run, styles)
        if ground and contrast(look.ink, ground) < SAME_COLOUR:
            return "same_colour"
    return None


def _paragraph_look(paragraph: Any, styles: dict[str, Look]) -> Look:
    defaults = styles.get("defaults", _PLAIN)
    properties = None if paragraph is None else paragraph.find(_W + "pPr")
    if properties is None:
        return styles.get("default", _PLAIN).over(defaults)
    ground = _fill(properties.find(_W + "shd"))
    return Look(ground=ground).over(styles.get(_value(properties, "pStyle") or "default", _PLAIN)).over(defaults)


def _ground(run: Any, styles: dict[str, Look]) -> str:
    """The colour behind a run that has none of its own, "" where it is there but not known."""
    for around in run.iterancestors():
        ground = None
        if around.tag == _W + "tc":
            ground = _fill(around.find(f"{_W}tcPr/{_W}shd"))
        elif around.tag == _W + "tbl":
            ground = styles.get(_value(around, "tblPr", "tblStyle") or "", Look()).ground
        elif around.tag.endswith(("}wsp", "}wgp", "}shape", "}rect", "}group")):
            ground = _shape_fill(around)
        elif around.tag == _W + "document":
            ground = _background(around)
        if ground is not None:
            return ground
    return "FFFFFF"


def _background(document: Any) -> str | None:
    page = document.find(_W + "background")
    return None if page is None else hex_colour(page.get(_W + "color"))


def _shape_fill(shape: Any) -> str | None:
    """Of a drawn shape or group: its plain colour, "" for what only a renderer can tell, None when it has no fill."""
    if shape.tag.endswith(("}wgp", "}group")):
        return ""
    if shape.get("fillcolor"):
        return hex_colour(shape.get("fillcolor").lstrip("#")) or ""
    properties = next((child for child in shape if child.tag.endswith("}spPr")), ())
    fill = next((child for child in properties if child.tag.endswith("Fill")), None)
    if fill is None:
        return "" if any(child.tag.endswith("}style") for child in shape) else None
    if fill.tag.endswith("}noFill"):
        return None
    return next((hex_colour(colour.get("val")) or "" for colour in fill), "")


# Looks


def looks(root: Any | None) -> dict[str, Look]:
    """Looks by the id of their style, what they are based on included; `default` is that of a plain paragraph.

    `root` is that of the part with the styles.
    """
    if root is None:
        return {}
    elements = {style.get(_W + "styleId", ""): style for style in root.iter(_W + "style")}
    styles = {name: _style_look(name, elements) for name in elements}
    default = (name for name, e in elements.items() if e.get(_W + "default") and e.get(_W + "type") == "paragraph")
    styles["default"] = styles.get(next(default, ""), Look())
    styles["defaults"] = _look(root.find(f"{_W}docDefaults/{_W}rPrDefault/{_W}rPr"))
    return styles


def _style_look(name: str, elements: dict[str, Any]) -> Look:
    look, seen = Look(), set[str]()
    while name in elements and name not in seen:
        seen.add(name)
        element = elements[name]
        own = _look(element.find(_W + "rPr"))
        if element.get(_W + "type") == "table" and next(element.iter(_W + "shd"), None) is not None:
            own = replace(own, ground="")  # which cells it colours depends on where they stand
        elif own.ground is None:
            own = replace(own, ground=_fill(element.find(f"{_W}pPr/{_W}shd")))
        look = look.over(own)
        name = _value(element, "basedOn") or ""
    return look


def _look(properties: Any) -> Look:
    """Of run properties (w:rPr)."""
    if properties is None:
        return _PLAIN
    found = {child.tag: child.get(_W + "val") for child in properties}
    ground = _fill(properties.find(_W + "shd")) if _W + "shd" in found else None
    highlight = found.get(_W + "highlight")
    if highlight not in (None, "none"):
        ground = "FFFFFF" if highlight == "white" else ""
    size = found.get(_W + "sz") or ""
    return Look(
        hidden=(found[_VANISH] or "1") not in ("0", "false", "off") if _VANISH in found else None,
        ink=hex_colour(found.get(_W + "color")),
        ground=ground,
        points=int(size) / 2 if size.isdecimal() else None,
    )


def _fill(shading: Any) -> str | None:
    return None if shading is None else hex_colour(shading.get(_W + "fill"))


def _value(element: Any, *path: str) -> str | None:
    """The w:val of the element at `path`."""
    found = element.find("/".join(_W + tag for tag in path))
    return None if found is None else found.get(_W + "val")
