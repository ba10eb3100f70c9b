"""The gate between evidence and prompts: what a model may be shown, within a budget, without personal data.

Of each passage the whole text is redacted first, so that no excerpt can cut a value in two; then the sentences most
likely to answer are chosen within the budget; then what is left is marked as data. Every offset is kept, so that a
quote of what was shown leads back to the stored characters.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from ingest.tags import Classification
from orchestrator.citations import Quote, locate
from orchestrator.extractive import Pool, Sentence, table_header
from orchestrator.personal_data.chain import DetectorChain
from orchestrator.personal_data.offsets import OffsetMap
from orchestrator.personal_data.redaction import Redacted, redact
from orchestrator.personal_data.vault import ANY_TYPE, Vault
from orchestrator.selection import CHARACTERS_A_TOKEN, Excerpt, estimated_tokens, select_evidence
from orchestrator.spotlighting import Datum, SpotlightConfig, Spotlit, spotlight
from retrieval.sanitising import touches
from retrieval.sealed import Seal, Sealed

if TYPE_CHECKING:
    from retrieval.evidence import Hit, Passage
    from retrieval.sanitising import Sanitised

WhyLeftOut = Literal[
    "not_read",  # too far down the list, or an older edition: no sentence of it was considered
    "budget",
    "withheld",  # by screening
    "redaction_failed",
]
UNCHECKED: Final = "personal_data_unchecked"  # a detector failed: what it should have seen is withheld
HISTORY_LEFT_OUT: Final = "history_left_out"  # the conversation before did not fit, or could not be checked

Span = tuple[int, int]
OpenChain = Callable[[], DetectorChain]
_SEAL: Final = Seal("orchestrator.context.assemble")


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextConfig:
    """How evidence is chosen and marked."""

    spotlight: SpotlightConfig = field(default_factory=SpotlightConfig)
    near: float = 0.05  # chance of a document's best sentence, as a share of the best of all, that gets it a place
    max_between: int = 200  # characters between chosen sentences that are no sentence, as headings, and are shown too
    history_share: float = 0.3  # most of the budget that the conversation before may take


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What was said before in a conversation, with what the policy has to know of it."""

    text: str = field(repr=False)
    classification: Classification = Classification.public  # the highest of the documents that it draws on
    regions: frozenset[str] = frozenset()  # of those that must stay in a region


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Evidence that was found and is not shown to the model."""

    document_id: str
    version: int
    start: int  # in the stored text
    end: int
    reason: WhyLeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """The text of a passage without personal data."""

    title: str  # with the headings, redacted too
    text: str
    offsets: OffsetMap | None  # from the passage's text to this one; None where nothing was replaced
    shown: tuple[Span, ...] = ()  # stretches of `text` that the model sees, in order

    def redacted_span(self, start: int, end: int) -> Span:
        """[start, end) of the passage's text in this one; what was replaced counts as a whole."""
        return self.offsets.to_result(start, end) if self.offsets else (start, end)

    def source_span(self, start: int, end: int) -> Span:
        """[start, end) of this text in the passage's."""
        return self.offsets.to_source(start, end) if self.offsets else (start, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """The sources as the model sees them, with the way back to their texts."""

    texts: tuple[_Text, ...] = ()
    spotlit: Spotlit
    removed: str  # stands where text is not shown

    def locate(self, number: int, quote: str) -> Span | None:
        """Where a quote of the source with this index stands in the text of its passage."""
        if number >= len(self.texts):
            return None
        source, plain = self.texts[number], self.spotlit.plain(quote)
        near: Span | None = None
        for start, end in source.shown:
            stretch = source.text[start:end]
            if self.removed and self.removed in plain and self.removed not in stretch:
                continue
            found = locate(plain, stretch)
            if found:
                near = near or source.source_span(start + found.start, start + found.end)
            if found and found.match == "exact":
                return source.source_span(start + found.start, start + found.end)
        return near


@dataclass(frozen=True, slots=True, kw_only=True)
class Context(Sealed):
    """What a model may be shown for one question. Made by `assemble` alone.

    Sources are numbered from 1, in the order of `sources`; a model names them by these numbers. Those that `evidence`
    shows come first; behind them stand those that only a model within this process can quote, from `pool`.
    """

    question: Redacted  # as it is put to the documents
    history: Redacted | None  # what was said before, marked as data
    sources: tuple[Hit, ...]
    evidence: str = field(repr=False)  # the sources as the prompt shows them: spotlit and redacted
    rules: str  # for the system turn: what marks data
    left_out: tuple[LeftOut, ...]
    tokens: int  # of `evidence` and `history`, as estimated
    classification: Classification  # the highest of what is shown, history included
    regions: frozenset[str]  # of what is shown and must stay in a region
    vault: Vault
    pool: Pool = field(repr=False)  # for the extractive model
    flags: tuple[str, ...] = ()
    redactions: Mapping[str, int] = field(default_factory=dict)  # type to how many pieces were replaced
    redacted: bool = True  # False: personal data stands as it is, for a model within this process
    view: _View = field(repr=False, compare=False)
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)

    def quote(self, source: int, text: str, start: int | None = None) -> Quote | None:
        """What a model quotes from a source, in the words of the stored text; None when there is no such source.

        A quote of redacted or marked text is carried back to what stood there; a placeholder counts as a whole. One
        that is not found within a single stretch of what was shown comes back without text, which no gate verifies.
        `start`, from a model within this process, is the offset in the stored text of a sentence of the pool.
        """
        if not 1 <= source <= len(self.sources):
            return None
        passage = self.sources[source - 1].passage
        if start is not None and _in_pool(self.pool, passage, text, start):
            return Quote(passage=passage, text=text, start=start)
        place = self.view.locate(source - 1, text)
        if place is None:
            return Quote(passage=passage, text="")
        first, last = place
        return Quote(passage=passage, text=passage.text[first:last], start=passage.start + first)

    def restore(self, text: str) -> tuple[str, tuple[str, ...]]:
        """`text` with the vault's values in it, and what looks like a placeholder and is none."""
        if not self.redacted:
            return text, ()
        restored = self.vault.restore(text, {ANY_TYPE})
        return restored.text, restored.unknown

    def shown(self) -> Mapping[str, int]:
        """Chunk id to the number of its source, of those that `evidence` shows."""
        return {self.sources[number].passage.chunk_id: number + 1 for number in range(len(self.view.texts))}


