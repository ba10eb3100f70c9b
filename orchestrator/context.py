"""The gate between evidence and prompts: what a model may be shown, within a budget, without personal data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ingest.tags import Classification

if TYPE_CHECKING:
    from orchestrator.citations import Quote
    from orchestrator.extractive import Pool
    from orchestrator.personal_data.redaction import Redacted
    from orchestrator.personal_data.vault import Vault
    from retrieval.evidence import Hit

WhyLeftOut = Literal["budget", "withheld", "redaction_failed"]

_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Evidence that was found and is not shown to the model."""

    document_id: str
    version: int
    start: int  # in the stored text
    end: int
    reason: WhyLeftOut


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a model may be shown for one question. Made by `assemble` alone.

    Sources are numbered from 1, in the order of `sources`; a model names them by these numbers.
    """

    question: Redacted  # as it is put to the documents
    history: Redacted | None  # summary of the conversation before it
    sources: tuple[Hit, ...]
    evidence: str = field(repr=False)  # the sources as the prompt shows them: spotlit and redacted
    rules: str  # for the system turn: what marks data
    left_out: tuple[LeftOut, ...]
    tokens: int  # of `evidence`, as estimated
    classification: Classification  # the highest of the sources
    regions: frozenset[str]  # of sources that must stay in a region
    vault: Vault
    pool: Pool = field(repr=False)  # for the extractive model
    flags: tuple[str, ...] = ()
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("A Context is made by orchestrator.context.assemble only.")

    def quote(self, source: int, text: str, start: int | None = None) -> Quote | None:
        """What a model quotes from a source, in the words of the stored text; None when there is no such source.

        A quote of redacted or marked text is carried back to what stood there. `start` is an offset in the stored text.
        """
        raise NotImplementedError

    def restore(self, text: str) -> tuple[str, tuple[str, ...]]:
        """`text` with the vault's values in it, and what looks like a placeholder and is none."""
        raise NotImplementedError

    def shown(self) -> Mapping[str, int]:
        """Chunk id to the number of its source."""
        raise NotImplementedError
