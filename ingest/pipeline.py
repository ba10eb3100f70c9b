"""The ingest: sources in, documents in the ledger and the index out.

Three stages run at once, each handing on through a short queue: sources are hashed, compared with the ledger and parsed
(in worker processes); what is new is encoded and screened; batches are committed. A process may die at any line: see
`ingest.ledger.store` for how a version is written, and `recover` for what the next run does first.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from ingest.chunker import ChunkConfig, encoder_input
from ingest.encoder import Encoder
from ingest.errors import FileRefused, GroundwireError, RecordRefused
from ingest.ledger.rows import ChunkRow, EncodingRow, StagedVersion, VersionRow, access_hash, document_key
from ingest.ledger.store import Ledger
from ingest.limits import ParseLimits
from ingest.preparation import Draft, content_hash, make_draft, parse_sources
from ingest.report import IngestReport
from ingest.screen_versions import screen_version
from ingest.screening import Screener
from ingest.sources import Failure, Source, distinct_id
from ingest.tags import AccessTags
from ingest.workers import WorkerPool

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ingest.elements import ParsedDocument
    from ingest.encoder import TokenVectors


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedVersion:
    """A staged version with the vectors of its chunks, as the index takes it."""

    staged: StagedVersion
    dense: Sequence[NDArray[np.float32]]  # chunk by chunk, [dimensions]


class ChunkSink(Protocol):
    """The index, seen from ingest. Each call may be repeated after a crash and then changes nothing."""

    async def put(self, versions: Sequence[IndexedVersion]) -> None:
        """Show these versions in place of every other version of their documents, durably."""
        ...

    async def retag(self, key: str, tags: AccessTags) -> None:
        """Change who may read a document; touches no vector."""
        ...

    async def remove(self, key: str) -> None:
        """Forget a document, durably."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineConfig:
    """How much is done at once."""

    limits: ParseLimits = field(default_factory=ParseLimits)
    chunking: ChunkConfig = field(default_factory=ChunkConfig)
    workers: int = 2  # processes that parse
    batch_chunks: int = 512  # encoded and committed together
    job_characters: int = 200_000  # of short records parsed together


@dataclass(kw_only=True)
class _Job:
    """Sources that are parsed together, with what is known of them."""

    sources: list[Source] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)  # the version that each one becomes


@dataclass(kw_only=True)
class _Batch:
    """Versions of one tenant that are committed together."""

    staged: list[StagedVersion]
    dense: list[list[NDArray[np.float32]]]
    fresh: list[EncodingRow]


Outcome = tuple[Draft, int] | Failure
FIRST_BATCH_CHUNKS: Final = 128  # the encoder need not wait for a whole batch; batches double from here
Progress = Callable[[IngestReport], None]


