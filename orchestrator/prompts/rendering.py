"""The gate between context and model: a versioned template, filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from orchestrator.context import Context

_SEAL = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSettings:
    """What a prompt asks of whichever model it is sent to."""

    max_output_tokens: int
    effort: Literal["low", "medium", "high"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompted:
    """A prompt that may be sent. Made by the registry alone."""

    name: str
    version: str  # semantic
    environment: str
    content_hash: str  # sha256 of the prompt's files; the registry keeps what it stands for, for ever
    locale: str
    contract: str  # name of the output contract
    schema: Mapping[str, Any]  # JSON schema of that contract
    system: str = field(repr=False)
    user: str = field(repr=False)
    settings: ModelSettings
    context: Context = field(repr=False)
    seal: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.seal is not _SEAL:
            raise TypeError("A Prompted is made by orchestrator.prompts.rendering.render only.")
