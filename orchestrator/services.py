"""The composition root: every part of a home, made from the settings and put together here and nowhere else."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ingest.errors import BadInput
from orchestrator.governance import open_gateway, open_governance, runs_of
from orchestrator.home import Home
from orchestrator.settings import Settings
from retrieval.access import Principal, ReadScope, read_scope

if TYPE_CHECKING:
    from ingest.encoder import Encoder
    from ingest.ledger.store import Ledger
    from ingest.pipeline import Pipeline, PipelineConfig, Progress
    from ingest.readers import ReaderConfig
    from ingest.report import IngestReport
    from ingest.screen_versions import RescanReport
    from ingest.screening import Screener
    from ingest.tags import AccessTags
    from orchestrator.asking import Asker
    from orchestrator.confidence import Judge
    from orchestrator.contract import Answer
    from orchestrator.egress.gate import Validated
    from orchestrator.gateway.gateway import Gateway
    from orchestrator.governance import Governance, Runs
    from orchestrator.ingress import Admitted
    from orchestrator.personal_data.chain import DetectorChain
    from orchestrator.prompts.rendering import Prompted
    from orchestrator.runs.replay import Replay
    from orchestrator.store.database import Database
    from orchestrator.telemetry.metrics import Metrics
    from orchestrator.telemetry.tracing import Tracing
    from orchestrator.workflows import Risk
    from retrieval.index import VectorIndex
    from retrieval.library import Library
    from retrieval.publisher import Publisher
    from retrieval.screening_policy import ScreeningPolicy
    from retrieval.search import Retriever

Parents = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The open parts of a home. Made by `open_services`."""

    settings: Settings
    ledger: Ledger
    encoder: Encoder
    screener: Screener
    policy: ScreeningPolicy
    index: VectorIndex
    library: Library
    retriever: Retriever
    publisher: Publisher
    pipeline: Pipeline
    asker: Asker
    governance: Governance
    gateway: Gateway
    runs: Runs
    tracing: Tracing
    metrics: Metrics
    parents: Parents

    def scope(self, principal: Principal) -> ReadScope:
        """What the principal may read now, nested groups included."""
        return read_scope(principal, parents=self.parents)

    async def ingest(
        self,
        paths: Sequence[Path],
        defaults: Mapping[str, object],
        tags: Path | None = None,
        *,
        keep_missing: bool = False,
        progress: Progress = lambda _: None,
    ) -> IngestReport:
        """Take paths in with these default tags, and remove documents whose file is gone from one of the folders.

        Raises BadInput when the default tags cannot be used.
        """
        from ingest.sources import check_tags, discover, read_tags_file

        check_tags("the command line", defaults)
        tags_file, failures = read_tags_file(tags) if tags else (None, [])
        tenant = str(defaults.get("tenant", "default"))
        removed = 0 if keep_missing else await self._remove_missing(tenant, paths)
        report = await self.pipeline.ingest(discover(paths, defaults, tags_file), progress)
        report.removed = removed
        report.failed = [*failures, *report.failed, *(tags_file.unused() if tags_file else ())]
        return report

    async def ingest_reader(
        self, reader: ReaderConfig, defaults: Mapping[str, object], *, progress: Progress = lambda _: None
    ) -> IngestReport:
        """Take in what a llama-index reader reads. What it no longer reads stays: it may have read a part only.

        Raises BadInput when the reader or the default tags cannot be used.
        """
        from ingest.readers import read
        from ingest.sources import check_tags

        check_tags("the command line", defaults)
        return await self.pipeline.ingest(await asyncio.to_thread(read, reader, defaults), progress)

    async def ingest_records(self, records: Sequence[dict[str, Any]], tenant: str, owner: str) -> IngestReport:
        """Take records in as a .jsonl file would bring them; a record cannot choose its tenant."""
        from ingest.sources import from_records

        own = [record | {"tenant": tenant} for record in records]
        return await self.pipeline.ingest(from_records(own, {"owner": owner}))

    async def set_access(self, tenant: str, document: str, changes: Mapping[str, Any]) -> AccessTags:
        """Change some tags of a document; true for every reader when this returns. Raises BadInput."""
        from ingest.sources import check_tags

        tags = self.ledger.tags_of(tenant, document)
        changed = check_tags(document, tags.model_dump() | dict(changes))
        key = self.ledger.find(tenant, document)
        assert key is not None  # tags_of has found it
        await self.pipeline.set_access(key, changed)
        return changed

    async def ask(
        self,
        question: str,
        scope: ReadScope,
        *,
        earlier: Sequence[str] = (),
        model: str | None = None,
        conversation: str | None = None,
        risk: Risk | None = None,
        judge: Judge | None = None,
    ) -> Answer:
        """Answer a question from what the scope may read. Raises BadInput for a question or a model of no use.

        `earlier` are the asker's own questions before this one, oldest first, `conversation` the id of one that is
        kept. `model` names the route that is to answer, by default that of the settings, and `risk` asks for more care
        than the workflow does by itself. `judge` decides in place of that of the installation, as measurements want it.
        """
        return await self.asker.ask(
            question, scope, earlier=earlier, model=model, conversation=conversation, risk=risk, judge=judge
        )

    async def replay(
        self, run_id: str, scope: ReadScope, *, model: str | None = None, prompt_version: str | None = None
    ) -> Replay:
        """Do a run again from what was found then, and say what differs. Raises BadInput for one not to be seen."""
        shown = await self.runs.reader.show(scope, run_id)
        return await self.asker.replay(shown, scope, model=model, prompt_version=prompt_version)

    async def _remove_missing(self, tenant: str, paths: Sequence[Path]) -> int:
        from ingest.sources import files_gone

        folders = [path for path in paths if path.is_dir()]
        gone = files_gone(await asyncio.to_thread(self.ledger.source_uris, tenant), folders) if folders else []
        for uri in gone:
            key = self.ledger.find(tenant, uri)
            if key is not None:
                await self.pipeline.delete(key)
        return len(gone)


@asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Open a home whole, finish what a process that died there had begun, and close it in the end.

    Raises HomeBusy when another process owns it, BadInput when it was indexed with another encoder, DependencyDown
    when a part of it cannot be used.
    """
    async with AsyncExitStack() as stack:
        if settings.embedded:
            stack.enter_context(Home(settings.home))
        ledger = stack.enter_context(open_ledger_at(settings))
        encoder = await asyncio.to_thread(_open_encoder, settings)
        _one_blas_thread()
        name = _check_facts(ledger, encoder, settings)
        index = await _open_index(settings, encoder.dimensions, name)
        stack.push_async_callback(index.close)
        governance = stack.enter_context(open_governance(settings))
        gateway = await stack.enter_async_context(open_gateway(settings, governance))
        services = _assemble(settings, ledger, encoder, index, governance, gateway)
        await services.pipeline.recover()
        stack.push_async_callback(asyncio.to_thread, services.tracing.close)
        yield services


@contextmanager
def open_ledger_at(settings: Settings) -> Iterator[Ledger]:
    """The ledger alone: needs neither encoder nor index, and no ownership of the home."""
    from ingest.ledger.store import open_ledger

    _make_home(settings)
    ledger = open_ledger(settings.ledger_url)
    try:
        yield ledger
    finally:
        ledger.close()


@contextmanager
def open_record(settings: Settings) -> Iterator[Database]:
    """The orchestrator's own database alone: runs, audit, usage, prompts. Needs no ownership of the home."""
    from orchestrator.store.database import open_database

    _make_home(settings)
    database = open_database(settings.record_url)
    try:
        yield database
    finally:
        database.close()


def _make_home(settings: Settings) -> None:
    if settings.database_url is not None:
        return
    try:
        settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        from ingest.errors import DependencyDown

        cause = f"The folder cannot be made ({error.strerror})."
        step = "Choose another with --home, or correct its permissions."
        raise DependencyDown(str(settings.home), "home_not_writable", cause, step) from error


