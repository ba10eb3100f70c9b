"""What differs between what a run gave and what it would give now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from ingest.errors import BadInput
from retrieval.search import Found

if TYPE_CHECKING:
    from orchestrator.runs.reading import ShownRun

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


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedInputs:
    """What a run began with, as its record has it."""

    question: str
    earlier: tuple[str, ...]
    asked: str
    found: tuple[Found, ...]
    answer: Mapping[str, Any]
    model: str  # that answered


def recorded_inputs(shown: ShownRun) -> RecordedInputs:
    """The inputs of a run. Raises BadInput where they were erased, may not be read, or never were."""
    contents = shown.contents
    wanted = ("question", "earlier", "asked", "answer")
    if not shown.readable or any(contents.get(name) is None for name in wanted):
        cause = "What was asked and answered was erased, may not be read by you, or never came about."
        raise BadInput(shown.row.run_id, "not_replayable", cause, "Replay a run that was answered, as who may read it.")
    hits = next(event.facts["hits"] for event in shown.events if event.kind == "retrieved")
    return RecordedInputs(
        question=contents["question"],
        earlier=tuple(contents["earlier"]),
        asked=contents["asked"],
        found=tuple(Found(chunk_id=hit["chunk_id"], score=hit["score"], legs=hit["legs"]) for hit in hits),
        answer=contents["answer"],
        model=contents["answer"]["model"],
    )


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
