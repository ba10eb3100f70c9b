"""Trains the heads and writes `retrieval/injection/model.json`. From the repository:

    python -m retrieval.injection.training.train

Everything is drawn from the texts in `texts/` with fixed seeds and encoded with the default encoder. The same texts on
the same kind of processor give the same file; another precision of the encoder (bf16, f32) moves the last digits.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingest.chunker import CanonicalText, ChunkConfig, Span, chunk, encoder_input
from ingest.encoder import Encoder
from ingest.screening import ChunkTokens, chunk_tokens
from retrieval.injection.features import SentenceFeatures, sentence_features
from retrieval.injection.heads import (
    CONTEXT_COLUMNS,
    MODEL_FILE,
    WORD_COLUMNS,
    context_columns,
    word_columns,
)
from retrieval.injection.training.corpus import TrainingDocument, documents, prompts
from retrieval.injection.vectors import pooled_signs
from retrieval.sentences import sentence_spans

DOCUMENTS: Final = 900
PROMPTS: Final = 900
SEED: Final = 20
FOLDS: Final = 4  # of hosts and of families: tails are measured on hosts that the head has not seen
STRENGTH: Final = 300.0  # of the pull of all weights towards 0, in sentences
KNEE: Final = 0.98  # share of clean sentences below the knee of the tail
SOIL: Final = 0.95  # share of clean sentences below the soil
EXPONENT: Final = 0.7
ROUNDS: Final = 2  # of weighting each order's sentences by how much they give it away
LEAST: Final = 0.1  # weight of a sentence of an order that gives nothing away


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One training text, taken apart."""

    document: TrainingDocument
    features: SentenceFeatures
    planted: NDArray[np.bool_]  # [sentences]: more than half of it is an order
    partly: NDArray[np.bool_]  # [sentences]: some of it is, but no more than half


def chunked(encoder: Encoder, batch: Sequence[TrainingDocument]) -> list[tuple[ChunkTokens, ...]]:
    """The token vectors of each document's chunks, made as the ingest makes them."""
    places = []
    for number, document in enumerate(batch):
        spans = tuple(Span(start=a, end=b, kind="paragraph") for a, b in _paragraphs(document.text))
        canonical = CanonicalText(text=document.text, spans=spans)
        for piece in chunk(canonical, encoder.token_starts(document.text), ChunkConfig()):
            places.append((number, document.title, piece.headings, document.text[piece.start : piece.end], piece.start))
    inputs = [encoder_input(title, headings, text)[0] for _, title, headings, text, _ in places]
    made: list[list[ChunkTokens]] = [[] for _ in batch]
    for (number, *place), tokens in zip(places, encoder.encode(inputs).tokens, strict=True):
        made[number].append(chunk_tokens(*place, tokens))
    return [tuple(chunks) for chunks in made]


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = text.find("\n\n", start)
        end = len(text) if end < 0 else end
        if text[start:end].strip():
            yield start, end
        start = end + 2


def main() -> None:
    """Train and write the model."""
    from ingest.encoders import EncoderConfig, open_encoder

    encoder = open_encoder(EncoderConfig(device="cpu", allow_download=False))
    texts = [*documents(DOCUMENTS, SEED), *prompts(PROMPTS, SEED)]
    encoded = [chunks for batch in _batched(texts, 200) for chunks in chunked(encoder, batch)]
    mean = _mean(texts, encoded)
    samples = [_sample(text, chunks, mean) for text, chunks in zip(texts, encoded, strict=True)]
    inside = [sample for sample in samples if sample.document.genre != "prompt"]
    overt = [sample for sample in samples if sample.document.head != "task"]
    model = {
        "about": "Weights of the heads of retrieval/injection/heads.py; written by training/train.py.",
        "mean": _rounded(mean, 2),
        "override": _trained(
            [s for s in samples if s.document.head != "task"], word_columns, WORD_COLUMNS, vectors=False
        ),
        "task": _trained(inside, context_columns, CONTEXT_COLUMNS, vectors=True),
    }
    MODEL_FILE.write_text(_pretty(model), encoding="utf-8")


