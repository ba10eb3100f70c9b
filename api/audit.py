"""The record over HTTP, for auditors: whether it holds, and the evidence of a run."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Response

from api.callers import Caller, Scope, ServicesHere
from ingest.errors import BadInput
from orchestrator.audit.bundle import export_bundle
from orchestrator.audit.custody import Custody
from orchestrator.audit.verification import verify
from retrieval.access import Principal


async def _auditor(principal: Caller, services: ServicesHere) -> Principal:
    resource = {"tenant": principal.tenant, "subject": ""}
    decision = services.governance.policy.may(principal, "see_audit", resource)
    if not decision.allowed:
        raise BadInput("caller", "not_allowed", decision.reason, "Use a key whose role may see the record.")
    return principal


Auditor = Annotated[Principal, Depends(_auditor)]


def install(app: FastAPI) -> None:
    """Add the routes under `/v1/audit`."""
    one_at_a_time = asyncio.Lock()  # a verification reads everything

    @app.get("/v1/audit/verify")
    async def verify_record(principal: Auditor, services: ServicesHere, deep: bool = False) -> dict[str, Any]:
        """Whether the whole record holds. `ok` is the answer; runs are named where they are the caller's tenant's."""
        async with one_at_a_time:
            return await asyncio.to_thread(_verified, services.governance.custody, principal.tenant, deep)

    @app.get("/v1/audit/runs/{run_id}")
    async def evidence(run_id: str, principal: Auditor, services: ServicesHere, scope: Scope) -> Response:
        """The evidence of a run as a zip file.

        It encloses prompts, outputs and answers where the caller may read every document that the run drew on.
        """
        shown = await services.runs.reader.show(scope, run_id)
        custody, tenant = services.governance.custody, principal.tenant
        bundle = await asyncio.to_thread(export_bundle, custody, tenant, run_id, lambda _: shown.readable)
        headers = {"Content-Disposition": 'attachment; filename="evidence.zip"', "Cache-Control": "no-store"}
        return Response(bundle, media_type="application/zip", headers=headers)


def _verified(custody: Custody, tenant: str, deep: bool) -> dict[str, Any]:
    found = verify(custody.database, custody.keys, witness=custody.config.witness, deep=deep).as_json()
    for one in found["findings"]:
        if one["run_id"] is not None and not custody.events(tenant, one["run_id"]):
            one["run_id"] = None
    return found
