"""Business rules: what an output must keep to besides being true. They are data with an owner, never prose of a prompt.

A rule is declared: a kind of condition with its parameters, in code or in a YAML file.

    rules:
      - id: priorities
        owner: service-desk
        text: A priority is low, normal, high or urgent.
        severity: stop
        contracts: [classification]
        condition: {kind: allowed_values, field: priority, values: [low, normal, high, urgent]}

`stop` makes the output invalid; `warn` is seen with it. Fields are paths, with * for every item of a list.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ingest.errors import BadInput
from ingest.tags import Classification as DataClass
from ingest.terms import FOREIGN_WORDS, STOP_WORDS
from ingest.terms import words as words_of
from orchestrator.egress.contracts import CONTRACTS, DraftedMessage, GroundedAnswer, OutputContract
from orchestrator.egress.parsing import FieldError

if TYPE_CHECKING:
    from pathlib import Path

Severity = Literal["stop", "warn"]
Finding = tuple[str, str]  # place in the output, and what is wrong there; holds nothing of the output's words


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """What a rule may know besides the output."""

    question: str = ""  # as the asker put it
    classification: DataClass = DataClass.internal  # the highest of what the model was shown
    quotes: tuple[str, ...] = ()  # the stored words that the output cites


class _Condition(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    def findings(self, output: OutputContract, facts: RuleFacts, /) -> Iterator[Finding]:
        """What of `output` is against the rule."""
        raise NotImplementedError

    def paths(self) -> tuple[str, ...]:
        """The fields that it looks at; each must be in every contract that the rule is for."""
        return ()


class AllowedValues(_Condition):
    """A field has one of these values."""

    kind: Literal["allowed_values"] = "allowed_values"
    field: str
    values: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]

    def paths(self) -> tuple[str, ...]:
        """The one field."""
        return (self.field,)

    def findings(self, output: OutputContract, _facts: RuleFacts, /) -> Iterator[Finding]:
        """Values that are not in the list, letter for letter."""
        allowed = ", ".join(self.values)
        yield from (
            (place, f"It must be one of: {allowed}.")
            for place, value in values_at(output, self.field)
            if value not in self.values
        )


class NumberRange(_Condition):
    """A field's number lies within bounds; a text counts by the one number in it."""

    kind: Literal["number_range"] = "number_range"
    field: str
    low: float = Field(allow_inf_nan=False)
    high: float = Field(allow_inf_nan=False)
    name: str | None = None  # of the extracted field, where `field` is the values of an extraction

    @model_validator(mode="after")
    def _ordered(self) -> NumberRange:
        if self.low > self.high:
            raise ValueError("low must not be greater than high")
        return self

    def paths(self) -> tuple[str, ...]:
        """The one field."""
        return (self.field,)

    def findings(self, output: OutputContract, _facts: RuleFacts, /) -> Iterator[Finding]:
        """Numbers out of bounds, and values that are no number."""
        named = dict(values_at(output, "fields.*.name")) if self.name else {}
        for place, value in values_at(output, self.field):
            if self.name and named.get(re.sub(r"value$", "name", place)) != self.name:
                continue
            number = _number(value)
            if number is None or not self.low <= number <= self.high:
                yield place, f"It must be a number from {self.low:g} to {self.high:g}."


class MaxLength(_Condition):
    """A field has at most so many characters."""

    kind: Literal["max_length"] = "max_length"
    field: str
    characters: int = Field(ge=1)

    def paths(self) -> tuple[str, ...]:
        """The one field."""
        return (self.field,)

    def findings(self, output: OutputContract, _facts: RuleFacts, /) -> Iterator[Finding]:
        """Values that are longer."""
        for place, value in values_at(output, self.field):
            if len(str(value)) > self.characters:
                yield place, f"It must have at most {self.characters} characters."


