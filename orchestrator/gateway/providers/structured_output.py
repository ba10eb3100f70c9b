"""JSON schemas as providers take them: the part of JSON Schema that both wires can enforce while a model writes.

Anthropic (`output_config.format`) and OpenAI-compatible servers (`response_format`, strict) compile a schema into a
grammar. Both want closed objects; neither knows ranges or lengths. What cannot be enforced is written into the
description, so that the model reads it, and egress checks it. What would lose its meaning is a problem, to be found at
start-up or at promotion.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Schema = Mapping[str, Any]

_TYPES: Final = frozenset({"object", "array", "string", "integer", "number", "boolean", "null"})
# Formats that the `anthropic` SDK (2.11, lib/_parse/_transform.py) leaves in a schema; others become a hint.
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"}
)
_HINTS: Final = (
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "pattern",
    "minItems",
    "maxItems",
    "uniqueItems",
    "format",
)
_REFUSED: Final = (
    "allOf",
    "not",
    "if",
    "then",
    "else",
    "dependentSchemas",
    "dependentRequired",
    "patternProperties",
    "propertyNames",
    "prefixItems",
    "contains",
    "unevaluatedProperties",
)
_REF: Final = "#/$defs/"


def portable_schema(schema: Schema) -> dict[str, Any]:
    """`schema` as providers take it: closed objects with every property required, hints in descriptions.

    What fits the result and the hints fits `schema`. Meant for schemas that `check_schema` finds no problem with.
    """
    portable: dict[str, Any] = {}
    if "$defs" in schema:
        portable["$defs"] = {name: portable_schema(part) for name, part in schema["$defs"].items()}
    if "$ref" in schema:
        return {**portable, "$ref": schema["$ref"]}
    for key in ("enum", "const"):
        if key in schema:
            portable[key] = schema[key]
    choices = schema.get("anyOf") or schema.get("oneOf")
    if choices:
        portable["anyOf"] = [portable_schema(choice) for choice in choices]
    elif "type" in schema:
        portable["type"] = schema["type"]
    if schema.get("type") == "object":
        properties = schema.get("properties", {})
        portable["properties"] = {name: portable_schema(part) for name, part in properties.items()}
        portable["required"] = list(properties)
        portable["additionalProperties"] = False
    if "items" in schema:
        portable["items"] = portable_schema(schema["items"])
    if schema.get("minItems") in (0, 1):  # all that Anthropic enforces
        portable["minItems"] = schema["minItems"]
    if schema.get("format") in _FORMATS:
        portable["format"] = schema["format"]
    description = _description(schema, portable)
    return {**portable, "description": description} if description else portable


def _description(schema: Schema, portable: Schema) -> str:
    hints = [f"{key}: {schema[key]}" for key in _HINTS if key in schema and key not in portable]
    return " ".join(filter(None, (schema.get("description", ""), f"({', '.join(hints)})" if hints else "")))


def check_schema(schema: Schema) -> list[str]:
    """What keeps providers from taking `schema`, each as "place: reason"; empty when they can take it.

    Pure: to be called for every output contract at start-up and when a prompt is promoted.
    """
    if schema.get("type") != "object":
        return ["the schema: the answer must be an object."]
    return [
        f"{place or 'the schema'}: {reason}" for place, reason in _problems(schema, schema.get("$defs", {}), "", ())
    ]


def _problems(part: object, defs: Schema, place: str, within: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(place, reason) of what is wrong in `part`; `within` holds the names of the definitions around it."""
    if not isinstance(part, Mapping):
        yield place, "it accepts anything; give it a type."
        return
    for key in _REFUSED:
        if key in part:
            yield place, f"providers do not know `{key}`."
    if "$ref" in part:
        yield from _reference_problems(part["$ref"], defs, place, within)
        return
    choices = part.get("anyOf") or part.get("oneOf")
    if choices:
        for number, choice in enumerate(choices):
            yield from _problems(choice, defs, f"{place}.anyOf.{number}".lstrip("."), within)
    elif "enum" in part or "const" in part:
        yield from _literal_problems(part, place)
    else:
        yield from _type_problems(part, defs, place, within)


def _reference_problems(ref: object, defs: Schema, place: str, within: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    name = ref.removeprefix(_REF) if isinstance(ref, str) and ref.startswith(_REF) else None
    if name is None or name not in defs:
        yield place, "it refers to a definition that the schema does not hold."
    elif name in within:
        yield place, f"`{name}` holds itself; providers take no recursion."
    else:
        yield from _problems(defs[name], defs, place, (*within, name))


def _literal_problems(part: Schema, place: str) -> Iterator[tuple[str, str]]:
    values = part.get("enum", [part.get("const")])
    if not isinstance(values, Sequence) or not values:
        yield place, "the list of allowed values is empty."
    elif not all(value is None or isinstance(value, str | int | float | bool) for value in values):
        yield place, "allowed values must be strings, numbers, booleans or null."


def _type_problems(part: Schema, defs: Schema, place: str, within: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    kind = part.get("type")
    if kind is None:
        yield place, "it accepts anything; give it a type."
    elif not isinstance(kind, str) or kind not in _TYPES:
        yield place, "its type must be one word; use anyOf for several."
    elif kind == "object":
        yield from _object_problems(part, defs, place, within)
    elif kind == "array" and "items" not in part:
        yield place, "it does not say what its items are."
    elif kind == "array":
        yield from _problems(part["items"], defs, f"{place}.items".lstrip("."), within)


def _object_problems(part: Schema, defs: Schema, place: str, within: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if part.get("additionalProperties", False) is not False or not part.get("properties"):
        yield place, "an object with free keys comes back empty; use a list of objects with key and value."
    for name, inner in part.get("properties", {}).items():
        yield from _problems(inner, defs, f"{place}.{name}".lstrip("."), within)
