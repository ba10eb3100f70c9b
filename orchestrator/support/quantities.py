"""The numbers that a text names, with their magnitudes and units: "1.2 million" and "1,200,000" are one value.

A way of writing that can be read in two ways keeps both readings: "1.200" is 1.2 or 1,200. ("1,200" is taken for 1,200:
with a comma three decimals are rare.)
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.support.number_words import spoken_numbers
from orchestrator.support.plain_text import blanked
from orchestrator.support.units import BARE, UNIT_WORDS, Unit

MAX_DIGITS: Final = 15  # of a number that is compared by value; a longer one is an identifier
TOLERANCE: Final = 1e-10  # relative, between two values: what a change of units may cost in floating point

CLOCK: Final = Unit("clock")  # minutes after midnight
ORDINAL: Final = Unit("ordinal")
CENTURY: Final = Unit("century")
DECADE: Final = Unit("decade")  # its first year


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A number with its unit."""

    text: str  # as it was written
    values: frozenset[float]  # its readings, in the base unit of its dimension
    unit: Unit  # what it counts; BARE where nothing is said
    word: bool = False  # written as a word: "one" and "second" may be no number at all


def read_quantities(text: str) -> Iterator[Quantity]:
    """The quantities of a plain text without its dates, in no particular order."""
    text, clocks = _clocks(text)
    yield from clocks
    spans = [(0, 0)]
    for match in _DIGITS.finditer(text):
        if match.start() >= spans[-1][1]:
            quantity, end = _quantity(text, match)
            spans.append((match.start(), end))
            yield quantity
    text = blanked(text, spans[1:])
    for spoken in spoken_numbers(text):
        unit, end = _unit(text, spoken.end)
        if spoken.ordinal and unit != CENTURY:
            unit, end = ORDINAL, spoken.end
        values = frozenset({spoken.value * unit.factor})
        yield Quantity(text=text[spoken.start : end].strip(), values=values, unit=unit, word=True)


def same_quantity(one: Quantity, other: Quantity) -> bool:
    """Whether two quantities are one value of one unit; a number without a unit is every unit's own."""
    if one.unit.dimension == other.unit.dimension:
        return _close(one.values, other.values)
    if BARE not in (one.unit, other.unit):
        return False
    return _close({v / one.unit.factor for v in one.values}, {v / other.unit.factor for v in other.values})


def _close(one: Iterable[float], other: Iterable[float]) -> bool:
    held = list(other)
    return any(abs(a - b) <= TOLERANCE * max(abs(a), abs(b)) for a in one for b in held)


_CLOCK: Final = re.compile(
    r"(?<![\d:.])(?P<hour>[01]?\d|2[0-4])(?:[:.](?P<minute>[0-5]\d))?(?::[0-5]\d)?(?![\d:])\s?(?P<half>[ap]\.?m\b)?",
    re.IGNORECASE,
)
_DIGITS: Final = re.compile(
    r"(?P<sign>(?<![\w)\].])-(?=[\d$€£¥₹])|\bminus )?"
    r"(?P<before>[$€£¥₹]|\b(?:USD|EUR|GBP|JPY|CHF|US\$|Rs\.?|A\$|C\$))?\s?"
    r"(?P<number>\d{1,3}(?:[ ']\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d+)*)"
    r"(?P<ordinal>st\b|nd\b|rd\b|th\b|\.?º)?(?P<decade>s\b)?"
)
_UNIT: Final = re.compile(r"[ -]?(?P<unit>per ?cent|por ciento|pour ?cent|[^\W\d_]{1,14}[²$]?|°[CF]\b|[%‰°$€£¥₹])")
_SCALE: Final = re.compile(r"[ -]?(?P<scale>[^\W\d_]+)\.?")
_SCALES: Final = """
    1e3: thousand tausend mille mil тыс тысяч 千 k | 1e4: 万 萬 | 1e5: lakh lakhs
    | 1e6: million millions mio mn millionen millones millón milhões млн | 1e7: crore crores | 1e8: 亿 億
    | 1e9: billion billions bn milliarde milliarden mrd milliard milliards млрд | 1e12: trillion trillions tn
"""
_SCALE_WORDS: Final = {
    word: float(factor)
    for factor, words in (group.split(":") for group in _SCALES.split("|"))
    for word in words.split()
}


