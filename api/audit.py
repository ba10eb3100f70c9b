"""The record over HTTP, for auditors: whether it holds, and the evidence of a run."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import Depends, FastAPI, Response

from api.callers import Caller, ServicesHere
from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.audit.bundle import export_bundle
from orchestrator.audit.custody import open_custody
from orchestrator.audit.verification import verify
from orchestrator.services import open_record
from orchestrator.settings import Settings
from retrieval.access import Principal

AUDITOR: Final = "auditor"  # the role that may verify the record and export evidence of its own tenant


async def _auditor(principal: Caller) -> Principal:
    if AUDITOR not in principal.roles:
        cause = f"{principal.subject} may not see the record."
        raise BadInput("caller", "not_allowed", cause, f"Use a key with the role {AUDITOR}.")
    return principal


Auditor = Annotated[Principal, Depends(_auditor)]


def install(app: FastAPI) -> None:
    """Add the routes under `/v1/audit`."""
    one_at_a_time = asyncio.Lock()  # a verification reads everything

    @app.get("/v1/audit/verify")
    async def verify_record(principal: Auditor, services: ServicesHere, deep: bool = False) -> dict[str, Any]:
        """Whether the whole record holds. `ok` is the answer; runs are named where they are the caller's tenant's."""
        async with one_at_a_time:
            return await asyncio.to_thread(_verified, services.settings, principal.tenant, deep)

    @app.get("/v1/audit/runs/{run_id}")
    async def evidence(run_id: str, principal: Auditor, services: ServicesHere) -> Response:
        """The evidence of a run as a zip file.

        It encloses prompts, outputs and answers when the caller is cleared for the highest class: a run's evidence
        holds text of whatever its asker could read.
        """
        bundle = await asyncio.to_thread(_bundle, services.settings, principal, run_id)
        headers = {"Content-Disposition": 'attachment; filename="evidence.zip"', "Cache-Control": "no-store"}
        return Response(bundle, media_type="application/zip", headers=headers)


def _verified(settings: Settings, tenant: str, deep: bool) -> dict[str, Any]:
    with open_record(settings) as database, open_custody(database, settings.home) as custody:
        found = verify(database, custody.keys, witness=custody.config.witness, deep=deep).as_json()
        for one in found["findings"]:
            if one["run_id"] is not None and not custody.events(tenant, one["run_id"]):
                one["run_id"] = None
    return found


def _bundle(settings: Settings, principal: Principal, run_id: str) -> bytes:
    cleared = principal.clearance == Classification.regulated
    with open_record(settings) as database, open_custody(database, settings.home) as custody:
        return export_bundle(custody, principal.tenant, run_id, lambda _: cleared)
