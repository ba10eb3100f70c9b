"""How a sentence stands in its document: whether it is about the same, written alike, and asks what others ask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.terms import word_ids, words
from retrieval.injection.rules import RULES
from retrieval.injection.style import STYLES

WINDOW: Final = 8  # sentences to each side that count as near
OWN: Final = 2  # sentences to each side that may belong to the same order, and must not speak for it
_BLOCK: Final = 2_048  # sentences that are compared together, so that memory stays bounded
SAMPLE: Final = 256  # sentences that each is compared with when the nearest are sought
_NEAREST: Final = 3
# Styles whose share in the document and nearby is told: what is common there is no sign of an order.
_RATED: Final = ("request", "you", "prose", "row", "signs", "asks", "works", "please", "reader", "machine", "we")
_RATED_RULES: Final = ("ai_named", "answer_named", "attack_named", "quoted", "override", "secret", "foreign", "code")
_REQUESTS: Final = (
    "writes", "works", "writes_later", "asks", "please_first", "query_marks", "modal_you", "want_you", "abroad",
)  # fmt: skip
_SIMILARITY: Final = ("to_document", "to_near", "to_nearest", "to_before", "to_after", "around", "to_title_part")
_COHESION: Final = ("shared_far", "shared_near", "shared_weight", "shared_title", "terms")
CONTEXTS: Final = (
    *_SIMILARITY,
    *(f"{name}_standing" for name in _SIMILARITY[:4]),
    *_COHESION,
    *(f"{name}_standing" for name in _COHESION[:3]),
    *(f"{name}_in_document" for name in (*_RATED, *_RATED_RULES)),
    *(f"{name}_nearby" for name in (*_RATED, *_RATED_RULES)),
    "place", "edge", "sentences", "alone", "longer",
)  # fmt: skip


def context_features(
    title: str,
    sentence_words: Sequence[Sequence[str]],
    vectors: NDArray[np.float32],
    rules: NDArray[np.float32],
    style: NDArray[np.float32],
) -> NDArray[np.float32]:
    """One row for each sentence, one column for each of `CONTEXTS`.

    `vectors` are rows [sentences, dimensions], `rules` and `style` what `rule_features` and `style_features` gave.
    Time and memory grow with the number of sentences, not with its square.
    """
    similarity = _similarities(vectors)
    cohesion = _cohesion(title, sentence_words)
    rated = _rated(rules, style)
    columns = [
        similarity,
        _standing(similarity[:, :4]),
        cohesion,
        _standing(cohesion[:, :3]),
        _elsewhere(rated, len(rated)),
        _elsewhere(rated, WINDOW),
        _place(style),
    ]
    return np.concatenate(columns, axis=1).astype(np.float32)


def _similarities(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosines of each sentence to the rest of its document, to those near, to the nearest, and to its neighbours."""
    count = len(vectors)
    whole, beginning = vectors.sum(axis=0), vectors[:3].sum(axis=0)
    parts = [_block_similarities(vectors, start, whole, beginning) for start in range(0, count, _BLOCK)]
    near = np.concatenate(parts)
    before = np.r_[0.0, np.einsum("ij,ij->i", vectors[1:], vectors[:-1])]
    after = np.r_[before[1:], 0.0]
    around = np.zeros(count)
    around[1:-1] = np.einsum("ij,ij->i", vectors[2:], vectors[:-2])
    return np.stack([*near[:, :2].T, _to_nearest(vectors), before, after, around, near[:, 2]], axis=1).astype(
        np.float32
    )


