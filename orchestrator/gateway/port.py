"""What a model provider is to the gateway: one small port, typed outcomes, typed failures.

A provider sends one request once. Deadlines over several attempts, retries, fallback, breakers, budgets and metering
are the gateway's; a provider never retries, never logs what it sends, and reads no environment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from orchestrator.context import Context

Stop = Literal[
    "end",  # the model was done
    "truncated",  # it ran into the limit of output tokens
    "refused",  # the provider or the model declined
    "context_full",  # the prompt does not fit the model
    "cut",  # the connection ended before the message did
]
FailureKind = Literal[
    "rate_limited",  # 429: retried, honouring `retry_after_s` where it fits the deadline
    "overloaded",  # 529 and the like
    "server_error",  # 5xx, also with a body that is no JSON
    "unreachable",  # no connection, or it broke before an answer began
    "timeout",  # this attempt's time was up
    "garbled",  # an answer that is not the provider's format
    "spend_limit",  # the provider's own limit on money: no retry, another provider
    "bad_credential",  # 401, 403: no retry; the credential may have been rotated
    "bad_request",  # 400, 404, 413, 422: no retry, the same would fail again
    "not_allowed",  # the process may not talk to that host
]
RETRYABLE: frozenset[FailureKind] = frozenset(
    {"rate_limited", "overloaded", "server_error", "unreachable", "timeout", "garbled"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message of the conversation with the model."""

    role: Literal["user", "assistant"]
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRequest:
    """One request to one model."""

    model: str
    system: str = field(repr=False)
    turns: tuple[Turn, ...]
    schema: Mapping[str, Any] | None  # JSON schema of the answer; None: free text
    max_output_tokens: int
    effort: Literal["low", "medium", "high"] | None = None  # how long to think, where the model can be told
    cacheable: int = 0  # characters at the start of `system` that are the same in other runs, for providers' caches
    native_citations: bool = False  # the provider cites `documents` itself; excludes `schema`, verified like ours
    documents: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # title and text, for native citations
    context: Context | None = field(default=None, repr=False)  # for models within this process; never sent anywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenUsage:
    """What one attempt used, in tokens, as the provider reports it."""

    input: int = 0  # not from a cache
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0  # kept for 5 minutes
    cache_write_long: int = 0  # kept for an hour

    @property
    def prompt(self) -> int:
        """All that was read."""
        return self.input + self.cache_read + self.cache_write + self.cache_write_long


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReply:
    """What came back. Nothing of the text is to be believed before egress."""

    text: str = field(repr=False)
    stop: Stop
    usage: TokenUsage
    model: str  # that answered, as the provider names it
    request_id: str | None = None  # the provider's, for its support
    detail: str | None = None  # category of a refusal


class ProviderFailure(Exception):
    """An attempt that gave no reply. Its text holds neither prompt nor key."""

    def __init__(
        self,
        kind: FailureKind,
        detail: str = "",
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        request_id: str | None = None,
        usage: TokenUsage | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}" if detail else kind)
        self.kind: FailureKind = kind
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s  # as the provider asks
        self.request_id = request_id
        self.usage = usage  # what a stream had used before it broke, where that is known


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """What a provider says of one of its models."""

    model: str
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    retired: bool = False
    capabilities: frozenset[str] = frozenset()  # structured_output, streaming, prompt_caching, citations, batches


class Provider(Protocol):
    """One model provider with one credential. Safe to use concurrently; closed once."""

    async def complete(self, request: ModelRequest, *, timeout_s: float) -> ModelReply:
        """Send the request once. Raises ProviderFailure; what is cancelled is closed at once."""
        ...

    async def count_tokens(self, request: ModelRequest, *, timeout_s: float) -> int | None:
        """Tokens of the request as the provider counts them; None where it cannot. Raises ProviderFailure."""
        ...

    async def models(self, *, timeout_s: float) -> Sequence[ModelInfo]:
        """The models that the credential can use; empty where the provider does not tell. Raises ProviderFailure."""
        ...

    async def close(self) -> None:
        """End its connections."""
        ...
