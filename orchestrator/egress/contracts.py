"""Output contracts: what a model must give back for each kind of task. Fields are flat and required, as providers want.

Descriptions are read by models. What a provider cannot enforce (ranges, lengths) is checked by pydantic at egress.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import SkipJsonSchema


class OutputContract(BaseModel):
    """Base of all contracts."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SourceQuote(OutputContract):
    """Words of a source, copied as they stand there."""

    source: int = Field(ge=1, description="Number of the source that is quoted.")
    quote: str = Field(min_length=1, description="Words copied exactly from that source, one sentence or less.")
    start: SkipJsonSchema[int | None] = None  # offset in the stored text, from models within this process


class GroundedClaim(OutputContract):
    """One statement with what carries it."""

    text: str = Field(min_length=1, description="One statement, complete in itself.")
    quotes: tuple[SourceQuote, ...] = Field(min_length=1, description="The quotes that carry the statement.")


class GroundedAnswer(OutputContract):
    """An answer from the sources alone."""

    answerable: bool = Field(description="Whether the sources hold the answer.")
    claims: tuple[GroundedClaim, ...] = Field(description="The answer, statement by statement; empty if there is none.")
    confidence: Annotated[float, Field(ge=0, le=1, description="How sure you are, from 0 to 1.")]
