"""Postal addresses in the shapes of many countries: street and number in both orders, units, boxes, postcodes.

Parts are found beside the numbers of a text, then neighbours are joined into one address with what follows down to the
postcode. An address without any number is found only as "the corner of A and B".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

from orchestrator.personal_data.detection import Cue, Entity, words

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
_BOX: Final = (
    r"p\. ?o\. ?box|po box|post ?box|post ?fach|postboks|box|"
    r"boîte postale|bp|apartado|casilla|skrytka|psc|а/я"
)
_WORD: Final = r"[^\W\d_][^\W\d_'’.-]{0,30}(?:['’.-]{1,2}[^\W\d_]{1,20}){0,3}\.?"

_NUMBER: Final = re.compile(r"\d{1,6}(?!\d)")
_NUMBER_NAME_STREET: Final = re.compile(
    rf"\d{{1,6}}[a-z]?(?:[-/]\d{{1,4}})?,? (?P<name>(?:(?:{_WORD}|\d{{1,3}}(?:st|nd|rd|th)) ){{1,5}}?)"
    rf"(?P<street>(?:{_AFTER_NAME})(?![^\W_])\.?)",
    re.IGNORECASE,
)
_NUMBER_STREET_NAME: Final = re.compile(
    rf"\d{{1,5}}(?: ?(?:bis|ter|[a-d]))?,? (?P<street>(?:{_BEFORE_NAME})\.?) (?P<name>{_WORD}(?: {_WORD}){{0,4}})",
    re.IGNORECASE,
)
_STREET_NAME: Final = re.compile(  # before a number
    rf"(?<![^\W_])(?P<street>(?:{_BEFORE_NAME})\.?) (?P<name>{_WORD}(?: {_WORD}){{0,4}}),? (?:n[.º°] ?)?\Z",
    re.IGNORECASE,
)
_NAME_STREET: Final = re.compile(  # before a number
    rf"(?<![^\W_])(?P<name>(?:{_WORD} ){{0,3}}?"
    rf"(?:{_WORD} (?:{_AFTER_NAME})(?![^\W_])\.?|[^\W\d_][\w'’-]{{2,30}}?(?:{_ENDINGS}))),? \Z",
    re.IGNORECASE,
)
_ANY_NAME: Final = re.compile(rf"(?<![^\W_])(?P<name>{_WORD}(?: {_WORD}){{0,3}}) \Z")  # before a number
_NUMBER_ANY_NAME: Final = re.compile(rf"\d{{1,6}} (?P<name>{_WORD}(?: {_WORD}){{0,4}})")
_UNIT_BEFORE: Final = re.compile(rf"(?<![^\W_])(?:{_UNIT})\.?[ #]{{0,2}}\Z", re.IGNORECASE)
_BOX_BEFORE: Final = re.compile(rf"(?<![^\W_])(?:{_BOX})\.? ?\Z", re.IGNORECASE)
_FORCES_BEFORE: Final = re.compile(r"(?<![^\W_])(?:[AFD]PO|[afd]po) (?:A[AEP]|a[aep]) \Z")  # US military post
_CORNER: Final = re.compile(
    rf"corner of (?P<name>(?:\d{{1,5}} )?{_WORD}(?:[ ]{_WORD}|[ ]\d{{1,5}}){{0,5}}?)"
    rf" and (?P<other>(?:\d{{1,5}} )?{_WORD}(?: {_WORD}){{0,2}})"
)
_POSTCODE: Final = re.compile(
    r"(?:[A-Z]{1,2}-)?\d{3,6}(?:-\d{3,4})?(?!\d)(?: \d{2,3}(?!\d))?(?: [A-Z]{2}(?![^\W_]))?"  # most countries
    r"|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}(?![^\W_])"  # United Kingdom
    r"|[A-Z]\d[A-Z] ?\d[A-Z]\d(?![^\W_])",  # Canada
    re.IGNORECASE,
)
_WORDS: Final = re.compile(_WORD)
_TOKEN: Final = re.compile(rf"[ \t\n,>|()-]{{0,12}}(?:(?P<word>{_WORD})|(?P<digit>(?=\d)))")
_GOES_ON: Final = re.compile(r"[^\W_]|[ ./:-]\d")  # after a number: not a postcode
_LONGEST_JOINT: Final = 20
_JOINT: Final = re.compile(r"[ \t,>|]*\n?[ \t,>|]*")
_CUE: Final = Cue(
    r"address|adress|direcci[oó]n|indirizzo|endereço|anschrift|адрес|住所|地址|"
    r"(?:lives?|living|resid\w+|wohn\w*) (?:at|on|in)|"
    r"located (?:at|on|in)|office is (?:at|on|in)|offices are|sent? to|send (?:\w+ ){0,4}to|deliver|ship|return to|"
    r"meet (?:\w+ )?at|moved to|habite|domicil",
    before=64,
)
_NO_NAMES: Final = frozenset(  # words that go with numbers, and that no street begins or ends with
    words("""
    january february march april may june july august september october november december day days week hour hours
    chapter section page figure table step version line question article title volume part level grade year class total
    error code http rfc number no q1 q2 q3 q4 phone tel fax office mobile zip
    the of in on at to from since until by for and or over about with than is was were are be has had""")
)
_LABELS: Final = frozenset(
    f"{_UNIT}|box|postbox|postfach|fach|postboks|postale|bp|apartado|casilla|psc|aa|ae|ap".split("|")
)
_STREETS: Final = frozenset(f"{_AFTER_NAME}|{_BEFORE_NAME}".split("|"))
_PARTICLES: Final = frozenset(words("de del della des do da la le las los of am an der den van von upon sur"))
_HOUSE_BEFORE: Final = re.compile(r"(?<![\w.,:/-])\d{1,6}[a-z]?,? \Z")
_HOUSE_AFTER: Final = re.compile(r",? \d{1,5}(?!\d)")
_SPACED: Final = re.compile(r"\S+")
_MOST_WORDS: Final = 6  # of the name of a street
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
        done = 0
        for parts in _joined(text, _parts(text, small)):
            start, end = min(part.start for part in parts), max(part.end for part in parts)
            if end > done and _enough(text, start, end, {part.kind for part in parts}):
                done = _down_to_postcode(text, end, self.most_words, small)
                yield Entity(type="STREET_ADDRESS", start=start, end=done, score=0.8)
        for corner in _CORNER.finditer(text):
            if not _is_name(corner["name"], small) or not _is_name(corner["other"], small):
                continue
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
    word = text[line:start].rstrip(" ,.#º°").rpartition(" ")[2]  # the last before the number
    end += text[end : end + 1].isalpha() and not text[end + 1 : end + 2].isalnum()  # as in 12b
    if word.lower() in _LABELS:
        return _labelled(text, line, start, end)
    if first := _number_first(text, start, small):
        return first
    likely = word[:1].isalpha() and word.lower() not in _NO_NAMES
    if likely and (small or not word[0].islower() or word in _STREETS):
        return _number_last(text, line, start, end, small) or _number_and_name(text, start, small)
    return _number_and_name(text, start, small)


def _labelled(text: str, line: int, start: int, end: int) -> _Part | None:
    """A box or a unit, after the word for it."""
    if box := _BOX_BEFORE.search(text, line, start) or _FORCES_BEFORE.search(text, line, start):
        return _Part(start=box.start(), end=end, kind="box")
    unit = _UNIT_BEFORE.search(text, line, start)
    return _Part(start=unit.start(), end=end, kind="unit") if unit else None


def _number_first(text: str, start: int, small: bool) -> _Part | None:
    """A house number and a street after it."""
    if (found := _NUMBER_NAME_STREET.match(text, start)) and _is_name(found["name"], small, found["street"]):
        return _Part(start=_with_house(text, start), end=found.end(), kind="street")
    if (found := _NUMBER_STREET_NAME.match(text, start)) and _is_name(found["name"], small, found["street"]):
        house = _HOUSE_AFTER.match(text, found.end())
        return _Part(start=_with_house(text, start), end=house.end() if house else found.end(), kind="street")
    return None


def _number_last(text: str, line: int, start: int, end: int, small: bool) -> _Part | None:
    """A street, or a name that may be one, and a house number after it."""
    name = _name_start(text, line, start, small)
    before = _STREET_NAME.search(text, name, start) or _NAME_STREET.search(text, name, start)
    if before and _is_name(before["name"], small):
        return _Part(start=_with_house(text, before.start()), end=end, kind="street")
    if (before := _ANY_NAME.search(text, name, start)) and _is_name(before["name"], small):
        return _Part(start=_with_house(text, before.start()), end=end, kind="name")
    return None


def _name_start(text: str, line: int, start: int, small: bool) -> int:
    """Where the words begin, up to six before `start`, that can be a name; particles do not begin one."""
    begin = start
    for word in list(_SPACED.finditer(text, line, start))[: -_MOST_WORDS - 1 : -1]:
        lower = word[0].strip(".,").lower()
        if lower in _NO_NAMES or not (small or not word[0][0].islower() or lower in _PARTICLES or lower in _STREETS):
            break
        if lower not in _PARTICLES or lower in _STREETS:
            begin = word.start()
    return begin


def _number_and_name(text: str, start: int, small: bool) -> _Part | None:
    found = _NUMBER_ANY_NAME.match(text, start)
    return _Part(start=start, end=found.end(), kind="name") if found and _is_name(found["name"], small) else None


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
    capitalised = all(not word[0].islower() or word in _PARTICLES for word in words)
    return capitalised and not words[-1][0].islower() and (len(street) > 3 or street[0].isupper())


def _joined(text: str, parts: Iterable[_Part]) -> Iterator[list[_Part]]:
    """Parts with nothing but commas, spaces and one line end between them, together."""
    block: list[_Part] = []
    for part in parts:
        gap = part.start - block[-1].end if block else _LONGEST_JOINT
        if gap < 0 or (gap < _LONGEST_JOINT and _JOINT.fullmatch(text, block[-1].end, part.start)):
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
            return postcode.end() if postcode and not _GOES_ON.match(text, postcode.end()) else end
        code = _POSTCODE.match(text, token.start("word"))
        if code and not _GOES_ON.match(text, code.end()):
            return code.end()
        if token["word"][0].islower() and not small and token["word"] not in _PARTICLES:
            return end
        if token["word"].endswith(".") and len(token["word"]) > 4:
            return end
        position = token.end()
    return end
