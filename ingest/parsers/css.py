"""What style says of an element: which declarations apply to it, and whether a person could read its text.

Style sheets of the page itself, inline style and the presentational attributes of old HTML are cascaded as browsers do
it (CSS Cascade 4: importance, specificity, order); style sheets elsewhere are never fetched. Only properties that can
hide text are looked at. Text counts as hidden below 2.5 px, below 5% opacity, 500 px or more out of view, and where
its colour differs from the ground by less than 30 of 765 (sum over red, green and blue).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from ingest.elements import HiddenReason

Declarations = dict[str, str]
Colour = tuple[int, int, int]

_SMALLEST_FONT = 2.5  # px
_LEAST_OPACITY = 0.05
_FAR_AWAY = -500.0  # px
_LEAST_CONTRAST = 30  # of 765
_LONGEST = 300  # characters of a selector or a value
_COMMENT = re.compile(r"/\*(?:.*?\*/|.*\Z)|<!--|-->", re.DOTALL)
_BRACE = re.compile(r"[{}]")
_NOT_ON_SCREEN = re.compile(r"@media\s+(?:only\s+)?(?:print|speech)\b", re.IGNORECASE)
_ESCAPE = re.compile(r"\\([0-9a-f]{1,6})\s?", re.IGNORECASE)
_COMPOUND = re.compile(r"(\*|[a-z][\w-]*)?((?:[.#][\w-]+)*)")
_NAME = re.compile(r"[.#][\w-]+")
_PSEUDO = re.compile(r":(?!not\(|first-child|last-child|nth-|only-child|root|is\(|where\()", re.IGNORECASE)
_LENGTH = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))\s*(px|pt|em|rem|%|ex|ch|vw|vh|vmin|vmax|cm|mm|in|pc)?", re.IGNORECASE)
_PIXELS = {"px": 1.0, "": 1.0, "pt": 4 / 3, "em": 16.0, "rem": 16.0, "ex": 8.0, "ch": 8.0, "pc": 16.0, "in": 96.0}
_PIXELS |= {
    "cm": 37.8,
    "mm": 3.78,
    "vw": 10.0,
    "vh": 10.0,
    "vmin": 10.0,
    "vmax": 10.0,
    "%": 5.0,
}  # of a 1000 px view, and a 500 px box
_HEX = re.compile(r"#([0-9a-f]{3,4}|[0-9a-f]{6}|[0-9a-f]{8})\b", re.IGNORECASE)
_RGB = re.compile(r"rgba?\(\s*([\d.]+%?)[\s,]+([\d.]+%?)[\s,]+([\d.]+%?)(?:[\s,/]+([\d.]+%?))?\s*\)", re.IGNORECASE)
_HSL = re.compile(r"hsla?\(\s*[\d.]+(?:deg)?[\s,]+([\d.]+)%[\s,]+([\d.]+)%(?:[\s,/]+([\d.]+%?))?\s*\)", re.IGNORECASE)
_NAMED: dict[str, Colour] = {
    "white": (255, 255, 255),
    "snow": (255, 250, 250),
    "ivory": (255, 255, 240),
    "ghostwhite": (248, 248, 255),
    "whitesmoke": (245, 245, 245),
    "floralwhite": (255, 250, 240),
    "silver": (192, 192, 192),
    "gray": (128, 128, 128),
    "grey": (128, 128, 128),
    "black": (0, 0, 0),
    "red": (255, 0, 0),
    "maroon": (128, 0, 0),
    "yellow": (255, 255, 0),
    "olive": (128, 128, 0),
    "lime": (0, 255, 0),
    "green": (0, 128, 0),
    "aqua": (0, 255, 255),
    "cyan": (0, 255, 255),
    "teal": (0, 128, 128),
    "blue": (0, 0, 255),
    "navy": (0, 0, 128),
    "fuchsia": (255, 0, 255),
    "magenta": (255, 0, 255),
    "purple": (128, 0, 128),
    "orange": (255, 165, 0),
}
_WHITE: Colour = (255, 255, 255)


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How the text of an element looks, as far as that decides whether it can be read."""

    gone: HiddenReason | None = None  # nothing inside can be seen again
    visible: bool = True  # the visibility property, which a child may set again
    size: float = 16.0  # px
    ink: Colour | str | None = None  # None: the default; "transparent"; "unknown"
    ground: Colour | str = _WHITE  # "unknown" for pictures and variables
    reason: HiddenReason | None = None  # why text that looks so cannot be read; None when it can

    def _judged(self) -> HiddenReason | None:
        if self.gone:
            return self.gone
        if not self.visible:
            return "css_hidden"
        if self.size < _SMALLEST_FONT:
            return "tiny_font"
        return "same_colour" if self._ink_is_ground() else None

    def _ink_is_ground(self) -> bool:
        ink = self.ink if self.ink is not None else (0, 0, 0)
        if ink == "transparent":
            return True
        if isinstance(ink, str) or isinstance(self.ground, str):
            return False
        return sum(abs(one - other) for one, other in zip(ink, self.ground, strict=True)) < _LEAST_CONTRAST

    def inside(self, style: Declarations) -> Look:
        """How the text of a child with these declarations looks."""
        look = self
        if self.gone is None and _takes_out(style):
            look = replace(look, gone="css_hidden")
        if "visibility" in style and style["visibility"] in ("hidden", "collapse", "visible"):
            look = replace(look, visible=style["visibility"] == "visible")
        if "font-size" in style:
            look = replace(look, size=_font_size(style["font-size"], self.size))
        ground = _ground(style)
        if ground is not None:
            look = replace(look, ground=ground)
        if "color" in style and style["color"] != "inherit":
            look = replace(look, ink=parse_colour(style["color"]))
        return replace(look, reason=look._judged())


