"""Output contracts: what a model must give back for each kind of task. Fields are flat and required, as providers want.

Descriptions are read by models. The schema that goes to a provider holds structure alone, since providers differ in
which bounds they take; what they cannot enforce (ranges, forms of labels) pydantic checks at egress.

Each contract says which of its words are statements that something must carry, and how it looks with these alone:
what is in no statement does not leave.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema

from retrieval.sentences import sentence_spans

Check = Literal[
    "said",  # a statement: its quotes must carry it
    "value",  # a value: it stands in one of its quotes, perhaps written otherwise
    "sentence",  # of a message: a statement, unless it is a mere greeting or the like
    "frame",  # a title: it says nothing that the quotes and the names of their documents do not hold
]

# A name, not prose: what no quote carries must have no room for a message, a link or a placeholder.
LABEL: Final = r"^[^\W_][\w &+/-]{0,47}$"


class OutputContract(BaseModel):
    """Base of all contracts."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    droppable: ClassVar[bool] = False  # whether it still holds when statements that fail are left out

    def statements(self) -> Iterator[Statement]:
        """All that must be carried before it may leave."""
        raise NotImplementedError

    def keeping(self, kept: Mapping[str, Kept], /) -> OutputContract:
        """The same with nothing but the statements that are kept, by their place, in the words that they have there."""
        raise NotImplementedError


class SourceQuote(BaseModel):
    """Words of a source, copied as they stand there."""

    model_config = OutputContract.model_config
    source: int = Field(ge=1, description="Number of the source that is quoted.")
    quote: str = Field(min_length=1, description="Words copied exactly from that source, one sentence or less.")
    start: SkipJsonSchema[int | None] = None  # offset in the stored text, from models within this process


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """Words of an output that something must carry."""

    place: str  # path in the output
    text: str
    quotes: tuple[SourceQuote, ...]
    check: Check = "said"
    label: str = ""  # stands before it where it is shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What is left of a statement: with the values that stood behind placeholders, and with the stored words."""

    text: str
    quotes: tuple[SourceQuote, ...]


# No bound on the number of quotes is enforced here: a statement without is told apart at egress, so that others stand.
Quotes = Annotated[tuple[SourceQuote, ...], Field(json_schema_extra={"minItems": 1})]
Share = Annotated[float, Field(ge=0, le=1, description="How sure you are, from 0 to 1.")]
Label = Annotated[str, Field(pattern=LABEL)]


class GroundedClaim(BaseModel):
    """One statement with what carries it."""

    model_config = OutputContract.model_config
    text: str = Field(min_length=1, description="One statement, complete in itself.")
    quotes: Quotes = Field(description="The quotes that carry the statement, at least one.")


class GroundedAnswer(OutputContract):
    """An answer from the sources alone."""

    droppable: ClassVar[bool] = True
    answerable: bool = Field(description="Whether the sources hold the answer.")
    claims: tuple[GroundedClaim, ...] = Field(description="The answer, statement by statement; empty if there is none.")
    confidence: Share

    def statements(self) -> Iterator[Statement]:
        """The claims; none where the sources do not hold the answer, whatever else is said."""
        for number, claim in enumerate(self.claims if self.answerable else ()):
            yield Statement(place=f"claims.{number}", text=claim.text, quotes=claim.quotes)

    def keeping(self, kept: Mapping[str, Kept], /) -> GroundedAnswer:
        """The answer with the claims that are kept."""
        return GroundedAnswer(
            answerable=self.answerable, claims=_claims("claims", len(self.claims), kept), confidence=self.confidence
        )


class ExtractedField(BaseModel):
    """One value that was looked for."""

    model_config = OutputContract.model_config
    name: Label = Field(description="Name of the field, as it was asked for.")
    value: str = Field(min_length=1, description="The value, as it stands in the source.")
    quotes: Quotes = Field(description="The quotes that the value stands in, at least one.")
    confidence: Share


class Extraction(OutputContract):
    """Values from the sources, field by field; a field that the sources do not hold is left out."""

    fields: tuple[ExtractedField, ...] = Field(description="The fields that were found, each once.")

    def statements(self) -> Iterator[Statement]:
        """The values."""
        for number, field in enumerate(self.fields):
            yield Statement(
                place=f"fields.{number}", text=field.value, quotes=field.quotes, check="value", label=field.name
            )

    def keeping(self, kept: Mapping[str, Kept], /) -> Extraction:
        """The fields whose values are kept."""
        found = ((field, kept.get(f"fields.{number}")) for number, field in enumerate(self.fields))
        return Extraction(
            fields=tuple(
                ExtractedField(name=field.name, value=one.text, quotes=one.quotes, confidence=field.confidence)
                for field, one in found
                if one
            )
        )


class Classification(OutputContract):
    """What a text is about, how urgent it is, and who should see to it."""

    category: Label = Field(description="The category, one of those that were named.")
    priority: Label = Field(description="The priority, one of those that were named.")
    suggested_team: Label = Field(description="The team that should see to it, one of those that were named.")
    confidence: Share
    rationale: str = Field(min_length=1, description="Why, in one to three sentences that the citations carry.")
    citations: Quotes = Field(description="The quotes that carry the rationale, at least one.")

    def statements(self) -> Iterator[Statement]:
        """The sentences of the rationale."""
        return _sentences("rationale", self.rationale, self.citations, "said")

    def keeping(self, kept: Mapping[str, Kept], /) -> Classification:
        """The same with the rationale that is kept."""
        return Classification(
            category=self.category,
            priority=self.priority,
            suggested_team=self.suggested_team,
            confidence=self.confidence,
            rationale=_respoken("rationale", self.rationale, kept),
            citations=_all_quotes(kept),
        )


