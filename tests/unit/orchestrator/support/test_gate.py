from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunker import encoder_input
from ingest.encoder import Encoder
from ingest.encoders import EncoderConfig, open_encoder
from orchestrator.citations import Draft, DraftClaim, Quote, Verified, verify
from orchestrator.extractive import draft, pool
from orchestrator.question import read_question
from orchestrator.support.gate import SupportConfig, Supported, check_support
from retrieval.evidence import Hit, Passage

LEAVE = (
    "Every full-time employee receives 25 days of paid leave a year. They lapse after 31 March. "
    "Unused days do not roll over to another team."
)
TABLE = "Plan\tPrice\tSeats\nBasic\t10 EUR\t5\nPro\t25 EUR\t50"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return open_encoder(EncoderConfig(threads=1, allow_download=False))


def hit(text: str, title: str = "Leave", *, headings: tuple[str, ...] = (), encoder: Encoder | None = None) -> Hit:
    passage = Passage(
        chunk_id=title,
        document_id=title,
        version=1,
        title=title,
        source_uri="",
        text=text,
        start=0,
        end=len(text),
        page=None,
        page_end=None,
        headings=headings,
    )
    tokens = encoder.encode([encoder_input(title, headings, text)[0]]).tokens[0] if encoder else None
    return Hit(passage=passage, score=1.0, legs={}, tokens=tokens)


def verified(claims: Sequence[DraftClaim], hits: Sequence[Hit]) -> Verified:
    return verify(Draft(claims=tuple(claims)), {(h.passage.document_id, 1): h.passage.text for h in hits})


def said(text: str, quote: str, source: Hit) -> DraftClaim:
    return DraftClaim(text=text, quotes=(Quote(passage=source.passage, text=quote),))


QUOTE = "Every full-time employee receives 25 days of paid leave a year."


def test_only_the_gate_makes_a_supported() -> None:
    """The next step's only input cannot be made without the check."""
    with pytest.raises(TypeError, match="check_support"):
        Supported(claims=(), scores=(), dropped=(), seal=object())


@pytest.mark.parametrize("vectors", [True, False])
def test_a_faithful_paraphrase_passes(encoder: Encoder, vectors: bool) -> None:
    """What a model says in its own words passes when its quote says it."""
    source = hit(LEAVE, encoder=encoder)
    checked = check_support(
        verified([said("Full-time employees get 25 days of paid leave every year.", QUOTE, source)], [source]),
        [source],
        encoder=encoder if vectors else None,
    )
    assert [claim.text for claim in checked.claims] == ["Full-time employees get 25 days of paid leave every year."]
    assert checked.scores[0] > SupportConfig().threshold
    assert checked.text == "Full-time employees get 25 days of paid leave every year."


@pytest.mark.parametrize(
    ("claim", "reason", "words"),
    [
        ("Every full-time employee receives 30 days of paid leave a year.", "value_missing", ("30 days",)),
        ("Every full-time employee of Acme receives 25 days of paid leave.", "name_missing", ("acme",)),
        ("No full-time employee receives 25 days of paid leave.", "negation_differs", ()),
        ("The moon is far away from the earth.", "weak_evidence", ()),
    ],
)
@pytest.mark.parametrize("vectors", [True, False])
def test_a_claim_that_its_quote_does_not_carry_is_dropped(
    encoder: Encoder, claim: str, reason: str, words: tuple[str, ...], vectors: bool
) -> None:
    """A true quote does not carry another number, name or negation, or something else; the reason is named."""
    source = hit(LEAVE, encoder=encoder)
    checked = check_support(
        verified([said(claim, QUOTE, source)], [source]), [source], encoder=encoder if vectors else None
    )
    assert checked.claims == ()
    assert [(one.reason, one.words) for one in checked.dropped] == [(reason, words)]


def test_numbers_of_other_quotes_do_not_count() -> None:
    """A claim is held against its own quotes, not against all that was shown."""
    source = hit(LEAVE)
    claim = said("Every full-time employee receives leave until 31 March.", QUOTE, source)
    assert [one.reason for one in check_support(verified([claim], [source]), [source]).dropped] == ["value_missing"]


