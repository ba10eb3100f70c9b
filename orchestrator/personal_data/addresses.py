"""Postal addresses in the shapes of many countries: street and number in both orders, units, boxes, postcodes.

Parts are found beside the numbers of a text, then neighbours are joined into one address with what follows down to the
postcode. An address without any number is found only as "the corner of A and B".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from orchestrator.personal_data.detection import Cue, Entity

# Words for streets, by language, as they stand before or after the name, or end it.
_AFTER_NAME: Final = (
    "street|st|road|rd|avenue|ave|drive|dr|lane|ln|boulevard|blvd|court|ct|place|pl|square|sq|terrace|way|close|crescent|"
    "gardens?|grove|highway|hwy|parkway|pkwy|circle|cir|row|hill|mews|trail|alley|loop|plaza|quay|walk|rise|parade|"
    "terrasse|plass|plads|gate|gade|vej|veien|vei|gatan|gata|allé|katu|tie|utca|u|út|tér|straße|strasse|weg|platz|allee|"
    "straat|laan|plein|cesta|ulica|ulice|náměstí|iela|gatvė|tänav|tee"
)
_BEFORE_NAME: Final = (
    "rue|avenue|av|boulevard|bd|place|chemin|allée|allee|impasse|quai|route|via|viale|piazza|corso|vicolo|strada|largo|calle|c/|"
    "avenida|avda|paseo|plaza|camino|camiño|carrer|carretera|ronda|rua|travessa|praça|estrada|ulica|ul|ulitsa|aleja|al|"
    "os|trg|cesta|str|strada|bulevardul|jalan|jl|улица|ул|проспект|пр|переулок|вулиця|οδός|λεωφόρος|شارع|am|an der|im"
)
_ENDINGS: Final = (
    "straße|strasse|str\\.|weg|platz|gasse|allee|ring|damm|ufer|steig|straat|laan|plein|kade|gracht|dijk|singel|"
    "gatan|gata|gade|gaten|vegen|veien|vei|vej|vägen|väg|stigen|stien|gränd|backen|plassen|braut|vegur|stræti|"
    "katu|tie|kuja|polku|kaari|raitti|tänav|puiestee|iela|gatvė|utca|útja|ulice|ulica|ova|ská|cká|ského|"
    "улица|ская|街|路|通り|대로|길"
)
_UNIT: Final = (
    "apartment|apt|suite|ste|unit|flat|room|rm|floor|fl|building|bldg|lot|appartement|app|appt|étage|bâtiment|piso|puerta|"
    "wohnung|whg|etage|lejl|lgh|кв|корп|interno|scala|int"
)
_BOX: Final = r"p\. ?o\. ?box|po box|post ?box|post ?fach|postboks|box|boîte postale|bp|apartado|casilla|skrytka|psc|а/я"
_WORD: Final = r"[^\W\d_][^\W\d_'’.-]{0,30}(?:['’.-]{1,2}[^\W\d_]{1,20}){0,3}\.?"

_NUMBER: Final = re.compile(r"\d{1,6}(?!\d)")
_NUMBER_NAME_STREET: Final = re.compile(
    rf"\d{{1,6}}[a-z]?(?:[-/]\d{{1,4}})?,? (?P<name>(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,5}}?)"
    rf"(?P<street>(?:{_AFTER_NAME})(?![^\W_])\.?)",
    re.IGNORECASE,
)
_NUMBER_STREET_NAME: Final = re.compile(
    rf"\d{{1,5}}(?: ?(?:bis|ter|[a-d]))?,? (?P<street>(?:{_BEFORE_NAME})\.?) (?P<name>{_WORD}(?: {_WORD}){{0,4}})", re.IGNORECASE
)
_STREET_NAME: Final = re.compile(  # before a number
    rf"(?<![^\W_])(?P<street>(?:{_BEFORE_NAME})\.?) (?P<name>{_WORD}(?: {_WORD}){{0,4}}),? (?:n[.º°] ?)?\Z", re.IGNORECASE
)
_NAME_STREET: Final = re.compile(  # before a number
    rf"(?<![^\W_])(?P<name>(?:{_WORD} ){{0,3}}?(?:{_WORD} (?:{_AFTER_NAME})(?![^\W_])\.?|[^\W\d_][\w'’-]{{2,30}}?(?:{_ENDINGS}))),? \Z",
    re.IGNORECASE,
)
_ANY_NAME: Final = re.compile(rf"(?<![^\W_])(?P<name>{_WORD}(?: {_WORD}){{0,3}}) \Z")  # before a number
_NUMBER_ANY_NAME: Final = re.compile(rf"\d{{1,6}} (?P<name>{_WORD}(?: {_WORD}){{0,4}})")
_UNIT_BEFORE: Final = re.compile(rf"(?<![^\W_])(?:{_UNIT})\.?[ #]{{0,2}}\Z", re.IGNORECASE)
_BOX_BEFORE: Final = re.compile(rf"(?<![^\W_])(?:{_BOX})\.? ?\Z", re.IGNORECASE)
_FORCES_BEFORE: Final = re.compile(r"(?<![^\W_])(?:[AFD]PO|[afd]po) (?:A[AEP]|a[aep]) \Z")  # US military post
_CORNER: Final = re.compile(rf"corner of (?P<name>(?:\d{{1,5}} )?{_WORD}(?:[ ]{_WORD}|[ ]\d{{1,5}}){{0,5}}?) and (?:\d{{1,5}} )?{_WORD}(?: {_WORD}){{0,2}}")
_POSTCODE: Final = re.compile(
    r"(?:[A-Z]{1,2}-)?\d{3,6}(?:-\d{3,4})?(?!\d)(?: \d{2,3}(?!\d))?(?: [A-Z]{2}(?![^\W_]))?"  # most countries
    r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}(?![^\W_])"  # United Kingdom
    r"|[A-Z]\d[A-Z] ?\d[A-Z]\d(?![^\W_])",  # Canada
    re.IGNORECASE,
)
_WORDS: Final = re.compile(_WORD)
_TOKEN: Final = re.compile(rf"[ \t\n,>|()-]{{0,12}}(?:(?P<word>{_WORD})|(?P<digit>(?=\d)))")
_LONGEST_JOINT: Final = 20
_JOINT: Final = re.compile(r"[ \t,>|]*\n?[ \t,>|]*")
_CUE: Final = Cue(
    r"address|adresse|adress|direcci[oó]n|indirizzo|endereço|адрес|住所|地址|lives? (?:at|on|in)|living at|resid|located|"
    r"arrived at|office is at|offices are|sent? to|send (?:it|a|one|them)|deliver|ship|return to|meet you at|taxi to|"
    r"drops? you off|enter on|restaurant is|moved to|wohn|anschrift|habite|domicil",
    before=64,
)
_NO_NAMES: Final = frozenset(
    "january february march april may june july august september october november december chapter section page figure "
    "table step version line question phone tel fax the of in on at to from since until by for and or over about with "
    "than is was were are be has had no number article title volume part level grade year class total day week "
    "version q1 q2 q3 q4 error code http rfc office mobile zip".split()
)
_PARTICLES: Final = frozenset("de del della des do da la le las los of am an der den van von upon sur".split())
_HOUSE_BEFORE: Final = re.compile(r"(?<![\w.,:/-])\d{1,6}[a-z]?,? \Z")
_HOUSE_AFTER: Final = re.compile(r",? \d{1,5}(?!\d)")
_LOOKED_AT: Final = 64  # characters of the same line before a number, in which a street's name would stand

Kind = Literal["street", "box", "unit", "name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    start: int
    end: int
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressDetector:
    """STREET_ADDRESS, from the house number or street to the postcode where there is one."""

    most_words: int = 8  # between the street and the postcode: town, county, country
    name: str = "address"
    types: frozenset[str] = frozenset({"STREET_ADDRESS"})

    def detect(self, text: str) -> Iterator[Entity]:
        """The addresses of `text`."""
        small = text.islower()
        for parts in _joined(text, _parts(text, small)):
            start, end = min(part.start for part in parts), max(part.end for part in parts)
            if _enough(text, start, end, {part.kind for part in parts}):
                end = _down_to_postcode(text, end, self.most_words, small)
                yield Entity(type="STREET_ADDRESS", start=start, end=end, score=0.8)
        for corner in _CORNER.finditer(text):
            yield Entity(type="STREET_ADDRESS", start=corner.start(), end=corner.end(), score=0.6)


def _enough(text: str, start: int, end: int, kinds: set[Kind]) -> bool:
    """Whether parts of these kinds, next to each other, are an address."""
    if kinds & {"street", "box"}:
        return True
    return "name" in kinds and ("unit" in kinds or _CUE.near(text, start, end))


def _parts(text: str, small: bool) -> Iterator[_Part]:
    """What may be part of an address, in order; `small` says that the text has no capitals."""
    done = 0
    for number in _NUMBER.finditer(text):
        start, end = number.span()
        if start >= done and _apart(text, start) and (part := _part_at(text, start, end, small)):
            done = part.end
            yield part


def _apart(text: str, start: int) -> bool:
    """Whether no longer number, amount or word ends at `start`."""
    before = text[max(0, start - 1) : start]
    return not (before.isalnum() or before in (".", ":", "/", "-", "$", "#", "_"))


def _part_at(text: str, start: int, end: int, small: bool) -> _Part | None:
    """The part that the number [start, end) belongs to, by the words before it, else by those after it."""
    line = max(start - _LOOKED_AT, text.rfind("\n", max(0, start - _LOOKED_AT), start) + 1, 0)
    end += text[end : end + 1].isalpha() and not text[end + 1 : end + 2].isalnum()  # as in 12b
    if box := _BOX_BEFORE.search(text, line, start) or _FORCES_BEFORE.search(text, line, start):
        return _Part(start=box.start(), end=end, kind="box")
    if unit := _UNIT_BEFORE.search(text, line, start):
        return _Part(start=unit.start(), end=end, kind="unit")
    if (found := _NUMBER_NAME_STREET.match(text, start)) and _is_name(found["name"], small, found["street"]):
        return _Part(start=_with_house(text, start), end=found.end(), kind="street")
    if (found := _NUMBER_STREET_NAME.match(text, start)) and _is_name(found["name"], small, found["street"]):
        house = _HOUSE_AFTER.match(text, found.end())
        return _Part(start=_with_house(text, start), end=house.end() if house else found.end(), kind="street")
    before = _STREET_NAME.search(text, line, start) or _NAME_STREET.search(text, line, start)
    if before and _is_name(before["name"], small):
        return _Part(start=_with_house(text, before.start()), end=end, kind="street")
    if (before := _ANY_NAME.search(text, line, start)) and _is_name(before["name"], small):
        return _Part(start=_with_house(text, before.start()), end=end, kind="name")
    if (found := _NUMBER_ANY_NAME.match(text, start)) and _is_name(found["name"], small):
        return _Part(start=start, end=found.end(), kind="name")
    return None


def _with_house(text: str, start: int) -> int:
    """`start`, or where a number that stands just before it begins."""
    house = _HOUSE_BEFORE.search(text, max(0, start - 9), start)
    return house.start() if house else start


def _is_name(name: str, small: bool, street: str = "Street") -> bool:
    """Whether these words can be the name of a street: mostly capitalised, or all small in a text without capitals."""
    words = [word for word in _WORDS.findall(name) if len(word) > 1]
    if not words or any(word.lower() in _NO_NAMES for word in (words[0], words[-1])):
        return False
    if small:
        return True
    capitals = sum(not word[0].islower() for word in words)
    return capitals * 2 >= len(words) and not words[-1][0].islower() and (len(street) > 3 or street[0].isupper())


def _joined(text: str, parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Parts with nothing but commas, spaces and one line end between them, together."""
    block: list[_Part] = []
    for part in parts:
        if block and part.start - block[-1].end < _LONGEST_JOINT and _JOINT.fullmatch(text, block[-1].end, part.start):
            block.append(part)
        elif block and part.start < block[-1].end:
            block.append(part)
        else:
            if block:
                yield block
            block = [part]
    if block:
        yield block


def _down_to_postcode(text: str, end: int, most_words: int, small: bool) -> int:
    """Where the postcode ends that follows within some names of places, or `end`."""
    position = end
    for _ in range(most_words + 1):
        token = _TOKEN.match(text, position)
        if token is None:
            return end
        if token["word"] is None:
            postcode = _POSTCODE.match(text, token.start("digit"))
            return postcode.end() if postcode and not text[postcode.end() : postcode.end() + 1].isalnum() else end
        code = _POSTCODE.match(text, token.start("word"))
        if code and not text[code.end() : code.end() + 1].isalnum():
            return code.end()
        if token["word"][0].islower() and not small and token["word"] not in _PARTICLES:
            return end
        if token["word"].endswith(".") and len(token["word"]) > 4:
            return end
        position = token.end()
    return end
