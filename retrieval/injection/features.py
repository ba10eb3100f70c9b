"""What is known of each sentence of a document: the rows that the heads judge, at run time and in training alike."""

from __future__ import annotations

import re
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

_LINK = re.compile(r"\]\([^()\s]*\)|https?://[^\s)>\]]+")  # addresses say nothing of what a sentence is about


@dataclass(frozen=True, slots=True, kw_only=True)
class SentenceFeatures:
    """The sentences of one text, row for row."""

    spans: NDArray[np.int64]  # [n, 2]: [start, end) of each
    rules: NDArray[np.float32]  # [n, RULES]
    style: NDArray[np.float32]  # [n, STYLES]
    context: NDArray[np.float32] | None  # [n, CONTEXTS]; None without token vectors
    vectors: NDArray[np.float32] | None  # [n, dimensions], as `centred` gives them; None without token vectors


def sentence_features(
    title: str, text: str, chunks: Sequence[ChunkTokens], mean: NDArray[np.float32]
) -> SentenceFeatures:
    """The features of each sentence of `text`. `mean` is the mean sign of each dimension over many texts."""
    spans = np.array(sentence_spans(text), np.int64).reshape(-1, 2)
    sentences = [text[start:end] for start, end in spans.tolist()]
    bare = _LINK.sub(lambda link: " " * len(link[0]), text)
    sentence_words = [words(bare[start:end]) for start, end in spans.tolist()]
    rules = rule_features(sentences)
    style = style_features(text, spans, sentence_words)
    if not chunks or not len(spans):
        return SentenceFeatures(spans=spans, rules=rules, style=style, context=None, vectors=None)
    vectors = centred(*pooled_signs(spans, chunks, _differs(text, bare)), mean)
    context = context_features(title, sentence_words, vectors, rules, style)
    return SentenceFeatures(spans=spans, rules=rules, style=style, context=context, vectors=vectors)


def _differs(text: str, bare: str) -> NDArray[np.bool_]:
    """For each character whether it was blanked."""
    codes = [np.frombuffer(version.encode("utf-32-le", "surrogatepass"), np.uint32) for version in (text, bare)]
    return np.asarray(codes[0] != codes[1])
