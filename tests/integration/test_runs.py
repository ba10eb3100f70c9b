"""The record of runs: its story, who sees it, recalls, replays, kept answers, conversations and erasure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from fastapi.testclient import TestClient

from api.cli import groundwire
from api.http import make_app
from api.keys import hash_key, load_keys
from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.audit.verification import verify
from orchestrator.runs.reading import WITHHELD
from orchestrator.services import open_services
from retrieval.access import Principal
from tests.doubles.model_house import CLAUDE, EXTRACTIVE, LLAMA, ModelHouse, hash_parts, model_house

QUESTION = "When does the canteen open?"
SENTENCE = "The canteen opens at 11:30."
CANTEEN: dict[str, Any] = {
    "id": "canteen",
    "title": "Canteen",
    "text": f"{SENTENCE} It serves soup.",
    "allow": ["group:staff"],
}
ANN = Principal(subject="ann", groups=frozenset({"staff"}), clearance=Classification.internal)
BOB = Principal(subject="bob", groups=frozenset({"staff"}), clearance=Classification.internal)
AUDITOR = Principal(subject="otto", roles=frozenset({"auditor"}), clearance=Classification.internal)
READING_AUDITOR = replace(AUDITOR, groups=frozenset({"staff"}))
CURATOR = Principal(subject="cora", roles=frozenset({"curator"}), clearance=Classification.internal)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ModelHouse]:
    """A home of the test's own."""
    with model_house(tmp_path, [CANTEEN]) as house:
        yield house


def story(house: ModelHouse, run_id: str, principal: Principal) -> str:
    """What the reader is told of a run."""
    shown = house.run(house.services.runs.reader.show(house.services.scope(principal), run_id))
    return "\n".join(line.text for line in shown.story)


def change(house: ModelHouse, text: str) -> None:
    house.run(house.services.ingest_records([{**CANTEEN, "text": text}], "default", "ann"))


def test_the_story_names_every_step(house: ModelHouse) -> None:
    """A run that failed over, was repaired and answered says so in plain words, to whoever started it."""
    house.calm(claude="good_after_repair", llama="500")
    asked = house.ask(QUESTION, ANN)
    told = story(house, asked.answer.run_id, ANN)
    for part in (QUESTION, "llama", "server error", "(repair)", "was not valid", SENTENCE, "canteen version 1"):
        assert part in told
    assert "Decision: answer, rule route-answer." in told


def test_a_person_to_decide_is_in_the_story(house: ModelHouse) -> None:
    """Where nothing could be verified the story says who has it now."""
    house.calm(claude="invented_quote")
    asked = house.ask(QUESTION, ANN, model=CLAUDE)
    assert "Decision: review to the queue review." in story(house, asked.answer.run_id, ANN)


def test_runs_of_others_are_as_if_not_there(house: ModelHouse) -> None:
    """Another person gets the same error for a run of Ann's as for one that never was."""
    run_id = house.ask(QUESTION, ANN).answer.run_id
    never = "00000000-0000-4000-8000-000000000000"
    errors = []
    for wanted in (run_id, never):
        with pytest.raises(BadInput) as caught:
            story(house, wanted, BOB)
        errors.append(str(caught.value).replace(wanted, "RUN"))
    assert errors[0] == errors[1]
    assert house.run(house.services.runs.reader.page(BOB)) == []


def test_auditors_see_runs_and_contents_where_they_may_read(house: ModelHouse) -> None:
    """An auditor sees that the run was; what was said only with leave to read every document that was used."""
    run_id = house.ask(QUESTION, ANN).answer.run_id
    blind, reading = story(house, run_id, AUDITOR), story(house, run_id, READING_AUDITOR)
    assert WITHHELD in blind
    assert SENTENCE not in blind
    assert QUESTION not in blind
    assert SENTENCE in reading
    assert QUESTION in reading


