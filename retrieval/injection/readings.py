"""What a text says once its disguise is undone: invisible signs, look-alike letters, digits for letters, split words.

Everything that is undone is either one character for one character or a deletion, so each character of the reading
has one place in the source. The look-alikes are letters that Unicode TR 39 (confusables) maps to ASCII letters.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from ingest.codepoints import Stripped, strip
from ingest.screening import Finding
from retrieval.injection.lexicon import ENGLISH_MASKS, LEXICON
from retrieval.injection.lexicon_english import HARMLESS

# Cyrillic, Greek, Armenian, Cherokee and Latin extended letters that look like the ASCII letter below them.
_PAIRS: Final = (
    "аa еe оo рp сc уy хx іi јj ѕs ԁd ԛq ԝw һh ӏl үy ԍg ьb пn гr тt "  # Cyrillic
    "АA ВB ЕE КK МM НH ОO РP СC ТT ХX ІI ЈJ ЅS ҮY ԌG ԚQ ԜW "
    "αa οo ρp νv ιi τt κk υu χx γy ηn ωw εe βB "  # Greek
    "ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX "
    "օo սu ոn հh ցg "  # Armenian
    "ɑa ɡg ɩi ʀR ɪI ɴN ᴀA ᴄC ᴅD ᴇE ᴋK ᴍM ᴏO ᴘP ᴛT ᴜU ᴠV ᴡW ᴢZ ʟL ɢG ʙB ʜH ᴊJ"  # Latin small capitals and others
)
_LOOK_ALIKES: Final = {pair[0]: pair[1] for pair in _PAIRS.split()}
_LEET: Final = str.maketrans("013456789@$!|+", "oieasgtbgasilt")
_LEET_L: Final = str.maketrans("013456789@$!|+", "oleasgtbgaslit")

_STRANGE = re.compile(
    "[\u0250-\u03ff\u0400-\u058f\u13a0-\u13ff\u1d00-\u1dbf\u2070-\u209f\u2100-\u214f\u2460-\u24ff"
    "\uff10-\uff5a\U0001d400-\U0001d7ff\U0001f130-\U0001f189]"
)
_WIDE_WORD = re.compile(r"[^\s\x00-\x2f]{1,64}")
# Each begins with the rare character, so that a search over prose is one scan for it.
_LEET_SIGN = re.compile(r"[0134578@$!|](?=[A-Za-z])")
_LEET_WORD = re.compile(r"[A-Za-z0-9@$!|+]{3,24}")
_SPLIT = re.compile(
    r"(?P<sign>[ \t\n.\-_*/|~,])[^\W\d_](?P=sign)(?<=[^\W\d_]...)(?<![^\W_]....)[^\W\d_](?:(?P=sign)[^\W\d_])*"
    r"(?![^\W_])",
    re.DOTALL,
)
_BREAK = re.compile(r"[-_*~](?<=[A-Za-z].)(?=[A-Za-z])", re.DOTALL)
_BROKEN = re.compile(r"[A-Za-z]{1,12}(?:[-_*~][A-Za-z]{1,12}){1,9}")
_BREAKS = re.compile(r"[-_*~]")
_MARKS = re.compile("[\u0300-\u036f\u20d2-\u20e5][\u0300-\u036f\u20d2-\u20e5]*")
_OVERLAYS: Final = frozenset("\u0334\u0335\u0336\u0337\u0338\u20d2\u20d3\u20e5")  # struck through: no language does
_MOST_MARKS: Final = 3  # on one letter, as Greek has
_WHOLE_WORD: Final = 5  # letters of a word all in look-alikes that is no word of its own script by chance
_SPLIT_LETTERS: Final = 4  # in a row, each apart, that initials and lists do not have by chance
_BROKEN_LETTERS: Final = 6  # of a word that signs break: shorter ones are common in compounds
_LONGEST: Final = 16  # letters of a word that is looked for
_SHORT_WORDS: Final = (
    "a i the and of to in on is are be this that you your me my it at as by for from with do not all any now"
)
_COMMON: Final = frozenset(_SHORT_WORDS.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A text with its disguise undone, and where its characters stand in the source."""

    text: str
    stripped: Stripped  # the source without invisible code points
    cuts: tuple[int, ...] = ()  # offsets in `text` at which signs between letters were taken out, ascending
    shifts: tuple[int, ...] = ()  # for each cut, how many were taken out up to and including it
    words: tuple[tuple[int, int], ...] = ()  # source spans of what was read otherwise than it is written

    def source_offset(self, offset: int) -> int:
        """Where the character at `offset` of `text` stands in the source; the end maps to the source's end."""
        cut = bisect_right(self.cuts, offset)
        return self.stripped.source_offset(offset + (self.shifts[cut - 1] if cut else 0))


