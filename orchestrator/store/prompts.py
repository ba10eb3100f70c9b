"""Prompts as they ran, by the hash of their content, and which of them is live where. Rows are added, never altered."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from ingest.errors import DependencyDown
from orchestrator.prompts.definition import BadPrompt, Prompt, content_hash
from orchestrator.prompts.promotion import Evaluation, PromotionRecord, PromotionRefused
from orchestrator.prompts.rendering import Environment
from orchestrator.store.database import Connection, Database
from orchestrator.store.tables import metadata

Also = Callable[[Connection, PromotionRecord], None]  # a write that shares the transaction: the audit's

_INSERTS: Final[Mapping[str, Callable[[sa.Table], Any]]] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}

_contents = sa.Table(
    "prompt_contents",
    metadata,
    sa.Column("content_hash", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(60), nullable=False),
    sa.Column("version", sa.String(20), nullable=False),
    sa.Column("files", sa.Text, nullable=False),  # JSON object: name to text
    sa.Column("recorded_at", sa.String(32), nullable=False),  # UTC, ISO 8601
    sa.UniqueConstraint("name", "version"),  # a version never gets another content
)
_promotions = sa.Table(
    "prompt_promotions",
    metadata,
    sa.Column("name", sa.String(60), primary_key=True),
    sa.Column("environment", sa.String(10), primary_key=True),
    sa.Column("revision", sa.Integer, primary_key=True),  # the highest one is live
    sa.Column("kind", sa.String(20), nullable=False),
    sa.Column("version", sa.String(20), nullable=False),
    sa.Column("content_hash", sa.ForeignKey("prompt_contents.content_hash"), nullable=False),
    sa.Column("from_version", sa.String(20)),
    sa.Column("from_hash", sa.String(64)),
    sa.Column("parent", sa.Integer),
    sa.Column("tenant", sa.String, nullable=False),
    sa.Column("subject", sa.String, nullable=False),
    sa.Column("why", sa.Text, nullable=False),
    sa.Column("at", sa.String(32), nullable=False),  # UTC, ISO 8601
    sa.Column("evaluation_sha256", sa.String(64)),
    sa.Column("evaluation_passed", sa.Boolean),
    sa.Column("policies", sa.Text, nullable=False),  # JSON list
    sa.Column("policy_version", sa.String(64), nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPrompt:
    """A prompt as it was when it was first promoted or taken to run."""

    name: str
    version: str
    content_hash: str
    files: dict[str, str] = field(repr=False)
    recorded_at: str  # UTC, ISO 8601


class PromptStore:
    """The record of prompts. Blocking; safe to use from several threads and processes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, prompts: Iterable[Prompt], at: datetime) -> None:
        """Record what prompts are; raises BadPrompt when a version of that name has another content here."""
        with self._database.write() as db:
            self._keep(db, prompts, at)

    def stored(self, hash_prefix: str) -> StoredPrompt | None:
        """What ran under a hash, or under its first characters where they are no other's.

        Raises DependencyDown when the record was altered.
        """
        query = sa.select(_contents).where(_contents.c.content_hash.startswith(hash_prefix, autoescape=True)).limit(2)
        with self._database.read() as db:
            rows = db.execute(query).all()
        return _stored(rows[0]) if len(rows) == 1 else None

    def version(self, name: str, version: str) -> StoredPrompt | None:
        """What a version was when it was recorded."""
        query = sa.select(_contents).where(_contents.c.name == name, _contents.c.version == version)
        with self._database.read() as db:
            row = db.execute(query).one_or_none()
        return _stored(row) if row else None

    def recorded(self) -> dict[tuple[str, str], str]:
        """(name, version) to content hash, of all that was recorded."""
        query = sa.select(_contents.c.name, _contents.c.version, _contents.c.content_hash)
        with self._database.read() as db:
            return {(row.name, row.version): row.content_hash for row in db.execute(query)}

    def live(self, name: str, environment: Environment) -> PromotionRecord | None:
        """What is live of a prompt in an environment."""
        here = (_promotions.c.name == name) & (_promotions.c.environment == environment)
        query = sa.select(_promotions).where(here).order_by(_promotions.c.revision.desc()).limit(1)
        with self._database.read() as db:
            row = db.execute(query).one_or_none()
        return _record(row) if row else None

    def all_live(self, name: str | None = None) -> list[PromotionRecord]:
        """What is live of every prompt, or of one, in every environment."""
        other = _promotions.alias("other")
        newest = sa.select(sa.func.max(other.c.revision)).where(
            other.c.name == _promotions.c.name, other.c.environment == _promotions.c.environment
        )
        query = sa.select(_promotions).where(_promotions.c.revision == newest.scalar_subquery())
        if name is not None:
            query = query.where(_promotions.c.name == name)
        with self._database.read() as db:
            return [_record(row) for row in db.execute(query.order_by(_promotions.c.name, _promotions.c.environment))]

    def entry(self, name: str, environment: Environment, revision: int) -> PromotionRecord | None:
        """One change."""
        query = sa.select(_promotions).where(
            _promotions.c.name == name,
            _promotions.c.environment == environment,
            _promotions.c.revision == revision,
        )
        with self._database.read() as db:
            row = db.execute(query).one_or_none()
        return _record(row) if row else None

    def history(
        self, name: str, environment: Environment, *, before: int | None = None, limit: int = 100
    ) -> list[PromotionRecord]:
        """What was live, the newest first; `before` is the revision that the last page ended with."""
        here = (_promotions.c.name == name) & (_promotions.c.environment == environment)
        if before is not None:
            here &= _promotions.c.revision < before
        query = sa.select(_promotions).where(here).order_by(_promotions.c.revision.desc()).limit(limit)
        with self._database.read() as db:
            return [_record(row) for row in db.execute(query)]

    def seed(
        self, prompts: Iterable[Prompt], records: Iterable[PromotionRecord], at: datetime, also: Also | None = None
    ) -> None:
        """Make first revisions live, but for those that another process has made.

        In a fixed order, and `also` afterwards, so that processes that do it at once wait for each other in one line.
        """
        with self._database.write() as db:
            self._keep(db, prompts, at)
            made = [record for record in records if self._insert_new(db, record)]
            if also is not None:
                for record in made:
                    also(db, record)

    def add(self, record: PromotionRecord, prompt: Prompt, also: Also | None = None) -> None:
        """Make a change to what `prompt` is, and what goes with it, in one transaction.

        Raises PromotionRefused, and changes nothing, when another change came between the decision and now, and
        BadPrompt as `keep` does.
        """
        with self._database.write() as db:
            self._keep(db, [prompt], record.at)
            try:
                db.execute(sa.insert(_promotions).values(_row(record)))
            except sa.exc.IntegrityError as error:
                item = f"{record.name} in {record.environment}"
                cause = "Another change of what is live came first."
                step = "Look at what is live now, and decide again."
                raise PromotionRefused(item, "conflict", cause, step) from error
            if also is not None:
                also(db, record)

    def _insert_new(self, db: Connection, record: PromotionRecord) -> bool:
        insert = _INSERTS[db.dialect.name](_promotions).values(_row(record)).on_conflict_do_nothing()
        return db.execute(insert.returning(_promotions.c.revision)).first() is not None

    def _keep(self, db: Connection, prompts: Iterable[Prompt], at: datetime) -> None:
        for prompt in prompts:
            row = {
                "content_hash": prompt.content_hash,
                "name": prompt.name,
                "version": prompt.version,
                "files": json.dumps(dict(prompt.files), ensure_ascii=False, sort_keys=True),
                "recorded_at": at.isoformat(timespec="milliseconds"),
            }
            db.execute(_INSERTS[db.dialect.name](_contents).values(row).on_conflict_do_nothing())
            same = (_contents.c.name == prompt.name) & (_contents.c.version == prompt.version)
            if db.scalar(sa.select(_contents.c.content_hash).where(same)) != prompt.content_hash:
                raise changed(prompt)