def test_a_second_equal_ask_costs_no_call(house: ModelHouse) -> None:
    """A verified answer is given again to the same asker while its source is unchanged, and never to another one."""
    first, second, other = (house.ask(QUESTION, who, model=LLAMA) for who in (ANN, ANN, BOB))
    assert [one.wire[LLAMA] for one in (first, second, other)] == [1, 0, 1]
    assert second.attempts == ()
    assert second.answer.claims == first.answer.claims
    assert ["kept_answer" in one.answer.flags for one in (first, second, other)] == [False, True, False]


@pytest.mark.parametrize("what", ["text", "tags"])
def test_a_change_ends_a_kept_answer(house: ModelHouse, what: str) -> None:
    """After the document changed, or how it is classified, the model is asked again."""
    house.ask(QUESTION, ANN, model=LLAMA)
    if what == "text":
        change(house, f"{SENTENCE} It serves stew.")
    else:
        house.run(house.services.set_access("default", "canteen", {"classification": "public"}))
    again = house.ask(QUESTION, ANN, model=LLAMA)
    assert again.wire[LLAMA] == 1
    assert "kept_answer" not in again.answer.flags
    assert again.answer.status == "answered"


def test_a_recall_marks_runs_and_kept_answers(house: ModelHouse) -> None:
    """Every run that was shown the document is marked with the reason, and no kept answer of it is given again."""
    run_id = house.ask(QUESTION, ANN, model=LLAMA).answer.run_id
    lineage = house.services.runs.lineage
    with pytest.raises(BadInput):
        house.run(lineage.recall(ANN, "canteen", None, "The hours are wrong."))
    found = house.run(lineage.recall(CURATOR, "canteen", None, "The hours are wrong."))
    assert ([row.run_id for row in found.runs], found.kept_answers) == ([run_id], 1)
    row = house.services.governance.runs.get("default", run_id)
    assert row is not None
    assert row.recalled_because == "The hours are wrong."
    assert house.ask(QUESTION, ANN, model=LLAMA).wire[LLAMA] == 1


@pytest.mark.parametrize("route", [EXTRACTIVE, LLAMA])
def test_a_replay_of_the_same_is_the_same(house: ModelHouse, route: str) -> None:
    """From the same passages with the same model the same comes out, as a run of its own that asks the model again."""
    run_id = house.ask(QUESTION, ANN, model=route, judge=None).answer.run_id
    done = house.run(house.services.replay(run_id, house.services.scope(ANN)))
    assert done.same, done
    assert done.replay_id != run_id
    assert house.llama.calls() == (2 if route == LLAMA else 0)


def test_a_replay_shows_what_differs(house: ModelHouse) -> None:
    """With another model it says so and nothing else; a source that has a newer version is read as it was then."""
    scope = house.services.scope(ANN)
    run_id = house.ask(QUESTION, ANN, model=LLAMA).answer.run_id
    other = house.run(house.services.replay(run_id, scope, model=CLAUDE))
    assert [(one.aspect, one.before, one.after) for one in other.differences] == [("model", LLAMA, CLAUDE)]
    change(house, "The canteen opens at noon. It serves soup.")
    assert house.run(house.services.replay(run_id, scope)).same
    assert "noon" in house.ask(QUESTION, ANN, model=LLAMA).answer.answer


def test_a_replay_reads_only_what_may_be_read_now(house: ModelHouse) -> None:
    """Neither another person nor the asker, once the source is closed to them, can do a run again."""
    run_id = house.ask(QUESTION, ANN, model=LLAMA).answer.run_id
    with pytest.raises(BadInput, match="no such run"):
        house.run(house.services.replay(run_id, house.services.scope(BOB)))
    house.run(house.services.set_access("default", "canteen", {"allow": [], "owner": "zoe"}))
    with pytest.raises(BadInput, match="may not be read"):
        house.run(house.services.replay(run_id, house.services.scope(ANN)))
    assert house.llama.calls() == 1


