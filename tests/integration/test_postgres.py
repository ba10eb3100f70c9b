"""A home whose ledger is PostgreSQL: the same commands, the same outcome."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from orchestrator.services import Services, open_services, reindex
from orchestrator.settings import Settings
from tests.doubles.encoder import HashEncoder
from tests.doubles.postgres import fresh_database
from tests.integration.conftest import person

RECORDS: list[dict[str, Any]] = [
    {"id": "open", "text": "The canteen opens at 11:30.", "allow": ["public"]},
    {"id": "staff", "text": "The canteen budget is tight. 食堂は十一時半に開きます。", "allow": ["group:staff"]},
]


async def life(settings: Settings) -> list[Any]:
    """What a home tells while documents come, change, are closed and go."""
    told: list[Any] = []

    async def look(services: Services, *groups: str) -> None:
        scope = services.scope(person("rita", *groups))
        hits = await services.retriever.search("canteen opens", scope, k=10)
        told.append([(hit.passage.document_id, hit.passage.version, hit.passage.text, hit.score) for hit in hits])
        answer = await services.ask("When does the canteen open?", scope)
        told.append(answer.model_dump(exclude={"run_id", "timings_ms"}))

    async with open_services(settings) as services:
        for records in (RECORDS, RECORDS, [RECORDS[0] | {"text": "The canteen opens at noon."}]):
            report = await services.ingest_records(records, "default", "ann")
            told.append((report.documents, report.unchanged, report.updated, report.encoded))
        await look(services, "staff")
    async with open_services(settings) as services:
        await services.set_access("default", "staff", {"allow": ["user:x"]})
        await look(services, "staff")
        key = services.ledger.find("default", "open")
        assert key
        await services.pipeline.delete(key)
        await look(services)
        told.append(services.ledger.counts())
    return [*told, await reindex(settings)]


def test_a_home_over_postgres_is_a_home(postgres: str, tmp_path: Path, hash_encoder: HashEncoder) -> None:
    """Every report, hit, score and answer is the same over PostgreSQL and over SQLite."""
    here = Settings(home=tmp_path / "sqlite", workers=1)
    with fresh_database(postgres) as url:
        there = Settings(home=tmp_path / "postgres", workers=1, database_url=url)
        assert asyncio.run(life(there)) == asyncio.run(life(here))
    assert not (there.home / "ledger.db").exists()
