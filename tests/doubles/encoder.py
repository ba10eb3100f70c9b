"""An encoder that needs no model: vectors from the hashes of a text's words. Deterministic, quick, and it counts."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ingest.encoder import Encodings, QueryEncoding, TokenVectors

_WORD = re.compile(r"\w+")


class HashEncoder:
    """Texts that share words have similar vectors; `encoded` counts the texts that it had to encode."""

    def __init__(self, dimensions: int = 32, name: str = "hash") -> None:
        self._dimensions = dimensions
        self._name = name
        self.encoded = 0

    @property
    def id(self) -> str:
        """Name and size."""
        return f"{self._name}-{self._dimensions}"

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._dimensions

    @property
    def max_tokens(self) -> int:
        """Words of a text."""
        return 254

    def encode(self, texts: Sequence[str]) -> Encodings:
        """The normalised sum of a text's word vectors, and their signs."""
        self.encoded += len(texts)
        rows = [self._words(text) for text in texts]
        dense = np.stack([_unit(row.sum(axis=0)) for row in rows]) if rows else np.zeros((0, self._dimensions))
        tokens = [
            TokenVectors(bits=np.packbits(row > 0, axis=-1), starts=self._starts(text))
            for row, text in zip(rows, texts, strict=True)
        ]
        return Encodings(dense=dense.astype(np.float32), tokens=tokens)

    def encode_query(self, text: str) -> QueryEncoding:
        """As a passage, every word as telling as the next."""
        rows = self._words(text)
        return QueryEncoding(
            dense=_unit(rows.sum(axis=0)),
            tokens=np.stack([_unit(row) for row in rows]),
            weights=np.ones(len(rows), np.float32),
            familiarity=1.0,
        )

    def token_starts(self, text: str) -> NDArray[np.int64]:
        """Where words begin."""
        return np.array([match.start() for match in _WORD.finditer(text)], np.int64)

    @staticmethod
    def _starts(text: str) -> NDArray[np.int32]:
        """Where words begin; a text without words has one empty token, as in the vectors."""
        return np.array([match.start() for match in _WORD.finditer(text)] or [0], np.int32)

    def _words(self, text: str) -> NDArray[np.float32]:
        return np.stack([self._word(match.group().lower()) for match in _WORD.finditer(text)] or [self._word("")])

    def _word(self, word: str) -> NDArray[np.float32]:
        seed = int.from_bytes(hashlib.sha256(word.encode("utf-8", "surrogatepass")).digest()[:8], "big")
        return np.random.default_rng(seed).standard_normal(self._dimensions).astype(np.float32)


def _unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = (vector / max(float(np.linalg.norm(vector)), 1e-9)).astype(np.float32)
    return unit
