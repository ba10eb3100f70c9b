"""The provider that needs no key: the model `extractive` quotes sentences of the evidence, within this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from orchestrator.egress.contracts import (
    CONTRACTS,
    GroundedAnswer,
    GroundedClaim,
    OutputContract,
    SourceQuote,
    Summary,
)
from orchestrator.extractive import NAME, ExtractiveConfig, Sentence, choose, claim_of
from orchestrator.gateway.port import ModelInfo, ModelReply, ModelRequest, ProviderFailure, TokenUsage

if TYPE_CHECKING:
    from orchestrator.citations import Quote
    from orchestrator.context import Context

POINTS: Final = 6  # most sentences of a summary


class ExtractiveProvider:
    """Answers from `ModelRequest.context`. Deterministic, without cost, and nothing leaves the process."""

    def __init__(self, config: ExtractiveConfig | None = None) -> None:
        self._config = config or ExtractiveConfig()

    async def complete(self, request: ModelRequest, *, timeout_s: float) -> ModelReply:  # noqa: ARG002 - under 1 ms
        """Fill the contract with sentences. Raises ProviderFailure for a contract that takes more than quoting."""
        if request.context is None:
            raise ProviderFailure("bad_request", "The extractive model was given no evidence.")
        write = next((make for name, make in _WRITERS.items() if request.schema == CONTRACTS[name].schema), None)
        if write is None:
            raise ProviderFailure("bad_request", f"The extractive model fills {' and '.join(_WRITERS)} alone.")
        output = write(request.context, self._config)
        return ModelReply(text=output.model_dump_json(), stop="end", usage=TokenUsage(), model=NAME)

    async def count_tokens(self, request: ModelRequest, *, timeout_s: float) -> int | None:  # noqa: ARG002
        """It reads no tokens."""
        return 0

    async def models(self, *, timeout_s: float) -> Sequence[ModelInfo]:  # noqa: ARG002
        """There is one."""
        return (ModelInfo(model=NAME, capabilities=frozenset({"structured_output"})),)

    async def close(self) -> None:
        """Nothing is open."""


def _answer(context: Context, config: ExtractiveConfig) -> OutputContract:
    """The claims of `orchestrator.extractive.draft`; how sure it is, is the chance of their sentences in the pool."""
    sentences = choose(context.pool, config)
    chances = {id(one): float(chance) for one, chance in zip(context.pool.sentences, context.pool.chances, strict=True)}
    return GroundedAnswer(
        answerable=bool(sentences),
        claims=_claims(context, sentences),
        confidence=min(1.0, sum(chances[id(sentence)] for sentence in sentences)),
    )


def _summary(context: Context, config: ExtractiveConfig) -> OutputContract:
    """The best sentences, whatever the lead of the first."""
    sentences = choose(context.pool, replace(config, max_claims=POINTS, min_share=0.0))
    title = sentences[0].passage.title if sentences else ""
    return Summary(title=title, points=_claims(context, sentences))


_WRITERS: Final[Mapping[str, Callable[[Context, ExtractiveConfig], OutputContract]]] = {
    "grounded_answer": _answer,
    "summary": _summary,
}


def _claims(context: Context, sentences: Sequence[Sentence]) -> tuple[GroundedClaim, ...]:
    numbers = {hit.passage.chunk_id: number for number, hit in enumerate(context.sources, start=1)}
    return tuple(
        GroundedClaim(text=claim.text, quotes=tuple(_source_quote(quote, numbers) for quote in claim.quotes))
        for claim in map(claim_of, sentences)
    )


def _source_quote(quote: Quote, numbers: Mapping[str, int]) -> SourceQuote:
    """The quote by number, with its place: a table's header, which has none, is the first of its words."""
    passage = quote.passage
    start = passage.start + passage.text.index(quote.text) if quote.start is None else quote.start
    return SourceQuote(source=numbers[passage.chunk_id], quote=quote.text, start=start)
