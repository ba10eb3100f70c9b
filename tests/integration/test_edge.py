"""The Edge index as a process: deaths, owners, restarts, and what a folder may look like."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import models as m

from ingest.errors import BadInput, DependencyDown, HomeBusy
from retrieval.edge import EdgeIndex, open_edge
from retrieval.edge_process import BUSY_PATIENCE
from retrieval.index import Delete, IndexConfig, IndexPoint, ScoredPoint, SetPayload, SparseVector, Upsert

CONFIG = IndexConfig(
    dimensions=4, sparse=("terms",), payload={"tenant": "keyword", "live": "bool", "number": "integer"}
)
EVERYTHING = m.Filter(must=[m.FieldCondition(key="number", range=m.Range(gte=0))])
LIVE = m.Filter(must=[m.FieldCondition(key="live", match=m.MatchValue(value=True))])


class Runner:
    """Opens indexes on one loop and closes them at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runner = asyncio.Runner()
        self._opened: list[EdgeIndex] = []

    def __call__(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def open(self, config: IndexConfig = CONFIG, *, deadline: float = 30.0) -> EdgeIndex:
        index: EdgeIndex = self(open_edge(self.folder, config, deadline=deadline))
        self._opened.append(index)
        return index

    def close(self) -> None:
        for index in self._opened:
            self(index.close())
        self._runner.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Runner]:
    runner = Runner(tmp_path / "index")
    yield runner
    runner.close()


def point(number: int, *, dense: Any = None, weights: Any = (1, 2)) -> IndexPoint:
    terms = SparseVector(indices=np.array([1, 7], np.uint32), values=np.array(weights, np.float32))
    return IndexPoint(
        id=str(uuid.UUID(int=number)),
        dense=np.array([1, number % 5, 0, 0], np.float32) if dense is None else dense,
        sparse={"terms": terms},
        payload={"number": number, "live": True},
    )


def everything(index: EdgeIndex) -> Coroutine[Any, Any, list[list[ScoredPoint]]]:
    idf = m.SearchParams(idf=m.IdfCorpusParams(corpus=EVERYTHING))
    sparse = m.SparseVector(indices=[7], values=[1.0])
    return index.query(
        [
            m.QueryRequest(query=[1.0, 2.0, 0.0, 0.0], using="dense", filter=EVERYTHING, limit=50),
            m.QueryRequest(query=sparse, using="terms", filter=EVERYTHING, limit=50, params=idf),
        ]
    )


def kill_child(index: EdgeIndex) -> None:
    assert index.child_pid is not None
    os.kill(index.child_pid, signal.SIGKILL)


def test_persists_over_a_restart(run: Runner) -> None:
    """A closed index answers the same when it is opened again, also after a change that was not flushed."""
    index = run.open()
    run(index.update([Upsert(points=[point(n) for n in range(30)])]))
    run(index.flush())
    run(index.update([SetPayload(payload={"live": False}, where=EVERYTHING), Upsert(points=[point(99)])]))
    before = run(everything(index))
    run(index.close())
    again = run.open()
    assert run(everything(again)) == before
    assert (run(again.count(EVERYTHING)), run(again.count(LIVE))) == (31, 1)


def test_killed_child_loses_nothing_that_was_acknowledged(run: Runner) -> None:
    """kill -9 of the child after each update, flushed or not: everything acknowledged is there again."""
    index = run.open()
    for number in range(4):
        run(index.update([Upsert(points=[point(number)])]))
        if number % 2:
            run(index.flush())
            run(index.count(EVERYTHING))  # stands behind the tidying that a flush starts
        kill_child(index)
        with pytest.raises(DependencyDown) as down:
            run(index.count(EVERYTHING))
        assert down.value.code == "index_died"
        assert run(index.count(EVERYTHING)) == number + 1


