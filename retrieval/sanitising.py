"""The gate between what was found and whoever makes something of it: text that looks like an order stays out.

`sanitise` makes the only `Sanitised`. What is withheld is replaced character by character, so that every offset in the
rest stays true. Text that no screener has seen, or on which a detector failed, is withheld whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import InitVar, dataclass, replace
from typing import TYPE_CHECKING, Final, overload

import numpy as np

from ingest.chunker import encoder_input
from ingest.encoder import TokenVectors
from retrieval.evidence import Hit, Passage
from retrieval.sealed import Seal, Sealed

if TYPE_CHECKING:
    from ingest.screening import Finding
    from retrieval.screening_policy import Action, ScreeningPolicy, Use

# Flags of a passage, and of an answer that could draw on it.
UNSCREENED: Final = "unscreened"  # no screener saw the text: withheld
FAILED: Final = "screening_failed"  # a detector failed on it: withheld
QUARANTINED: Final = "quarantined"  # the policy withholds the whole document
WITHHELD: Final = "instructions_withheld"  # stripped or masked
SUSPECTED: Final = "instructions_suspected"  # kept, and looks like an order
REVIEW: Final = "review_needed"  # withheld, and a person decides on the answer
OLDER: Final = "screened_by_older_screener"  # enforced as it was found; `groundwire rescan` screens anew

MASK: Final = "█"
_KEPT_LINES: Final = re.compile(r"[^\n]")
_SEAL: Final = Seal("retrieval.sanitising.sanitise")

Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sanitised(Sealed, Sequence[Hit]):
    """Hits, best first, with what must not be read taken out. Made by `sanitise` alone."""

    hits: tuple[Hit, ...]
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)

    @property
    def flags(self) -> tuple[str, ...]:
        """What a reader should know of any of the hits, sorted."""
        return tuple(sorted({flag for hit in self.hits for flag in hit.passage.flags}))

    @property
    def readable(self) -> tuple[Hit, ...]:
        """The hits of which something is left."""
        return tuple(hit for hit in self.hits if hit.passage.text.strip())

    @overload
    def __getitem__(self, index: int) -> Hit: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Hit]: ...

    def __getitem__(self, index: int | slice) -> Hit | Sequence[Hit]:
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)


def sanitise(hits: Iterable[Hit], policy: ScreeningPolicy, use: Use = "answer") -> Sanitised:
    """Enforce what screening found on hits that were read for this use."""
    return Sanitised(hits=tuple(_sanitised(hit, policy, use) for hit in hits), seal=_SEAL)


def blanked(text: str, spans: Spans, start: int = 0, mark: str = " ") -> str:
    """`text`, which begins at offset `start`, with every character in the spans replaced, ends of lines excepted."""
    for first, last in spans:
        first, last = max(first - start, 0), min(last - start, len(text))
        if first < last:
            text = text[:first] + _KEPT_LINES.sub(mark, text[first:last]) + text[last:]
    return text


def touches(spans: Spans, start: int, end: int) -> bool:
    """Whether [start, end) has a character in one of the spans."""
    return any(first < end and start < last for first, last in spans)


def _sanitised(hit: Hit, policy: ScreeningPolicy, use: Use) -> Hit:
    passage = hit.passage
    if (reason := _withheld_whole(passage, policy, use)) is not None:
        whole = ((passage.start, passage.end),)
        text = blanked(passage.text, whole, passage.start)
        passage = replace(passage, text=text, headings=(), withheld=whole, flags=(reason,))
        return replace(hit, passage=passage, tokens=None)
    acting = _by_action(passage, policy, use)
    hidden = [finding for action in ("mask", "strip", "review") for finding in acting.get(action, ())]
    cleared = replace(_without(passage, hidden, acting.get("mask", ())), flags=tuple(_flags(passage, acting, policy)))
    return replace(hit, passage=cleared, tokens=_tokens(hit, cleared) if hidden else hit.tokens)


def _withheld_whole(passage: Passage, policy: ScreeningPolicy, use: Use) -> str | None:
    """The flag that says why nothing of the passage may be read, None when something may."""
    found = passage.screening
    if found is None:
        return UNSCREENED
    if found.failed:
        return FAILED
    peak = max(found.peaks.values(), default=0.0)
    level = passage.classification
    actions = (policy.action(kind, score, level, use, peak=peak) for kind, score in found.peaks.items())
    return QUARANTINED if "quarantine" in actions else None


def _by_action(passage: Passage, policy: ScreeningPolicy, use: Use) -> dict[Action, list[Finding]]:
    found: dict[Action, list[Finding]] = {}
    peak = max(passage.screening.peaks.values(), default=0.0) if passage.screening else 0.0
    for finding in passage.findings:
        action = policy.action(finding.kind, finding.score, passage.classification, use, peak=peak)
        if action is not None:
            found.setdefault(action, []).append(finding)
    return found


def _flags(passage: Passage, acting: dict[Action, list[Finding]], policy: ScreeningPolicy) -> Iterator[str]:
    if "strip" in acting or "mask" in acting:
        yield WITHHELD
    if "flag" in acting:
        yield SUSPECTED
    if "review" in acting:
        yield REVIEW
    if passage.screening is not None and policy.screener not in (None, passage.screening.screener):
        yield OLDER


def _without(passage: Passage, hidden: Sequence[Finding], masked: Sequence[Finding]) -> Passage:
    """The passage without the text of `hidden`, of which `masked` leaves a mark."""
    if not hidden:
        return passage
    spans = _merged([(max(f.start, passage.start), min(f.end, passage.end)) for f in hidden])
    bare = [(f.start, f.end) for f in hidden if f not in masked]
    marked = blanked(passage.text, [(f.start, f.end) for f in masked], passage.start, MASK)
    title, headings = _names(passage, hidden)
    return replace(
        passage, text=blanked(marked, bare, passage.start), title=title, headings=headings, withheld=tuple(spans)
    )


def _names(passage: Passage, hidden: Sequence[Finding]) -> tuple[str, tuple[str, ...]]:
    """Title and headings as far as no line that is withheld says the same; then the document's id is its title.

    A finding that lies outside of the passage came with it because it is on a line that is its title or a heading.
    """
    if not all(touches(((f.start, f.end),), passage.start, passage.end) for f in hidden):
        return passage.document_id, ()
    parts = (passage.text[max(0, f.start - passage.start) : f.end - passage.start] for f in hidden)
    lines = {" ".join(line.split()) for part in parts for line in part.splitlines()}
    named = " ".join(passage.title.split()) in lines
    kept = tuple(heading for heading in passage.headings if " ".join(heading.split()) not in lines)
    return passage.document_id if named else passage.title, kept


def _merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, end in sorted(span for span in spans if span[0] < span[1]):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _tokens(hit: Hit, cleared: Passage) -> TokenVectors | None:
    """The token vectors of the text that is left; places count in what the encoder would see of it now."""
    if hit.tokens is None:
        return None
    passage, starts = hit.passage, hit.tokens.starts
    before = encoder_input(passage.title, passage.headings, passage.text)[1]
    after = encoder_input(cleared.title, cleared.headings, cleared.text)[1]
    kept = starts >= before
    places = starts + (passage.start - before)
    for first, last in cleared.withheld:
        kept &= (places < first) | (places >= last)
    return TokenVectors(bits=hit.tokens.bits[kept], starts=starts[kept] + np.int32(after - before))
