"""A principal as files write it: API keys and golden sets."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, field_validator

from ingest.tags import Classification
from retrieval.access import Principal


class PrincipalFields(BaseModel):
    """With only a subject: no group, public documents. A misspelt field would be somebody else: none passes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subject: str = Field(min_length=1)
    tenant: str = "default"
    groups: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    clearance: Classification = Classification.public
    regions: frozenset[str] = frozenset()

    @field_validator("clearance", mode="before")
    @classmethod
    def _clearance(cls, value: object) -> Classification:
        return Classification.parse(value)

    def principal(self) -> Principal:
        """Who is meant."""
        return Principal(**{name: getattr(self, name) for name in PrincipalFields.model_fields})
