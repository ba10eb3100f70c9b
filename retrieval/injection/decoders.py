"""Text that says something else once it is decoded: base64, hex, escapes, rot13, reversed words and the like.

A piece is reported only when it decodes to readable text that gives an order, is a sentence at all, holds a secret or
names a URL. Images, keys, hashes and tokens do not decode to such text, so documents may hold as many as they like.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final
from urllib.parse import unquote

from ingest.screening import Finding
from ingest.terms import FOREIGN_WORDS, STOP_WORDS
from retrieval.injection.lexicon import LEXICON
from retrieval.injection.lexicon_classes import Word
from retrieval.injection.rules import looks_like_order


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderLimits:
    """How deep and how far a text is decoded."""

    levels: int = 3  # encodings within encodings; attacks that are nested deeper are not read by models either
    piece: int = 16_384  # characters decoded at once: longer pieces are decoded one after the other; a multiple of 8
    around: int = 300  # characters on each side of an enciphered word that are deciphered with it


@dataclass(frozen=True, slots=True)
class _Encoding:
    """One way to write text otherwise."""

    pattern: re.Pattern[str]
    trigger: str  # without it the pattern need not be tried
    decode: Callable[[str], str]  # raises ValueError where the piece is nothing of the kind


# Of 3,974 clean pages none held an order or a sentence in code, and one a secret; tracking links do hold addresses.
_SCORES: Final = {"order": 0.995, "sentence": 0.992, "url": 0.9, "secret": 0.9}
_SENTENCE_WORDS: Final = 6  # of a decoded text, from which on it may be a sentence
_COMMON_WORDS: Final = 2  # words of it that hold sentences together, in any of the larger languages
_SHORTEST: Final = 16  # characters of a word that could be base64 of an order
_SHORTEST_SAID: Final = 6  # characters of a decoded text that could say something
_READABLE: Final = 0.9  # share of printable characters; bytes taken for text by chance have less
_SECRET: Final = int(Word.SECRET)
_GAP: Final = r"[ ,;:\n]{1,2}"


def _base64(piece: str) -> str:
    if piece.islower() or piece.isupper():
        raise ValueError("one case only")
    first = base64.b64decode(piece[:_SHORTEST].translate(_STANDARD))
    if _text(first).count("\ufffd") > 1:  # the last character may be cut in two
        raise ValueError("no text")
    letters = "".join(piece.rstrip("=").split())
    usable = letters[: len(letters) - (len(letters) % 4 == 1)]
    return _text(base64.b64decode(usable.translate(_STANDARD) + "=" * (-len(usable) % 4)))


def _base32(piece: str) -> str:
    letters = piece.rstrip("=")
    usable = letters[: len(letters) // 8 * 8] if len(letters) % 8 in (1, 3, 6) else letters
    return _text(base64.b32decode(usable + "=" * (-len(usable) % 8)))


def _hex(piece: str) -> str:
    digits = re.sub(r"0x|[^0-9a-fA-F]", "", piece)
    return _text(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _binary(piece: str) -> str:
    digits = re.sub(r"[^01]", "", piece)
    return _text(bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits) - 7, 8)))


def _decimal(piece: str) -> str:
    codes = [int(code) for code in re.findall(r"\d{2,3}", piece)]
    if not all(code == 10 or 32 <= code < 127 for code in codes):
        raise ValueError("no ASCII")
    return "".join(map(chr, codes))


def _escapes(piece: str) -> str:
    codes = re.findall(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|([0-7]{3}))", piece)
    return "".join(chr(int(short or long, 16) if short or long else int(octal, 8)) for short, long, octal in codes)


def _morse(piece: str) -> str:
    words = re.split(r"\s*[/|]\s*|\s{2,}", piece)
    return " ".join("".join(_MORSE.get(sign, "?") for sign in word.split()) for word in words)


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", errors="replace")


_STANDARD: Final = str.maketrans("-_", "+/")
_SIGNS: Final = (
    ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.."
    " ----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----."
)
_MORSE: Final = dict(zip(_SIGNS.split(), "abcdefghijklmnopqrstuvwxyz0123456789", strict=True))
_ESCAPE: Final = r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3})"
_ENTITY: Final = r"&#(?:x[0-9a-fA-F]{1,6}|\d{1,7});"
_LONG: Final = (  # tried only on words of at least `_SHORTEST` characters
    _Encoding(re.compile(r"[A-Za-z0-9+/_-]{16,}(?:\s[A-Za-z0-9+/_-]{16,}){0,2000}={0,2}"), "", _base64),
    _Encoding(re.compile(r"[A-Z2-7]{16,}={0,6}"), "", _base32),
    _Encoding(re.compile(r"[0-9a-fA-F]{16,}"), "", _hex),
    _Encoding(re.compile(r"[01]{32,}"), "", _binary),
    _Encoding(re.compile(r"(?<![^\s%=?&/])[^\s%=?&/]{0,40}(?:%[0-9A-Fa-f]{2}[^\s%]{0,60}){3,}"), "%", unquote),
)
_SHORT: Final = (
    _Encoding(re.compile(rf"{_ESCAPE}(?:[ ,]?{_ESCAPE}){{3,}}"), "\\", _escapes),
    _Encoding(re.compile(rf"{_ENTITY}(?:[ ,]?{_ENTITY}){{3,}}"), "&#", html.unescape),
    _Encoding(re.compile(rf"[2-7][0-9a-fA-F](?:{_GAP}(?:0x)?(?:[2-7][0-9a-fA-F]|0[aA])){{7,}}"), "6", _hex),
    _Encoding(re.compile(rf"[01][01]{{7}}(?:{_GAP}[01]{{8}}){{3,}}"), "01", _binary),
    _Encoding(re.compile(rf"[1-9][0-9]{{1,2}}(?:{_GAP}[1-9][0-9]{{1,2}}){{7,}}"), "1", _decimal),
    _Encoding(re.compile(r"[.-](?<!\S.)[.-]{0,5}(?:[ /|\n]{1,3}[.-]{1,6}){7,}"), ".-", _morse),
)


def _shifted(text: str, by: int) -> str:
    """`text` with its letters moved `by` places on in the alphabet, as Caesar and rot13 do."""
    lower, upper = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return text.translate(str.maketrans(lower + upper, lower[by:] + lower[:by] + upper[by:] + upper[:by]))


def _mirrored(text: str) -> str:
    """`text` as the alphabet read from its end writes it (Atbash)."""
    lower, upper = "abcdefghijklmnopqrstuvwxyz", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return text.translate(str.maketrans(lower + upper, lower[::-1] + upper[::-1]))


def _backwards(text: str) -> str:
    return text[::-1]


_TELLING: Final = (
    "ignore disregard forget previous instructions instruction system prompt password secret reveal respond"
    " please answer translate following sentence message summary should because before without customer people include"
)


def _ciphers() -> dict[str, Callable[[str], str]]:
    """Words of orders as each cipher writes them, with what deciphers them."""
    ways: list[tuple[Callable[[str], str], Callable[[str], str]]] = [(_mirrored, _mirrored), (_backwards, _backwards)]
    ways += [(partial(_shifted, by=by), partial(_shifted, by=26 - by)) for by in range(1, 26)]
    words = f"{_TELLING} {_TELLING.title()} {_TELLING.upper()}".split()
    return {encipher(word): decipher for encipher, decipher in ways for word in words}


_CIPHERS: Final = _ciphers()
_CIPHERED: Final = frozenset(_CIPHERS)
_CODED = re.compile(r"[A-Z0-9%]")  # small letters alone are no encoding of text
_WORD = re.compile(r"[A-Za-z]{6,12}")
_DATA_URI = re.compile(r"data:[a-z]{1,20}/[a-zA-Z0-9.+-]{1,60}(?:;[a-z0-9=-]{1,40}){0,3},")


def find(text: str, limits: DecoderLimits = DecoderLimits()) -> list[Finding]:
    """The pieces of `text` that say something once decoded, by place. Time is linear in its length."""
    findings: list[Finding] = []
    for start, end, decoded in _pieces(text, limits):
        covered = any(finding.start <= start and end <= finding.end for finding in findings[-8:])
        score = 0.0 if covered else _score(decoded, limits.levels - 1, limits)
        if score and not ("%" in text[start:end] and score < _SCORES["order"]):  # percent signs belong in addresses
            findings.append(Finding(kind="encoded", score=score, start=start, end=end, reason=_REASON))
    return sorted(findings, key=lambda finding: (finding.start, finding.end))


_REASON: Final = "This reads otherwise once it is decoded: as an order, a sentence, a secret or an address."


def _score(decoded: str, levels: int, limits: DecoderLimits) -> float:
    """How suspicious a decoded text is, itself or what is encoded in it; 0 where it is not readable or harmless."""
    if not _is_readable(decoded):
        return 0.0
    if (" " in decoded or not decoded.isascii()) and looks_like_order(decoded):
        return _SCORES["order"]
    inner = (
        max((_score(more, levels - 1, limits) for *_, more in _pieces(decoded, limits)), default=0.0) if levels else 0.0
    )
    if _is_sentence(decoded):
        inner = max(inner, _SCORES["sentence"])
    if "://" in decoded:
        inner = max(inner, _SCORES["url"])
    if any(LEXICON[word] & _SECRET for word in _WORD.findall(decoded.lower())):
        inner = max(inner, _SCORES["secret"])
    return inner


def _is_sentence(text: str) -> bool:
    """Whether most of `text` is words, and enough of them hold a sentence together."""
    words = _PLAIN_WORD.findall(text[:_LOOKED_AT].lower())
    letters = sum(map(len, words))
    common = sum(word in STOP_WORDS or word in FOREIGN_WORDS for word in words)
    return len(words) >= _SENTENCE_WORDS and common >= _COMMON_WORDS and letters >= 0.7 * len(text[:_LOOKED_AT])


_LOOKED_AT: Final = 2_000
_PLAIN_WORD = re.compile(r"(?<![^\s(\"'])[^\W\d_]+(?=[\s.,;:!?)\"'-]|$)")


def _is_readable(text: str) -> bool:
    if len(text) < _SHORTEST_SAID or text.count("\ufffd") > (1 - _READABLE) * len(text):
        return False
    return text.isprintable() or sum(map(str.isprintable, text)) + text.count("\n") >= _READABLE * len(text)


def _pieces(text: str, limits: DecoderLimits) -> Iterator[tuple[int, int, str]]:
    """What may be encoded in `text`, with its place, decoded."""
    words = text.split()
    for start, end in _long_words(text, words):
        if _CODED.search(text, start, end):
            yield from _decoded(text, start, end, _LONG, limits)
    yield from _decoded(text, 0, len(text), _SHORT, limits)
    if not _CIPHERED.isdisjoint(words):
        yield from _deciphered(text, limits)


def _long_words(text: str, words: list[str]) -> Iterator[tuple[int, int]]:
    """Where long words stand; those that follow each other, as lines of base64 do, are one piece."""
    begin = end = 0
    for word in words:
        if len(word) < _SHORTEST:
            continue
        start = text.find(word, end)
        if start > end + 2 and end:
            yield begin, end
        if start > end + 2 or not end:
            begin = start
        end = start + len(word)
    if end:
        yield begin, end


def _decoded(
    text: str, first: int, last: int, encodings: tuple[_Encoding, ...], limits: DecoderLimits
) -> Iterator[tuple[int, int, str]]:
    """The pieces of `text[first:last]` that one of the encodings could have made, decoded."""
    for encoding in encodings:
        if text.find(encoding.trigger, first, last) < 0:
            continue
        for match in encoding.pattern.finditer(text, first, last):
            if _is_data_uri(text, match.start()):
                continue
            for start in range(match.start(), match.end(), limits.piece):
                end = min(start + limits.piece, match.end())
                try:
                    yield start, end, encoding.decode(text[start:end])
                except (ValueError, binascii.Error, OverflowError):
                    continue


def _is_data_uri(text: str, start: int) -> bool:
    """Whether what begins at `start` is the content of a data URI: an image that is written into the page."""
    uri = text.rfind("data:", max(0, start - 200), start)
    return uri >= 0 and _DATA_URI.fullmatch(text, uri, start) is not None


def _deciphered(text: str, limits: DecoderLimits) -> Iterator[tuple[int, int, str]]:
    """The surroundings of each enciphered word, deciphered; lines count as a whole where they are short."""
    done = 0
    for match in _WORD.finditer(text):
        decipher = _CIPHERS.get(match[0])
        if not decipher or match.start() < done:
            continue
        start = max(text.rfind("\n", 0, match.start()) + 1, match.start() - limits.around, done)
        stop = text.find("\n", match.end(), match.end() + limits.around)
        end = stop if stop >= 0 else min(len(text), match.end() + limits.around)
        yield start, end, decipher(text[start:end])
        done = end
