"""Text with one form of digits, dashes and spaces, as values are read from it."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_FORMS: Final = {"−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "’": "'", "٫": ".", "٬": ",", "²": "²", "³": "³"}


def plain(text: str) -> str:
    """`text` with digits of every script as 0 to 9, compatibility forms folded, and one dash. Any string will do."""
    return text if text.isascii() else "".join(map(_plain_character, text))


def blanked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    """`text` with spaces in place of each [start, end), which ascend and do not overlap."""
    pieces, position = [], 0
    for start, end in spans:
        pieces += [text[position:start], " " * (end - start)]
        position = end
    return "".join((*pieces, text[position:]))


@lru_cache(maxsize=4_096)
def _plain_character(character: str) -> str:
    decimal = unicodedata.decimal(character, None)
    if decimal is not None:
        return str(decimal)
    if character in _FORMS:
        return _FORMS[character]
    folded = unicodedata.normalize("NFKC", character)
    return _FORMS.get(folded, folded)