def test_death_in_the_middle_of_a_call_fails_that_call_only(run: Runner) -> None:
    """A call in flight when the child dies raises DependencyDown; those behind it are answered by a new child."""
    index = run.open()
    run(index.update([Upsert(points=[point(n) for n in range(5)])]))

    async def three_calls() -> list[Any]:
        assert index.child_pid is not None
        os.kill(index.child_pid, signal.SIGSTOP)
        calls = [asyncio.create_task(index.count(EVERYTHING)) for _ in range(3)]
        await asyncio.sleep(0)  # lets the calls queue up
        await asyncio.sleep(0)
        kill_child(index)
        return await asyncio.gather(*calls, return_exceptions=True)

    first, *others = run(three_calls())
    assert isinstance(first, DependencyDown)
    assert others == [5, 5]


def test_an_engine_that_hangs_is_named_at_the_deadline(run: Runner) -> None:
    """A child that does not answer in time raises DependencyDown, and works on when it wakes."""
    index = run.open(deadline=10)
    index._deadline = 0.2
    assert index.child_pid is not None
    os.kill(index.child_pid, signal.SIGSTOP)
    with pytest.raises(DependencyDown) as down:
        run(index.count(EVERYTHING))
    assert down.value.code == "index_slow"
    os.kill(index.child_pid, signal.SIGCONT)
    index._deadline = 10
    assert run(index.count(EVERYTHING)) == 0


def test_a_second_owner_is_refused(run: Runner) -> None:
    """A folder that is open elsewhere is HomeBusy with the owner's process id, and free again after `close`."""
    index = run.open()
    with pytest.raises(HomeBusy, match=str(os.getpid())) as busy:
        run.open()
    assert busy.value.next_step
    run(index.close())
    run.open()


