from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evals.support import encoded
from ingest.encoder import Encoder
from ingest.encoders import EncoderConfig, open_encoder
from orchestrator.support.evidence import Statement
from orchestrator.support.score import RULE, contradictions, support

EVIDENCE = (
    "Every full-time employee receives 25 days of paid leave a year.",
    "Unused days may be carried over until 31 March 2027.",
    "Ines Roth approves trips outside Europe.",
    "Laptops are encrypted before they are handed out.",
)
CARRIED = (
    "Full-time staff get 25 days of paid leave each year.",
    "Days that were not used can be carried over until March 31, 2027.",
    "Trips outside of Europe are approved by Ines Roth.",
    "Before they are handed out, laptops are encrypted.",
)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return open_encoder(EncoderConfig(threads=1, allow_download=False))


def score(claim: str, encoder: Encoder | None) -> float:
    if encoder is None:
        return support(claim, [Statement(text=text) for text in EVIDENCE]).score
    return support(claim, encoded(EVIDENCE, encoder), encoding=encoder.encode_query(claim)).score


@pytest.mark.parametrize("claim", CARRIED)
@pytest.mark.parametrize("vectors", [True, False])
def test_a_paraphrase_of_the_evidence_is_carried(encoder: Encoder, claim: str, vectors: bool) -> None:
    """What the evidence says in other words scores above a half and contradicts nothing."""
    assert contradictions(claim, EVIDENCE) == ()
    assert score(claim, encoder if vectors else None) > 0.5


@pytest.mark.parametrize("vectors", [True, False])
def test_something_else_is_not_carried(encoder: Encoder, vectors: bool) -> None:
    """A claim about something else scores below a half."""
    assert score("The boiling point of mercury depends on pressure.", encoder if vectors else None) < 0.5


@pytest.mark.parametrize(
    ("carried", "changed", "kind", "signal"),
    [
        (CARRIED[0], "Full-time staff get 30 days of paid leave each year.", "value_missing", "value_missing"),
        (CARRIED[0], "Full-time staff get 25 weeks of paid leave each year.", "value_missing", "value_missing"),
        (
            CARRIED[1],
            "Days that were not used can be carried over until May 31, 2027.",
            "value_missing",
            "value_missing",
        ),
        (CARRIED[2], "Trips outside of Europe are approved by Omar Diaz.", "name_missing", "name_missing"),
        (CARRIED[3], "Before they are handed out, laptops are not encrypted.", "negation_differs", "negation"),
    ],
)
def test_a_changed_fact_is_named_and_lowers_the_score(
    encoder: Encoder, carried: str, changed: str, kind: str, signal: str
) -> None:
    """Another number, unit, date, name or a negation is a contradiction by name, and costs with vectors and without."""
    assert [one.kind for one in contradictions(changed, EVIDENCE)] == [kind]
    for used in (encoder, None):
        assert score(changed, used) < score(carried, used)
    assert RULE.weights[signal] < 0
    assert RULE.words_weights[signal] < 0


def test_an_opposite_lowers_the_score(encoder: Encoder) -> None:
    """ "Inside" for "outside" is seen where likeness sees next to nothing."""
    changed = CARRIED[2].replace("outside", "inside")
    judged = support(changed, encoded(EVIDENCE, encoder), encoding=encoder.encode_query(changed))
    assert judged.signals["opposite"] == 1.0
    assert judged.score < score(CARRIED[2], encoder)


def test_title_and_headings_carry_names() -> None:
    """A subject that only the heading names is no missing name."""
    evidence = ["It was founded in 1987."]
    claim = "The company of Birgit Strand was founded in 1987."
    assert [one.words for one in contradictions(claim, evidence)] == [("birgit", "strand")]
    assert contradictions(claim, evidence, "About Birgit Strand") == ()


def test_no_evidence_carries_nothing() -> None:
    """Without a claim or without a sentence the score is 0."""
    for claim, evidence in (("A claim.", []), ("A claim.", ["", " "]), ("", ["A sentence."]), (" ", ["A sentence."])):
        judged = support(claim, [Statement(text=text) for text in evidence])
        assert (judged.score, judged.selected) == (0.0, ())


def test_the_rule_knows_its_signals(encoder: Encoder) -> None:
    """Each weight belongs to a signal that is measured."""
    signals = support(CARRIED[0], encoded(EVIDENCE, encoder), encoding=encoder.encode_query(CARRIED[0])).signals
    assert set(RULE.weights) | set(RULE.words_weights) <= set(signals)


def test_a_language_that_the_encoder_cannot_read_is_judged_by_its_words(encoder: Encoder) -> None:
    """Thai tokens are crumbs to the default encoder: the score is that of the words alone."""
    claim, sentence = "พนักงานลาพักร้อนได้สิบวัน", "พนักงานทุกคนลาพักร้อนได้สิบวันต่อปี"
    with_vectors = support(claim, encoded([sentence], encoder), encoding=encoder.encode_query(claim))
    assert with_vectors.score == support(claim, [Statement(text=sentence)]).score > 0.5


@given(st.text(max_size=200), st.lists(st.text(max_size=200), max_size=4), st.text(max_size=40))
def test_any_strings_are_judged(claim: str, evidence: list[str], context: str) -> None:
    """Whatever claim and evidence hold, the score is a share and every selected statement is there."""
    judged = support(claim, [Statement(text=text) for text in evidence], context=context)
    assert 0.0 <= judged.score <= 1.0
    assert all(0 <= index < len(evidence) for index in judged.selected)


@given(st.text(max_size=300))
def test_a_text_never_contradicts_itself(text: str) -> None:
    """A claim that is its evidence word for word has no contradiction."""
    assert contradictions(text, [text]) == ()


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", ["a", "Ab. ", "1,", "not ", "字", "\ud800", "| "])
def test_huge_evidence_is_bounded(unit: str) -> None:
    """A sentence of 5 MB, or a hundred thousand sentences, are read in part."""
    huge = unit * (5_000_000 // len(unit))
    support("Ines Roth gets 25 days.", [Statement(text=huge)])
    support(huge, [Statement(text=EVIDENCE[0])])
    support("Ines Roth gets 25 days.", [Statement(text=unit)] * 100_000)
