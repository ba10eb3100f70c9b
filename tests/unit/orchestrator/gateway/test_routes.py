"""The file of routes: what it may say, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from ingest.errors import BadInput
from orchestrator.gateway.prices import PriceTable, read_prices
from orchestrator.gateway.routes import DEFAULT_ROUTES, Routes, read_routes

PRICED = "provider: anthropic, model: claude-haiku-5-5, credential: anthropic"
NO_PRICES = PriceTable(version="2026-11-20", prices=())


def read(file: Path, *routes: str, prices: PriceTable | None = None) -> Routes:
    file.write_text("routes:\n" + "".join(f"  - {{{route}}}\n" for route in routes), "utf-8")
    return read_routes(prices or read_prices(), file)


def test_the_shipped_routes_are_read() -> None:
    """Each has a price or costs nothing; one needs neither key nor network; the version is the file's hash."""
    prices = read_prices()
    routes = read_routes(prices)
    assert routes.version == hashlib.sha256(DEFAULT_ROUTES.read_bytes()).hexdigest()
    for route in routes.routes:
        assert route.costs == (prices.price(route.provider, route.model) is not None)
        assert routes.named(route.name) is route
    assert [route.name for route in routes.routes if route.in_process] == ["extractive"]
    assert routes.named("none") is None


@pytest.mark.parametrize(
    ("routes", "place", "code", "cause"),
    [
        ([f"name: a, {PRICED}, colour: red"], "routes.0.colour", "bad_entry", "This key is not known."),
        (["name: a, provider: acme, model: m"], "routes.0.provider", "bad_entry", "'extractive', 'anthropic'"),
        (["name: a, provider: scripted"], "routes.0.model", "bad_entry", "This key is missing."),
        ([f"name: a, {PRICED}, capabilities: [magic]"], "routes.0.capabilities.0", "bad_entry", "structured_output"),
        ([f"name: a b, {PRICED}"], "routes.0.name", "bad_entry", "pattern"),
        ([f"name: a, {PRICED}, attempt_s: .nan"], "routes.0.attempt_s", "bad_entry", "Input should be"),
        ([f"name: a, {PRICED}, attempt_s: .inf"], "routes.0.attempt_s", "bad_entry", "3600"),
        ([f"name: a, {PRICED}, concurrency: 0"], "routes.0.concurrency", "bad_entry", "greater than 0"),
        ([f"name: a, {PRICED}"] * 2, "routes", "duplicate_route", "The name a is given 2 times."),
        (
            [f"name: b, {PRICED}", "name: a, provider: anthropic, model: claude-haiku-5-5"],
            "routes.1 (a)",
            "credential_missing",
            "without a key",
        ),
        (["name: a, provider: openai, model: m, free: true"], "routes.0 (a)", "base_url_missing", "address"),
        (
            ["name: a, provider: openai, model: m, base_url: 'http://127.0.0.1/v1'"],
            "routes.0 (a)",
            "price_missing",
            "prices.yaml has no price for openai m.",
        ),
    ],
)
def test_what_cannot_hold_is_refused_with_its_place(
    tmp_path: Path, routes: list[str], place: str, code: str, cause: str
) -> None:
    """Unknown keys, providers and capabilities, names given twice, missing keys, addresses and prices."""
    file = tmp_path / "routes.yaml"
    with pytest.raises(BadInput) as refusal:
        read(file, *routes)
    assert (refusal.value.item, refusal.value.code) == (f"{file}: {place}", code)
    assert cause in refusal.value.cause
    assert refusal.value.next_step.endswith(".")


def test_a_file_without_routes_is_refused(tmp_path: Path) -> None:
    """A home without a route could answer nothing."""
    file = tmp_path / "routes.yaml"
    file.write_text("routes: []\n")
    with pytest.raises(BadInput) as refusal:
        read_routes(NO_PRICES, file)
    assert refusal.value.item == f"{file}: routes"


def test_only_what_costs_needs_a_price(tmp_path: Path) -> None:
    """A free server and a model within the process are read without a price table."""
    routes = read(
        tmp_path / "routes.yaml",
        "name: own, provider: openai, model: m, base_url: 'http://127.0.0.1/v1', free: true, region: eu",
        "name: double, provider: scripted, model: m",
        prices=NO_PRICES,
    )
    own, double = routes.routes
    assert (own.costs, own.in_process, double.costs, double.in_process) == (False, False, False, True)
    assert (own.facts.name, own.facts.region, own.facts.in_process) == ("own", "eu", False)
    assert double.facts.in_process
