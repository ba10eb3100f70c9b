"""Telephone numbers, by the numbering plans that `phonenumbers` carries."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from ingest.errors import BadInput
from orchestrator.personal_data.detection import Cue, Entity, words

# Groups of digits as people write them; the extension is what follows the last group.
_RUN: Final = re.compile(r"\d(?:[ .()/-]{0,3}\d){5,18}")
_EXTENSION: Final = re.compile(
    r"[ ,;]{0,2}(?:x|ext\.?|extension|poste|durchwahl|доб\.?)[ .:]{0,2}\d{1,6}", re.IGNORECASE
)
_CUE: Final = Cue(
    r"(?:tele)?(?:phone|fon\b|fax|kop)|tel\b|mobil|cell(?: ?phone| number|:| is|\b.{0,3}\Z)|call|dial|sms|"
    r"whatsapp|signal\b|text (?:me|us|her|him|them)|ring|reach|contact|messag|answer|voicemail|hotline|helpline|"
    r"landline|(?:my|your) number|handy|anruf|erreich|rufnummer|t[ée]l[ée]|appel|portable|llam|m[oó]vil|celular|"
    r"ligar|puhelin|numer telefonu|тел|звон|τηλ|هاتف|جوال|फ़ोन|फोन|電話|电话|手机|携帯|전화|โทร",
    before=48,
    after=14,
)
_OTHER_NUMBER: Final = Cue(
    r"licen[cs]e|passport|order|invoice|ticket|account|reference|ref\b|isbn|issn|doi|rfc|serial|version|id\b|no\. of|"
    r"zip|postcode|postal code|member|policy|tracking|case|ssn|social security|\$|€|£|usd|eur|pages?|pp\b|page \d",
    before=28,
)
_LABEL: Final = re.compile(r"[ \t]?[-,(]?[ \t]?(?:office|work|home|direct|main|mobile|cell|fax|tel)\b", re.IGNORECASE)
_THREE_PAIRS: Final = re.compile(r"\d\d([ .-])\d\d\1\d\d")
_YEARS: Final = re.compile(r"(?:1\d|20)\d\d[ -/]{1,3}(?:1\d|20)\d\d")
_DATE: Final = re.compile(r"(?:19|20)\d\d[-./ ]\d\d?[-./ ]\d\d?(?!\d)|\d\d?[-./]\d\d?[-./](?:19|20)\d\d(?!\d)")
# Shapes that little else has: an area code in brackets, North American threes, a trunk 0, pairs.
_DISTINCT: Final = re.compile(
    r"\(\d{1,5}\)[ -]?\d{2,4}(?:[ -]?\d{2,5}){1,3}"
    r"|(?:1[ .-])?\(?\d{3}\)?(?P<us>[ .-])\d{3}(?P=us)\d{4}"
    r"|0\d{1,4}[ /-]{1,3}\d{2,4}(?P<trunk>[ -])\d{2,5}(?:(?P=trunk)\d{2,4}){0,3}"
    r"|0(?:\d{1,4}[/-]|\d{2,4} )\d{5,8}"
    r"|\d\d(?P<pairs>[ -])\d\d(?:(?P=pairs)\d\d){2,3}"
)
REGIONS: Final = words("""
    US CA GB IE AU NZ ZA IN SG DE AT CH FR BE NL LU ES PT IT DK SE NO FI IS PL CZ SK HU RO BG GR CY HR SI EE LV LT UA RU
    TR IL AE SA EG TN BR MX AR CL CO UY JP KR CN TW TH VN PH ID MY""")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneDetector:
    """PHONE_NUMBER: international ones, and those of `regions` as they are dialled there.

    What has a shape of its own and is valid in one of the regions counts by itself; anything else that has as many
    digits as a number of one of the regions needs a word beside it that says it is a telephone number.
    """

    regions: tuple[str, ...] = REGIONS  # ISO 3166-1 codes
    name: str = "phone"
    types: frozenset[str] = frozenset({"PHONE_NUMBER"})

    def detect(self, text: str) -> Iterator[Entity]:
        """The numbers of `text`, with their extensions."""
        for run in _RUN.finditer(text):
            for start, end in _readings(text, *run.span()):
                if self._is_phone(text, start, end, whole=end - start >= run.end() - run.start()):
                    extension = _EXTENSION.match(text, end)
                    yield Entity(type="PHONE_NUMBER", start=start, end=extension.end() if extension else end)
                    break

    def _is_phone(self, text: str, start: int, end: int, *, whole: bool) -> bool:
        """Whether [start, end) is a number; a part of a row of digits is one only by its own shape."""
        written = text[start:end]
        digits = re.sub(r"\D", "", written)
        if _inside_more(text, start, end) or _DATE.search(written) or written.count("(") != written.count(")"):
            return False
        if written.startswith(("+", "(+")) or (digits.startswith("00") and len(digits) >= 11):
            return _is_international(written, digits)
        if not 6 <= len(digits) <= 13 or _YEARS.fullmatch(written) or _OTHER_NUMBER.near(text, start, end):
            return False
        if _DISTINCT.fullmatch(written) and _plan(self.regions).fullmatch(digits):
            return True
        if len(digits) not in _lengths(self.regions) or (len(digits) == 6 and not _THREE_PAIRS.fullmatch(written)):
            return False
        return whole and (_LABEL.match(text, end) is not None or _CUE.near(text, start, end))


def _readings(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A row of digits as one number, then without its first one or two groups, then without its last."""
    yield _widened(text, start, end)
    first = text.find(" ", start, end)
    if first >= 0:
        yield _widened(text, first + 1, end)
        second = text.find(" ", first + 1, end)
        if second >= 0:
            yield _widened(text, second + 1, end)
        yield _widened(text, start, text.rfind(" ", start, end))


