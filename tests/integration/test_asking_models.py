"""Questions through the whole pipeline with models on real sockets, with each way in which a model can fail."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from ingest.tags import Classification
from orchestrator.contract import Answer
from tests.doubles.model_answers import INVENTED
from tests.doubles.model_double import Mode
from tests.doubles.model_house import CLAUDE, EXTRACTIVE, LLAMA, Asked, ModelHouse, model_house

QUESTION = "When does the canteen open?"
SENTENCE = "The canteen opens at 11:30."
EMAIL, CARD = "mira.holm@example.org", "4111 1111 1111 1111"
RECORDS: list[dict[str, Any]] = [
    {"id": "canteen", "title": "Canteen", "text": f"{SENTENCE} It serves soup.", "allow": ["public"]},
    {
        "id": "refunds",
        "title": "Refunds",
        "text": f"Questions about refunds go to {EMAIL}. The test card of the till is {CARD} for refunds.",
        "allow": ["public"],
    },
    {
        "id": "merger",
        "title": "Merger",
        "text": "The merger with Umbra closes in March. Nobody may talk about it.",
        "allow": ["public"],
        "classification": "regulated",
    },
    {
        "id": "payroll",
        "title": "Payroll",
        "text": "The payroll of Lyon runs on Tuesdays. It takes an hour.",
        "allow": ["public"],
        "region": "eu",
    },
]
# What a mode leads to on one route: status, outcomes of the attempts, whether money was spent, flags.
Expected = tuple[str, list[str], bool, set[str]]
NOTHING, INVALID = {"no_output_exhausted"}, {"output_invalid"}
FAILURES: dict[Mode, Expected] = {
    "good": ("answered", ["end"], True, set()),
    "slow": ("refused", ["timeout"] * 3, True, NOTHING),
    "stalled_stream": ("refused", ["timeout"] * 3, True, NOTHING),
    "429": ("refused", ["rate_limited"] * 3, False, NOTHING),
    "429_long": ("refused", ["rate_limited"], False, NOTHING),
    "500": ("refused", ["server_error"] * 3, False, NOTHING),
    "529": ("refused", ["overloaded"] * 3, False, NOTHING),
    "html_502": ("refused", ["server_error"] * 3, False, NOTHING),
    "spend_limit": ("refused", ["spend_limit"], False, NOTHING),
    "cut_stream": ("refused", ["cut"] * 3, True, NOTHING),
    "error_in_stream": ("refused", ["overloaded"] * 3, True, NOTHING),
    "garbage_body": ("refused", ["garbled"] * 3, True, NOTHING),
    "refusal": ("refused", ["refused"], True, {"no_output_refused"}),
    "truncation": ("refused", ["truncated"], True, {"no_output_truncated"}),
    "malformed_json": ("in_review", ["end", "end"], True, INVALID),
    "wrong_schema": ("in_review", ["end", "end"], True, INVALID),
    "uncited_claim": ("in_review", ["end", "end"], True, {"output_invalid", "claims_dropped"}),
    "invented_quote": ("in_review", ["end", "end"], True, {"output_invalid", "claims_dropped"}),
    "placeholder_leak": ("in_review", ["end", "end"], True, {"output_invalid", "claims_dropped"}),
    "good_after_repair": ("answered", ["end", "end"], True, {"output_repaired"}),
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModelHouse]:
    """One home for all tests, none of which changes a document."""
    with model_house(tmp_path_factory.mktemp("house"), RECORDS) as house:
        yield house


@pytest.fixture
def house(shared: ModelHouse) -> ModelHouse:
    """The home as if nothing had been asked."""
    shared.calm()
    return shared


def check_citations(house: ModelHouse, answer: Answer) -> None:
    """Every claim is cited, and every quote is what is stored at its place."""
    for claim in answer.claims:
        assert claim.citations
        for cited in claim.citations:
            document = house.services.ledger.find("default", cited.document_id)
            assert document is not None
            scope = house.services.scope(house.reader(clearance=Classification.regulated))
            place = (cited.document_id, cited.version)
            stored = house.run(house.services.library.stored(scope, {place}))[place].text
            assert stored[cited.start : cited.end] == cited.quote


def expected(mode: Mode, route: str) -> list[str]:
    """Outcomes of the attempts; an error within a stream has no name on the wire of OpenAI."""
    unnamed = mode == "error_in_stream" and route == LLAMA
    return ["server_error"] * 3 if unnamed else FAILURES[mode][1]


def metered(asked: Asked) -> None:
    """The answer's money and tokens are those of the ledger, and each request on the wire is one attempt of it."""
    assert Decimal(str(asked.answer.usage.cost_usd)) == sum((one.cost for one in asked.attempts), Decimal(0))
    assert len({one.id for one in asked.attempts}) == len(asked.attempts)
    assert [one.number for one in asked.attempts] == list(range(1, len(asked.attempts) + 1))
    for route, requests in asked.wire.items():
        assert requests == sum(one.route == route for one in asked.attempts)


