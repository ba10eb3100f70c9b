"""The port of the encoder: text in, vectors out. `ingest/encoders/` holds what stands behind it.

Besides one vector per text an encoder gives its token vectors, one bit per dimension, from the same forward pass. They
serve late interaction (Khattab and Zaharia, "ColBERT", 2020) in retrieval and evidence with no second model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenVectors:
    """The tokens of one text, special tokens left out."""

    bits: NDArray[np.uint8]  # [tokens, dimensions / 8]: np.packbits of the signs
    starts: NDArray[np.int32]  # [tokens], the character of the text at which each begins, ascending


@dataclass(frozen=True, slots=True, kw_only=True)
class Encodings:
    """What n texts turned into."""

    dense: NDArray[np.float32]  # [n, dimensions], unit rows
    tokens: list[TokenVectors]  # n


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryEncoding:
    """What one question turned into."""

    dense: NDArray[np.float32]  # [dimensions], unit length
    tokens: NDArray[np.float32]  # [tokens, dimensions], unit rows, special tokens left out
    weights: NDArray[np.float32]  # [tokens], how telling each token is, from the tokeniser's own vocabulary, >= 0
    familiarity: float  # share of the question's letters in pieces that the encoder can read, 0 to 1


class Encoder(Protocol):
    """Turns texts into vectors. Safe to call from several threads; the vectors do not depend on the batch."""

    @property
    def id(self) -> str:
        """Names model, weights, precision, length limit and prefixes: vectors of two ids must never be mixed."""
        ...

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        ...

    @property
    def max_tokens(self) -> int:
        """The longest text that is seen whole, special tokens left out."""
        ...

    def encode(self, texts: Sequence[str]) -> Encodings:
        """Vectors of passages."""
        ...

    def encode_query(self, text: str) -> QueryEncoding:
        """Vectors of a question."""
        ...

    def token_starts(self, text: str) -> NDArray[np.int64]:
        """The character offsets, ascending, at which the tokens of a whole text begin, however long it is."""
        ...
