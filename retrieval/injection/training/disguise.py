"""Ways in which attackers write the same words so that a filter does not see them, for training texts."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

_LEET: Final = str.maketrans({"a": "4", "e": "3", "i": "1", "o": "0", "s": "5", "t": "7"})
_LIGHT_LEET: Final = str.maketrans({"e": "3", "o": "0", "i": "1"})
_CYRILLIC: Final = str.maketrans("aceopxyABCEHKMOPTX", "асеорхуАВСЕНКМОРТХ")
_FULL_WIDTH: Final = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


def drawn(text: str, rng: random.Random) -> str:
    """`text` written in one of the ways, drawn by `rng`."""
    return rng.choice(_WAYS)(text, rng)


def leetspeak(text: str, rng: random.Random) -> str:
    """Digits for letters: all six usual ones, or three of them."""
    return text.translate(rng.choice((_LEET, _LIGHT_LEET)))


def homoglyphs(text: str, rng: random.Random) -> str:
    """Cyrillic letters in place of Latin ones that look alike, in about two words of three."""
    return " ".join(word.translate(_CYRILLIC) if rng.random() < 0.67 else word for word in text.split(" "))


def spaced(text: str, rng: random.Random) -> str:
    """The letters of some longer words set apart by a space, a dot, a hyphen or a zero-width space."""
    gap = rng.choice((" ", ".", "-", "\u200b"))
    return " ".join(gap.join(word) if len(word) > 4 and rng.random() < 0.5 else word for word in text.split(" "))


def shouted(text: str, rng: random.Random) -> str:
    """Capitals, with more exclamation marks."""
    return text.upper().replace(".", rng.choice((".", "!", "!!!")))


def careless(text: str, rng: random.Random) -> str:
    """Small letters without full stops, a few neighbouring letters exchanged."""
    letters = list(text.lower().replace(".", ""))
    for position in range(1, len(letters) - 1):
        if letters[position].isalpha() and letters[position + 1].isalpha() and rng.random() < 0.02:
            letters[position : position + 2] = letters[position + 1], letters[position]
    return "".join(letters)


def full_width(text: str, rng: random.Random) -> str:  # noqa: ARG001
    """The wide forms that East Asian fonts have of ASCII."""
    return text.translate(_FULL_WIDTH)


def underscored(text: str, rng: random.Random) -> str:
    """Another sign in place of every space."""
    return text.replace(" ", rng.choice(("_", "-", "/", "  ")))


_WAYS: Final[tuple[Callable[[str, random.Random], str], ...]] = (
    leetspeak,
    homoglyphs,
    spaced,
    shouted,
    careless,
    full_width,
    underscored,
)
