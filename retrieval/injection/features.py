"""What is known of each sentence of a document: the rows that the heads judge, at run time and in training alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ingest.screening import ChunkTokens
from ingest.terms import words
from retrieval.injection.context import context_features
from retrieval.injection.rules import rule_features
from retrieval.injection.style import style_features
from retrieval.injection.vectors import centred, pooled_signs
from retrieval.sentences import sentence_spans


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceFeatures:
    """The sentences of one text, row for row."""

    spans: NDArray[np.int64]  # [n, 2]: [start, end) of each
    rules: NDArray[np.float32]  # [n, RULES]
    style: NDArray[np.float32]  # [n, STYLES]
    context: NDArray[np.float32] | None  # [n, CONTEXTS]; None without token vectors
    vectors: NDArray[np.float32] | None  # [n, dimensions], centred, unit rows; None without token vectors


def sentence_features(
    title: str, text: str, chunks: Sequence[ChunkTokens], mean: NDArray[np.float32]
) -> SentenceFeatures:
    """The features of each sentence of `text`. `mean` is the mean sign of each dimension over many texts."""
    spans = np.array(sentence_spans(text), np.int64).reshape(-1, 2)
    sentences = [text[start:end] for start, end in spans.tolist()]
    sentence_words = [words(sentence) for sentence in sentences]
    rules = rule_features(sentences)
    style = style_features(text, spans, sentence_words)
    if not chunks or not len(spans):
        return SentenceFeatures(spans=spans, rules=rules, style=style, context=None, vectors=None)
    vectors = centred(pooled_signs(spans, chunks), mean)
    context = context_features(title, sentence_words, vectors, style)
    return SentenceFeatures(spans=spans, rules=rules, style=style, context=context, vectors=vectors)
