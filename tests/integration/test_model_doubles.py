"""The doubles of the model wires are as strict as what they stand for, and answer honestly from the sources."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jinja2
import pytest

from orchestrator.egress.contracts import CONTRACTS
from orchestrator.gateway.providers.structured_output import portable_schema
from orchestrator.spotlighting import Datum, SpotlightConfig, spotlight
from tests.doubles.messages_api import MessagesDouble, messages_api
from tests.doubles.model_answers import INVENTED, Asked, good_answer, sources, spoilt
from tests.doubles.openai_api import OpenAiDouble, openai_api

ROOT = Path(__file__).parents[2]
HEADERS = {"x-api-key": "test-key", "anthropic-version": "2026-10-21"}
USER = {"role": "user", "content": "Question: what holds?"}
GOOD: dict[str, Any] = {"model": "claude-haiku-5-5", "max_tokens": 100, "messages": [USER]}
DOCUMENT = {
    "type": "document",
    "source": {"type": "text", "media_type": "text/plain", "data": "It holds."},
    "citations": {"enabled": True},
}
CLOSED = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": False}


def formatted(schema: dict[str, Any]) -> dict[str, Any]:
    return {**GOOD, "output_config": {"format": {"type": "json_schema", "schema": schema}}}


def with_part(part: dict[str, Any]) -> dict[str, Any]:
    return formatted({**CLOSED, "properties": {"a": part}, "$defs": {"T": {"$ref": "#/$defs/T"}}})


@pytest.fixture(scope="module")
def messages() -> Iterator[tuple[str, MessagesDouble]]:
    with messages_api() as running:
        yield running


@pytest.fixture(scope="module")
def completions() -> Iterator[tuple[str, OpenAiDouble]]:
    with openai_api() as running:
        yield running


def test_both_auth_headers_and_a_whole_answer(messages: tuple[str, MessagesDouble]) -> None:
    """A plain request gives a whole message, whichever header carries the key."""
    bearer = {"authorization": "Bearer test-key", "anthropic-version": "2023-06-01"}
    for headers in (HEADERS, bearer):
        answer = httpx2.post(f"{messages[0]}/v1/messages", json=GOOD, headers=headers)
        assert (answer.status_code, answer.json()["stop_reason"]) == (200, "end_turn")
        assert answer.headers["request-id"].startswith("req_")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({**GOOD, "temperature": 0}, 400, "temperature: this parameter is not supported"),
        ({**GOOD, "top_p": 1}, 400, "top_p"),
        ({**GOOD, "top_k": 1}, 400, "top_k"),
        ({**GOOD, "response_format": {}}, 400, "response_format: Extra inputs"),
        ({key: GOOD[key] for key in ("model", "messages")}, 400, "max_tokens: Field required"),
        ({**GOOD, "max_tokens": 10**9}, 400, "max_tokens"),
        ({**GOOD, "messages": []}, 400, "at least one message"),
        ({**GOOD, "messages": [{"role": "system", "content": "x"}]}, 400, "Unexpected role"),
        ({**GOOD, "messages": [{"role": "assistant", "content": "x"}, USER]}, 400, "first message must use the user"),
        ({**GOOD, "messages": [USER, {"role": "assistant", "content": "x"}]}, 400, "prefill"),
        ({**GOOD, "messages": [{"role": "user", "content": ""}]}, 400, "must be non-empty"),
        ({**GOOD, "model": "gpt-5"}, 404, "model: gpt-5"),
        ({**GOOD, "model": "claude-opus-3-9"}, 404, "claude-opus-3-9"),
        (
            {**GOOD, "model": "claude-haiku-4-9", "messages": [{"role": "user", "content": "x" * 900_000}]},
            400,
            "prompt is too long",
        ),
        ({**GOOD, "output_config": {"effort": "huge"}}, 400, "effort"),
        ({**GOOD, "model": "claude-haiku-4-9", "output_config": {"effort": "low"}}, 400, "does not support the effort"),
        (formatted({"type": "object", "properties": {}}), 400, "additionalProperties"),
        (with_part({"type": "string", "minLength": 1}), 400, "minLength"),
        (with_part({"type": "integer", "maximum": 1}), 400, "maximum"),
        (with_part({"type": "array", "items": CLOSED, "minItems": 2}), 400, "minItems"),
        (with_part({"$ref": "#/$defs/T"}), 400, "Recursive"),
        (with_part({"type": "any"}), 400, "type any"),
        ({**formatted(CLOSED), "messages": [{"role": "user", "content": [DOCUMENT]}]}, 400, "citations"),
    ],
)
def test_what_the_messages_api_refuses(
    messages: tuple[str, MessagesDouble], body: dict[str, Any], status: int, said: str
) -> None:
    """Each with the status and the words that say which field; no mode is used up by it."""
    before = messages[1].given.total()
    answer = httpx2.post(f"{messages[0]}/v1/messages", json=body, headers=HEADERS)
    assert (answer.status_code, answer.json()["type"]) == (status, "error")
    assert said in answer.json()["error"]["message"]
    assert messages[1].given.total() == before


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"anthropic-version": "2026-10-21"}, 401),
        ({**HEADERS, "x-api-key": "wrong"}, 401),
        ({"x-api-key": "test-key"}, 400),
        ({**HEADERS, "anthropic-version": "1999-01-01"}, 400),
    ],
)
def test_credential_and_version_are_checked(
    messages: tuple[str, MessagesDouble], headers: dict[str, str], status: int
) -> None:
    """Before the request is looked at."""
    assert httpx2.post(f"{messages[0]}/v1/messages", json=GOOD, headers=headers).status_code == status


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"temperature": 0}, 400, "unknown_parameter"),
        ({"stream_options": {"include_usage": True}}, 400, "unknown_parameter"),
        ({"model": "gpt-5"}, 404, "model_not_found"),
        ({"messages": []}, 400, None),
        ({"messages": [{"role": "developer", "content": "x"}, USER]}, 400, None),
        ({"response_format": {"type": "xml"}}, 400, "unknown_parameter"),
        (
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "a", "strict": True, "schema": {**CLOSED, "required": []}},
                }
            },
            400,
            None,
        ),
    ],
)
def test_what_a_compatible_server_refuses(
    completions: tuple[str, OpenAiDouble], change: dict[str, Any], status: int, code: str | None
) -> None:
    """Fields that it does not know, schemas that are not strict, models that it does not have."""
    body = {"model": "llama-4-8b", "messages": [USER], "max_tokens": 100, **change}
    answer = httpx2.post(f"{completions[0]}/chat/completions", json=body, headers={"authorization": "Bearer test-key"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_double_run_by_hand_says_where_it_listens() -> None:
    """The command prints an address that answers, takes any key, and changes its ways over HTTP."""
    command = [sys.executable, "-m", "tests.doubles.messages_api", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        try:
            httpx2.post(f"{url}/_double/modes", json={"next": ["529"], "default": "truncation"}).raise_for_status()
            answers = [
                httpx2.post(f"{url}/v1/messages", json=GOOD, headers={**HEADERS, "x-api-key": "any"}) for _ in range(2)
            ]
            assert [answer.status_code for answer in answers] == [529, 200]
            assert answers[1].json()["stop_reason"] == "max_tokens"
            assert httpx2.get(f"{url}/_double/requests").json()["given"] == {"529": 1, "truncation": 1}
        finally:
            process.terminate()


DATA = [
    Datum(title="Office: hours", integrity="staff", text="The office opens at eight.\nIt closes at six."),
    Datum(
        title="Leave", integrity="public", text="Staff get 25.5 days of leave. Secret. Ask HR.", withheld=((30, 37),)
    ),
]


def prompt(question: str, datamark: bool = False, schema: dict[str, Any] | None = None) -> Asked:
    data = spotlight(DATA, SpotlightConfig(datamark=datamark))
    turns = (("user", f"Answer from the sources.\n{data.text}\nQuestion: {question}\n"),)
    return Asked(system=data.rules, turns=turns, schema=schema, body={})


@pytest.mark.parametrize("datamark", [False, True])
def test_sources_are_read_as_they_are_spotlit(datamark: bool) -> None:
    """Number and text of each, with marks in place of white space or without."""
    found = sources(prompt("?", datamark).user_text)
    assert [source.number for source in found] == [1, 2]
    assert found[0].text.startswith("The")
    assert found[1].text.endswith("HR.")


LIBRARY = ROOT / "orchestrator" / "prompts" / "library"
VARIABLES: dict[str, Any] = {
    "history": "They asked about the office before.",
    "categories": ["people, all about leave", "office"],
    "priorities": ["low", "high"],
    "teams": ["people team, answers staff", "facilities"],
    "fields": ["days, how many", "hours"],
    "claims": ['Staff get 25.5 days. Source 2 says "Staff get 25.5 days of leave."', "The office opens at eight."],
    "disclaimers": ["This is no advice.", "Ask before you act."],
    "recipient": "a colleague",
    "points": 3,
}


def from_library(name: str, question: str, datamark: bool = False) -> Asked:
    """A prompt of the library, filled in."""
    folder = max((LIBRARY / name.replace("_", "-")).iterdir())
    data = spotlight(DATA, SpotlightConfig(datamark=datamark))
    filled_in = {**VARIABLES, "evidence": data.text, "question": question}
    system, user = (
        jinja2.Template((folder / f"{part}.md.j2").read_text(), trim_blocks=True).render(filled_in)
        for part in ("system", "user")
    )
    schema = portable_schema(CONTRACTS[name].schema)
    return Asked(system=f"{system}\n{data.rules}", turns=(("user", user),), schema=schema, body={})


@pytest.mark.parametrize("datamark", [False, True])
@pytest.mark.parametrize("name", CONTRACTS)
def test_the_good_answer_fits_every_prompt_and_quotes_the_right_source(name: str, datamark: bool) -> None:
    """It is valid after the contract's own model, and each quote is a sentence of the numbered source."""
    asked = from_library(name, "How many days of leave do staff get?", datamark)
    answer = good_answer(asked)
    CONTRACTS[name].model.model_validate_json(answer)
    texts = {source.number: source.text for source in sources(asked.user_text)}
    quotes = [(part["source"], part["quote"]) for part in walk(json.loads(answer)) if "quote" in part]
    assert quotes or name == "critique"
    if name in ("grounded_answer", "summary"):
        assert "Staff get 25.5 days of leave." in answer  # a claim is written with white space, whatever marks the data
    assert all(number == 2 and quote in texts[number] and "25.5" in quote for number, quote in quotes)


