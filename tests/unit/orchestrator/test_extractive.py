from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunker import encoder_input
from ingest.encoder import Encoder, TokenVectors
from ingest.encoders import EncoderConfig, open_encoder
from orchestrator.citations import Draft, verify
from orchestrator.extractive import ExtractiveConfig, Pool, draft, pool
from orchestrator.question import read_question
from retrieval.evidence import Hit, Passage

LEAVE = (
    "Every full-time employee receives 25 days of paid leave a year. Part-time employees receive a share of it. "
    "Unused days may be carried over until 31 March. They lapse after that date."
)
TRAVEL = (
    "Trips are booked through the travel desk. Ines Roth approves trips outside Europe. "
    "Meals are refunded up to 40 EUR a day."
)
SECURITY = "Laptops are encrypted. Lost devices are reported to the security desk within one hour."


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return open_encoder(EncoderConfig(threads=1, allow_download=False))


def passage(text: str, title: str, *, start: int = 0, headings: tuple[str, ...] = ()) -> Passage:
    return Passage(
        chunk_id=f"{title}:{start}",
        document_id=title,
        version=1,
        title=title,
        source_uri=f"file:///{title}",
        text=text,
        start=start,
        end=start + len(text),
        page=None,
        page_end=None,
        headings=headings,
    )


def hits(passages: Sequence[Passage], encoder: Encoder | None = None) -> list[Hit]:
    """The passages as hits in this order, with token vectors when there is an encoder for them."""
    tokens: list[TokenVectors | None] = [None] * len(passages)
    if encoder is not None:
        tokens = list(encoder.encode([encoder_input(p.title, p.headings, p.text)[0] for p in passages]).tokens)
    return [
        Hit(passage=found, score=5.0 - rank, legs={}, tokens=bits)
        for rank, (found, bits) in enumerate(zip(passages, tokens, strict=True))
    ]


def evidence(question: str, found: Sequence[Hit], encoder: Encoder, config: ExtractiveConfig | None = None) -> Pool:
    return pool(read_question(question), encoder.encode_query(question), found, config)


def stored(found: Sequence[Hit]) -> dict[tuple[str, int], str]:
    texts = {}
    for hit in found:
        texts[hit.passage.document_id, hit.passage.version] = "·" * hit.passage.start + hit.passage.text
    return texts


def quotes(drafted: Draft) -> list[str]:
    return [claim.quotes[0].text for claim in drafted.claims]


HANDBOOK = (passage(LEAVE, "Leave"), passage(TRAVEL, "Travel"), passage(SECURITY, "Security"))


# What is quoted


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How many days of paid leave does a full-time employee get?", "Every full-time employee receives 25 days"),
        ("Who approves trips outside Europe?", "Ines Roth approves trips outside Europe."),
        ("By when must unused days be taken?", "Unused days may be carried over until 31 March."),
        ("How fast must a stolen laptop be reported?", "Lost devices are reported to the security desk"),
        ("How much is refunded for a meal?", "Meals are refunded up to 40 EUR a day."),
    ],
)
def test_the_sentence_that_answers_comes_first(encoder: Encoder, question: str, expected: str) -> None:
    """The best claim quotes the sentence that answers, in whatever passage it stands and in other words too."""
    drafted = draft(evidence(question, hits(HANDBOOK, encoder), encoder))
    assert quotes(drafted)[0].startswith(expected)
    assert 1 <= len(drafted.claims) <= ExtractiveConfig().max_claims


def test_every_claim_passes_the_gate_exactly(encoder: Encoder) -> None:
    """Offsets are those of the stored text, for passages from the middle of it too: nothing is dropped."""
    found = hits(
        [passage(LEAVE, "Leave", start=17), passage(TRAVEL, "Travel", headings=("Policies", "Trips"))], encoder
    )
    for question in ("Who approves trips?", "Until when can unused days be carried over?", "meals"):
        verified = verify(draft(evidence(question, found, encoder)), stored(found))
        assert verified.claims
        assert verified.dropped == ()
        for citation in (citation for claim in verified.claims for citation in claim.citations):
            assert stored(found)[citation.document_id, 1][citation.start : citation.end] == citation.quote


