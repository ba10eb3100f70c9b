"""What the tiers write to the record of a run, and the order they must keep: first on disk, then out of the house."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from orchestrator.store.database import Connection

EventKind = Literal[
    "run_started",  # ingress: who, which workflow, which decision
    "refused",  # ingress: a policy or a quota said no
    "retrieved",  # context: which chunks of which versions, with scores; the screening's and the policy's versions
    "context_assembled",  # context: what is shown, what was left out and why, what was redacted (counts by type)
    "prompted",  # prompt: name, version, hash; the filled-in prompt is the artefact
    "model_attempt",  # gateway: each attempt with tokens, cost, outcome; the output is the artefact
    "validated",  # egress: claims kept and dropped, rules, repairs
    "judged",  # confidence: score, signals, rule or calibration version
    "routed",  # answer, abstain, review, act: the rule, the threshold, who decides
    "run_finished",  # status; the answer is the artefact
    "policy_changed",
    "prompt_promoted",
    "prompt_rolled_back",
    "setting_changed",
    "document_recalled",
    "subject_erased",
    "contents_expired",  # the artefacts of the run were kept as long as its retention says
    "sent_onward",  # to a system, a tool or a person outside
]
Json = str | int | float | bool | None | Sequence["Json"] | Mapping[str, "Json"]
Write = Callable[["Connection"], None]  # another store's write that must share the transaction


class RunLog(Protocol):
    """The record of one run. Used by one task."""

    def add(self, kind: EventKind, facts: Mapping[str, Json], artefacts: Mapping[str, Json] | None = None) -> None:
        """Note an event. `facts` hold ids, versions, counts, hashes and decisions, never content.

        `artefacts` are the contents, by name: they are stored encrypted under the key of the run's subject, and the
        event holds a salted hash of each.
        """
        ...

    async def flush(self, *writes: Write) -> None:
        """All that was noted is in the chain and on disk, and so are `writes`, in one transaction.

        To be awaited before anything leaves the house (a model call, an answer). Concurrent runs share a commit.
        """
        ...


class SubjectCipher(Protocol):
    """Encrypts what belongs to a person, so that deleting their key erases it everywhere."""

    def encrypt(self, tenant: str, subject: str, plain: bytes) -> bytes:
        """Authenticated, under a key that is made on first use."""
        ...

    def decrypt(self, tenant: str, subject: str, sealed: bytes) -> bytes | None:
        """None when the key was deleted. Raises ValueError when the bytes were altered."""
        ...