@contextmanager
def open_library(settings: Settings) -> Iterator[tuple[Library, Callable[[Principal], ReadScope]]]:
    """Stored text alone, with the way from a principal to a scope."""
    from retrieval.library import Library

    parents = _read_groups(settings)
    with open_ledger_at(settings) as ledger:
        yield Library(ledger, ledger.fact("encoder") or ""), lambda principal: read_scope(principal, parents=parents)


async def reindex(settings: Settings) -> dict[str, Any]:
    """Build a new index from the ledger with the encoder of the settings, then switch to it and drop the old one."""
    async with AsyncExitStack() as stack:
        if settings.embedded:
            stack.enter_context(Home(settings.home))
        ledger = stack.enter_context(open_ledger_at(settings))
        encoder = await asyncio.to_thread(_open_encoder, settings)
        _one_blas_thread()
        before, old_encoder = ledger.fact("index"), ledger.fact("encoder")
        name = _next_index(before)
        await _drop_index(settings, name)  # of a run that died
        index = await _open_index(settings, encoder.dimensions, name)
        stack.push_async_callback(index.close)
        governance = stack.enter_context(open_governance(settings))
        gateway = await stack.enter_async_context(open_gateway(settings, governance))
        services = _assemble(settings, ledger, encoder, index, governance, gateway)
        documents, chunks = await services.pipeline.rebuild()
        await asyncio.to_thread(ledger.set_facts, _facts(encoder, name))
        await services.pipeline.recover()
        if old_encoder is not None and old_encoder != encoder.id:
            await asyncio.to_thread(ledger.drop_encoder, old_encoder)
        if before is not None:
            await _drop_index(settings, before)
        waiting = await asyncio.to_thread(ledger.screening_counts, services.screener.id)
        to_rescan = waiting["unscreened"] + waiting["older_screener"]
        return {
            "documents": documents,
            "chunks": chunks,
            "index": name,
            "encoder": encoder.id,
            "to_rescan": to_rescan,
        }


def rescan(
    settings: Settings, *, everything: bool = False, progress: Callable[[RescanReport], None] = lambda _: None
) -> RescanReport:
    """Screen again what an older screener screened, or none. In force at once, beside a server that runs too."""
    from ingest.screen_versions import rescan as run

    _one_blas_thread()
    with open_ledger_at(settings) as ledger:
        return run(ledger, _open_screener(), everything=everything, progress=progress)


def screening_policy(settings: Settings, screener: Screener | None = None) -> ScreeningPolicy:
    """What the settings want done with findings."""
    from retrieval.screening_policy import ScreeningPolicy

    return ScreeningPolicy(
        act=settings.screening_act,
        flag=settings.screening_flag,
        rules=settings.screening_rules,
        screener=screener.id if screener else None,
    )


def _assemble(
    settings: Settings,
    ledger: Ledger,
    encoder: Encoder,
    index: VectorIndex,
    governance: Governance,
    gateway: Gateway,
) -> Services:
    from ingest.pipeline import Pipeline
    from orchestrator.telemetry.metrics import Metrics
    from orchestrator.telemetry.tracing import TracingConfig, open_tracing
    from retrieval.library import Library
    from retrieval.publisher import Publisher
    from retrieval.search import Retriever

    library, publisher = Library(ledger, encoder.id), Publisher(index)
    screener = _open_screener()
    policy = screening_policy(settings, screener)
    retriever = Retriever(index, library, encoder, max_characters=settings.max_question_characters, policy=policy)
    parents = _read_groups(settings)
    tracing, metrics = open_tracing(TracingConfig(endpoint=settings.trace_endpoint)), Metrics()
    return Services(
        settings=settings,
        ledger=ledger,
        encoder=encoder,
        screener=screener,
        policy=policy,
        index=index,
        library=library,
        retriever=retriever,
        publisher=publisher,
        pipeline=Pipeline(ledger, encoder, publisher, _pipeline_config(settings, encoder), screener),
        asker=_asker(settings, retriever, library, encoder, governance, gateway, tracing, metrics),
        tracing=tracing,
        metrics=metrics,
        governance=governance,
        gateway=gateway,
        runs=runs_of(governance, library, lambda principal: read_scope(principal, parents=parents)),
        parents=parents,
    )


