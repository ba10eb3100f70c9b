"""Who calls, and what they may use: the dependencies that routes take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from api.keys import CURATOR
from ingest.errors import BadInput
from orchestrator.services import Services
from retrieval.access import Principal, ReadScope


async def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


async def _principal(request: Request) -> Principal:
    principal: Principal | None = request.app.state.identify(request)
    if principal is None:
        step = "Send a key of this home as `Authorization: Bearer …`."
        raise BadInput("caller", "unknown_caller", "The request names no known API key.", step)
    return principal


async def _scope(services: ServicesHere, principal: Caller) -> ReadScope:
    return services.scope(principal)


async def _curator(principal: Caller) -> Principal:
    if CURATOR not in principal.roles:
        cause = f"{principal.subject} may not change documents."
        raise BadInput("caller", "not_allowed", cause, f"Use a key with the role {CURATOR}.")
    return principal


ServicesHere = Annotated[Services, Depends(_services)]
Caller = Annotated[Principal, Depends(_principal)]
Scope = Annotated[ReadScope, Depends(_scope)]
Curator = Annotated[Principal, Depends(_curator)]
