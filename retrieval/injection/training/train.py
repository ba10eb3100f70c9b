"""Trains the heads and writes `retrieval/injection/model.json`. From the repository, in about ten minutes on two cores:

    python -m retrieval.injection.training.train

Everything is drawn from the texts in `texts/` with fixed seeds and encoded with the default encoder. The same texts on
the same kind of processor give the same file; another precision of the encoder (bf16, f32) moves some digits.
"""

from __future__ import annotations

import json
import random
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ingest.chunker import CanonicalText, ChunkConfig, Span, chunk, encoder_input
from ingest.encoder import Encoder
from ingest.screening import ChunkTokens, chunk_tokens
from retrieval.injection.features import SentenceFeatures, sentence_features
from retrieval.injection.heads import ALONE_COLUMNS, INSIDE_COLUMNS, MODEL_FILE, alone_rows, inside_rows, overt_rows
from retrieval.injection.training.corpus import TrainingDocument, documents, prompts
from retrieval.injection.training.fit import fit
from retrieval.injection.training.variety import TITLE_SHARE, excerpt, titled, varied
from retrieval.injection.vectors import pooled_signs
from retrieval.sentences import sentence_spans

DOCUMENTS: Final = 10_000
PROMPTS: Final = 6_000
HOST_SHARE: Final = 0.1  # of clean sentences of documents, where a head is to tell orders from honest requests
ORDINARY: Final = 3_000  # texts of each kind, less varied: the clean ones tell which scores are seldom
SEED: Final = 20
FOLDS: Final = 3  # of hosts: tails are measured on hosts that the head has not seen
AT_ONCE: Final = 200  # documents that are encoded together
KNEE: Final = 0.98  # share of clean sentences below the knee of the tail
SOIL: Final = 0.85  # share of clean sentences below the soil
EXPONENTS: Final = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # of a document's length, that are tried
# Genres that were written as traps, and come far more often here than among the documents of a company.
TRAPS: Final = frozenset(
    """security|security news|prompt guide|assistant handbook|encodings|encryption|translation|localisation|quiz
    |chat transcript""".replace("\n    ", "").split("|")
)
FLAGGED: Final = (0.05, 0.01)  # shares of clean texts at which tails are made to agree


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One training text, taken apart."""

    document: TrainingDocument
    features: SentenceFeatures
    planted: NDArray[np.bool_]  # [sentences]: at least half of it is an order
    partly: NDArray[np.bool_]  # [sentences]: some of it is, but less than half


def main() -> None:
    """Train and write the model."""
    from ingest.encoders import EncoderConfig, open_encoder

    encoder = open_encoder(EncoderConfig(device="cpu", allow_download=False))
    MODEL_FILE.write_text(trained_model(encoder, DOCUMENTS, PROMPTS, ORDINARY), encoding="utf-8")


def trained_model(encoder: Encoder, document_count: int, prompt_count: int, ordinary_count: int) -> str:
    """The model file, from as many texts."""
    rng = random.Random(SEED)
    texts = [varied(document, rng) for document in documents(document_count, SEED)] + list(prompts(prompt_count, SEED))
    trained_on = len(texts)
    texts += [_ordinary(document, rng) for document in documents(ordinary_count, SEED + 1) if not document.head]
    texts += [prompt for prompt in prompts(ordinary_count, SEED + 1) if not prompt.head]
    encoded = [chunks for batch in _batches(texts, AT_ONCE) for chunks in chunked(encoder, batch)]
    mean = _mean(texts, encoded)
    samples = [_sample(text, chunks, mean) for text, chunks in zip(texts, encoded, strict=True)]
    samples, clean = samples[:trained_on], samples[trained_on:]
    honest = [sample for sample in clean if sample.document.genre == "prompt"]
    ordinary = [sample for sample in clean if sample.document.genre not in TRAPS | {"prompt"}]
    overt = [sample for sample in samples if sample.document.head != "task"]
    hosted = [sample for sample in samples if sample.document.genre != "prompt"]
    model = {
        "about": "The heads of retrieval/injection/heads.py, written by training/train.py. Columns are standardised.",
        "mean": _rounded(mean, 2),
        "alone": _head(overt, honest, alone_rows, ALONE_COLUMNS, units=24, hosts=HOST_SHARE),
        "overt": _head(overt, honest, overt_rows, ALONE_COLUMNS, units=16, hosts=HOST_SHARE),
        "inside": _head(hosted, ordinary, inside_rows, INSIDE_COLUMNS, units=32),
    }
    return written(model)


def _ordinary(document: TrainingDocument, rng: random.Random) -> TrainingDocument:
    document = titled(document, rng) if rng.random() < TITLE_SHARE else document
    return excerpt(document, rng.randint(4, 16), rng) if rng.random() < 0.5 else document


def chunked(encoder: Encoder, batch: Sequence[TrainingDocument]) -> list[tuple[ChunkTokens, ...]]:
    """The token vectors of each document's chunks, made as the ingest makes them."""
    places: list[tuple[int, tuple[str, ...], int, int]] = []
    for number, document in enumerate(batch):
        spans = tuple(Span(start=a, end=b, kind="paragraph") for a, b in _paragraphs(document.text))
        canonical = CanonicalText(text=document.text, spans=spans)
        pieces = chunk(canonical, encoder.token_starts(document.text), ChunkConfig())
        places += [(number, piece.headings, piece.start, piece.end) for piece in pieces]
    inputs = [encoder_input(batch[n].title, headings, batch[n].text[a:b])[0] for n, headings, a, b in places]
    made: list[list[ChunkTokens]] = [[] for _ in batch]
    for (n, headings, a, b), tokens in zip(places, encoder.encode(inputs).tokens, strict=True):
        made[n].append(chunk_tokens(batch[n].title, headings, batch[n].text[a:b], a, tokens))
    return [tuple(chunks) for chunks in made]


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = text.find("\n\n", start)
        end = len(text) if end < 0 else end
        if text[start:end].strip():
            yield start, end
        start = end + 2


