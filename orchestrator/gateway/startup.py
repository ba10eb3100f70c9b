"""The check before the first question: whether each route to a model can work, said while somebody is looking.

What needs no network is always checked; what only a provider knows (which models there are, and until when) is checked
with `ask_providers`. Findings are values; none of them raises.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Final, Literal, Protocol

from ingest.errors import GroundwireError
from orchestrator.gateway.port import ModelInfo, Provider, ProviderFailure
from orchestrator.gateway.routes import ModelRoute
from orchestrator.network import AllowList, allow_list
from orchestrator.secrets.port import Secret

Severity = Literal["error", "warning"]
OpenProvider = Callable[[ModelRoute], Awaitable[Provider]]  # raises GroundwireError where it cannot be opened
CheckSchema = Callable[[Mapping[str, Any]], Sequence[str]]  # what keeps a provider from taking a schema

_SPEAKS_FOR_ALL: Final = frozenset(
    {"structured_output", "citations", "batches"}
)  # capabilities that are told per model


class Prices(Protocol):
    """What the price table is to this check."""

    def price(self, provider: str, model: str) -> object | None:
        """The price of a model, None when there is none."""
        ...


class SecretFinder(Protocol):
    """What the secrets are to this check."""

    def find(self, name: str, workflow: str | None = None) -> Secret | None:
        """The secret, None when there is none. Raises GroundwireError."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StartupConfig:
    """What counts as soon, and how long providers may take."""

    retiring_days: int = 60  # a model that retires sooner is a warning; Anthropic gives notice of at least 60 days
    deadline_s: float = 10.0  # for one provider's list of models


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFinding:
    """One thing that is wrong with a route."""

    place: str  # as `route claude-fast`
    code: str
    severity: Severity  # an error: no call of this route can succeed
    reason: str
    next_step: str


def check_routes(
    routes: Sequence[ModelRoute],
    *,
    prices: Prices,
    secrets: SecretFinder,
    workflows: Sequence[str],
    allowed: AllowList,
    default_urls: Mapping[str, str] | None = None,
    needs: frozenset[str] = frozenset({"structured_output"}),
    schemas: Mapping[str, Mapping[str, Any]] | None = None,
    check_schema: CheckSchema | None = None,
) -> list[RouteFinding]:
    """What can be known with no network: price, secret of each workflow, host, capabilities, sizes, output schemas.

    `default_urls` are the addresses of providers whose routes name none; `needs` is what the workflows want of a route
    that leaves this process; `schemas` are the output contracts by name, for `check_schema` (as
    `providers.structured_output.check_schema`). Blocking: secrets are read.
    """
    findings: list[RouteFinding] = []
    for route in routes:
        findings += _sizes(route)
        if route.in_process:
            continue
        findings += _price(route, prices)
        findings += _secrets(route, secrets, workflows)
        findings += _host(route, allowed, default_urls or {})
        findings += _capabilities(route, needs)
    if check_schema is not None and any(not route.in_process for route in routes):
        findings += _schemas(schemas or {}, check_schema)
    return findings


async def ask_providers(
    routes: Sequence[ModelRoute], open_provider: OpenProvider, today: date, config: StartupConfig | None = None
) -> list[RouteFinding]:
    """What the providers say of the routes' models, each asked once. A provider that cannot be asked is a finding.

    Providers that are opened here are closed here.
    """
    config = config or StartupConfig()
    by_account: dict[tuple[str, str | None, str | None], list[ModelRoute]] = {}
    for route in routes:
        if not route.in_process:
            by_account.setdefault((route.provider, route.base_url, route.credential), []).append(route)
    asked = await asyncio.gather(*(_ask(one, open_provider, today, config) for one in by_account.values()))
    return [finding for findings in asked for finding in findings]


async def _ask(
    routes: list[ModelRoute], open_provider: OpenProvider, today: date, config: StartupConfig
) -> list[RouteFinding]:
    try:
        provider = await open_provider(routes[0])
    except GroundwireError as error:
        return [_finding(route, error.code, "error", error.cause, error.next_step) for route in routes]
    try:
        async with asyncio.timeout(config.deadline_s):
            infos = await provider.models(timeout_s=config.deadline_s)
    except ProviderFailure as failure:
        return [_unasked(route, failure) for route in routes]
    except TimeoutError:
        return [_unasked(route, ProviderFailure("timeout")) for route in routes]
    finally:
        await provider.close()
    known = {info.model: info for info in infos}
    return [finding for route in routes for finding in _model(route, known, today, config)] if known else []


def _model(route: ModelRoute, known: Mapping[str, ModelInfo], today: date, config: StartupConfig) -> list[RouteFinding]:
    info = known.get(route.model)
    if info is None:
        cause = f"The provider knows no model {route.model}, or this credential may not use it."
        step = f"It offers: {', '.join(sorted(known)[:8])}."
        return [_finding(route, "unknown_model", "error", cause, step)]
    if info.retired:
        cause = f"The model {route.model} is retired."
        return [_finding(route, "retired_model", "error", cause, "Name its successor in the routes file.")]
    return [*_retiring(route, info, today, config), *_able(route, info), *_fits(route, info)]


