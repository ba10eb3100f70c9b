"""Code points that nobody sees: found, removed with an offset map, and read where they spell something.

Removed without a word: soft hyphens, byte order marks, direction marks, single zero-width characters and control
characters. Removed and reported: tag characters (they mirror ASCII at U+E0000), runs of variation selectors (each can
carry a byte), long runs of zero-width characters (they can carry bits) and bidirectional overrides (they show text in
another order than it is stored). Kept: joiners that Arabic, Indic and similar scripts need, and the selectors, joiners
and tags of emoji and of Han variants (Unicode TR 31 section 2.3, TR 37 and TR 51). Line separators become "\\n" and a
lone surrogate becomes U+FFFD, so that the text can be stored as UTF-8.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass, replace
from itertools import groupby

import regex

from ingest.elements import Element, HiddenText, ParsedDocument

_CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_SUSPECT = (
    f"{_CONTROL}\xad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_ASCII_FOUND = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_FOUND = re.compile(f"[{_SUSPECT}]")  # one class and no repeat: searched twice as fast as a run
_RUN = re.compile(f"[{_SUSPECT}]+")

_LINE_ENDS = frozenset("\r\x0b\x0c\x85\u2028\u2029")
_FLAGS = re.compile("(?:gbeng|gbsct|gbwls)\x7f")  # the tag sequences of RGI_Emoji_Tag_Sequence, as ASCII
_PICTURE = regex.compile(r"[\p{Extended_Pictographic}\p{Emoji_Modifier}]")
_TAKES_VARIANTS = regex.compile(r"[\p{Han}\p{Sm}\p{Myanmar}\p{Phags_Pa}\u3000-\u303f\uff00-\uffef]")
_JOINS = regex.compile(
    r"[\p{Arabic}\p{Syriac}\p{Mongolian}\p{Nko}\p{Mandaic}\p{Devanagari}\p{Bengali}\p{Gurmukhi}\p{Gujarati}\p{Oriya}"
    r"\p{Tamil}\p{Telugu}\p{Kannada}\p{Malayalam}\p{Sinhala}\p{Khmer}\p{Myanmar}\p{Tibetan}]"
)
_JAMO = re.compile("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")
_CARRIES_BITS = 4  # zero-width characters in a row that no script or program writes by accident


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """A run of invisible code points that was taken out."""

    start: int  # in the source text
    end: int  # in the source text
    kind: str  # tag, variation, emoji_style, zero_width, override or other
    text: str  # what it spells, else the code points by number


@dataclass(frozen=True, slots=True, kw_only=True)
class Stripped:
    """A text without invisible code points, and where its characters stood before."""

    text: str
    removed: tuple[Removed, ...] = ()
    cuts: tuple[int, ...] = ()  # offsets in `text` at which something was taken out, ascending
    shifts: tuple[int, ...] = ()  # for each cut, how many characters were taken out up to and including it

    def source_offset(self, offset: int) -> int:
        """Where the character at `offset` of `text` stands in the source; the end maps to the source's end."""
        cut = bisect_right(self.cuts, offset)
        return offset + (self.shifts[cut - 1] if cut else 0)

    def hidden(self, place: str) -> tuple[HiddenText, ...]:
        """What was hidden on purpose, as quarantine records."""
        return tuple(
            HiddenText(text=run.text, reason="invisible_code_points", place=place)
            for run in self.removed
            if run.kind in ("tag", "variation", "override")
            or (run.kind in ("zero_width", "emoji_style") and run.end - run.start >= _CARRIES_BITS)
        )


def strip(text: str) -> Stripped:
    """`text` without the code points that nobody sees. One regex search where there is nothing to remove."""
    if not _suspicious(text):
        return Stripped(text=text)
    parts: list[str] = []
    dropped: list[tuple[int, str]] = []
    cuts: list[int] = []
    shifts: list[int] = []
    done = length = 0
    for match in _RUN.finditer(text):
        start, end = match.span()
        parts.append(text[done:start])
        length += start - done
        for at in range(start, end):
            kept = _keep(text, at, parts)
            if kept:
                parts.append(kept)
                length += 1
            else:
                dropped.append((at, text[at]))
                cuts.append(length)
                shifts.append(len(dropped))
        done = end
    parts.append(text[done:])
    return Stripped(text="".join(parts), removed=_runs(dropped), cuts=tuple(cuts), shifts=tuple(shifts))


