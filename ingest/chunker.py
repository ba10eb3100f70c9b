"""From elements to canonical text, and from canonical text to chunks that are exact slices of it.

Packing is greedy from the top: a section starts a new chunk once the open one is big enough, so an edit moves no
boundary beyond the next section. Breaks are sought at headings, then paragraphs, then lines and sentences, then words,
then between grapheme clusters. What an encoder counts as a token is told by the offsets at which its tokens begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import regex

from ingest.elements import Element, ElementKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where one element stands in the canonical text."""

    start: int
    end: int
    kind: ElementKind
    level: int = 0
    page: int | None = None
    box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CanonicalText:
    """The text of a document that all offsets count in."""

    text: str
    spans: tuple[Span, ...]  # in order, without overlap


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """`[start, end)` of the canonical text."""

    start: int
    end: int
    headings: tuple[str, ...]  # that the chunk's first body text stands under, outermost first
    page: int | None = None
    page_end: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkConfig:
    """How big a chunk may and should be."""

    max_tokens: int = 200  # of the encoder; with title and headings in front it still sees all of 256
    min_tokens: int = 60  # from here on a heading starts a new chunk
    max_characters: int = 2_000  # where the encoder takes a whole line for one unknown token


_SPACE = re.compile(r"\s*")
_SENTENCE_END = re.compile(r"""\n+|[.!?…][)\]"'”’»]*\s+(?![a-z])|[。！？｡।॥။።؟۔។]+[」』）”’"')]*\s*""")
_WORD_END = re.compile(r"\s+|[、，；：,;)\]}」』）]\s*")
_APART = re.compile("[\n -~\u3001-\u3020\u3041-\u3096\u30a1-\u30fc\u4e00-\u9fff\uff01-\uff5e]{2}")  # never one cluster
_CLUSTER = regex.compile(r"\X")
_WITH_DIGITS = re.compile(r"\d+")
_CONTEXT_BYTES = 160  # of title and headings in front of a chunk: about 40 tokens in any script


def canonicalise(elements: Sequence[Element]) -> CanonicalText:
    """Joins elements by a blank line, list items by a line break; repeated page headers and footers appear once."""
    parts: list[str] = []
    spans: list[Span] = []
    seen: set[str] = set()
    at = 0
    previous: ElementKind | None = None
    for element in elements:
        if not element.text.strip() or (element.kind in ("header", "footer") and _repeats(element.text, seen)):
            continue
        if previous is not None:
            joint = "\n" if previous == element.kind == "list_item" else "\n\n"
            parts.append(joint)
            at += len(joint)
        text = element.text.rstrip().lstrip("\n")
        end = at + len(text)
        spans.append(
            Span(start=at, end=end, kind=element.kind, level=element.level, page=element.page, box=element.box)
        )
        parts.append(text)
        at, previous = end, element.kind
    return CanonicalText(text="".join(parts), spans=tuple(spans))


def _repeats(text: str, seen: set[str]) -> bool:
    """Whether a header or footer says nothing new: a page number, or the same as on a page before."""
    shape = _WITH_DIGITS.sub("#", text).strip()
    if shape in seen or not any(char.isalpha() for char in shape):
        return True
    seen.add(shape)
    return False


def chunk(canonical: CanonicalText, token_starts: NDArray[np.int64], config: ChunkConfig) -> tuple[Chunk, ...]:
    """Slices that cover every character but white space exactly once, none longer than the config allows.

    `token_starts` are the offsets at which the encoder's tokens of the whole text begin, ascending, so the tokens of
    `[a, b)` are those that begin in it. A heading goes with what follows it. Only a single grapheme cluster that is
    longer than a chunk may be cut.
    """
    packer = _Packer(canonical.text, token_starts, config)
    starts = token_starts.searchsorted([span.start for span in canonical.spans]).tolist()
    ends = token_starts.searchsorted([span.end for span in canonical.spans]).tolist()
    for span, first, last in zip(canonical.spans, starts, ends, strict=True):
        packer.add(_Piece(start=span.start, end=span.end, first=first, last=last, span=span))
    return packer.finish()


