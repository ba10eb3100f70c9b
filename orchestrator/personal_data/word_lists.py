"""A tenant's own words and phrases: code names, customers, projects."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from ingest.errors import BadInput
from orchestrator.personal_data.detection import Entity, fold

_UNSPACED: Final = r"\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"  # scripts whose words have no space between
_TOKEN: Final = re.compile(rf"[^\W{_UNSPACED}]+|[{_UNSPACED}]|[^\w\s]")

Phrase = tuple[str, ...]


class WordListDetector:
    """The words and phrases of a list, each with the type that the tenant gave it.

    Letter case, white space between words and signs, and invisible characters make no difference; a phrase never
    begins or ends inside a word. Of the phrases that begin at one place the longest is found. Time is linear in the
    text, whatever the length of the list.
    """

    def __init__(self, phrases: Mapping[str, str], *, name: str = "own list") -> None:
        """`phrases` maps a phrase to its type, as in `{"Project Heron": "CODENAME"}`. Raises BadInput for no phrase."""
        self.name = name
        self.types = frozenset(phrases.values())
        self._types = {_phrase(written): kind for written, kind in phrases.items()}
        if not self._types or () in self._types:
            cause = "The list holds no phrase, or an empty one."
            raise BadInput(name, "empty_phrase", cause, "Give at least one letter, digit or sign for each entry.")
        lengths: dict[str, set[int]] = {}
        for phrase in self._types:
            lengths.setdefault(phrase[0], set()).add(len(phrase))
        self._lengths = {first: sorted(found, reverse=True) for first, found in lengths.items()}  # longest first

    def detect(self, text: str) -> Iterator[Entity]:
        """The phrases that stand in `text`."""
        spans = [token.span() for token in _TOKEN.finditer(text)]
        words = [text[start:end].casefold() for start, end in spans]
        first = 0
        while first < len(words):
            for length in self._lengths.get(words[first], ()):
                if kind := self._types.get(tuple(words[first : first + length])):
                    yield Entity(type=kind, start=spans[first][0], end=spans[first + length - 1][1])
                    first += length - 1
                    break
            first += 1


def _phrase(written: str) -> Phrase:
    return tuple(token.casefold() for token in _TOKEN.findall(fold(written).text))
