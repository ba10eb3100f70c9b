"""The learned heads: small networks over named features, their weights in `model.json` for people to read.

    alone     overt orders, from a sentence's own words; for texts without vectors
    overt     the same with the sentence's vector; for texts too short to have a context, and to tell overt orders apart
    inside    what does not belong to its document: a sentence with its context and its vector

A head is the mean of a logistic regression and a few networks with one hidden layer: the first holds on texts unlike
those it was trained with, the others see what is odd only together. `training/train.py` makes the file, from texts
written for it.
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
ALONE_COLUMNS: Final = (*RULES, *STYLES)
INSIDE_COLUMNS: Final = (*ALONE_COLUMNS, *CONTEXTS, *INTERACTIONS)
CLIP: Final = 3.0  # standard deviations from its mean beyond which a column tells no more
_BLOCK: Final = 4_096  # sentences that are judged together, so that memory stays bounded


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """How seldom clean sentences score high: the share of them beyond a logit falls exponentially from a knee on."""

    knee: float  # logit that 2 % of clean sentences exceed; none below it scores
    share: float  # of clean sentences beyond the knee, as scores of whole documents imply it
    decay: float  # logits in which that share falls to 1 / e
    exponent: float  # sentences of one document count as their number to this power: they resemble each other
    soil: float  # logit that 15 % of clean sentences exceed

    def score(self, logits: NDArray[np.float32], sentences: int) -> NDArray[np.float64]:
        """The share of clean documents of `sentences` sentences in which none scores as high, 0 to 1.

        With a share q of clean sentences beyond a logit, none of n independent ones is beyond it in exp(-n q) of all
        documents (Poisson). Below the knee, where every second document has such a sentence, scores are 0.
        """
        beyond = self.share * np.exp(-np.maximum(logits.astype(np.float64) - self.knee, 0) / self.decay)
        return np.where(logits > self.knee, np.exp(-(sentences**self.exponent) * beyond), 0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One regression and the networks beside it, as one. Weights apply to standardised columns."""

    centre: NDArray[np.float32]  # [columns], the sentence vector's dimensions last where it takes part
    scale: NDArray[np.float32]  # [columns]
    linear: NDArray[np.float32]  # [columns]
    hidden: NDArray[np.float32]  # [units, columns], of all networks together
    hidden_bias: NDArray[np.float32]  # [units]
    output: NDArray[np.float32]  # [units]
    bias: float

    def logits(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """[sentences], from [sentences, columns]."""
        parts = [self._block(rows[start : start + _BLOCK]) for start in range(0, len(rows), _BLOCK)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _block(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        standard = np.clip((rows - self.centre) / self.scale, -CLIP, CLIP)
        units = np.maximum(standard @ self.hidden.T + self.hidden_bias, 0)
        return np.asarray(standard @ self.linear + units @ self.output + self.bias, np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What judges sentences, and what its judgement means."""

    network: Network
    tail: Tail


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """What `model.json` holds."""

    id: str  # the first digits of the file's SHA-256
    mean: NDArray[np.float32]  # [dimensions], the mean sign of each dimension of the encoder that it was trained with
    alone: Head
    overt: Head
    inside: Head


def alone_rows(features: SentenceFeatures) -> NDArray[np.float32]:
    """[sentences, ALONE_COLUMNS]: what the words of a sentence show."""
    return np.concatenate([features.rules, features.style], axis=1)


def overt_rows(features: SentenceFeatures) -> NDArray[np.float32]:
    """[sentences, ALONE_COLUMNS and dimensions]; raises ValueError for features without vectors."""
    if features.vectors is None:
        raise ValueError("these sentences have no vectors")
    return np.concatenate([features.rules, features.style, features.vectors], axis=1, dtype=np.float32)


def inside_rows(features: SentenceFeatures) -> NDArray[np.float32]:
    """[sentences, INSIDE_COLUMNS and dimensions]; raises ValueError for features without context."""
    if features.context is None or features.vectors is None:
        raise ValueError("these sentences have no context")
    together = interaction_features(features.style, features.context)
    parts = [features.rules, features.style, features.context, together, features.vectors]
    return np.concatenate(parts, axis=1, dtype=np.float32)


@cache
def load_model(path: Path = MODEL_FILE) -> Model:
    """Read a model. Raises ValueError for one that was made for other columns than this code has."""
    data = path.read_bytes()
    found = json.loads(data)
    return Model(
        id=hashlib.sha256(data).hexdigest()[:12],
        mean=np.array(found["mean"], np.float32),
        alone=_head(found["alone"], ALONE_COLUMNS),
        overt=_head(found["overt"], ALONE_COLUMNS),
        inside=_head(found["inside"], INSIDE_COLUMNS),
    )


def _head(found: Mapping[str, Any], columns: Sequence[str]) -> Head:
    if tuple(found["columns"]) != tuple(columns):
        raise ValueError("the model was trained with other columns: run retrieval.injection.training.train")
    arrays = ("centre", "scale", "linear", "hidden_bias", "output")
    weights = {name: np.array(found[name], np.float32) for name in arrays}
    hidden = np.array(found["hidden_in_hundredths"], np.float32) / np.float32(100)
    network = Network(**weights, hidden=hidden, bias=float(found["bias"]))
    return Head(network=network, tail=Tail(**found["tail"]))
