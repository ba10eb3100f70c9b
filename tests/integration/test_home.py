"""A home as a whole: one owner, one encoder, and access that changes at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import orchestrator.services
from ingest.errors import BadInput, DependencyDown, HomeBusy
from ingest.tags import Classification
from orchestrator.services import Services, open_services, reindex
from orchestrator.settings import Settings
from tests.doubles.encoder import HashEncoder
from tests.integration.conftest import Open, person

RECORDS = [
    {"id": "open", "text": "The canteen opens early.", "allow": ["public"]},
    {"id": "staff", "text": "The canteen budget is tight.", "allow": ["group:staff"]},
]


async def found(services: Services, *groups: str) -> set[str]:
    hits = await services.retriever.search("canteen", services.scope(person("rita", *groups)), k=10)
    return {hit.passage.document_id for hit in hits}


def test_a_second_owner_is_refused_and_told_who_holds_it(
    opened: Open, tmp_path: Path, hash_encoder: HashEncoder
) -> None:
    """Two processes never write one home; when the owner is killed the home is free at once."""
    home = tmp_path / "home"
    owner = subprocess.Popen(
        [
            sys.executable,
            "-c",
            textwrap.dedent(f"""
                import sys
                from pathlib import Path
                from orchestrator.home import Home
                with Home(Path({str(home)!r})):
                    print("owned", flush=True)
                    sys.stdin.read()
            """),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert owner.stdout
    assert owner.stdout.readline() == "owned\n"

    async def use() -> None:
        async with opened() as services:
            await services.ingest_records(RECORDS, "default", "ann")

    with pytest.raises(HomeBusy, match=f"process {owner.pid}"):
        asyncio.run(use())
    owner.kill()
    owner.wait()
    asyncio.run(use())


def test_two_openings_in_one_process_are_refused(opened: Open, hash_encoder: HashEncoder) -> None:
    """A home that is open is not opened a second time."""

    async def twice() -> None:
        async with opened():
            with pytest.raises(HomeBusy):
                async with opened():
                    pass

    asyncio.run(twice())


def test_revoked_access_is_gone_at_once_and_encodes_nothing(opened: Open, hash_encoder: HashEncoder) -> None:
    """The first search after a change sees the change, in both directions."""

    async def change() -> None:
        async with opened() as services:
            await services.ingest_records(RECORDS, "default", "ann")
            encoded = hash_encoder.encoded
            assert await found(services) == {"open"}
            assert await found(services, "staff") == {"open", "staff"}
            await services.set_access("default", "staff", {"allow": ["public"]})
            assert await found(services) == {"open", "staff"}
            await services.set_access("default", "open", {"deny": ["user:rita"]})
            assert await found(services, "staff") == {"staff"}
            await services.set_access("default", "staff", {"classification": "regulated"})
            assert await found(services, "staff") == set()
            assert hash_encoder.encoded == encoded

    asyncio.run(change())


def test_a_changed_encoder_is_refused_until_reindexed(
    opened: Open, hash_encoder: HashEncoder, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Vectors of two encoders never meet: the error names both and the command; after it the home serves again."""
    settings = Settings(home=tmp_path / "home", workers=1)

    async def first() -> None:
        async with opened() as services:
            await services.ingest_records(RECORDS, "default", "ann")

    asyncio.run(first())
    bigger = HashEncoder(dimensions=64)
    monkeypatch.setattr(orchestrator.services, "_open_encoder", lambda _: bigger)
    with pytest.raises(BadInput, match=r"hash-32.*hash-64.*groundwire reindex"):
        asyncio.run(first())
    report = asyncio.run(reindex(settings))
    assert (report["documents"], report["encoder"]) == (2, "hash-64")

    async def after() -> None:
        async with opened() as services:
            assert await found(services, "staff") == {"open", "staff"}
            assert services.ledger.known_encodings("default", "hash-32", []) == {}

    asyncio.run(after())
    assert [folder.name for folder in (tmp_path / "home" / "index").iterdir()] == [report["index"]]


