"""What is kept no longer than it may be: contents whose time is over, and all that is kept of a person.

Events of the record stay: they hold no content and no name, and the chain verifies without what they point to.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from ingest.tags import Classification
from orchestrator.store.audit import scrub

if TYPE_CHECKING:
    from orchestrator.governance import Governance
    from orchestrator.policy.decisions import RetentionRule

BATCH: Final = 500  # runs whose contents go in one transaction, so that no asker waits long for the record


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What an expiry deleted."""

    runs: int
    contents: int
    turns: int  # of conversations
    kept_answers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Erased:
    """What an erasure deleted."""

    contents: int
    runs: int  # that name the person no more
    turns: int
    kept_answers: int

    @property
    def nothing(self) -> bool:
        """Whether nothing was kept of the person."""
        return not (self.contents or self.runs or self.turns or self.kept_answers)


def expire(governance: Governance, now: datetime) -> Expired:
    """Delete the contents of runs whose time is over, as the policy says for the class of what they read.

    A run that never came to read anything, or never ended, counts as one over the strictest class. `now` is UTC. It may
    stop anywhere, and goes on when it is called again.
    """
    runs = contents = 0
    rules = {level.name: _days(governance.policy.retention(level)) for level in Classification}
    for name, days in [*rules.items(), (None, min(rules.values()))]:
        while due := governance.runs.due(name, now - timedelta(days=days), BATCH):
            for tenant, rows in groupby(sorted(due), key=itemgetter(0)):
                ids = [run_id for _, run_id in rows]
                contents += governance.custody.expire(tenant, ids)
                with governance.database.write() as db:
                    governance.runs.mark_expired(db, ids, now)
            runs += len(due)
    with governance.database.write() as db:
        turns, kept = governance.conversations.expire(db), governance.kept.expire(db)
    return Expired(runs=runs, contents=contents, turns=turns, kept_answers=kept)


def _days(rule: RetentionRule) -> int:
    """How long contents are kept; not at all where no more than facts may be."""
    return 0 if rule.keeps == "facts" else rule.days


def erase(governance: Governance, tenant: str, subject: str) -> Erased:
    """Delete all that is kept of a person: contents of their runs, conversations, kept answers, and their name.

    A run of theirs that is under way at this moment may note them anew: erase again when it has ended. Changes of
    prompts keep the name of who answers for them.
    """
    done = governance.custody.erase(tenant, subject)
    with governance.database.write() as db:
        erased = Erased(
            contents=done.artefacts,
            runs=governance.runs.forget(db, tenant, subject),
            turns=governance.conversations.erase(db, tenant, subject),
            kept_answers=governance.kept.erase(db, tenant, subject),
        )
    scrub(governance.database)  # deleted rows leave bytes in the database's files
    return erased