def plain(text: str) -> Reading:
    """Read `text` as a person or a model would: its disguise undone. Linear in the length of the text.

    Only what then gives words of the lexicon is touched for digits and splits; mixed-script words always are.
    """
    stripped = strip(text)
    read = stripped.text
    touched: list[tuple[int, int]] = []
    if not read.isascii():
        read = _replaced(read, _latin_words(read), touched)
    read = _replaced(read, _unleeted(read), touched)
    dropped = sorted(_separators(read, touched))
    source = stripped.source_offset
    words = tuple(sorted({(source(start), source(end)) for start, end in touched})) if touched else ()
    if not dropped:  # as nearly always
        return Reading(text=read, stripped=stripped, words=words)
    cuts = tuple(position - index for index, position in enumerate(dropped))
    parts = [
        read[start:end] for start, end in zip([0, *[at + 1 for at in dropped]], [*dropped, len(read)], strict=True)
    ]
    return Reading(
        text="".join(parts), stripped=stripped, cuts=cuts, shifts=tuple(range(1, len(cuts) + 1)), words=words
    )


def find(text: str) -> list[Finding]:
    """Runs of invisible characters that carry something, and words of orders that are written in disguise."""
    reading = plain(text)
    findings = [
        Finding(
            kind="invisible",
            score=_INVISIBLE_SCORES[run.kind],
            start=run.start,
            end=run.end,
            reason="Characters that nobody sees stand here in a number or kind that no script needs.",
        )
        for run in reading.stripped.removed
        if run.kind in _INVISIBLE_SCORES and (run.end - run.start >= 4 or run.kind in ("tag", "override"))
    ]
    findings += _look_alikes(reading)
    return sorted(findings, key=lambda finding: (finding.start, finding.end))


# Of 3,974 clean pages 0.5 % had one word in disguise ("o-p-e-n"), one page had two and none an invisible run.
_INVISIBLE_SCORES: Final = {"tag": 0.995, "variation": 0.99, "zero_width": 0.97, "emoji_style": 0.9, "override": 0.97}
_LOOK_ALIKE_SCORES: Final = (0.93, 0.985, 0.995)  # by the number of words
_NEARBY: Final = 200  # characters between words in disguise that belong together


def _look_alikes(reading: Reading) -> Iterator[Finding]:
    """Words in disguise that stand near each other make one finding: the more of them, the higher its score."""
    group: list[tuple[int, int]] = []
    for start, end in [*reading.words, (-1, -1)]:
        if group and (start < 0 or start - group[-1][1] > _NEARBY):
            yield Finding(
                kind="look_alike",
                score=_LOOK_ALIKE_SCORES[min(len(group), len(_LOOK_ALIKE_SCORES)) - 1],
                start=group[0][0],
                end=max(end for _, end in group),
                reason="Words of an order are written in look-alike letters, digits or split by signs.",
            )
            group = []
        group.append((start, end))


def _replaced(text: str, words: Iterator[tuple[int, str]], touched: list[tuple[int, int]]) -> str:
    """`text` with words of the same length put in their places."""
    parts: list[str] = []
    done = 0  # of `text`
    for start, word in words:
        end = start + len(word)
        parts += (text[done:start], word)
        if LEXICON[word.casefold()]:
            touched.append((start, end))
        done = end
    return "".join([*parts, text[done:]]) if parts else text


def _latin_words(text: str) -> Iterator[tuple[int, str]]:
    """Words with look-alikes of ASCII letters in them, in ASCII."""
    for match in _around(_STRANGE, _WIDE_WORD, text, 64):
        if (latin := _latin(match[0])) != match[0]:
            yield match.start(), latin


@lru_cache(maxsize=4096)
def _latin(word: str) -> str:
    """`word` in ASCII where it is a disguise, else as it is. The length never changes."""
    folded = _folded(word)
    mapped = "".join(_LOOK_ALIKES.get(char, char) for char in folded)
    if mapped == folded:
        return folded
    has_ascii = any(char.isascii() and char.isalpha() for char in folded)
    letters = "".join(char for char in mapped if char.isalpha()).casefold()
    if letters.isascii() and (has_ascii or (len(letters) >= _WHOLE_WORD and letters in ENGLISH_MASKS)):
        return mapped
    return folded