def _widened(text: str, start: int, end: int) -> tuple[int, int]:
    """[start, end) with the sign and the brackets that belong to it."""
    if start and text[start - 1] == "(" and ")" in text[start:end]:
        start -= 1
    for sign in ("+ ", "+", "(+"):
        if text.startswith(sign, max(0, start - len(sign))) and start >= len(sign):
            return start - len(sign), end
    return start, end


def _inside_more(text: str, start: int, end: int) -> bool:
    """Whether [start, end) is part of a longer number, of an amount, or of an ASCII word."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if before and before[-1].isascii() and (before[-1].isalnum() or before[-1] in "$€£#_=%&"):
        return True
    if len(before) == 2 and before[1] in ".-/,:" and before[0].isdigit():
        return True
    if after and after[0].isascii() and (after[0].isalnum() or after[0] in "%_"):
        return not _EXTENSION.match(text, end)
    return len(after) == 2 and after[0] in ".-/,:" and after[1].isdigit()


def _is_international(written: str, digits: str) -> bool:
    from phonenumbers import NumberParseException, is_possible_number, parse

    number = re.sub(r"\(0\)", "", written)
    number = "+" + re.sub(r"\D", "", number) if number.startswith(("+", "(+")) else "+" + digits[2:]
    try:
        return is_possible_number(parse(number))
    except NumberParseException:
        return False


@cache
def _plan(regions: tuple[str, ...]) -> re.Pattern[str]:
    """All numbers that are valid in one of the regions, with or without the prefix of calls within it."""
    plans = []
    for metadata in _metadata(regions):
        kinds = (metadata.fixed_line, metadata.mobile, metadata.toll_free, metadata.shared_cost, metadata.voip)
        patterns = {kind.national_number_pattern for kind in kinds if kind and kind.national_number_pattern}
        prefix = f"(?:{metadata.national_prefix})?" if metadata.national_prefix else ""
        plans.append(f"{prefix}(?:{'|'.join(sorted(patterns))})")
    return re.compile("|".join(plans) or r"(?!)")


@cache
def _lengths(regions: tuple[str, ...]) -> frozenset[int]:
    """How many digits numbers of the regions have, as they are dialled within a region or a town of it."""
    lengths: set[int] = set()
    for metadata in _metadata(regions):
        general = metadata.general_desc
        own = {*general.possible_length, *general.possible_length_local_only} - {-1}
        lengths |= own | {length + len(metadata.national_prefix or "") for length in own}
    return frozenset(lengths)


def _metadata(regions: tuple[str, ...]) -> Iterator[Any]:
    from phonenumbers import PhoneMetadata

    for region in regions:
        if (found := PhoneMetadata.metadata_for_region(region)) is None:
            raise BadInput(
                region, "unknown_region", "There is no numbering plan of this name.", "Use ISO 3166-1 codes."
            )
        yield found
