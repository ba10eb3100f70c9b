"""Text to search terms, and BM25's share of a passage that is known before anyone asks.

BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009) is a sum over the terms of the question of
an IDF factor and a term-frequency factor. The second is computed here when a passage is stored; the first is left to
the engine at query time, over what the asker may read. For the same reason the average length is a constant: one
taken from the corpus would carry traces of documents that the asker may not read.

Words become stems; scripts without spaces become bigrams. Longer words of passages that are not English also give their
character 5-grams (McNamee and Mayfield, "Character N-Gram Tokenization for European Language Text Retrieval", 2004), so
that parts of compounds and inflected forms meet. Questions always give them: without such passages they match nothing.
"""

from __future__ import annotations

import re
import threading
import unicodedata
import zlib
from collections import Counter
from functools import cache, lru_cache
from typing import Final

import numpy as np
import regex
import Stemmer
from numpy.typing import NDArray

K1: Final = 0.9  # how soon repetition stops to count; with B the usual values for short passages (Lin et al., Anserini)
B: Final = 0.4  # how much a long passage is held against itself
AVERAGE_TERMS: Final = 80  # terms of a passage of about 200 tokens, stop words left out
MAX_WORD: Final = 64  # characters of a word that count, so that a run of base64 costs no more than a word
GRAM: Final = 5  # characters of a gram, taken from words that are longer
GRAM_WEIGHT: Final = 0.5  # of a word's grams in a question, over the root of their number: they depend on each other


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP_WORDS: Final = _set("""
    a an and are as at be by for from has he in is it its of on that the to was were will with this these those or not
    which who what when where how""")
# The most frequent words of other languages in Latin script: more of them than English ones, and it is not English.
# German, Spanish, French, Italian, Portuguese, Dutch, Scandinavian, Polish to Finnish, Turkish, Romanian, Vietnamese.
FOREIGN_WORDS: Final = (
    _set("""
    der die das und ist nicht den von zu mit ein eine im des auf sich dem für als auch werden
    de la el los las que en un una del se por con para su
    le les et est dans une du au pour qui sur pas par
    il di che della per non sono gli nel
    os da do em não uma dos na ao
    van het een niet op zijn voor
    och att som det är på av til og ikke
    w z się i nie jest je ve že az és egy hogy ja ei on
    bir bu için ile olarak și în nu pe din cu care
    và của là có trong được các""")
    - STOP_WORDS
)

_ASCII_WORDS = re.compile(r"[a-z0-9_]+")
_WORDS = regex.compile(r"[\p{L}\p{M}\p{N}_]+")
# Scripts written without spaces between words, and Hangul, whose particles cling to the word.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_HAS_UNSPACED = regex.compile(rf"[{_UNSPACED}]")
_RUNS = regex.compile(rf"[{_UNSPACED}][{_UNSPACED}\p{{M}}ー]*|[^{_UNSPACED}]+")
_LATIN = regex.compile(r"[\p{Latin}\p{M}\p{N}_]+")
_LETTERS = regex.compile(r"[\p{L}\p{M}]+")
_STEMMERS = (
    (regex.compile(r"\p{Cyrillic}"), "russian"),
    (regex.compile(r"\p{Arabic}"), "arabic"),
    (regex.compile(r"\p{Devanagari}"), "hindi"),
    (regex.compile(r"\p{Greek}"), "greek"),
    (regex.compile(r"\p{Tamil}"), "tamil"),
    (regex.compile(r"\p{Armenian}"), "armenian"),
)
_stemming = threading.Lock()  # a stemmer keeps state while it works

Weights = tuple[NDArray[np.uint32], NDArray[np.float32]]


def terms(text: str) -> list[str]:
    """The words of `text` in order as search terms, repetitions kept, without grams. Any string will do."""
    return [term for word in words(text) for term in _word_terms(word)]