def test_the_same_evidence_gives_the_same_answer(encoder: Encoder) -> None:
    """Two runs agree in every figure."""
    first, second = (evidence("Who approves trips?", hits(HANDBOOK, encoder), encoder) for _ in range(2))
    assert draft(first) == draft(second)
    assert np.array_equal(first.chances, second.chances)


def test_a_sentence_that_begins_with_a_pronoun_gets_its_subject(encoder: Encoder) -> None:
    """The reader sees what "they" are about; the quote stays as it stands in the source."""
    found = hits([passage("They lapse after 31 March.", "Leave", headings=("Unused days",))], encoder)
    claim = draft(evidence("When do unused days lapse?", found, encoder)).claims[0]
    assert claim.text == "Unused days: They lapse after 31 March."
    assert claim.quotes[0].text == "They lapse after 31 March."


def test_a_row_is_read_with_its_header(encoder: Encoder) -> None:
    """A row of a table answers by itself, with the names of its columns, and cites both row and header."""
    table = "Plan | Price | Seats\nBasic | 10 EUR | 5\nPro | 25 EUR | 50\nEnterprise | on request | unlimited"
    found = hits([passage(table, "Prices")], encoder)
    claim = draft(evidence("What is the price of the Pro plan?", found, encoder)).claims[0]
    assert claim.text == "Plan: Pro; Price: 25 EUR; Seats: 50"
    assert [quote.text for quote in claim.quotes] == ["Pro | 25 EUR | 50", "Plan | Price | Seats"]
    assert not verify(Draft(claims=(claim,)), stored(found)).dropped


@pytest.mark.parametrize(
    ("question", "key"),
    [
        ("What is the maximum of salary band D?", "D"),
        ("What is the maximum of salary band B?", "B"),
        ("Which work does band A stand for?", "A"),
    ],
)
def test_the_row_whose_key_is_asked_for_wins(encoder: Encoder, question: str, key: str) -> None:
    """Rows are alike but for their keys: the one that the question names comes first, whatever else it has."""
    table = (
        "Band\tWork\tMinimum EUR\tMaximum EUR\nA\tassistants, salary agents\t27600\t33200\n"
        "B\tagents, warehouse\t31800\t41200\nC\tsenior agents\t39500\t52500\nD\tengineers\t50400\t70600"
    )
    found = hits([passage(table, "Salary bands"), passage("Every salary has a maximum.", "Pay")], encoder)
    assert quotes(draft(evidence(question, found, encoder)))[0].split("\t")[0] == key


def test_a_line_like_a_heading_comes_after_a_sentence(encoder: Encoder) -> None:
    """A headline that repeats the question says less than the sentence that answers it."""
    text = "Opening of the second assembly line\n\nThe second assembly line cost 4 million EUR to open."
    found = hits([passage(text, "News")], encoder)
    first = quotes(draft(evidence("What did the opening of the second assembly line cost?", found, encoder)))[0]
    assert first.startswith("The second assembly line cost")


def test_the_lead_of_the_best_sentence_decides_how_many_are_quoted(encoder: Encoder) -> None:
    """One sentence that stands out is quoted alone; several that speak to the question are quoted together."""
    one = (passage("Ines Roth approves trips outside Europe.", "Travel"), passage(SECURITY, "Security"))
    assert len(draft(evidence("Who approves trips outside Europe?", hits(one, encoder), encoder)).claims) == 1
    several = "Trips need approval. Approval of trips takes two days. A trip without approval is not refunded."
    found = hits([passage(several, "Travel"), passage(SECURITY, "Security")], encoder)
    assert len(draft(evidence("What are the rules for approval of trips?", found, encoder)).claims) == 3