def _asker(
    settings: Settings,
    retriever: Retriever,
    library: Library,
    encoder: Encoder,
    governance: Governance,
    gateway: Gateway,
    tracing: Tracing,
    metrics: Metrics,
) -> Asker:
    from orchestrator.asking import AskConfig, Asker, Parts
    from orchestrator.confidence import open_judge
    from orchestrator.interaction import Interaction
    from orchestrator.judging import open_output_judge
    from orchestrator.personal_data.presenting import Presenter
    from orchestrator.personal_data.vault import RestorePolicy
    from orchestrator.prompts.rendering import render
    from orchestrator.run_notes import RunNotes
    from orchestrator.second_looks import SecondLooks

    restored = RestorePolicy(
        roles=settings.personal_data_for_roles, everyone=frozenset(settings.personal_data_for_everyone)
    )
    open_chain = _chain_opener(settings)
    output_judge = open_output_judge(settings.calibration_path, encoder.id)
    custody = governance.custody

    def open_notes(admitted: Admitted) -> RunNotes:
        principal = admitted.principal
        log = custody.open_run(admitted.run_id, principal.tenant, principal.subject)
        return RunNotes(admitted, log, governance.runs, governance.usage, tracing, metrics)

    def render_look(name: str, validated: Validated, claims: tuple[str, ...]) -> Prompted:
        prompt = governance.prompts.live(name, settings.prompt_environment)
        return render(prompt, settings.prompt_environment, validated.produced.prompted.context, claims=claims)

    parts = Parts(
        retriever=retriever,
        library=library,
        encoder=encoder,
        presenter=Presenter(open_chain, restored),
        judge=open_judge(settings.calibration_path, encoder.id),
        policy=governance.policy,
        prompts=governance.prompts,
        gateway=gateway,
        interaction=Interaction(
            gateway,
            library,
            encoder,
            governance.policy,
            output_judge,
            SecondLooks(gateway, render_look, output_judge.rule),
        ),
        conversations=governance.conversations,
        kept=governance.kept,
        open_notes=open_notes,
        open_log=custody.open_run,
        open_chain=open_chain,
    )
    config = AskConfig(k=settings.evidence_k, environment=settings.prompt_environment, model=settings.model)
    return Asker(parts, config)


def _chain_opener(settings: Settings) -> Callable[[], DetectorChain]:
    """Opens the detectors of personal data once, when they are first needed: they take time to load."""

    @cache
    def open_chain() -> DetectorChain:
        from orchestrator.personal_data.chain import DetectionConfig, standard_chain

        config = DetectionConfig(own_words=settings.personal_data_words)
        return standard_chain(replace(config, regions=settings.phone_regions) if settings.phone_regions else config)

    return open_chain


def _pipeline_config(settings: Settings, encoder: Encoder) -> PipelineConfig:
    from ingest.chunker import ChunkConfig
    from ingest.limits import ParseLimits
    from ingest.pipeline import PipelineConfig

    limits = ParseLimits(
        max_bytes=settings.max_file_bytes,
        max_unpacked_bytes=settings.max_unpacked_bytes,
        max_ratio=settings.max_unpacked_ratio,
        max_members=settings.max_members,
        max_nesting=settings.max_nesting,
        max_embedded=settings.max_embedded,
        max_ocr_pages=settings.max_ocr_pages,
        max_ocr_pixels=settings.max_ocr_pixels,
        max_pages=settings.max_pages,
        max_characters=settings.max_characters,
        seconds=settings.parse_seconds,
        memory_bytes=settings.parse_memory_bytes,
        ocr=settings.ocr,
        ocr_languages=settings.ocr_languages,
    )
    chunking = ChunkConfig(max_tokens=min(settings.chunk_tokens, encoder.max_tokens))
    return PipelineConfig(
        limits=limits, chunking=chunking, workers=settings.workers, batch_chunks=settings.batch_chunks
    )