def declarations(root: Any, most_rules: int) -> dict[Any, Declarations]:
    """For each element of an lxml tree that has any: property to value, lower case, the winner of the cascade.

    Of the style sheets the first `most_rules` rules count.
    """
    won: dict[Any, dict[str, tuple[tuple[bool, tuple[int, int, int, int], int], str]]] = {}

    def apply(node: Any, style: str, specificity: tuple[int, int, int, int], order: int) -> None:
        mine = won.setdefault(node, {})
        for name, value, important in _parse(style):
            rank = (important, specificity, order)
            if name not in mine or rank >= mine[name][0]:
                mine[name] = (rank, value)

    for node in root.xpath("//*[@color or @bgcolor or @hidden or @size]"):
        apply(node, _presentational(node), (0, 0, 0, 0), 0)
    tree = _Tree(root)
    for order, (selector, style) in enumerate(_rules(root), 1):
        nodes, specificity = tree.find(selector) if order <= most_rules else ([], _NO_SPECIFICITY)
        for node in nodes:
            apply(node, style, (0, *specificity), order)
    for node in root.xpath("//*[@style]"):
        apply(node, node.get("style"), (1, 0, 0, 0), 0)
    return {node: {name: value for name, (_, value) in mine.items()} for node, mine in won.items()}


def _rules(root: Any) -> Iterator[tuple[str, str]]:
    """Selectors of the page's own style sheets, with declarations that can hide something."""
    for sheet in root.iter("style"):
        if "print" in (sheet.get("media") or ""):
            continue
        for prelude, style in _blocks(_COMMENT.sub("", sheet.text_content())):
            if any(True for _ in _parse(style)):
                for selector in prelude.rpartition(";")[2].lower().split(","):
                    if len(selector) <= _LONGEST and not _PSEUDO.search(selector):
                        yield selector.strip(), style


def _blocks(sheet: str) -> Iterator[tuple[str, str]]:
    """What stands before the braces and between them, innermost blocks only, those for paper left out."""
    preludes: list[str] = []
    elsewhere = start = 0
    for brace in _BRACE.finditer(sheet):
        text, start = sheet[start : brace.start()], brace.end()
        if brace[0] == "{":
            preludes.append(text)
            elsewhere += _NOT_ON_SCREEN.search(text) is not None
        elif preludes:
            prelude = preludes.pop()
            elsewhere -= _NOT_ON_SCREEN.search(prelude) is not None
            if not elsewhere:
                yield prelude, text


_Specificity = tuple[int, int, int]
_NO_SPECIFICITY: _Specificity = (0, 0, 0)


