"""The demo and the sample company, with the real encoder: what comes out, and what never does."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from evals.golden import GoldenCase, read_golden
from ingest.tags import Classification
from orchestrator.contract import Answer
from orchestrator.services import Services, open_services
from orchestrator.settings import Settings
from retrieval.access import Principal
from tests.acceptance.conftest import ROOT, Checkout

pytestmark = pytest.mark.acceptance

GOLDEN = read_golden(ROOT / "samples/golden.jsonl")
TRAPS = [json.loads(line) for line in (ROOT / "samples/traps.jsonl").read_text("utf-8").splitlines()]
HIDDEN = [trap for trap in TRAPS if trap["kind"] == "hidden"]
# Cases that still cite a document which they must not, though it may be read. The list may only become shorter. In both
# the planted order is withheld; harmless lines beside it are quoted for a question that they do not answer.
LEFT_TO_DO = {"poison-invoice-iban", "poison-review-recall"}

Use = Callable[[Callable[[Services], Coroutine[Any, Any, Any]]], Any]


@pytest.fixture(scope="module")
def use(checkout: Checkout) -> Iterator[Use]:
    """Runs work over the open home that the demo left."""
    with asyncio.Runner() as runner:
        home = open_services(Settings(home=checkout.home, workers=1))
        services = runner.run(home.__aenter__())
        yield lambda work: runner.run(work(services))
        runner.run(home.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def answers(use: Use) -> list[tuple[GoldenCase, Answer]]:
    """The golden set, each case asked by its principal."""

    async def ask(services: Services) -> list[tuple[GoldenCase, Answer]]:
        found = []
        for case in GOLDEN:
            assert case.principal
            found.append((case, await services.ask(case.question, services.scope(case.principal))))
        return found

    asked: list[tuple[GoldenCase, Answer]] = use(ask)
    return asked


def everybody(services: Services) -> Principal:
    """Somebody who may read every document that has readers, but for denials."""
    tags = [services.ledger.tags_of("default", row.document_id) for row in services.ledger.current_versions("default")]
    tokens = {token.partition(":")[2] for tag in tags for token in tag.readers}
    regions = frozenset(tag.region for tag in tags if tag.region)
    owner = next(tag.owner for tag in tags if tag.owner)
    return Principal(
        subject=owner,
        groups=frozenset(tokens - {"contractors", "works-council"}),
        roles=frozenset(tokens),
        clearance=Classification.regulated,
        regions=regions,
    )


def folded(text: str) -> str:
    return " ".join(text.replace(" | ", " ").split())


def test_the_demo_ends_well(checkout: Checkout) -> None:
    """Every document is taken, hidden text is found, and each citation opens at the quoted characters."""
    shown = checkout.demo.stdout
    assert checkout.demo.returncode == 0, shown + checkout.demo.stderr
    counts = [int(number) for number in re.findall(r"(\d+) (?:documents,|pieces of hidden|failed)", shown)]
    assert counts == [51, len(HIDDEN), 0]
    opened = re.findall(r"^    from company/.*, characters \d+ to \d+: (.*)$", shown, re.MULTILINE)
    assert len(opened) >= 4
    assert set(opened) == {"opens at the quoted characters"}
    assert re.search(r"^Lars.*shop in Copenhagen\?\n  No answer", shown, re.MULTILINE)


@pytest.mark.parametrize("trap", HIDDEN, ids=lambda trap: f"{Path(trap['path']).name}-{trap['reason']}")
def test_hidden_text_is_kept_apart(use: Use, trap: dict[str, str]) -> None:
    """What nobody would have seen is in no text, no chunk and no hit; it is kept as a record with its reason."""

    async def look(services: Services) -> tuple[str, list[str], list[Any], list[str]]:
        key = services.ledger.find("default", trap["path"])
        assert key
        (row,) = services.ledger.versions_of(key, text=True)
        pieces = [row.text[chunk.start : chunk.end] for chunk in services.ledger.version(key, row.number).chunks]
        scope = services.scope(everybody(services))
        assert await services.library.current(scope, trap["path"])
        hits = await services.retriever.search(trap["text"], scope, k=20)
        return row.text, pieces, services.ledger.hidden_of(key, row.number), [hit.passage.text for hit in hits]

    text, pieces, hidden, hits = use(look)
    assert pieces
    assert len(hits) == 20
    assert not [where for where in (text, *pieces, *hits) if trap["text"] in folded(where)]
    assert [record.reason for record in hidden if trap["text"] in folded(record.text)] == [trap["reason"]]


def test_hidden_text_is_in_no_answer(answers: list[tuple[GoldenCase, Answer]]) -> None:
    """No answer to a golden case says or quotes what was hidden."""
    for case, answer in answers:
        for trap in HIDDEN:
            assert trap["text"] not in folded(answer.model_dump_json()), case.id


def test_every_citation_is_the_stored_slice(use: Use, answers: list[tuple[GoldenCase, Answer]]) -> None:
    """Character for character, read within the scope of whoever asked: so nothing is cited that they may not read."""

    async def check(services: Services) -> int:
        checked = 0
        for case, answer in answers:
            assert case.principal
            assert bool(answer.claims) == (answer.status == "answered")
            scope = services.scope(case.principal)
            for citation in (citation for claim in answer.claims for citation in claim.citations):
                place = (citation.document_id, citation.version)
                stored = (await services.library.stored(scope, [place])).get(place)
                assert stored is not None, f"{case.id} cites {place}, which {case.principal.subject} may not read"
                assert stored.text[citation.start : citation.end] == citation.quote, case.id
                checked += 1
        return checked

    assert use(check) > 50


def test_no_case_cites_what_it_must_not(answers: list[tuple[GoldenCase, Answer]]) -> None:
    """Superseded, closed and poisoned documents stay out of answers, but for the cases that are known to be left."""
    wrong = set()
    for case, answer in answers:
        cited = {citation.document_id for claim in answer.claims for citation in claim.citations}
        if cited & set(case.must_not_cite):
            wrong.add(case.id)
    assert wrong <= LEFT_TO_DO


def test_the_sample_company_gets_its_answers(answers: list[tuple[GoldenCase, Answer]]) -> None:
    """At least six in ten answerable cases get an answer from a document that holds it; the base rate is none."""
    answerable = [(case, answer) for case, answer in answers if case.answerable]
    good = 0
    for case, answer in answerable:
        cited = {citation.document_id for claim in answer.claims for citation in claim.citations}
        good += bool(cited & set(case.reference_ids))
    assert good / len(answerable) >= 0.6