def changed(prompt: Prompt) -> BadPrompt:
    """The refusal of a version whose content is not what was recorded under it."""
    cause = "This version ran with another content, and a version never changes."
    return BadPrompt(prompt.label, "version_changed", cause, "Give what has changed a version of its own.")


def _stored(row: Any) -> StoredPrompt:
    files = json.loads(row.files)
    if content_hash(files) != row.content_hash:
        cause = f"The record of {row.name}/{row.version} was altered: its content does not have its hash."
        raise DependencyDown("prompts", "record_altered", cause, "Restore the database from a backup.")
    return StoredPrompt(
        name=row.name,
        version=row.version,
        content_hash=row.content_hash,
        files=files,
        recorded_at=row.recorded_at,
    )


def _row(record: PromotionRecord) -> dict[str, object]:
    return {
        "name": record.name,
        "environment": record.environment,
        "revision": record.revision,
        "kind": record.kind,
        "version": record.version,
        "content_hash": record.content_hash,
        "from_version": record.from_version,
        "from_hash": record.from_hash,
        "parent": record.parent,
        "tenant": record.tenant,
        "subject": record.subject,
        "why": record.why,
        "at": record.at.isoformat(),
        "evaluation_sha256": record.evaluation.sha256 if record.evaluation else None,
        "evaluation_passed": record.evaluation.passed if record.evaluation else None,
        "policies": json.dumps(record.policies),
        "policy_version": record.policy_version,
    }


def _record(row: Any) -> PromotionRecord:
    evaluation = None
    if row.evaluation_sha256 is not None:
        evaluation = Evaluation(sha256=row.evaluation_sha256, passed=row.evaluation_passed)
    return PromotionRecord(
        kind=row.kind,
        name=row.name,
        environment=row.environment,
        revision=row.revision,
        version=row.version,
        content_hash=row.content_hash,
        from_version=row.from_version,
        from_hash=row.from_hash,
        parent=row.parent,
        tenant=row.tenant,
        subject=row.subject,
        why=row.why,
        at=datetime.fromisoformat(row.at),
        evaluation=evaluation,
        policies=tuple(json.loads(row.policies)),
        policy_version=row.policy_version,
    )
