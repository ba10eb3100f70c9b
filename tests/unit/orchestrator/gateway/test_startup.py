"""What is wrong with the routes is said before the first question."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from ingest.errors import BadInput
from orchestrator.egress.contracts import GroundedAnswer
from orchestrator.gateway.port import ModelInfo, ModelReply, ModelRequest, ProviderFailure
from orchestrator.gateway.prices import read_prices
from orchestrator.gateway.providers.structured_output import check_schema
from orchestrator.gateway.routes import ModelRoute, read_routes
from orchestrator.gateway.startup import RouteFinding, ask_providers, check_routes
from orchestrator.network import AllowList, allow_list
from orchestrator.secrets.chain import SecretMapping, Secrets

TODAY = date(2026, 11, 20)
PROVIDER_URL = "https://api.anthropic.com"


class Prices:
    def price(self, provider: str, model: str) -> object | None:
        return object() if model == "good" else None


class Told:
    """A provider that says what a test sets."""

    def __init__(self, infos: Sequence[ModelInfo] = (), failure: Exception | None = None) -> None:
        self.infos, self.failure, self.closed, self.asked = infos, failure, 0, 0

    async def complete(self, request: ModelRequest, *, timeout_s: float) -> ModelReply:
        raise AssertionError

    async def count_tokens(self, request: ModelRequest, *, timeout_s: float) -> int | None:
        raise AssertionError

    async def models(self, *, timeout_s: float) -> Sequence[ModelInfo]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return self.infos

    async def close(self) -> None:
        self.closed += 1


def route(**changes: Any) -> ModelRoute:
    facts: dict[str, Any] = {
        "name": "claude",
        "provider": "anthropic",
        "model": "good",
        "credential": "anthropic",
        "capabilities": frozenset({"structured_output"}),
    }
    return ModelRoute(**(facts | changes))


def offline(
    *routes: ModelRoute,
    secrets: Mapping[str, str] | None = None,
    allowed: AllowList | None = None,
    **more: Any,
) -> list[RouteFinding]:
    return check_routes(
        routes,
        prices=Prices(),
        secrets=Secrets([SecretMapping({"anthropic": "k"} if secrets is None else secrets)]),
        workflows=["ask"],
        allowed=allow_list([PROVIDER_URL]) if allowed is None else allowed,
        default_urls={"anthropic": PROVIDER_URL},
        **more,
    )


def told(provider: Told, *routes: ModelRoute) -> list[RouteFinding]:
    async def opened(_: ModelRoute) -> Told:
        return provider

    return asyncio.run(ask_providers(routes, opened, TODAY))


def codes(findings: Sequence[RouteFinding]) -> list[tuple[str, str]]:
    return [(finding.code, finding.severity) for finding in findings]


def test_a_good_route_has_no_finding() -> None:
    """Neither offline nor after its provider was asked; a model in this process needs nothing."""
    assert offline(route(), route(name="local", provider="extractive", model="extractive", credential=None)) == []
    assert told(Told([ModelInfo(model="good", context_tokens=200_000)]), route()) == []


@pytest.mark.parametrize(
    ("changes", "given", "expected"),
    [
        ({"model": "unpriced"}, {}, ("missing_price", "error")),
        ({}, {"secrets": {}}, ("missing_secret", "error")),
        ({}, {"secrets": {"anthropic.other": "k"}}, ("missing_secret", "error")),
        ({}, {"allowed": AllowList()}, ("host_not_allowed", "error")),
        ({"base_url": "https://elsewhere.example"}, {}, ("host_not_allowed", "error")),
        ({"base_url": "http://elsewhere.example"}, {}, ("clear_text", "error")),
        ({"capabilities": frozenset()}, {}, ("missing_capability", "warning")),
        ({"context_tokens": 8000, "max_output_tokens": 8000}, {}, ("size_mismatch", "error")),
    ],
)
def test_what_needs_no_network_is_found(
    changes: dict[str, Any], given: dict[str, Any], expected: tuple[str, str]
) -> None:
    """Each fault of a route is one finding with place, reason and next step."""
    findings = offline(route(**changes), **given)
    assert codes(findings) == [expected]
    assert findings[0].place == "route claude"
    assert findings[0].reason
    assert findings[0].next_step


def test_a_schema_that_a_provider_cannot_take_is_found() -> None:
    """By the name of its contract, with the provider adapters' own check; not where all routes are in this process."""
    free_form = {"type": "object", "properties": {"fields": {"type": "object", "additionalProperties": True}}}
    given: dict[str, Any] = {
        "schemas": {"answer": GroundedAnswer.model_json_schema(), "free": free_form},
        "check_schema": check_schema,
    }
    findings = offline(route(), **given)
    assert {(one.place, one.code) for one in findings} == {("contract free", "bad_schema")}
    assert "fields" in findings[0].reason
    assert offline(route(provider="extractive", credential=None), **given) == []


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated(ModelInfo):
    retires_on: date


