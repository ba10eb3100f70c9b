"""`/v1/prompts`: the versions that there are, what is live where, and how that changes."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from api.callers import Caller
from api.prompt_views import listed_json, promotion_json, prompt_json, stored_json
from ingest.errors import BadInput
from orchestrator.prompts.definition import differences
from orchestrator.prompts.registry import MAX_WHY, PromptRegistry
from orchestrator.prompts.rendering import Environment


class PromoteRequest(BaseModel):
    """A version to make live in an environment."""

    model_config = ConfigDict(extra="forbid")

    version: str
    to: Environment
    why: str = Field(min_length=1, max_length=MAX_WHY)
    evaluation: str | None = None  # the report that allows it: JSON, as its file has it


class RollbackRequest(BaseModel):
    """An environment in which the version before is to be live again."""

    model_config = ConfigDict(extra="forbid")

    environment: Environment
    why: str = Field(min_length=1, max_length=MAX_WHY)


async def _registry(request: Request) -> PromptRegistry:
    registry: PromptRegistry = request.app.state.services.governance.prompts
    return registry


Registry = Annotated[PromptRegistry, Depends(_registry)]


def install(app: FastAPI) -> None:
    """Add the routes. Every caller may read prompts; the policy says who may change what is live."""
    _add_reading(app)
    _add_changing(app)


def _add_reading(app: FastAPI) -> None:
    @app.get("/v1/prompts")
    async def prompts(
        registry: Registry, _: Caller, after: str = "", limit: Annotated[int, Query(ge=1, le=1000)] = 100
    ) -> dict[str, Any]:
        """Prompts sorted by name; `next` is the cursor of the next page, null at the end."""
        found = [one for one in await asyncio.to_thread(registry.listed) if one.name > after]
        more = len(found) > limit
        return {
            "prompts": [listed_json(one) for one in found[:limit]],
            "next": found[limit - 1].name if more else None,
        }

    @app.get("/v1/prompts/{name}")
    async def prompt(
        name: str,
        registry: Registry,
        _: Caller,
        version: str | None = None,
        content_hash: Annotated[str | None, Query(alias="hash")] = None,
        environment: Environment = "prod",
    ) -> dict[str, Any]:
        """A version with its files: that of `version`, what ran under `hash`, or else what is live."""
        if content_hash is not None:
            stored = await asyncio.to_thread(registry.stored, content_hash)
            if stored.name != name:
                raise BadInput(name, "no_such_prompt", f"The hash is of {stored.name}.", "Ask for that prompt.")
            return stored_json(stored)
        return prompt_json(await asyncio.to_thread(registry.find, name, version or environment))

    @app.get("/v1/prompts/{name}/diff")
    async def diff(
        name: str,
        registry: Registry,
        _: Caller,
        old: Annotated[str, Query(alias="from")],
        new: Annotated[str, Query(alias="to")],
    ) -> dict[str, Any]:
        """File to unified diff between two versions; an environment stands for what is live there."""
        before = await asyncio.to_thread(registry.find, name, old)
        after = await asyncio.to_thread(registry.find, name, new)
        changed = differences(before.files, after.files)
        return {"name": name, "from": before.version, "to": after.version, "files": changed}

    @app.get("/v1/prompts/{name}/history")
    async def history(
        name: str,
        registry: Registry,
        _: Caller,
        environment: Environment = "prod",
        before: Annotated[int | None, Query(ge=1)] = None,
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        """What was live, the newest first; `next` goes into `before` for the page after, null at the end."""
        records = await asyncio.to_thread(registry.history, name, environment, before=before, limit=limit + 1)
        more = len(records) > limit
        return {
            "history": [promotion_json(record) for record in records[:limit]],
            "next": records[limit - 1].revision if more else None,
        }


def _add_changing(app: FastAPI) -> None:
    @app.post("/v1/prompts/{name}/promote")
    async def promote(name: str, body: PromoteRequest, registry: Registry, caller: Caller) -> dict[str, Any]:
        """Make a version live; in force for every run from when this returns."""
        report = body.evaluation.encode() if body.evaluation is not None else None
        record = await asyncio.to_thread(
            registry.promote, caller, name, body.version, body.to, why=body.why, evaluation=report
        )
        return promotion_json(record)

    @app.post("/v1/prompts/{name}/rollback")
    async def rollback(name: str, body: RollbackRequest, registry: Registry, caller: Caller) -> dict[str, Any]:
        """Make the version before live again; in force for every run from when this returns."""
        record = await asyncio.to_thread(registry.rollback, caller, name, body.environment, why=body.why)
        return promotion_json(record)
