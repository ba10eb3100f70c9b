"""Where the sentences of a text are, by rules alone.

A sentence is a slice of the text without the white space around it. Rows of a table, items of a list and short lines
that stand alone count as sentences too: they are what an answer quotes from a table, a list or a form.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

MAX_CHARACTERS: Final = 1_000  # a longer sentence is cut at white space; about twice what an encoder sees of a chunk
MAX_CHARACTERS_UNMARKED: Final = 160  # the same for Thai and Lao, which mark no end of a sentence but write a space
FULL_LINE: Final = 40  # columns from which a line that does not end a sentence is taken to go on in the next

# No repetition is followed by anything that could fail, so no text makes this slower than linear.
_STOP = re.compile(
    r"(?P<wide>[。！？｡।॥۔؟።។။։]+)(?:[」』）】》〉”’\"')\]]*)"
    r"|(?P<narrow>[.!?…]+)(?:[\"'”’»)\]」』]*(?:\[\d{1,4}\]){0,4})"
    r"|(?P<line>(?:\r\n?|[\n\u2028\u2029\f\v])\s*)"
)
_LIST_ITEM = re.compile(r"[ \t]*(?:[-*+•◦▪‣–·]|\(?(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})[.)])[ \t]+\S")
_LAST_WORD = re.compile(r"[^\s(\[\"'“‘„«]{1,24}\Z")
_LIST_NUMBER = re.compile(r"(?:\d{1,3}|[a-zA-Z]|[ivxIVX]{1,5})\.\Z")
_UNMARKED = re.compile(r"[\u0e00-\u0eff]")
_WIDE = re.compile(r"[\u1100-\u11ff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60]")
_ORDINAL = re.compile(r"\d{1,2}\.\Z")
_BEFORE_ORDINAL = re.compile(r"\b(?:am|im|der|die|das|dem|den|des|vom|zum|seit|bis|ab|und)\s+\Z", re.IGNORECASE)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that are written with a full stop and are followed by what they belong to. Those that may as well end a
# sentence (etc., Inc., p.m.) are left out: before a capital letter they do.
_ABBREVIATIONS: Final = _words("""
    mr mrs ms mx dr prof rev hon gov sen rep gen col lt sgt capt cpt cmdr adm maj st mt ft messrs vs v cf e.g i.e viz
    al fig figs eq eqs sec secs ch chap vol vols pp pg para approx ca c est dept resp incl excl tel ext
    jan feb mar apr jun jul aug sep sept oct nov dec
    z.b d.h u.a o.ä bzw ggf vgl abs nr hr fr str s.o s.u evtl sog inkl zzgl
    m mme mlle p.ex av sr sra srta dra ud uds ej pág núm sig dott avv
    г ул им тыс млн млрд руб т.е т.д см стр рис табл""")
_BEFORE_NUMBER: Final = _words("no nos nr p § n art")
_STARTERS: Final = _words("""
    the a an this that these those it its he she they we you i his her their our my your in on at by for from with
    as after before when while if but and however although there here what who
    der die das ein eine es er sie wir le la les un une il elle nous el los las una""")


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """The sentences of `text` as [start, end) offsets, in order.

    The slices do not overlap, none is empty or begins or ends with white space, and all that lies between them is
    white space. Time is linear in the length of the text.
    """
    spans: list[tuple[int, int]] = []
    start = 0
    for end in _boundaries(text):
        spans.extend(_bounded(text, start, end))
        start = end
    spans.extend(_bounded(text, start, len(text)))
    return spans


def _boundaries(text: str) -> Iterator[int]:
    """Offsets at which one sentence ends and the next may begin."""
    start = 0  # of the present sentence
    for stop in _STOP.finditer(text):
        if stop["line"] is not None:
            ends = _line_ends_sentence(text, start, stop.start(), stop.end())
        elif stop["wide"] is not None:
            ends = True
        else:
            ends = _stop_ends_sentence(text, start, stop)
        if ends:
            start = stop.end()
            yield start


def _stop_ends_sentence(text: str, start: int, stop: re.Match[str]) -> bool:
    """Whether a full stop, question or exclamation mark ends the sentence that began at `start`."""
    end = stop.end()
    if end < len(text) and not text[end].isspace() and not _WIDE.match(text, end):
        return False
    following = _next_word(text, end)
    if not following:
        return True
    if following[0].islower():
        return False
    if stop["narrow"] != ".":
        return True
    head = text[max(start, stop.start() - 40) : stop.start() + 1].lstrip()
    return not _stop_belongs_to_word(head, following, at_start=stop.start() - start < 40)


def _stop_belongs_to_word(head: str, following: str, *, at_start: bool) -> bool:
    """Whether the full stop at the end of `head` is part of an abbreviation, an initial, an ordinal or a list number.

    `at_start` says that `head` begins where the sentence does.
    """
    if at_start and _LIST_NUMBER.fullmatch(head):
        return True
    found = _LAST_WORD.search(head)
    word = found[0][:-1] if found else ""
    folded = word.casefold()
    if folded in _ABBREVIATIONS or (folded in _BEFORE_NUMBER and following[0].isdigit()):
        return True
    if len(word.rsplit(".", 1)[-1]) == 1 and word[-1].isupper():  # an initial, or the last letter of "U.S."
        return following.casefold() not in _STARTERS
    return bool(found and _ORDINAL.search(head) and _BEFORE_ORDINAL.search(head[: found.start()]))


def _line_ends_sentence(text: str, start: int, end: int, following: int) -> bool:
    """Whether the line that ends at `end` ends the sentence too, or was only wrapped there."""
    if text.count("\n", end, following) > 1 or text.count("\r", end, following) > 1 or following >= len(text):
        return True
    line_start = max(start, text.rfind("\n", max(start, end - 2_000), end) + 1)
    line = text[line_start:end]
    after = text[following : following + 200].split("\n", 1)[0]
    if _is_row(line) or _is_row(after) or _LIST_ITEM.match(text, following):
        return True
    if after[0].islower():
        return False
    return _columns(line) < FULL_LINE


def _is_row(line: str) -> bool:
    return "\t" in line or " | " in line or line.lstrip().startswith("|")


def _columns(line: str) -> int:
    """Width of a line in columns, up to `FULL_LINE`."""
    line = line[:FULL_LINE]
    return len(line) + len(_WIDE.findall(line))


def _next_word(text: str, position: int) -> str:
    """The word after `position`, without opening quotes and brackets; empty at the end of the text."""
    window = text[position : position + 60].lstrip()
    if not window:
        window = text[position : position + 10_000].lstrip()[:60]
    bare = window.lstrip("\"'“‘„«([¿¡*_「『（")
    return bare.split(None, 1)[0].rstrip(",;:") or bare[:1] if bare.strip() else window


def _bounded(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """`[start, end)` without the white space around it, cut into pieces of bounded length."""
    end = _without_space_before(text, start, end)
    while (start := _without_space_after(text, start, end)) < end:
        limit = MAX_CHARACTERS_UNMARKED if _UNMARKED.search(text, start, min(end, start + 200)) else MAX_CHARACTERS
        cut = end if end - start <= limit else _cut(text, start, start + limit)
        yield start, _without_space_before(text, start, cut)
        start = cut


def _cut(text: str, start: int, limit: int) -> int:
    """A place to cut a sentence that is too long: after the last white space before `limit`, else at `limit`."""
    for position in range(limit, start + 1, -1):
        if text[position - 1].isspace():
            return position
    return limit


def _without_space_after(text: str, start: int, end: int) -> int:
    while start < end and text[start].isspace():
        start += 1
    return start


def _without_space_before(text: str, start: int, end: int) -> int:
    while start < end and text[end - 1].isspace():
        end -= 1
    return end