def assemble(
    question: str,
    found: Sanitised,
    pool: Pool,
    *,
    budget_tokens: int,
    open_chain: OpenChain,
    redact_types: Collection[str] | None = None,
    history: History | None = None,
    config: ContextConfig | None = None,
    new_nonce: Callable[[int], str] | None = None,
) -> Context:
    """What of the evidence a model is shown. The only maker of a Context; never raises for any text.

    `pool` is made of hits of `found`; raises ValueError when it is not, for then it passed no screening. Evidence and
    history together take at most `budget_tokens`, delimiters and titles included. `redact_types` are the types of
    personal data that get placeholders, by default all but the harmless ones; with none of them, as for a model within
    this process, `open_chain` is not called. A source on which a detector fails is left out.
    """
    config = config or ContextConfig()
    redactor = _Redactor(open_chain, redact_types)
    asked = redactor.of(question)
    hits = _hits(found, pool)
    texts = {chunk: text for chunk, hit in hits.items() if (text := redactor.passage(hit.passage)) is not None}
    nonce = (new_nonce or _letters)(config.spotlight.nonce_bytes)
    before = _marked_history(history, redactor, nonce, int(budget_tokens * config.history_share))
    spent = _tokens(before.text) if before else 0
    shown, view = _packed(pool, texts, budget_tokens - spent, nonce, config)
    levels, regions = _bounds([hits[chunk].passage for chunk in shown], history if before else None)
    return Context(
        question=asked,
        history=before,
        sources=tuple(hits[chunk] for chunk in [*shown, *(chunk for chunk in hits if chunk not in shown)]),
        evidence=view.spotlit.text,
        rules=view.spotlit.rules,
        left_out=tuple(_left_out(found, hits, texts, dict(zip(shown, view.texts, strict=True)))),
        tokens=spent + (_tokens(view.spotlit.text) if shown else 0),
        classification=max(levels, default=Classification.public),
        regions=regions,
        vault=redactor.vault,
        pool=pool,
        flags=((UNCHECKED,) if redactor.failed else ()) + ((HISTORY_LEFT_OUT,) if history and not before else ()),
        redactions=dict(redactor.counts),
        redacted=redactor.active,
        view=view,
        seal=_SEAL,
    )


_NO_DIGITS: Final = str.maketrans("0123456789", "ghijklmnop")


def _letters(size: int) -> str:
    """A nonce that is no number, so that no detector takes a part of it for one."""
    return secrets.token_hex(size).translate(_NO_DIGITS)


def _tokens(text: str) -> int:
    """As `estimated_tokens`, at once for plain ASCII."""
    return int(len(text) / CHARACTERS_A_TOKEN) + 1 if text.isascii() else estimated_tokens(text)