@pytest.mark.parametrize(
    ("retires_on", "expected"),
    [
        (date(2026, 11, 20), [("retiring_model", "error")]),
        (date(2026, 11, 21), [("retiring_model", "warning")]),
        (date(2027, 1, 19), [("retiring_model", "warning")]),
        (date(2027, 1, 20), []),
    ],
)
def test_a_model_that_retires_soon_is_a_warning(retires_on: date, expected: list[tuple[str, str]]) -> None:
    """From sixty days before, and an error from the day on."""
    assert codes(told(Told([Dated(model="good", retires_on=retires_on)]), route())) == expected


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        (ModelInfo(model="other"), ("unknown_model", "error")),
        (ModelInfo(model="good", retired=True), ("retired_model", "error")),
        (ModelInfo(model="good", capabilities=frozenset({"batches"})), ("missing_capability", "error")),
        (ModelInfo(model="good", context_tokens=50_000), ("size_mismatch", "error")),
        (ModelInfo(model="good", max_output_tokens=4_000), ("size_mismatch", "error")),
    ],
)
def test_what_the_provider_says_is_held_against_the_route(info: ModelInfo, expected: tuple[str, str]) -> None:
    """Unknown and retired models, capabilities that are only claimed, and sizes that the model does not have."""
    assert codes(told(Told([info]), route())) == [expected]


def test_a_provider_is_asked_once_and_closed_and_one_that_tells_nothing_is_no_fault() -> None:
    """Routes of one account share the question; a server with no list of models is left alone."""
    provider = Told([])
    assert told(provider, route(), route(name="second"), route(name="in", provider="extractive")) == []
    assert (provider.asked, provider.closed) == (1, 1)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (ProviderFailure("unreachable"), ("unreachable", "warning")),
        (ProviderFailure("bad_credential"), ("bad_credential", "error")),
        (ProviderFailure("not_allowed"), ("not_allowed", "error")),
        (TimeoutError(), ("timeout", "warning")),
    ],
)
def test_a_provider_that_cannot_be_asked_is_a_finding(failure: Exception, expected: tuple[str, str]) -> None:
    """An outage is a warning, since it may pass; a key that is turned down is an error. It is closed either way."""
    provider = Told(failure=failure)
    assert codes(told(provider, route(), route(name="second"))) == [expected] * 2
    assert provider.closed == 1


def test_a_provider_that_cannot_be_opened_is_a_finding() -> None:
    """A missing secret that only shows here is told with its own words."""

    async def fails(_: ModelRoute) -> Told:
        raise BadInput("anthropic", "no_such_secret", "There is none.", "Add it.")

    findings = asyncio.run(ask_providers([route()], fails, TODAY))
    assert codes(findings) == [("no_such_secret", "error")]


def test_the_routes_and_prices_that_are_shipped_pass() -> None:
    """With a key and its host on the list, the default routes need nothing more."""
    prices = read_prices()
    routes = read_routes(prices).routes
    secrets = Secrets([SecretMapping({one.credential: "k" for one in routes if one.credential})])
    urls = [one.base_url for one in routes if one.base_url]
    found = check_routes(
        routes,
        prices=prices,
        secrets=secrets,
        workflows=["ask"],
        allowed=allow_list([PROVIDER_URL, *urls]),
        default_urls={"anthropic": PROVIDER_URL},
    )
    assert [one for one in found if one.severity == "error"] == []
