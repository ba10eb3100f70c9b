"""From what a model wrote to a value of its contract, or to what is wrong with it. Nothing is ever put right.

White space around the text and one code fence are taken off, since they carry nothing. Whatever else is not the
contract is an error that a model can correct: it names a place, and holds no word of what was written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from pydantic import ValidationError

from orchestrator.egress.contracts import Contract, OutputContract

InvalidKind = Literal["malformed", "schema", "rule", "placeholder", "safety", "uncited", "quote", "unsupported"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """One thing that is wrong with an output, for the repair turn and for the record."""

    place: str  # path in the output, as claims.0.quotes.1; empty for the whole
    kind: InvalidKind
    message: str  # what is wrong, for a model to correct; holds nothing of the stored texts
    rule: str | None = None  # id of the business rule or filter that failed


@dataclass(frozen=True, slots=True, kw_only=True)
class ParseLimits:
    """How much is read."""

    max_characters: int = 100_000  # several times what the most output tokens of a prompt come to
    max_statements: int = 100
    max_quotes: int = 20  # of one statement
    max_errors: int = 20  # that are told


_FENCE: Final = re.compile(r"```(?:json)?[ \t]*\r?\n(?P<inside>.*)\n[ \t]*```", re.DOTALL | re.IGNORECASE)
# What pydantic says of a type of error, where that is no whole sentence or would repeat what was written.
_MESSAGES: Final = {
    "missing": "This field is missing.",
    "extra_forbidden": "This object has a field that the contract does not know.",
    "string_pattern_mismatch": "This must be a short label of letters, digits, spaces and hyphens.",
    "string_too_short": "This must not be empty.",
}


class _NotStrict(ValueError):
    """JSON that readers may understand differently."""


def parse(text: str, contract: Contract, limits: ParseLimits | None = None) -> OutputContract | tuple[FieldError, ...]:
    """The output that `text` spells, or what is wrong with it. Never raises, whatever the text."""
    limits = limits or ParseLimits()
    if len(text) > limits.max_characters:
        return (_malformed(f"The output is longer than {limits.max_characters} characters."),)
    text = text.strip()
    if fenced := _FENCE.fullmatch(text):
        text = fenced["inside"]
    if (problem := _not_json(text)) is not None:
        return (_malformed(problem),)
    try:
        output = contract.model.model_validate_json(text, strict=True)
    except ValidationError as error:
        return tuple(_field_error(one) for one in error.errors()[: limits.max_errors])
    return tuple(_excess(output, limits)) or output


def _malformed(message: str) -> FieldError:
    return FieldError(place="", kind="malformed", message=message)


def _not_json(text: str) -> str | None:
    """Why `text` is no strict JSON: RFC 8259 leaves open what keys that stand twice mean, and has no NaN."""
    try:
        json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except _NotStrict as error:
        return str(error)
    except json.JSONDecodeError as error:
        return f"The output is not JSON: line {error.lineno}, column {error.colno}. Write one JSON object alone."
    except (ValueError, RecursionError):
        return "The output has a number that is too long, or is nested too deeply."
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _NotStrict("An object has the same key twice.")
    return found


def _no_constant(_: str) -> NoReturn:
    raise _NotStrict("NaN and Infinity are no JSON.")


def _field_error(error: Any) -> FieldError:
    """`error` as pydantic tells it, without the input and without names of fields that the model made up."""
    kind = str(error["type"])
    path = error["loc"][:-1] if kind == "extra_forbidden" else error["loc"]
    message = _MESSAGES.get(kind) or (
        "The output holds characters that are no text." if kind.startswith("json") else f"{error['msg']}."
    )
    return FieldError(place=".".join(map(str, path)), kind="schema", message=message)


def _excess(output: OutputContract, limits: ParseLimits) -> Iterable[FieldError]:
    statements = list(output.statements())
    if len(statements) > limits.max_statements:
        message = f"There are more than {limits.max_statements} statements."
        yield FieldError(place="", kind="schema", message=message)
    for statement in statements[: limits.max_statements]:
        if statement.check != "frame" and len(statement.quotes) > limits.max_quotes:
            message = f"There are more than {limits.max_quotes} quotes for it."
            yield FieldError(place=statement.place, kind="schema", message=message)
            break
