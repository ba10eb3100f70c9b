"""Dates, and those of them that are dates of birth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.personal_data.detection import Cue, Entity, words

_TIME: Final = (
    r"(?:[T ,]{1,2}\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,6})?)?(?: ?[AaPp]\.?[Mm]\b\.?)?(?:Z|[+-]\d{2}:?\d{2}\b)?)?"
)
_NUMERIC: Final = re.compile(
    rf"(?:(?P<y>\d{{4}})(?P<s>[-/.])(?P<m>\d{{1,2}})(?P=s)(?P<d>\d{{1,2}})"
    rf"|(?P<a>\d{{1,2}})(?P<t>[-/.])(?P<b>\d{{1,2}})(?P=t)(?P<year>\d{{4}}|\d{{2}})){_TIME}"
)
_CJK: Final = re.compile(r"\d{4} ?[年년] ?\d{1,2} ?[月월](?: ?\d{1,2} ?[日일])?")
# English, German, French, Spanish, Portuguese, Italian, Dutch and Scandinavian, Polish, Russian.
_MONTH_NAMES: Final = words("""
    january february march april may june july august september october november december
    januar jänner februar märz mai juni juli oktober dezember
    janvier février mars avril juin juillet août septembre octobre novembre décembre
    enero febrero marzo abril mayo junio julio agosto septiembre setiembre octubre noviembre diciembre
    janeiro fevereiro março maio junho julho setembro outubro novembro dezembro
    gennaio febbraio aprile maggio giugno luglio settembre ottobre dicembre
    januari februari maart mei augustus maj augusti desember
    stycznia lutego marca kwietnia maja czerwca lipca sierpnia września października listopada grudnia
    января февраля марта апреля мая июня июля августа сентября октября ноября декабря
    jan feb mar apr jun jul aug sep sept oct nov dec okt dez""")
_MONTH: Final = rf"(?:{'|'.join(sorted(set(_MONTH_NAMES), key=len, reverse=True))})(?![^\W_])\.?"
_AFTER_DAY: Final = re.compile(
    rf"(?:st|nd|rd|th|er|º|\.)?[ -](?:of |de |den )?{_MONTH}"
    rf"(?:,?[ -](?:of |de |del )?(?:19|20)\d\d(?!\d){_TIME})?",
    re.IGNORECASE,
)
_BEFORE_DAY: Final = re.compile(rf"(?<![^\W_]){_MONTH}[ -](?:the )?\Z", re.IGNORECASE)
_DAY_YEAR: Final = re.compile(rf"(?:st|nd|rd|th)?(?:,? (?:of )?(?:19|20)\d\d(?!\d){_TIME})?(?![^\W_])", re.IGNORECASE)
_BEFORE_YEAR: Final = re.compile(rf"(?<![^\W_]){_MONTH},?[ -](?:of |de )?\Z", re.IGNORECASE)
_DIGITS: Final = re.compile(r"\d+")
_WEEKDAY: Final = re.compile(
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)days?\b|\b(?:Montag|Dienstag|Mittwoch|Donnerstag|Freitag|Samstag|Sonntag)\b"
)
_BIRTH: Final = Cue(
    r"born|birth|dob\b|d\.o\.b|geb(?:oren|\.|urt)|née? |naiss|nac(?:id|im)|nasc|nat[oa] |födel|född|født|urodz|рожд|"
    r"родил|生年|出生|誕生|생년|ميلاد|जन्म",
    before=40,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DateDetector:
    """DATE_TIME, and DATE_OF_BIRTH where a word before it says so. A year alone is neither."""

    weekdays: bool = True  # whether the name of a day of the week counts
    name: str = "date"
    types: frozenset[str] = frozenset({"DATE_TIME", "DATE_OF_BIRTH"})

    def detect(self, text: str) -> Iterator[Entity]:
        """The dates of `text`."""
        done = 0
        for start, end in self._spans(text):
            birth = _BIRTH.near(text, start, end, since=done)  # of several dates after the word, the first
            done = end
            yield Entity(type="DATE_OF_BIRTH" if birth else "DATE_TIME", start=start, end=end)

    def _spans(self, text: str) -> Iterator[tuple[int, int]]:
        done = 0
        for digits in _DIGITS.finditer(text):
            start, end = digits.span()
            if start >= done and end - start <= 4 and (span := _numeric(text, start) or _worded(text, start, end)):
                done = span[1]
                yield span
        if self.weekdays:
            yield from (found.span() for found in _WEEKDAY.finditer(text))


def _numeric(text: str, start: int) -> tuple[int, int] | None:
    found = _NUMERIC.match(text, start) or _CJK.match(text, start)
    if found is None or not _apart(text, *found.span()):
        return None
    if found.re is _NUMERIC:
        parts = found.groupdict()
        if parts["y"]:
            likely = _month_and_day(parts["m"], parts["d"]) and 1000 <= int(parts["y"]) < 2200
        else:
            short = len(parts["year"]) == 2
            likely = _month_and_day(parts["a"], parts["b"]) or _month_and_day(parts["b"], parts["a"])
            likely = likely and not (short and parts["t"] != "/" and len(parts["a"] + parts["b"]) < 4)
            likely = likely and (short or 1000 <= int(parts["year"]) < 2200)
        if not likely:
            return None
    return found.span()


def _month_and_day(month: str, day: str) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _apart(text: str, start: int, end: int) -> bool:
    """Whether [start, end) is no part of a longer number, path or name."""
    before, after = text[max(0, start - 1) : start], text[end : end + 2]
    if before.isascii() and (before.isalnum() or before in (".", "/", "-", "_")):
        return False
    return not (after[:1].isascii() and (after[:1].isalnum() or (after[:1] in "/._-" and after[1:].isalnum())))


def _worded(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The date with the name of a month that the digits [start, end) are the day or the year of."""
    number, window = int(text[start:end]), text[max(0, start - 24) : start]
    if end - start <= 2 and 1 <= number <= 31:
        if (after := _AFTER_DAY.match(text, end)) and not window[-1:].isalnum():
            return start, after.end()
        if (before := _BEFORE_DAY.search(window)) and (after := _DAY_YEAR.match(text, end)):
            return start - len(window) + before.start(), after.end()
    is_year = end - start == 4 and 1000 <= number < 2200 and not text[end : end + 1].isalnum()
    if is_year and (before := _BEFORE_YEAR.search(window)):
        return start - len(window) + before.start(), end
    return None
