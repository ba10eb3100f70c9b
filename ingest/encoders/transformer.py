"""The encoder: tokenises, forms batches, runs the forward pass of a runtime and turns its output into vectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ingest.encoder import Encodings, QueryEncoding, TokenVectors
from ingest.encoders.tokens import Batch, TextTokenizer, batches
from ingest.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ingest.encoders import EncoderConfig
    from ingest.encoders.model_folder import ModelFolder


class Forward(Protocol):
    """One model on one runtime. Safe to call from several threads."""

    precision: str  # "f32", "bf16", ...: what the vectors were computed in
    dimensions: int  # length of a sentence vector
    token_dimensions: int  # length of a token vector
    batch_scale: int  # how many times `EncoderConfig.batch_tokens` suit the device

    def passages(self, batches: Iterable[Batch]) -> Iterator[tuple[Batch, NDArray[np.float32], NDArray[np.bool_]]]:
        """For each batch, in order, sentence vectors [b, dimensions] and token signs [b, length, token_dimensions]."""
        ...

    def query(self, batch: Batch) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Sentence vectors [b, dimensions] and token vectors [b, length, token_dimensions]; waits for no passages."""
        ...


class TransformerEncoder:
    """The port `ingest.encoder.Encoder` over a sentence-transformers model. Safe to call from several threads."""

    def __init__(self, config: EncoderConfig, folder: ModelFolder, forward: Forward) -> None:
        if forward.token_dimensions != forward.dimensions or forward.dimensions % 8:
            raise BadInput(
                config.model,
                "encoder_dimensions",
                f"Its sentence vectors have {forward.dimensions} and its token vectors {forward.token_dimensions} "
                "dimensions, where one length, a multiple of 8, is needed.",
                "Choose another model.",
            )
        self._config = config
        self._forward = forward
        limit = min(config.max_tokens, folder.max_tokens)
        self._tokenizer = TextTokenizer(folder.transformer_path / "tokenizer.json", max_tokens=limit)
        self._max_tokens = self._tokenizer.room(config.passage_prefix)
        self._tokenizer.room(config.query_prefix)
        self._id = _encoder_id(config, folder, forward, limit)

    @property
    def id(self) -> str:
        """`name:fingerprint:precision:limit`, and a hash of the prefixes if there are any."""
        return self._id

    @property
    def dimensions(self) -> int:
        """Length of a vector."""
        return self._forward.dimensions

    @property
    def max_tokens(self) -> int:
        """The longest passage that is seen whole, special tokens and prefix left out."""
        return self._max_tokens

    def encode(self, texts: Sequence[str]) -> Encodings:
        """Vectors of passages; see `Encodings`. Longer ones are cut at `max_tokens`."""
        tokenized = self._tokenizer.tokenize(texts, self._config.passage_prefix)
        dense = np.empty((len(texts), self.dimensions), np.float32)
        bits: list[NDArray[np.uint8]] = [np.empty((0, self.dimensions // 8), np.uint8)] * len(texts)
        size = self._config.batch_tokens * self._forward.batch_scale
        for batch, vectors, signs in self._forward.passages(batches(tokenized, batch_tokens=size)):
            dense[batch.texts] = vectors
            for row, text in enumerate(batch.texts):
                bits[text] = np.packbits(signs[row, tokenized[text].rows], axis=-1)
        starts = [text.spans[:, 0].astype(np.int32) for text in tokenized]
        tokens = [TokenVectors(bits=own, starts=places) for own, places in zip(bits, starts, strict=True)]
        return Encodings(dense=_unit(dense), tokens=tokens)

    def encode_query(self, text: str) -> QueryEncoding:
        """Vectors, token weights and familiarity of a question; see `QueryEncoding` and `TextTokenizer`."""
        tokenized = self._tokenizer.tokenize([text], self._config.query_prefix)[0]
        (batch,) = batches([tokenized], batch_tokens=1)
        dense, tokens = self._forward.query(batch)
        return QueryEncoding(
            dense=_unit(dense)[0],
            tokens=_unit(tokens[0, tokenized.rows]),
            weights=self._tokenizer.weights(text, tokenized),
            familiarity=self._tokenizer.familiarity(text, tokenized),
        )

    def token_starts(self, text: str) -> NDArray[np.int64]:
        """The character offsets, ascending, at which the tokens of a whole text begin, however long it is."""
        return self._tokenizer.starts(text)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1 in float32, whatever precision they were computed in."""
    norms = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[np.float32] = vectors / np.maximum(norms, 1e-12)
    return unit


def _encoder_id(config: EncoderConfig, folder: ModelFolder, forward: Forward, limit: int) -> str:
    parts = [folder.name, folder.fingerprint, forward.precision, str(limit)]
    if config.query_prefix or config.passage_prefix:
        prefixes = f"{config.query_prefix}\0{config.passage_prefix}"
        parts.append(hashlib.sha256(prefixes.encode()).hexdigest()[:8])
    return ":".join(parts)