def _bounds(passages: Sequence[Passage], said: History | None) -> tuple[list[Classification], frozenset[str]]:
    """The classifications of what is shown, and the regions that some of it must stay in."""
    levels = [passage.classification for passage in passages]
    regions = frozenset(passage.region for passage in passages if passage.region)
    return ([*levels, said.classification], regions | said.regions) if said else (levels, regions)


def _hits(found: Sanitised, pool: Pool) -> dict[str, Hit]:
    """The hits that the pool was made of, by chunk id, best first."""
    passages = {sentence.passage.chunk_id: sentence.passage for sentence in pool.sentences}
    hits = {hit.passage.chunk_id: hit for hit in found.readable if hit.passage.chunk_id in passages}
    if any(chunk not in hits or hits[chunk].passage != passage for chunk, passage in passages.items()):
        raise ValueError("The pool holds a passage that is none of the sanitised hits.")
    return hits


# Personal data


class _Redactor:
    """Redacts the texts of one run with one vault."""

    def __init__(self, open_chain: OpenChain, types: Collection[str] | None) -> None:
        self.active = types is None or bool(types)
        self._types = types
        self._chain = open_chain() if self.active else DetectorChain(())
        self.vault = Vault(self._chain.types)
        self.counts: Counter[str] = Counter()
        self.failed = False
        self._titles: dict[str, Redacted] = {}

    def of(self, text: str) -> Redacted:
        redacted = redact(text, self.vault, self._chain, types=self._types)
        self.counts.update(redacted.found)
        self.failed |= redacted.withheld
        return redacted

    def passage(self, passage: Passage) -> _Text | None:
        """The passage's title and text; None where a detector failed on one of them."""
        title = " / ".join(" ".join(part.split()) for part in (passage.title, *passage.headings))
        if not self.active:
            return _Text(title=title, text=passage.text, offsets=None)
        if title not in self._titles:
            self._titles[title] = self.of(title)
        named, body = self._titles[title], self.of(passage.text)
        if named.withheld or body.withheld:
            return None
        return _Text(title=named.text, text=body.text, offsets=body.offsets)


def _marked_history(history: History | None, redactor: _Redactor, nonce: str, most: int) -> Redacted | None:
    """The history between delimiters, since its claims come from documents; None where it may not be shown."""
    if history is None:
        return None
    opening, closing = f"<<data {nonce} history>>\n", f"\n<</data {nonce} history>>\n"
    if nonce in history.text or _tokens(opening + history.text + closing) > most:
        return None
    redacted = redactor.of(opening + history.text + closing)
    intact = redacted.text.startswith(opening) and redacted.text.endswith(closing)
    return redacted if intact and _tokens(redacted.text) <= most else None


# What fits


def _packed(
    pool: Pool, texts: Mapping[str, _Text], room: int, nonce: str, config: ContextConfig
) -> tuple[tuple[str, ...], _View]:
    """Chunk ids of the passages that are shown, and how they look; together at most `room` tokens.

    What placeholders and gaps add is known once they are there: then the sentences get that much less.
    """
    fair = _fair(pool, texts, config.near)
    frames = {" ".join((one.passage.title, *one.passage.headings)) for one in fair.sentences}
    frame = _tokens(f"<<data {nonce} 1>>\ntitle: \nintegrity: internal\n\n\n<</data {nonce} 1>>\n")
    left, step = room, 1

    def count(text: str) -> int:
        return _tokens(text) + (frame if text in frames else 0)

    while left > 0:
        shown, view = _view(fair, texts, select_evidence(fair, left, count=count), nonce, config)
        over = _tokens(view.spotlit.text) - room if shown else 0
        if over <= 0:
            return shown, view
        left -= max(over, step)
        step *= 2
    return _view(fair, texts, (), nonce, config)


def _fair(pool: Pool, texts: Mapping[str, _Text], near: float) -> Pool:
    """The sentences of `texts`, in an order in which each document that comes near the best has one before the rest."""
    kept = [index for index, sentence in enumerate(pool.sentences) if sentence.passage.chunk_id in texts]
    known = set(kept)
    order = [index for index in pool.order if index in known]
    best: dict[str, int] = {}
    for index in order:
        best.setdefault(pool.sentences[index].passage.document_id, index)
    first = [index for index in best.values() if pool.chances[index] >= near * pool.chances[order[0]]]
    place = {index: rank for rank, index in enumerate(dict.fromkeys([*first, *order]))}
    return replace(
        pool,
        sentences=tuple(pool.sentences[index] for index in kept),
        similarity=pool.similarity[kept],
        features=pool.features[kept],
        chances=np.array([1.0 - place[index] / (len(kept) + 1) for index in kept]),
    )


