"""The learned heads: logistic regressions over named features, their weights in `model.json` for people to read.

    override    overt orders; judges a sentence alone, with or without vectors
    task        what does not belong to its document; judges a sentence in its context, with vectors only

`training/train.py` makes the file, from texts written for it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from retrieval.injection.context import CONTEXTS, INTERACTIONS, interaction_features
from retrieval.injection.features import SentenceFeatures
from retrieval.injection.rules import RULES
from retrieval.injection.style import STYLES

MODEL_FILE: Final = Path(__file__).parent / "model.json"
WORD_COLUMNS: Final = (*RULES, *STYLES)
CONTEXT_COLUMNS: Final = (*WORD_COLUMNS, *CONTEXTS, *INTERACTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """How seldom clean sentences score high: the share of them beyond a logit falls exponentially from a knee on."""

    knee: float  # logit
    share: float  # of clean sentences beyond the knee
    decay: float  # logits in which the share falls to 1 / e
    exponent: float  # sentences of one document count as their number to this power: they resemble each other
    soil: float  # logit that 5 % of clean sentences exceed

    def score(self, logits: NDArray[np.float32], sentences: int) -> NDArray[np.float64]:
        """The share of clean documents of `sentences` sentences in which none scores as high, 0 to 1.

        With a share q of clean sentences beyond a logit, none of n independent ones is beyond it in exp(-n q) of all
        documents (Poisson).
        """
        beyond = self.share * np.exp(-np.maximum(logits.astype(np.float64) - self.knee, 0) / self.decay)
        scores: NDArray[np.float64] = np.exp(-(sentences**self.exponent) * beyond)
        return np.where(logits > self.knee, scores, np.minimum(scores, np.exp(-(sentences**self.exponent))))


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One logistic regression."""

    bias: float
    weights: NDArray[np.float32]  # [columns]
    vector: NDArray[np.float32]  # [dimensions] of the sentence vector; empty when it takes no part
    tail: Tail

    def logits(self, columns: NDArray[np.float32], vectors: NDArray[np.float32] | None) -> NDArray[np.float32]:
        """[sentences]; `columns` are [sentences, columns], `vectors` [sentences, dimensions]."""
        logits = columns @ self.weights + np.float32(self.bias)
        if vectors is not None and len(self.vector):
            logits = logits + vectors @ self.vector
        return np.asarray(logits, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What `model.json` holds."""

    id: str  # the first digits of the file's SHA-256
    mean: NDArray[np.float32]  # [dimensions], the mean sign of each dimension of the encoder that it was trained with
    override: Head
    task: Head


def word_columns(features: SentenceFeatures) -> NDArray[np.float32]:
    """[sentences, WORD_COLUMNS]: what a sentence alone shows."""
    return np.concatenate([features.rules, features.style], axis=1)


def context_columns(features: SentenceFeatures) -> NDArray[np.float32]:
    """[sentences, CONTEXT_COLUMNS]; raises ValueError for features without context."""
    if features.context is None:
        raise ValueError("these sentences have no context")
    together = interaction_features(features.style, features.context)
    return np.concatenate([features.rules, features.style, features.context, together], axis=1)


@cache
def load_model(path: Path = MODEL_FILE) -> Model:
    """Read a model; weights of columns that it does not name are 0. Raises KeyError for columns that there are not."""
    data = path.read_bytes()
    found = json.loads(data)
    return Model(
        id=hashlib.sha256(data).hexdigest()[:12],
        mean=np.array(found["mean"], np.float32),
        override=_head(found["override"], WORD_COLUMNS),
        task=_head(found["task"], CONTEXT_COLUMNS),
    )


def _head(found: Mapping[str, Any], columns: Sequence[str]) -> Head:
    place = {name: column for column, name in enumerate(columns)}
    weights = np.zeros(len(columns), np.float32)
    for name, weight in found["weights"].items():
        weights[place[name]] = weight
    return Head(
        bias=float(found["bias"]),
        weights=weights,
        vector=np.array(found["vector"], np.float32),
        tail=Tail(**found["tail"]),
    )
