"""Runs over HTTP: what was asked and decided, what rests on what, and doing it again."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field

from api.callers import Caller, Scope, ServicesHere
from api.run_views import recalled_json, replay_json, row_json, run_json
from orchestrator.store.runs import UseKind


class ReplayRequest(BaseModel):
    """What is to be other than it was."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = None  # route to ask
    prompt_version: str | None = None


class RecallRequest(BaseModel):
    """A document that is wrong."""

    model_config = ConfigDict(extra="forbid")

    document: str
    version: str | None = None  # any
    because: str = Field(min_length=1, max_length=1000)


def install(app: FastAPI) -> None:
    """Add the routes."""

    @app.get("/v1/runs")
    async def runs(
        services: ServicesHere,
        caller: Caller,
        before: str | None = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    ) -> dict[str, Any]:
        """Runs that the caller may see, newest first; `next` is the cursor of the next page, null at the end."""
        rows = await services.runs.reader.page(caller, before=before, limit=limit + 1)
        more = len(rows) > limit
        return {"runs": [row_json(row) for row in rows[:limit]], "next": rows[limit - 1].run_id if more else None}

    @app.get("/v1/runs/using/{kind}/{name:path}")
    async def using(
        kind: UseKind, name: str, services: ServicesHere, caller: Caller, version: str | None = None
    ) -> dict[str, Any]:
        """Runs that used a document, a prompt or a model, oldest first."""
        return {"runs": [row_json(row) for row in await services.runs.lineage.using(caller, kind, name, version)]}

    @app.post("/v1/runs/recall")
    async def recall(body: RecallRequest, services: ServicesHere, caller: Caller) -> dict[str, Any]:
        """Mark every run that used a document, and take back the answers kept of them."""
        return recalled_json(await services.runs.lineage.recall(caller, body.document, body.version, body.because))

    @app.get("/v1/runs/{run_id}")
    async def show(run_id: str, services: ServicesHere, scope: Scope) -> dict[str, Any]:
        """One run with its story."""
        return run_json(await services.runs.reader.show(scope, run_id))

    @app.post("/v1/runs/{run_id}/replay")
    async def replay(run_id: str, body: ReplayRequest, services: ServicesHere, scope: Scope) -> dict[str, Any]:
        """Do a run again from what was found then, and say what differs."""
        done = await services.replay(run_id, scope, model=body.model, prompt_version=body.prompt_version)
        return replay_json(done)
