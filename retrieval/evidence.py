"""What retrieval hands on: passages that the asker may read, with their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest.encoder import TokenVectors


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One chunk of a document version, read within a ReadScope. `text` is the slice [start, end) of the stored text."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A passage that was found for a question."""

    passage: Passage
    score: float  # comparable within one answer only
    legs: Mapping[str, float]  # the raw score of each leg: dense cosine, lexical BM25, and what else took part
    tokens: TokenVectors | None = field(default=None, repr=False, compare=False)  # of what the encoder saw
