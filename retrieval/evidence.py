"""What retrieval hands on: passages that the asker may read, with what screening found in them and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ingest.tags import Classification, Integrity

if TYPE_CHECKING:
    from ingest.encoder import TokenVectors
    from ingest.ledger.rows import ChunkScreening
    from ingest.screening import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One chunk of a document version, read within a ReadScope.

    `text` is the slice [start, end) of the stored text; in a `Sanitised` with what is withheld replaced in it.
    """

    chunk_id: str
    document_id: str
    version: int  # counts from 1
    title: str
    source_uri: str
    text: str
    start: int
    end: int
    page: int | None  # counts from 1
    page_end: int | None
    headings: tuple[str, ...]  # from the highest down
    classification: Classification = Classification.internal
    integrity: Integrity = Integrity.internal  # who could write its source
    region: str | None = None  # where its document has to stay; None: anywhere
    screening: ChunkScreening | None = None  # None when no screener ever saw its version
    withheld: tuple[tuple[int, int], ...] = ()  # offsets in the stored text of what was taken out, in order
    flags: tuple[str, ...] = ()  # what sanitising has to say of it

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What screening found in it, whatever was done about that."""
        return self.screening.findings if self.screening else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A passage that was found for a question."""

    passage: Passage
    score: float  # comparable within one answer only
    legs: Mapping[str, float]  # the raw score of each leg: dense cosine, lexical BM25, and what else took part
    tokens: TokenVectors | None = field(default=None, repr=False, compare=False)  # of what the encoder saw
