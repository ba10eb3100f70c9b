"""Files of the configuration are read strictly: what is not understood is refused, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from ingest.errors import BadInput
from orchestrator.yaml_files import read_strictly, refused


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: int


class Shape(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    parts: tuple[Inner, ...] = ()


def refusal(file: Path, content: str | bytes) -> BadInput:
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(BadInput) as refusal:
        read_strictly(file, Shape)
    assert refusal.value.item.startswith(str(file))
    assert refusal.value.cause.endswith((".", ".)"))
    assert refusal.value.next_step.endswith(".")
    return refusal.value


def test_a_file_is_read_as_its_shape(tmp_path: Path) -> None:
    """What the shape knows comes back as values."""
    file = tmp_path / "a.yaml"
    file.write_text("name: ü\nparts: [{size: 3}]\n", "utf-8")
    assert read_strictly(file, Shape) == Shape(name="ü", parts=(Inner(size=3),))


@pytest.mark.parametrize(
    ("content", "place", "code", "cause"),
    [
        ("name: a\nnom: b\n", "nom", "bad_entry", "This key is not known."),
        ("name: a\nparts: [{size: 1}, {size: 1, colour: 2}]\n", "parts.1.colour", "bad_entry", "not known"),
        ("parts: []\n", "name", "bad_entry", "This key is missing."),
        ("name: a\nparts: [{size: many}]\n", "parts.0.size", "bad_entry", "valid integer"),
        ("nom: a\n", "name", "bad_entry", "(1 more like it.)"),
        ("name: a\nname: b\n", "line 2, column 1", "bad_yaml", "the key 'name' is given twice"),
        ("name: a\nparts:\n- {size: 1, size: 2}\n", "line 3, column 13", "bad_yaml", "'size' is given twice"),
        ("name: [\n", "line 2, column 1", "bad_yaml", "no valid YAML"),
        ("name: a\n---\nname: b\n", "line 2, column 1", "bad_yaml", "another document"),
    ],
)
def test_an_error_names_file_place_cause_and_next_step(
    tmp_path: Path, content: str, place: str, code: str, cause: str
) -> None:
    """A key that is not known, missing or given twice, and a wrong value, are named with their place."""
    file = tmp_path / "a.yaml"
    error = refusal(file, content)
    assert (error.item, error.code) == (f"{file}: {place}", code)
    assert cause in error.cause


@pytest.mark.parametrize(
    "content",
    [
        "[" * 3_000,
        "{a: " * 3_000,
        "? [a]\n: 1\n",
        "!!map text",
        "!!bool text",
        "name: 2026-13-45",
        "name: !!timestamp text",
        "name: !!int ''",
        "name: " + "1" * 5_000,
        "name: !!python/object/apply:os.getcwd []",
        "name: \x01",
        "<<: [1]",
        b"name: \xff",
        "&a [*a]",
        "- name\n",
        "",
    ],
)
def test_whatever_is_no_such_file_is_a_bad_input(tmp_path: Path, content: str | bytes) -> None:
    """Deep nesting, dates of no calendar, keys that are lists, tags of Python: all one typed error."""
    assert refusal(tmp_path / "a.yaml", content).code in ("bad_yaml", "bad_entry")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.text(st.sampled_from("name: parts{}[]&*!|>?-\n\"'#%<2026.e\t"), max_size=40))
def test_no_text_is_read_in_any_other_way(tmp_path: Path, content: str) -> None:
    """Any text is the shape or a BadInput, never another error."""
    file = tmp_path / "a.yaml"
    file.write_text(content, "utf-8")
    try:
        read: object = read_strictly(file, Shape)
    except BadInput as error:
        read = error
    assert isinstance(read, Shape | BadInput)


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    """A missing file and a folder are named with the cause that the system gives."""
    for file, cause in ((tmp_path / "none.yaml", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(BadInput, match=cause) as refusal:
            read_strictly(file, Shape)
        assert (refusal.value.item, refusal.value.code) == (str(file), "unreadable")


def test_an_error_without_a_place_names_the_file_alone() -> None:
    """No empty place behind the colon."""
    assert refused(Path("a.yaml"), "", "c", "Cause.").item == "a.yaml"