class _Tree:
    """Finds the elements that a selector matches. Names are compared without case, as pages without a doctype do."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._names: dict[Any, frozenset[str]] = {}
        self._by_name: dict[str, list[Any]] = {}

    def _index(self) -> None:
        for node in self._root.iter("*"):
            names = {"." + name for name in (node.get("class") or "").lower().split()}
            names.add("#" + (node.get("id") or "").strip().lower())
            self._names[node] = frozenset(names)
            for name in (*names, node.tag, "*"):
                self._by_name.setdefault(name, []).append(node)

    def find(self, selector: str) -> tuple[list[Any], _Specificity]:
        """The matching elements and the selector's specificity; none for what is not supported."""
        if not self._by_name:
            self._index()
        compounds = [_COMPOUND.fullmatch(part) for part in selector.split()]
        simple = [(match[1] or "*", frozenset(_NAME.findall(match[2]))) for match in compounds if match]
        if not simple or len(simple) < len(compounds):
            return self._find_complex(selector)
        candidates = self._candidates(simple)
        ids = sum(name[0] == "#" for _, parts in simple for name in parts)
        classes = sum(len(parts) for _, parts in simple) - ids
        specificity = (ids, classes, sum(tag != "*" for tag, _ in simple))
        return [node for node in candidates if self._matches(node, simple)], specificity

    def _candidates(self, compounds: list[tuple[str, frozenset[str]]]) -> Iterable[Any]:
        """The elements with the rarest name of the last compound, or those inside the rarest of an earlier one."""
        rarest = [min((self._by_name.get(name, []) for name in (tag, *names)), key=len) for tag, names in compounds]
        outer = min(rarest[:-1], key=len, default=rarest[-1])
        if len(outer) * 20 >= len(rarest[-1]):
            return rarest[-1]
        return dict.fromkeys(node for above in outer for node in above.iterdescendants())

    def _matches(self, node: Any, compounds: list[tuple[str, frozenset[str]]]) -> bool:
        """Whether `node` is the last of the compounds and has the others above it, in order."""
        if not self._is(node, compounds[-1]):
            return False
        wanted = len(compounds) - 2
        for ancestor in node.iterancestors() if wanted >= 0 else ():
            if self._is(ancestor, compounds[wanted]):
                wanted -= 1
                if wanted < 0:
                    break
        return wanted < 0

    def _is(self, node: Any, compound: tuple[str, frozenset[str]]) -> bool:
        tag, names = compound
        return tag in ("*", node.tag) and names <= self._names.get(node, frozenset())

    def _find_complex(self, selector: str) -> tuple[list[Any], _Specificity]:
        from cssselect import HTMLTranslator, SelectorError, parse
        from lxml import etree

        known = (name in self._by_name for name in _NAME.findall(selector.partition(":not")[0]))
        if not all(known):
            return [], _NO_SPECIFICITY
        try:
            (parsed,) = parse(selector)
            nodes = self._root.xpath(HTMLTranslator().selector_to_xpath(parsed))
        except (SelectorError, etree.XPathError, ValueError, RecursionError):
            return [], _NO_SPECIFICITY
        return nodes, parsed.specificity()


_LOOKED_AT = re.compile(
    r"display|visibility|opacity|font-size|font|color|background(?:-color)?|position|left|top|right|bottom|text-indent"
    r"|margin-left|margin-top|transform|clip|clip-path|(?:max-)?width|(?:max-)?height|overflow(?:-[xy])?"
    r"|content-visibility"
)


def _parse(style: str) -> Iterator[tuple[str, str, bool]]:
    """Name, value and importance of the declarations that can hide text."""
    if "\\" in style:
        style = _ESCAPE.sub(lambda escape: chr(min(int(escape[1], 16), 0xFFFF)), style)
    for declaration in _COMMENT.sub("", style).lower().split(";"):
        name, _, value = declaration.partition(":")
        name = name.strip()
        if _LOOKED_AT.fullmatch(name):
            plain, important, _ = value[:_LONGEST].partition("!")
            yield ("font-size" if name == "font" else name), plain.strip(), bool(important)


def _presentational(node: Any) -> str:
    """The attributes of old HTML as style."""
    style = "display: none;" if node.get("hidden") is not None else ""
    if node.get("bgcolor"):
        style += f"background-color: {node.get('bgcolor')};"
    if node.tag == "font" and node.get("color"):
        style += f"color: {node.get('color')};"
    return style


def _takes_out(style: Declarations) -> bool:
    """Whether the declarations remove a box from view with all that is in it."""
    if style.get("display") == "none" or style.get("content-visibility") == "hidden":
        return True
    if "opacity" in style and _number(style["opacity"], 1.0) < _LEAST_OPACITY:
        return True
    return _moves_away(style) or _clips(style)


