"""What a policy is asked, and what it says: the port that the tiers depend on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from ingest.tags import Classification
from orchestrator.workflows import Risk, Workflow
from retrieval.access import Principal

Action = Literal[
    "start",
    "route_model",
    "call_tool",
    "go_on",  # a result, without a person
    "approve",
    "see_run",
    "see_audit",
    "recall",
    "promote_prompt",
    "rollback_prompt",
    "erase",
]
Keeps = Literal["contents", "facts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One answer of the policy. What is not permitted is denied, and so is whatever met an error."""

    allowed: bool
    action: Action
    policies: tuple[str, ...]  # ids of the policies that decided, sorted; empty where none permitted
    version: str  # of the policy set: a hash of its files
    reason: str  # one sentence for people, naming the policy
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteFacts:
    """What the policy knows of a model route."""

    name: str
    provider: str
    model: str
    region: str  # where the data is processed; "local" is this machine
    in_process: bool  # nothing leaves this process
    retains_data: bool  # the provider may keep what it was sent (batches, no agreement on zero retention)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What the policy knows of the data that a call would send."""

    classification: Classification  # the highest of all that is sent
    regions: frozenset[str] = frozenset()  # of documents that must stay in a region; empty: none must
    personal_data: frozenset[str] = frozenset()  # types that are still readable in it, after redaction


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRule:
    """How long what a run leaves behind is kept."""

    days: int
    policy: str  # id of the rule
    keeps: Keeps = "contents"  # or no more than ids, versions, counts and hashes


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Whether a person must decide before a result goes on."""

    needed: bool
    roles: frozenset[str] = field(default_factory=frozenset)  # any of them may decide; empty where none is needed
    decision: Decision


class Policy(Protocol):
    """Decides. Never raises for a question: an error denies, and the decision names it."""

    @property
    def version(self) -> str:
        """Hash of the policy set in force."""
        ...

    def may_start(self, principal: Principal, workflow: Workflow) -> Decision:
        """Whether the principal may start the workflow."""
        ...

    def may_route(self, workflow: Workflow, route: RouteFacts, data: DataFacts) -> Decision:
        """Whether data like this may go to the route."""
        ...

    def may_call(self, principal: Principal, workflow: Workflow, tool: str) -> Decision:
        """Whether the principal's run of the workflow may call the tool."""
        ...

    def may(self, principal: Principal, action: Action, resource: Mapping[str, str]) -> Decision:
        """Whether the principal may do something with a prompt, a run or a person's data; `resource` holds its facts.

        For `see_run`, `see_audit`, `recall` and `erase` these are `tenant` and `subject`; for prompts `name` and
        `environment`; for `approve` `workflow`, `risk` and the facts of `approval`.
        """
        ...

    def approval(self, workflow: Workflow, risk: Risk, facts: Mapping[str, bool | int | str]) -> Approval:
        """Whether a person must see the result first.

        `facts`: `acts` (a tool would do something), `classification` and `lowest_integrity` (names or numbers),
        `cost_cents`. The worst is assumed of what is not given.
        """
        ...

    def retention(self, classification: Classification) -> RetentionRule:
        """How long the artefacts of a run over data of this class are kept."""
        ...
