"""What differs between what a run gave and what it would give now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

ASPECTS: Final = ("status", "answer", "claims", "confidence", "flags", "model", "prompt")
Aspect = Literal["status", "answer", "claims", "confidence", "flags", "model", "prompt"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not as it was."""

    aspect: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """A run that was done again from its recorded inputs."""

    run_id: str  # of the run that was replayed
    replay_id: str  # under which doing it again is recorded
    unread: tuple[str, ...]  # ids of chunks that were found then and cannot be read now
    differences: tuple[Difference, ...]

    @property
    def same(self) -> bool:
        """Whether the same came out of the same."""
        return not self.differences and not self.unread


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[Difference, ...]:
    """The differences of two answers, as their JSON has it; run ids, times and usage are always other ones."""
    pairs = ((aspect, _seen(before, aspect), _seen(after, aspect)) for aspect in ASPECTS)
    return tuple(Difference(aspect=aspect, before=old, after=new) for aspect, old, new in pairs if old != new)


def _seen(answer: Mapping[str, Any], aspect: str) -> Any:
    value = answer.get(aspect)
    if aspect == "claims":
        return [_claim(claim) for claim in value or []]
    if aspect == "confidence":
        return value["score"] if value else None
    return value


def _claim(claim: Mapping[str, Any]) -> dict[str, Any]:
    cited: Sequence[Mapping[str, Any]] = claim["citations"]
    return {
        "text": claim["text"],
        "citations": [f"{c['document_id']} version {c['version']} [{c['start']}:{c['end']}]" for c in cited],
    }