def encoder_input(title: str, headings: tuple[str, ...], text: str) -> tuple[str, int]:
    """What the encoder sees of a chunk, and the offset at which the chunk's own text starts in it.

    One line of title and headings goes first, as far as they are not in the text, the outer headings dropped before the
    inner ones where it grows beyond 160 bytes.
    """
    lines = set(text.split("\n"))
    context = list(dict.fromkeys(" ".join(part.split()) for part in (title, *headings) if part not in lines))
    context = [part for part in context if part]
    while len(context) > 2 and len(" > ".join(context).encode()) > _CONTEXT_BYTES:
        del context[1]
    line = " > ".join(context).encode()[:_CONTEXT_BYTES].decode(errors="ignore").rstrip()
    return (f"{line}\n{text}", len(line) + 1) if line else (text, 0)


@dataclass(slots=True, kw_only=True)
class _Piece:
    """A span or what is left of it: characters `[start, end)`, tokens `[first, last)`."""

    start: int
    end: int
    first: int
    last: int
    span: Span


@dataclass(slots=True, kw_only=True)
class _Open:
    """The chunk that is being filled."""

    start: int
    first: int  # its first token
    end: int  # of its body; its start as long as there is none
    last: int  # token behind its body
    headings: tuple[str, ...]
    page: int | None
    page_end: int | None
    waiting: list[_Piece] = field(default_factory=list)  # headings behind the body that nothing follows yet

    @property
    def has_body(self) -> bool:
        return self.end > self.start


