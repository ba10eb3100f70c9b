"""What a detector of personal data is, and the text that detectors look at.

A detector gets folded text: digits of all scripts as ASCII, wide forms as narrow ones, one kind of space and of hyphen,
nothing invisible. `fold` keeps the way back, so that an entity is a span of the text as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final, Protocol

from ingest.codepoints import Stripped, strip


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One piece of personal data: the characters [start, end) of a text."""

    type: str  # Presidio's name where it has one (EMAIL_ADDRESS), else a name of the tenant's own
    start: int
    end: int
    score: float = 1.0  # 0 to 1: how sure the detector is


class Detector(Protocol):
    """Looks for personal data of some types. Safe to call from several threads, in time linear in the text."""

    @property
    def name(self) -> str:
        """Names the detector in reports of failures."""
        ...

    @property
    def types(self) -> frozenset[str]:
        """The types of entities that it can find."""
        ...

    def detect(self, text: str) -> Iterable[Entity]:
        """The entities of a folded text, in any order; they may overlap. May raise: the chain withholds the text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """A text as detectors read it."""

    text: str
    stripped: Stripped  # of the source; its text is as long as `text`

    def source_span(self, start: int, end: int) -> tuple[int, int]:
        """Where the characters [start, end), at least one, stand in the source."""
        if not self.stripped.cuts:
            return start, end
        return self.stripped.source_offset(start), self.stripped.source_offset(end - 1) + 1


def fold(text: str) -> Folded:
    """`text` without invisible code points, its digits, spaces, hyphens and wide forms one for one as ASCII."""
    stripped = strip(text)
    folded = stripped.text if stripped.text.isascii() else stripped.text.translate(_folding())
    return Folded(text=folded, stripped=stripped)


_HYPHENS: Final = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u2043\ufe58\ufe63\u30fc"


@cache
def _folding() -> dict[int, str]:
    table = {0xFF01 + i: chr(0x21 + i) for i in range(94)} | {ord(hyphen): "-" for hyphen in _HYPHENS}
    for code in range(0x80, 0x20000):  # no digits or spaces are assigned above
        character = chr(code)
        if (category := unicodedata.category(character)) == "Nd":
            table[code] = str(unicodedata.digit(character))
        elif category == "Zs":
            table[code] = " "
    return table


def words(listed: str) -> tuple[str, ...]:
    """The words of a list that is written with white space between them."""
    return tuple(listed.split())


class Cue:
    """Words that, near a number, say what it is: "Tel.", "born on", "card"."""

    def __init__(self, words: str, *, before: int = 48, after: int = 0) -> None:
        """`words` is a regular expression over lower case; `before` and `after` are characters looked at."""
        self._words = re.compile(rf"(?<![^\W_])(?:{words})")
        self._before, self._after = before, after

    def near(self, text: str, start: int, end: int, *, since: int = 0) -> bool:
        """Whether one of the words stands in the same paragraph before, or after, the characters [start, end).

        What stands before `since` does not count.
        """
        before = text[max(since, start - self._before) : start].rpartition("\n\n")[2]
        if self._words.search(before.lower()):
            return True
        return bool(self._after and self._words.search(text[end : end + self._after].lower()))
