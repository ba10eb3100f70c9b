"""Numbers that are written as words: "twenty-five", "two hundred thousand", "dritte", "三十"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple


class Spoken(NamedTuple):
    """A number in words, [start, end) of the text."""

    start: int
    end: int
    value: float
    ordinal: bool


def spoken_numbers(text: str) -> Iterator[Spoken]:
    """The numbers that are written as words in `text`; any string will do."""
    for run in _runs(text):
        words = [match[0].casefold() for match in run]
        yield Spoken(run[0].start(), run[-1].end(), _value(words), words[-1] in _ORDINALS)
    for match in _CHINESE.finditer(text):
        yield Spoken(match.start(), match.end(), _chinese_value(match[0]), ordinal=False)


# One group a number, from 0 up: English, German, French, Spanish, Italian, Russian.
_ONES: Final = """
    zero | one ein eins eine un une uno una один | two zwei deux dos due два | three drei trois tres tre три
    | four vier quatre cuatro quattro четыре | five fünf cinq cinco cinque пять | six sechs seis sei шесть
    | seven sieben sept siete sette семь | eight acht huit ocho otto восемь | nine neun neuf nueve nove девять
    | ten zehn dix diez dieci десять | eleven elf onze once undici | twelve zwölf douze doce dodici dozen dutzend
    | thirteen dreizehn treize trece | fourteen vierzehn quatorze catorce | fifteen fünfzehn quinze quince
    | sixteen sechzehn seize | seventeen siebzehn | eighteen achtzehn | nineteen neunzehn
"""
_TENS: Final = """
    twenty zwanzig vingt veinte | thirty dreißig trente treinta | forty vierzig quarante cuarenta
    | fifty fünfzig cinquante cincuenta | sixty sechzig soixante sesenta | seventy siebzig setenta
    | eighty achtzig ochenta | ninety neunzig noventa
"""
_ORDINAL_WORDS: Final = """
    first erste ersten erster erstes premier première primero primera | second zweite zweiten deuxième segundo segunda
    | third dritte dritten troisième tercero tercera | fourth vierte vierten quatrième cuarto
    | fifth fünfte fünften cinquième quinto | sixth sechste | seventh siebte | eighth achte | ninth neunte
    | tenth zehnte | eleventh elfte | twelfth zwölfte
"""


def _numbered(groups: str, values: range) -> dict[str, float]:
    """The words of each group, with the value of the group."""
    return {word: float(n) for n, words in zip(values, groups.split("|"), strict=True) for word in words.split()}


_CARDINALS: Final = {
    **_numbered(_ONES, range(20)),
    **_numbered(_TENS, range(20, 100, 10)),
    **{"half": 0.5, "twice": 2.0, "once": 1.0, "pair": 2.0, "single": 1.0, "double": 2.0},
}
_ORDINALS: Final = _numbered(_ORDINAL_WORDS, range(1, 13))
_MULTIPLIERS: Final = {"hundred": 100.0, "hundert": 100.0, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_ALL: Final = "|".join(sorted({*_CARDINALS, *_ORDINALS, *_MULTIPLIERS}, key=len, reverse=True))
_WORD: Final = re.compile(rf"(?<![^\W_])(?:{_ALL})(?![^\W_])", re.IGNORECASE)
_BETWEEN: Final = (" ", "-", " and ")  # what stands between the words of one number
_LONGEST: Final = 12  # words of one number
_CHINESE: Final = re.compile(r"[零一二两三四五六七八九十百千]{1,12}(?=[天年月日个個人元名次周週倍号])")
_CHINESE_DIGITS: Final = {character: n for n, character in enumerate("零一二三四五六七八九")} | {"两": 2}
_CHINESE_POWERS: Final = {"十": 10, "百": 100, "千": 1_000}


def _runs(text: str) -> Iterator[list[re.Match[str]]]:
    """Number words that make one number together."""
    run: list[re.Match[str]] = []
    for match in _WORD.finditer(text):
        if run and not (len(run) < _LONGEST and _joined(text, run[-1], match)):
            yield run
            run = []
        run.append(match)
    if run:
        yield run


def _joined(text: str, before: re.Match[str], after: re.Match[str]) -> bool:
    if text[before.end() : after.start()].casefold() not in _BETWEEN:
        return False
    first, second = before[0].casefold(), after[0].casefold()
    if first in _MULTIPLIERS or second in _MULTIPLIERS:
        return True
    return _CARDINALS.get(first, 0.0) in range(20, 100, 10) and 1 <= {**_CARDINALS, **_ORDINALS}[second] < 10


def _value(words: list[str]) -> float:
    total = part = 0.0
    for word in words:
        if word in _MULTIPLIERS:
            part = max(part, 1.0) * _MULTIPLIERS[word]
            if _MULTIPLIERS[word] >= 1e3:
                total, part = total + part, 0.0
        else:
            part += _CARDINALS[word] if word in _CARDINALS else _ORDINALS[word]
    return total + part


def _chinese_value(characters: str) -> float:
    total = digit = 0
    for character in characters:
        if character in _CHINESE_POWERS:
            total += max(digit, 1) * _CHINESE_POWERS[character]
            digit = 0
        else:
            digit = _CHINESE_DIGITS[character]
    return float(total + digit)