def words(text: str) -> list[str]:
    """The words of `text` in order, lower-case, compatibility forms folded. Any string will do."""
    if text.isascii():
        return _ASCII_WORDS.findall(text.lower())
    found: list[str] = _WORDS.findall(unicodedata.normalize("NFKC", text).lower())
    return found


def passage_weights(text: str) -> Weights:
    """Term ids (unique, ascending) and the BM25 term-frequency factor of each, for a passage that is stored."""
    counts = Counter(words(text))
    found: dict[int, int] = {}
    for word, count in counts.items():
        for number in word_ids(word):
            found[number] = found.get(number, 0) + count
    norm = K1 * (1 - B + B * sum(found.values()) / AVERAGE_TERMS)
    foreign = _is_foreign(counts)
    for word, count in counts.items():
        if len(word) > GRAM and (foreign or not _LATIN.fullmatch(word)):
            for number in _gram_ids(word):
                found[number] = found.get(number, 0) + count
    ids, frequencies = _arrays(found)
    return ids, (frequencies * (K1 + 1) / (frequencies + norm)).astype(np.float32)


def query_weights(text: str) -> Weights:
    """Term ids (unique, ascending) and the weight of each in a question: how often it is named, less for grams."""
    found: dict[int, float] = {}
    for word, count in Counter(words(text)).items():
        for number in word_ids(word):
            found[number] = found.get(number, 0.0) + count
        grams = _gram_ids(word)
        for number in grams:
            found[number] = found.get(number, 0.0) + count * GRAM_WEIGHT / len(grams) ** 0.5
    return _arrays(found)


def term_id(term: str) -> int:
    """The stable 32-bit id of a term: its CRC-32."""
    return zlib.crc32(term.encode("utf-8", "surrogatepass"))


def _arrays(found: dict[int, int] | dict[int, float]) -> Weights:
    ids = np.fromiter(found, np.uint32, len(found))
    order = np.argsort(ids)
    return ids[order], np.fromiter(found.values(), np.float32, len(found))[order]


def _is_foreign(counts: Counter[str]) -> bool:
    foreign = sum(counts[word] for word in FOREIGN_WORDS & counts.keys())
    return foreign >= 2 and foreign > sum(counts[word] for word in STOP_WORDS & counts.keys())


@lru_cache(maxsize=1 << 17)
def word_ids(word: str) -> tuple[int, ...]:
    """Ids of the terms of one word as `words` gives it."""
    return tuple(term_id(term) for term in _word_terms(word))


@lru_cache(maxsize=1 << 15)
def _gram_ids(word: str) -> tuple[int, ...]:
    """The grams of a word of letters, the mark in front keeping them apart from terms."""
    word = word[:MAX_WORD]
    if len(word) <= GRAM or not _LETTERS.fullmatch(word) or _HAS_UNSPACED.search(word):
        return ()
    return tuple({term_id(f"~{word[i : i + GRAM]}") for i in range(len(word) - GRAM + 1)})


def _word_terms(word: str) -> list[str]:
    """The terms of one word: its stem; bigrams where the script has no spaces; of a_b also a and b."""
    word = word[:MAX_WORD]
    if word in STOP_WORDS:
        return []
    if "_" in word:
        parts = [part for part in word.split("_") if part]
        whole = [word] if len(parts) > 1 else []
        return [*whole, *(term for part in parts for term in _word_terms(part))]
    if not word.isascii() and _HAS_UNSPACED.search(word):
        return [term for run in _RUNS.findall(word) for term in _run_terms(run)]
    return [_stem(word)]


def _run_terms(run: str) -> list[str]:
    if not _HAS_UNSPACED.match(run):
        return [_stem(run)]
    return [run[i : i + 2] for i in range(len(run) - 1)] or [run]


def _stem(word: str) -> str:
    language = "english"
    if not word.isascii():
        language = next((name for script, name in _STEMMERS if script.search(word)), language)
    with _stemming:
        return str(_stemmer(language).stemWord(word))


@cache
def _stemmer(language: str) -> Stemmer.Stemmer:
    return Stemmer.Stemmer(language, 0)
