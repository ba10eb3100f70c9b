"""Reads and writes of the ledger. Every public method is one transaction.

A version is written in two steps, so that a process may die at any line and nothing is lost or half-done:

    stage     the version with its text, chunks and encodings is in the ledger; the index does not know it yet
    (index)   its points replace those of the version before, in one update
    settle    it is the current version; the one before is superseded

What `unsettled` returns is work that a dead process left: the same index update again, then `settle`.

A superseded version keeps its text, since answers cite it; its chunks go with the next `sweep`. Only `retrieval` and
the composition root read the ledger directly, and `retrieval` hands nothing on without a ReadScope.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from ingest.elements import HiddenText
from ingest.errors import BadInput
from ingest.ledger.engine import open_engine
from ingest.ledger.rows import (
    EncodingRow,
    PassageRow,
    SourceState,
    StagedVersion,
    TokenRow,
    VersionRow,
    access_hash,
    chunk_row,
    chunk_values,
    document_values,
    encoding_row,
    encoding_values,
    findings_by_chunk,
    findings_values,
    hidden_values,
    parse_tags,
    passage_row,
    screening_values,
    token_row,
    version_row,
    version_values,
)
from ingest.ledger.schema import chunks, documents, encodings, facts, hidden_texts, versions
from ingest.screening import Screening
from ingest.tags import AccessTags

_IN_CLAUSE: Final = 500  # values in one IN list, below SQLite's limit on variables
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")  # in no name that the ledger holds


class Ledger:
    """Opened by `open_ledger`, closed once with `close`. Safe to use from several threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._writing = engine.execution_options(immediate=True)

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()

    # -- facts

    def fact(self, name: str) -> str | None:
        """A single value, None when it was never set."""
        with self._engine.connect() as db:
            return db.scalar(sa.select(facts.c.value).where(facts.c.name == name))

    def set_facts(self, values: dict[str, str]) -> None:
        """Set several single values at once."""
        with self._writing.begin() as db:
            db.execute(sa.delete(facts).where(facts.c.name.in_(values)))
            db.execute(sa.insert(facts), [{"name": name, "value": value} for name, value in values.items()])

    # -- sources and documents

    def source_states(self, tenant: str, source_uris: Sequence[str]) -> dict[str, SourceState]:
        """Of those sources that have a current version, what it was made from."""
        query = (
            sa.select(documents.c.source_uri, documents.c.key, documents.c.id, versions)
            .join(versions, versions.c.document == documents.c.key)
            .where(documents.c.tenant == tenant, documents.c.deleting == 0, versions.c.state == "current")
        )
        found: dict[str, SourceState] = {}
        with self._engine.connect() as db:
            for some in _slices(source_uris):
                for row in db.execute(query.where(documents.c.source_uri.in_(some))):
                    found[row.source_uri] = SourceState(
                        key=row.key,
                        document_id=row.id,
                        number=row.number,
                        content_hash=row.content_hash,
                        access_hash=row.access_hash,
                    )
        return found

    def owners_of(self, tenant: str, ids: Sequence[str]) -> dict[str, str]:
        """Document id to the source that holds it, for those ids that are taken."""
        query = sa.select(documents.c.id, documents.c.source_uri).where(documents.c.tenant == tenant)
        taken: dict[str, str] = {}
        with self._engine.connect() as db:
            for some in _slices(ids):
                taken.update((row.id, row.source_uri) for row in db.execute(query.where(documents.c.id.in_(some))))
        return taken

    def find(self, tenant: str, reference: str) -> str | None:
        """The key of a document by its id or its source URI."""
        if _UNSTORABLE.search(reference):
            return None
        query = sa.select(documents.c.key).where(documents.c.tenant == tenant, documents.c.deleting == 0)
        with self._engine.connect() as db:
            for column in (documents.c.id, documents.c.source_uri):
                key: str | None = db.scalar(query.where(column == reference))
                if key is not None:
                    return key
        return None

    def tags_of(self, tenant: str, reference: str) -> AccessTags:
        """Who may read a document now, named by id or source URI; raises BadInput when there is none."""
        query = sa.select(versions.c.tags).where(
            versions.c.document == self.find(tenant, reference), versions.c.state == "current"
        )
        with self._engine.connect() as db:
            tags: str | None = db.scalar(query)
        if tags is None:
            raise BadInput(
                reference, "no_such_document", "There is no such document.", "See `groundwire documents list`."
            )
        return parse_tags(tags)

    def source_uris(self, tenant: str) -> list[str]:
        """The source of every document of a tenant."""
        with self._engine.connect() as db:
            return list(db.scalars(sa.select(documents.c.source_uri).where(documents.c.tenant == tenant)))

    def current_versions(self, tenant: str, *, after: str = "", limit: int = 1000) -> list[VersionRow]:
        """Current versions sorted by document id, without their text."""
        query = (
            _select_versions(text=False)
            .where(documents.c.tenant == tenant, documents.c.deleting == 0, versions.c.state == "current")
            .where(documents.c.id > _UNSTORABLE.sub("", after))
            .order_by(documents.c.id)
            .limit(limit)
        )
        with self._engine.connect() as db:
            return [version_row(row) for row in db.execute(query)]

    def versions_of(self, key: str, *, text: bool = False) -> list[VersionRow]:
        """Every version of a document, oldest first."""
        query = _select_versions(text=text).where(versions.c.document == key, documents.c.deleting == 0)
        with self._engine.connect() as db:
            return [version_row(row) for row in db.execute(query.order_by(versions.c.number))]

    def hidden_of(self, key: str, number: int) -> list[HiddenText]:
        """The quarantine records of a version."""
        query = sa.select(hidden_texts).where(hidden_texts.c.document == key, hidden_texts.c.version == number)
        with self._engine.connect() as db:
            rows = db.execute(query.order_by(hidden_texts.c.ordinal))
            return [HiddenText(text=row.text, reason=row.reason, place=row.place) for row in rows]

    # -- a version's way in

    def stage(self, staged: Sequence[StagedVersion], tenant: str, encoder: str, fresh: Iterable[EncodingRow]) -> None:
        """Write versions with state `staged`, and the encodings that they need and the ledger did not have."""
        with self._writing.begin() as db:
            _insert_missing(db, documents, [document_values(item, tenant) for item in staged])
            db.execute(sa.insert(versions), [version_values(item.version) for item in staged])
            rows = [values for item in staged for values in _chunk_rows(item)]
            if rows:
                db.execute(sa.insert(chunks), rows)
            hidden = [hidden_values(item.version, n, text) for item in staged for n, text in enumerate(item.hidden)]
            if hidden:
                db.execute(sa.insert(hidden_texts), hidden)
            _insert_missing(db, encodings, [encoding_values(tenant, encoder, row) for row in fresh])

    def settle(self, staged: Sequence[StagedVersion]) -> None:
        """Make the versions current; the ones before are superseded. Settling twice changes nothing."""
        now = _now()
        with self._writing.begin() as db:
            for item in staged:
                row = item.version
                same = (versions.c.document == row.key, versions.c.number == row.number)
                done = db.execute(
                    sa.update(versions)
                    .where(*same, versions.c.state == "staged")
                    .values(state="current", indexed_access_hash=access_hash(row.tags))
                )
                if done.rowcount and row.number > 1:
                    db.execute(
                        sa.update(versions)
                        .where(versions.c.document == row.key, versions.c.number < row.number)
                        .where(versions.c.state == "current")
                        .values(state="superseded", superseded_at=now)
                    )

    def unsettled(self) -> Iterator[StagedVersion]:
        """Versions that were staged and never settled, one at a time."""
        with self._engine.connect() as db:
            keys = db.execute(
                sa.select(versions.c.document, versions.c.number)
                .where(versions.c.state == "staged")
                .order_by(versions.c.document, versions.c.number)
            ).all()
        for key, number in keys:
            yield self.version(key, number)

    def version(self, key: str, number: int) -> StagedVersion:
        """A version with its text and chunks; raises LookupError when there is none."""
        with self._engine.connect() as db:
            query = _select_versions(text=True).where(versions.c.document == key, versions.c.number == number)
            row = db.execute(query).one_or_none()
            if row is None:
                raise LookupError(f"no version {number} of document {key}")
            mine = sa.select(chunks).where(chunks.c.document == key, chunks.c.version == number)
            found = tuple(chunk_row(chunk) for chunk in db.execute(mine.order_by(chunks.c.ordinal)))
        return StagedVersion(version=version_row(row), chunks=found)

    def serving_keys(self) -> list[tuple[str, int]]:
        """Key and number of the newest staged or current version of every document, in a fixed order."""
        query = (
            sa.select(versions.c.document, sa.func.max(versions.c.number).label("number"))
            .join(documents, documents.c.key == versions.c.document)
            .where(versions.c.state.in_(("staged", "current")), documents.c.deleting == 0)
            .group_by(versions.c.document)
            .order_by(versions.c.document)
        )
        with self._engine.connect() as db:
            return [(row.document, row.number) for row in db.execute(query)]

    # -- screening

    def outdated_screenings(
        self, screener: str | None, *, after: tuple[str, int] = ("", 0), limit: int = 500
    ) -> list[tuple[str, int]]:
        """Key and number of staged and current versions that this screener has not seen, or that a detector failed on.

        Sorted, at most `limit` of them, beyond `after`; with None, whichever screener saw them.
        """
        key, number = after
        beyond = sa.and_(versions.c.document == key, versions.c.number > number)
        query = (
            sa.select(versions.c.document, versions.c.number)
            .join(documents, documents.c.key == versions.c.document)
            .where(versions.c.state.in_(("staged", "current")), documents.c.deleting == 0)
            .where(sa.or_(versions.c.document > key, beyond))
            .order_by(versions.c.document, versions.c.number)
            .limit(limit)
        )
        if screener is not None:
            query = query.where(_outdated(screener))
        with self._engine.connect() as db:
            return [(row.document, row.number) for row in db.execute(query)]

    def save_screening(self, staged: StagedVersion, screening: Screening) -> None:
        """Keep what a new screening of a version found in place of what the one before had; true for readers at once.

        A version that has gone meanwhile stays gone.
        """
        row = staged.version
        found = findings_by_chunk(row.text, screening.findings, staged.chunks)
        with self._writing.begin() as db:
            same = (versions.c.document == row.key, versions.c.number == row.number)
            db.execute(sa.update(versions).where(*same).values(**screening_values(screening)))
            mine = (chunks.c.document == row.key, chunks.c.version == row.number)
            db.execute(sa.update(chunks).where(*mine, chunks.c.findings != "[]").values(findings="[]"))
            for chunk_id, findings in found.items():
                db.execute(sa.update(chunks).where(chunks.c.id == chunk_id).values(findings=findings_values(findings)))

    def screening_counts(self, screener: str) -> dict[str, int]:
        """How many current versions were never screened, by another screener, with a failure, and with findings."""
        current = (
            sa.select(sa.func.count())
            .select_from(versions.join(documents, documents.c.key == versions.c.document))
            .where(versions.c.state == "current", documents.c.deleting == 0)
        )
        named = {
            "unscreened": versions.c.screener.is_(None),
            "older_screener": versions.c.screener != screener,
            "failed": versions.c.screening_failed != "[]",
            "with_findings": versions.c.peaks != "{}",
        }
        with self._engine.connect() as db:
            return {name: int(db.scalar(current.where(clause)) or 0) for name, clause in named.items()}

    # -- access

    def set_tags(self, key: str, tags: AccessTags) -> None:
        """Change who may read the current version (and one that is on its way). True for readers at once."""
        with self._writing.begin() as db:
            db.execute(
                sa.update(versions)
                .where(versions.c.document == key, versions.c.state.in_(("current", "staged")))
                .values(tags=tags.model_dump_json(), access_hash=access_hash(tags))
            )

    def mark_indexed(self, key: str, tags: AccessTags) -> None:
        """Note that the index holds these tags."""
        with self._writing.begin() as db:
            db.execute(
                sa.update(versions)
                .where(versions.c.document == key, versions.c.state == "current")
                .values(indexed_access_hash=access_hash(tags))
            )

    def unindexed_tags(self) -> list[tuple[str, AccessTags]]:
        """Documents whose tags the index does not hold yet."""
        query = sa.select(versions.c.document, versions.c.tags).where(
            versions.c.state == "current", versions.c.access_hash != versions.c.indexed_access_hash
        )
        with self._engine.connect() as db:
            return [(row.document, parse_tags(row.tags)) for row in db.execute(query)]

    # -- removal

    def begin_delete(self, key: str) -> None:
        """Hide the document from every reader; `finish_delete` removes it."""
        with self._writing.begin() as db:
            db.execute(sa.update(documents).where(documents.c.key == key).values(deleting=1))

    def deleting(self) -> list[str]:
        """Keys of documents whose removal has begun."""
        with self._engine.connect() as db:
            return list(db.scalars(sa.select(documents.c.key).where(documents.c.deleting == 1)))

    def finish_delete(self, key: str) -> None:
        """Remove the document, its versions, chunks and quarantine records, and encodings that nobody else uses."""
        with self._writing.begin() as db:
            _drop_chunks(db, chunks.c.document == key)
            db.execute(sa.delete(documents).where(documents.c.key == key))

    def sweep(self, *, older_than_s: float = 60.0) -> None:
        """Remove the chunks of versions superseded before that, and encodings that no chunk needs any more.

        The grace period lets a reader who found a chunk just before it was superseded still read it.
        """
        old = sa.exists().where(
            versions.c.document == chunks.c.document,
            versions.c.number == chunks.c.version,
            versions.c.state == "superseded",
            versions.c.superseded_at <= _now(-older_than_s),
        )
        with self._writing.begin() as db:
            _drop_chunks(db, old)

    # -- encodings

    def known_encodings(self, tenant: str, encoder: str, hashes: Sequence[str]) -> dict[str, EncodingRow]:
        """Those of the hashes that are stored."""
        query = sa.select(encodings).where(encodings.c.tenant == tenant, encodings.c.encoder == encoder)
        found: dict[str, EncodingRow] = {}
        with self._engine.connect() as db:
            for some in _slices(hashes):
                for row in db.execute(query.where(encodings.c.hash.in_(some))):
                    found[row.hash] = encoding_row(row)
        return found

    def add_encodings(self, tenant: str, encoder: str, rows: Iterable[EncodingRow]) -> None:
        """Store encodings that chunks of this tenant will need."""
        with self._writing.begin() as db:
            _insert_missing(db, encodings, [encoding_values(tenant, encoder, row) for row in rows])

    def drop_encoder(self, encoder: str) -> None:
        """Remove every encoding of an encoder that no longer serves."""
        with self._writing.begin() as db:
            db.execute(sa.delete(encodings).where(encodings.c.encoder == encoder))

    # -- for retrieval

    def passages(self, tenant: str, chunk_ids: Sequence[str]) -> list[PassageRow]:
        """The chunks of one tenant with their text and tags, in no order; the caller checks who may read them."""
        latest = versions.alias("latest")
        query = (
            sa.select(
                chunks,
                documents.c.id.label("document_id"),
                documents.c.source_uri,
                versions.c.state,
                versions.c.title,
                versions.c.tags,
                versions.c.media_type,
                versions.c.screener,
                versions.c.screening_failed,
                versions.c.peaks,
                latest.c.tags.label("current_tags"),
                sa.func.substr(versions.c.text, chunks.c.start + 1, chunks.c.end - chunks.c.start).label("slice"),
            )
            .join(documents, documents.c.key == chunks.c.document)
            .join(versions, (versions.c.document == chunks.c.document) & (versions.c.number == chunks.c.version))
            .outerjoin(latest, (latest.c.document == chunks.c.document) & (latest.c.state == "current"))
            .where(documents.c.tenant == tenant, documents.c.deleting == 0)
        )
        with self._engine.connect() as db:
            return [
                passage_row(row)
                for some in _slices(chunk_ids)
                for row in db.execute(query.where(chunks.c.id.in_(some)))
            ]

    def neighbours(self, tenant: str, chunk_id: str) -> list[str]:
        """The ids of the chunks right before and after one, in reading order."""
        here = chunks.alias("here")
        query = (
            sa.select(chunks.c.id)
            .join(here, (here.c.document == chunks.c.document) & (here.c.version == chunks.c.version))
            .join(documents, documents.c.key == chunks.c.document)
            .where(documents.c.tenant == tenant, here.c.id == chunk_id)
            .where(chunks.c.ordinal.in_((here.c.ordinal - 1, here.c.ordinal + 1)))
        )
        with self._engine.connect() as db:
            return list(db.scalars(query.order_by(chunks.c.ordinal)))

    def token_bits(self, tenant: str, encoder: str, chunk_ids: Sequence[str]) -> list[TokenRow]:
        """The stored token vectors of chunks, with the tags that guard them; the caller checks who may read them."""
        query = (
            sa.select(
                chunks.c.id,
                versions.c.tags,
                encodings.c.tokens,
                encodings.c.starts,
                sa.func.length(encodings.c.dense).label("size"),
            )
            .join(documents, documents.c.key == chunks.c.document)
            .join(versions, (versions.c.document == chunks.c.document) & (versions.c.number == chunks.c.version))
            .join(
                encodings,
                (encodings.c.hash == chunks.c.encoding_hash)
                & (encodings.c.tenant == tenant)
                & (encodings.c.encoder == encoder),
            )
            .where(documents.c.tenant == tenant, documents.c.deleting == 0)
        )
        with self._engine.connect() as db:
            return [
                token_row(row) for some in _slices(chunk_ids) for row in db.execute(query.where(chunks.c.id.in_(some)))
            ]

    def counts(self) -> dict[str, int]:
        """How many documents, current chunks, staged versions and quarantine records there are."""
        current = sa.select(sa.func.count()).select_from(versions).where(versions.c.state == "current")
        live = (
            sa.select(sa.func.count())
            .select_from(
                chunks.join(
                    versions, (versions.c.document == chunks.c.document) & (versions.c.number == chunks.c.version)
                )
            )
            .where(versions.c.state == "current")
        )
        staged = sa.select(sa.func.count()).select_from(versions).where(versions.c.state == "staged")
        hidden = sa.select(sa.func.count()).select_from(hidden_texts)
        named = {"documents": current, "chunks": live, "staged": staged, "hidden_texts": hidden}
        with self._engine.connect() as db:
            return {name: int(db.scalar(query) or 0) for name, query in named.items()}


