"""The labels that Word computes for numbered paragraphs, "2.1" or "(a)": ECMA-376 part 1, section 17.9."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_PLACE = re.compile(r"%([1-9])")
_LEVELS = 9
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"), (10, "x"),
          (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """How one level of a list is numbered."""

    start: int = 0
    restart: int = _LEVELS  # counted from 1: levels above it, in rank, make this one start again; 0 for none
    form: str = "decimal"
    text: str = ""  # "%1.%2": the numbers of the first and second level
    style: str = ""  # of the paragraphs that are on this level
    legal: bool = False  # all numbers in Arabic digits


class Numbering:
    """Counts through the numbered paragraphs of a document, in their order.

    Lists (numId) that share a definition (abstractNumId) go on counting where the other one stopped, each with its own
    look; where one says so it starts again when it is first used.
    """

    def __init__(self, root: Any | None) -> None:
        self._levels: dict[str, dict[int, _Level]] = {}  # numId -> level from 0 -> how it is numbered
        self._restarts: dict[str, set[int]] = {}  # numId -> levels that start again
        self._reached: dict[str, list[int | None]] = {}  # numId -> numbers of the levels, None before the first
        if root is None:
            return
        definitions = {
            abstract.get(_W + "abstractNumId"): dict(map(_level, abstract.iter(_W + "lvl")))
            for abstract in root.iter(_W + "abstractNum")
        }
        shared = {name: _unreached() for name in definitions}
        for number in root.iter(_W + "num"):
            name, definition = number.get(_W + "numId", ""), _value(number, "abstractNumId")
            self._levels[name] = definitions.get(definition, {}) | dict(map(_level, number.iter(_W + "lvl")))
            self._reached[name] = shared.get(definition) or _unreached()
            self._restarts[name] = set(self._overrides(number, self._levels[name]))

    @staticmethod
    def _overrides(number: Any, levels: dict[int, _Level]) -> Iterator[int]:
        for override in number.iter(_W + "lvlOverride"):
            start = _value(override, "startOverride")
            at = _integer(override.get(_W + "ilvl"), 0)
            if start is not None and at in levels:
                levels[at] = replace(levels[at], start=_integer(start, 1))
                yield at

    def level_of_style(self, number: str, style: str) -> int:
        """The level of list `number` whose paragraphs have `style`, else the highest."""
        levels = self._levels.get(number, {}).items()
        return next((at for at, level in levels if style and level.style == style), 0)

    def label(self, number: str, at: int) -> str:
        """The label of the next paragraph on level `at`, from 0, of list `number`; "" for a bullet."""
        level = self._levels.get(number, {}).get(at)
        if level is None:
            return ""
        reached = self._reached[number]
        for restarted in self._restarts[number]:
            reached[restarted] = None
        self._restarts[number] = set()
        before = reached[at]
        reached[at] = level.start if before is None else before + 1
        for deeper in range(at + 1, _LEVELS):
            if at < self._levels[number].get(deeper, _Level()).restart:
                reached[deeper] = None
        return _PLACE.sub(lambda place: self._shown(number, int(place[1]) - 1, level.legal), level.text).strip()

    def _shown(self, number: str, at: int, legal: bool) -> str:
        level, reached = self._levels[number].get(at, _Level()), self._reached[number][at]
        count = level.start if reached is None else reached
        return str(count) if legal else _written(count, level.form)


def _unreached() -> list[int | None]:
    return [None] * _LEVELS


def _level(element: Any) -> tuple[int, _Level]:
    form = _value(element, "numFmt") or "decimal"
    at = min(_integer(element.get(_W + "ilvl"), 0), _LEVELS - 1)
    return at, _Level(
        start=_integer(_value(element, "start"), 0),
        restart=_integer(_value(element, "lvlRestart"), _LEVELS),
        form=form,
        text="" if form in ("bullet", "none") else _value(element, "lvlText") or "",
        style=_value(element, "pStyle") or "",
        legal=element.find(_W + "isLgl") is not None,
    )


def _value(element: Any, tag: str) -> str | None:
    found = element.find(_W + tag)
    return None if found is None else found.get(_W + "val")


def _integer(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else default


def _written(number: int, form: str) -> str:
    if form in ("bullet", "none"):
        return ""
    if form in ("lowerLetter", "upperLetter") and number > 0:
        letters = chr(ord("a") + (number - 1) % 26) * min((number - 1) // 26 + 1, 20)
        return letters.upper() if form == "upperLetter" else letters
    if form in ("lowerRoman", "upperRoman") and 0 < number < 4000:
        roman = _roman(number)
        return roman.upper() if form == "upperRoman" else roman
    if form == "ordinal":
        last = number % 10 if number % 100 not in (11, 12, 13) else 0
        return f"{number}{('th', 'st', 'nd', 'rd')[last] if last < 4 else 'th'}"
    return f"{number:02}" if form == "decimalZero" else str(number)


def _roman(number: int) -> str:
    parts = []
    for value, letters in _ROMAN:
        parts.append(letters * (number // value))
        number %= value
    return "".join(parts)
