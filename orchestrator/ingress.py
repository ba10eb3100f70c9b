"""The first gate: who asks, whether they may, and under which id it is recorded."""

from __future__ import annotations

import uuid
from dataclasses import InitVar, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ingest.errors import BadInput
from retrieval.sealed import Seal, Sealed

if TYPE_CHECKING:
    from orchestrator.policy.decisions import Decision, Policy
    from orchestrator.workflows import Workflow
    from retrieval.access import Principal, ReadScope

_SEAL: Final = Seal("orchestrator.ingress.admit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted(Sealed):
    """A run that may begin. Made by `admit` alone."""

    run_id: str
    workflow: Workflow
    principal: Principal
    scope: ReadScope
    decision: Decision
    started_at: datetime  # UTC
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)


class NotAllowed(BadInput):
    """The policy does not let this principal start this workflow."""

    run_id: str = ""  # under which the refusal is recorded


def admit(principal: Principal, scope: ReadScope, workflow: Workflow, policy: Policy) -> Admitted:
    """Let a run begin; raises NotAllowed with the reason of the policy."""
    run_id = str(uuid.uuid4())
    decision = policy.may_start(principal, workflow)
    if not decision.allowed:
        step = "Ask whoever owns the policies for a role that may start it, or ask as somebody who has one."
        refusal = NotAllowed(workflow.name, "not_allowed", decision.reason, step)
        refusal.run_id = run_id
        raise refusal
    return Admitted(
        run_id=run_id,
        workflow=workflow,
        principal=principal,
        scope=scope,
        decision=decision,
        started_at=datetime.now(UTC),
        seal=_SEAL,
    )
