"""Whether a prompt would run: everything that would fail in a run fails here, with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ingest.errors import BadInput
from orchestrator.prompts.definition import HEADER, SLOTS, Problem, Prompt, SchemaCheck, Variable
from orchestrator.prompts.rendering import PromptLimits
from orchestrator.prompts.templates import Kind, Mistake, Reading, fill, read_template

_STEPS: Mapping[str, str] = {
    "template_syntax": "Correct the template.",
    "template_forbidden": "Say it in plain words, or give the value as a variable.",
    "undeclared_variable": "Declare it under `variables` in prompt.yaml, or take it out.",
    "wrong_type": "Correct the type in prompt.yaml, or how the template uses it.",
}


def problems(
    prompt: Prompt, *, schema_check: SchemaCheck | None = None, limits: PromptLimits | None = None
) -> tuple[Problem, ...]:
    """All that is wrong with a prompt, in the order of its files; empty when it would run.

    `schema_check` says what the providers of the home cannot take of the contract's JSON schema.
    """
    limits = limits or PromptLimits()
    found = [*_of_templates(prompt, limits)]
    for reason in schema_check(prompt.schema) if schema_check else ():
        place = f"{HEADER}: contract {prompt.contract}"
        step = "Change the contract, or the routes that may serve it."
        found.append(Problem(place=place, code="schema_not_taken", reason=reason, next_step=step))
    return tuple(found) or tuple(_of_a_trial(prompt, limits))


def refuse_bad(prompt: Prompt, *, schema_check: SchemaCheck | None = None, limits: PromptLimits | None = None) -> None:
    """Raise BadPrompt for the first problem."""
    for problem in problems(prompt, schema_check=schema_check, limits=limits):
        raise problem.error(prompt.label)


def _of_templates(prompt: Prompt, limits: PromptLimits) -> Iterator[Problem]:
    used: set[str] = set()
    for file in sorted(prompt.files.keys() - {HEADER}):
        turn = file.split(".")[0]
        reading = read_template(prompt.files[file], _kinds(prompt, turn), limits)
        used |= reading.used.keys()
        yield from (_of_mistake(file, mistake) for mistake in reading.mistakes)
        if turn == "user" and not reading.mistakes:
            yield from _of_slots(file, reading)
    for variable in prompt.variables:
        if variable.name not in used:
            reason = f"The variable {variable.name} is declared, and no template uses it."
            yield Problem(place=HEADER, code="unused_variable", reason=reason, next_step="Use it, or take it out.")


def _kinds(prompt: Prompt, turn: str) -> dict[str, Kind]:
    """What a turn's template may name. The system turn knows of the words of others only to refuse them."""
    kinds: dict[str, Kind] = {variable.name: _kind(variable, turn) for variable in prompt.variables}
    return kinds | dict.fromkeys(SLOTS, "slot" if turn == "user" else "foreign")


def _kind(variable: Variable, turn: str) -> Kind:
    return "foreign" if variable.untrusted and turn == "system" else variable.type


def _of_mistake(file: str, mistake: Mistake) -> Problem:
    place = f"{file}:{mistake.line}"
    return Problem(place=place, code=mistake.code, reason=mistake.reason, next_step=_STEPS[mistake.code])


def _of_slots(file: str, reading: Reading) -> Iterator[Problem]:
    """Evidence stands in the user turn once: twice would cost twice, and without it nothing could be cited."""
    if reading.used.get("evidence") != 1:
        reason = "The user turn must hold {{ evidence }} once."
        yield Problem(place=file, code="no_evidence", reason=reason, next_step="Put it where the documents belong.")


def _of_a_trial(prompt: Prompt, limits: PromptLimits) -> Iterator[Problem]:
    """Every template is filled in, with every flag set and with none."""
    for flags in (True, False):
        values = {variable.name: _example(variable, flags=flags) for variable in prompt.variables}
        values |= dict.fromkeys(SLOTS, "x")
        for file in sorted(prompt.files.keys() - {HEADER}):
            try:
                text = fill(prompt.files[file], values, limits.max_rendered_characters)
            except BadInput as error:
                yield Problem(place=file, code=error.code, reason=error.cause, next_step=error.next_step)
                continue
            if not text.strip():
                yield Problem(place=file, code="empty", reason="The turn is empty.", next_step="Write it.")


def _example(variable: Variable, *, flags: bool) -> object:
    examples = {"text": "text", "number": 1, "list": ("one", "two"), "flag": flags}
    return examples[variable.type] if variable.required or variable.type == "flag" else variable.default
