"""The last gate: what happens with a validated output. A router takes nothing else, and only it makes an `Approved`.

Pure: the same output, judgement and situation go the same way. The rules are tried in the order of `RULES`; the first
that fits decides, and its id is in the record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import InitVar, dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal

from orchestrator.contract import Confidence
from orchestrator.egress.gate import Validated
from retrieval.sealed import Seal, Sealed

if TYPE_CHECKING:
    from orchestrator.judging import Judged, Sign
    from orchestrator.policy.decisions import Approval
    from orchestrator.workflows import Risk, Thresholds, Workflow

Outcome = Literal["answer", "abstain", "escalate", "review", "act"]
Settled = Literal["answer", "abstain", "review", "act"]

_SEAL: Final = Seal("orchestrator.routing.route")


@dataclass(frozen=True, slots=True, kw_only=True)
class Approved(Sealed):
    """A validated output with where it goes. Made by `route` alone."""

    validated: Validated
    outcome: Settled
    confidence: Confidence
    queue: str | None  # where it waits for a person
    rule: str  # id of the rule that decided, as `workflows explain` lists it
    threshold: float | None  # that the score was held against
    reason: str  # one sentence for people
    roles: frozenset[str] = frozenset()  # any of them may decide about what waits; empty: whoever works the queue
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalate:
    """A stronger model is to be asked before anything is decided."""

    validated: Validated
    confidence: Confidence
    rule: str
    threshold: float | None
    reason: str  # one sentence for people
    sign: Sign  # what about the output asks for it


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the router has to know besides the output."""

    withheld: bool = False  # screening kept text back that a person has to see first
    stronger: bool = False  # a stronger route is there, may be used, and was not tried
    acts: bool = False  # a tool would do something with the result, in place of words that somebody reads


# The rules, in the order in which they are tried: id and what it does, as `workflows explain` prints it.
RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "route-withheld": "A person decides where screening kept text back for one.",
        "route-nothing-to-say": "No answer where the sources hold none, or no claim was left.",
        "route-escalate": "A stronger model is asked where the evidence carries the question, but the output shows "
        "doubt, a contradiction, claims that could not be kept, or a score below that of an answer.",
        "route-floor": "No answer below the least score: what labels taught, else the threshold of the evidence where "
        "the extractive model answers, and `abstain` where another one does.",
        "route-band-review": "A person decides between the least score and that of an answer.",
        "route-band-abstain": "No answer between the least score and that of an answer, where nobody reviews.",
        "route-approval": "A person decides where a policy wants one.",
        "route-act": "A tool acts where the score is that of an answer and no policy wants a person.",
        "route-answer": "The answer goes out by itself.",
    }
)


def route(
    validated: Validated,
    judged: Judged,
    workflow: Workflow,
    risk: Risk,
    approval: Approval,
    situation: Situation | None = None,
) -> Approved | Escalate:
    """Where a validated output goes. `risk` is the run's, at least the workflow's own; TypeError for anything else.

    `approval` is what the policy says of giving this result out, or of acting on it.
    """
    if not isinstance(validated, Validated):
        raise TypeError(f"A router takes a Validated, and nothing else: not a {type(validated).__name__}.")
    case = _Case(
        validated=validated,
        judged=judged,
        workflow=workflow,
        limits=workflow.threshold(risk),
        approval=approval,
        situation=situation or Situation(),
    )
    return next(found for rule in _ORDER if (found := rule(case)) is not None)


def to_escalate(judged: Judged, limits: Thresholds) -> Sign | None:
    """What about an output asks for a stronger model; None where nothing does, or where it would not help.

    Cheap first: the output decides, not the question. Where the evidence itself does not carry the question, a stronger
    model would read the same evidence, so it is not asked.
    """
    if not judged.evidence_carries:
        return None
    if judged.signs:
        return judged.signs[0]
    return "low_score" if not judged.carries or _below(judged, limits) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    validated: Validated
    judged: Judged
    workflow: Workflow
    limits: Thresholds
    approval: Approval
    situation: Situation

    def settled(
        self,
        outcome: Settled,
        rule: str,
        reason: str,
        threshold: float | None = None,
        roles: frozenset[str] = frozenset(),
    ) -> Approved:
        """The case closed by a rule."""
        return Approved(
            validated=self.validated,
            outcome=outcome,
            confidence=self.judged.confidence,
            queue=self.workflow.queue if outcome == "review" else None,
            rule=rule,
            threshold=threshold,
            reason=reason,
            roles=roles,
            seal=_SEAL,
        )

    @property
    def score(self) -> str:
        """As reasons print it."""
        return f"The confidence of {self.judged.confidence.score:.2f}"


def _below(judged: Judged, limits: Thresholds) -> bool:
    """Whether the score is in the band below an answer. Without a band the least score alone decides."""
    return limits.answer > limits.abstain and judged.confidence.score < limits.answer


def _withheld(case: _Case) -> Approved | None:
    if not case.situation.withheld:
        return None
    return case.settled("review", "route-withheld", "Screening kept text back that a person has to see first.")


def _nothing_to_say(case: _Case) -> Approved | None:
    if case.validated.claims and getattr(case.validated.output, "answerable", True):
        return None
    return case.settled("abstain", "route-nothing-to-say", "The sources hold no answer that could be carried by them.")


_SIGNS: Final[Mapping[Sign, str]] = MappingProxyType(
    {
        "hedging": "The output speaks in words of doubt that its sources do not have",
        "contradiction": "The output is contradicted",
        "failed_support": "Claims of the output could not be kept",
        "critique": "The model holds claims of its own output to be unsupported",
        "disagreement": "A second model says otherwise",
        "low_score": "The score is below that of an answer",
    }
)


def _escalate(case: _Case) -> Escalate | None:
    sign = to_escalate(case.judged, case.limits) if case.situation.stronger else None
    if sign is None:
        return None
    return Escalate(
        validated=case.validated,
        confidence=case.judged.confidence,
        rule="route-escalate",
        threshold=max(case.limits.answer, case.judged.threshold) if sign == "low_score" else None,
        reason=f"{_SIGNS[sign]}, so a stronger model is asked.",
        sign=sign,
    )


def _floor(case: _Case) -> Approved | None:
    if case.judged.carries:
        return None
    least = case.judged.threshold
    reason = f"{case.score} does not reach the least score of {least:.2f}."
    return case.settled("abstain", "route-floor", reason, least)


def _band(case: _Case) -> Approved | None:
    if not _below(case.judged, case.limits):
        return None
    reason = f"{case.score} does not reach the {case.limits.answer:.2f} of an answer"
    if case.limits.review:
        return case.settled("review", "route-band-review", f"{reason}, so a person decides.", case.limits.answer)
    return case.settled("abstain", "route-band-abstain", f"{reason}.", case.limits.answer)


def _approval(case: _Case) -> Approved | None:
    if not case.approval.needed:
        return None
    return case.settled("review", "route-approval", case.approval.decision.reason, roles=case.approval.roles)


def _out(case: _Case) -> Approved:
    least = max(case.limits.answer, case.judged.threshold) if _has_band(case.limits) else case.judged.threshold
    reason = f"{case.score} reaches the {least:.2f} that it takes."
    if case.situation.acts:
        return case.settled("act", "route-act", reason, least)
    return case.settled("answer", "route-answer", reason, least)


def _has_band(limits: Thresholds) -> bool:
    return limits.answer > limits.abstain


_ORDER: Final[tuple[Callable[[_Case], Approved | Escalate | None], ...]] = (
    _withheld,
    _nothing_to_say,
    _escalate,
    _floor,
    _band,
    _approval,
    _out,
)