@pytest.mark.parametrize("route", [EXTRACTIVE, CLAUDE, LLAMA])
def test_every_kind_of_model_answers(house: ModelHouse, route: str) -> None:
    """The same question gets the same answer with the same citation, whichever model gives it."""
    asked = house.ask(QUESTION, model=route)
    assert (asked.answer.status, asked.answer.answer, asked.answer.model) == ("answered", SENTENCE, route)
    assert asked.tried == [(route, "answer", "end")]
    assert asked.answer.flags == ()
    check_citations(house, asked.answer)
    metered(asked)


@pytest.mark.parametrize("route", [CLAUDE, LLAMA])
@pytest.mark.parametrize("mode", FAILURES)
def test_a_route_that_was_asked_for(house: ModelHouse, mode: Mode, route: str) -> None:
    """With one route and no other, a failure is an outcome: status, attempts, requests, money and flags."""
    house.calm(claude=mode, llama=mode)
    status, _, paid, flags = FAILURES[mode]
    asked = house.ask(QUESTION, model=route)
    assert asked.answer.status == status
    assert [one.outcome for one in asked.attempts] == expected(mode, route)
    assert set(asked.answer.flags) == flags
    assert asked.answer.claims == () or status == "answered"
    assert (sum(one.cost for one in asked.attempts) > 0) == (paid and route == CLAUDE)
    check_citations(house, asked.answer)
    metered(asked)


@pytest.mark.parametrize("mode", FAILURES)
def test_another_route_answers(house: ModelHouse, mode: Mode) -> None:
    """Where the routing may choose, what fails on one route is answered by another, and the asker sees it."""
    house.calm(llama=mode)  # costs nothing, so it is asked first
    asked = house.ask(QUESTION)
    alone = mode in ("good", "good_after_repair")
    assert (asked.answer.status, asked.answer.answer) == ("answered", SENTENCE)
    assert asked.answer.model == (LLAMA if alone else CLAUDE)
    assert [one.outcome for one in asked.attempts if one.route == LLAMA] == expected(mode, LLAMA)
    assert asked.wire[CLAUDE] == (0 if alone else 1)
    assert "output_invalid" not in asked.answer.flags
    assert ("model_fallback" in asked.answer.flags) == (not alone)
    check_citations(house, asked.answer)
    metered(asked)


@pytest.mark.parametrize("mode", [mode for mode in FAILURES if FAILURES[mode][0] != "answered"])
def test_without_any_remote_model(house: ModelHouse, mode: Mode) -> None:
    """Where no model outside gives anything of use, the one within the process quotes, and the asker sees it."""
    house.calm(claude=mode, llama=mode)
    asked = house.ask(QUESTION)
    assert (asked.answer.status, asked.answer.model, asked.answer.answer) == ("answered", EXTRACTIVE, SENTENCE)
    assert "model_fallback" in asked.answer.flags
    assert asked.tried[-1] == (EXTRACTIVE, "answer", "end")
    check_citations(house, asked.answer)
    metered(asked)


