"""The whole story of a run in plain words, made from its record alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

ERASED: Final = "(erased)"


class Recorded(Protocol):
    """One event of a run, as the audit keeps it."""

    @property
    def kind(self) -> str:
        """What happened, as `orchestrator.audit.port.EventKind` has it."""
        ...

    @property
    def at(self) -> str:
        """When, UTC, ISO 8601."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """Ids, versions, counts and decisions."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One sentence of the story."""

    at: str  # UTC, ISO 8601
    tier: str
    text: str


def story(events: Sequence[Recorded], contents: Mapping[str, Any]) -> list[Line]:
    """The sentences, in order. `contents` holds the artefacts by name, None for one that was erased."""
    return [
        Line(at=event.at, tier=tier, text=sentence)
        for event in events
        for tier, tell in [_TELLERS.get(event.kind, ("record", _other))]
        for sentence in tell({**event.facts, "_kind": event.kind}, contents)
    ]


Teller = Callable[[Mapping[str, Any], Mapping[str, Any]], list[str]]


def _content(contents: Mapping[str, Any], name: str) -> str:
    value = contents.get(name)
    return ERASED if value is None else str(value)


def _started(facts: Mapping[str, Any], contents: Mapping[str, Any]) -> list[str]:
    roles = f" with the roles {', '.join(facts['roles'])}" if facts["roles"] else ""
    wanted = "the routing chose the model" if facts["model_wanted"] == "auto" else f"wanted {facts['model_wanted']}"
    return [
        f"Somebody{roles}, cleared for {facts['clearance']}, started {facts['workflow']} "
        f"{facts['workflow_version']}; {wanted}.",
        f"Allowed by {_named(facts['policies'])}, policies {_short(facts['policy_version'])}, code {facts['code']}.",
        f"Asked: {_content(contents, 'question')}",
    ]


def _refused(facts: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    return [f"Not allowed to start {facts['workflow']}: {facts['reason']} (policies {_short(facts['policy'])})."]


def _retrieved(facts: Mapping[str, Any], contents: Mapping[str, Any]) -> list[str]:
    documents = {(hit["document_id"], hit["version"]) for hit in facts["hits"]}
    lines = [f"Found {_many(len(facts['hits']), 'passage')} in {_many(len(documents), 'document')}."]
    if facts["completed"]:
        lines.insert(0, f"Put to the documents as: {_content(contents, 'asked')}")
    withheld = sum(hit["withheld"] for hit in facts["hits"])
    if withheld:
        lines.append(f"{_many(withheld, 'character')} that look like orders were withheld.")
    return lines


def _context(facts: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    lines = [
        f"Showed {_many(len(facts['sources']), 'source')}, about {facts['tokens']} tokens, at most "
        f"{facts['classification']}; {_many(len(facts['left_out']), 'stretch', 'stretches')} left out."
    ]
    if facts["older_editions_left_out"]:
        lines.append(f"Older editions did not count: {', '.join(facts['older_editions_left_out'])}.")
    if facts["placeholders"]:
        lines.append(f"{_many(facts['placeholders'], 'piece')} of personal data replaced by placeholders.")
    return lines


def _prompted(facts: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    return [
        f"Prompt {facts['name']} {facts['version']} ({facts['environment']}, {_short(facts['hash'])}), "
        f"contract {facts['contract']}."
    ]


def _attempt(facts: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    spent = ""
    if facts["input_tokens"] or facts["output_tokens"]:
        spent = f", {facts['input_tokens']} tokens in, {facts['output_tokens']} out, ${facts['cost_usd']}"
    purpose = "" if facts["purpose"] == "answer" else f" ({facts['purpose'].replace('_', ' ')})"
    outcome = facts["outcome"].replace("_", " ")
    return [f"Attempt {facts['number']}{purpose}: {facts['route']} ({facts['model']}): {outcome}{spent}."]


def _validated(facts: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    if facts["errors"]:
        kinds = ", ".join(f"{error['place']}: {error['kind']}" for error in facts["errors"][:5])
        return [f"The output was not valid ({kinds}), and did not leave."]
    dropped = f"; {_many(facts['dropped'], 'claim')} dropped" if facts["dropped"] else ""
    return [f"{_many(facts['claims'], 'claim')} verified against the stored text and supported{dropped}."]


def _judged(facts: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    kind = "calibrated" if facts["calibrated"] else "uncalibrated"
    return [f"Confidence {facts['score']:.2f} ({kind})."]


def _routed(facts: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    where = f" to the queue {facts['queue']}" if facts["queue"] else ""
    rule = f", rule {facts['rule']}" if facts["rule"] else ""
    return [f"Decision: {facts['outcome']}{where}{rule}. {facts['reason']}".rstrip()]


def _finished(facts: Mapping[str, Any], contents: Mapping[str, Any]) -> list[str]:
    if facts["status"] == "failed":
        return [f"Failed: {facts['error']}."]
    lines = [f"Ended as {facts['status']} after {facts['ms']['total']:.0f} ms for ${facts['cost_usd']}."]
    answer = contents.get("answer")
    if facts["status"] == "answered":
        lines.append(f"Answered: {answer['answer'] if isinstance(answer, Mapping) else ERASED}")
    places = {(c["document_id"], c["version"]) for c in facts["citations"]}
    lines += [f"Cited {document} version {number}." for document, number in sorted(places)]
    if facts["flags"]:
        lines.append(f"Flags: {', '.join(facts['flags'])}.")
    return lines


def _recalled(facts: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    return [f"Marked as recalled: {facts['because']}."]


def _other(facts: Mapping[str, Any], _: Mapping[str, Any]) -> list[str]:
    return [f"{str(facts['_kind']).replace('_', ' ').capitalize()}."]


_TELLERS: Final[Mapping[str, tuple[str, Teller]]] = {
    "run_started": ("ingress", _started),
    "refused": ("ingress", _refused),
    "retrieved": ("context", _retrieved),
    "context_assembled": ("context", _context),
    "prompted": ("prompt", _prompted),
    "model_attempt": ("model", _attempt),
    "validated": ("egress", _validated),
    "judged": ("routing", _judged),
    "routed": ("routing", _routed),
    "run_finished": ("routing", _finished),
    "document_recalled": ("record", _recalled),
}


def _many(count: int, one: str, more: str | None = None) -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def _named(names: Sequence[str]) -> str:
    return ", ".join(names) if names else "no policy"


def _short(digest: str) -> str:
    return digest[:12]
