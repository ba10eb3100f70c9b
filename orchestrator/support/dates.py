"""The days, months and years that a text names, in one form: "3 May 2024", "2024-05-03" and "03.05.2024" are one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from orchestrator.support.plain_text import blanked
from orchestrator.support.units import UNIT_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Date:
    """A day, month or year; what was not said is None."""

    text: str  # as it was written
    year: int | None = None
    month: int | None = None
    day: int | None = None
    either: bool = False  # day and month may be the other way round, as in 3/5/2024


def read_dates(text: str) -> tuple[list[Date], str]:
    """The dates of a plain text, form by form, and the text with spaces in their place."""
    if not _MAY_DATE.search(text):
        return [], text
    found: list[Date] = []
    for form in _FORMS:
        matches = [(match, date) for match in form.finditer(text) if (date := _date(match)) is not None]
        text = blanked(text, [match.span() for match, _ in matches])
        found += [date for _, date in matches]
    spans = [match for match in _YEAR_SPAN.finditer(text) if _span_end(match) is not None]
    found += [Date(text=match[0], year=year) for match in spans for year in (int(match[1]), _span_end(match))]
    text = blanked(text, [match.span() for match in spans])
    years = [match for match in _LONE_YEAR.finditer(text) if not _counts(text, match.end())]
    found += [Date(text=match[0], year=int(match[0])) for match in years]
    return found, blanked(text, [match.span() for match in years])


def date_held(wanted: Date, dates: Collection[Date], other_years: Collection[float] = ()) -> bool:
    """Whether `dates` say every part of `wanted`: month and day in one date, the year there or anywhere.

    `other_years` are numbers that may be years as well.
    """
    if wanted.year is not None and wanted.year not in {date.year for date in dates} and wanted.year not in other_years:
        return False
    return wanted.month is None or any(_same_day(wanted, date) for date in dates)


def _same_day(wanted: Date, held: Date) -> bool:
    if wanted.year is not None and held.year is not None and wanted.year != held.year:
        return False
    return any(
        month == wanted_month and wanted_day in (None, day)
        for month, day in _ways(held)
        for wanted_month, wanted_day in _ways(wanted)
    )


def _ways(date: Date) -> set[tuple[int | None, int | None]]:
    """Month and day, both ways round where that is open."""
    return {(date.month, date.day)} | ({(date.day, date.month)} if date.either else set())


# One group a month: English, German, Spanish, French, Italian, Portuguese, Dutch, Russian.
_MONTHS: Final = """
    january jan januar jänner janvier janv enero gennaio janeiro января январь
    | february feb februar februari février févr febrero febbraio fevereiro февраля февраль
    | march mar märz mär maart mars marzo março марта март
    | april apr avril avr abril aprile апреля апрель
    | may mai mei mayo maggio maio мая май
    | june jun juni juin junio giugno junho июня июнь
    | july jul juli juillet juil julio luglio julho июля июль
    | august aug août agosto augustus августа август
    | september sep sept septembre septiembre settembre setembro сентября сентябрь
    | october oct oktober okt octobre octubre ottobre outubro октября октябрь
    | november nov novembre noviembre novembro ноября ноябрь
    | december dec dezember dez décembre déc diciembre dicembre dezembro декабря декабрь
"""
_MONTH_NUMBER: Final = {name: n for n, names in enumerate(_MONTHS.split("|"), start=1) for name in names.split()}
_LONG_MONTHS: Final = "|".join(name for name in _MONTH_NUMBER if len(name) > 5)  # no words of another meaning
_MONTH: Final = "(?P<month>" + "|".join(sorted(_MONTH_NUMBER, key=len, reverse=True)) + r")\b\.?"
_YEAR: Final = r"(?P<year>1\d{3}|20\d{2})(?![\d%])"
_DAY: Final = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_FORMS: Final = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        rf"(?<![\d.,]){_YEAR}[-/.](?P<month>0?[1-9]|1[0-2])[-/.]{_DAY}(?!\d)",
        rf"(?<![\d.,])(?P<first>\d{{1,2}})(?P<mark>[-/.]) ?(?P<second>\d{{1,2}})(?P=mark) ?{_YEAR}",
        rf"{_YEAR}\s*年(?:\s*(?P<month>1[0-2]|0?[1-9])\s*月(?:\s*{_DAY}\s*日)?)?",
        rf"(?<!\d)(?P<month>1[0-2]|0?[1-9])\s*月\s*{_DAY}\s*日",
        rf"(?<![\d.,]){_DAY}(?:\s?(?:st|nd|rd|th)|\.|º|er)?\s(?:of\s|de\s)?{_MONTH}(?:,?\s(?:de\s)?{_YEAR})?",
        rf"\b{_MONTH}\s{_DAY}(?:st|nd|rd|th)?(?![\d:%]|[.,]\d)(?:,?\s{_YEAR})?",
        rf"\b{_MONTH},?\s(?:of\s|de\s)?{_YEAR}",
        rf"\b(?P<month>{_LONG_MONTHS})\b",
    )
)
_MAY_DATE: Final = re.compile(rf"\d|\b(?:{_LONG_MONTHS})\b", re.IGNORECASE)
_LONE_YEAR: Final = re.compile(r"(?<![\d.,:/$€£¥#-])(?:1[5-9]\d{2}|20\d{2})(?![\d%:]|[.,]\d|\s?[$€£¥])(?!s\b)")
_YEAR_SPAN: Final = re.compile(r"(?<![\d.,])(1[5-9]\d{2}|20\d{2})\s?[-/]\s?(\d{4}|\d{2})(?![\d-])")
_LONGEST_SPAN: Final = 120  # years; what is longer is no span of years
_COUNTED: Final = re.compile(r"[ -]?([^\W\d_]{1,14})")


def _date(match: re.Match[str]) -> Date | None:
    parts = {name: part for name, part in match.groupdict().items() if part is not None}
    year = int(parts["year"]) if "year" in parts else None
    if "first" in parts:
        return _numeric(match[0].strip(), year, parts)
    month = parts.get("month")
    number = int(month) if month and month.isdigit() else _MONTH_NUMBER.get((month or "").casefold())
    return Date(text=match[0].strip(), year=year, month=number, day=int(parts["day"]) if "day" in parts else None)


def _numeric(written: str, year: int | None, parts: Mapping[str, str]) -> Date | None:
    """A date of two numbers and a year: the day first, as nearly everywhere; strokes and dashes leave that open."""
    day, month = int(parts["first"]), int(parts["second"])
    if month > 12:
        day, month = month, day
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    return Date(text=written, year=year, month=month, day=day, either=parts["mark"] != "." and day <= 12)


def _span_end(match: re.Match[str]) -> int | None:
    """The last year of "2018-19"; None where it is no span of years."""
    end = int(match[2]) if len(match[2]) == 4 else int(match[1][:2] + match[2])
    return end if 0 < end - int(match[1]) <= _LONGEST_SPAN else None


def _counts(text: str, end: int) -> bool:
    """Whether the number that ends here counts something that has a unit: "2000 km" is no year."""
    following = _COUNTED.match(text, end)
    return following is not None and following[1].casefold() in UNIT_WORDS
