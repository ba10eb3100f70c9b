"""Numbers that carry their own check: payment cards, IBANs, US social security numbers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.personal_data.detection import Cue, Entity, words

# Issuer identification numbers: (first, last, lengths), compared with the card's first digits.
# From the public ranges of the schemes, as listed at https://en.wikipedia.org/wiki/Payment_card_number.
_LONG: Final = (16, 17, 18, 19)
_ISSUERS: Final = (
    ("4", "4", (13, 16, 19)),  # Visa
    ("51", "55", (16,)),  # Mastercard
    ("2221", "2720", (16,)),  # Mastercard
    ("34", "34", (15,)),  # American Express
    ("37", "37", (15,)),  # American Express
    ("6011", "6011", _LONG),  # Discover
    ("644", "659", _LONG),  # Discover, RuPay, Verve, Elo
    ("300", "305", (14, *_LONG)),  # Diners Club
    ("3095", "3095", (14, *_LONG)),  # Diners Club
    ("36", "36", (14, *_LONG)),  # Diners Club
    ("38", "39", (14, *_LONG)),  # Diners Club
    ("3528", "3589", _LONG),  # JCB
    ("2131", "2131", (15,)),  # JCB
    ("1800", "1800", (15,)),  # JCB
    ("62", "62", _LONG),  # UnionPay
    ("81", "82", _LONG),  # UnionPay, RuPay
    ("2200", "2204", _LONG),  # Mir
    ("5018", "5020", (12, 13, 14, 15, *_LONG)),  # Maestro, Dankort
    ("5038", "5038", (12, 13, 14, 15, *_LONG)),  # Maestro
    ("5893", "5893", (12, 13, 14, 15, *_LONG)),  # Maestro
    ("6304", "6304", (12, 13, 14, 15, *_LONG)),  # Maestro
    ("6759", "6763", (12, 13, 14, 15, *_LONG)),  # Maestro
    ("506099", "506198", _LONG),  # Verve
    ("508500", "508999", (16,)),  # RuPay
    ("606282", "606282", (16,)),  # Hipercard
    ("9792", "9792", (16,)),  # Troy
)
_DIGITS: Final = re.compile(r"\d+")
_NUMBERS: Final = re.compile(r"\d+(?:[ .-]\d+)*")
_MOST_DIGITS: Final = 19  # ISO/IEC 7812-1
_DOUBLED: Final = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)  # the digit sums of twice 0 to 9
_CARD_CUE: Final = Cue(
    r"card|credit|debit|visa|master|maestro|amex|diners|discover|jcb|pan\b|cc\b|kart|carte|tarjeta|cart[aã]o|carta|"
    r"kredit|карт|カード|卡",
    before=64,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CardDetector:
    """CREDIT_CARD: the issuer's ranges and lengths, and the check digit by Luhn (ISO/IEC 7812-1)."""

    name: str = "card"
    types: frozenset[str] = frozenset({"CREDIT_CARD"})

    def detect(self, text: str) -> Iterator[Entity]:
        """The card numbers of `text`.

        Unusual groups, fewer than 14 digits and unknown issuers need a word before them that says it is a card.
        """
        for found in _NUMBERS.finditer(text):
            if found.end() - found.start() >= 12 and not _in_word(text, *found.span()):
                yield from _cards(text, [group.span() for group in _DIGITS.finditer(text, *found.span())])


def _cards(text: str, groups: list[tuple[int, int]]) -> Iterator[Entity]:
    """The card numbers that neighbouring groups of digits make, each as long as can be."""
    first = 0
    while first < len(groups):
        last = _last_of_card(text, groups, first)
        if last is not None:
            yield Entity(type="CREDIT_CARD", start=groups[first][0], end=groups[last][1])
        first = first + 1 if last is None else last + 1


