"""What would fail in a run fails before, with its place."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.egress.contracts import CONTRACTS
from orchestrator.prompts.checking import problems, refuse_bad
from orchestrator.prompts.definition import BadPrompt, read_prompt
from orchestrator.prompts.rendering import PromptLimits
from tests.doubles.prompts import USER, make_prompt, prompt_files, variable


def found(*texts: str, **changes: Any) -> list[tuple[str, str]]:
    return [(one.place, one.code) for one in problems(make_prompt(*texts, **changes))]


def test_a_good_prompt_has_no_problem() -> None:
    """A prompt that uses what it declares passes."""
    declared = [variable("tone", "text"), variable("steps", "list", default=[]), variable("formal", "flag")]
    text = "{% if formal %}Be {{ tone }}.{% endif %} {% for one in steps %}{{ one }}{% endfor %} Answer."
    assert found(text, variables=declared) == []


@pytest.mark.parametrize(
    ("system", "user", "changes", "expected"),
    [
        ("a\n{{ tone }}", USER, {}, ("system.md.j2:2", "undeclared_variable")),
        ("a", USER, {"variables": [variable("tone", "text")]}, ("prompt.yaml", "unused_variable")),
        ("{{ tone }}", USER, {"variables": [variable("tone", "list")]}, ("system.md.j2:1", "wrong_type")),
        ("{{ evidence }}", USER, {}, ("system.md.j2:1", "template_forbidden")),
        ("{{ question }}", USER, {}, ("system.md.j2:1", "template_forbidden")),
        ("{{ history }}", USER, {}, ("system.md.j2:1", "template_forbidden")),
        ("{{ w }}", USER, {"variables": [variable("w", "text", untrusted=True)]},
         ("system.md.j2:1", "template_forbidden")),
        ("a", "{{ question }}", {}, ("user.md.j2", "no_evidence")),
        ("a", USER + "{{ evidence }}", {}, ("user.md.j2", "no_evidence")),
        ("a", USER + "{% include 'x' %}", {}, ("user.md.j2:4", "template_forbidden")),
        (" \n", USER, {}, ("system.md.j2", "empty")),
        ("{% if f %}x{% endif %}", USER, {"variables": [variable("f", "flag")]}, ("system.md.j2", "empty")),
    ],
)  # fmt: skip
def test_problems_have_a_place(system: str, user: str, changes: Any, expected: tuple[str, str]) -> None:
    """Each kind of problem is named with file and line; so is a word of others that would reach the system turn."""
    assert expected in found(system, user, **changes)


def test_words_of_others_may_stand_in_the_user_turn() -> None:
    """What is marked as untrusted is refused in the system turn alone."""
    declared = [variable("claims", "list", untrusted=True)]
    assert found("Check.", USER + "{% for c in claims %}{{ c }}{% endfor %}", variables=declared) == []


def test_every_locale_is_checked() -> None:
    """A mistake in a translation counts as one in the original."""
    prompt = read_prompt(prompt_files() | {"user.de.md.j2": "{{ evidence }}{{ frage }}"}, CONTRACTS)
    assert [(one.place, one.code) for one in problems(prompt)] == [("user.de.md.j2:1", "undeclared_variable")]


def test_a_schema_that_no_provider_takes_is_a_problem() -> None:
    """What the providers say of the contract's schema is told, with the contract."""
    seen = []

    def refuse(schema: Any) -> list[str]:
        seen.append(schema)
        return ["It has no root."]

    (problem,) = problems(make_prompt(), schema_check=refuse)
    assert (problem.place, problem.reason) == ("prompt.yaml: contract summary", "It has no root.")
    assert seen == [CONTRACTS["summary"].schema]


def test_a_default_that_makes_the_turn_too_long_is_a_problem() -> None:
    """A trial finds what only shows when the prompt is filled in."""
    prompt = make_prompt("{{ tone }}", variables=[variable("tone", "text", default="x" * 50)])
    (first, _) = problems(prompt, limits=PromptLimits(max_rendered_characters=40))
    assert (first.place, first.code) == ("system.md.j2", "prompt_too_long")


def test_the_first_problem_is_the_refusal() -> None:
    """The error names prompt, file and line."""
    with pytest.raises(BadPrompt) as refusal:
        refuse_bad(make_prompt("{{ tone }}"))
    assert refusal.value.item == "greet/1.0.0/system.md.j2:1"
