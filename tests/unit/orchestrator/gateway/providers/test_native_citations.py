"""A provider's cited blocks become claims with quotes."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.egress.contracts import GroundedAnswer
from orchestrator.gateway.providers.native_citations import CitedBlock, grounded_answer


def block(text: str, *quotes: tuple[int, str]) -> CitedBlock:
    return CitedBlock(text=text, quotes=list(quotes))


def test_a_lead_in_and_what_it_leads_to_are_one_claim() -> None:
    """The sentence is whole, and its quote carries the number of the document from 1."""
    text = grounded_answer(
        [block("By the handbook, "), block("staff get 25 days", (1, "25 days of leave")), block(".")]
    )
    answer = GroundedAnswer.model_validate_json(text)
    assert [claim.text for claim in answer.claims] == ["By the handbook, staff get 25 days."]
    assert answer.claims[0].quotes[0].model_dump(exclude={"start"}) == {"source": 2, "quote": "25 days of leave"}


def test_list_marks_and_line_ends_part_claims() -> None:
    """Points of a list are claims of their own, without their marks."""
    blocks = [
        block("- "),
        block("25 days a year", (0, "25 days")),
        block("\n- "),
        block("8 hours a day", (0, "8 hours")),
    ]
    claims = json.loads(grounded_answer(blocks))["claims"]
    assert [claim["text"] for claim in claims] == ["25 days a year", "8 hours a day"]


def test_what_cites_nothing_stays_without_quotes() -> None:
    """Between cited sentences it could turn their meaning, so it is left for egress to refuse."""
    blocks = [block("It is 25 days.", (0, "25 days")), block(" That ended in 2024. "), block("Ask HR.", (0, "ask HR"))]
    claims = json.loads(grounded_answer(blocks))["claims"]
    assert [(claim["text"], len(claim["quotes"])) for claim in claims] == [
        ("It is 25 days.", 1),
        ("That ended in 2024.", 0),
        ("Ask HR.", 1),
    ]


def test_a_reply_without_any_citation_is_no_answer() -> None:
    """The sources do not hold it; what the model says beside them is not kept."""
    answer = GroundedAnswer.model_validate_json(grounded_answer([block("The documents do not say. Perhaps 30.")]))
    assert (answer.answerable, answer.claims) == (False, ())


uncited = st.text(max_size=30).map(lambda text: (text, []))
cited = st.tuples(
    st.text(max_size=30).map(lambda text: f"{text}x"),
    st.lists(st.tuples(st.integers(0, 3), st.text(min_size=1, max_size=9)), min_size=1, max_size=2),
)


@given(st.lists(st.one_of(uncited, cited), max_size=6))
def test_no_quote_and_no_word_is_lost(drawn: list[tuple[str, list[tuple[int, str]]]]) -> None:
    """Every quote stands in some claim, in order; so does every letter of the text, unless nothing is cited at all."""
    answer = json.loads(grounded_answer(block(text, *found) for text, found in drawn))
    kept = [(quote["source"] - 1, quote["quote"]) for claim in answer["claims"] for quote in claim["quotes"]]
    assert kept == [quote for _, found in drawn for quote in found]
    assert answer["answerable"] is bool(kept)
    if kept:
        words = "".join(filter(str.isalpha, "".join(text for text, _ in drawn)))
        assert "".join(filter(str.isalpha, "".join(claim["text"] for claim in answer["claims"]))) == words