def _one_blas_thread() -> None:
    """Our matrices are small: threads of numpy's own cost them more in waiting for each other than they gain.

    40 candidates of late interaction take 2.4 ms on one thread and 9.4 on two, or 385 where the cores are busy.
    """
    import numpy  # noqa: F401 - only what is loaded can be limited
    from threadpoolctl import threadpool_limits

    threadpool_limits(limits=1, user_api="blas")


def _open_encoder(settings: Settings) -> Encoder:
    from ingest.encoders import EncoderConfig, open_encoder

    return open_encoder(
        EncoderConfig(
            model=settings.encoder_model,
            runtime=settings.encoder_runtime,
            device=settings.encoder_device,
            cache=settings.encoder_cache,
            allow_download=settings.encoder_download,
            max_tokens=settings.encoder_max_tokens,
            query_prefix=settings.query_prefix,
            passage_prefix=settings.passage_prefix,
            threads=settings.encoder_threads,
        )
    )


def _open_screener() -> Screener:
    from retrieval.injection.screener import InjectionScreener

    return InjectionScreener()


def _check_facts(ledger: Ledger, encoder: Encoder, settings: Settings) -> str:
    """The name of the index that serves; leftovers of others are removed."""
    name, indexed_with = ledger.fact("index"), ledger.fact("encoder")
    if name is None or indexed_with is None:
        name = _next_index(None)
        ledger.set_facts(_facts(encoder, name))
    elif indexed_with != encoder.id:
        raise BadInput(
            str(settings.home),
            "encoder_changed",
            f"The home was indexed with {indexed_with}, and the settings name {encoder.id}.",
            "Run `groundwire reindex` to change over, or set the encoder back.",
        )
    if settings.embedded:
        for folder in _index_root(settings).glob("*"):
            if folder.name != name:
                shutil.rmtree(folder, ignore_errors=True)
    return name


def _facts(encoder: Encoder, index: str) -> dict[str, str]:
    return {"encoder": encoder.id, "index": index}


def _next_index(name: str | None) -> str:
    return f"chunks-{int(name.rsplit('-', 1)[1]) + 1 if name else 1}"


def _index_root(settings: Settings) -> Path:
    return settings.home / "index"


async def _open_index(settings: Settings, dimensions: int, name: str) -> VectorIndex:
    from retrieval.chunk_index import index_config

    config = index_config(dimensions)
    if settings.qdrant_url is None:
        from retrieval.edge import open_edge

        return await open_edge(_index_root(settings) / name, config, deadline=settings.index_deadline_s)
    from retrieval.qdrant_server import open_server

    return await open_server(
        settings.qdrant_url,
        api_key=settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None,
        collection=f"groundwire-{name}",
        config=config,
        replication_factor=settings.qdrant_replicas,
        shard_number=settings.qdrant_shards,
        deadline=settings.index_deadline_s,
    )


async def _drop_index(settings: Settings, name: str) -> None:
    if settings.qdrant_url is None:
        await asyncio.to_thread(shutil.rmtree, _index_root(settings) / name, ignore_errors=True)
        return
    from retrieval.qdrant_server import drop_collection

    key = settings.qdrant_api_key.get_secret_value() if settings.qdrant_api_key else None
    await drop_collection(settings.qdrant_url, api_key=key, collection=f"groundwire-{name}")


def _read_groups(settings: Settings) -> Parents:
    """Group to the groups that contain it, from the settings' file; raises BadInput for a file of another shape."""
    if settings.groups_file is None:
        return {}
    import yaml

    item, step = str(settings.groups_file), "Write `group: [groups that contain it]`, one a line."
    try:
        content = yaml.safe_load(settings.groups_file.read_text("utf-8")) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(item, "bad_groups_file", f"The groups cannot be read ({error}).", step) from error
    if not isinstance(content, dict) or not all(isinstance(parents, list) for parents in content.values()):
        raise BadInput(item, "bad_groups_file", "The file is no mapping of names to lists.", step)
    return {str(group): frozenset(map(str, parents)) for group, parents in content.items()}