def _clocks(text: str) -> tuple[str, list[Quantity]]:
    """Times of day and the text with spaces in their place; "9.30" is one only with am or pm."""
    found, spans = [], []
    for match in _CLOCK.finditer(text):
        half = (match["half"] or "").casefold()
        if not half and (match["minute"] is None or ":" not in match[0]):
            continue
        hour = int(match["hour"]) % 12 + 12 * half.startswith("p") if half else int(match["hour"])
        minutes = 60.0 * hour + int(match["minute"] or 0)
        found.append(Quantity(text=match[0].strip(), values=frozenset({minutes}), unit=CLOCK))
        spans.append(match.span())
    return blanked(text, spans), found


def _quantity(text: str, match: re.Match[str]) -> tuple[Quantity, int]:
    """The quantity whose digits `match` found, and where it ends."""
    readings, end = _readings(match["number"]), match.end()
    before = match["before"]
    if not match["ordinal"] and not match["decade"]:
        scale, end = _scale(text, end, money=before is not None)
        readings = {value * scale for value in readings}
    unit, end = (UNIT_WORDS[before.casefold()], end) if before else _unit(text, end)
    if match["ordinal"] and unit != CENTURY:
        unit, end = ORDINAL, match.end()
    elif match["decade"]:
        unit, end = DECADE, match.end()
    sign = -1.0 if match["sign"] else 1.0
    values = frozenset(sign * value * unit.factor for value in readings)
    return Quantity(text=text[match.start() : end].strip(), values=values, unit=unit), end


def _scale(text: str, end: int, *, money: bool) -> tuple[float, int]:
    """The power of ten that a word after a number adds, and where the word ends."""
    match = _SCALE.match(text, end)
    if match is None:
        return 1.0, end
    word = match["scale"]
    if word.casefold() in _SCALE_WORDS:
        return _SCALE_WORDS[word.casefold()], match.end("scale")
    if word[0] in _SCALE_WORDS and not word.isascii():  # 30万元
        return _SCALE_WORDS[word[0]], match.start("scale") + 1
    if match.start("scale") == end and (word == "M" or (money and word in ("m", "b", "B"))):
        return (1e9 if word in "bB" else 1e6), match.end("scale")
    return 1.0, end


def _unit(text: str, end: int) -> tuple[Unit, int]:
    """The unit behind a number, BARE where there is none, and where it ends."""
    match = _UNIT.match(text, end)
    if match is None:
        return BARE, end
    word = match["unit"]
    unit = UNIT_WORDS.get(word.casefold())
    if unit is not None:
        return unit, match.end("unit")
    if not word.isascii():  # 30天以上
        start = match.start("unit")
        return next(((UNIT_WORDS[word[:n]], start + n) for n in (3, 2, 1) if word[:n] in UNIT_WORDS), (BARE, end))
    return BARE, end


def _readings(number: str) -> set[float]:
    """The values that digits with points, commas, spaces and apostrophes between them may stand for."""
    number = re.sub(r"[ ']", "", number)
    parts, marks = re.split(r"[.,]", number), re.findall(r"[.,]", number)
    if sum(map(len, parts)) > MAX_DIGITS:
        return {_identifier(number)}
    if not marks:
        return {float(number)}
    grouped = 1 <= len(parts[0]) <= 3 and parts[0] != "0" and all(len(part) == 3 for part in parts[1:])
    if len(marks) == 1:
        readings = {float(f"{parts[0]}.{parts[1]}")}
        if grouped:
            readings = {float("".join(parts))} | (readings if marks[0] == "." else set())
        return readings
    if grouped and len(set(marks)) == 1:
        return {float("".join(parts))}
    if len(set(marks[:-1])) == 1 and marks[-1] != marks[0] and all(len(part) == 3 for part in parts[1:-1]):
        return {float("".join(parts[:-1]) + "." + parts[-1])}
    return {_identifier(number)}  # a version, a section, an address


def _identifier(number: str) -> float:
    """A value that no quantity has, for what is written in digits and is no number."""
    return -0.5 - zlib.crc32(number.encode())