class RequiredDisclaimer(_Condition):
    """A message holds this disclaimer, word for word, when its data or its topic asks for it.

    It is required where `from_classification` is reached, where question or message has one of the `topics`, and
    always where neither is given.
    """

    kind: Literal["required_disclaimer"] = "required_disclaimer"
    disclaimer: str = Field(min_length=1)
    from_classification: Literal["public", "internal", "confidential", "regulated"] | None = None
    topics: Annotated[tuple[str, ...], Field(strict=False)] = ()

    def paths(self) -> tuple[str, ...]:
        """The disclaimers."""
        return ("disclaimers.*",)

    def findings(self, output: OutputContract, facts: RuleFacts, /) -> Iterator[Finding]:
        """The disclaimer, where it is required and is not there."""
        if not isinstance(output, DraftedMessage) or self.disclaimer in output.disclaimers:
            return
        if self._asked_for(f"{facts.question}\n{output.subject}\n{output.body}", facts.classification):
            yield "disclaimers", f'It must hold, word for word: "{self.disclaimer}"'

    def _asked_for(self, text: str, classification: DataClass) -> bool:
        if self.from_classification is None and not self.topics:
            return True
        level = self.from_classification
        return (level is not None and classification >= DataClass[level]) or any(_has(text, t) for t in self.topics)


class ForbiddenPhrases(_Condition):
    """No field has one of these phrases; `unless_cited` allows those that a cited quote has."""

    kind: Literal["forbidden_phrases"] = "forbidden_phrases"
    fields: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    phrases: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    unless_cited: bool = False

    def paths(self) -> tuple[str, ...]:
        """The fields."""
        return self.fields

    def findings(self, output: OutputContract, facts: RuleFacts, /) -> Iterator[Finding]:
        """The phrases that stand there and are not allowed."""
        cited = facts.quotes if self.unless_cited else ()
        barred = [phrase for phrase in self.phrases if not any(_has(quote, phrase) for quote in cited)]
        end = ", since no citation does." if self.unless_cited else "."
        for place, value in (found for path in self.fields for found in values_at(output, path)):
            yield from ((place, f'It must not say "{phrase}"{end}') for phrase in barred if _has(str(value), phrase))


class SameLanguage(_Condition):
    """The fields are in the language of the question, as far as script and frequent words tell."""

    kind: Literal["same_language"] = "same_language"
    fields: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]

    def paths(self) -> tuple[str, ...]:
        """The fields."""
        return self.fields

    def findings(self, output: OutputContract, facts: RuleFacts, /) -> Iterator[Finding]:
        """The first field, where all of them together are in another language."""
        text = " ".join(str(value) for path in self.fields for _, value in values_at(output, path))
        asked, said = language_group(facts.question), language_group(text)
        if asked and said and asked != said:
            yield self.fields[0].split(".")[0], "It must be in the language of the question."


class Coherent(_Condition):
    """An answer says something exactly when it says that there is an answer; fields and claims are named once."""

    kind: Literal["coherent"] = "coherent"

    def findings(self, output: OutputContract, _facts: RuleFacts, /) -> Iterator[Finding]:
        """Where an output contradicts itself."""
        if isinstance(output, GroundedAnswer) and output.answerable and not output.claims:
            yield "claims", "answerable is true and there is no claim: give the claims, or say that it is false."
        for path in ("fields.*.name", "verdicts.*.claim"):
            values = list(values_at(output, path))
            for number, (place, value) in enumerate(values):
                if any(value == other for _, other in values[:number]):
                    yield place, "It is there twice."


Condition = AllowedValues | NumberRange | MaxLength | RequiredDisclaimer | ForbiddenPhrases | SameLanguage | Coherent