def _batches(texts: Sequence[TrainingDocument], size: int) -> Iterator[Sequence[TrainingDocument]]:
    for start in range(0, len(texts), size):
        sys.stderr.write(f"\rencoding: {start} of {len(texts)} texts")
        yield texts[start : start + size]
    sys.stderr.write("\n")


def _mean(texts: Sequence[TrainingDocument], encoded: Sequence[Sequence[ChunkTokens]]) -> NDArray[np.float32]:
    """The mean sign of each dimension over the sentences of the clean documents, to two digits as the file keeps it."""
    signs = []
    for text, chunks in zip(texts, encoded, strict=True):
        if not text.head and text.genre != "prompt":
            spans = np.array(sentence_spans(text.text), np.int64).reshape(-1, 2)
            signs.append(pooled_signs(spans, chunks, np.zeros(len(text.text), np.bool_))[0])
    return np.asarray(np.round(np.concatenate(signs).mean(axis=0), 2), np.float32)


def _sample(document: TrainingDocument, chunks: Sequence[ChunkTokens], mean: NDArray[np.float32]) -> Sample:
    features = sentence_features(document.title, document.text, chunks, mean)
    start, end = features.spans[:, 0], features.spans[:, 1]
    covered = np.zeros(len(start))
    for a, b in document.attacks:
        covered += np.maximum(np.minimum(end, b) - np.maximum(start, a), 0)
    planted = covered >= 0.5 * (end - start)
    return Sample(document=document, features=features, planted=planted, partly=(covered > 0) & ~planted)


