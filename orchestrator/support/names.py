"""The names in a text: capitalised words, and words in the scripts of names; and whether other texts hold them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ingest.terms import STOP_WORDS

MAX_CHARACTERS: Final = 20_000  # of a text that are read, as in `values`
MIN_STEM: Final = 4  # letters that two forms of a name must share: German and Germany, Canada and Canadian

# Words of German, which capitalises every noun, that are not words of English too.
_GERMAN: Final = re.compile(
    r"\b(?:der|das|dem|eine?[rnms]?|wie|wer|wann|wo|welche[rnms]?|ist|sind|wird|werden|wurden?|haben|für|und|nicht"
    r"|wieviele?|viele|zu[rm]?|bei|auf|aus|kann|können)\b",
    re.IGNORECASE,
)
_WORD: Final = re.compile(r"[^\W_](?:[^\W_]|[.&](?=[^\W\d_])|['’](?=[^\W_])|\u0300)*")
_KATAKANA: Final = re.compile(r"[ァ-ヺー・]{3,}")
_SENTENCE_END: Final = re.compile(r"(?:\A|[.!?:;。！？\n|•\t])[\s\"'“”‘’«»(\[*_#-]*\Z")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


def _groups(text: str) -> tuple[frozenset[str], ...]:
    return tuple(map(_words, text.split("|")))


# Capitalised for another reason than being a name: titles, months (they are dates), and what begins a sentence.
_NO_NAMES: Final = STOP_WORDS | _words("""
    i mr mrs ms miss dr prof professor sir lord lady president ceo chairman january february march april may june july
    august september october november december he she they we you it this that these those but also after before during
    while when since although though however meanwhile both under until there their her his its our your my all some
    many most no not if then so such other another each every several later following because despite through""")
_ENDINGS: Final = _words("s es n an ian ean ish ese i ic er ers e a y ia ans ians land ns") | {""}
_SAME: Final = _groups("""
    france french | spain spanish | netherlands dutch holland | switzerland swiss | britain british uk english
    | wales welsh | greece greek | denmark danish | poland polish | turkey turkish | ireland irish | norway norwegian
    | us usa america american | sweden swedish | finland finnish | scotland scottish | china chinese
    | eu european europe""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a text names, and every word by which it may hold a name."""

    named: tuple[str, ...]  # words of names, folded, each once
    words: frozenset[str]  # all words, folded
    initials: frozenset[str]  # of runs of two to six capitalised words, so that "WHO" meets the organisation


@lru_cache(maxsize=1_024)
def read_names(text: str) -> Names:
    """The names in the first `MAX_CHARACTERS` of `text`; none in German, and none where most words are capitalised."""
    text = text[:MAX_CHARACTERS]
    found = list(_WORD.finditer(text))
    capital = [any(map(str.isupper, match[0])) for match in found]
    named: list[str] = []
    if not capitalises_nouns(text) and not _title_case(found, capital):
        named = [
            word
            for number, match in enumerate(found)
            if capital[number] and _is_name(text, found, capital, number)
            for word in _parts(match[0])
        ]
    named += [fold_word(match[0]) for match in _KATAKANA.finditer(text)]
    words = {word for match in found for word in (fold_word(match[0]), *(_parts(match[0]) if "&" in match[0] else ()))}
    words |= {fold_word(match[0]) for match in _KATAKANA.finditer(text)}
    return Names(named=tuple(dict.fromkeys(named)), words=frozenset(words), initials=_initials(found, capital))


def missing_names(claim: Names, evidence: Iterable[Names]) -> tuple[str, ...]:
    """Words of the claim's names that no evidence has in any form: as they are, inflected, or as initials."""
    held = list(evidence)
    words = frozenset[str]().union(*(one.words for one in held))
    initials = frozenset[str]().union(*(one.initials for one in held))
    lost = [word for word in claim.named if not _held(word, words, initials)]
    if lost and any(run in words for run in claim.initials):  # the evidence has the short form of what the claim spells
        short = [run for run in claim.initials if run in words]
        lost = [word for word in lost if not any(word[0] in run for run in short)]
    return tuple(lost)


def capitalises_nouns(text: str) -> bool:
    """Whether `text` is German, where a capital letter is no sign of a name."""
    return _GERMAN.search(text) is not None


@lru_cache(maxsize=1 << 14)
def fold_word(word: str) -> str:
    """A word without case, marks over letters, full stops and a possessive s."""
    folded = unicodedata.normalize("NFKD", word.replace("’", "'")).casefold()
    folded = "".join(character for character in folded if not unicodedata.combining(character))
    return folded.removesuffix("'s").replace(".", "").replace("'", "") or folded


def _parts(word: str) -> list[str]:
    return [fold_word(part) for part in word.split("&") if part]


def _title_case(found: list[re.Match[str]], capital: list[bool]) -> bool:
    letters = [match for match in found if match[0][0].isalpha()]
    return len(letters) > 2 and sum(capital) > 0.8 * len(letters)


def _is_name(text: str, found: list[re.Match[str]], capital: list[bool], number: int) -> bool:
    """Whether a capitalised word is one of a name and does not only begin a sentence."""
    match = found[number]
    word = match[0]
    if fold_word(word) in _NO_NAMES or len(word) < 2:
        return False
    inner = any(character.isupper() for character in word[1:])
    if inner or not _SENTENCE_END.search(text[max(0, match.start() - 12) : match.start()]):
        return match.start() > 0 or inner
    return number + 1 < len(found) and capital[number + 1] and text[match.end() : found[number + 1].start()] == " "


def _initials(found: list[re.Match[str]], capital: list[bool]) -> frozenset[str]:
    """First letters of the runs of capitalised words, and of parts of them; little words between count as not there."""
    runs: list[str] = []
    run = ""
    for number, match in enumerate(found):
        if capital[number] and (not run or match.start() - found[number - 1].end() <= 2):
            run += fold_word(match[0])[:1]
        elif not (run and match[0] in ("of", "the", "and", "for", "de", "la")):
            runs.append(run)
            run = fold_word(match[0])[:1] if capital[number] else ""
    runs.append(run)
    return frozenset(r[a:b] for r in runs for a in range(min(len(r), 12)) for b in range(a + 2, min(len(r), a + 6) + 1))


def _held(word: str, words: frozenset[str], initials: frozenset[str]) -> bool:
    if word in words or word in initials or word.removesuffix("s") in words:
        return True
    if any(word in group and not group.isdisjoint(words) for group in _SAME):
        return True
    return any(_inflected(word, other) for other in words if other[:MIN_STEM] == word[:MIN_STEM])


def _inflected(one: str, other: str) -> bool:
    """Whether two words are forms of one name: a common stem with endings of inhabitants, plurals and languages."""
    return any(
        one.startswith(other[:length]) and one[length:] in _ENDINGS and other[length:] in _ENDINGS
        for length in range(MIN_STEM, min(len(one), len(other)) + 1)
    )