def _folded(word: str) -> str:
    """Full-width, mathematical, circled and squared letters as plain ones, one for one."""
    return "".join(map(_fold, word))


@lru_cache(maxsize=4096)
def _fold(char: str) -> str:
    if char.isascii():
        return char
    if "\U0001f1e6" <= char <= "\U0001f1ff":
        return char  # flags
    if "\U0001f170" <= char <= "\U0001f189" or "\U0001f150" <= char <= "\U0001f169":
        return chr((ord(char) - 0x1F150) % 0x20 + ord("A"))
    plain_form = unicodedata.normalize("NFKC", char)
    if len(plain_form) == 1 and plain_form.isascii() and plain_form.isalnum():
        return plain_form
    return char


def _unleeted(text: str) -> Iterator[tuple[int, str]]:
    """Words of the lexicon that are written with digits and signs for letters."""
    for match in _around(_LEET_SIGN, _LEET_WORD, text, 24):
        if letters := _letters(match[0]):
            yield match.start(), letters


def _around(sign: re.Pattern[str], word: re.Pattern[str], text: str, longest: int) -> Iterator[re.Match[str]]:
    """The words that hold a sign, each once: looked for from at most `longest` characters before it."""
    done = 0
    for hint in sign.finditer(text):
        if hint.start() < done:
            continue
        start = max(done, text.rfind(" ", max(0, hint.start() - longest), hint.start()) + 1, hint.start() - longest)
        for match in word.finditer(text, start, hint.start() + longest):
            if match.end() > hint.start():
                yield match
                done = match.end()
                break


@lru_cache(maxsize=4096)
def _letters(word: str) -> str:
    """The English word that `word` spells with digits for letters, or nothing."""
    core = word.rstrip("!|+")
    if core.isalpha() or word.casefold() in ENGLISH_MASKS:
        return ""
    for table in (_LEET, _LEET_L):
        letters = core.translate(table)
        folded = letters.casefold()
        if folded in ENGLISH_MASKS or folded in _COMMON:
            return letters + word[len(core) :]
    return ""


def _separators(text: str, touched: list[tuple[int, int]]) -> Iterator[int]:
    """Offsets of the signs that split words: between single letters, and inside of words of the lexicon."""
    for match in _MARKS.finditer(text) if not text.isascii() else ():
        if len(match[0]) > _MOST_MARKS or not _OVERLAYS.isdisjoint(match[0]):
            yield from range(*match.span())
            touched.append((max(0, match.start() - 1), match.end()))
    groups = [(match.start() - 1, text[match.start() - 1 : match.end() : 2]) for match in _SPLIT.finditer(text)]
    parted = [(first, letters, _word_starts(letters)) for first, letters in groups]
    certain = any(starts and len(letters) >= _SPLIT_LETTERS for _, letters, starts in parted)
    for first, letters, starts in parted if certain else ():
        yield from sorted(
            {first + 2 * index - 1 for index in range(1, len(letters)) if starts}
            - {first + 2 * index - 1 for index in starts}
        )
        for begin, after in pairwise([*starts, len(letters)]):
            if LEXICON[letters[begin:after].casefold()]:
                touched.append((first + 2 * begin, first + 2 * after - 1))
    for match in _around(_BREAK, _BROKEN, text, 100):
        if _is_broken(match[0]):
            yield from (match.start() + at for at, char in enumerate(match[0]) if not char.isalpha())
            touched.append(match.span())


@lru_cache(maxsize=4096)
def _is_broken(written: str) -> bool:
    """Whether signs break a word of the lexicon into pieces of which one at least is no word."""
    pieces = _BREAKS.split(written.casefold())
    joined = "".join(pieces)
    return (
        len(joined) >= _BROKEN_LETTERS
        and joined in ENGLISH_MASKS
        and written.casefold() not in HARMLESS
        and not all(map(_is_word, pieces))
    )


def _word_starts(letters: str) -> list[int]:
    """Where words begin in letters that were written apart; nothing where they hold no known word of them."""
    folded = letters.casefold()
    starts = [0]
    known = at = 0
    while at < len(folded):
        length = next((n for n in range(min(_LONGEST, len(folded) - at), 1, -1) if _is_word(folded[at : at + n])), 0)
        if at and (length or starts[-1] == known):
            starts.append(at)
        at += length or 1
        known = at if length else known
    return starts if known and len(folded) == len(letters) else []


def _is_word(word: str) -> bool:
    return word in _COMMON or word in ENGLISH_MASKS
