"""The gate behind a real context and the extractive provider: the same as the two checks by themselves."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Collection
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from ingest.encoder import QueryEncoding
from ingest.ledger.rows import ChunkScreening
from orchestrator.citations import Draft, verify
from orchestrator.context import Context, assemble
from orchestrator.egress.contracts import CONTRACTS
from orchestrator.egress.gate import Parsed, Stored, Validated, read_output, validate
from orchestrator.extractive import choose, claim_of, pool
from orchestrator.gateway.outcomes import Produced
from orchestrator.gateway.port import ModelRequest
from orchestrator.gateway.providers.extractive import ExtractiveProvider
from orchestrator.personal_data.chain import DetectorChain
from orchestrator.personal_data.internet import EmailDetector
from orchestrator.question import read_question
from orchestrator.support.gate import check_support
from retrieval.evidence import Hit, Passage
from retrieval.sanitising import sanitise
from retrieval.screening_policy import ScreeningPolicy
from tests.unit.orchestrator.egress.stand_ins import LEAVE, TRAVEL, answer, kept, said

SAMPLES = sorted((Path(__file__).parents[4] / "samples" / "source").rglob("*.md"))
BLIND = QueryEncoding(
    dense=np.zeros(384, np.float32),
    tokens=np.zeros((0, 384), np.float32),
    weights=np.zeros(0, np.float32),
    familiarity=0.0,
)
TABLE = "Plan\tPrice\tSeats\nBasic\t10 EUR\t5\nPro\t25 EUR\t50"
PRONOUN = (
    "The Pro plan is for teams. It has 50 seats and costs 25 EUR. Write to [EMAIL_1] or see https://x.example/?a=b."
)


def hit(number: int, text: str) -> Hit:
    passage = Passage(
        chunk_id=f"c{number}",
        document_id=f"d{number}",
        version=1,
        title=f"Document {number}",
        source_uri="",
        text=text,
        start=0,
        end=len(text),
        page=None,
        page_end=None,
        headings=("Plans",),
        screening=ChunkScreening(screener="none", findings=(), peaks={}, failed=()),
    )
    return Hit(passage=passage, score=1.0 / number, legs={})


def assembled(question: str, texts: Collection[str], types: Collection[str] | None = ()) -> Context:
    found = sanitise([hit(number, text) for number, text in enumerate(texts, 1)], ScreeningPolicy())
    evidence = pool(read_question(question), BLIND, found.readable)
    chain = DetectorChain([EmailDetector()])
    return assemble(question, found, evidence, budget_tokens=3_000, open_chain=lambda: chain, redact_types=types)


def written(context: Context, text: str) -> Produced:
    prompted = SimpleNamespace(contract="grounded_answer", context=context, system="Answer from the sources alone.")
    return cast("Produced", SimpleNamespace(prompted=prompted, route="extractive", model="extractive", text=text))


def extracted(context: Context) -> str:
    schema = CONTRACTS["grounded_answer"].schema
    request = ModelRequest(model="extractive", system="", turns=(), schema=schema, max_output_tokens=1, context=context)
    return asyncio.run(ExtractiveProvider().complete(request, timeout_s=1)).text


def stored(context: Context) -> Stored:
    return {(one.passage.document_id, 1): one.passage.text for one in context.sources}


def texts_of(path: Path) -> list[str]:
    return [part for part in re.split(r"\n(?=#)", path.read_text("utf-8")) if part.strip()][:6]


CASES = [
    ("What does the Pro plan cost?", [TABLE, PRONOUN]),
    ("How many days of leave are there?", [LEAVE, TRAVEL]),
    ("Whom do I write to about seats?", [PRONOUN]),
    *[
        (question, texts_of(path))
        for path in SAMPLES[:8]
        for question in ("Who approves it?", "How long does it take?")
    ],
]


@pytest.mark.parametrize(("question", "texts"), CASES)
@pytest.mark.parametrize("redact", [(), None])
def test_extractive_answers_are_kept_as_by_the_two_checks(
    question: str, texts: list[str], redact: Collection[str] | None
) -> None:
    """Over a real context, redacted or not: the claims, scores and drops of verify and check_support, to the letter."""
    context = assembled(question, texts, redact)
    parsed = read_output(written(context, extracted(context)))
    assert isinstance(parsed, Parsed)
    draft = Draft(claims=tuple(map(claim_of, choose(context.pool))))
    assert parsed.needed == draft.documents
    verified = verify(draft, stored(context))
    supported = check_support(verified, context.sources)
    outcome = validate(parsed, stored(context))
    assert isinstance(outcome, Validated)
    assert (outcome.claims, outcome.support) == (supported.claims, supported.scores)
    assert len(outcome.dropped) == len(verified.dropped) + len(supported.dropped)
    assert outcome.claims


def test_what_a_model_saw_redacted_comes_back_as_it_is_stored() -> None:
    """Claim and quote hold the placeholder that the model was shown; what leaves is the stored sentence."""
    context = assembled("Whom do I ask about leave?", [LEAVE], None)
    assert "anna@example.com" not in context.evidence
    output = answer(said("Ask [EMAIL_1] about it.", "Ask [EMAIL_1]."), said("Ask [EMAIL_2].", "Ask [EMAIL_1]."))
    parsed = read_output(written(context, json.dumps(output)))
    assert isinstance(parsed, Parsed)
    outcome = kept(validate(parsed, stored(context)))
    assert [claim.text for claim in outcome.claims] == ["Ask anna@example.com about it."]
    assert outcome.claims[0].citations[0].quote == "Ask anna@example.com."
    assert len(outcome.dropped) == 1


def test_the_real_nonce_never_leaves() -> None:
    """Whatever the nonce of a run is made of, an output that holds it is stopped."""
    context = assembled("How many days?", [LEAVE], None)
    nonce = re.findall(r"<<data (\w+)", context.rules)[0]
    quote = "Unused days lapse after 31 March."
    output = answer(said(quote, quote), said(f"Unused days lapse after 31 March ({nonce}).", quote))
    parsed = read_output(written(context, json.dumps(output)))
    assert isinstance(parsed, Parsed)
    outcome = kept(validate(parsed, stored(context)))
    assert nonce not in outcome.output.model_dump_json()
    assert len(outcome.dropped) == 1
