"""The extractive model as a provider: what it answers is what it has always answered."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.encoder import QueryEncoding
from ingest.ledger.rows import ChunkScreening
from orchestrator.citations import Draft, DraftClaim, Quote, verify
from orchestrator.context import Context, assemble
from orchestrator.egress.contracts import CONTRACTS, GroundedAnswer, Summary
from orchestrator.egress.parsing import parse
from orchestrator.extractive import draft, pool
from orchestrator.gateway.port import ModelReply, ModelRequest, ProviderFailure, TokenUsage
from orchestrator.gateway.providers.extractive import ExtractiveProvider
from orchestrator.personal_data.chain import DetectorChain, standard_chain
from orchestrator.question import read_question
from retrieval.evidence import Hit, Passage
from retrieval.sanitising import sanitise
from retrieval.screening_policy import ScreeningPolicy

SAMPLES = Path(__file__).parents[5] / "samples"
TABLE = "Prices\n\nPlan\tPrice\tSeats\nBasic\t10 EUR\t5\nPro\t25 EUR\t50\nEnterprise\ton request\tunlimited"
TRAVEL = "Trips are booked early. They are approved by Ines Roth (ines@roth.example). Meals are refunded."
BLIND = QueryEncoding(
    dense=np.zeros(384, np.float32),
    tokens=np.zeros((0, 384), np.float32),
    weights=np.zeros(0, np.float32),
    familiarity=0.0,
)


def no_chain() -> DetectorChain:
    raise AssertionError("the detectors were loaded")


def context(question: str, texts: list[str], *, remote: bool = False, budget: int = 3_000) -> Context:
    """Of passages from the middle of documents; `remote` as it is made for a model outside, with little room."""
    hits = [
        Hit(
            passage=Passage(
                chunk_id=f"c{number}",
                document_id=f"d{number}",
                version=1,
                title=f"Title {number}",
                source_uri="",
                text=text,
                start=11,
                end=11 + len(text),
                page=None,
                page_end=None,
                headings=("Policy",),
                screening=ChunkScreening(screener="s", failed=(), findings=(), peaks={}),
            ),
            score=5.0 - number,
            legs={},
        )
        for number, text in enumerate(texts)
    ]
    found = sanitise(hits, ScreeningPolicy())
    sentences = pool(read_question(question), BLIND, found.readable)
    if remote:
        return assemble(question, found, sentences, budget_tokens=budget, open_chain=standard_chain)
    return assemble(question, found, sentences, budget_tokens=budget, open_chain=no_chain, redact_types=())


def request(made: Context | None, contract: str = "grounded_answer") -> ModelRequest:
    schema = CONTRACTS[contract].schema
    return ModelRequest(model="extractive", system="", turns=(), schema=schema, max_output_tokens=100, context=made)


def reply(made: Context | None, contract: str = "grounded_answer") -> ModelReply:
    return asyncio.run(ExtractiveProvider().complete(request(made, contract), timeout_s=1.0))


def drafted(made: Context) -> Draft:
    """What egress makes of the reply."""
    output = parse(reply(made).text, CONTRACTS["grounded_answer"])
    assert isinstance(output, GroundedAnswer)
    claims = []
    for claim in output.claims:
        quotes = [made.quote(one.source, one.quote, one.start) for one in claim.quotes]
        claims.append(DraftClaim(text=claim.text, quotes=tuple(quote for quote in quotes if quote)))
    return Draft(claims=tuple(claims))


def with_places(before: Draft) -> Draft:
    """`before` with the place of a table's header, which the provider names and `claim_of` leaves open."""

    def placed(quote: Quote) -> Quote:
        passage = quote.passage
        return replace(quote, start=passage.start + passage.text.index(quote.text)) if quote.start is None else quote

    return Draft(
        claims=tuple(replace(claim, quotes=tuple(placed(quote) for quote in claim.quotes)) for claim in before.claims)
    )


def same(made: Context) -> int:
    """Asserts that the way through the provider changes nothing; returns the number of claims."""
    before, after = draft(made.pool), drafted(made)
    assert after == with_places(before)
    stored = {(hit.passage.document_id, 1): "·" * 11 + hit.passage.text for hit in made.sources}
    assert verify(after, stored).claims == verify(before, stored).claims
    assert len(verify(after, stored).dropped) == len(verify(before, stored).dropped)
    return len(before.claims)


