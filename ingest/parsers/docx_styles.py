"""What a paragraph of a DOCX is, by its style and its own properties: heading, list item, caption, code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from ingest.elements import ElementKind

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_HEADING = re.compile(r"(?i)heading (\d)")
_NAMED: dict[str, tuple[ElementKind, int]] = {
    "title": ("heading", 1),
    "subtitle": ("heading", 2),
    "caption": ("caption", 0),
    "html preformatted": ("code", 0),
    "macro": ("code", 0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a paragraph is; None is what the style that it is based on says."""

    kind: ElementKind | None = None
    level: int = 0
    number: str | None = None  # of the list it is numbered in (numId); "0" for none
    depth: int | None = None  # of the list's levels, from 0
    numbered_by: str = ""  # the style that puts it into the list

    def over(self, base: Role) -> Role:
        """This role where it says something, else `base`."""
        own = self if self.kind is not None else base
        listed = self if self.number is not None else base
        return Role(
            kind=own.kind,
            level=own.level,
            number=listed.number,
            depth=self.depth if self.depth is not None else listed.depth,
            numbered_by=listed.numbered_by,
        )


def roles(styles: Any | None) -> dict[str, Role]:
    """Roles by the id of their paragraph style, what they are based on included; "" is that of a plain paragraph."""
    if styles is None:
        return {}
    elements = {style.get(_W + "styleId", ""): style for style in styles.iter(_W + "style")}
    found = {name: _inherited(name, elements) for name in elements}
    default = (n for n, e in elements.items() if e.get(_W + "default") and e.get(_W + "type") == "paragraph")
    found[""] = found.get(next(default, ""), Role())
    return found


def role_of(properties: Any | None, styles: dict[str, Role]) -> Role:
    """Of a paragraph with these properties (w:pPr)."""
    if properties is None:
        return styles.get("", Role())
    style = _value(properties, "pStyle") or ""
    return _own(properties, "").over(styles.get(style, Role()))


def _inherited(name: str, elements: dict[str, Any]) -> Role:
    role, seen = Role(), set[str]()
    while name in elements and name not in seen:
        seen.add(name)
        element = elements[name]
        properties = element.find(_W + "pPr")
        own = Role() if properties is None else _own(properties, name)
        role = role.over(own if own.kind else own.over(_named(_value(element, "name") or "")))
        name = _value(element, "basedOn") or ""
    return role


def _named(name: str) -> Role:
    heading = _HEADING.fullmatch(name)
    if heading:
        return Role(kind="heading", level=int(heading[1]))
    kind, level = _NAMED.get(name.lower(), (None, 0))
    return Role(kind="list_item" if name.startswith("List ") else kind, level=level)


def _own(properties: Any, style: str) -> Role:
    outline = _value(properties, "outlineLvl") or ""
    numbering = properties.find(_W + "numPr")
    depth = None if numbering is None else _value(numbering, "ilvl")
    return Role(
        kind="heading" if outline.isdecimal() and int(outline) < 9 else "paragraph" if outline == "9" else None,
        level=int(outline) + 1 if outline.isdecimal() and int(outline) < 9 else 0,
        number=None if numbering is None else _value(numbering, "numId"),
        depth=int(depth) if depth and depth.isdecimal() and int(depth) < 9 else None,
        numbered_by=style,
    )


def _value(element: Any, tag: str) -> str | None:
    found = element.find(_W + tag)
    return None if found is None else found.get(_W + "val")
