"""Who may read a document: the tags that travel with it from its source."""

from __future__ import annotations

import re
from datetime import date
from enum import IntEnum
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer, field_validator, model_validator


class Classification(IntEnum):
    """How sensitive a document is; a principal reads up to their clearance."""

    public = 0
    internal = 1
    confidential = 2
    regulated = 3

    @classmethod
    def parse(cls, value: object) -> Classification:
        """From a name or a number; raises ValueError naming the four allowed words."""
        if isinstance(value, str) and value.strip().lower() in cls.__members__:
            return cls[value.strip().lower()]
        if isinstance(value, int) and value in cls._value2member_map_:
            return cls(value)
        raise ValueError(f"{value!r} is no classification; use one of {', '.join(cls.__members__)}")


class Integrity(IntEnum):
    """Who could write a source; what rests on text that outsiders could write may need a person."""

    external = 0  # anybody: e-mail, web pages, reviews
    internal = 1  # people of the house
    reviewed = 2  # and somebody has checked it

    @classmethod
    def parse(cls, value: object) -> Integrity:
        """From a name or a number; raises ValueError naming the three allowed words."""
        if isinstance(value, str) and value.strip().lower() in cls.__members__:
            return cls[value.strip().lower()]
        if isinstance(value, int) and value in cls._value2member_map_:
            return cls(value)
        raise ValueError(f"{value!r} is no integrity; use one of {', '.join(cls.__members__)}")


# What anybody may send in. The media types of mail, and of web pages that were saved as mail.
_FROM_OUTSIDE: Final = frozenset({"message/rfc822", "application/mbox", "application/vnd.ms-outlook"})

_TOKEN = re.compile(r"public|(?:user|group|role):[^\s,]{1,200}")


def check_token(token: str) -> str:
    """`token` if it is `user:…`, `group:…`, `role:…` or `public`; raises ValueError otherwise."""
    if not _TOKEN.fullmatch(token):
        raise ValueError(f"{token!r} is no access token; use user:NAME, group:NAME, role:NAME or public")
    return token


Token = Annotated[str, AfterValidator(check_token)]


class AccessTags(BaseModel):
    """Who may read a document. With no `allow`, nobody but the owner; `deny` wins, over the owner too."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tenant: str = Field(default="default", min_length=1, max_length=200)
    owner: str | None = None  # subject who may read without being named in `allow`
    allow: frozenset[Token] = frozenset()
    deny: frozenset[Token] = frozenset()
    classification: Classification = Classification.internal
    integrity: Integrity | None = None  # who could write it; None: by the kind of source, see `integrity_of`
    department: str | None = None  # for routing and reports; grants nothing
    region: str | None = None  # readable only by principals of that region
    valid_from: date | None = None  # first day on which it may be read
    valid_to: date | None = None  # last day on which it may be read
    retention: str | None = None  # name of the retention class

    @field_validator("allow", "deny", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return [value] if isinstance(value, str) else value or ()

    @field_validator("classification", mode="before")
    @classmethod
    def _classification(cls, value: object) -> Classification:
        return Classification.parse(value)

    @field_validator("integrity", mode="before")
    @classmethod
    def _integrity(cls, value: object) -> Integrity | None:
        return None if value is None else Integrity.parse(value)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.valid_from and self.valid_to and self.valid_to < self.valid_from:
            raise ValueError(f"valid_to {self.valid_to} lies before valid_from {self.valid_from}")
        return self

    @field_serializer("allow", "deny")
    def _sorted(self, value: frozenset[str]) -> list[str]:
        return sorted(value)

    @field_serializer("classification")
    def _named(self, value: Classification) -> str:
        return value.name

    @field_serializer("integrity")
    def _named_integrity(self, value: Integrity | None) -> str | None:
        return None if value is None else value.name

    @property
    def readers(self) -> frozenset[str]:
        """The allow tokens with the owner's added: what the index stores."""
        return self.allow | {f"user:{self.owner}"} if self.owner else self.allow


def integrity_of(tags: AccessTags, media_type: str) -> Integrity:
    """Who could write a source: as it is tagged, else anybody for mail and people of the house for all else."""
    if tags.integrity is not None:
        return tags.integrity
    return Integrity.external if media_type in _FROM_OUTSIDE else Integrity.internal
