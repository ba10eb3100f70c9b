"""What one run notes while it goes on: events for the audit, rows for lineage, times, attempts and flags.

Nothing leaves the house before the record of it is on disk: `keep` is awaited before a model outside is called, and
`finish` before an answer is given out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Final, cast

from orchestrator.contract import Usage
from orchestrator.store.runs import RunRow, RunStore, Use
from orchestrator.store.usage import RunOutcome, UsageStore
from orchestrator.telemetry.metrics import RunFacts

if TYPE_CHECKING:
    from orchestrator.audit.port import EventKind, Json, RunLog, Write
    from orchestrator.gateway.outcomes import Attempt
    from orchestrator.gateway.routes import Demand
    from orchestrator.ingress import Admitted
    from orchestrator.store.database import Connection
    from orchestrator.telemetry.metrics import Metrics, Outcome
    from orchestrator.telemetry.tracing import Scope, Tracing

KEPT: Final = "kept_answer"  # given before to the same asker over the same evidence, and verified again now


class RunNotes:
    """The record of one run. Used by one task."""

    def __init__(
        self,
        admitted: Admitted,
        log: RunLog,
        runs: RunStore,
        usage: UsageStore,
        tracing: Tracing,
        metrics: Metrics,
    ) -> None:
        self.admitted = admitted
        self.demand: Demand | None = None  # what models are asked for, as soon as that is known
        self.ends = 0.0  # of all model calls, by the gateway's clock; set with the demand
        self.attempts: list[Attempt] = []
        self.flags: dict[str, None] = {}  # of the way that the answer took, each once, in order
        self.tiers: dict[str, float] = {}  # seconds
        self._log = log
        self._runs = runs
        self._usage = usage
        self._metrics = metrics
        self.tracing = tracing
        self.span: Scope | None = None  # of the whole run, while it is open
        self._uses: list[Use] = []
        self._started = time.perf_counter()
        self._written = 0  # attempts that are on disk
        self._opened = False

    @contextmanager
    def tier(self, name: str) -> Iterator[None]:
        """Time spent in the block counts as the tier's."""
        began = time.perf_counter()
        try:
            with self.tracing.tier(name):
                yield
        finally:
            self.tiers[name] = self.tiers.get(name, 0.0) + time.perf_counter() - began

    def note(self, kind: EventKind, facts: Mapping[str, Json], artefacts: Mapping[str, Json] | None = None) -> None:
        """Add an event."""
        self._log.add(kind, facts, artefacts)

    def used(self, *uses: Use) -> None:
        """Remember what the run used."""
        self._uses += uses

    def flag(self, *flags: str) -> None:
        """Remember what the asker has to see."""
        self.flags.update(dict.fromkeys(flags))

    def attempted(self, attempts: Sequence[Attempt], outputs: Mapping[str, Json] | None = None) -> None:
        """Note the attempts of one call, the last of which gave these outputs."""
        for attempt in attempts:
            self.attempts.append(attempt)
            self.tracing.attempt(attempt)
            last = attempt is attempts[-1]
            self.note("model_attempt", _attempt_facts(attempt), outputs if last else None)
            self.used(Use(kind="model", id=attempt.route, version=attempt.model))

    async def keep(self) -> None:
        """All that was noted so far is on disk."""
        await self._log.flush(*self._writes())

    async def finish(self, row: RunRow, *writes: Write) -> None:
        """The run has ended, and all of it is on disk."""
        outcome = RunOutcome(
            run_id=row.run_id,
            tenant=row.tenant,
            workflow=row.workflow,
            route=row.route,
            good=row.status == "answered" and KEPT not in row.flags,  # one that is given again cost no call
            at=now(),
        )

        def write(db: Connection) -> None:
            self._runs.finish(db, row, self._uses)
            self._usage.finish(db, outcome)

        await self._log.flush(*self._writes(), write, *writes)
        self._metrics.observe_run(self._run_facts(row))
        if self.span is not None:
            self.span.outcome(row.status, row.route or "")

    @property
    def budget(self) -> Decimal:
        """The most that the run may cost, US dollars."""
        return Decimal(str(self.admitted.workflow.max_cost_usd))

    @property
    def next_attempt(self) -> int:
        """Number of the attempt that comes next."""
        return len(self.attempts) + 1

    @property
    def usage(self) -> Usage:
        """Tokens and money of all attempts."""
        return Usage(
            input_tokens=sum(attempt.usage.prompt for attempt in self.attempts),
            output_tokens=sum(attempt.usage.output for attempt in self.attempts),
            cost_usd=float(self.cost),
        )

    @property
    def cost(self) -> Decimal:
        """US dollars of all attempts."""
        return sum((attempt.cost for attempt in self.attempts), Decimal(0))

    @property
    def row(self) -> RunRow:
        """The run as it stands."""
        admitted = self.admitted
        return RunRow(
            run_id=admitted.run_id,
            tenant=admitted.principal.tenant,
            subject=admitted.principal.subject,
            workflow=admitted.workflow.name,
            workflow_version=admitted.workflow.version,
            started_at=admitted.started_at,
            cost_usd=self.cost,
        )

    def timings_ms(self) -> dict[str, float]:
        """Milliseconds by tier, and the whole."""
        whole = time.perf_counter() - self._started
        return {name: round(1e3 * seconds, 3) for name, seconds in {**self.tiers, "total": whole}.items()}

    def _run_facts(self, row: RunRow) -> RunFacts:
        return RunFacts(
            workflow=row.workflow,
            outcome="success" if row.status == "answered" else cast("Outcome", row.status),
            route=row.route or "",
            flags=row.flags,
            seconds=time.perf_counter() - self._started,
            tiers=self.tiers,
            attempts=self.attempts,
            repairs=sum(attempt.purpose == "repair" for attempt in self.attempts),
            kept=KEPT in row.flags,
        )

    def _writes(self) -> list[Write]:
        writes: list[Write] = []
        if not self._opened:
            self._opened = True
            row = self.row
            writes.append(lambda db: self._runs.start(db, row))
        fresh, demand = self.attempts[self._written :], self.demand
        if fresh and demand is not None:
            self._written = len(self.attempts)
            writes.append(lambda db: self._usage.add(db, demand, fresh))
        return writes


def now() -> datetime:
    """The present moment, UTC."""
    return datetime.now(UTC)


def _attempt_facts(attempt: Attempt) -> dict[str, Json]:
    return {
        "number": attempt.number,
        "purpose": attempt.purpose,
        "route": attempt.route,
        "provider": attempt.provider,
        "model": attempt.model,
        "outcome": attempt.outcome,
        "started_at": attempt.started_at.isoformat(),
        "seconds": round(attempt.seconds, 4),
        "input_tokens": attempt.usage.prompt,
        "output_tokens": attempt.usage.output,
        "cost_usd": str(attempt.cost),
        "priced_by": attempt.priced_by,
        "request_id": attempt.request_id,
        "status": attempt.status,
    }