def _last_of_card(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """The last group of the longest card number that begins with the group `first`."""
    start = groups[first][0]
    longest, digits, last = None, "", first
    while last < len(groups) and len(digits) + groups[last][1] - groups[last][0] <= _MOST_DIGITS:
        digits += text[slice(*groups[last])]
        if len(digits) >= 12 and digits[0] in "12345689" and luhn(digits) and len(set(digits)) > 1:
            sizes = [b - a for a, b in groups[first : last + 1]]
            separators = {text[b] for _, b in groups[first:last]}
            usual = len(digits) >= 14 and len(separators) < 2 and _usual(sizes) and has_issuer(digits)
            if usual or (digits[0] in "23456" and _CARD_CUE.near(text, start, groups[last][1])):
                longest = last
        last += 1
    return longest


def _usual(sizes: list[int]) -> bool:
    """Whether digits are grouped as on cards: not at all, in fours, or 4-6-5 and 4-6-4."""
    return len(sizes) == 1 or sizes in ([4, 6, 5], [4, 6, 4]) or (set(sizes[:-1]) == {4} and sizes[-1] <= 4)


def has_issuer(digits: str) -> bool:
    """Whether a known issuer gives out card numbers that begin like this and are as long."""
    return any(len(digits) in lengths and first <= digits[: len(first)] <= last for first, last, lengths in _ISSUERS)


def luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others: every second one doubled, the sum of digits mod 10."""
    total = sum(map(int, digits[-1::-2])) + sum(map(_DOUBLED.__getitem__, map(int, digits[-2::-2])))
    return total % 10 == 0


# Account parts of IBANs after country and check digits, from the SWIFT IBAN registry (release 99):
# n digits, a capital letters, c either; each with its count.
_BBANS: Final = dict(
    entry.split(":")
    for entry in words("""
    AD:n8c12 AE:n19 AL:n8c16 AT:n16 AZ:a4c20 BA:n16 BE:n12 BG:a4n6c8 BH:a4c14 BI:n23 BR:n23a1c1 BY:c4n4c16 CH:n5c12
    CR:n18 CY:n8c16 CZ:n20 DE:n18 DJ:n23 DK:n14 DO:c4n20 EE:n16 EG:n25 ES:n20 FI:n14 FK:a2n12 FO:n14 FR:n10c11n2
    GB:a4n14 GE:a2n16 GI:a4c15 GL:n14 GR:n7c16 GT:c24 HN:a4n20 HR:n17 HU:n24 IE:a4n14 IL:n19 IQ:a4n15 IS:n22
    IT:a1n10c12 JO:a4n4c18 KW:a4c22 KZ:n3c13 LB:n4c20 LC:a4c24 LI:n5c12 LT:n16 LU:n3c13 LV:a4c13 LY:n21 MC:n10c11n2
    MD:c20 ME:n18 MK:n3c10n2 MN:n16 MR:n23 MT:a4n5c18 MU:a4n19a3 NI:a4n20 NL:a4n10 NO:n11 OM:n3c16 PK:a4c16 PL:n24
    PS:a4c21 PT:n21 QA:a4c21 RO:a4c16 RS:n18 RU:n14c15 SA:n2c18 SC:a4n20a3 SD:n14 SE:n20 SI:n15 SK:n20 SM:a1n10c12
    SO:n19 ST:n21 SV:a4n20 TL:n19 TN:n20 TR:n5c17 UA:n6c19 VA:n18 VG:a4n16 XK:n16 YE:a4n4c18""")
)
_CLASSES: Final = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}
_ACCOUNTS: Final = {
    country: re.compile(re.sub(r"([nac])(\d+)", lambda part: f"{_CLASSES[part[1]]}{{{part[2]}}}", bban))
    for country, bban in _BBANS.items()
}
_LENGTHS: Final = {country: 4 + sum(map(int, re.findall(r"\d+", bban))) for country, bban in _BBANS.items()}
_IBAN_DIGITS: Final = re.compile(r"\d\d")
_IBAN: Final = re.compile(r"[A-Za-z0-9](?:[ -]?[A-Za-z0-9])*")


@dataclass(frozen=True, slots=True, kw_only=True)
class IbanDetector:
    """IBAN_CODE: the country's length and layout, and the check digits by ISO 7064 mod 97-10."""

    name: str = "iban"
    types: frozenset[str] = frozenset({"IBAN_CODE"})

    def detect(self, text: str) -> Iterator[Entity]:
        """The IBANs of `text`, written together or in groups, in either case."""
        for check in _IBAN_DIGITS.finditer(text):
            start = check.start() - 2
            country = text[max(0, start) : start + 2].upper()
            if country not in _LENGTHS or _ascii_alnum(text[max(0, start - 1) : start]):
                continue
            found = _IBAN.match(text, start, start + 2 * _LENGTHS[country])
            end = _end_of(found[0], _LENGTHS[country]) if found else 0
            if end and not _ascii_alnum(text[start + end : start + end + 1]) and is_iban(text[start : start + end]):
                yield Entity(type="IBAN_CODE", start=start, end=start + end)


def _end_of(written: str, length: int) -> int:
    """Where the first `length` letters and digits of `written` end; 0 when it has fewer."""
    seen = 0
    for position, character in enumerate(written):
        seen += character not in " -"
        if seen == length:
            return position + 1
    return 0


def is_iban(written: str) -> bool:
    """Whether `written`, spaces, hyphens and case aside, is an IBAN of a country of the registry."""
    code = re.sub(r"[ -]", "", written).upper()
    account = _ACCOUNTS.get(code[:2])
    if account is None or not code[2:4].isdigit() or not account.fullmatch(code[4:]):
        return False
    return int("".join(str(int(character, 36)) for character in code[4:] + code[:4])) % 97 == 1


_SSN: Final = re.compile(r"\d{3}([ .-]?)\d{2}\1\d{4}")
_SSN_CUE: Final = Cue(r"ssn|ss#|soc(?:ial|\.)?[ -]?sec|social", before=64)
_NEVER_ISSUED: Final = frozenset({"078051120", "219099999", "123456789"})  # printed in adverts and samples


@dataclass(frozen=True, slots=True, kw_only=True)
class SsnDetector:
    """US_SSN: https://www.ssa.gov/employer/randomizationfaqs.html says which numbers are never given."""

    name: str = "ssn"
    types: frozenset[str] = frozenset({"US_SSN"})

    def detect(self, text: str) -> Iterator[Entity]:
        """The numbers of `text` with hyphens; written otherwise, where a word says what they are."""
        for found in _SSN.finditer(text):
            start, end = found.span()
            if _in_digits(text, start, end) or not is_ssn(re.sub(r"[ .-]", "", found[0])):
                continue
            if found[1] == "-" or _SSN_CUE.near(text, start, end):
                yield Entity(type="US_SSN", start=start, end=end)


def is_ssn(digits: str) -> bool:
    """Whether nine digits can be a social security number."""
    area, group, serial = digits[:3], digits[3:5], digits[5:]
    given = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return given and digits not in _NEVER_ISSUED


def _ascii_alnum(character: str) -> bool:
    return character.isascii() and character.isalnum()


def _in_word(text: str, start: int, end: int) -> bool:
    """Whether an ASCII letter or digit stands right before or after [start, end)."""
    return _ascii_alnum(text[max(0, start - 1) : start]) or _ascii_alnum(text[end : end + 1])


def _in_digits(text: str, start: int, end: int) -> bool:
    """Whether [start, end) is part of a longer number, a decimal fraction or an ASCII word."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if _in_word(text, start, end) or (len(before) == 2 and before[1] in ".-/" and before[0].isdigit()):
        return True
    return len(after) == 2 and after[0] in ".-/" and after[1].isdigit()
