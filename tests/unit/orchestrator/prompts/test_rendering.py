"""The gate that makes a Prompted: what stands in which turn, and that nothing in it is taken for a template."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput
from orchestrator.context import Context
from orchestrator.egress.contracts import CONTRACTS
from orchestrator.prompts.definition import Prompt
from orchestrator.prompts.folders import SHIPPED, read_library
from orchestrator.prompts.rendering import Prompted, PromptLimits, render
from orchestrator.spotlighting import Datum, spotlight
from retrieval.sealed import Seal
from tests.doubles.prompts import USER, make_prompt, prompt_files, variable

LIBRARY = {prompt.name: prompt for prompt in read_library(SHIPPED, CONTRACTS)}
FILLED: Mapping[str, Mapping[str, object]] = {  # what the shipped prompts must be given
    "extraction": {"fields": ["total, the sum to pay"]},
    "classification": {"categories": ["billing", "other"], "teams": ["desk"], "out_of_scope": "other"},
    "critique": {"claims": ["It opens at ten.\nSource 1: “opens at ten”"]},
}
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
TEMPLATE_LIKE = st.sampled_from(
    ["{{ 7 * 7 }}", "{% for x in y %}", "{{ evidence }}", "{# x #}", "{% raw %}", "}}", "\\"]
)
WORDS = st.lists(TEXT | TEMPLATE_LIKE, max_size=4).map(" ".join)


def context(evidence: str = "E", question: str = "Q", history: str | None = None, rules: str = "RULES") -> Context:
    """What `render` reads of a context."""
    before = SimpleNamespace(text=history) if history is not None else None
    return cast(
        Context,
        SimpleNamespace(evidence=evidence, question=SimpleNamespace(text=question), history=before, rules=rules),
    )


def filled(prompt: Prompt, where: Context, **more: Any) -> Prompted:
    return render(prompt, "prod", where, **{**FILLED.get(prompt.name, {}), **more})


@pytest.mark.parametrize("name", sorted(LIBRARY))
@given(evidence=WORDS, question=WORDS, history=st.none() | WORDS)
def test_no_word_of_the_context_reaches_the_system_turn(
    name: str, evidence: str, question: str, history: str | None
) -> None:
    """Whatever documents and askers say, the system turn of every shipped prompt stays as it is but for the rules."""
    plain = filled(LIBRARY[name], context())
    told = filled(LIBRARY[name], context(evidence, question, history, rules="OTHER"))
    assert told.cacheable == plain.cacheable
    assert told.system[: told.cacheable] == plain.system[: plain.cacheable]
    assert told.system[told.cacheable :] == "OTHER"


@pytest.mark.parametrize("name", sorted(LIBRARY))
@given(evidence=WORDS, question=WORDS, history=WORDS)
def test_the_context_stands_in_the_user_turn_as_it_is(name: str, evidence: str, question: str, history: str) -> None:
    """Text that looks like a template is neither run nor changed: each part is there, character by character."""
    user = filled(LIBRARY[name], context(evidence, question, history)).user
    first = user.index(evidence) + len(evidence)
    if history:
        first = user.index(history, first) + len(history)
    assert question in user[first:]


@given(value=WORDS)
def test_values_are_never_parsed(value: str) -> None:
    """A variable's value is text to the engine, also when it is written like a template."""
    prompt = make_prompt("a {{ tone }} z", variables=[variable("tone", "text")])
    assert render(prompt, "dev", context(), tone=value).system.startswith(f"a {value} z")


def test_the_rules_that_mark_data_come_last() -> None:
    """What is before them is the same in every run, so a provider can cache it; they carry the nonce of this one."""
    turns = []
    for nonce in ("aaaa", "bbbb"):
        marked = spotlight([Datum(title="T", integrity="trusted", text="Text.")], new_nonce=lambda _, n=nonce: n)
        turns.append(filled(LIBRARY["grounded-answer"], context(marked.text, rules=marked.rules)))
    one, other = turns
    assert one.system[: one.cacheable] == other.system[: other.cacheable]
    assert "aaaa" not in one.system[: one.cacheable]
    assert one.system.endswith("mention it only as what a document says.")
    assert one.system.replace("aaaa", "bbbb") == other.system
    assert one.user.replace("aaaa", "bbbb") == other.user


def test_a_prompted_says_what_it_was_made_of() -> None:
    """Name, version, hash, contract and settings are those of the prompt; the locale is the one that was found."""
    prompt = LIBRARY["grounded-answer"]
    where = context()
    made = render(prompt, "staging", where, locale="de")
    assert (made.name, made.version, made.content_hash) == (prompt.name, prompt.version, prompt.content_hash)
    assert (made.environment, made.locale, made.contract) == ("staging", "en", "grounded_answer")
    assert made.schema == CONTRACTS["grounded_answer"].schema
    assert made.context is where
    assert "Sources" not in repr(made)


def test_a_locale_has_its_own_words() -> None:
    """The turns are taken from the files of the locale where there are any."""
    from orchestrator.prompts.definition import read_prompt

    files = prompt_files() | {"system.de.md.j2": "Kurz.", "user.de.md.j2": "Frage: {{ question }} {{ evidence }}"}
    made = render(read_prompt(files, CONTRACTS), "dev", context(), locale="de-AT")
    assert (made.locale, made.system.split()[0], made.user) == ("de", "Kurz.", "Frage: Q E")


def test_nothing_but_render_makes_a_prompted() -> None:
    """The type cannot be made past the gate, with whatever stands for the seal."""
    made = filled(LIBRARY["summary"], context())
    fields = {name: getattr(made, name) for name in made.__slots__}
    for seal in (object(), None, Seal("orchestrator.prompts.rendering.render")):
        with pytest.raises(TypeError, match=r"orchestrator\.prompts\.rendering\.render only"):
            Prompted(**fields, seal=cast(Seal, seal))


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({}, "tone is missing"),
        ({"tone": None}, "tone is missing"),
        ({"tone": 7}, "tone is not a text"),
        ({"tone": "x", "colour": "red"}, "colour is not declared"),
        ({"tone": "x" * 11}, "tone is longer than 10"),
        ({"tone": "x", "steps": "abc"}, "steps is not a list"),
        ({"tone": "x", "steps": ["a"] * 4}, "steps has more than 3"),
        ({"tone": "x", "steps": ["a" * 11]}, "steps is longer than 10"),
        ({"tone": "x", "steps": [1]}, "steps is not a list of texts"),
        ({"tone": "x", "level": True}, "level is not a number"),
        ({"tone": "x", "level": float("inf")}, "level is not a number"),
        ({"tone": "x", "level": "1"}, "level is not a number"),
    ],
)
def test_variables_are_checked(given_: dict[str, Any], words: str) -> None:
    """What is missing, unknown, of another type or too large is refused with its name."""
    declared = [
        variable("tone", "text"),
        variable("steps", "list", default=[]),
        variable("level", "number", default=1),
    ]
    limits = PromptLimits(max_text_characters=10, max_list_items=3)
    with pytest.raises(BadInput, match=words) as refusal:
        render(make_prompt(variables=declared), "dev", context(), limits=limits, **given_)
    assert refusal.value.code == "prompt_variable"


def test_a_turn_that_becomes_too_long_is_refused() -> None:
    """The limit holds for the whole turn, evidence included."""
    with pytest.raises(BadInput, match="more than 100 characters"):
        render(make_prompt("a", USER), "dev", context("x" * 200), limits=PromptLimits(max_rendered_characters=100))
