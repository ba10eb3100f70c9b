"""What happens with text that looks like an order, by how sure the screener is, its kind, and what it is read for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, ConfigDict

from ingest.screening import Kind
from ingest.tags import Classification

Use = Literal["answer", "action"]  # what the text is read for: to say something, or to have a tool do something
Action = Literal[
    "flag",  # kept; the answer says so
    "mask",  # replaced by a visible mark of the same length
    "strip",  # replaced by white space of the same length
    "review",  # withheld, and the answer waits for a person
    "quarantine",  # every passage of the document is withheld
]


def _classification(value: object) -> Classification | None:
    return None if value is None else Classification.parse(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningRule:
    """An action for findings that meet all of its conditions; one that is not named is met."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # a mistyped condition would be none

    action: Action
    kind: Kind | None = None
    classification: Annotated[Classification | None, BeforeValidator(_classification)] = None  # from this one up
    use: Use | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreeningPolicy:
    """The action for each finding. Scores are shares of clean documents, so the thresholds are false alarms wanted.

    Stripping is the default everywhere: it costs a clean document that is taken for another one sentence or so, while
    a document put aside, or an answer that waits, costs its readers all of it. Who wants that writes a rule.
    """

    act: float = 0.99  # score from which a rule acts: in about 1 of 100 clean documents something is withheld
    flag: float = 0.95  # score from which a finding is shown beside text that stays, in a document without a surer one
    rules: tuple[ScreeningRule, ...] = ()  # the first that is met decides; strip where none is
    screener: str | None = None  # id of the screener in service; what another one screened is flagged

    def action(
        self, kind: Kind, score: float, classification: Classification, use: Use, *, peak: float = 0.0
    ) -> Action | None:
        """What happens with a finding; None where it is too weak for anything.

        `peak` is the highest score in its document: where that is enough to act, the document gets no benefit of the
        doubt, and what would be flagged elsewhere is acted on too. That costs no clean document that lost nothing yet.
        """
        if score < self.flag:
            return None
        if max(score, peak) < self.act:
            return "flag"
        for rule in self.rules:
            if (
                rule.kind in (None, kind)
                and (rule.classification is None or rule.classification <= classification)
                and rule.use in (None, use)
            ):
                return rule.action
        return "strip"
