from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.encoder import QueryEncoding
from orchestrator.extractive import Pool, pool
from orchestrator.question import read_question
from orchestrator.selection import Excerpt, estimated_tokens, select_evidence
from retrieval.evidence import Hit, Passage

TABLE = "Prices\n\nPlan\tPrice\tSeats\nBasic\t10 EUR\t5\nPro\t25 EUR\t50\nEnterprise\ton request\tunlimited"
TRAVEL = "Trips are booked early. Ines Roth approves trips outside Europe. Meals are refunded up to 40 EUR a day."
BLIND = QueryEncoding(
    dense=np.zeros(384, np.float32),
    tokens=np.zeros((0, 384), np.float32),
    weights=np.zeros(0, np.float32),
    familiarity=0.0,
)


def evidence(question: str, texts: list[str], start: int = 0) -> Pool:
    hits = [
        Hit(
            passage=Passage(
                chunk_id=f"c{number}",
                document_id=f"d{number}",
                version=1,
                title=f"Title {number}",
                source_uri="",
                text=text,
                start=start,
                end=start + len(text),
                page=None,
                page_end=None,
                headings=(),
            ),
            score=5.0 - number,
            legs={},
        )
        for number, text in enumerate(texts)
    ]
    return pool(read_question(question), BLIND, hits)


def cost(excerpts: tuple[Excerpt, ...]) -> int:
    titles = {excerpt.passage.title for excerpt in excerpts}
    return sum(estimated_tokens(excerpt.text) for excerpt in excerpts) + sum(map(estimated_tokens, titles))


def test_the_sentence_that_answers_is_kept_in_a_small_budget() -> None:
    """With room for one sentence it is the one that answers."""
    (kept,) = select_evidence(evidence("Who approves trips outside Europe?", [TABLE, TRAVEL]), 14)
    assert kept.text == "Ines Roth approves trips outside Europe."
    assert kept.passage.title == "Title 1"


def test_a_row_brings_its_header() -> None:
    """A row alone says nothing: the header is sent with it, and counted."""
    found = evidence("What is the price of the Pro plan?", [TABLE])
    assert [one.text for one in select_evidence(found, 11)] == ["Plan\tPrice\tSeats", "Pro\t25 EUR\t50"]
    assert select_evidence(found, 3) == ()


def test_with_room_for_all_a_passage_is_one_excerpt() -> None:
    """Sentences with only white space between them are sent as one slice, and passages in the order of the hits."""
    found = select_evidence(evidence("Who approves trips?", [TRAVEL, "Laptops are encrypted."], start=7), 10_000)
    assert [one.text for one in found] == [TRAVEL, "Laptops are encrypted."]
    assert found[0].start == 7


@settings(max_examples=80, deadline=None)
@given(st.lists(st.text(max_size=150), max_size=4), st.integers(0, 200), st.integers(0, 50))
def test_excerpts_are_slices_that_fit(texts: list[str], budget: int, start: int) -> None:
    """Whatever the passages hold: slices of the stored text, in order, apart from each other, within the budget."""
    found = select_evidence(evidence("Who approves trips?", texts, start), budget)
    assert not found or cost(found) <= budget + len(found)  # a slice of several sentences may round up once
    for excerpt in found:
        assert excerpt.passage.start <= excerpt.start < excerpt.end <= excerpt.passage.end
        assert excerpt.text.strip() == excerpt.text
    for one, other in pairwise(found):
        assert one.passage.chunk_id < other.passage.chunk_id or one.end < other.start


@given(st.text(max_size=300), st.text(max_size=300))
def test_estimated_tokens_grow_with_the_text(one: str, other: str) -> None:
    """A longer text never costs less; a character beyond Latin script costs a token."""
    assert estimated_tokens(one) <= estimated_tokens(one + other) <= len(one + other) + 1
    assert estimated_tokens("字" * 10) == 11
