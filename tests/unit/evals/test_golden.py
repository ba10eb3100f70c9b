"""Golden sets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from evals.golden import read_golden
from ingest.errors import BadInput
from ingest.tags import Classification
from retrieval.access import Principal


def write(path: Path, *cases: object) -> Path:
    path.write_text("".join(json.dumps(case) + "\n" for case in cases), "utf-8")
    return path


def test_a_case_may_name_its_principal(tmp_path: Path) -> None:
    """Groups, roles, clearance and regions of `as_principal` reach the principal; what it leaves out grants nothing."""
    asker = {"subject": "mads", "groups": ["hr"], "clearance": "confidential", "regions": ["de"]}
    given = write(tmp_path / "set.jsonl", {"id": 1, "question": "?", "answerable": True, "as_principal": asker})
    assert read_golden(given)[0].principal == Principal(
        subject="mads",
        groups=frozenset({"hr"}),
        clearance=Classification.confidential,
        regions=frozenset({"de"}),
    )


def test_a_case_without_principal_leaves_it_to_whoever_runs_the_set(tmp_path: Path) -> None:
    """No `as_principal`, no principal: the asker of the command is used."""
    given = write(tmp_path / "set.jsonl", {"id": "a", "question": "?", "answerable": True, "as_principal": None})
    assert read_golden(given)[0].principal is None


def test_a_reference_is_one_text_or_several_and_other_fields_are_ignored(tmp_path: Path) -> None:
    """`reference` may be a string, a list or missing; a field that the set has for itself does no harm."""
    case = {"question": "?", "answerable": True, "cause": "why"}
    given = write(
        tmp_path / "set.jsonl",
        case | {"id": "a", "reference": "x"},
        case | {"id": "b", "reference": ["x", "y"]},
        case | {"id": "c", "reference": None},
    )
    assert [c.reference for c in read_golden(given)] == [("x",), ("x", "y"), ()]


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ({"question": "?", "answerable": True}, "bad_case"),
        ({"id": "a", "question": "?"}, "bad_case"),
        ({"id": "a", "question": "?", "answerable": "perhaps"}, "bad_case"),
        ({"id": "a", "question": "?", "answerable": True, "as_principal": {"groups": ["hr"]}}, "bad_case"),
        ({"id": "a", "question": "?", "answerable": True, "as_principal": {"subject": "x", "group": "y"}}, "bad_case"),
        (
            {"id": "a", "question": "?", "answerable": True, "as_principal": {"subject": "x", "clearance": "top"}},
            "bad_case",
        ),
        ("text", "not_json"),
    ],
)
def test_a_case_that_cannot_be_used_is_refused_at_its_line(tmp_path: Path, case: object, code: str) -> None:
    """A broken case, or one whose principal is misspelt, stops the run before it begins, naming file and line."""
    good = {"id": "good", "question": "?", "answerable": True}
    with pytest.raises(BadInput) as refused:
        read_golden(write(tmp_path / "set.jsonl", good, case))
    assert refused.value.code == code
    assert refused.value.item.endswith("set.jsonl:2")


def test_an_id_names_one_case_and_a_set_has_one(tmp_path: Path) -> None:
    """A second case of the same id is refused, and so is a set without any."""
    case = {"id": "a", "question": "?", "answerable": True}
    for cases, code in ([case, case], "duplicate_id"), ([], "no_cases"):
        with pytest.raises(BadInput) as refused:
            read_golden(write(tmp_path / "set.jsonl", *cases))
        assert refused.value.code == code