def _retiring(route: ModelRoute, info: ModelInfo, today: date, config: StartupConfig) -> list[RouteFinding]:
    ends: date | None = getattr(info, "retires_on", None)  # which not every provider tells
    if ends is None or ends - today > timedelta(days=config.retiring_days):
        return []
    cause = f"The model {route.model} is retired on {ends.isoformat()}."
    step = "Try its successor with `groundwire runs replay`, then name it in the routes file."
    return [_finding(route, "retiring_model", "warning" if ends > today else "error", cause, step)]


def _able(route: ModelRoute, info: ModelInfo) -> list[RouteFinding]:
    lacking = (route.capabilities & _SPEAKS_FOR_ALL) - info.capabilities if info.capabilities else frozenset()
    if not lacking:
        return []
    cause = f"The route claims {', '.join(sorted(lacking))}, which {route.model} cannot do."
    return [_finding(route, "missing_capability", "error", cause, "Take it out of the route's capabilities.")]


def _fits(route: ModelRoute, info: ModelInfo) -> list[RouteFinding]:
    findings = []
    for name, ours, theirs in (
        ("context_tokens", route.context_tokens, info.context_tokens),
        ("max_output_tokens", route.max_output_tokens, info.max_output_tokens),
    ):
        if theirs is not None and ours > theirs:
            cause = f"{name} is {ours}, and {route.model} takes {theirs}."
            findings.append(_finding(route, "size_mismatch", "error", cause, f"Set {name} to {theirs} or less."))
    return findings


def _sizes(route: ModelRoute) -> list[RouteFinding]:
    if route.max_output_tokens < route.context_tokens:
        return []
    cause = f"max_output_tokens ({route.max_output_tokens}) leaves no room in {route.context_tokens} tokens of context."
    return [_finding(route, "size_mismatch", "error", cause, "Lower max_output_tokens.")]


def _price(route: ModelRoute, prices: Prices) -> list[RouteFinding]:
    if route.free or prices.price(route.provider, route.model) is not None:
        return []
    cause = f"There is no price for {route.provider} {route.model}, so no budget can be kept."
    return [_finding(route, "missing_price", "error", cause, "Add it to the prices file, or set `free: true`.")]


def _secrets(route: ModelRoute, secrets: SecretFinder, workflows: Sequence[str]) -> list[RouteFinding]:
    if route.credential is None:
        return []
    findings = []
    for workflow in workflows:
        own = f"{route.credential}.{workflow}"
        try:
            found = secrets.find(route.credential, workflow)
        except GroundwireError as error:
            findings.append(_finding(route, error.code, "error", error.cause, error.next_step))
            continue
        if found is None:
            cause = f"The workflow {workflow} has no credential: there is neither {own} nor {route.credential}."
            step = f"Put it into a file of the folder for secrets, named {own} or {route.credential}, with mode 600."
            findings.append(_finding(route, "missing_secret", "error", cause, step))
        elif found.stale:
            cause = f"The source of {route.credential} cannot be asked; what it said last is still used."
            findings.append(_finding(route, "stale_secret", "warning", cause, "Check that the source runs."))
    return findings


def _host(route: ModelRoute, allowed: AllowList, default_urls: Mapping[str, str]) -> list[RouteFinding]:
    url = route.base_url or default_urls.get(route.provider)
    if url is None:
        return []
    try:
        wanted = allow_list([url], local_hosts=[one.host for one in allowed.endpoints if one.local])
        for endpoint in wanted.endpoints:
            allowed.check(endpoint.scheme, endpoint.host, endpoint.port)
    except GroundwireError as error:
        return [_finding(route, error.code, "error", error.cause, error.next_step)]
    return []


def _capabilities(route: ModelRoute, needs: frozenset[str]) -> list[RouteFinding]:
    lacking = needs - route.capabilities
    if not lacking:
        return []
    cause = f"The workflows need {', '.join(sorted(lacking))}, which this route does not have: it is never chosen."
    step = "Add it to the route's capabilities if the model can do it, or take the route out."
    return [_finding(route, "missing_capability", "warning", cause, step)]


def _schemas(schemas: Mapping[str, Mapping[str, Any]], check_schema: CheckSchema) -> list[RouteFinding]:
    step = "Use lists of key and value in place of free-form objects, and no `Any`."
    return [
        RouteFinding(place=f"contract {name}", code="bad_schema", severity="error", reason=problem, next_step=step)
        for name, schema in schemas.items()
        for problem in check_schema(schema)
    ]


def _unasked(route: ModelRoute, failure: ProviderFailure) -> RouteFinding:
    severity: Severity = "error" if failure.kind in ("bad_credential", "not_allowed") else "warning"
    step = "Check key, address and network, then run `groundwire doctor` again."
    return _finding(route, failure.kind, severity, "The provider could not be asked for its models.", step)


def _finding(route: ModelRoute, code: str, severity: Severity, reason: str, step: str) -> RouteFinding:
    return RouteFinding(place=f"route {route.name}", code=code, severity=severity, reason=reason, next_step=step)
