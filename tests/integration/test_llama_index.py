"""llama-index at both edges of a real home: a reader of its own in, its retriever and nodes out."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from api.cli.ingest import command
from ingest.readers import ReaderConfig
from ingest.report import IngestReport
from orchestrator.services import Services
from retrieval.llama_index import GroundwireRetriever
from tests.doubles.encoder import HashEncoder
from tests.integration.conftest import Open, person

READER = "llama_index.core.readers:SimpleDirectoryReader"


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder of two notes."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    (folder / "canteen.txt").write_text("The canteen opens at seven.\n\nIt closes at four.", "utf-8")
    (folder / "budget.txt").write_text("The canteen budget is 900 euros.", "utf-8")
    return folder


async def take(services: Services, folder: Path, *allow: str) -> IngestReport:
    reader = ReaderConfig(name=READER, init={"input_dir": str(folder)})
    return await services.ingest_reader(reader, {"allow": list(allow)})


def test_what_a_reader_brings_is_retrieved_as_nodes(opened: Open, shelf: Path, hash_encoder: HashEncoder) -> None:
    """A node's text is the stored text between its offsets, and only those who may read get it, in either way."""

    async def use() -> None:
        async with opened() as services:
            report = await take(services, shelf, "group:staff")
            assert (report.documents, report.failed) == (2, [])
            scope = services.scope(person("rita", "staff"))
            retriever = GroundwireRetriever(services.retriever, scope)
            found = await retriever.aretrieve("canteen budget")
            assert await asyncio.to_thread(retriever.retrieve, "canteen budget") == found
            assert {node.metadata["title"] for node in found} == {"canteen.txt", "budget.txt"}
            for node in found:
                version = await services.library.current(scope, str(node.node.ref_doc_id))
                assert version is not None
                assert version.source_uri == f"reader:{READER}:{version.document_id}"
                span = slice(node.node.start_char_idx, node.node.end_char_idx)  # type: ignore[attr-defined]
                assert node.text == version.text[span] != ""
            outsider = GroundwireRetriever(services.retriever, services.scope(person("otto")))
            assert await outsider.aretrieve("canteen budget") == []

    asyncio.run(use())


def test_a_second_run_of_a_reader_costs_what_has_changed(opened: Open, shelf: Path, hash_encoder: HashEncoder) -> None:
    """llama-index makes new ids up on each run; the documents stay the same ones all the same."""

    async def use() -> None:
        async with opened() as services:
            await take(services, shelf, "public")
            encoded = hash_encoder.encoded
            again = await take(services, shelf, "public")
            assert (again.documents, again.unchanged, hash_encoder.encoded) == (2, 2, encoded)
            (shelf / "budget.txt").write_text("The canteen budget is 800 euros.", "utf-8")
            edited = await take(services, shelf, "group:staff")
            assert (edited.updated, edited.retagged, hash_encoder.encoded) == (1, 1, encoded + 1)

    asyncio.run(use())


def test_the_command_takes_a_reader_and_its_stdout_stays_json(
    tmp_path: Path, shelf: Path, hash_encoder: HashEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a reader prints goes to stderr; `--reader-tags` lets a document's metadata name its readers."""
    (tmp_path / "groundwire_talker.py").write_text(
        "from llama_index.core import Document\n"
        "class Talker:\n"
        "    def load_data(self, topic):\n"
        "        print('fetching', topic)\n"
        "        return [Document(id_='t1', text=topic, metadata={'allow': ['user:bob']})]\n",
        "utf-8",
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("GROUNDWIRE_WORKERS", "1")
    arguments = ["--home", str(tmp_path / "home"), "--json", "--reader", "groundwire_talker:Talker"]
    arguments += ["--reader-args", '{"load": {"topic": "The canteen."}}', "--reader-tags", "allow"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["documents"] == 1
    assert "fetching The canteen." in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--reader", "m:C", "notes.md"],
        ["--reader", "m:C", "--keep-missing"],
        ["notes.md", "--reader-args", "{}"],
        ["notes.md", "--reader-tags", "allow"],
    ],
)
def test_paths_and_a_reader_exclude_each_other(arguments: list[str]) -> None:
    """Bad use ends with 2 and says what to name."""
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert "PATHS" in result.stderr