def test_a_conversation_completes_a_follow_up(house: ModelHouse) -> None:
    """A question without a topic takes that of the conversation that is kept, and the asker sees what was asked."""
    house.ask(QUESTION, ANN, conversation="lunch")
    follow_up = house.ask("And when does it close?", ANN, conversation="lunch").answer
    alone = house.ask("And when does it close?", ANN).answer
    assert follow_up.asked is not None
    assert "canteen" in follow_up.asked
    assert "question_completed" in follow_up.flags
    assert alone.asked is None


def test_erasing_a_person(house: ModelHouse) -> None:
    """What Ann asked and was answered is gone for good, what Bob asked is there, and the chain still verifies."""
    mine, others = (house.ask(QUESTION, who).answer.run_id for who in (ANN, BOB))
    custody = house.services.governance.custody
    custody.erase("default", "ann")
    assert SENTENCE not in story(house, mine, ANN)
    assert "(erased)" in story(house, mine, ANN)
    assert SENTENCE in story(house, others, BOB)
    assert verify(custody.database, custody.keys, witness=custody.config.witness, deep=True).ok


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ask`, `runs show`, `runs list` and `audit verify` tell of one run what the record has, as JSON and in words."""
    with model_house(tmp_path, [CANTEEN]) as house:
        urls, settings = house.settings.routes_file, house.settings
        house.run(house.services.set_access("default", "canteen", {"allow": ["public"]}))
        double = house.claude

        def command(*words: str) -> Result:
            return CliRunner().invoke(groundwire, [*words, "--home", str(settings.home)])

        monkeypatch.setenv("GROUNDWIRE_ROUTES_FILE", str(urls))
        monkeypatch.setenv("GROUNDWIRE_SECRETS", json.dumps({"anthropic": double.key, "own": house.llama.key}))
        house.close()
        for route in (CLAUDE, LLAMA):
            answered = command("ask", QUESTION, "--model", route, "--as", "ann", "--json")
            assert answered.exit_code == 0, answered.output
            answer = json.loads(answered.stdout)
            assert (answer["status"], answer["answer"], answer["model"]) == ("answered", SENTENCE, route)
            assert answer["claims"][0]["citations"][0]["quote"] == SENTENCE
            shown = command("runs", "show", answer["run_id"], "--as", "ann")
            assert shown.exit_code == 0, shown.output
            assert f"Answered: {SENTENCE}" in shown.stdout
            hidden = command("runs", "show", answer["run_id"], "--as", "bob")
            assert isinstance(hidden.exception, BadInput)
        listed = json.loads(command("runs", "list", "--as", "ann", "--json").stdout)["runs"]
        assert [run["model"] for run in listed] == [LLAMA, CLAUDE]
        assert command("audit", "verify").exit_code == 0


def test_over_http(tmp_path: Path) -> None:
    """A run is shown to its asker and to an auditor, and is 404 to anybody else."""
    with model_house(tmp_path, [CANTEEN]) as house:
        settings = house.settings
        house.close()
        file = tmp_path / "keys.yaml"
        people = {"ann": ANN, "bob": BOB, "otto": AUDITOR}
        file.write_text(json.dumps([{"sha256": hash_key(name), **_fields(who)} for name, who in people.items()]))
        app = make_app(open_services(settings), settings, load_keys(file))
        with hash_parts(), TestClient(app, raise_server_exceptions=False) as client:
            headers = {name: {"Authorization": f"Bearer {name}"} for name in people}
            body = {"question": QUESTION, "model": LLAMA}
            answer = client.post("/v1/ask", json=body, headers=headers["ann"]).json()
            assert answer["status"] == "answered", answer
            shown = {
                name: client.get(f"/v1/runs/{answer['run_id']}", headers=header) for name, header in headers.items()
            }
            assert {name: one.status_code for name, one in shown.items()} == {"ann": 200, "bob": 404, "otto": 200}
            assert SENTENCE in shown["ann"].text
            assert SENTENCE not in shown["otto"].text + shown["bob"].text


def _fields(who: Principal) -> dict[str, Any]:
    return {
        "subject": who.subject,
        "groups": sorted(who.groups),
        "roles": sorted(who.roles),
        "clearance": who.clearance.name,
    }
