"""The HTTP API. Routes stay thin: they find out who asks, call a service and show what it returns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api import audit, metrics, pages, problems, prompts, runs
from api.callers import Curator, Scope, ServicesHere
from api.keys import KeyRing
from api.views import document_json, hit_json, screening_json, tags_json
from ingest.errors import BadInput, GroundwireError
from orchestrator.contract import Answer
from orchestrator.services import Services
from orchestrator.settings import Settings
from orchestrator.workflows import Risk
from retrieval.access import Principal

Identify = Callable[[Request], Principal | None]


class AskRequest(BaseModel):
    """A question."""

    model_config = ConfigDict(extra="forbid")

    question: str
    earlier: list[str] = Field(default=[], max_length=20)  # the asker's own questions before this one, oldest first
    risk: Risk | None = None  # how much care is asked for; the workflow's own is the least
    model: str | None = None  # route that is to answer; default: that of the settings
    conversation: str | None = Field(default=None, max_length=200)  # id of one that is kept, of the caller's choice


class SearchRequest(BaseModel):
    """A search."""

    model_config = ConfigDict(extra="forbid")

    query: str
    k: int = Field(default=10, ge=1, le=100)


class DocumentsRequest(BaseModel):
    """Records to ingest, as in a .jsonl file: {id, title?, text, allow?, deny?, classification?, …}."""

    model_config = ConfigDict(extra="forbid")

    documents: list[dict[str, Any]] = Field(min_length=1, max_length=1000)


class AccessRequest(BaseModel):
    """Access tags to change; what is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    allow: list[str] | None = None
    deny: list[str] | None = None
    classification: str | None = None
    integrity: str | None = None


def make_app(home: AbstractAsyncContextManager[Services], settings: Settings, callers: KeyRing | Principal) -> FastAPI:
    """The app over one home, which it enters when it starts and leaves when it ends.

    `callers` are known by their keys; a principal in their place is whom every caller is taken for.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with home as services:
            app.state.services = services
            app.state.metrics = services.metrics
            app.state.before_metrics = lambda: _measure(services)
            app.state.ingesting = asyncio.Lock()
            yield

    app = FastAPI(title="Groundwire", version="1", lifespan=lifespan, docs_url=None, redoc_url=None)
    keys = callers if isinstance(callers, KeyRing) else KeyRing(entries=())
    app.state.identify = _identify(callers) if isinstance(callers, KeyRing) else lambda _: callers
    app.add_middleware(problems.BodyLimit, max_bytes=settings.max_body_bytes)
    problems.install(app)
    _add_health(app)
    _add_questions(app)
    _add_documents(app)
    for routes in (runs, prompts, audit):
        routes.install(app)
    metrics.install(app, without_key=settings.metrics_open)
    pages.install(app, keys)
    return app


def _measure(services: Services) -> None:
    """What is measured when it is asked for, not when it happens."""
    states = services.gateway.breakers
    for (provider, model), state in states.items():
        services.metrics.set_breaker(f"{provider}/{model}", state)
    services.metrics.set_audit(head_seq=services.governance.custody.length())


def _identify(keys: KeyRing) -> Identify:
    """Callers are known by `Authorization: Bearer KEY`, `X-API-Key: KEY`, or the session that the web page began."""

    def identify(request: Request) -> Principal | None:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        given = bearer if scheme.lower() == "bearer" else request.headers.get("x-api-key", "")
        if given:
            return keys.principal(given.strip())
        return pages.session_principal(request)

    return identify


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz(services: ServicesHere) -> dict[str, str]:
        """Ledger and index answer; 503 with the reason when one does not."""
        await asyncio.to_thread(services.ledger.fact, "index")
        await services.index.flush()
        return {"status": "ready"}


def _add_questions(app: FastAPI) -> None:
    @app.post("/v1/ask")
    async def ask(body: AskRequest, services: ServicesHere, scope: Scope) -> Answer:
        """Answer a question with citations that were checked."""
        return await services.ask(
            body.question,
            scope,
            earlier=body.earlier,
            model=body.model,
            conversation=body.conversation,
            risk=body.risk,
        )

    @app.post("/v1/search")
    async def search(body: SearchRequest, services: ServicesHere, scope: Scope) -> dict[str, Any]:
        """Passages that the caller may read."""
        hits = await services.retriever.search(body.query, scope, k=body.k)
        return {"hits": [hit_json(hit) for hit in hits]}


def _add_documents(app: FastAPI) -> None:
    @app.get("/v1/documents")
    async def documents(
        services: ServicesHere, scope: Scope, after: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> dict[str, Any]:
        """Documents that the caller may read, sorted by id; `next` is the cursor of the next page, null at the end."""
        rows = await services.library.documents(scope, after=after, limit=limit + 1)
        more = len(rows) > limit
        return {
            "documents": [document_json(row) for row in rows[:limit]],
            "next": rows[limit - 1].document_id if more else None,
        }

    @app.post("/v1/documents")
    async def ingest(
        body: DocumentsRequest, services: ServicesHere, curator: Curator, request: Request
    ) -> dict[str, Any]:
        """Ingest records; what cannot be taken is reported and the rest goes on."""
        async with request.app.state.ingesting:
            report = await services.ingest_records(body.documents, curator.tenant, curator.subject)
        return report.as_json()

    @app.get("/v1/documents/{document_id:path}")
    async def document(
        document_id: str,
        services: ServicesHere,
        scope: Scope,
        version: Annotated[int | None, Query(ge=1)] = None,
        text: bool = False,
    ) -> dict[str, Any]:
        """A document, with its canonical text when asked for; an older version when it may be read."""
        row = await services.library.current(scope, document_id)
        if row is not None and version not in (None, row.number):
            row = (await services.library.stored(scope, [(row.document_id, version)])).get((row.document_id, version))
        if row is None:
            raise _missing(document_id)
        screening = {"screening": screening_json(row, services.policy)}
        return document_json(row) | screening | ({"text": row.text} if text else {})

    @app.patch("/v1/documents/{document_id:path}")
    async def set_access(
        document_id: str, body: AccessRequest, services: ServicesHere, scope: Scope, _: Curator
    ) -> dict[str, Any]:
        """Change who may read a document that the caller may read; true for every reader when this returns."""
        if await services.library.current(scope, document_id) is None:
            raise _missing(document_id)
        tags = await services.set_access(scope.tenant, document_id, body.model_dump(exclude_none=True))
        return {"document_id": document_id, "access": tags_json(tags)}

    @app.delete("/v1/documents/{document_id:path}")
    async def delete(document_id: str, services: ServicesHere, scope: Scope, _: Curator) -> dict[str, Any]:
        """Remove a document that the caller may read from index, stored text and encodings."""
        row = await services.library.current(scope, document_id)
        if row is None:
            raise _missing(document_id)
        await services.pipeline.delete(row.key)
        return {"deleted": row.document_id}


def _missing(document_id: str) -> GroundwireError:
    cause = "There is no such document, or you may not read it."
    return BadInput(document_id, "no_such_document", cause, "See GET /v1/documents.")
