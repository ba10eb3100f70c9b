"""The policy sets that were in force, with their texts: a change of policy is a version that can be read again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from orchestrator.store.tables import metadata

_versions = sa.Table(
    "policy_versions",
    metadata,
    sa.Column("version", sa.String(64), primary_key=True),
    sa.Column("files", sa.Text, nullable=False),  # JSON: text by name
)
_changes = sa.Table(
    "policy_changes",
    metadata,
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("version", sa.String(64), sa.ForeignKey("policy_versions.version"), nullable=False),
    sa.Column("changed_at", sa.String(32), nullable=False),  # ISO 8601, UTC
    sa.Column("changed_by", sa.Text, nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """A policy set, from the moment it came into force."""

    version: str  # hash of its files
    since: datetime  # UTC
    by: str  # who first ran with it: a subject or a service


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyChange:
    """The step from one set to another, as the audit tells it."""

    before: str | None  # None: the first one ever
    after: str
    changed: tuple[str, ...]  # names of files that differ, came or went, sorted


def changed_since_last(db: sa.Connection, version: str, files: Mapping[str, str]) -> PolicyChange | None:
    """What differs between the set that was last put in force and this one; None where it is the same."""
    before = _last(db)
    if before is not None and before.version == version:
        return None
    held = texts(db, before.version) if before else None
    names = {*files, *(held or {})}
    changed = sorted(name for name in names if (held or {}).get(name) != files.get(name))
    return PolicyChange(before=before.version if before else None, after=version, changed=tuple(changed))


def put_in_force(db: sa.Connection, version: str, files: Mapping[str, str], *, by: str, at: datetime) -> bool:
    """Keep the set and note that it is in force from now on; whether it was not before.

    To be called in the transaction that writes `policy_changed` to the audit, so that neither is there alone. `at` is
    UTC. Of two processes that start with the same new set, one notes it.
    """
    if db.dialect.name == "postgresql":
        db.execute(sa.text("LOCK TABLE policy_changes IN SHARE ROW EXCLUSIVE MODE"))  # SQLite's writer is alone anyway
    last = _last(db)
    if last is not None and last.version == version:
        return False
    if texts(db, version) is None:
        db.execute(sa.insert(_versions).values(version=version, files=json.dumps(dict(files), ensure_ascii=False)))
    db.execute(sa.insert(_changes).values(version=version, changed_at=at.isoformat(), changed_by=by))
    return True


def texts(db: sa.Connection, version: str) -> dict[str, str] | None:
    """The files of a version by name, as they stood then; None for one that was never in force."""
    found = db.execute(sa.select(_versions.c.files).where(_versions.c.version == version)).scalar_one_or_none()
    return None if found is None else dict(json.loads(found))


def history(db: sa.Connection, limit: int = 100) -> list[PolicyVersion]:
    """The sets that came into force, the newest first; one that came back stands there again."""
    rows = db.execute(sa.select(_changes).order_by(_changes.c.number.desc()).limit(limit))
    return [
        PolicyVersion(version=row.version, since=datetime.fromisoformat(row.changed_at), by=row.changed_by)
        for row in rows
    ]


def _last(db: sa.Connection) -> PolicyVersion | None:
    return next(iter(history(db, limit=1)), None)