class Pipeline:
    """Writes documents. One at a time owns a home: the composition root sees to that."""

    def __init__(
        self, ledger: Ledger, encoder: Encoder, sink: ChunkSink, config: PipelineConfig, screener: Screener
    ) -> None:
        self._ledger = ledger
        self._encoder = encoder
        self._sink = sink
        self._config = config
        self._screener = screener

    async def recover(self) -> None:
        """Finish what a process that died had begun. Costs a few queries when there is nothing to do."""
        for key in await asyncio.to_thread(self._ledger.deleting):
            await self._finish_delete(key)
        for staged in self._ledger.unsettled():
            await self._settle([staged])
        for key, tags in await asyncio.to_thread(self._ledger.unindexed_tags):
            await self._retag_index(key, tags)

    async def ingest(self, sources: Iterable[Source | Failure], progress: Progress = lambda _: None) -> IngestReport:
        """Take every source; what cannot be taken is reported and the rest goes on.

        `progress` is called after each batch with the report so far. Cancelling is safe at any moment.
        """
        started = time.monotonic()
        report = IngestReport()
        await asyncio.to_thread(self._ledger.sweep)
        parsed: asyncio.Queue[asyncio.Task[list[Outcome]] | None] = asyncio.Queue(maxsize=2 * self._config.workers + 2)
        encoded: asyncio.Queue[_Batch | None] = asyncio.Queue(maxsize=1)
        limits = self._config.limits
        async with WorkerPool(
            parse_sources,
            workers=self._config.workers,
            seconds=limits.seconds,
            memory_bytes=limits.memory_bytes,
        ) as pool:
            try:
                async with asyncio.TaskGroup() as stages:
                    stages.create_task(self._parse_stage(sources, pool, parsed, report))
                    stages.create_task(self._encode_stage(parsed, encoded, report))
                    stages.create_task(self._commit_stage(encoded, report, progress))
            except* GroundwireError as group:
                raise _first(group) from group
            finally:
                while not parsed.empty():
                    if (task := parsed.get_nowait()) is not None:
                        task.cancel()
        report.seconds = time.monotonic() - started
        return report

    async def set_access(self, key: str, tags: AccessTags) -> None:
        """Change who may read a document: true for every reader when this returns; encodes nothing."""
        await asyncio.to_thread(self._ledger.set_tags, key, tags)
        await self._retag_index(key, tags)

    async def delete(self, key: str) -> None:
        """Remove a document from the index, the stored text and the encodings."""
        await asyncio.to_thread(self._ledger.begin_delete, key)
        await self._finish_delete(key)

    # -- first stage

    async def _parse_stage(
        self,
        sources: Iterable[Source | Failure],
        pool: WorkerPool[list[ParsedDocument | GroundwireError]],
        parsed: asyncio.Queue[asyncio.Task[list[Outcome]] | None],
        report: IngestReport,
    ) -> None:
        stream = iter(sources)
        seen: set[tuple[str, str]] = set()
        while some := await asyncio.to_thread(lambda: list(islice(stream, 256))):
            report.failed += [item for item in some if isinstance(item, Failure)]
            for job in self._jobs(await self._changed([s for s in some if isinstance(s, Source)], seen, report)):
                await parsed.put(asyncio.create_task(self._parse(job, pool)))
        await parsed.put(None)

    async def _changed(
        self, sources: list[Source], seen: set[tuple[str, str]], report: IngestReport
    ) -> list[tuple[Source, str, int]]:
        """Those sources that have to be parsed, with their hash and the number of the version they become."""
        changed: list[tuple[Source, str, int]] = []
        for tenant in sorted({source.tags.tenant for source in sources}):
            mine = [source for source in sources if source.tags.tenant == tenant]
            states = await asyncio.to_thread(self._ledger.source_states, tenant, [source.uri for source in mine])
            new = [source.id for source in mine if source.uri not in states]
            owners = await asyncio.to_thread(self._ledger.owners_of, tenant, new)
            for source in mine:
                state = states.get(source.uri)
                try:
                    named = _named(source, state.document_id if state else None, owners, seen)
                    digest = await asyncio.to_thread(content_hash, source, self._config.chunking)
                except GroundwireError as error:
                    report.failed.append(Failure(path=_place(source), error=error))
                    continue
                if state is None or state.content_hash != digest:
                    changed.append((named, digest, state.number + 1 if state else 1))
                    continue
                report.documents += 1
                if state.access_hash != access_hash(source.tags):
                    await self.set_access(state.key, source.tags)
                    report.retagged += 1
                else:
                    report.unchanged += 1
        return changed

    def _jobs(self, changed: Iterable[tuple[Source, str, int]]) -> Iterator[_Job]:
        job, size = _Job(), 0
        for source, digest, number in changed:
            cost = len(source.text) if source.text is not None else self._config.job_characters
            if job.sources and size + cost > self._config.job_characters:
                yield job
                job, size = _Job(), 0
            job.sources.append(source)
            job.digests.append(digest)
            job.numbers.append(number)
            size += cost
        if job.sources:
            yield job

    async def _parse(self, job: _Job, pool: WorkerPool[list[ParsedDocument | GroundwireError]]) -> list[Outcome]:
        limits = self._config.limits
        results: list[ParsedDocument | GroundwireError]
        try:
            results = await pool.run(job.sources[0].name, job.sources, limits)
        except FileRefused as error:
            results = [error] if len(job.sources) == 1 else [await self._parse_alone(s, pool) for s in job.sources]
        return await asyncio.to_thread(self._drafts, job, results)

    async def _parse_alone(
        self, source: Source, pool: WorkerPool[list[ParsedDocument | GroundwireError]]
    ) -> ParsedDocument | GroundwireError:
        try:
            return (await pool.run(source.name, [source], self._config.limits))[0]
        except FileRefused as error:
            return error

    def _drafts(self, job: _Job, results: Sequence[ParsedDocument | GroundwireError]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for source, digest, number, result in zip(job.sources, job.digests, job.numbers, results, strict=True):
            try:
                if isinstance(result, GroundwireError):
                    raise result
                outcomes.append((make_draft(source, digest, result, self._encoder, self._config.chunking), number))
            except GroundwireError as error:
                outcomes.append(Failure(path=_place(source), error=error))
        return outcomes

    # -- second stage

    async def _encode_stage(
        self,
        parsed: asyncio.Queue[asyncio.Task[list[Outcome]] | None],
        encoded: asyncio.Queue[_Batch | None],
        report: IngestReport,
    ) -> None:
        waiting: list[tuple[Draft, int]] = []
        size = min(FIRST_BATCH_CHUNKS, self._config.batch_chunks)
        while (task := await parsed.get()) is not None:
            for outcome in await task:
                if isinstance(outcome, Failure):
                    report.failed.append(outcome)
                    continue
                other_tenant = waiting and waiting[0][0].source.tags.tenant != outcome[0].source.tags.tenant
                if other_tenant or sum(len(draft.chunks) for draft, _ in waiting) >= size:
                    await encoded.put(await asyncio.to_thread(self._encode, waiting, report))
                    waiting, size = [], min(2 * size, self._config.batch_chunks)
                waiting.append(outcome)
        if waiting:
            await encoded.put(await asyncio.to_thread(self._encode, waiting, report))
        await encoded.put(None)

    def _encode(self, drafts: list[tuple[Draft, int]], report: IngestReport) -> _Batch:
        tenant = drafts[0][0].source.tags.tenant
        texts = {_hash(text): text for draft, _ in drafts for text in draft.inputs}
        known = self._ledger.known_encodings(tenant, self._encoder.id, list(texts))
        fresh = self._encode_missing({digest: text for digest, text in texts.items() if digest not in known})
        report.encoded += len(fresh)
        vectors = known | {row.hash: row for row in fresh}
        tokens = {digest: row.tokens for digest, row in vectors.items()}
        return _Batch(
            staged=[self._screened(_staged(draft, number), tokens) for draft, number in drafts],
            dense=[[vectors[_hash(text)].dense for text in draft.inputs] for draft, _ in drafts],
            fresh=fresh,
        )

    def _screened(self, staged: StagedVersion, tokens: dict[str, TokenVectors]) -> StagedVersion:
        found = screen_version(self._screener, staged, tokens)
        return replace(staged, version=replace(staged.version, screening=found))

    def _encode_missing(self, texts: dict[str, str]) -> list[EncodingRow]:
        if not texts:
            return []
        result = self._encoder.encode(list(texts.values()))
        return [
            EncodingRow(hash=digest, dense=dense, tokens=tokens)
            for digest, dense, tokens in zip(texts, result.dense, result.tokens, strict=True)
        ]

    # -- third stage

    async def _commit_stage(
        self, encoded: asyncio.Queue[_Batch | None], report: IngestReport, progress: Progress
    ) -> None:
        while (batch := await encoded.get()) is not None:
            tenant = batch.staged[0].version.tags.tenant
            await asyncio.to_thread(self._ledger.stage, batch.staged, tenant, self._encoder.id, batch.fresh)
            pairs = zip(batch.staged, batch.dense, strict=True)
            await self._sink.put([IndexedVersion(staged=staged, dense=dense) for staged, dense in pairs])
            await asyncio.to_thread(self._ledger.settle, batch.staged)
            for staged in batch.staged:
                report.documents += 1
                report.updated += staged.version.number > 1
                report.chunks += len(staged.chunks)
                report.quarantined += len(staged.hidden)
                if (screening := staged.version.screening) is not None:
                    report.with_findings += bool(screening.findings)
                    report.unscreened += bool(screening.failed)
                report.notes += [f"{staged.version.document_id}: {note}" for note in staged.version.notes]
            progress(report)

    # -- what a dead process left

    async def _settle(self, staged: Sequence[StagedVersion]) -> None:
        await self._sink.put([await asyncio.to_thread(self._indexed, item) for item in staged])
        await asyncio.to_thread(self._ledger.settle, staged)

    async def rebuild(self) -> tuple[int, int]:
        """Put every version that serves, or is about to, into an empty index; how many documents and chunks those are.

        A version whose vectors the present encoder never made is encoded on the way.
        """
        documents = chunks = size = 0
        batch: list[IndexedVersion] = []
        for key, number in await asyncio.to_thread(self._ledger.serving_keys):
            staged = await asyncio.to_thread(self._ledger.version, key, number)
            batch.append(await asyncio.to_thread(self._indexed, staged))
            documents, chunks, size = documents + 1, chunks + len(staged.chunks), size + len(staged.chunks)
            if size >= self._config.batch_chunks:
                await self._sink.put(batch)
                batch, size = [], 0
        if batch:
            await self._sink.put(batch)
        return documents, chunks

    def _indexed(self, staged: StagedVersion) -> IndexedVersion:
        tenant = staged.version.tags.tenant
        texts = {chunk.encoding_hash: self._input(staged, chunk) for chunk in staged.chunks}
        known = self._ledger.known_encodings(tenant, self._encoder.id, list(texts))
        fresh = self._encode_missing({digest: text for digest, text in texts.items() if digest not in known})
        if fresh:
            self._ledger.add_encodings(tenant, self._encoder.id, fresh)
        vectors = known | {row.hash: row for row in fresh}
        return IndexedVersion(staged=staged, dense=[vectors[chunk.encoding_hash].dense for chunk in staged.chunks])

    def _input(self, staged: StagedVersion, chunk: ChunkRow) -> str:
        text = staged.version.text[chunk.start : chunk.end]
        return encoder_input(staged.version.title, chunk.headings, text)[0]

    async def _retag_index(self, key: str, tags: AccessTags) -> None:
        await self._sink.retag(key, tags)
        await asyncio.to_thread(self._ledger.mark_indexed, key, tags)

    async def _finish_delete(self, key: str) -> None:
        await self._sink.remove(key)
        await asyncio.to_thread(self._ledger.finish_delete, key)


def _named(source: Source, known_id: str | None, owners: dict[str, str], seen: set[tuple[str, str]]) -> Source:
    """The source under the id that it keeps. Raises RecordRefused for an id that is another's and cannot be changed."""
    if known_id is not None:
        named = replace(source, id=known_id)
    else:
        taken = (source.tags.tenant, source.id) in seen or owners.get(source.id, source.uri) != source.uri
        own_id = source.path is None and not source.uri.startswith("reader:")  # chosen by whoever wrote the record
        named = replace(source, id=distinct_id(source.id, source.uri)) if taken and not own_id else source
        if owners.get(named.id, named.uri) != named.uri:
            cause = f"The id {named.id} belongs to {owners[named.id]}."
            raise RecordRefused(_place(source), "id_taken", cause, "Give it another id, or delete that document first.")
    mark = (named.tags.tenant, named.id)
    if mark in seen:
        cause = f"The id {named.id} came twice in this run."
        raise RecordRefused(_place(source), "duplicate_id", cause, "Give each document an id of its own.")
    seen.add(mark)
    return named


def _staged(draft: Draft, number: int) -> StagedVersion:
    source = draft.source
    key = document_key(source.tags.tenant, source.id)
    version = VersionRow(
        key=key,
        document_id=source.id,
        source_uri=source.uri,
        number=number,
        state="staged",
        tags=source.tags,
        content_hash=draft.content_hash,
        title=draft.title,
        media_type=draft.parsed.media_type,
        pages=draft.parsed.pages,
        notes=draft.parsed.notes,
        text=draft.text,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    rows = []
    for ordinal, (piece, text) in enumerate(zip(draft.chunks, draft.inputs, strict=True)):
        digest = _hash(text)
        rows.append(
            ChunkRow(
                id=_chunk_id(key, number, ordinal, digest),
                ordinal=ordinal,
                start=piece.start,
                end=piece.end,
                page=piece.page,
                page_end=piece.page_end,
                headings=piece.headings,
                encoding_hash=digest,
            )
        )
    return StagedVersion(version=version, chunks=tuple(rows), hidden=draft.parsed.hidden)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _chunk_id(key: str, number: int, ordinal: int, digest: str) -> str:
    return str(uuid.UUID(hashlib.sha256(f"{key}/{number}/{ordinal}/{digest}".encode()).hexdigest()[:32]))


def _place(source: Source) -> str:
    return str(source.path) if source.path else source.id


def _first(group: BaseExceptionGroup[GroundwireError]) -> GroundwireError:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first
