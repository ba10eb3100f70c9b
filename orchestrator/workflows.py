"""The workflows that people may start, as values: what each may cost, what it runs, and from when on it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

Risk = Literal["low", "medium", "high"]
RISKS: Final[tuple[Risk, ...]] = ("low", "medium", "high")


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """What a confidence, 0 to 1, leads to. Below `abstain` no answer; from `answer` on it goes out by itself.

    Between the two a stronger model is tried where there is one, then a person decides where `review` is set.
    """

    abstain: float = 0.5
    answer: float = 0.5
    review: bool = False  # whether what lies between goes to a person in place of "no answer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One way of working, from who may start it to where its result goes."""

    name: str
    title: str  # what it does, in plain words
    owner: str  # who answers for its rules
    version: str  # of this value; part of every run's record
    risk: Risk
    task: str  # what the routing of models knows it as
    prompt: str  # name in the prompt registry
    contract: str  # name of its output contract, in `orchestrator.egress.contracts`
    evidence_tokens: int  # most tokens of evidence in one prompt
    deadline_s: float  # for all model calls of one run together
    max_cost_usd: float  # reserved before the first call; the run never costs more
    queue: str  # where it waits for a person
    thresholds: Mapping[Risk, Thresholds] = field(default_factory=lambda: MappingProxyType({}))

    def threshold(self, risk: Risk | None = None) -> Thresholds:
        """What holds at this risk, by default the workflow's own."""
        return self.thresholds.get(risk or self.risk, Thresholds())


ASK: Final = Workflow(
    name="ask",
    title="Answer a question from documents that the asker may read",
    owner="support-knowledge",
    version="1.0.0",
    risk="low",
    task="grounded_answer",
    prompt="grounded-answer",
    contract="grounded_answer",
    evidence_tokens=3_000,
    deadline_s=30.0,
    max_cost_usd=0.05,
    queue="review",
    thresholds=MappingProxyType(
        {
            "low": Thresholds(),
            "medium": Thresholds(abstain=0.5, answer=0.7, review=True),
            "high": Thresholds(abstain=0.5, answer=0.9, review=True),
        }
    ),
)
WORKFLOWS: Final[Mapping[str, Workflow]] = MappingProxyType({ASK.name: ASK})