class Rule(BaseModel):
    """One business rule."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    id: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,63}$")
    owner: str = Field(min_length=1)  # who answers for it
    text: str = Field(min_length=1)  # in plain words
    severity: Severity
    contracts: Annotated[frozenset[str], Field(strict=False)] = frozenset()  # that it is for; empty: all
    condition: Annotated[Condition, Field(discriminator="kind")]

    @field_validator("contracts")
    @classmethod
    def _known(cls, names: frozenset[str]) -> frozenset[str]:
        if unknown := sorted(names - CONTRACTS.keys()):
            raise ValueError(f"there is no contract {', '.join(unknown)}")
        return names

    @model_validator(mode="after")
    def _fields_exist(self) -> Rule:
        for path in self.condition.paths():
            if lacking := [name for name in sorted(self.contracts or CONTRACTS) if not _in_schema(name, path)]:
                raise ValueError(f"the contract {lacking[0]} has no field {path}")
        return self

    def check(self, contract: str, output: OutputContract, facts: RuleFacts) -> Iterator[FieldError]:
        """What of `output` is against it; nothing where it is for other contracts."""
        if self.contracts and contract not in self.contracts:
            return
        for place, message in self.condition.findings(output, facts):
            yield FieldError(place=place, kind="rule", message=message, rule=self.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """The rules in force."""

    rules: tuple[Rule, ...]
    version: str = field(init=False)  # sha256 of the rules

    def __post_init__(self) -> None:
        ids = [rule.id for rule in self.rules]
        if twice := next((one for one in ids if ids.count(one) > 1), None):
            raise BadInput(twice, "rule_twice", "Two business rules have this id.", "Give each rule an id of its own.")
        told = json.dumps(self.describe(), sort_keys=True)
        object.__setattr__(self, "version", hashlib.sha256(told.encode()).hexdigest())

    def check(
        self, contract: str, output: OutputContract, facts: RuleFacts
    ) -> tuple[list[FieldError], list[FieldError]]:
        """What stops the output, and what is to be seen with it."""
        found: dict[Severity, list[FieldError]] = {"stop": [], "warn": []}
        for rule in self.rules:
            found[rule.severity] += rule.check(contract, output, facts)
        return found["stop"], found["warn"]

    def disclaimers(self) -> frozenset[str]:
        """All texts that a message may hold as disclaimers."""
        conditions = (rule.condition for rule in self.rules)
        return frozenset(one.disclaimer for one in conditions if isinstance(one, RequiredDisclaimer))

    def describe(self) -> list[dict[str, Any]]:
        """Every rule with its owner, severity and parameters, for people."""
        return [
            {
                "id": rule.id,
                "owner": rule.owner,
                "text": rule.text,
                "severity": rule.severity,
                "contracts": sorted(rule.contracts or CONTRACTS),
                "condition": rule.condition.model_dump(mode="json"),
            }
            for rule in self.rules
        ]


# Fields


def values_at(output: BaseModel, path: str) -> Iterator[tuple[str, Any]]:
    """The values at a path of `output` with the place of each; none where it has no such field."""
    yield from _values(output, path.split("."), "")


def _values(node: Any, steps: Sequence[str], place: str) -> Iterator[tuple[str, Any]]:
    if not steps:
        yield place, node
    elif steps[0] == "*" and isinstance(node, tuple):
        for number, item in enumerate(node):
            yield from _values(item, steps[1:], f"{place}.{number}")
    elif isinstance(node, BaseModel) and steps[0] in type(node).model_fields:
        yield from _values(getattr(node, steps[0]), steps[1:], f"{place}.{steps[0]}".lstrip("."))


def _in_schema(contract: str, path: str) -> bool:
    node: Mapping[str, Any] = CONTRACTS[contract].schema
    for step in path.split("."):
        if step == "*" and node["type"] == "array":
            node = node["items"]
        elif step in node.get("properties", {}):
            node = node["properties"][step]
        else:
            return False
    return node["type"] not in ("array", "object")


def _number(value: Any) -> float | None:
    """The number that a value is, or the one number in a text."""
    from orchestrator.support.values import read_values

    if isinstance(value, int | float):
        return float(value)
    found = [quantity for quantity in read_values(str(value)).quantities if not quantity.word]
    if len(found) != 1 or len(found[0].values) != 1:
        return None
    return next(iter(found[0].values)) / found[0].unit.factor


def _has(text: str, phrase: str) -> bool:
    """Whether `text` has the words of `phrase` one after the other, in any letter case."""
    return f" {' '.join(words_of(phrase))} " in f" {' '.join(words_of(text))} "


# Languages

_SCRIPTS: Final[tuple[tuple[str, re.Pattern[str]], ...]] = tuple(
    (name, re.compile(f"[{letters}]"))
    for name, letters in (
        ("cyrillic", "\u0400-\u052f"),
        ("greek", "\u0370-\u03ff\u1f00-\u1fff"),
        ("arabic", "\u0600-\u06ff\u0750-\u077f"),
        ("hebrew", "\u0590-\u05ff"),
        ("devanagari", "\u0900-\u097f"),
        ("thai", "\u0e00-\u0e7f"),
        ("hangul", "\u1100-\u11ff\uac00-\ud7af"),
        ("kana", "\u3040-\u30ff"),
        ("han", "\u3400-\u9fff"),
    )
)
_LATIN: Final = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")


def language_group(text: str) -> str | None:
    """The script of most letters of `text`; for Latin letters "english" or "not_english" where frequent words tell.

    None where it cannot be told: too short, or evenly mixed. Japanese counts as kana, whatever Han it has.
    """
    text = text[:5_000]
    latin = len(_LATIN.findall(text))
    counts = {} if text.isascii() else {name: len(script.findall(text)) for name, script in _SCRIPTS}
    if counts.get("kana", 0) > 0.1 * sum(counts.values()):
        return "kana"
    most = max(counts, key=counts.__getitem__, default="")
    if most and counts[most] > latin:
        return most
    words = words_of(text) if latin > 2 * sum(counts.values()) else []
    english, foreign = sum(w in STOP_WORDS for w in words), sum(w in FOREIGN_WORDS for w in words)
    if max(english, foreign) < 2 or max(english, foreign) < 2 * min(english, foreign):
        return None
    return "english" if english > foreign else "not_english"


# The rules that hold without a file

_TEXTS: Final[Mapping[str, tuple[str, ...]]] = {
    "grounded_answer": ("claims.*.text",),
    "summary": ("points.*.text",),
    "drafted_message": ("body",),
}
_COMMITMENTS: Final = (
    "we guarantee",
    "I guarantee",
    "guaranteed refund",
    "refund approved",
    "refund is approved",
    "refund has been approved",
    "we will refund",
    "we promise",
    "I promise",
    "you are entitled to",
    "legally binding",
    "we accept liability",
    "we admit",
    "wir garantieren",
    "wir versprechen",
)


def _standard() -> Iterator[Rule]:
    yield Rule(
        id="coherent",
        owner="groundwire",
        text="An answer has claims exactly when it says that there is one; no field or claim is named twice.",
        severity="stop",
        condition=Coherent(),
    )
    yield Rule(
        id="priorities",
        owner="support-knowledge",
        text="A priority is low, normal, high or urgent.",
        severity="stop",
        contracts=frozenset({"classification"}),
        condition=AllowedValues(field="priority", values=("low", "normal", "high", "urgent")),
    )
    yield Rule(
        id="no-commitments",
        owner="support-knowledge",
        text="A message promises, guarantees, approves and admits nothing that no cited document says.",
        severity="stop",
        contracts=frozenset({"drafted_message"}),
        condition=ForbiddenPhrases(fields=("subject", "body"), phrases=_COMMITMENTS, unless_cited=True),
    )
    yield Rule(
        id="message-length",
        owner="support-knowledge",
        text="A message has at most 5,000 characters.",
        severity="stop",
        contracts=frozenset({"drafted_message"}),
        condition=MaxLength(field="body", characters=5_000),
    )
    for contract, fields in _TEXTS.items():
        yield Rule(
            id=f"language-{contract.replace('_', '-')}",
            owner="support-knowledge",
            text="The text is in the language of the question, as far as script and frequent words tell.",
            severity="warn",
            contracts=frozenset({contract}),
            condition=SameLanguage(fields=fields),
        )


RULES: Final = RuleSet(rules=tuple(_standard()))


# Files


def load_rules(path: Path, standard: RuleSet | None = RULES) -> RuleSet:
    """The rules of a YAML file after the standard ones; one with the id of a standard rule takes its place.

    Raises BadInput for whatever is not as the module's docstring has it, with the file and the place in it.
    """
    from orchestrator.yaml_files import read_strictly

    rules = read_strictly(path, _File).rules
    own = {rule.id for rule in rules}
    kept = tuple(rule for rule in standard.rules if rule.id not in own) if standard else ()
    return RuleSet(rules=(*kept, *rules))


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    rules: Annotated[tuple[Rule, ...], Field(strict=False)]
