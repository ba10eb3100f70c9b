"""What an answer is made of: the JSON that `groundwire ask` and `/v1/ask` give out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["answered", "abstained", "in_review", "refused"]
Decision = Literal["answer", "abstain", "review", "act"]
IntegrityName = Literal["external", "internal", "reviewed"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Citation(_Frozen):
    """A place in a stored text; `quote` equals the characters [start, end) of it."""

    document_id: str
    version: int = Field(ge=1)
    chunk_id: str
    title: str
    source_uri: str
    page: int | None = Field(ge=1)  # where the cited chunk begins; None where the format has no pages
    start: int = Field(ge=0)
    end: int
    quote: str = Field(min_length=1)
    integrity: IntegrityName = "internal"  # who could write the source


class Claim(_Frozen):
    """One statement with the places that carry it."""

    text: str = Field(min_length=1)
    citations: tuple[Citation, ...] = Field(min_length=1)


class Conflict(_Frozen):
    """What another source says otherwise."""

    claim: int = Field(ge=0)  # index of the claim that it contradicts
    kind: Literal["value", "date", "negation"]
    text: str = Field(min_length=1)
    citations: tuple[Citation, ...] = Field(min_length=1)


class Confidence(_Frozen):
    """How well the evidence carries the question."""

    score: Share
    calibrated: bool  # whether the score is a probability that was fitted on labels of this installation
    signals: Mapping[str, float]  # what the score was made from, by name


class PromptVersion(_Frozen):
    """The template that the model was given."""

    name: str
    version: str


class Usage(_Frozen):
    """What the model used, over all attempts."""

    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)
    cost_usd: float = Field(default=0.0, ge=0.0)


class Route(_Frozen):
    """What happens with the answer."""

    decision: Decision
    queue: str | None = None  # where it waits for a person


class Answer(_Frozen):
    """The end of one run."""

    run_id: str
    status: Status
    answer: str  # empty unless answered
    claims: tuple[Claim, ...]
    conflicts: tuple[Conflict, ...] = ()
    asked: str | None = (
        None  # what was asked of the documents, where a follow-up question had to be made to stand alone
    )
    confidence: Confidence
    flags: tuple[str, ...] = ()  # what a reader should know, as stable snake_case words
    model: str  # name of the route that produced the draft
    prompt: PromptVersion | None = None  # None where the model takes no prompt
    usage: Usage = Usage()
    route: Route
    timings_ms: Mapping[str, float]
