"""Model routes as data: which models there are, what each can do, and where what it is sent goes."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ingest.tags import Classification
from orchestrator.policy.decisions import RouteFacts
from orchestrator.workflows import Risk
from orchestrator.yaml_files import read_strictly, refused

if TYPE_CHECKING:
    from orchestrator.gateway.prices import PriceTable

ProviderName = Literal["extractive", "anthropic", "openai", "scripted"]
Capability = Literal["structured_output", "streaming", "prompt_caching", "citations", "batches"]
Seconds = Annotated[float, Field(gt=0, le=3600)]
Count = Annotated[int, Field(gt=0)]
Name = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[a-z0-9][a-z0-9._-]*$")]

DEFAULT_ROUTES: Final = Path(__file__).with_name("routes.yaml")
_NEEDS_CREDENTIAL: Final[frozenset[ProviderName]] = frozenset({"anthropic"})
_NEEDS_BASE_URL: Final[frozenset[ProviderName]] = frozenset({"openai"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRoute:
    """One way to a model. Routes are read from a file that `orchestrator.gateway.routes.read_routes` checks."""

    __pydantic_config__: ClassVar[Any] = ConfigDict(extra="forbid")

    name: Name  # as `--model` names it
    provider: ProviderName
    model: str  # as the provider names it
    region: str = "local"  # where the data is processed
    base_url: str | None = None  # of a server that is not the provider's usual one
    credential: str | None = None  # name of the secret; None where none is needed
    retains_data: bool = False
    capabilities: frozenset[Capability] = frozenset()
    tasks: frozenset[str] = frozenset()  # tasks that it may do; empty: all
    level: int = 0  # how strong it is; an escalation goes to a higher one
    latency_s: Seconds = 5.0  # that it is expected to take
    context_tokens: Count = 100_000
    max_output_tokens: Count = 8_000
    attempt_s: Seconds = 20.0  # longest wait for one attempt
    concurrency: Count = 8  # calls at the same time
    free: bool = False  # costs nothing, so it needs no price: a server of one's own

    @property
    def in_process(self) -> bool:
        """Whether nothing leaves this process."""
        return self.provider in ("extractive", "scripted")

    @property
    def costs(self) -> bool:
        """Whether it must have a price."""
        return not (self.in_process or self.free)

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Routes:
    """All routes of a home. Order has no meaning."""

    routes: tuple[ModelRoute, ...]
    version: str  # sha256 of the file
    source: Path

    def named(self, name: str) -> ModelRoute | None:
        """The route with this name, None when there is none."""
        return next((route for route in self.routes if route.name == name), None)


class _RoutesFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    routes: Annotated[tuple[ModelRoute, ...], Field(min_length=1)]


def read_routes(prices: PriceTable, file: Path = DEFAULT_ROUTES) -> Routes:
    """The routes of a file, checked against each other and against the price table.

    Raises BadInput with file, place, cause and next step: a key or provider that is not known, a name given twice,
    a credential or an address that is missing, a route that costs money and has no price.
    """
    read = read_strictly(file, _RoutesFile)
    _refuse_twice(file, read.routes)
    for number, route in enumerate(read.routes):
        _check(file, f"routes.{number} ({route.name})", route, prices)
    version = hashlib.sha256(file.read_bytes()).hexdigest()
    return Routes(routes=read.routes, version=version, source=file)


def _refuse_twice(file: Path, routes: tuple[ModelRoute, ...]) -> None:
    name, times = Counter(route.name for route in routes).most_common(1)[0]
    if times > 1:
        raise refused(file, "routes", "duplicate_route", f"The name {name} is given {times} times.", "Rename a route.")


def _check(file: Path, place: str, route: ModelRoute, prices: PriceTable) -> None:
    if route.provider in _NEEDS_CREDENTIAL and not route.credential:
        step = "Add `credential:` with the name of the secret that holds the key."
        raise refused(file, place, "credential_missing", f"{route.provider} takes no call without a key.", step)
    if route.provider in _NEEDS_BASE_URL and not route.base_url:
        step = "Add `base_url:`, as http://127.0.0.1:11434/v1."
        raise refused(file, place, "base_url_missing", "The address of the server is missing.", step)
    if route.costs and prices.price(route.provider, route.model) is None:
        cause = f"{prices.source} has no price for {route.provider} {route.model}."
        step = "Add its price there, or write `free: true` when calls to it cost nothing."
        raise refused(file, place, "price_missing", cause, step)