def test_the_good_answer_uses_the_words_that_the_prompt_gives() -> None:
    """Labels up to the comma, disclaimers word for word, a verdict for each claim."""
    question = "How many days of leave do staff get?"
    sorted_out = json.loads(good_answer(from_library("classification", question)))
    assert (sorted_out["category"], sorted_out["priority"], sorted_out["suggested_team"]) == (
        "people",
        "low",
        "people team",
    )
    assert json.loads(good_answer(from_library("extraction", question)))["fields"][0]["name"] == "days"
    assert json.loads(good_answer(from_library("drafted_message", question)))["disclaimers"] == VARIABLES["disclaimers"]
    verdicts = json.loads(good_answer(from_library("critique", question)))["verdicts"]
    assert [(verdict["claim"], verdict["supported"]) for verdict in verdicts] == [(1, True), (2, True)]


def test_a_question_that_shares_no_word_has_no_answer() -> None:
    """The good answer abstains."""
    schema = portable_schema(CONTRACTS["grounded_answer"].schema)
    assert json.loads(good_answer(prompt("Wer hat das gesagt?", schema=schema)))["answerable"] is False


def test_each_way_of_spoiling_spoils_one_thing() -> None:
    """Malformed is no JSON; the others are, and differ from the good answer in what they are named for."""
    good = good_answer(prompt("days of leave", schema=portable_schema(CONTRACTS["grounded_answer"].schema)))
    for mode in ("malformed_json", "truncation"):
        with pytest.raises(ValueError, match=r"Expecting|Unterminated"):
            json.loads(spoilt(good, mode))
    claim = json.loads(good)["claims"][0]
    spoilt_claims = {
        mode: json.loads(spoilt(good, mode))["claims"][0]
        for mode in ("uncited_claim", "invented_quote", "placeholder_leak")
    }
    assert spoilt_claims["uncited_claim"] == {**claim, "quotes": []}
    assert spoilt_claims["invented_quote"]["quotes"][0]["quote"] == INVENTED
    assert spoilt_claims["placeholder_leak"] == {**claim, "text": claim["text"] + " Write to [EMAIL_9]."}


def walk(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from walk(part)