def _batched(items: Sequence[TrainingDocument], size: int) -> Iterator[Sequence[TrainingDocument]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _mean(texts: Sequence[TrainingDocument], encoded: Sequence[Sequence[ChunkTokens]]) -> NDArray[np.float32]:
    """The mean sign of each dimension over the sentences of the clean texts, to two digits as the file keeps it."""
    signs = [
        pooled_signs(np.array(sentence_spans(text.text), np.int64), chunks)
        for text, chunks in zip(texts, encoded, strict=True)
        if not text.head and text.genre != "prompt"
    ]
    return np.round(np.concatenate(signs).mean(axis=0), 2).astype(np.float32)


def _sample(document: TrainingDocument, chunks: Sequence[ChunkTokens], mean: NDArray[np.float32]) -> Sample:
    features = sentence_features(document.title, document.text, chunks, mean)
    start, end = features.spans[:, 0], features.spans[:, 1]
    covered = np.zeros(len(start))
    for a, b in document.attacks:
        covered += np.maximum(np.minimum(end, b) - np.maximum(start, a), 0)
    planted = covered > 0.5 * (end - start)
    return Sample(document=document, features=features, planted=planted, partly=(covered > 0) & ~planted)


def _trained(
    samples: Sequence[Sample],
    columns: Callable[[SentenceFeatures], NDArray[np.float32]],
    names: Sequence[str],
    *,
    vectors: bool,
) -> dict[str, Any]:
    """One head as the file holds it: its weights from all samples, its tail from hosts that were left out."""
    rows = np.concatenate([columns(s.features) for s in samples])
    if vectors:
        rows = np.concatenate([rows, np.concatenate([_vectors(s) for s in samples])], axis=1)
    target = np.concatenate([s.planted for s in samples])
    usable = ~np.concatenate([s.partly for s in samples])
    order = np.concatenate([np.where(s.planted, n, -1) for n, s in enumerate(samples)])
    owner = np.repeat([_fold(s.document.title or s.document.text) for s in samples], [len(s.planted) for s in samples])
    inside = np.repeat([s.document.genre != "prompt" for s in samples], [len(s.planted) for s in samples])
    held_out = np.zeros(len(rows))
    for fold in range(FOLDS):
        train = usable & (owner != fold)
        weights, bias = _fit(rows[train], target[train], order[train])
        held_out[owner == fold] = rows[owner == fold] @ weights + bias
    weights, bias = _fit(rows[usable], target[usable], order[usable])
    clean = held_out[inside & usable & ~target]
    return {
        "bias": round(float(bias), 4),
        "weights": {name: w for name, w in zip(names, _rounded(weights[: len(names)], 4), strict=True) if w},
        "vector": _rounded(weights[len(names) :], 4),
        "tail": _tail(clean),
    }


def _vectors(sample: Sample) -> NDArray[np.float32]:
    if sample.features.vectors is None:
        raise ValueError("a training text has no vectors")
    return sample.features.vectors


def _fold(name: str) -> int:
    return sum(name.encode()) % FOLDS


def _tail(clean: NDArray[np.float64]) -> dict[str, float]:
    knee, soil = np.quantile(clean, [KNEE, SOIL])
    decay = float((clean[clean > knee] - knee).mean())
    values = {"knee": knee, "share": 1 - KNEE, "decay": decay, "exponent": EXPONENT, "soil": soil}
    return {name: round(float(value), 4) for name, value in values.items()}


def _fit(
    rows: NDArray[np.float32], target: NDArray[np.bool_], order: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """Weights and bias of a logistic regression in which each order is judged by the sentences that give it away.

    Sentences of one order share a number in `order`; elsewhere it is -1. Those that read harmlessly alone get a small
    weight, found in rounds (multiple-instance learning, Dietterich et al., 1997).
    """
    weight = np.ones(len(rows))
    planted = np.flatnonzero(order >= 0)
    for _ in range(ROUNDS + 1):
        weights, bias = _regression(rows, target, weight)
        logits = rows[planted] @ weights + bias
        best = np.full(order.max() + 1, -np.inf)
        np.maximum.at(best, order[planted], logits)
        weight[planted] = np.maximum(np.exp(logits - best[order[planted]]), LEAST)
    return weights, bias


def _regression(
    rows: NDArray[np.float32], target: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float]:
    """Logistic regression with an L2 penalty on standardised columns."""
    from scipy.optimize import minimize

    centre, scale = rows.mean(axis=0, dtype=np.float64), rows.std(axis=0, dtype=np.float64) + 1e-3
    design = ((rows - centre) / scale).astype(np.float32)
    sign = np.where(target, 1.0, -1.0)

    def loss(beta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (design @ beta[:-1].astype(np.float32) + beta[-1])
        slope = -sign * weight / (1 + np.exp(np.minimum(margin, 50)))
        value = float(weight @ np.logaddexp(0, -margin)) + STRENGTH / 2 * float(beta[:-1] @ beta[:-1])
        return value, np.r_[slope.astype(np.float32) @ design + STRENGTH * beta[:-1], slope.sum()]

    beta = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B", options={"maxiter": 150}).x
    weights = beta[:-1] / scale
    return weights, float(beta[-1] - centre @ weights)


def _rounded(values: Iterable[float], digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def _pretty(model: dict[str, Any]) -> str:
    """JSON with one weight a line, and vectors on one."""
    text = json.dumps(model, indent=1, ensure_ascii=False)
    return "".join(_joined(text)) + "\n"


def _joined(text: str) -> Iterator[str]:
    inside = False
    for line in text.splitlines(keepends=True):
        inside = inside or line.rstrip().endswith("[")
        yield line.strip() + (" " if line.rstrip().endswith(",") else "") if inside else line
        if inside and line.strip() in ("]", "],"):
            inside = False
            yield "\n"


if __name__ == "__main__":
    main()