class _Packer:
    """Fills one chunk after another."""

    def __init__(self, text: str, token_starts: NDArray[np.int64], config: ChunkConfig) -> None:
        self._chunks: list[Chunk] = []
        self._text = text
        self._starts = token_starts
        self._config = config
        self._open: _Open | None = None
        self._path: list[tuple[int, str]] = []

    def add(self, piece: _Piece) -> None:
        """Takes the next span: into the open chunk, into a new one, or cut over several."""
        piece.start = self._skip_space(piece.start)
        is_heading = piece.span.kind == "heading"
        if is_heading:
            if self._is_big():
                self._close()
            self._enter(piece.span)
        while piece.start < piece.end and not self._fits(piece):
            piece = self._make_room(piece)
        if piece.start < piece.end:
            self._extend(piece, waits=is_heading)

    def finish(self) -> tuple[Chunk, ...]:
        """All chunks; headings at the very end that nothing follows are one of their own."""
        while self._open:
            self._close()
        return tuple(self._chunks)

    def _close(self) -> None:
        """Ends the open chunk; headings that wait for their body start the next one."""
        chunk, self._open = self._open, None
        if chunk is None:
            return
        end = chunk.end if chunk.has_body else chunk.waiting[-1].end
        self._chunks.append(
            Chunk(start=chunk.start, end=end, headings=chunk.headings, page=chunk.page, page_end=chunk.page_end)
        )
        if chunk.has_body:
            for heading in chunk.waiting:
                self._extend(heading, waits=True)

    def _enter(self, heading: Span) -> None:
        while self._path and self._path[-1][0] >= heading.level:
            self._path.pop()
        self._path.append((heading.level, " ".join(self._text[heading.start : heading.end].split())))

    def _is_big(self) -> bool:
        """Whether the body of the open chunk may stand alone before a heading."""
        return self._open is not None and self._open.last - self._open.first >= self._config.min_tokens

    def _fits(self, piece: _Piece) -> bool:
        start, first = (self._open.start, self._open.first) if self._open else (piece.start, piece.first)
        return piece.last - first <= self._config.max_tokens and piece.end - start <= self._config.max_characters

    def _fits_alone(self, piece: _Piece) -> bool:
        tokens, characters = piece.last - piece.first, piece.end - piece.start
        return tokens <= self._config.max_tokens and characters <= self._config.max_characters

    def _extend(self, piece: _Piece, *, waits: bool = False) -> None:
        """Puts a piece that fits into the open chunk."""
        page = piece.span.page
        if self._open is None:
            self._open = _Open(
                start=piece.start,
                first=piece.first,
                end=piece.start,
                last=piece.first,
                headings=(),
                page=page,
                page_end=page,
            )
        if not self._open.has_body:
            self._open.headings = tuple(text for _, text in self._path)
        if waits:
            self._open.waiting.append(piece)
            return
        self._open.waiting.clear()
        self._open.end, self._open.last, self._open.page_end = piece.end, piece.last, page

    def _make_room(self, piece: _Piece) -> _Piece:
        """Ends the open chunk before `piece` or fills it with the beginning of `piece`; gives back what is left."""
        chunk = self._open
        follows = chunk is not None and chunk.has_body
        whole = self._fits_alone(piece)
        if follows and chunk is not None:
            atomic = whole and piece.span.kind in ("table", "code")
            if self._is_big() or chunk.waiting or atomic:
                self._close()
                return piece
        cut = self._cut(piece, only_sentences=follows and whole)
        if cut <= piece.start:
            self._close()
            return piece
        at = int(self._starts.searchsorted(cut))
        end = piece.start + len(self._text[piece.start : cut].rstrip())
        self._extend(_Piece(start=piece.start, end=end, first=piece.first, last=at, span=piece.span))
        self._close()
        return _Piece(start=self._skip_space(cut), end=piece.end, first=at, last=piece.last, span=piece.span)

    def _cut(self, piece: _Piece, *, only_sentences: bool) -> int:
        """The best place to cut `piece` so that its beginning fits; `piece.start` when none is good enough."""
        start, first = (self._open.start, self._open.first) if self._open else (piece.start, piece.first)
        reach = self._reach(start, first)
        crumb = max(self._config.min_tokens, 1)
        limit = reach
        if piece.last - crumb > piece.first:  # what is left should be able to stand alone
            limit = min(limit, int(self._starts[piece.last - crumb]))
        floor = max(piece.start, start + (limit - start) // 4)
        for breaks in (_SENTENCE_END,) if only_sentences else (_SENTENCE_END, _WORD_END):
            for match in reversed(list(breaks.finditer(self._text, piece.start, limit))):
                if match.end() > floor and self._is_between_clusters(match.end(), piece.start):
                    return match.end()
        if only_sentences:
            return piece.start
        cut = self._last_cluster_end(piece.start, limit) or self._last_cluster_end(piece.start, reach)
        if cut is None:  # one cluster is longer than a chunk
            return piece.start if self._open else max(reach, piece.start + 1)
        return cut

    def _reach(self, start: int, first: int) -> int:
        """Where a chunk that starts at `start` with token `first` has to end at the latest."""
        beyond = first + self._config.max_tokens
        end = int(self._starts[beyond]) if beyond < len(self._starts) else len(self._text)
        return min(end, start + self._config.max_characters)

    def _is_between_clusters(self, at: int, start: int) -> bool:
        if at >= len(self._text) or _APART.match(self._text, at - 1):
            return True
        return any(end == at for end in self._cluster_ends(start, at))

    def _last_cluster_end(self, start: int, limit: int) -> int | None:
        return max(self._cluster_ends(start, limit), default=None)

    def _cluster_ends(self, start: int, limit: int) -> Iterator[int]:
        """Ends of the grapheme clusters from the boundary `start` up to `limit`."""
        for match in _CLUSTER.finditer(self._text, start):
            if match.end() > limit:
                return
            yield match.end()

    def _skip_space(self, at: int) -> int:
        match = _SPACE.match(self._text, at)
        return match.end() if match else at
