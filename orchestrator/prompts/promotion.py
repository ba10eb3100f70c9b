"""Which version is live where, and how that may change: one step at a time, with who, when, why and what allowed it.

    dev ─► staging ─► prod      promote: the version that is live one step before
     ◄─      ◄─        ◄─       roll back: the version that was live here before, again and again

Decisions are pure functions of what is live; the store refuses a decision that was made on something else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from ingest.errors import BadInput
from orchestrator.prompts.rendering import ENVIRONMENTS, Environment

if TYPE_CHECKING:
    from orchestrator.audit.port import EventKind, Json
    from orchestrator.policy.decisions import Decision
    from orchestrator.prompts.definition import Prompt
    from retrieval.access import Principal

Kind = Literal["seeded", "promoted", "rolled_back"]
GATED: Final[Environment] = "prod"  # what real askers get


class PromotionRefused(BadInput):
    """The rules of promotion say no: nothing has changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What an evaluation report says of a prompt."""

    sha256: str  # of the report's bytes
    passed: bool  # its gate


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionRecord:
    """One change of what is live in an environment. Never altered once written."""

    kind: Kind
    name: str
    environment: Environment
    revision: int  # of this prompt in this environment, from 1
    version: str  # live from now on
    content_hash: str
    from_version: str | None  # live before
    from_hash: str | None
    parent: int | None  # revision that a rollback of this one goes back to
    tenant: str  # of whoever did it
    subject: str
    why: str
    at: datetime  # UTC
    evaluation: Evaluation | None = None  # that allowed it
    policies: tuple[str, ...] = ()  # that permitted it
    policy_version: str = ""

    @property
    def event(self) -> EventKind:
        """As what the audit notes it."""
        return "prompt_rolled_back" if self.kind == "rolled_back" else "prompt_promoted"

    def facts(self) -> dict[str, Json]:
        """What the audit notes of it."""
        return {
            "kind": self.kind,
            "name": self.name,
            "environment": self.environment,
            "revision": self.revision,
            "version": self.version,
            "content_hash": self.content_hash,
            "from_version": self.from_version,
            "from_hash": self.from_hash,
            "tenant": self.tenant,
            "subject": self.subject,
            "why": self.why,
            "at": self.at.isoformat(),
            "evaluation_sha256": self.evaluation.sha256 if self.evaluation else None,
            "evaluation_passed": self.evaluation.passed if self.evaluation else None,
            "policies": list(self.policies),
            "policy_version": self.policy_version,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Who wants a change, why, and the policy's permission for it."""

    principal: Principal
    why: str
    at: datetime
    decision: Decision


def read_evaluation(report: bytes, prompt: Prompt) -> Evaluation:
    """The outcome that a report states for this prompt.

    The report is JSON with `{"prompt": {"name", "version", "content_hash"?}, "gate": {"passed": true|false}}` among
    its other figures. Raises BadInput when it says neither, or speaks of another prompt.
    """
    step = "Evaluate this version, and give the report that the gate has judged."
    try:
        found: Any = json.loads(report)
        passed, about = found["gate"]["passed"], found["prompt"]
        named = (about["name"], about["version"], about.get("content_hash", prompt.content_hash))
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError) as error:
        cause = "The report does not state a prompt and the outcome of a gate."
        raise BadInput("evaluation", "bad_evaluation", cause, step) from error
    if not isinstance(passed, bool):
        raise BadInput("evaluation", "bad_evaluation", "The gate of the report neither passed nor failed.", step)
    if named != (prompt.name, prompt.version, prompt.content_hash):
        cause = f"The report is of another prompt than {prompt.label} ({prompt.content_hash[:12]})."
        raise BadInput("evaluation", "bad_evaluation", cause, step)
    return Evaluation(sha256=hashlib.sha256(report).hexdigest(), passed=passed)


def decide_promotion(
    live: Mapping[Environment, PromotionRecord],
    prompt: Prompt,
    to: Environment,
    wish: Wish,
    evaluation: Evaluation | None,
    *,
    evaluation_required: bool,
) -> PromotionRecord:
    """The record of bringing `prompt` into an environment, given what is live of it; raises PromotionRefused."""
    before = ENVIRONMENTS[ENVIRONMENTS.index(to) - 1] if to != ENVIRONMENTS[0] else None
    here, item = live.get(to), f"{prompt.label} to {to}"
    if here and here.content_hash == prompt.content_hash:
        raise PromotionRefused(item, "already_live", f"It is live in {to} already.", "There is nothing to do.")
    if before and (before not in live or live[before].content_hash != prompt.content_hash):
        cause = f"It is not live in {before}, and promotion takes one step at a time."
        raise PromotionRefused(item, "not_in_environment_before", cause, f"Promote it to {before} first.")
    if to == GATED and evaluation_required:
        _need_evaluation(evaluation, item)
    return _record("promoted", prompt.name, to, prompt.version, prompt.content_hash, here, wish, evaluation)


def decide_rollback(here: PromotionRecord, before: PromotionRecord, wish: Wish) -> PromotionRecord:
    """The record of going back from what is live to what was live before it."""
    back = _record("rolled_back", here.name, here.environment, before.version, before.content_hash, here, wish, None)
    return replace(back, parent=before.parent)


def _need_evaluation(evaluation: Evaluation | None, item: str) -> None:
    if evaluation is None:
        cause = f"Nothing comes to {GATED} without an evaluation."
        raise PromotionRefused(item, "evaluation_missing", cause, "Give the report with --evaluation.")
    if not evaluation.passed:
        cause = "The evaluation did not pass its gate."
        raise PromotionRefused(item, "evaluation_failed", cause, "Correct the prompt, as a new version.")


def _record(
    kind: Kind,
    name: str,
    environment: Environment,
    version: str,
    content_hash: str,
    here: PromotionRecord | None,
    wish: Wish,
    evaluation: Evaluation | None,
) -> PromotionRecord:
    return PromotionRecord(
        kind=kind,
        name=name,
        environment=environment,
        revision=here.revision + 1 if here else 1,
        version=version,
        content_hash=content_hash,
        from_version=here.version if here else None,
        from_hash=here.content_hash if here else None,
        parent=here.revision if here else None,
        tenant=wish.principal.tenant,
        subject=wish.principal.subject,
        why=wish.why,
        at=wish.at,
        evaluation=evaluation,
        policies=wish.decision.policies,
        policy_version=wish.decision.version,
    )
