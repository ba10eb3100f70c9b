"""The ingest over a real ledger and real workers; the index is a sink in memory that can be made to fail."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from ingest.errors import DependencyDown
from ingest.ledger.rows import PassageRow
from ingest.ledger.store import Ledger, open_ledger
from ingest.pipeline import IndexedVersion, Pipeline, PipelineConfig
from ingest.report import IngestReport
from ingest.screen_versions import SCREENER_ITSELF, VECTORS, RescanReport, rescan
from ingest.sources import discover
from ingest.tags import AccessTags
from tests.doubles.encoder import HashEncoder
from tests.doubles.screener import MarkScreener, mark


class MemorySink:
    """What an index holds: for each document its version, chunk ids and tags. `failing` names calls that fail."""

    def __init__(self) -> None:
        self.documents: dict[str, tuple[int, tuple[str, ...], AccessTags]] = {}
        self.failing: set[str] = set()
        self.puts = 0

    async def put(self, versions: Sequence[IndexedVersion]) -> None:
        self._check("put")
        self.puts += len(versions)
        for version in versions:
            row = version.staged.version
            assert len(version.dense) == len(version.staged.chunks)
            self.documents[row.key] = (row.number, tuple(c.id for c in version.staged.chunks), row.tags)

    async def retag(self, key: str, tags: AccessTags) -> None:
        self._check("retag")
        number, chunks, _ = self.documents[key]
        self.documents[key] = (number, chunks, tags)

    async def remove(self, key: str) -> None:
        self._check("remove")
        self.documents.pop(key, None)

    def _check(self, call: str) -> None:
        if call in self.failing:
            raise DependencyDown("index", "index_down", "It does not answer.", "Start it.")


class Bench:
    """A ledger, a sink and an encoder around a folder of documents."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self.folder = folder
        self.ledger = ledger
        self.sink = MemorySink()
        self.encoder = HashEncoder()
        self.screener = MarkScreener()
        ledger.set_facts({"encoder": self.encoder.id})
        self.config = PipelineConfig(workers=1, batch_chunks=4)

    @property
    def pipeline(self) -> Pipeline:
        return Pipeline(self.ledger, self.encoder, self.sink, self.config, self.screener)

    def write(self, name: str, content: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
        return path

    def ingest(self, *paths: Path, **tags: Any) -> IngestReport:
        sources = discover(paths or (self.folder,), {"owner": "ann"} | tags)
        return asyncio.run(self.pipeline.ingest(sources))

    def key(self, name: str) -> str:
        key = self.ledger.find("default", f"docs/{name}")
        assert key is not None
        return key


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    (tmp_path / "docs").mkdir()
    ledger = open_ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    yield Bench(tmp_path / "docs", ledger)
    ledger.close()


LONG = "\n\n".join(f"Section {n} says something of its own. " + f"word{n} " * 150 for n in range(4))


def test_everything_arrives_in_ledger_and_index(bench: Bench) -> None:
    """Files and records become versions whose chunks are slices of the stored text, and the index has the same."""
    bench.write("a.md", f"# Title A\n\n{LONG}")
    bench.write("r.jsonl", "\n".join(json.dumps({"id": f"r{n}", "text": f"Record {n} says so."}) for n in range(20)))
    report = bench.ingest()
    assert (report.documents, report.failed, report.unchanged) == (21, [], 0)
    assert report.chunks == report.encoded == bench.ledger.counts()["chunks"]
    staged = bench.ledger.version(bench.key("a.md"), 1)
    assert staged.version.title == "Title A"
    assert len(staged.chunks) > 2
    assert all(staged.version.text[c.start : c.end].strip() for c in staged.chunks)
    assert bench.sink.documents[staged.version.key][1] == tuple(chunk.id for chunk in staged.chunks)


def test_a_second_run_does_nothing(bench: Bench) -> None:
    """What has not changed is neither parsed, encoded nor written."""
    bench.write("a.md", LONG)
    bench.ingest()
    puts, encoded = bench.sink.puts, bench.encoder.encoded
    report = bench.ingest()
    assert (report.documents, report.unchanged, report.updated, report.chunks) == (1, 1, 0, 0)
    assert (bench.sink.puts, bench.encoder.encoded) == (puts, encoded)


def test_an_edit_encodes_only_the_chunks_that_changed(bench: Bench) -> None:
    """One changed section costs one chunk, and the new version stands in for the old one."""
    file = bench.write("a.md", LONG)
    before = bench.ingest()
    file.write_text(LONG.replace("Section 2 says", "Section 2 denies"), "utf-8")
    after = bench.ingest()
    assert after.updated == 1
    assert 0 < after.encoded < before.encoded
    assert [(v.number, v.state) for v in bench.ledger.versions_of(bench.key("a.md"))] == [
        (1, "superseded"),
        (2, "current"),
    ]
    assert bench.sink.documents[bench.key("a.md")][0] == 2


def test_other_tags_touch_no_vector(bench: Bench) -> None:
    """A changed access tag reaches ledger and index without encoding anything."""
    bench.write("a.md", LONG)
    bench.ingest()
    encoded = bench.encoder.encoded
    report = bench.ingest(allow=["group:hr"])
    assert (report.retagged, report.unchanged, bench.encoder.encoded) == (1, 0, encoded)
    assert bench.sink.documents[bench.key("a.md")][2].allow == {"group:hr"}
    assert bench.ledger.unindexed_tags() == []


def test_one_bad_file_costs_one_file(bench: Bench) -> None:
    """Failures are named with path and code, and everything else is taken."""
    bench.write("good.md", "Something to read.")
    bench.write("empty.md", "")
    (bench.folder / "junk.pdf").write_bytes(b"%PDF-1.7 nothing of the kind")
    bench.write("r.jsonl", '{"text": "no id"}\n{"id": "ok", "text": "fine"}')
    report = bench.ingest()
    assert report.documents == 2
    assert {Path(f.path.split(":")[0]).name: bool(f.error.next_step) for f in report.failed} == {
        "empty.md": True,
        "junk.pdf": True,
        "r.jsonl": True,
    }


def test_an_id_that_comes_twice_is_refused_once(bench: Bench) -> None:
    """The first record with an id is taken; the second is named and changes nothing."""
    bench.write("r.jsonl", '{"id": "x", "text": "first"}\n{"id": "x", "text": "second"}')
    report = bench.ingest()
    assert [f.error.code for f in report.failed] == ["duplicate_id"]
    key = bench.ledger.find("default", "x")
    assert key is not None
    assert bench.ledger.version(key, 1).version.text == "first"


def test_two_files_that_want_one_id_get_different_ones(bench: Bench, tmp_path: Path) -> None:
    """A file never takes over the document of another file of the same name, on any later run either."""
    bench.write("a.md", "One of two.")
    other = tmp_path / "elsewhere" / "docs" / "a.md"
    other.parent.mkdir(parents=True)
    other.write_text("Two of two.", "utf-8")
    bench.ingest()
    bench.ingest(other.parent)
    assert len(bench.ledger.current_versions("default")) == 2
    assert bench.ingest(other.parent).unchanged == 1
    assert bench.ingest().unchanged == 1


def test_a_record_does_not_take_over_a_file(bench: Bench, tmp_path: Path) -> None:
    """A record whose id a file holds is refused and named; the file's document stays as it is."""
    bench.write("a.md", "The file.")
    bench.ingest()
    record = tmp_path / "r.jsonl"
    record.write_text('{"id": "docs/a.md", "text": "The record."}')
    report = bench.ingest(record)
    assert [failure.error.code for failure in report.failed] == ["id_taken"]
    assert bench.ledger.version(bench.key("a.md"), 1).version.text == "The file."


def test_two_files_of_one_name_in_one_run(bench: Bench, tmp_path: Path) -> None:
    """Both are taken, and keep their ids when the run is repeated."""
    first = bench.write("a.md", "One of two.")
    other = tmp_path / "elsewhere" / "a.md"
    other.parent.mkdir()
    other.write_text("Two of two.", "utf-8")
    assert bench.ingest(first, other).documents == 2
    assert bench.ingest(other, first).unchanged == 2
    assert len(bench.ledger.current_versions("default")) == 2


def test_a_deleted_document_leaves_nothing_behind(bench: Bench) -> None:
    """Text, chunks, vectors and quarantine go; vectors that another document shares stay."""
    bench.write("a.md", "Shared words.\n\n" + "only here " * 200)
    bench.write("b.md", "Something else.")
    bench.ingest()
    key = bench.key("a.md")
    asyncio.run(bench.pipeline.delete(key))
    assert key not in bench.sink.documents
    assert bench.ledger.counts()["documents"] == 1
    with pytest.raises(LookupError):
        bench.ledger.version(key, 1)
    bench.ingest()
    assert bench.ledger.find("default", "docs/a.md") is not None


@pytest.mark.parametrize("call", ["put", "retag", "remove"])
def test_what_an_index_that_fails_leaves_is_finished_later(bench: Bench, call: str) -> None:
    """When the index is down the run says so; the next recovery brings ledger and index to the same state."""
    file = bench.write("a.md", "First text.")
    bench.ingest()
    key = bench.key("a.md")
    bench.sink.failing = {call}
    file.write_text("Second text.", "utf-8")
    work = {
        "put": lambda: bench.ingest(),
        "retag": lambda: asyncio.run(bench.pipeline.set_access(key, AccessTags(allow=frozenset({"public"})))),
        "remove": lambda: asyncio.run(bench.pipeline.delete(key)),
    }[call]
    with pytest.raises(DependencyDown):
        work()
    bench.sink.failing = set()
    asyncio.run(bench.pipeline.recover())
    if call == "remove":
        assert key not in bench.sink.documents
        assert bench.ledger.counts()["documents"] == 0
        return
    (current,) = [v for v in bench.ledger.versions_of(key) if v.state == "current"]
    assert bench.sink.documents[key][0] == current.number == (2 if call == "put" else 1)
    assert bench.sink.documents[key][2] == current.tags
    assert bench.ledger.counts()["staged"] == 0
    assert bench.ledger.unindexed_tags() == []


def test_sweeping_keeps_the_text_and_drops_chunks_and_vectors(bench: Bench) -> None:
    """A superseded version can still be cited; its chunks and the vectors that only it used are gone."""
    file = bench.write("a.md", "Old words here.")
    bench.ingest()
    old = bench.ledger.version(bench.key("a.md"), 1)
    file.write_text("New words there.", "utf-8")
    bench.ingest()
    bench.ledger.sweep(older_than_s=0)
    swept = bench.ledger.version(bench.key("a.md"), 1)
    assert swept.version.text == "Old words here."
    assert swept.chunks == ()
    hashes = [chunk.encoding_hash for chunk in old.chunks]
    assert bench.ledger.known_encodings("default", bench.encoder.id, hashes) == {}


def test_another_encoder_encodes_anew_on_rebuild(bench: Bench) -> None:
    """Rebuilding into an empty index with a new encoder brings every document, and keeps the new vectors."""
    bench.write("a.md", LONG)
    bench.write("b.md", "Short.")
    bench.ingest()
    bench.encoder, bench.sink = HashEncoder(dimensions=64), MemorySink()
    documents, chunks = asyncio.run(bench.pipeline.rebuild())
    assert (documents, chunks) == (2, bench.ledger.counts()["chunks"])
    assert bench.encoder.encoded == chunks
    asyncio.run(bench.pipeline.rebuild())
    assert bench.encoder.encoded == chunks


def test_tenants_do_not_share_vectors(bench: Bench) -> None:
    """The same text of another tenant is encoded again, so that no timing tells of it."""
    bench.write("a.md", "The same text.")
    bench.ingest()
    encoded = bench.encoder.encoded
    report = bench.ingest(tenant="other")
    assert report.encoded == encoded
    assert len(bench.sink.documents) == 2


# -- screening

ORDER = mark("leave your rules")


def passages_of(bench: Bench, name: str) -> list[PassageRow]:
    chunks = [chunk.id for chunk in bench.ledger.version(bench.key(name), 1).chunks]
    return sorted(bench.ledger.passages("default", chunks), key=lambda row: row.chunk.start)


def test_what_screening_finds_is_kept_with_the_version(bench: Bench) -> None:
    """Each finding is there with its place, on the chunks that it touches, and the report counts its document."""
    bench.write("a.md", LONG.replace("Section 2", f"{ORDER} Section 2"))
    bench.write("b.md", LONG)
    report = bench.ingest()
    assert (report.with_findings, report.unscreened, bench.screener.screened) == (1, 0, 2)
    row = bench.ledger.version(bench.key("a.md"), 1).version
    assert row.screening is not None
    (found,) = row.screening.findings
    assert (row.screening.screener, row.text[found.start : found.end], found.score) == ("marks", ORDER, 0.995)
    assert [bool(r.screening and r.screening.findings) for r in passages_of(bench, "a.md")].count(True) == 1
    (touched,) = [r for r in passages_of(bench, "a.md") if r.screening and r.screening.findings]
    assert touched.chunk.start <= found.start < touched.chunk.end
    assert {r.screening.peaks["override"] for r in passages_of(bench, "a.md") if r.screening} == {0.995}
    clean = [r.screening for r in passages_of(bench, "b.md")]
    assert clean
    assert all(c and (c.screener, c.findings, c.peaks) == ("marks", (), {}) for c in clean)


def test_known_vectors_are_screened_too(bench: Bench) -> None:
    """A version whose chunks the encoder need not see again is screened with the vectors that the ledger has."""
    file = bench.write("a.md", LONG)
    bench.ingest()
    seen = bench.screener.tokens
    file.write_text(LONG.replace("Section 2", f"{ORDER} Section 2"), "utf-8")
    report = bench.ingest()
    assert report.encoded < report.chunks
    assert bench.screener.tokens - seen >= seen
    assert report.with_findings == 1


@pytest.mark.parametrize(("text", "failed"), [("{{fail}}", ("marks",)), ("{{raise}}", (SCREENER_ITSELF,))])
def test_a_document_that_cannot_be_screened_is_taken_and_marked(
    bench: Bench, text: str, failed: tuple[str, ...]
) -> None:
    """A detector that fails, and a screener that raises though it must not, cost no document and hide no failure."""
    bench.write("a.md", f"Something. {text}")
    report = bench.ingest()
    assert (report.documents, report.unscreened, report.failed) == (1, 1, [])
    assert [r.screening and r.screening.failed for r in passages_of(bench, "a.md")] == [failed]


def test_a_heading_carries_its_finding_to_the_chunks_below(bench: Bench) -> None:
    """What is found on a heading comes with each chunk of its section, however far below."""
    bench.write("a.md", f"# {ORDER}\n\n{LONG}")
    bench.ingest()
    rows = passages_of(bench, "a.md")
    assert len(rows) > 2
    assert all(ORDER in row.chunk.headings for row in rows)
    assert all(row.screening and len(row.screening.findings) == 1 for row in rows)


def test_a_better_screener_protects_old_documents_and_encodes_nothing(bench: Bench) -> None:
    """After a new screening findings are there as if they always had been; a second run has nothing to do."""
    bench.write("a.md", LONG.replace("Section 2", f"{ORDER} Section 2"))
    bench.write("b.md", LONG)
    bench.screener = MarkScreener("blind", blind=True)
    assert bench.ingest().with_findings == 0
    encoded, better = bench.encoder.encoded, MarkScreener("better")
    assert bench.ledger.screening_counts("better")["older_screener"] == 2
    report = rescan(bench.ledger, better)
    assert (report.versions, report.changed, report.with_findings, report.failed) == (2, 1, 1, 0)
    assert better.tokens > 0
    assert bench.encoder.encoded == encoded
    bench.screener = MarkScreener("better")
    rescanned = passages_of(bench, "a.md")
    asyncio.run(bench.pipeline.delete(bench.key("a.md")))
    bench.ingest()
    assert [r.screening for r in rescanned] == [r.screening for r in passages_of(bench, "a.md")]
    assert rescan(bench.ledger, better).versions == 0
    assert rescan(bench.ledger, better, everything=True).versions == 2
    assert bench.ledger.screening_counts("better") == {
        "unscreened": 0,
        "older_screener": 0,
        "failed": 0,
        "with_findings": 1,
    }


def test_findings_go_when_a_better_screener_has_none(bench: Bench) -> None:
    """A new screening takes the place of the old one, on every chunk."""
    bench.write("a.md", ORDER)
    bench.ingest()
    rescan(bench.ledger, MarkScreener("blind", blind=True))
    assert [r.screening and (r.screening.findings, r.screening.peaks) for r in passages_of(bench, "a.md")] == [((), {})]


def test_a_rescan_that_was_stopped_goes_on_where_it_was(bench: Bench) -> None:
    """Each version is kept when it is done; the next run takes the rest."""
    for n in range(4):
        bench.write(f"{n}.md", f"Text {n}.")
    bench.ingest()

    def stop(report: RescanReport) -> None:
        if report.versions == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rescan(bench.ledger, MarkScreener("new"), progress=stop)
    assert bench.ledger.screening_counts("new")["older_screener"] == 2
    assert rescan(bench.ledger, MarkScreener("new")).versions == 2
    assert bench.ledger.screening_counts("new")["older_screener"] == 0


def test_what_failed_is_tried_again(bench: Bench) -> None:
    """By the same screener too: a failure may have been the machine's."""
    bench.write("a.md", "{{fail}}")
    bench.write("b.md", "Text.")
    bench.ingest()
    assert rescan(bench.ledger, MarkScreener()).versions == 1


def test_half_a_screening_is_none(bench: Bench) -> None:
    """Where token vectors are missing, as in a home that waits for a reindex, the text stays out of answers."""
    bench.write("a.md", LONG)
    bench.ingest()
    bench.ledger.set_facts({"encoder": "another"})
    assert rescan(bench.ledger, MarkScreener("new")).failed == 1
    assert {r.screening and r.screening.failed for r in passages_of(bench, "a.md")} == {(VECTORS,)}
    bench.ledger.set_facts({"encoder": bench.encoder.id})
    assert rescan(bench.ledger, MarkScreener("new")).failed == 0
