"""The port of the screener: what of a document looks like an order to whoever reads it. It stands in `retrieval`.

Documents are written by others. Each version is screened once, with the token vectors that the encoder has already
made; what was found is kept beside it in the ledger, and retrieval acts on it whenever the text is read. A better
screener thus protects old documents after a new screening, and nothing is encoded again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from ingest.chunker import encoder_input

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingest.encoder import TokenVectors

Kind = Literal[
    "invisible",  # characters that no reader sees: zero width, tags, bidirectional controls
    "look_alike",  # letters of another script or digits in place of letters, words split by signs
    "encoded",  # base64, hex, rot13 and the like that decode to text with an order in it
    "delimiter",  # chat templates, made-up system or tool turns, ends of documents that are none
    "exfiltration",  # images and links that carry data out
    "override",  # overt orders: leave your rules, take another part, give the secret
    "task",  # a task for the reader that does not belong to its document
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One span of a document that looks like an order. Offsets count in the canonical text."""

    kind: Kind
    score: float  # 0 to 1: about the share of clean documents in which nothing scores as high
    start: int
    end: int
    reason: str  # one sentence for people; quotes nothing of the document


@dataclass(frozen=True, slots=True, kw_only=True)
class Screening:
    """What a screener found in one version of a document."""

    screener: str  # its id: changes with its rules, weights and thresholds
    findings: tuple[Finding, ...]  # by start, then end; they may overlap
    failed: tuple[str, ...] = ()  # names of the detectors that failed: the text counts as not screened


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkTokens:
    """The token vectors of a chunk's own text, without those of its title and headings."""

    start: int  # of the chunk in the canonical text
    end: int
    starts: NDArray[np.int64]  # [tokens], where each begins in the canonical text, ascending
    tokens: NDArray[np.uint8]  # [tokens, dimensions / 8], as in `Encodings.tokens`


class Screener(Protocol):
    """Looks for orders in documents. Safe to call from several threads; never raises for any text."""

    @property
    def id(self) -> str:
        """Names rules, weights and thresholds: findings of two ids must not be compared."""
        ...

    def screen(self, title: str, text: str, chunks: Sequence[ChunkTokens]) -> Screening:
        """Screen one document. Without `chunks` (no vectors at hand) only what words and signs show is found."""
        ...


def chunk_tokens(title: str, headings: tuple[str, ...], text: str, start: int, tokens: TokenVectors) -> ChunkTokens:
    """The tokens of a chunk that lies at `start` of its document, from those of what the encoder saw of it."""
    _, offset = encoder_input(title, headings, text)
    own = tokens.starts >= offset
    starts = tokens.starts[own].astype("int64") + (start - offset)
    return ChunkTokens(start=start, end=start + len(text), starts=starts, tokens=tokens.bits[own])