def open_ledger(url: str) -> Ledger:
    """The ledger in the database at an SQLAlchemy URL. Raises what `ingest.ledger.engine.open_engine` raises."""
    return Ledger(open_engine(url))


def _slices(values: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(values), _IN_CLAUSE):
        yield values[start : start + _IN_CLAUSE]


def _now(offset_s: float = 0.0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=offset_s)).isoformat(timespec="milliseconds")


def _insert_missing(db: sa.Connection, table: sa.Table, rows: list[dict[str, object]]) -> None:
    if not rows:
        return
    if db.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    db.execute(insert(table).on_conflict_do_nothing(), rows)


def _outdated(screener: str) -> sa.ColumnElement[bool]:
    return sa.or_(versions.c.screener.is_(None), versions.c.screener != screener, versions.c.screening_failed != "[]")


def _chunk_rows(item: StagedVersion) -> list[dict[str, object]]:
    row = item.version
    found = findings_by_chunk(row.text, row.screening.findings, item.chunks) if row.screening else {}
    return [chunk_values(row, chunk, found.get(chunk.id, ())) for chunk in item.chunks]


def _drop_chunks(db: sa.Connection, which: sa.ColumnElement[bool] | sa.Exists) -> None:
    query = (
        sa.select(documents.c.tenant, chunks.c.encoding_hash)
        .join(documents, documents.c.key == chunks.c.document)
        .where(which)
        .distinct()
    )
    freed: dict[str, list[str]] = {}
    for row in db.execute(query):
        freed.setdefault(row.tenant, []).append(row.encoding_hash)
    db.execute(sa.delete(chunks).where(which))
    for tenant, hashes in freed.items():
        used = sa.exists().where(
            chunks.c.encoding_hash == encodings.c.hash,
            documents.c.key == chunks.c.document,
            documents.c.tenant == encodings.c.tenant,
        )
        for some in _slices(hashes):
            db.execute(sa.delete(encodings).where(encodings.c.tenant == tenant, encodings.c.hash.in_(some), ~used))


def _select_versions(*, text: bool) -> sa.Select[Any]:
    columns = [c for c in versions.c if text or c.name not in ("text", "findings")]
    return sa.select(documents.c.key, documents.c.id, documents.c.source_uri, *columns).join(
        documents, documents.c.key == versions.c.document
    )
