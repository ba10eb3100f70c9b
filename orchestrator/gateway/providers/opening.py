"""Makes the provider of a route: which adapter, with which key, over which connections."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING

from orchestrator.gateway.connections import ProviderFactory
from orchestrator.gateway.port import Provider
from orchestrator.gateway.providers.extractive import ExtractiveProvider
from orchestrator.gateway.routes import ModelRoute

if TYPE_CHECKING:
    from orchestrator.network import AllowList
    from orchestrator.secrets.chain import Secrets

ANTHROPIC = "https://api.anthropic.com"


def route_urls(routes: Iterable[ModelRoute]) -> list[str]:
    """The addresses that the routes need."""
    return sorted({url for route in routes if (url := _url(route)) is not None})


def provider_factory(secrets: Secrets, allowed: AllowList, workflow: str) -> ProviderFactory:
    """What opens the provider of a route; each time with the credential as it is then, the workflow's own first.

    It raises SecretMissing, naming the secret, where the credential is not there.
    """

    async def make(route: ModelRoute) -> Provider:
        key = None
        if route.credential is not None:
            key = await asyncio.to_thread(_fresh, secrets, route.credential, workflow)
        return await asyncio.to_thread(_provider, route, key, allowed)

    return make


def _fresh(secrets: Secrets, name: str, workflow: str) -> str:
    """The key as its source holds it now: a provider is opened anew where the one before was turned down."""
    secrets.refresh(name)
    return secrets.get(name, workflow).reveal()


def _provider(route: ModelRoute, key: str | None, allowed: AllowList) -> Provider:
    if route.provider == "extractive":
        return ExtractiveProvider()
    from orchestrator.guarded_http import guarded_client

    url = _url(route) or ""
    if route.provider == "anthropic":
        from orchestrator.gateway.providers.anthropic_messages import AnthropicProvider

        return AnthropicProvider(api_key=key or "", base_url=url, http_client=guarded_client(allowed))
    if route.provider == "openai":
        from orchestrator.gateway.providers.openai_compatible import OpenAiProvider

        return OpenAiProvider(base_url=url, api_key=key, http_client=guarded_client(allowed))
    raise ValueError(f"{route.provider} is no provider of a route that is served")


def _url(route: ModelRoute) -> str | None:
    if route.in_process:
        return None
    return route.base_url or ANTHROPIC