def test_reindexing_brings_a_lost_index_back(opened: Open, hash_encoder: HashEncoder, tmp_path: Path) -> None:
    """The ledger is the truth: the index can be built from it with nothing encoded again."""
    import shutil

    async def fill() -> None:
        async with opened() as services:
            await services.ingest_records(RECORDS, "default", "ann")

    asyncio.run(fill())
    encoded = hash_encoder.encoded
    shutil.rmtree(tmp_path / "home" / "index")
    asyncio.run(reindex(Settings(home=tmp_path / "home", workers=1)))
    assert hash_encoder.encoded == encoded

    async def look() -> None:
        async with opened() as services:
            assert await found(services, "staff") == {"open", "staff"}

    asyncio.run(look())


def test_a_reader_sees_one_version_or_the_other(opened: Open, hash_encoder: HashEncoder) -> None:
    """While a document is replaced many times, every search finds it exactly once."""

    async def replace() -> None:
        async with opened() as services:
            record = {"id": "doc", "text": "canteen version 0", "allow": ["public"]}
            await services.ingest_records([record], "default", "ann")
            done = asyncio.Event()
            seen: list[list[str]] = []

            async def read() -> None:
                scope = services.scope(person("rita"))
                while not done.is_set():
                    hits = await services.retriever.search("canteen version", scope, k=10)
                    seen.append([hit.passage.text for hit in hits])

            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(read())
                for number in range(1, 12):
                    change = record | {"text": f"canteen version {number}"}
                    await services.ingest_records([change], "default", "ann")
                done.set()
            assert len(seen) > 11
            assert all(len(texts) == 1 for texts in seen), [texts for texts in seen if len(texts) != 1]

    asyncio.run(replace())


def test_a_removed_document_takes_its_older_versions_with_it(opened: Open, hash_encoder: HashEncoder) -> None:
    """After a removal no version of the text can be read by anybody."""

    async def remove() -> None:
        async with opened() as services:
            for text in ("first words", "second words"):
                await services.ingest_records([{"id": "d", "text": text, "allow": ["public"]}], "default", "ann")
            scope = services.scope(person("rita"))
            assert set(await services.library.stored(scope, [("d", 1), ("d", 2)])) == {("d", 1), ("d", 2)}
            key = services.ledger.find("default", "d")
            assert key is not None
            await services.pipeline.delete(key)
            assert await services.library.stored(scope, [("d", 1), ("d", 2)]) == {}
            assert await services.library.versions(scope, "d") == []

    asyncio.run(remove())


def test_what_was_taken_out_before_opening_stays_closed(opened: Open, hash_encoder: HashEncoder) -> None:
    """A document whose secret is edited out and that is then opened does not open its old version."""

    async def open_up() -> None:
        async with opened() as services:
            secret = {"id": "d", "text": "The code is 4711.", "allow": ["group:board"]}
            await services.ingest_records([secret], "default", "ann")
            await services.ingest_records([secret | {"text": "No code.", "allow": ["public"]}], "default", "ann")
            everyone, board = services.scope(person("rita")), services.scope(person("bob", "board"))
            assert set(await services.library.stored(everyone, [("d", 1), ("d", 2)])) == {("d", 2)}
            assert set(await services.library.stored(board, [("d", 1), ("d", 2)])) == {("d", 1), ("d", 2)}

    asyncio.run(open_up())


def test_a_home_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    """The error names the folder and what to do."""
    (tmp_path / "file").write_text("")

    async def use() -> None:
        async with open_services(Settings(home=tmp_path / "file" / "home")):
            pass

    with pytest.raises(DependencyDown, match="--home"):
        asyncio.run(use())


def test_clearance_is_a_ceiling(opened: Open, hash_encoder: HashEncoder) -> None:
    """A principal with less clearance than a document's classification does not see it."""

    async def look() -> None:
        async with opened() as services:
            record = {"id": "c", "text": "canteen", "allow": ["public"], "classification": "confidential"}
            await services.ingest_records([record], "default", "ann")
            low = services.scope(person("rita", clearance=Classification.internal))
            high = services.scope(person("rita", clearance=Classification.confidential))
            assert not await services.retriever.search("canteen", low)
            assert len(await services.retriever.search("canteen", high)) == 1

    asyncio.run(look())