def reveal(document: ParsedDocument) -> ParsedDocument:
    """`document` with every element free of invisible code points and what they spelled among the hidden text."""
    texts = [element.text for element in document.elements]
    everything = "\n".join([document.title or "", *texts])
    if not _suspicious(everything):
        return document
    elements: list[Element] = []
    hidden = list(document.hidden)
    for element in document.elements:
        stripped = strip(element.text)
        hidden += stripped.hidden(f"page {element.page}" if element.page else f"{element.kind} in the text")
        if stripped.text.strip():
            elements.append(element if stripped.text == element.text else replace(element, text=stripped.text))
    title = strip(document.title or "")
    hidden += title.hidden("title")
    return replace(document, elements=tuple(elements), hidden=tuple(hidden), title=title.text.strip() or None)


def _suspicious(text: str) -> bool:
    return (_ASCII_FOUND if text.isascii() else _FOUND).search(text) is not None


def _keep(text: str, at: int, before: list[str]) -> str:
    """What stands for the suspect at `at`: itself where it is needed, a replacement, or nothing."""
    char = text[at]
    following = text[at + 1] if at + 1 < len(text) else ""
    if char in _LINE_ENDS:
        return "" if char == "\r" and following == "\n" else "\n"
    if "\ud800" <= char <= "\udfff":
        return "\ufffd"
    previous = _last(before)
    if char in "\u200c\u200d":
        return char if _joins(char, previous, before, following) else ""
    if "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":
        return char if _selects(char, previous, following) else ""
    if "\u180b" <= char <= "\u180f":
        return char if "\u1820" <= previous <= "\u18af" else ""
    if "\U000e0020" <= char <= "\U000e007f":
        return char if _in_flag(text, at) else ""
    if char in "\u115f\u1160":
        return char if _JAMO.match(previous) or _JAMO.match(following) else ""
    return ""


def _last(parts: list[str]) -> str:
    """The last character kept so far, or nothing."""
    return next((part[-1] for part in reversed(parts) if part), "")


def _joins(char: str, previous: str, before: list[str], following: str) -> bool:
    """Whether a zero-width (non-)joiner stands inside a word of a joining script or inside an emoji."""
    if _JOINS.match(previous):
        return True
    base = _last([part for part in before[-4:-1] if part]) if previous == "\ufe0f" else previous
    return char == "\u200d" and bool(_PICTURE.match(base)) and bool(_PICTURE.match(following))


def _selects(char: str, previous: str, following: str) -> bool:
    """Whether a variation selector stands behind a character that has variants."""
    if char in "\ufe0e\ufe0f":
        keycap = following == "\u20e3" and previous in "0123456789#*"
        return bool(previous) and (keycap or bool(_PICTURE.match(previous)))
    return bool(_TAKES_VARIANTS.match(previous))


def _in_flag(text: str, at: int) -> bool:
    """Whether the tag character at `at` belongs to the flag of England, Scotland or Wales."""
    flag = text.rfind("\U0001f3f4", max(0, at - 6), at)
    return flag >= 0 and at <= flag + 6 and bool(_FLAGS.match(_as_ascii(text[flag + 1 : flag + 7])))


def _as_ascii(tags: str) -> str:
    """What tag characters spell: each stands for the ASCII character 0xE0000 below it."""
    return "".join(chr(ord(tag) - 0xE0000) for tag in tags if 0xE0000 <= ord(tag) <= 0xE007F)


def _kind(char: str) -> str:
    if "\U000e0000" <= char <= "\U000e007f":
        return "tag"
    if char in "\ufe0e\ufe0f":
        return "emoji_style"
    if "\ufe00" <= char <= "\ufe0f" or "\U000e0100" <= char <= "\U000e01ef":
        return "variation"
    if char in "\u202d\u202e":
        return "override"
    return "zero_width" if char in "\u200b\u200c\u200d\u2060\u2061\u2062\u2063\u2064\ufeff\u180e" else "other"


def _runs(dropped: list[tuple[int, str]]) -> tuple[Removed, ...]:
    """Neighbours of one kind as one run."""
    runs = []
    for _, group in groupby(enumerate(dropped), key=lambda item: (item[1][0] - item[0], _kind(item[1][1]))):
        members = [member for _, member in group]
        chars = "".join(char for _, char in members)
        kind = _kind(chars[0])
        runs.append(Removed(start=members[0][0], end=members[-1][0] + 1, kind=kind, text=_spelled(kind, chars)))
    return tuple(runs)


def _spelled(kind: str, chars: str) -> str:
    """What a run says: ASCII behind tags, bytes behind variation selectors (1-16 then 17-256), else numbers."""
    if kind == "tag" and (said := _as_ascii(chars).strip("\x00\x01\x7f")):
        return said
    if kind == "variation":
        codes = (ord(char) - 0xFE00 if char <= "\ufe0f" else ord(char) - 0xE0100 + 16 for char in chars)
        said = bytes(codes).decode("utf-8", errors="replace")
        if said.isprintable():
            return said
    return " ".join(f"U+{ord(char):04X}" for char in chars)
