"""The model tier and what judges it: ask, check, repair once, go elsewhere, escalate, conclude.

Cheap first: a stronger model is asked where the output looks doubtful. No model gets the same prompt again after an
invalid output: one repair turn that names what is wrong, then another route, then a person.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from ingest.tags import Integrity
from orchestrator.contract import Claim, Confidence, Route, Status
from orchestrator.egress.gate import Invalid, Validated, read_output, validate
from orchestrator.extractive import NAME as EXTRACTIVE
from orchestrator.gateway.gateway import FALLBACK
from orchestrator.gateway.outcomes import NotProduced, Produced
from orchestrator.judging import Judged, OutputJudge, judge_evidence
from orchestrator.routing import Approved, Escalate, Situation, route

if TYPE_CHECKING:
    from ingest.encoder import Encoder
    from orchestrator.audit.port import Json
    from orchestrator.confidence import Judge
    from orchestrator.gateway.gateway import Gateway
    from orchestrator.gateway.routes import Demand
    from orchestrator.kept_answers import KeptAnswer
    from orchestrator.policy.decisions import Policy
    from orchestrator.prompts.rendering import Prompted
    from orchestrator.run_notes import RunNotes
    from orchestrator.second_looks import SecondLooks
    from orchestrator.weighing import Weighed
    from retrieval.library import Library

REPAIRED: Final = "output_repaired"  # the model's first output was not valid
ESCALATED: Final = "model_escalated"  # a stronger model was asked, because the first one's output was doubtful
INVALID: Final = "output_invalid"  # nothing that a model gave could be verified: a person decides
KEPT_RULE: Final = "route-kept-answer"  # what was answered before to the same still holds
_STATUS: Final[dict[str, Status]] = {
    "answer": "answered",
    "act": "answered",
    "abstain": "abstained",
    "review": "in_review",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Concluded:
    """What came of asking models."""

    status: Status
    model: str  # the route that answered; where there was no output, the one that was wanted
    routed: Route
    approved: Approved | None = None
    kept: KeptAnswer | None = None  # what was answered before, in place of an output
    dropped: bool = False  # whether something of the output was left out

    @property
    def claims(self) -> tuple[Claim, ...]:
        """What the answer says; nothing unless it is one."""
        if self.kept is not None:
            return self.kept.verified.claims
        return self.approved.validated.claims if self.approved and self.approved.outcome == "answer" else ()

    @property
    def rule(self) -> str | None:
        """Id of the rule that decided, as `workflows explain` lists it; None where there was nothing to decide on."""
        return KEPT_RULE if self.kept is not None else self.approved.rule if self.approved else None

    @property
    def confidence(self) -> Confidence | None:
        """In the output, or in what was kept of an earlier one; None where there is neither."""
        found = self.approved or self.kept
        return found.confidence if found else None

    @property
    def prompt(self) -> Prompted | None:
        """What a model outside was given; None where the answer comes from none."""
        return self.approved.validated.produced.prompted if self.approved and self.model != EXTRACTIVE else None


class Interaction:
    """Runs the model tier for one prompt at a time. Stateless."""

    def __init__(
        self,
        gateway: Gateway,
        library: Library,
        encoder: Encoder,
        policy: Policy,
        output_judge: OutputJudge,
        second_looks: SecondLooks,
    ) -> None:
        self._gateway = gateway
        self._library = library
        self._encoder = encoder
        self._policy = policy
        self._output_judge = output_judge
        self._second_looks = second_looks

    async def conclude(
        self,
        notes: RunNotes,
        prompted: Prompted,
        weighed: Weighed,
        *,
        judge: Judge,
        withheld: bool,
    ) -> Concluded:
        """Come to an outcome; `withheld` says that a person has to see it, because screening kept text back."""
        otherwise: Concluded | None = None
        demand = notes.demand
        assert demand is not None
        while True:
            produced = await self._produced(notes, prompted, demand)
            if isinstance(produced, NotProduced):
                return _settled(notes, otherwise) if otherwise else _without_output(notes, produced, demand)
            checked = await self._checked(notes, produced)
            if isinstance(checked, Invalid) and checked.repairable and produced.route != EXTRACTIVE:
                checked = await self._repaired(notes, checked, demand)
            if isinstance(checked, Invalid):
                otherwise = otherwise or _invalid(notes, checked)
                if demand.route is not None or produced.route == EXTRACTIVE:
                    return _settled(notes, otherwise)
                demand = replace(demand, without=demand.without | {produced.route})
                continue
            if demand.without:
                notes.flag(FALLBACK)
            judged = await self._judged(notes, checked, weighed, demand, judge)
            stronger = demand.route is None and self._gateway.stronger(demand, checked.produced.level)
            decided = self._decided(notes, checked, judged, demand, withheld=withheld, stronger=stronger)
            if isinstance(decided, Approved):
                return _concluded(decided)
            notes.flag(ESCALATED)
            settled = self._decided(notes, checked, judged, demand, withheld=withheld, stronger=False)
            assert isinstance(settled, Approved)
            otherwise = _concluded(settled)
            demand = replace(demand, above_level=checked.produced.level)

    async def _produced(self, notes: RunNotes, prompted: Prompted, demand: Demand) -> Produced | NotProduced:
        """One call of the gateway. What will be sent is on record before it is sent."""
        with notes.tier("model"):
            produced = await self._gateway.produce(
                prompted,
                demand,
                ends=notes.ends,
                budget=notes.budget,
                number_from=notes.next_attempt,
                purpose="escalation" if ESCALATED in notes.flags else "answer",
                before_send=notes.keep,
            )
            notes.attempted(produced.attempts, _output(produced))
        notes.flag(*produced.flags)
        return produced

    async def _repaired(self, notes: RunNotes, invalid: Invalid, demand: Demand) -> Validated | Invalid:
        """The one repair turn."""
        with notes.tier("model"):
            produced = await self._gateway.repair(
                invalid.produced,
                invalid.errors,
                demand,
                ends=notes.ends,
                budget=notes.budget,
                number_from=notes.next_attempt,
                before_send=notes.keep,
            )
            notes.attempted(produced.attempts, _output(produced))
        notes.flag(*produced.flags)
        if isinstance(produced, NotProduced):
            return invalid
        checked = await self._checked(notes, produced)
        if isinstance(checked, Validated):
            notes.flag(REPAIRED)
        return checked

    async def _checked(self, notes: RunNotes, produced: Produced) -> Validated | Invalid:
        """What of an output may leave, against the texts that the asker may read at this moment."""
        with notes.tier("egress"):
            parsed = read_output(produced)
            checked: Validated | Invalid
            if isinstance(parsed, Invalid):
                checked = parsed
            else:
                rows = await self._library.stored(notes.admitted.scope, parsed.needed)
                stored = {place: row.text for place, row in rows.items()}
                checked = await asyncio.to_thread(validate, parsed, stored, encoder=self._encoder)
        notes.note("validated", _validated_facts(checked))
        return checked

    async def _judged(
        self, notes: RunNotes, checked: Validated, weighed: Weighed, demand: Demand, judge: Judge
    ) -> Judged:
        if checked.produced.route == EXTRACTIVE:
            judged = judge_evidence(weighed.judged, judge)
        else:
            looks = await self._second_looks.take(notes, checked, demand, self._checked)
            judged = self._output_judge.judge(
                checked,
                weighed.judged,
                risk=demand.risk,
                least=notes.admitted.workflow.threshold(demand.risk).abstain,
                conflict=bool(weighed.disagreements(checked.claims)),
                repaired=REPAIRED in notes.flags,
                critique=looks.critique,
                agreement=looks.agreement,
            )
        notes.note(
            "judged",
            {
                "score": judged.confidence.score,
                "calibrated": judged.confidence.calibrated,
                "signals": dict(judged.confidence.signals),
                "threshold": judged.threshold,
                "rule": judged.rule,
            },
        )
        notes.flag(*judged.flags)
        return judged

    def _decided(
        self, notes: RunNotes, checked: Validated, judged: Judged, demand: Demand, *, withheld: bool, stronger: bool
    ) -> Approved | Escalate:
        workflow = notes.admitted.workflow
        sources = [Integrity[citation.integrity] for claim in checked.claims for citation in claim.citations]
        facts: dict[str, bool | int | str] = {
            "lowest_integrity": min(sources, default=Integrity.reviewed).name,
            "classification": demand.classification.name,
            "cost_cents": int(100 * notes.cost),
            "acts": False,
        }
        approval = self._policy.approval(workflow, demand.risk, facts)
        decided = route(
            checked, judged, workflow, demand.risk, approval, Situation(withheld=withheld, stronger=stronger)
        )
        notes.note(
            "routed",
            {
                "outcome": decided.outcome if isinstance(decided, Approved) else "escalate",
                "rule": decided.rule,
                "threshold": decided.threshold,
                "reason": decided.reason,
                "queue": decided.queue if isinstance(decided, Approved) else None,
                "policies": [*approval.decision.policies],
            },
        )
        return decided


def _concluded(approved: Approved) -> Concluded:
    produced = approved.validated.produced
    outcome = approved.outcome
    return Concluded(
        status=_STATUS[outcome],
        model=produced.route,
        routed=Route(decision=outcome, queue=approved.queue),
        approved=approved,
        dropped=bool(approved.validated.dropped),
    )


def _invalid(notes: RunNotes, invalid: Invalid) -> Concluded:
    """Sentences that could not be kept are no answer; what another model made of the sources a person has to see."""
    model, dropped = invalid.produced.route, bool(invalid.dropped)
    if model == EXTRACTIVE:
        return Concluded(status="abstained", model=model, routed=Route(decision="abstain"), dropped=dropped)
    routed = Route(decision="review", queue=notes.admitted.workflow.queue)
    return Concluded(status="in_review", model=model, routed=routed, dropped=dropped)


def _settled(notes: RunNotes, concluded: Concluded) -> Concluded:
    """What is left when no further model gave anything of use; one that was approved is on record as routed already."""
    if concluded.approved is None:
        if concluded.status == "in_review":
            notes.flag(INVALID)
        notes.note("routed", _routed_facts(concluded.routed, "Nothing that a model gave could be verified."))
    return concluded


def _without_output(notes: RunNotes, missing: NotProduced, demand: Demand) -> Concluded:
    notes.flag(f"no_output_{missing.reason}")
    notes.note("routed", {**_routed_facts(Route(decision="abstain"), missing.detail), "outcome": "refused"})
    return Concluded(status="refused", model=demand.route or "auto", routed=Route(decision="abstain"))


def _routed_facts(routed: Route, reason: str) -> dict[str, Json]:
    """A decision that no rule of the routing made."""
    return {
        "outcome": routed.decision,
        "rule": None,
        "threshold": None,
        "reason": reason,
        "queue": routed.queue,
        "policies": [],
    }


def _output(produced: Produced | NotProduced) -> dict[str, Json]:
    return {"output": produced.text} if isinstance(produced, Produced) else {}


def _validated_facts(checked: Validated | Invalid) -> dict[str, Json]:
    errors = checked.errors if isinstance(checked, Invalid) else ()
    return {
        "claims": len(checked.claims) if isinstance(checked, Validated) else 0,
        "support": list(checked.support) if isinstance(checked, Validated) else [],
        "dropped": len(checked.dropped),
        "warnings": [one.rule or one.kind for one in checked.warnings] if isinstance(checked, Validated) else [],
        "errors": [{"place": one.place, "kind": one.kind, "rule": one.rule} for one in errors],
    }
