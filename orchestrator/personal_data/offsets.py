"""Where the characters of an edited text stood before the edit, and where those of the source stand after it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Span = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffsetMap:
    """The replaced pieces of a text, as spans of the source and of the result; in order; no piece is empty."""

    sources: tuple[Span, ...] = ()
    results: tuple[Span, ...] = ()

    def to_source(self, start: int, end: int) -> Span:
        """The characters of the source behind [start, end) of the result; a replaced piece counts as a whole."""
        return _across(start, end, self.results, self.sources)

    def to_result(self, start: int, end: int) -> Span:
        """The characters of the result for [start, end) of the source; a replaced piece counts as a whole."""
        return _across(start, end, self.sources, self.results)


def replaced(text: str, pieces: Iterable[tuple[int, int, str]]) -> tuple[str, OffsetMap]:
    """`text` with each [start, end) as its new words; pieces come in order and do not overlap."""
    parts: list[str] = []
    sources: list[Span] = []
    results: list[Span] = []
    done = length = 0
    for start, end, new in pieces:
        parts += (text[done:start], new)
        length += start - done
        sources.append((start, end))
        results.append((length, length + len(new)))
        length += len(new)
        done = end
    parts.append(text[done:])
    return "".join(parts), OffsetMap(sources=tuple(sources), results=tuple(results))


def _across(start: int, end: int, here: Sequence[Span], there: Sequence[Span]) -> Span:
    """[start, end) carried from one side to the other in logarithmic time."""
    first = bisect_right(here, start, key=lambda span: span[0]) - 1  # the last piece that begins at or before `start`
    if first >= 0 and start < here[first][1]:
        start = there[first][0]
    elif first >= 0:
        start += there[first][1] - here[first][1]
    last = bisect_left(here, end, key=lambda span: span[0]) - 1  # the last piece that begins before `end`
    if last >= 0:
        end = max(there[last][1], end + there[last][1] - here[last][1])
    return start, max(start, end)