def _block_similarities(
    vectors: NDArray[np.float32], start: int, whole: NDArray[np.float32], beginning: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Of one block of sentences: to the rest of the document, to those near, and to the first three."""
    end = min(start + _BLOCK, len(vectors))
    first, last = max(start - WINDOW, 0), min(end + WINDOW, len(vectors))
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors[first:last], axis=0, dtype=np.float64)])
    at = np.arange(start, end) - first
    rows = vectors[start:end]
    own, near = (
        sums[np.minimum(at + reach + 1, last - first)] - sums[np.maximum(at - reach, 0)] for reach in (OWN, WINDOW)
    )
    others = (whole - own, near - own, np.broadcast_to(beginning, rows.shape))
    return np.stack([_cosine(rows, other) for other in others], axis=1)


def _cosine(rows: NDArray[np.float32], others: NDArray[np.floating]) -> NDArray[np.float32]:
    """Row by row; 0 where there is no other. A short row keeps its shortness."""
    norms = np.linalg.norm(others, axis=1)
    return np.where(norms > 1e-3, np.einsum("ij,ij->i", rows, others) / np.maximum(norms, 1e-3), 0.0).astype(np.float32)


def _to_nearest(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean cosine to the nearest three of at most `SAMPLE` sentences spread over the document, not the own ones."""
    count = len(vectors)
    chosen = np.unique(np.linspace(0, count - 1, min(count, SAMPLE)).astype(np.int64))
    nearest = np.zeros(count, np.float32)
    for start in range(0, count, _BLOCK):
        rows = np.arange(start, min(start + _BLOCK, count))
        cosines = vectors[rows] @ vectors[chosen].T
        cosines[np.abs(rows[:, None] - chosen[None, :]) <= OWN] = 0
        kept = min(_NEAREST, cosines.shape[1])
        nearest[rows] = np.partition(cosines, cosines.shape[1] - kept, axis=1)[:, -kept:].mean(axis=1)
    return nearest


def _cohesion(title: str, sentence_words: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """How much of a sentence's vocabulary its document has elsewhere (lexical cohesion, Halliday and Hasan, 1976).

    The share of its terms found beyond the own sentences, found within the window, how often those come, and the share
    in the title.
    """
    found = [{number for word in own for number in word_ids(word)} for own in sentence_words]
    sizes = np.array([len(terms) for terms in found])
    owner = np.repeat(np.arange(len(found)), sizes)
    term = np.fromiter((number for terms in found for number in terms), np.int64, int(sizes.sum()))
    result = np.zeros((len(found), len(_COHESION)), np.float32)
    if not len(term):
        return result
    order = np.lexsort((owner, term))
    owner, term = owner[order], term[order]
    _, group, counts = np.unique(term, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    first = last - counts
    far = (owner[first][group] < owner - OWN) | (owner[last - 1][group] > owner + OWN)
    near = far & (_distance(owner, group) <= WINDOW)
    heading = {number for word in words(title) for number in word_ids(word)}
    total = np.maximum(sizes, 1)
    result[:, 0] = np.bincount(owner, far, len(found)) / total
    result[:, 1] = np.bincount(owner, near, len(found)) / total
    result[:, 2] = np.bincount(owner, far * np.log(counts[group]), len(found)) / total
    result[:, 3] = [len(terms & heading) / max(len(terms), 1) for terms in found]
    result[:, 4] = np.log1p(sizes) / 3
    return result


def _distance(owner: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sentences to the nearest other one with the same term; rows are sorted by term, then sentence."""
    none = 1 << 30
    gap = np.where(group[1:] == group[:-1], owner[1:] - owner[:-1], none)
    return np.asarray(np.minimum(np.r_[none, gap], np.r_[gap, none]), np.int64)


def _standing(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how many standard deviations of its document each value stands out."""
    spread = columns.std(axis=0) + 0.05
    return np.asarray(np.clip((columns - columns.mean(axis=0)) / spread, -4, 4), np.float32)


def requests(style: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 for each sentence that asks for something, whoever is asked."""
    asked: NDArray[np.float32] = style[:, [STYLES.index(name) for name in _REQUESTS]].max(axis=1)
    return asked.clip(0, 1)


def _rated(rules: NDArray[np.float32], style: NDArray[np.float32]) -> NDArray[np.float32]:
    own = [requests(style) if name == "request" else style[:, STYLES.index(name)] for name in _RATED]
    own += [rules[:, RULES.index(name)] for name in _RATED_RULES]
    return np.asarray(np.stack(own, axis=1).clip(0, 1), np.float32)


def _elsewhere(rates: NDArray[np.float32], reach: int) -> NDArray[np.float32]:
    """The mean over the sentences up to `reach` away, the own ones left out; over all of them where none is left."""
    count = len(rates)
    sums = np.concatenate([np.zeros((1, rates.shape[1])), np.cumsum(rates, axis=0, dtype=np.float64)])
    at = np.arange(count)
    low, high = np.maximum(at - reach, 0), np.minimum(at + reach + 1, count)
    own_low, own_high = np.maximum(at - OWN, 0), np.minimum(at + OWN + 1, count)
    others = (high - low) - (own_high - own_low)
    rest = (sums[high] - sums[low]) - (sums[own_high] - sums[own_low])
    rates_elsewhere = np.where(others[:, None] > 0, rest / np.maximum(others, 1)[:, None], sums[-1] / max(count, 1))
    return np.asarray(rates_elsewhere, np.float32)


def _place(style: NDArray[np.float32]) -> NDArray[np.float32]:
    """Where it stands, how long the document is, whether it is alone, and how much longer it is than others."""
    count = len(style)
    at = np.arange(count)
    length = style[:, STYLES.index("length")]
    return np.stack(
        [
            at / max(count - 1, 1),
            (at == 0) | (at == count - 1),
            np.full(count, np.log(max(count, 1)) / 5),
            np.full(count, count <= 2),
            length - np.median(length) if count else length,
        ],
        axis=1,
    )


_AT_STYLE: Final = {name: column for column, name in enumerate(STYLES)}
_AT_CONTEXT: Final = {name: column for column, name in enumerate(CONTEXTS)}
INTERACTIONS: Final = (
    "request_off_document", "request_off_near", "request_unshared", "writing_off_document", "writing_unshared",
    "prose_among_none", "prose_near_none", "request_among_none", "request_near_none", "off_unshared",
    "request_off_unshared", "your_answer_off_document", "request_about_answer", "request_at_edge",
    "question_off_unshared", "request_standing_off", "request_standing_unshared", "working_off_unshared",
)  # fmt: skip


def interaction_features(style: NDArray[np.float32], context: NDArray[np.float32]) -> NDArray[np.float32]:
    """One column for each of `INTERACTIONS`: what is odd together, and not alone."""
    s = {name: style[:, column] for name, column in _AT_STYLE.items()}
    c = {name: context[:, column] for name, column in _AT_CONTEXT.items()}
    request = np.clip(s["writes"] + s["asks"] + s["writes_later"] + s["please"] + s["modal_you"], 0, 1)
    off, off_near, unshared = 1 - c["to_document"], 1 - c["to_near"], 1 - c["shared_far"]
    return np.stack(
        [
            request * off,
            request * off_near,
            request * unshared,
            s["writes"] * off,
            s["writes"] * unshared,
            s["prose"] * (1 - c["prose_in_document"]),
            s["prose"] * (1 - c["prose_nearby"]),
            request * (1 - c["request_in_document"]),
            request * (1 - c["request_nearby"]),
            off * unshared,
            request * off * unshared,
            s["you_answer"] * off,
            s["answer"] * request,
            request * c["edge"],
            s["asks"] * off * unshared,
            request * c["to_document_standing"],
            request * c["shared_far_standing"],
            s["works"] * off * unshared,
        ],
        axis=1,
    )