class Summary(OutputContract):
    """What the sources say, point by point."""

    droppable: ClassVar[bool] = True
    title: str = Field(description="What it is about, in words of the sources.")
    points: tuple[GroundedClaim, ...] = Field(description="The points, the most important first.")

    def statements(self) -> Iterator[Statement]:
        """The points, then the title."""
        for number, point in enumerate(self.points):
            yield Statement(place=f"points.{number}", text=point.text, quotes=point.quotes)
        if self.title.strip():
            quotes = tuple(dict.fromkeys(quote for point in self.points for quote in point.quotes))
            yield Statement(place="title", text=self.title, quotes=quotes, check="frame")

    def keeping(self, kept: Mapping[str, Kept], /) -> Summary:
        """The summary with the points that are kept, and with its title if that is."""
        title = kept["title"].text if "title" in kept else ""
        return Summary(title=title, points=_claims("points", len(self.points), kept))


class DraftedMessage(OutputContract):
    """A message to somebody, for a person to send."""

    subject: str = Field(min_length=1, description="What it is about, in words of the citations.")
    body: str = Field(min_length=1, description="The message; the citations carry every sentence that says something.")
    disclaimers: tuple[str, ...] = Field(description="The disclaimers that were asked for, word for word.")
    citations: Quotes = Field(description="The quotes that carry the message, at least one.")

    def statements(self) -> Iterator[Statement]:
        """The sentences of the body, then the subject. Disclaimers are held against the rules."""
        yield from _sentences("body", self.body, self.citations, "sentence")
        yield Statement(place="subject", text=self.subject, quotes=self.citations, check="frame")

    def keeping(self, kept: Mapping[str, Kept], /) -> DraftedMessage:
        """The same with the sentences that are kept."""
        return DraftedMessage(
            subject=kept["subject"].text,
            body=_respoken("body", self.body, kept),
            disclaimers=self.disclaimers,
            citations=_all_quotes(kept),
        )


class Verdict(BaseModel):
    """What is to be said of one claim."""

    model_config = OutputContract.model_config
    claim: int = Field(ge=1, description="Number of the claim.")
    supported: bool = Field(description="Whether its quotes carry the claim in every detail.")
    problem: str = Field(description="What they do not carry, in one sentence; empty if they carry it all.")


class Critique(OutputContract):
    """A second look at the claims of an answer. It is for the system: none of its words leave."""

    verdicts: tuple[Verdict, ...] = Field(description="One for each claim, in order.")

    def statements(self) -> Iterator[Statement]:
        """None."""
        return iter(())

    def keeping(self, _kept: Mapping[str, Kept], /) -> Critique:
        """The verdicts without their words, which nothing carries."""
        return Critique(verdicts=tuple(one.model_copy(update={"problem": ""}) for one in self.verdicts))


# Statements


def _sentences(place: str, text: str, quotes: tuple[SourceQuote, ...], check: Check) -> Iterator[Statement]:
    for number, (start, end) in enumerate(sentence_spans(text)):
        yield Statement(place=f"{place}.{number}", text=text[start:end], quotes=quotes, check=check)


def _respoken(place: str, text: str, kept: Mapping[str, Kept]) -> str:
    """`text` with its sentences as they are kept, and the white space that was between them."""
    pieces, position = [], 0
    for number, (start, end) in enumerate(sentence_spans(text)):
        pieces += [text[position:start], kept[f"{place}.{number}"].text]
        position = end
    return "".join(pieces)


def _claims(place: str, count: int, kept: Mapping[str, Kept]) -> tuple[GroundedClaim, ...]:
    found = (kept.get(f"{place}.{number}") for number in range(count))
    return tuple(GroundedClaim(text=one.text, quotes=one.quotes) for one in found if one)


def _all_quotes(kept: Mapping[str, Kept]) -> tuple[SourceQuote, ...]:
    return tuple(dict.fromkeys(quote for one in kept.values() for quote in one.quotes))


# The contracts by name


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One output contract with what a provider is told of it."""

    name: str
    model: type[OutputContract]
    schema: Mapping[str, Any]  # JSON schema as strict providers take it
    version: str  # sha256 of name and schema


def schema_of(model: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a contract as strict providers take it.

    Objects stand where they are used (no references), have no other properties and require all that they have. Bounds
    are left out, since providers refuse different ones; the least number of items is kept where it is 1.
    """
    whole = model.model_json_schema()
    return _plain(whole, whole.get("$defs", {}))


def _plain(node: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" in node:
        node = {**definitions[node["$ref"].rpartition("/")[2]], **node}
    plain = {key: node[key] for key in ("type", "description", "enum", "minItems") if key in node}
    if "items" in node:
        plain["items"] = _plain(node["items"], definitions)
    if node["type"] == "object":
        properties = {name: _plain(one, definitions) for name, one in node["properties"].items()}
        plain |= {"properties": properties, "required": [*properties], "additionalProperties": False}
    return plain


def _contract(name: str, model: type[OutputContract]) -> Contract:
    schema = schema_of(model)
    version = hashlib.sha256(json.dumps([name, schema], sort_keys=True).encode()).hexdigest()
    return Contract(name=name, model=model, schema=schema, version=version)


_MODELS: Final[Mapping[str, type[OutputContract]]] = {
    "grounded_answer": GroundedAnswer,
    "extraction": Extraction,
    "classification": Classification,
    "summary": Summary,
    "drafted_message": DraftedMessage,
    "critique": Critique,
}
CONTRACTS: Final[Mapping[str, Contract]] = MappingProxyType(
    {name: _contract(name, model) for name, model in _MODELS.items()}
)
