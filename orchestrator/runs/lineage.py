"""From a document, a prompt or a model to the runs that used it; and taking back what rests on something wrong."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol

from ingest.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.audit.port import RunLog
    from orchestrator.policy.decisions import Policy
    from orchestrator.store.database import Connection
    from orchestrator.store.runs import Onward, RunRow, RunStore, UseKind
    from retrieval.access import Principal

KINDS: Final[tuple[UseKind, ...]] = ("document", "prompt", "model")


class TakeBack(Protocol):
    """Takes back what was kept of answers that a document was found for."""

    def __call__(
        self, db: Connection, tenant: str, document_id: str, version: int | None = None, *, because: str
    ) -> Sequence[object]:
        """Mark them; what was marked."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What a recall has marked."""

    runs: tuple[RunRow, ...]
    kept_answers: int  # that are not given out any more
    onward: tuple[Onward, ...]  # what had left already: people have to be told


class Lineage:
    """Finds and recalls runs for principals whom the policy lets see them."""

    def __init__(
        self, runs: RunStore, policy: Policy, open_log: Callable[[str, str, str], RunLog], take_back: TakeBack
    ) -> None:
        self._runs = runs
        self._policy = policy
        self._open_log = open_log
        self._take_back = take_back

    async def using(self, principal: Principal, kind: UseKind, name: str, version: str | None) -> list[RunRow]:
        """The runs of the principal's tenant that used the thing, oldest first, as far as they may be seen."""
        found = await asyncio.to_thread(self._runs.using, principal.tenant, kind, name, version)
        facts = [(row, {"tenant": row.tenant, "subject": row.subject}) for row in found]
        return [row for row, resource in facts if self._policy.may(principal, "see_run", resource).allowed]

    async def recall(self, principal: Principal, document: str, version: str | None, because: str) -> Recalled:
        """Mark every run that used the document, and take back what was kept of them.

        Raises BadInput where the policy does not let the principal recall, or where no reason is given.
        """
        if not because.strip():
            raise BadInput("--because", "no_reason", "A recall needs a reason.", "Say what is wrong with the document.")
        if version is not None and not version.isdecimal():
            raise BadInput("--version", "bad_version", "Versions of documents are numbers.", "Give 1 or more.")
        decision = self._policy.may(principal, "recall", {"tenant": principal.tenant, "subject": principal.subject})
        if not decision.allowed:
            raise BadInput(document, "not_allowed", decision.reason, "Ask somebody whose role may recall documents.")
        found = await asyncio.to_thread(self._runs.using, principal.tenant, "document", document, version)
        ids = [row.run_id for row in found]
        at = datetime.now(UTC)
        taken: list[object] = []

        def write(db: Connection) -> None:
            self._runs.mark_recalled(db, ids, at, because)
            number = int(version) if version is not None else None
            taken[:] = self._take_back(db, principal.tenant, document, number, because=because)

        log = self._open_log(str(uuid.uuid4()), principal.tenant, principal.subject)
        log.add(
            "document_recalled",
            {
                "document_id": document,
                "version": version,
                "because": because,
                "runs": len(ids),
                "policies": [*decision.policies],
            },
        )
        await log.flush(write)
        onward = await asyncio.to_thread(self._runs.onward, ids)
        return Recalled(runs=tuple(found), kept_answers=len(taken), onward=tuple(onward))