def _moves_away(style: Declarations) -> bool:
    names = ["text-indent", "margin-left", "margin-top"]
    if style.get("position") in ("absolute", "fixed", "relative"):
        names += ["left", "top", "right", "bottom"]
    if any(_pixels(style[name]) <= _FAR_AWAY for name in names if name in style):
        return True
    transform = style.get("transform", "")
    if "translate" in transform:
        return any(_pixels(part[0] + part[1]) <= _FAR_AWAY for part in _LENGTH.findall(transform))
    return bool(re.search(r"scale[xy]?\(\s*0*\.?0*[,)]", transform))


def _clips(style: Declarations) -> bool:
    clip = [_pixels(part[0] + part[1]) for part in _LENGTH.findall(style.get("clip", ""))]
    if style.get("clip", "").startswith("rect") and clip and max(clip) <= 1:
        return True
    shape = style.get("clip-path", "")
    if re.match(r"circle\(\s*0|inset\(\s*(?:[5-9]\d|100)(?:\.\d+)?%|polygon\(\s*0\s*\)", shape):
        return True
    cut = "hidden" in (style.get("overflow"), style.get("overflow-x"), style.get("overflow-y")) or (
        style.get("overflow") == "clip"
    )
    sides = ("width", "height", "max-width", "max-height")
    return cut and any(side in style and _is_length(style[side]) and _pixels(style[side]) <= 1 for side in sides)


def _is_length(value: str) -> bool:
    return _LENGTH.fullmatch(value) is not None


def _pixels(value: str) -> float:
    """A length in px, relative units at their usual size; 0 for what is no length."""
    match = _LENGTH.search(value)
    return float(match[1]) * _PIXELS[(match[2] or "").lower()] if match else 0.0


def _number(value: str, default: float) -> float:
    match = _LENGTH.match(value)
    return (float(match[1]) / (100 if match[2] == "%" else 1)) if match else default


def _font_size(value: str, inherited: float) -> float:
    """px; also finds the size in the `font` shorthand, where it is the first length."""
    match = re.search(
        r"(?<![\w#.-])((?:\d+\.?\d*|\.\d+))(px|pt|em|rem|%|ex|ch|vw|vh|cm|mm|in|pc)|(?<![\w#.-])0(?![\w.%])", value
    )
    if match is None:
        return (
            16.0 if "-" in value or value in ("small", "medium", "large", "initial", "smaller", "larger") else inherited
        )
    if match[1] is None:
        return 0.0
    if match[2] in ("em", "%", "ex", "ch"):
        return float(match[1]) * inherited * {"em": 1, "%": 0.01, "ex": 0.5, "ch": 0.5}[match[2]]
    return float(match[1]) * _PIXELS[match[2]]


def _ground(style: Declarations) -> Colour | str | None:
    """The colour behind the text; None when the declarations leave what was there."""
    ground: Colour | str | None = None
    for name in ("background", "background-color"):
        value = style.get(name)
        if value is None or value in ("none", "inherit", "initial", "transparent", "0 0", "unset"):
            continue
        if "url(" in value or "gradient(" in value or "var(" in value:
            return "unknown"
        colour = parse_colour(value)
        if colour != "transparent":
            ground = colour
    return ground


def parse_colour(value: str) -> Colour | str:
    """Red, green and blue, 0 to 255; "transparent" below 5% opacity; "unknown" for what cannot be told."""
    value = value.strip().lower()
    if match := _HEX.search(value):
        digits = match[1] if len(match[1]) > 4 else "".join(digit * 2 for digit in match[1])
        opaque = len(digits) == 6 or int(digits[6:], 16) / 255 >= _LEAST_OPACITY
        return (int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:6], 16)) if opaque else "transparent"
    if match := _RGB.search(value):
        if match[4] is not None and _number(match[4], 1.0) < _LEAST_OPACITY:
            return "transparent"
        red, green, blue = (
            min(255, round(float(part.rstrip("%")) * (2.55 if "%" in part else 1))) for part in match.groups()[:3]
        )
        return (red, green, blue)
    if match := _HSL.search(value):
        if match[3] is not None and _number(match[3], 1.0) < _LEAST_OPACITY:
            return "transparent"
        if float(match[2]) > 96:  # so light that the hue hardly shows
            return _WHITE
        return "unknown"
    if "transparent" in value.split():
        return "transparent"
    return next((_NAMED[word] for word in re.findall(r"[a-z]+", value) if word in _NAMED), "unknown")