@pytest.mark.parametrize(
    ("question", "source"),
    [
        ("When do unused days lapse?", hit("They lapse after 31 March.", headings=("Unused days of 2026",))),
        ("What is the price of the Pro plan?", hit(TABLE, "Prices")),
        ("Do unused days roll over?", hit(LEAVE)),
        ("退款期限是多少天？", hit("退款期限为30天。不予退款。", "退款")),
    ],
)
def test_claims_of_the_extractive_model_pass(encoder: Encoder, question: str, source: Hit) -> None:
    """Sentences, rows with their header's names and sentences behind their subject are quotes: nothing is dropped."""
    drafted = draft(pool(read_question(question), encoder.encode_query(question), [source]))
    checked = check_support(verified(drafted.claims, [source]), [source])
    assert len(checked.claims) == len(drafted.claims) > 0
    assert set(checked.scores) == {1.0}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=150), min_size=1, max_size=3), st.text(min_size=1, max_size=40), st.text(max_size=20))
def test_whatever_the_extractive_model_quotes_passes(
    encoder: Encoder, texts: list[str], question: str, heading: str
) -> None:
    """For any evidence, every claim of the extractive model that verifies is carried."""
    hits = [hit(text, f"d{number}", headings=(heading,)) for number, text in enumerate(texts)]
    drafted = draft(pool(read_question(question), encoder.encode_query(question), hits))
    found = verified(drafted.claims, hits)
    assert check_support(found, hits).claims == found.claims


def test_a_title_made_up_by_the_model_is_no_frame() -> None:
    """Words put before a quote pass as they are only when the quote stands under them."""
    source = hit(LEAVE, headings=("Holidays",))
    framed, made_up = said(f"Holidays: {QUOTE}", QUOTE, source), said(f"Says Omar Diaz: {QUOTE}", QUOTE, source)
    checked = check_support(verified([framed, made_up], [source]), [source])
    assert [claim.text for claim in checked.claims] == [framed.text]
    assert [one.reason for one in checked.dropped] == ["name_missing"]


class Judge:
    """An entailment model that says what it is told."""

    def __init__(self, chance: float) -> None:
        self.chance = chance
        self.asked: list[tuple[str, str]] = []

    def entails(self, evidence: str, claim: str) -> float:
        self.asked.append((evidence, claim))
        return self.chance


def test_an_entailment_model_has_half_a_say() -> None:
    """Its chance and the rule's score are averaged; a claim that is its quote is not put to it."""
    source = hit(LEAVE)
    claims = verified(
        [said("Full-time employees get 25 days of leave.", QUOTE, source), said(QUOTE, QUOTE, source)], [source]
    )
    sure, doubting = Judge(1.0), Judge(0.0)
    kept = check_support(claims, [source], entailment=sure)
    lost = check_support(claims, [source], entailment=doubting)
    assert sure.asked == doubting.asked == [(f"Leave\n{QUOTE}", "Full-time employees get 25 days of leave.")]
    assert len(kept.claims) == 2
    assert [one.reason for one in lost.dropped] == ["weak_evidence"]
    assert kept.scores[0] - lost.dropped[0].score == pytest.approx(0.5, abs=1e-3)


def test_limits_are_settings() -> None:
    """The threshold and the most claims are obeyed."""
    source = hit(LEAVE)
    claims = verified([said("Full-time employees get 25 days of leave.", QUOTE, source)] * 3, [source])
    assert len(check_support(claims, [source], config=SupportConfig(max_claims=2)).claims) == 2
    assert check_support(claims, [source], config=SupportConfig(threshold=1.0)).claims == ()
    assert check_support(claims, [source], config=SupportConfig(max_characters=10)).claims == ()
    assert check_support(verified([], []), []).claims == ()


@pytest.mark.timeout(20)
def test_a_claim_of_megabytes_is_dropped(encoder: Encoder) -> None:
    """What is too long to be one statement is not read at all, so that nothing can hide behind a true beginning."""
    source = hit(LEAVE, encoder=encoder)
    claim = said(QUOTE + " And" * 1_250_000, QUOTE, source)
    checked = check_support(verified([claim], [source]), [source], encoder=encoder)
    assert [one.reason for one in checked.dropped] == ["weak_evidence"]