def _view(
    pool: Pool, texts: Mapping[str, _Text], excerpts: Sequence[Excerpt], nonce: str, config: ContextConfig
) -> tuple[tuple[str, ...], _View]:
    chosen: dict[str, list[Excerpt]] = {}
    for excerpt in excerpts:
        chosen.setdefault(excerpt.passage.chunk_id, []).append(excerpt)
    seen = []
    data = []
    for chunk, parts in chosen.items():
        passage = parts[0].passage
        stretches = _stretches(passage, [(part.start, part.end) for part in parts], pool.sentences, config.max_between)
        text = _with_shown(texts[chunk], passage.start, stretches)
        seen.append(text)
        hidden = _complement(text.shown, len(text.text))
        data.append(Datum(title=text.title, integrity=passage.integrity.name, text=text.text, withheld=hidden))
    spotlit = spotlight(data, config.spotlight, lambda _: nonce)
    return tuple(chosen), _View(texts=tuple(seen), spotlit=spotlit, removed=config.spotlight.removed)


def _stretches(passage: Passage, spans: Sequence[Span], sentences: Sequence[Sentence], most: int) -> list[Span]:
    """`spans` with what belongs to them: white space around, and short parts between that are no sentence.

    Offsets in the stored text. What screening withholds is in none of them.
    """
    others = [(one.start, one.end) for one in sentences if one.passage.chunk_id == passage.chunk_id]
    joined: list[Span] = []
    done = passage.start
    for start, end in [*spans, (passage.end, passage.end)]:
        between = passage.text[done - passage.start : start - passage.start]
        inner = bool(joined) and start < passage.end and start - done <= most and not touches(others, done, start)
        if not touches(passage.withheld, done, start) and (inner or not between.strip()):
            start = joined.pop()[0] if joined else done
        if start < end:
            joined.append((start, end))
        done = end
    for first, last in passage.withheld:
        joined = [part for start, end in joined for part in ((start, min(end, first)), (max(start, last), end))]
        joined = [(start, end) for start, end in joined if start < end]
    return joined


def _with_shown(text: _Text, offset: int, stretches: Sequence[Span]) -> _Text:
    """`text` with the stretches, which count in the stored text, as those of its own; what overlaps is one."""
    shown: list[Span] = []
    for start, end in stretches:
        first, last = text.redacted_span(start - offset, end - offset)
        if shown and first <= shown[-1][1]:
            first = shown.pop()[0]
        shown.append((first, last))
    return replace(text, shown=tuple(shown))


def _complement(spans: Sequence[Span], length: int) -> tuple[Span, ...]:
    edges = [0, *(edge for span in spans for edge in span), length]
    return tuple((start, end) for start, end in zip(edges[::2], edges[1::2], strict=True) if start < end)


# What is left out


def _left_out(
    found: Sanitised, hits: Collection[str], texts: Collection[str], shown: Mapping[str, _Text]
) -> Iterator[LeftOut]:
    """Every character of the hits that is neither shown nor white space, with the reason."""
    for hit in found:
        passage = hit.passage
        yield from (_place(passage, span, "withheld") for span in passage.withheld)
        seen: list[Span] = []
        reason: WhyLeftOut = "budget"
        if passage.chunk_id not in hits:
            reason = "not_read"
        elif passage.chunk_id not in texts:
            reason = "redaction_failed"
        elif text := shown.get(passage.chunk_id):
            seen = [text.source_span(start, end) for start, end in text.shown]
        withheld = [(start - passage.start, end - passage.start) for start, end in passage.withheld]
        for start, end in _complement(sorted([*seen, *withheld]), len(passage.text)):
            if passage.text[start:end].strip():
                yield _place(passage, (passage.start + start, passage.start + end), reason)


def _place(passage: Passage, span: Span, reason: WhyLeftOut) -> LeftOut:
    return LeftOut(document_id=passage.document_id, version=passage.version, start=span[0], end=span[1], reason=reason)


def _in_pool(pool: Pool, passage: Passage, text: str, start: int) -> bool:
    """Whether `text` is a sentence of the pool at this place, or the header of a table there."""
    header = table_header(passage)
    if header and text == header and start == passage.start + passage.text.index(header):
        return True
    return any(
        one.start == start and one.text == text and one.passage.chunk_id == passage.chunk_id for one in pool.sentences
    )
