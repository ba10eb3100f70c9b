"""Runs for readers. Whether somebody may see a run the policy says; what was said in it, only who may read its sources.

A run that may not be seen is as if it were not there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from ingest.errors import BadInput
from orchestrator.runs.story import Line, story

if TYPE_CHECKING:
    from orchestrator.audit.chain import Event
    from orchestrator.audit.custody import Custody
    from orchestrator.policy.decisions import Policy
    from orchestrator.store.runs import RunRow, RunStore, Use
    from orchestrator.store.usage import CostPerGood, UsageStore
    from retrieval.access import Principal, ReadScope
    from retrieval.library import Library

WITHHELD: Final = "(not shown: it rests on a document that you may not read)"


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRun:
    """A run as one reader may see it."""

    row: RunRow
    uses: tuple[Use, ...]
    events: tuple[Event, ...]
    contents: Mapping[str, Any] = field(repr=False)  # artefacts by name, None for one that was erased
    readable: bool  # whether the contents are those of the record, and no stand-ins

    @property
    def story(self) -> list[Line]:
        """What happened, in plain words."""
        return story(self.events, self.contents)


class RunReader:
    """Reads runs of a principal's tenant."""

    def __init__(self, runs: RunStore, usage: UsageStore, custody: Custody, policy: Policy, library: Library) -> None:
        self._runs = runs
        self._usage = usage
        self._custody = custody
        self._policy = policy
        self._library = library

    async def page(self, principal: Principal, *, before: str | None = None, limit: int = 50) -> list[RunRow]:
        """Runs that the principal may see, newest first: all of the tenant, or their own."""
        everyone = self._may_see(principal, "")
        subject = None if everyone else principal.subject
        return await asyncio.to_thread(self._runs.page, principal.tenant, subject=subject, before=before, limit=limit)

    async def show(self, scope: ReadScope, run_id: str) -> ShownRun:
        """One run; raises BadInput when there is none that the scope's principal may see."""
        row = await asyncio.to_thread(self._runs.get, scope.tenant, run_id)
        if row is None or not self._may_see(scope.principal, row.subject):
            cause = "There is no such run, or you may not see it."
            raise BadInput(run_id, "no_such_run", cause, "See `groundwire runs list`.")
        uses = await asyncio.to_thread(self._runs.uses, run_id)
        events = await asyncio.to_thread(self._custody.events, scope.tenant, run_id)
        readable = await self._readable(scope, uses)
        contents = await asyncio.to_thread(self._contents, scope.tenant, events) if readable else _stand_ins(events)
        return ShownRun(row=row, uses=tuple(uses), events=tuple(events), contents=contents, readable=readable)

    def costs(self, principal: Principal, since: datetime, until: datetime) -> tuple[CostPerGood, ...]:
        """What good outputs of the tenant cost in this time (UTC); raises BadInput for whoever may not see all runs."""
        if not self._may_see(principal, ""):
            cause = "Costs are those of everybody's runs, which you may not see."
            raise BadInput(principal.subject, "not_allowed", cause, "Ask as somebody with the role auditor.")
        return self._usage.cost_per_good_output(principal.tenant, since, until)

    def _may_see(self, principal: Principal, subject: str) -> bool:
        resource = {"tenant": principal.tenant, "subject": subject}
        return self._policy.may(principal, "see_run", resource).allowed

    async def _readable(self, scope: ReadScope, uses: list[Use]) -> bool:
        places = {(use.id, int(use.version)) for use in uses if use.kind == "document"}
        return places == (await self._library.stored(scope, places)).keys()

    def _contents(self, tenant: str, events: list[Event]) -> dict[str, Any]:
        """By name, the last one where a name comes again."""
        found: dict[str, Any] = {}
        for event in events:
            for name, digest in event.artefacts.items():
                artefact = self._custody.artefact(tenant, digest)
                found[name] = artefact.json() if artefact else None
        return found


def _stand_ins(events: list[Event]) -> dict[str, Any]:
    return {name: WITHHELD for event in events for name in event.artefacts}
