"""Search terms and BM25 weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rank_bm25 import BM25Okapi

from ingest.terms import (
    AVERAGE_TERMS,
    K1,
    MAX_WORD,
    STOP_WORDS,
    B,
    Weights,
    passage_weights,
    query_weights,
    term_id,
    terms,
)

CORPUS = [
    "The battery of the delivery van is charged overnight at the northern depot",
    "Overnight deliveries leave the depot at four; late parcels wait for the next van",
    "A parcel that is damaged in the van is photographed, weighed and reported",
    "Batteries are stored dry, cool and away from parcels",
    "The depot keeps a list of vans, drivers and parcels, and drivers sign the list every night",
]


def score(question: Weights, passages: list[Weights], idf: dict[int, float]) -> list[float]:
    """What an engine does: the sum over shared terms of the weights of both sides and the IDF."""
    asked = dict(zip(question[0].tolist(), question[1].tolist(), strict=True))
    return [
        sum(asked[t] * w * idf[t] for t, w in zip(ids.tolist(), weights.tolist(), strict=True) if t in asked)
        for ids, weights in passages
    ]


@pytest.mark.parametrize("question", ["parcel van", "overnight depot", "drivers list parcels", "battery stored cool"])
def test_agrees_with_rank_bm25(question: str) -> None:
    """With the reference's IDF and average length, the weights give the reference's scores, for English passages."""
    tokens = [terms(text) for text in CORPUS]
    reference = BM25Okapi(tokens, k1=K1, b=B)
    passages = [passage_weights(text) for text in CORPUS]
    # The average length is fixed here; undo it by giving the reference the same one.
    reference.avgdl = AVERAGE_TERMS
    idf = {term_id(term): value for term, value in reference.idf.items()}
    expected = reference.get_scores(terms(question))
    assert score(query_weights(question), passages, idf) == pytest.approx(expected.tolist(), rel=1e-5)


def test_words_are_stemmed_and_stop_words_left_out() -> None:
    """Inflected forms meet; the most frequent English words carry nothing."""
    assert terms("The batteries of the vans") == terms("battery van")
    assert terms(" ".join(STOP_WORDS)) == []


def test_combining_marks_stay_in_their_word() -> None:
    """A Hindi word is one word, though its vowel signs are no letters."""
    assert len(terms("हिन्दी भाषा")) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("東京都庁", ["東京", "京都", "都庁"]),
        ("水", ["水"]),
        ("ภาษา", ["ภา", "าษ", "ษา"]),
        ("iPhone版", ["iphon", "版"]),
        ("サーバー", ["サー", "ーバ", "バー"]),
    ],
)
def test_scripts_without_spaces_give_bigrams(text: str, expected: list[str]) -> None:
    """Runs of a script without spaces become pairs of characters; what stands beside them stays a word."""
    assert terms(text) == expected


def test_identifiers_give_their_parts() -> None:
    """An identifier is found whole and by its parts."""
    assert terms("max_batch_size") == ["max_batch_size", "max", "batch", "size"]
    assert terms("__init__ _") == ["init"]


def shared(question: str, passage: str) -> int:
    return len(set(query_weights(question)[0].tolist()) & set(passage_weights(passage)[0].tolist()))


def test_a_part_of_a_german_compound_finds_it() -> None:
    """The compound and its part share grams in a German passage; in an English passage there are no grams."""
    german = "Die Krankenversicherung ist für alle und wird mit dem Gehalt auf die Beiträge verteilt"
    assert shared("Versicherung", german) > 0
    assert shared("Versicherung", "The word Krankenversicherung is in the list of the words that are hard to read") == 0


def test_inflected_words_of_other_scripts_share_grams() -> None:
    """Passages in other scripts have grams whatever their other words are."""
    assert shared("электростанция", "электростанциями") > 0


def test_grams_of_one_word_weigh_less_than_their_number() -> None:
    """In a question n grams together weigh 0.5 times the root of n."""
    ids, weights = query_weights("versicherung")
    grams = weights[ids != term_id(terms("versicherung")[0])]
    assert len(grams) == 8
    assert grams.sum() == pytest.approx(0.5 * 8**0.5)


def test_a_long_run_costs_no_more_than_a_word() -> None:
    """What follows the 64th character of a word changes nothing."""
    assert terms("x" * MAX_WORD) == terms("x" * 100_000)


def test_longer_passages_weigh_less() -> None:
    """The same term counts less in a longer passage, and more of it counts for more, with a ceiling of k1 + 1."""
    short, long = passage_weights("depot"), passage_weights("depot " + "parcel driver van list " * 100)
    weight = dict(zip(long[0].tolist(), long[1].tolist(), strict=True))
    assert weight[term_id("depot")] < short[1][0]
    assert max(weight.values()) < K1 + 1


@given(st.text())
def test_any_text_will_do(text: str) -> None:
    """No text raises; ids are unique, ascending 32-bit numbers, weights finite and positive; twice is the same."""
    for weigh in (passage_weights, query_weights):
        ids, weights = weigh(text)
        assert ids.dtype == np.uint32
        assert weights.dtype == np.float32
        assert (np.diff(ids.astype(np.int64)) > 0).all()
        assert np.isfinite(weights).all()
        assert (weights > 0).all()
        again = weigh(text)
        assert (again[0] == ids).all()
        assert (again[1] == weights).all()


@given(st.text(st.characters(codec=None, categories=["Cs", "Lu", "Ll"])))
def test_lone_surrogates_do_no_harm(text: str) -> None:
    """Text with halves of surrogate pairs, as broken files give it, has weights too."""
    for ids, weights in (passage_weights(text), query_weights(text)):
        assert len(ids) == len(weights)
        assert (weights > 0).all()


@given(st.lists(st.sampled_from(CORPUS)))
def test_order_of_sentences_changes_nothing(sentences: list[str]) -> None:
    """Weights count words, wherever they stand."""
    forth, back = passage_weights("\n".join(sentences)), passage_weights("\n".join(reversed(sentences)))
    assert (forth[0] == back[0]).all()
    assert (forth[1] == back[1]).all()