@pytest.mark.parametrize("remote", [False, True])
def test_rows_and_subjects_are_answered_as_ever(remote: bool) -> None:
    """A row with the quote of its header, and a claim that got its subject, come through as they were.

    So they do where the context was made for a model outside, and this one answers in its place: neither a budget
    that shows next to nothing nor placeholders change what it quotes.
    """
    budget = 60 if remote else 3_000
    made = context("What is the price of the Pro plan?", [TABLE, TRAVEL], remote=remote, budget=budget)
    assert same(made)
    claim = drafted(made).claims[0]
    assert claim.text == "Plan: Pro; Price: 25 EUR; Seats: 50"
    assert [quote.text for quote in claim.quotes] == ["Pro\t25 EUR\t50", "Plan\tPrice\tSeats"]
    made = context("Who approved trips?", [TRAVEL, TABLE], remote=remote, budget=budget)
    assert same(made)
    assert "Policy: They are approved by Ines Roth (ines@roth.example)." in [one.text for one in drafted(made).claims]


def test_the_sample_company_is_answered_as_ever() -> None:
    """Over all questions of the samples and their plain texts the drafts are the same."""
    files = sorted(p for p in (SAMPLES / "company").rglob("*") if p.suffix in {".md", ".txt", ".csv"})
    parts = [path.read_text("utf-8").replace(",", " | ") for path in files]
    chunks = [text[at : at + 900] for text in parts for at in range(0, len(text), 900)]
    questions = [json.loads(line)["question"] for line in (SAMPLES / "golden.jsonl").read_text("utf-8").splitlines()]
    claims = 0
    for number, question in enumerate(questions):
        words = {word for word in question.casefold().split() if len(word) > 3}
        near = sorted(range(len(chunks)), key=lambda n: (-sum(word in chunks[n].casefold() for word in words), n))
        claims += same(context(question, [chunks[n] for n in near[:10]], budget=200 if number % 2 else 3_000))
    assert claims > len(questions)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.lists(
            st.one_of(st.sampled_from(["Trips. ", "a | b\n", "Pro | 5\n", "It pays. ", "\n", "\u200b"]), st.text()),
            max_size=10,
        ).map("".join),
        max_size=4,
    )
)
def test_any_pool_is_answered_as_ever(texts: list[str]) -> None:
    """Whatever the passages hold, the way through JSON and the context changes nothing."""
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    same(context("What pays for trips?", texts))


def test_it_costs_nothing() -> None:
    """Usage is zero, the message is whole, and an empty pool is an answer that says so."""
    answer = reply(context("Who approves trips?", [TRAVEL]))
    assert (answer.usage, answer.stop, answer.model) == (TokenUsage(), "end", "extractive")
    assert 0 < GroundedAnswer.model_validate_json(answer.text).confidence <= 1
    nothing = GroundedAnswer.model_validate_json(reply(context("Who approves trips?", [])).text)
    assert (nothing.answerable, nothing.claims, nothing.confidence) == (False, (), 0.0)


def test_a_summary_is_the_best_sentences() -> None:
    """Each point quotes what it says, the most important first."""
    made = context("Who approves trips?", [TRAVEL])
    points = Summary.model_validate_json(reply(made, "summary").text)
    assert points.title == "Title 0"
    assert {point.quotes[0].quote for point in points.points} == {s.text for s in made.pool.sentences}


def test_what_it_cannot_do_is_a_failure_that_no_retry_helps() -> None:
    """A contract that takes more than quoting, free text, and a request without evidence are bad requests."""
    made = context("Who approves trips?", [TRAVEL])
    for name in CONTRACTS.keys() - {"grounded_answer", "summary"}:
        with pytest.raises(ProviderFailure, match="bad_request"):
            reply(made, name)
    for bad in (request(None), replace(request(made), schema=None)):
        with pytest.raises(ProviderFailure, match="bad_request"):
            asyncio.run(ExtractiveProvider().complete(bad, timeout_s=1.0))


def test_it_is_the_only_model_of_its_provider() -> None:
    """What the check at start-up asks."""

    async def asked() -> tuple[int | None, list[str]]:
        provider = ExtractiveProvider()
        listed = await provider.models(timeout_s=1.0)
        tokens = await provider.count_tokens(request(None), timeout_s=1.0)
        await provider.close()
        return tokens, [one.model for one in listed]

    assert asyncio.run(asked()) == (0, ["extractive"])
