from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.support import encoded
from ingest.encoder import Encoder
from ingest.encoders import EncoderConfig, open_encoder
from orchestrator.support.evidence import EvidenceConfig, Statement, cover

SENTENCES = (
    "The canteen closes at two.",
    "Ines Roth leads the support team.",
    "Laptops are encrypted before they are handed out.",
    "The support team moved to Lisbon in spring.",
    "Meals are refunded up to a limit.",
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return open_encoder(EncoderConfig(threads=1, allow_download=False))


def plain(*texts: str) -> list[Statement]:
    return [Statement(text=text) for text in texts]


def test_a_claim_of_two_sentences_selects_both(encoder: Encoder) -> None:
    """What rests on two sentences selects these two, with vectors and without."""
    claim = "The team that Ines Roth leads has moved to Lisbon."
    for statements, encoding in (
        (encoded(SENTENCES, encoder), encoder.encode_query(claim)),
        (plain(*SENTENCES), None),
    ):
        covered = cover(claim, statements, encoding)
        assert set(covered.selected) == {1, 3}
        assert covered.vectors == (encoding is not None)


def test_other_words_are_seen_by_their_vectors(encoder: Encoder) -> None:
    """A paraphrase with hardly a word in common finds its sentence, and lies closer to it than something else does."""
    claim = "Notebook disks get enciphered."
    covered = cover(claim, encoded(SENTENCES, encoder), encoder.encode_query(claim))
    assert covered.selected[0] == 2
    other = cover("The moon orbits the earth.", encoded(SENTENCES, encoder), encoder.encode_query("The moon orbits."))
    assert covered.similarity > other.similarity


def test_an_unsupported_detail_shows_in_the_weakest_tokens(encoder: Encoder) -> None:
    """A detail that no sentence has lowers the worst covered part more than the whole."""
    statements = encoded(SENTENCES, encoder)
    carried, detailed = "Ines Roth leads the support team.", "Ines Roth leads the support team with a violin."
    before, after = (cover(text, statements, encoder.encode_query(text)) for text in (carried, detailed))
    assert before.weakest - after.weakest > before.similarity - after.similarity > 0
    assert before.missing == 0.0 < after.missing


def test_context_is_held_by_every_statement() -> None:
    """A term that only the title has is covered, and no statement has to be added for it."""
    alone = cover("Leave lapses in March.", plain("It lapses in March."), None)
    framed = cover("Leave lapses in March.", plain("It lapses in March."), None, "Leave")
    assert framed.words == pytest.approx(1.0)
    assert alone.words < framed.words


@given(st.text(max_size=80), st.lists(st.text(max_size=80), max_size=6), st.integers(0, 4))
def test_any_evidence_is_covered_within_bounds(claim: str, texts: list[str], most: int) -> None:
    """Selected are different statements that are there, at most as many as may be; shares lie between 0 and 1."""
    covered = cover(claim, plain(*texts), None, config=EvidenceConfig(max_selected=most))
    assert len(set(covered.selected)) == len(covered.selected) <= most
    assert all(0 <= index < len(texts) for index in covered.selected)
    assert -1e-9 <= covered.words <= 1 + 1e-9
    assert covered.words <= covered.best_words * max(1, len(covered.selected)) + 1e-9


@given(st.lists(st.sampled_from(SENTENCES), max_size=12))
def test_sentences_keep_their_own_tokens(encoder: Encoder, texts: list[str]) -> None:
    """Encoded together, each sentence has as many tokens as it has alone."""
    statements = encoded(texts, encoder)
    assert [statement.text for statement in statements] == texts
    for statement in statements:
        assert statement.tokens is not None
        assert len(statement.tokens) == len(encoder.token_starts(statement.text))