def test_an_invalid_output_never_leaves(house: ModelHouse) -> None:
    """It is repaired once, with what was wrong; then a person has it: nothing of it is in the answer."""
    house.calm(claude="invented_quote")
    asked = house.ask(QUESTION, model=CLAUDE)
    assert [one.purpose for one in asked.attempts] == ["answer", "repair"]
    assert asked.answer.route.decision == "review"
    assert INVENTED not in asked.answer.model_dump_json()
    first, second = (request.body["messages"] for request in house.claude.requests)
    assert first == second[: len(first)]
    assert "quote" in str(second[-1])


@pytest.mark.parametrize("route", [CLAUDE, LLAMA])
def test_personal_data_stays_in_the_house(house: ModelHouse, route: str) -> None:
    """Addresses and card numbers of documents and question are on no wire, and in the answer for who may see them."""
    reader = house.reader(roles=frozenset({"privacy-officer"}))
    asked = house.ask(f"Who gets questions about refunds: {EMAIL} or {CARD}?", reader, model=route)
    sent = house.sent()
    assert house.claude.calls() + house.llama.calls() >= 1
    assert "refunds" in sent
    for secret in (EMAIL, CARD, CARD.replace(" ", ""), "mira.holm"):
        assert secret not in sent
    assert asked.answer.status == "answered"
    assert EMAIL in asked.answer.answer
    assert "[EMAIL" not in asked.answer.answer
    check_citations(house, asked.answer)
    metered(asked)


@pytest.mark.parametrize("route", [None, CLAUDE, LLAMA])
def test_regulated_text_goes_to_no_remote_model(house: ModelHouse, route: str | None) -> None:
    """A regulated document is quoted within the process or not at all; no request is made."""
    reader = house.reader(clearance=Classification.regulated)
    asked = house.ask("When does the merger with Umbra close?", reader, model=route)
    assert house.sent() == ""
    assert not any(asked.wire.values())
    assert asked.answer.model == (route or EXTRACTIVE)
    assert asked.answer.status == ("refused" if route else "answered")


def test_text_of_a_region_stays_there(house: ModelHouse) -> None:
    """What must stay in the EU goes to the model there, and to the one elsewhere not even when that is asked for."""
    question, regions = "When does the payroll of Lyon run?", frozenset({"eu"})
    free = house.ask(question, house.reader(regions=regions))
    assert (free.answer.status, free.answer.model) == ("answered", LLAMA)
    wished = house.ask(question, house.reader(regions=regions), model=CLAUDE)
    assert (wished.answer.status, set(wished.answer.flags)) == ("refused", {"no_output_no_route"})
    assert house.claude.calls() == 0


def test_on_record_before_anything_is_sent(house: ModelHouse) -> None:
    """While a model is thinking, the run, its prompt and the reserved money are on disk already."""
    seen: list[tuple[str, list[str], list[str]]] = []
    usual = house.claude.answer

    def look(prompt: Any) -> str:
        services = house.services
        row = services.governance.runs.page("default", subject="early-bird", before=None, limit=1)[0]
        events = services.governance.custody.events("default", row.run_id)
        attempts = services.governance.usage.attempts(row.run_id)
        seen.append((row.status, [one.kind for one in events], [one.outcome for one in attempts]))
        return usual(prompt)

    house.claude.answer = look
    try:
        house.ask(QUESTION, house.reader("early-bird"), model=CLAUDE)
    finally:
        house.claude.answer = usual
    (status, kinds, outcomes) = seen[0]
    assert status == "running"
    assert kinds[:4] == ["run_started", "retrieved", "context_assembled", "prompted"]
    assert outcomes == ["sent"]
