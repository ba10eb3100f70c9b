"""What is made of public sets of attacks is what `groundwire eval injection` reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from benchmarks.public_sets.injection import SETS
from evals.injection import LabelledText, read_texts

PAGE = "Pages of the handbook say what is done here. " * 20
TENSOR = {"hijacking": "Say the word.", "extraction": "Repeat the text."}


def write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records), "utf-8")


def converted(name: str, data: Path) -> list[LabelledText]:
    SETS[name](data, data.parent / "out")
    return list(read_texts(data.parent / "out" / f"{name}.jsonl"))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder of sets with two attacks and eight pages of a handbook, one of them too short."""
    folder = tmp_path / "set"
    pages = [{"path": f"{n}.md", "title": f"Page {n}", "text": PAGE if n else "Short."} for n in range(8)]
    write_lines(tmp_path / "sourcegraph-handbook/docs.jsonl", pages)
    attacks = [
        {"attack_id": "a-0", "category": "Trivia", "text": "Name the capital."},
        {"attack_id": "a-1", "category": "Code", "text": "Write a loop."},
    ]
    write_lines(folder / "attacks.jsonl", attacks)
    write_lines(
        folder / "benign_contexts.jsonl", [{"context_id": "c", "task": "email", "text": "Dear Ann, all is well."}]
    )
    poisoned = {
        "id": "c-start",
        "context_id": "c",
        "attack_id": "a-0",
        "position": "start",
        "text": "Name the capital.\nDear Ann, all is well.",
        "span": [0, 17],
        "question": "How is it?",
    }
    write_lines(folder / "poisoned.jsonl", [poisoned])
    for kind, text in TENSOR.items():
        write_lines(folder / f"{kind}.jsonl", [{"sample_id": 7, "attack": text}, {"sample_id": 8, "attack": " "}])
    return folder


def test_bipia_keeps_spans_and_groups_by_attack(data: Path) -> None:
    """An attack's category is its kind, and clean contexts are the benign texts."""
    attack, clean = converted("bipia", data)
    assert attack.span is not None
    assert attack.text[slice(*attack.span)] == "Name the capital."
    assert (attack.kind, attack.group, attack.label) == ("Trivia", "a-0", "attack")
    assert (clean.kind, clean.label, clean.span) == ("email", "benign", None)


@pytest.mark.parametrize(("name", "attacks"), [("bipia-handbook", 6), ("tensor-trust-handbook", 2)])
def test_spliced_attacks_stand_in_pages_that_are_not_benign_texts_too(data: Path, name: str, attacks: int) -> None:
    """Half of the pages take attacks in, the others stay as they are; short pages take no part."""
    texts = converted(name, data)
    planted = [text for text in texts if text.label == "attack"]
    benign = {text.title for text in texts if text.label == "benign"}
    assert len(planted) == attacks
    assert len(benign) == 4
    assert benign.isdisjoint(text.title for text in planted)
    known = {"Name the capital.", "Write a loop.", *TENSOR.values()}
    assert {text.text[slice(*text.span)] for text in planted if text.span} <= known
    assert all(text.span and text.title for text in planted)


def test_bipia_handbook_has_each_attack_at_each_place(data: Path) -> None:
    """Beginning, middle and end, in another page each."""
    places = {
        (text.group, text.id.split("-")[2]) for text in converted("bipia-handbook", data) if text.label == "attack"
    }
    assert places == {(attack, place) for attack in ("a-0", "a-1") for place in ("start", "middle", "end")}


def test_tensor_trust_alone_has_no_spans(data: Path) -> None:
    """Attacks of white space are left out; kinds are hijacking and extraction, beside all pages of the handbook."""
    texts = converted("tensor-trust", data)
    assert sorted(text.kind for text in texts) == ["extraction", *["handbook"] * 7, "hijacking"]
    assert all(text.span is None for text in texts)


def test_cyberseceval_is_told_apart_by_technique_and_language(data: Path) -> None:
    """English ones by type and technique, the others by language and type; benign requests are a set of their own."""
    row = {"prompt_id": 1, "user_input": "Say it.", "injection_type": "indirect", "injection_variant": "persuasion"}
    write_lines(data / "prompt_injection_en.jsonl", [row])
    write_lines(data / "prompt_injection_multilingual.jsonl", [row | {"speaking_language": "Thai"}])
    write_lines(data / "benign_cyber_frr.jsonl", [{"text": "Write a scanner."}])
    kinds = {text.kind for text in converted("cyberseceval", data)}
    assert kinds == {"indirect: persuasion", "multilingual: Thai, indirect", "handbook"}
    assert [text.label for text in converted("cyberseceval-benign", data)] == ["benign"]


def test_benign_sets_have_no_attack(data: Path) -> None:
    """NotInject by topic beside WildGuard; documents about attacks by language."""
    write_lines(data / "notinject.jsonl", [{"id": "ni", "text": "Ignore spelling?", "topic": "Common"}])
    write_lines(data / "wildguard_benign.jsonl", [{"id": "wg", "text": "Hello."}])
    write_lines(
        data / "docs.jsonl",
        [{"path": "a.md", "lang": "de", "text": "Über Angriffe."}, {"path": "b", "lang": "de", "text": ""}],
    )
    assert [(t.kind, t.label) for t in converted("notinject", data)] == [
        ("notinject: Common", "benign"),
        ("wildguard", "benign"),
    ]
    assert [(t.id, t.kind, t.label) for t in converted("security-docs", data)] == [("a.md", "de", "benign")]


def test_answers_have_the_clean_text_beside_the_poisoned_one(data: Path) -> None:
    """One line for each poisoned text, with the attack in its own words."""
    SETS["bipia-answers"](data, data / "out")
    [row] = [json.loads(line) for line in (data / "out/bipia-answers.jsonl").read_text("utf-8").splitlines()]
    assert row["clean"] == "Dear Ann, all is well."
    assert row["attack"] == "Name the capital."
    assert (row["group"], row["kind"], row["question"]) == ("c", "start", "How is it?")
