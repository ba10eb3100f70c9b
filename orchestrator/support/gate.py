"""The gate behind the citations: a claim that its own quotes do not carry is dropped, with a reason.

`verify` proves that quotes stand in the stored text; a model may still say something else than what it quotes. A claim
that is its quote, word for word, passes; any other one must be carried by its quotes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass
from itertools import permutations
from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from orchestrator.extractive import rendered_row, token_places
from orchestrator.support.evidence import Statement
from orchestrator.support.score import RULE, ContradictionKind, Support, SupportRule, support
from retrieval.sealed import Seal, Sealed

if TYPE_CHECKING:
    from ingest.encoder import Encoder
    from orchestrator.citations import Verified
    from orchestrator.contract import Citation, Claim
    from orchestrator.support.entailment import Entailment
    from retrieval.evidence import Hit

UnsupportedReason = Literal[ContradictionKind, "weak_evidence"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SupportConfig:
    """When a claim counts as carried."""

    # At .5, of 215 answers that people wrote for CLAP NQ's development set 98% reach it on the sentences that they
    # selected for them, and 13% on the other sentences of the same passage.
    threshold: float = 0.5
    rule: SupportRule = RULE
    max_claims: int = 50  # judged; further ones are dropped
    max_characters: int = 2_000  # of a claim that is no quote; a longer one is not one statement, and is dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """A claim that its quotes do not carry, and why; for the record and for a repair turn, never for the reader."""

    claim: Claim
    reason: UnsupportedReason
    words: tuple[str, ...]  # of the claim, that no quote has
    score: float


_SEAL: Final = Seal("orchestrator.support.gate.check_support")
_QUOTED: Final = Support(score=1.0, signals={}, selected=(), contradictions=())
_REFUSED: Final = Support(score=0.0, signals={}, selected=(), contradictions=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Supported(Sealed):
    """Claims that their own quotes carry. Made by `check_support` alone; without claims, abstain."""

    claims: tuple[Claim, ...]
    scores: tuple[float, ...]  # of the claims, 0 to 1; 1 for a claim that is its quote
    dropped: tuple[Unsupported, ...]
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)

    @property
    def text(self) -> str:
        """The answer: what is left of the claims, and nothing besides."""
        return " ".join(claim.text for claim in self.claims)


def check_support(
    verified: Verified,
    hits: Sequence[Hit],
    *,
    encoder: Encoder | None = None,
    entailment: Entailment | None = None,
    config: SupportConfig | None = None,
) -> Supported:
    """The claims of `verified` that their quotes carry.

    `hits` are those that the model was shown: their titles and headings are what a quote stands under. With `encoder`,
    claims that are no quote are also compared by their tokens; without it by their words alone. With `entailment` the
    score is the mean of the rule's and the model's.
    """
    config = config or SupportConfig()
    shown = {hit.passage.chunk_id: hit for hit in hits}
    kept: list[tuple[Claim, float]] = []
    dropped: list[Unsupported] = []
    for number, claim in enumerate(verified.claims):
        judged = _judge(claim, shown, encoder, entailment, config) if number < config.max_claims else _REFUSED
        if judged.contradictions or judged.score < config.threshold:
            dropped.append(_unsupported(claim, judged))
        else:
            kept.append((claim, judged.score))
    return Supported(
        claims=tuple(claim for claim, _ in kept),
        scores=tuple(score for _, score in kept),
        dropped=tuple(dropped),
        seal=_SEAL,
    )


def is_quote(claim: Claim, shown: Mapping[str, Hit]) -> bool:
    """Whether a claim is one of its quotes, or one behind what it stands under, or a row with its header's names."""
    quotes = [citation.quote for citation in claim.citations]
    if claim.text in quotes:
        return True
    for citation in claim.citations:
        frames = _frames(citation, shown)
        if any(claim.text == f"{frame}: {citation.quote}" for frame in frames):
            return True
    return any(claim.text == rendered_row(header, row) for row, header in permutations(quotes[:10], 2))


def _frames(citation: Citation, shown: Mapping[str, Hit]) -> tuple[str, ...]:
    """Title and headings that a quote stands under."""
    hit = shown.get(citation.chunk_id)
    return (citation.title, *hit.passage.headings) if hit else (citation.title,)


def _judge(
    claim: Claim,
    shown: Mapping[str, Hit],
    encoder: Encoder | None,
    entailment: Entailment | None,
    config: SupportConfig,
) -> Support:
    if is_quote(claim, shown):
        return _QUOTED
    if len(claim.text) > config.max_characters:
        return _REFUSED
    statements = [_statement(citation, shown) for citation in claim.citations]
    context = " | ".join(dict.fromkeys(frame for citation in claim.citations for frame in _frames(citation, shown)))
    encoding = encoder.encode_query(claim.text) if encoder else None
    judged = support(claim.text, statements, encoding=encoding, context=context, rule=config.rule)
    if entailment is None:
        return judged
    chance = entailment.entails(f"{context}\n" + "\n".join(one.text for one in statements), claim.text)
    return Support(
        score=round((judged.score + chance) / 2, 4),
        signals={**judged.signals, "entailment": round(chance, 4)},
        selected=judged.selected,
        contradictions=judged.contradictions,
    )


def _statement(citation: Citation, shown: Mapping[str, Hit]) -> Statement:
    """A quote with the token vectors that its chunk was encoded to, where they are at hand."""
    hit = shown.get(citation.chunk_id)
    if hit is None or hit.tokens is None or hit.passage.version != citation.version:
        return Statement(text=citation.quote)
    first, last = np.searchsorted(token_places(hit), (citation.start, citation.end))
    return Statement(text=citation.quote, tokens=hit.tokens.bits[first:last])


def _unsupported(claim: Claim, judged: Support) -> Unsupported:
    first = next(iter(judged.contradictions), None)
    return Unsupported(
        claim=claim,
        reason=first.kind if first else "weak_evidence",
        words=first.words if first else (),
        score=judged.score,
    )
