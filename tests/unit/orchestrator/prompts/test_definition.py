"""What the files of a prompt must be, and the hash that stands for them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.egress.contracts import CONTRACTS
from orchestrator.prompts.definition import BadPrompt, content_hash, differences, read_prompt, version_order
from tests.doubles.prompts import header, make_prompt, prompt_files, variable

FILES = st.dictionaries(st.text(max_size=5), st.text(max_size=8), max_size=4)


def test_a_prompt_is_what_its_files_say() -> None:
    """Every field of prompt.yaml arrives, and the schema is that of the contract."""
    prompt = make_prompt(variables=[variable("tone", "text", default="plain")], model={"max_output_tokens": 7})
    assert (prompt.label, prompt.locale, prompt.settings.max_output_tokens) == ("greet/1.0.0", "en", 7)
    assert prompt.schema == CONTRACTS["summary"].schema
    assert prompt.contract_version == CONTRACTS["summary"].version
    assert not prompt.variables[0].required


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"name": "Greet"}, "bad_header", "name"),
        ({"name": "../etc"}, "bad_header", "name"),
        ({"version": "1.0"}, "bad_header", "version"),
        ({"version": 1.0}, "bad_header", "version"),
        ({"version": "1.0.0-rc1"}, "bad_header", "version"),
        ({"owner": None}, "bad_header", "owner"),
        ({"colour": "red"}, "bad_header", "colour"),
        ({"locale": "english"}, "bad_header", "locale"),
        ({"model": {"max_output_tokens": 0}}, "bad_header", r"model\.max_output_tokens"),
        ({"model": {"max_output_tokens": 9, "temperature": 1}}, "bad_header", r"model\.temperature"),
        ({"contract": "poem"}, "unknown_contract", "'poem'"),
        ({"changelog": []}, "bad_header", "changelog"),
        ({"changelog": [{"version": "0.9.0", "date": "2026-01-01", "text": "x"}]}, "no_changelog", r"1\.0\.0"),
        ({"variables": [variable("a", "date")]}, "bad_header", r"variables\.0\.type"),
        ({"variables": [variable("A", "text")]}, "bad_header", r"variables\.0\.name"),
        ({"variables": [variable("question", "text")]}, "bad_variable", "question"),
        ({"variables": [variable("self", "text")]}, "bad_variable", "self"),
        ({"variables": [variable("a", "text"), variable("a", "flag")]}, "bad_variable", "twice"),
        ({"variables": [variable("a", "number", default="7")]}, "bad_variable", "not a number"),
        ({"variables": [variable("a", "number", default=True)]}, "bad_variable", "not a number"),
        ({"variables": [variable("a", "number", default=float("nan"))]}, "bad_variable", "not a number"),
        ({"variables": [variable("a", "flag", default=1)]}, "bad_variable", "not true or false"),
        ({"variables": [variable("a", "list", default="x")]}, "bad_variable", "not a list"),
        ({"variables": [variable("a", "text", default=["x"])]}, "bad_variable", "not a text"),
    ],
)
def test_a_bad_header_is_refused_with_its_place(changes: dict[str, Any], code: str, words: str) -> None:
    """What prompt.yaml gets wrong is refused with the file and the field."""
    with pytest.raises(BadPrompt, match=words) as refusal:
        make_prompt(**changes)
    assert refusal.value.code == code
    assert "prompt.yaml" in refusal.value.item


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({}, "no_header"),
        ({"prompt.yaml": "a: [1"}, "bad_yaml"),
        ({"prompt.yaml": "\x00"}, "bad_yaml"),
        ({"prompt.yaml": "- a"}, "bad_header"),
        ({"prompt.yaml": "!!python/object/apply:os.system ['true']"}, "bad_yaml"),
        ({"prompt.yaml": "[" * 5000}, "bad_yaml"),
        (prompt_files() | {"notes.txt": "x"}, "unknown_file"),
        (prompt_files() | {"system.../x.md.j2": "x"}, "unknown_file"),
        (prompt_files() | {"user.md.j2": "x" * 20_001}, "oversized"),
        ({name: text for name, text in prompt_files().items() if name != "user.md.j2"}, "no_template"),
    ],
)
def test_bad_files_are_refused(files: dict[str, str], code: str) -> None:
    """Files that are missing, unknown, too large or no YAML are refused, whatever they hold."""
    with pytest.raises(BadPrompt) as refusal:
        read_prompt(files, CONTRACTS)
    assert refusal.value.code == code


@given(FILES, FILES)
def test_the_hash_stands_for_the_files(one: dict[str, str], other: dict[str, str]) -> None:
    """Two sets of files have the same hash when they are the same, in any order, and only then."""
    assert (content_hash(one) == content_hash(other)) == (one == other)
    assert content_hash(dict(reversed(one.items()))) == content_hash(one)


@given(FILES, FILES)
def test_differences_name_the_files_that_differ(old: dict[str, str], new: dict[str, str]) -> None:
    """A file is named when its text is not the same, missing ones counting as empty."""
    changed = {file for file in old.keys() | new.keys() if old.get(file, "") != new.get(file, "")}
    assert differences(old, new).keys() == changed


def test_versions_sort_as_numbers() -> None:
    """1.10.0 comes after 1.9.0."""
    assert sorted(["1.10.0", "1.9.0", "1.9.10"], key=version_order) == ["1.9.0", "1.9.10", "1.10.0"]


@pytest.mark.parametrize(
    ("locale", "file", "used"),
    [
        (None, "system.md.j2", "en"),
        ("fr", "system.md.j2", "en"),
        ("de", "system.de.md.j2", "de"),
        ("de-AT", "system.de.md.j2", "de"),
        ("de-CH", "system.de-CH.md.j2", "de-CH"),
    ],
)
def test_locales_fall_back(locale: str | None, file: str, used: str) -> None:
    """The locale itself, else its language, else the default."""
    files = prompt_files() | {"system.de.md.j2": "Kurz.", "system.de-CH.md.j2": "Kurz!"}
    assert read_prompt(files, CONTRACTS).template("system", locale) == (file, used)


def test_the_double_is_a_good_prompt() -> None:
    """What other tests change one thing of is accepted as it is."""
    assert make_prompt().name == header()["name"]