_OWNER = """
import asyncio, os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, sys.argv[1] + "/tests/integration")
from test_edge import CONFIG, point
from retrieval.edge import open_edge
from retrieval.index import Upsert

async def main():
    index = await open_edge(Path(sys.argv[2]), CONFIG)
    await index.update([Upsert(points=[point(n) for n in range(500)])])
    print(index.child_pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


@pytest.fixture
def owner(run: Runner) -> Iterator[subprocess.Popen[str]]:
    """Another process that has the folder open."""
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", _OWNER, root, str(run.folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        yield process
        process.kill()


def test_the_child_goes_when_its_owner_is_killed(run: Runner, owner: subprocess.Popen[str]) -> None:
    """After kill -9 of the owner its child ends by itself, the folder is free, and what was acknowledged is there."""
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    with pytest.raises(HomeBusy, match=str(owner.pid)):
        run.open()
    os.kill(child, signal.SIGINT)  # as Ctrl-C would; the child leaves its end to its owner
    owner.kill()
    owner.wait()
    assert run(run.open().count(EVERYTHING)) == 500


def test_a_folder_opens_right_after_its_owner_was_killed(run: Runner, owner: subprocess.Popen[str]) -> None:
    """An owner that was killed a moment ago does not make the folder busy: not while its child still ends, and not
    when nobody has taken note of its death, as in a container whose first process waits for none."""
    assert owner.stdout is not None
    child = int(owner.stdout.readline())
    os.kill(child, signal.SIGSTOP)  # a child that takes its time to end
    os.kill(owner.pid, signal.SIGKILL)  # and no `wait`: it stays a zombie

    async def opened_while_the_child_ends() -> EdgeIndex:
        opening = asyncio.create_task(open_edge(run.folder, CONFIG))
        await asyncio.wait([opening], timeout=BUSY_PATIENCE + 1)
        assert not opening.done()
        os.kill(child, signal.SIGCONT)
        return await opening

    index = run(opened_while_the_child_ends())
    try:
        assert run(index.count(EVERYTHING)) == 500
    finally:
        run(index.close())


def test_no_query_sees_half_an_update(run: Runner) -> None:
    """While versions replace each other, every query finds exactly one of them live."""
    index = run.open()
    run(index.update([Upsert(points=[point(0)])]))

    async def replace() -> None:
        for number in range(1, 40):
            await index.update([SetPayload(payload={"live": False}, where=EVERYTHING), Upsert(points=[point(number)])])

    async def look(writing: asyncio.Task[None]) -> set[int]:
        seen = set()
        while not writing.done():
            seen.add(await index.count(LIVE))
            request = m.QueryRequest(query=[1.0, 0.0, 0.0, 0.0], using="dense", filter=LIVE, limit=9)
            seen |= {len(found) for found in await index.query([request] * 3)}
        return seen

    async def both() -> list[set[int]]:
        writing = asyncio.create_task(replace())
        return await asyncio.gather(look(writing), look(writing))

    assert run(both()) == [{1}, {1}]


@pytest.mark.parametrize(
    "other",
    [
        IndexConfig(dimensions=5, sparse=CONFIG.sparse, payload=CONFIG.payload),
        IndexConfig(dimensions=4, sparse=("terms", "title"), payload=CONFIG.payload),
        IndexConfig(dimensions=4, sparse=CONFIG.sparse, payload={**CONFIG.payload, "live": "keyword"}),
    ],
)
def test_another_shape_is_refused(run: Runner, other: IndexConfig) -> None:
    """A folder made with another configuration is BadInput that names the difference, and stays as it was."""
    index = run.open()
    run(index.update([Upsert(points=[point(1)])]))
    run(index.close())
    with pytest.raises(BadInput, match="differ") as refused:
        run.open(other)
    assert refused.value.code == "index_shape"
    assert run(run.open().count(EVERYTHING)) == 1


def test_leftovers_and_half_made_folders_are_swept(run: Runner) -> None:
    """What a killed optimiser or a killed first start left behind is removed when the folder is opened."""
    (run.folder / "points.new" / "segments").mkdir(parents=True)
    (run.folder / "points.new" / "segments" / "half").write_text("half")
    run(run.open().close())
    left = run.folder / "points" / "temp_segments" / "x"
    left.mkdir(parents=True)
    assert run(run.open().count(EVERYTHING)) == 0
    assert not left.exists()
    assert not (run.folder / "points.new").exists()


@pytest.mark.parametrize("broken", ["shape.json", "points/edge_config.json"])
def test_an_unreadable_folder_is_named(run: Runner, broken: str) -> None:
    """A folder whose files are damaged is DependencyDown with the way to rebuild it."""
    run(run.open().close())
    path = run.folder / broken
    assert path.is_file(), sorted(str(p.relative_to(run.folder)) for p in run.folder.rglob("*"))
    path.write_text("{not json")
    with pytest.raises(DependencyDown, match="reindex") as down:
        run.open()
    assert down.value.code == "index_unreadable"


def test_large_indexes_are_tidied_behind_a_flush(run: Runner) -> None:
    """Past the threshold a flush has the engine quantise and merge, and the answers stay the same."""
    index = run.open()
    rows = np.random.default_rng(1).normal(size=(21_000, 4)).astype(np.float32)
    weights = np.random.default_rng(2).random((21_000, 2)).astype(np.float32)
    points = [point(n, dense=rows[n], weights=weights[n]) for n in range(len(rows))]
    for start in range(0, len(points), 3_000):
        run(index.update([Upsert(points=points[start : start + 3_000])]))
    before = run(everything(index))
    run(index.flush())
    assert run(everything(index)) == before
    configs = [json.loads(p.read_text()) for p in run.folder.glob("points/segments/*/segment.json")]
    assert any("Int8" in json.dumps(c) or "int8" in json.dumps(c) for c in configs)


def test_a_closed_index_answers_no_more(run: Runner) -> None:
    """After `close` every call is DependencyDown, and closing again is harmless."""
    index = run.open()
    run(index.close())
    run(index.close())
    with pytest.raises(DependencyDown) as down:
        run(index.update([Delete(where=EVERYTHING)]))
    assert down.value.code == "index_closed"