def _head(
    samples: Sequence[Sample],
    reference: Sequence[Sample],
    rows_of: Callable[[SentenceFeatures], NDArray[np.float32]],
    names: Sequence[str],
    *,
    units: int,
    hosts: float = 1.0,
) -> dict[str, Any]:
    """One head as the file holds it: its weights from all samples, its tail from clean texts it had not seen.

    Of the clean sentences of documents the share `hosts` takes part.
    """
    rows = np.concatenate([rows_of(sample.features) for sample in samples])
    target = np.concatenate([sample.planted for sample in samples])
    usable = ~np.concatenate([sample.partly for sample in samples])
    hosted = np.repeat([sample.document.genre != "prompt" for sample in samples], [len(s.planted) for s in samples])
    usable &= target | ~hosted | (np.random.default_rng(SEED).random(len(rows)) < hosts)
    fold = np.repeat([_fold(sample) for sample in samples], [len(sample.planted) for sample in samples])
    clean: list[NDArray[np.float32]] = []
    for number in range(FOLDS):
        train = usable & (fold != number)
        network = fit(rows[train], target[train], units, SEED + number)
        clean += [network.logits(rows_of(sample.features)) for sample in reference if _fold(sample) == number]
    network = fit(rows[usable], target[usable], units, SEED + FOLDS)
    found: dict[str, Any] = {"columns": list(names), "tail": tail(clean), "bias": round(network.bias, 3)}
    for name in ("centre", "scale", "linear", "hidden_bias", "output"):
        found[name] = _rounded(getattr(network, name), 3)
    return found | {"hidden_in_hundredths": [[round(100 * float(w)) for w in unit] for unit in network.hidden]}


def _fold(sample: Sample) -> int:
    """Documents of one host are in one fold, and prompts that begin alike."""
    return zlib.crc32((sample.document.title or sample.document.text[:8]).encode()) % FOLDS


def tail(clean: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    """The tail of a head, from its logits of the sentences of each clean text.

    The exponent is the one with which short and long texts are flagged alike. Share and decay are set so that a score
    of 0.95 is reached in 5 % of the texts and one of 0.99 in 1 %.
    """
    sentences = np.concatenate(clean)
    knee, soil = np.quantile(sentences, [KNEE, SOIL])
    sizes = np.array([len(text) for text in clean])
    highest = np.array([text.max() for text in clean], np.float64)
    is_long = sizes > np.median(sizes)
    trials = [_levels(highest, sizes, is_long, exponent) for exponent in EXPONENTS]
    _, exponent, share, decay = min(trials)
    values = {"knee": knee, "share": share * np.exp(-knee / decay), "decay": decay, "exponent": exponent, "soil": soil}
    return {name: round(float(value), 4) for name, value in values.items()}


def _levels(
    highest: NDArray[np.float64], sizes: NDArray[np.int64], is_long: NDArray[np.bool_], exponent: float
) -> tuple[float, float, float, float]:
    """How differently short and long texts are flagged with this exponent; exponent, share at logit 0, and decay."""
    low, high = (-np.log(1 - flagged) for flagged in FLAGGED)  # sentences expected to be as high, at the two scores
    decay = 1.0
    for _ in range(20):  # the decay scales the exponent's effect, which moves the two levels
        level = highest - decay * exponent * np.log(sizes)
        ends = np.quantile(level, [1 - flagged for flagged in FLAGGED])
        decay = 0.5 * decay + 0.5 * max(float(ends[1] - ends[0]), 0.05) / float(np.log(low / high))
    flagged = level > ends[0]
    share = float(low * np.exp(ends[0] / decay))
    return abs(float(flagged[is_long].mean() - flagged[~is_long].mean())), exponent, share, decay


def _rounded(values: NDArray[np.float32], digits: int) -> list[float]:
    return [round(float(value), digits) + 0.0 for value in values]


def written(model: dict[str, Any]) -> str:
    """JSON that people can read: one key a line, each list of numbers or names on one line."""
    return _json(model, "") + "\n"


def _json(value: Any, margin: str) -> str:
    deeper = margin + " "
    if isinstance(value, dict):
        lines = [f"{deeper}{json.dumps(key)}: {_json(inner, deeper)}" for key, inner in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{margin}}}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(f"{deeper}{_json(inner, deeper)}" for inner in value) + f"\n{margin}]"
    return json.dumps(value, ensure_ascii=False)


if __name__ == "__main__":
    main()