def test_a_repeated_sentence_is_quoted_once(encoder: Encoder) -> None:
    """Two documents that say the same do not make two claims."""
    found = hits([passage(TRAVEL, "Travel"), passage(TRAVEL, "Travel (copy)")], encoder)
    texts = quotes(draft(evidence("Who approves trips outside Europe?", found, encoder)))
    assert len(texts) == len(set(texts))


def test_a_heading_is_no_answer(encoder: Encoder) -> None:
    """A line that only repeats a heading of its passage is never quoted."""
    text = "Who approves trips?\n\nInes Roth approves trips."
    found = hits([passage(text, "Travel", headings=("Who approves trips?",))], encoder)
    assert quotes(draft(evidence("Who approves trips?", found, encoder))) == ["Ines Roth approves trips."]


@pytest.mark.parametrize(
    ("question", "texts", "expected"),
    [
        (
            "Wie viele Tage Urlaub bekommen Mitarbeiter?",
            [
                "Mitarbeiter bekommen 30 Tage Urlaub im Jahr. Anträge gehen an das Personalbüro.",
                "Die Kantine schließt um 14 Uhr.",
            ],
            "Mitarbeiter bekommen 30 Tage Urlaub im Jahr.",
        ),
        ("退款期限是多少天？", ["产品需要注册。退款期限为30天。请联系客服。", "办公室在上海。"], "退款期限为30天。"),
        (
            "كم عدد أيام الإجازة السنوية؟",
            ["عدد أيام الإجازة السنوية 21 يوما. يقدم الطلب إلى المدير.", "المكتب في القاهرة."],
            "عدد أيام الإجازة السنوية 21 يوما.",
        ),
    ],
)
def test_other_languages_are_answered(encoder: Encoder, question: str, texts: list[str], expected: str) -> None:
    """German, Chinese and Arabic questions find their sentence."""
    found = hits([passage(text, f"d{number}") for number, text in enumerate(texts)], encoder)
    ranked = evidence(question, found, encoder)
    assert quotes(draft(ranked))[0] == expected


# Bounds


def test_no_evidence_gives_no_claim(encoder: Encoder) -> None:
    """Without hits, or with passages of nothing, there is no draft."""
    for found in ([], hits([passage("", "Empty"), passage(" .\n--- \n", "Marks")])):
        ranked = evidence("Who approves trips?", found, encoder)
        assert draft(ranked).claims == ()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("unit", ["a", "word ", "Ab. ", "| ", "字", "\n"])
def test_huge_evidence_is_read_in_part(encoder: Encoder, unit: str) -> None:
    """A passage of 5 MB, one sentence or a million, is read up to the bounds, and its claim still verifies."""
    found = hits([passage("Ines Roth approves trips. " + unit * (5_000_000 // len(unit)), "Huge")])
    ranked = evidence("Who approves trips?", found, encoder)
    assert len(ranked.sentences) <= ExtractiveConfig().max_sentences
    assert quotes(draft(ranked))[0].startswith("Ines Roth approves trips.")
    assert verify(draft(ranked), stored(found)).claims


def test_limits_are_settings(encoder: Encoder) -> None:
    """Fewer hits and fewer claims are obeyed."""
    config = ExtractiveConfig(max_hits=1, max_claims=1, max_sentences=2)
    ranked = evidence("Who approves trips?", hits(HANDBOOK, encoder), encoder, config)
    assert {sentence.passage.title for sentence in ranked.sentences} == {"Leave"}
    assert len(ranked.sentences) == 2
    assert len(draft(ranked, config).claims) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(max_size=120), max_size=4), st.text(min_size=1, max_size=60))
def test_any_evidence_is_taken_and_all_of_its_quotes_verify(encoder: Encoder, texts: list[str], question: str) -> None:
    """Whatever the passages hold, claims quote them exactly and chances are a distribution."""
    found = hits([passage(text, f"d{number}", start=number) for number, text in enumerate(texts)])
    ranked = evidence(question, found, encoder)
    assert all(stored(found)[s.passage.document_id, 1][s.start : s.end] == s.text for s in ranked.sentences)
    assert not ranked.sentences or abs(ranked.chances.sum() - 1) < 1e-9
