"""Puts an attack between the sentences of a document, and says where it stands then."""

from __future__ import annotations

from collections.abc import Sequence

from retrieval.sentences import sentence_spans


def splice(text: str, parts: Sequence[str], places: Sequence[float]) -> tuple[str, list[tuple[int, int]]]:
    """`text` with each of `parts` at its place, and the spans of the parts. Places ascend.

    A place is a share of all sentences: 0 is before the first one, 1 behind the last. A part stands on a line of its
    own where a line begins there, else within the line.
    """
    starts = [start for start, _ in sentence_spans(text)] or [0]
    pieces: list[str] = []
    spans: list[tuple[int, int]] = []
    done = length = 0
    for part, place in zip(parts, places, strict=True):
        at = len(text) if place >= 1 else starts[int(place * len(starts))]
        before = text[done:at] if place < 1 else text[done:].rstrip() + "\n\n"
        pieces.append(before)
        length += len(before)
        spans.append((length, length + len(part)))
        in_line = at > 0 and place < 1 and text[at - 1] != "\n"
        pieces.append(part + (" " if in_line else "\n"))
        length += len(pieces[-1])
        done = at
    return "".join([*pieces, text[done:]]), spans
