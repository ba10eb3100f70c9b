"""The quantities and dates of a text, and which of them other texts do not have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from orchestrator.support.dates import Date, date_held, read_dates
from orchestrator.support.plain_text import plain
from orchestrator.support.quantities import DECADE, Quantity, read_quantities, same_quantity
from orchestrator.support.units import BARE

MAX_CHARACTERS: Final = 20_000  # of a text that are read: ten times the longest quote


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """All that a text names, in no particular order."""

    quantities: tuple[Quantity, ...] = ()
    dates: tuple[Date, ...] = ()


@lru_cache(maxsize=1_024)
def read_values(text: str) -> Values:
    """The values in the first `MAX_CHARACTERS` of `text`; any string will do."""
    dates, rest = read_dates(plain(text[:MAX_CHARACTERS]))
    return Values(quantities=tuple(read_quantities(rest)), dates=tuple(dates))


def missing_values(claim: Values, evidence: Iterable[Values]) -> tuple[str, ...]:
    """What `claim` names and none of `evidence` does, as it was written.

    Numbers in words are not looked for, since "one" and "second" may be none; digits find them all the same. A year is
    there when any date has it, a number also as the year or day of a date.
    """
    held = list(evidence)
    quantities = [quantity for one in held for quantity in one.quantities]
    dates = [date for one in held for date in one.dates]
    bare = {value for quantity in quantities if quantity.unit == BARE for value in quantity.values}
    numbers = [q.text for q in claim.quantities if not q.word and not _quantity_held(q, quantities, dates)]
    return (*numbers, *(date.text for date in claim.dates if not date_held(date, dates, bare)))


def _quantity_held(wanted: Quantity, quantities: list[Quantity], dates: list[Date]) -> bool:
    if any(same_quantity(wanted, held) for held in quantities):
        return True
    if wanted.unit == DECADE:
        return any(date.year is not None and float(date.year // 10 * 10) in wanted.values for date in dates)
    parts = {float(part) for date in dates for part in (date.year, date.day) if part is not None}
    return wanted.unit == BARE and not wanted.values.isdisjoint(parts)
