"""Words by what they do in an order to a model: one look-up gives the classes of a word as a bit mask.

English is listed by form (`lexicon_english`), other languages mostly by stem (`lexicon_latin`, `lexicon_scripts`).
Terms of scripts that write no spaces, and phrases of several words, are found by one search over the text.
"""

from __future__ import annotations

import re
from functools import reduce
from operator import or_
from typing import Final

from retrieval.injection.lexicon_classes import Word
from retrieval.injection.lexicon_english import ENGLISH, HARMLESS
from retrieval.injection.lexicon_latin import LATIN
from retrieval.injection.lexicon_scripts import SCRIPTS

MAX_REMEMBERED: Final = 50_000  # words, about 6 MB; those beyond are looked up anew each time
_MAX_STEM: Final = 14  # letters of the longest stem that is tried


class _Lexicon(dict[str, int]):
    """Casefolded word to mask. An unknown word is tried by its stem and remembered."""

    def __init__(self, words: dict[str, int], stems: dict[str, int]) -> None:
        super().__init__(words)
        self._stems = stems
        self._shortest = min(map(len, stems))

    def __missing__(self, word: str) -> int:
        mask = self._by_form(word)
        if len(self) < MAX_REMEMBERED and len(word) <= 30:
            self[word] = mask
        return mask

    def _by_form(self, word: str) -> int:
        pieces = _PIECES.findall(word)
        if len(pieces) != 1 or pieces[0] != word:
            address = int(Word.ADDRESS) if "@" in word.strip("@") else 0
            return reduce(or_, (self[piece] for piece in pieces), address) if len(pieces) < 6 else address
        for length in range(min(len(word), _MAX_STEM), self._shortest - 1, -1):
            if mask := self._stems.get(word[:length]):
                return mask
        return 0


def _masks(words: dict[Word, str]) -> dict[str, int]:
    """Each listed word with all of its classes."""
    masks: dict[str, int] = {}
    for word_class, listed in words.items():
        for word in listed.casefold().split():
            masks[word] = masks.get(word, 0) | int(word_class)
    return masks


def _build() -> tuple[_Lexicon, dict[str, int]]:
    """The lexicon by word, and the terms that are found inside of longer runs of letters or across spaces."""
    words: dict[str, int] = {}
    stems: dict[str, int] = {}
    inside: dict[str, int] = {}
    for language in (*LATIN, *SCRIPTS):
        for listed, mask in _masks(language).items():
            kind = stems if listed.endswith("*") else inside if "_" in listed or _INSIDE.search(listed) else words
            word = listed.rstrip("*").replace("_", " ")
            kind[word] = kind.get(word, 0) | mask | int(Word.FOREIGN)
    words.update(dict.fromkeys(HARMLESS, 0))
    words.update(ENGLISH_MASKS)
    return _Lexicon(words, stems), inside


_PIECES = re.compile(r"[^\W_]+")  # of what was written with underscores or apostrophes

# Arabic, Devanagari, Thai, kana, Han and Hangul: a word is found inside of what stands around it.
_INSIDE: Final = re.compile("[\u0600-\u06ff\u0900-\u097f\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
ENGLISH_MASKS: Final = _masks(ENGLISH)
LEXICON, INSIDE_TERMS = _build()
