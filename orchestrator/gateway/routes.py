"""Model routes as data: which models there are, what each can do, and where what it is sent goes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ingest.tags import Classification
from orchestrator.policy.decisions import RouteFacts
from orchestrator.workflows import Risk

ProviderName = Literal["extractive", "anthropic", "openai", "scripted"]
Capability = Literal["structured_output", "streaming", "prompt_caching", "citations", "batches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRoute:
    """One way to a model. Routes are read from a file that `orchestrator.gateway.routes.read_routes` checks."""

    name: str  # as `--model` names it
    provider: ProviderName
    model: str  # as the provider names it
    region: str = "local"  # where the data is processed
    base_url: str | None = None  # of a server that is not the provider's usual one
    credential: str | None = None  # name of the secret; None where none is needed
    retains_data: bool = False
    capabilities: frozenset[Capability] = frozenset()
    tasks: frozenset[str] = frozenset()  # tasks that it may do; empty: all
    level: int = 0  # how strong it is; an escalation goes to a higher one
    latency_s: float = 5.0  # that it is expected to take
    context_tokens: int = 100_000
    max_output_tokens: int = 8_000
    attempt_s: float = 20.0  # longest wait for one attempt
    concurrency: int = 8  # calls at the same time

    @property
    def in_process(self) -> bool:
        """Whether nothing leaves this process."""
        return self.provider in ("extractive", "scripted")

    @property
    def facts(self) -> RouteFacts:
        """What the policy is asked about."""
        return RouteFacts(
            name=self.name,
            provider=self.provider,
            model=self.model,
            region=self.region,
            in_process=self.in_process,
            retains_data=self.retains_data,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """What one call asks of the gateway, besides its prompt."""

    run_id: str
    tenant: str  # whose quota it counts against
    workflow: str
    task: str
    risk: Risk
    classification: Classification  # of all that is sent; a hard filter, through the policy
    regions: frozenset[str] = frozenset()  # the data must stay in one of them; empty: no such rule
    needs: frozenset[Capability] = frozenset()
    route: str | None = None  # the asker's wish: this one and no other
    above_level: int = -1  # an escalation wants a stronger one than this
    without: frozenset[str] = field(default_factory=frozenset)  # routes that gave an invalid output for this prompt
