"""`eval` stands in for a parser: it is of module level, and each test says in one expression how the job behaves."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ingest.errors import FileRefused, RecordRefused
from ingest.workers import WorkerPool

PID = "__import__('os').getpid()"
HANG = "__import__('time').sleep(600)"


@asynccontextmanager
async def a_pool(seconds: float = 30.0, workers: int = 1, jobs_per_worker: int = 200) -> AsyncIterator[WorkerPool]:
    async with WorkerPool(
        eval, workers=workers, seconds=seconds, memory_bytes=300_000_000, jobs_per_worker=jobs_per_worker
    ) as pool:
        yield pool


def in_a_pool(body: Callable[[WorkerPool], Awaitable[None]], **settings: float) -> None:
    async def run() -> None:
        async with a_pool(**settings) as pool:  # type: ignore[arg-type]
            await body(pool)

    asyncio.run(run())


async def refusal(pool: WorkerPool, expression: str) -> FileRefused:
    with pytest.raises(FileRefused) as caught:
        await pool.run("plan.docx", expression)
    assert caught.value.item == "plan.docx"
    assert caught.value.cause.endswith(".")
    assert caught.value.next_step.endswith(".")
    return caught.value


def test_results_come_back_from_another_process_that_is_used_again() -> None:
    """Jobs run in one worker outside this process, one after the other."""

    async def body(pool: WorkerPool) -> None:
        first, second = await pool.run("a", PID), await pool.run("b", PID)
        assert first == second != os.getpid()

    in_a_pool(body)


def test_a_worker_is_recycled_after_its_share_of_jobs() -> None:
    """Two jobs per worker: the third runs in another process."""

    async def body(pool: WorkerPool) -> None:
        pids = [await pool.run("a", PID) for _ in range(3)]
        assert pids[0] == pids[1] != pids[2]

    in_a_pool(body, jobs_per_worker=2)


def test_jobs_run_side_by_side(tmp_path: Path) -> None:
    """Two workers hold two jobs at once: opening a named pipe for writing waits for the job that opens it to read."""
    os.mkfifo(tmp_path / "pipe")

    async def body(pool: WorkerPool) -> None:
        written, read = await asyncio.gather(
            pool.run("a", f"open({str(tmp_path / 'pipe')!r}, 'w').write('met')"),
            pool.run("b", f"open({str(tmp_path / 'pipe')!r}).read()"),
        )
        assert (written, read) == (3, "met")

    in_a_pool(body, workers=2)


def test_a_hang_costs_one_job() -> None:
    """A job past its deadline is refused as too slow, and the next one runs."""

    async def body(pool: WorkerPool) -> None:
        assert (await refusal(pool, HANG)).code == "too_slow"
        assert await pool.run("next", "1 + 1") == 2

    in_a_pool(body, seconds=1.0)


def test_memory_is_limited_on_top_of_what_the_worker_uses() -> None:
    """A job that asks for more than its share is refused as out of memory, one below it runs, and the next one too."""

    async def body(pool: WorkerPool) -> None:
        assert await pool.run("small", "len(bytes(100_000_000))") == 100_000_000
        assert (await refusal(pool, "bytes(1_000_000_000)")).code == "out_of_memory"
        assert await pool.run("next", "1 + 1") == 2

    if sys.platform == "linux":
        in_a_pool(body)


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("__import__('os').kill(__import__('os').getpid(), 9)", "SIGKILL"),
        ("__import__('os').abort()", "SIGABRT"),
        ("__import__('os')._exit(7)", "exit status 7"),
        ("__import__('sys').exit(3)", "exit status 3"),
    ],
)
def test_a_dead_worker_costs_one_job(expression: str, words: str) -> None:
    """A job whose process dies is refused as crashed, saying how, and the next one runs."""

    async def body(pool: WorkerPool) -> None:
        error = await refusal(pool, expression)
        assert error.code == "crashed"
        assert words in error.cause
        assert await pool.run("next", "1 + 1") == 2

    in_a_pool(body)


def test_an_exception_names_itself() -> None:
    """An exception of the function is refused as unreadable with its type and message; the worker lives on."""

    async def body(pool: WorkerPool) -> None:
        before = await pool.run("a", PID)
        error = await refusal(pool, "int('seven')")
        assert error.code == "unreadable"
        assert "ValueError: invalid literal" in error.cause
        assert await pool.run("b", PID) == before

    in_a_pool(body)


def test_a_result_that_cannot_travel_is_refused() -> None:
    """A result that cannot be pickled is an error of the job, not of the pool."""

    async def body(pool: WorkerPool) -> None:
        assert (await refusal(pool, "lambda: 1")).code == "unreadable"
        assert await pool.run("next", "1 + 1") == 2

    in_a_pool(body)


def test_errors_of_groundwire_travel_as_themselves() -> None:
    """A GroundwireError of the function keeps its type and its four parts."""
    raising = (
        "(_ for _ in ()).throw("
        "__import__('ingest.errors', fromlist=['x']).RecordRefused('row 4', 'no_id', 'It has no id.', 'Give it one.'))"
    )

    async def body(pool: WorkerPool) -> None:
        with pytest.raises(RecordRefused) as caught:
            await pool.run("plan.docx", raising)
        assert (caught.value.item, caught.value.code) == ("row 4", "no_id")

    in_a_pool(body)


def test_cancelling_ends_the_worker(tmp_path: Path) -> None:
    """A cancelled job gives its place back at once: the next one runs although the first would hang."""
    os.mkfifo(tmp_path / "pipe")

    async def body(pool: WorkerPool) -> None:
        hanging = asyncio.create_task(pool.run("a", f"(open({str(tmp_path / 'pipe')!r}, 'w').close(), {HANG})"))
        await asyncio.to_thread((tmp_path / "pipe").read_bytes)  # returns once the job runs
        hanging.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hanging
        assert await pool.run("next", "1 + 1") == 2

    in_a_pool(body, seconds=500.0)


def test_ctrl_c_is_left_to_the_parent() -> None:
    """A worker that gets SIGINT goes on with its job."""

    async def body(pool: WorkerPool) -> None:
        signalled = "(__import__('os').kill(__import__('os').getpid(), 2), 'went on')[1]"
        assert await pool.run("a", signalled) == "went on"

    in_a_pool(body)


def test_standard_output_stays_the_commands_own() -> None:
    """What a job prints never reaches the standard output of the process that owns the pool."""
    script = (
        "import asyncio\nfrom ingest.workers import WorkerPool\n"
        "async def main():\n"
        "    async with WorkerPool(eval, workers=1, seconds=30, memory_bytes=10**9) as pool:\n"
        "        await pool.run('a', \"print('noise', flush=True)\")\n"
        "if __name__ == '__main__':\n    asyncio.run(main())\n    print('result')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "result\n"


def test_workers_die_with_their_parent() -> None:
    """kill -9 of the parent leaves no worker behind, not even one that hangs: they alone keep the pipe open."""
    script = (
        "import asyncio\nfrom ingest.workers import WorkerPool\n"
        "async def main():\n"
        "    pool = WorkerPool(eval, workers=2, seconds=500, memory_bytes=10**9)\n"
        "    idle = await pool.run('a', '1')\n"
        f"    await pool.run('b', \"(print('hanging', file=__import__('sys').stderr, flush=True), {HANG})\")\n"
        "if __name__ == '__main__':\n    asyncio.run(main())\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.PIPE, text=True)
    assert parent.stderr is not None
    with parent.stderr as pipe:
        assert pipe.readline() == "hanging\n"
        parent.send_signal(signal.SIGKILL)
        assert pipe.read() == ""  # returns when the last process that holds the pipe is gone
    assert parent.wait() == -signal.SIGKILL
