"""Worker processes for work that may hang, eat memory or crash: one bad file costs one file.

A worker is a spawned process that runs one job at a time under a limit on wall clock and on address space. What goes
wrong with the process becomes `FileRefused`, and the next job gets a fresh worker. Works on Linux and macOS (which does
not enforce the limit on memory).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import math
import multiprocessing
import os
import pickle
import queue
import resource
import signal
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from types import TracebackType
from typing import Generic, Self, TypeVar

from ingest.errors import FileRefused, GroundwireError

Result = TypeVar("Result")

_START_SECONDS = 60.0  # for an interpreter to start on a loaded machine
_PATIENCE_SECONDS = 1.5  # for the start of a worker and a job or two
_GRACE_SECONDS = 5  # after the deadline, until a worker whose parent is gone is ended by its own alarm


class WorkerPool(Generic[Result]):
    """Runs `function`, picklable and of module level, in spawned processes under limits.

    `workers` processes at most, started when first needed. `seconds` is wall clock per job, without the start of the
    process; `memory_bytes` is the address space that a job may add. A worker is replaced after `jobs_per_worker` jobs.
    """

    def __init__(
        self,
        function: Callable[..., Result],
        *,
        workers: int,
        seconds: float,
        memory_bytes: int,
        jobs_per_worker: int = 200,
    ) -> None:
        self._function = function
        self._seconds = seconds
        self._memory_bytes = memory_bytes
        self._jobs_per_worker = jobs_per_worker
        self._threads = ThreadPoolExecutor(max_workers=workers, thread_name_prefix="worker")
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._started = 0  # workers that are alive, or on their way
        self._counting = threading.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def run(self, item: str, *args: object) -> Result:
        """`function(*args)`, run in a worker; waits while all workers are busy.

        Raises FileRefused for `item`: `too_slow`, `out_of_memory`, `crashed` when the worker ended so, `unreadable` for
        an exception of the function; its GroundwireErrors come back as themselves. Cancelling ends the worker.
        """
        job = _Job()
        running = asyncio.get_running_loop().run_in_executor(self._threads, self._run, job, item, args)
        try:
            return await running
        except asyncio.CancelledError:
            job.cancel()
            raise

    async def close(self) -> None:
        """Waits for the jobs that are running and ends every worker; the pool takes no more jobs."""
        await asyncio.to_thread(self._threads.shutdown)
        while not self._idle.empty():
            self._end(self._idle.get())

    def _run(self, job: _Job, item: str, args: tuple[object, ...]) -> Result:
        worker = self._take()
        try:
            job.begin(worker)
            outcome, value = worker.call(args)
        except BaseException:
            self._end(worker)
            raise
        if outcome in ("result", "refused", "error") and worker.jobs < self._jobs_per_worker:
            self._idle.put(worker)
        else:
            self._end(worker)
        if outcome == "result":
            return value  # type: ignore[return-value]
        if isinstance(value, GroundwireError):
            raise value
        raise _refusal(item, outcome, str(value), self._seconds, self._memory_bytes)

    def _take(self) -> _Worker:
        """An idle worker, or a new one where none becomes idle soon: most jobs are shorter than a start."""
        with self._counting:
            first = not self._started
            self._started += first
        if not first:
            with contextlib.suppress(queue.Empty):
                return self._idle.get(timeout=_PATIENCE_SECONDS)
            with self._counting:
                self._started += 1
        return _Worker(self._function, self._seconds, self._memory_bytes)

    def _end(self, worker: _Worker) -> None:
        with self._counting:
            self._started -= 1
        worker.end()


class _Job:
    """Lets the event loop end the worker that a thread is waiting for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self._cancelled = False

    def begin(self, worker: _Worker) -> None:
        with self._lock:
            self._worker = worker
            if self._cancelled:
                worker.kill()

    def cancel(self) -> None:
        with self._lock:
            self._cancelled = True
            if self._worker is not None:
                self._worker.kill()


class _Worker:
    """One process and the parent's end of its pipe."""

    def __init__(self, function: Callable[..., object], seconds: float, memory_bytes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._seconds = seconds
        self.jobs = 0
        self._process = context.Process(
            target=_serve, args=(theirs, function, seconds, memory_bytes), name="groundwire-worker", daemon=True
        )
        # The child inherits the mask, so that a ctrl-C during its start does not make it print a traceback.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        self._started = False

    def call(self, args: tuple[object, ...]) -> tuple[str, object]:
        """(outcome, value) of one job; outcomes are result, refused, error, out_of_memory, too_slow and crashed."""
        self.jobs += 1
        try:
            if not self._started:
                if not self._pipe.poll(_START_SECONDS):
                    return "crashed", "it did not start"
                self._pipe.recv()
                self._started = True
            self._pipe.send(args)
            if not self._pipe.poll(self._seconds):
                return "too_slow", None
            outcome, value = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join(_GRACE_SECONDS)
            return "crashed", _exit_in_words(self._process.exitcode)
        return str(outcome), value

    def kill(self) -> None:
        """Ends the process at once; a thread waiting for it sees the pipe close."""
        self._process.kill()

    def end(self) -> None:
        """Ends the process and frees what it held."""
        self._process.kill()
        self._process.join()
        self._process.close()
        self._pipe.close()


def _exit_in_words(code: int | None) -> str:
    if code is not None and code < 0:
        return f"it was ended by {signal.Signals(-code).name}"
    return f"it ended with exit status {code}"


def _refusal(item: str, outcome: str, detail: str, seconds: float, memory_bytes: int) -> FileRefused:
    if outcome == "too_slow":
        cause = f"Reading it took longer than {seconds:g} seconds."
        return FileRefused(item, outcome, cause, "Split the file, or raise the limit on seconds.")
    if outcome == "out_of_memory":
        cause = f"Reading it needs more than {memory_bytes // 1_000_000:,} MB of memory."
        return FileRefused(item, outcome, cause, "Split the file, or raise the limit on memory.")
    if outcome == "crashed":
        cause = f"The process that was reading it died: {detail}."
        return FileRefused(item, outcome, cause, "Save the file anew in the program that made it, and try again.")
    cause = f"It could not be read ({detail})."
    return FileRefused(item, "unreadable", cause, "Open it and save it anew, or export it as PDF.")


def _serve(pipe: Connection, function: Callable[..., object], seconds: float, memory_bytes: int) -> None:
    """The worker's life: jobs until the pipe closes."""
    _settle()
    with contextlib.suppress(EOFError, OSError):
        pipe.send("ready")
        while True:
            args = pipe.recv()
            signal.alarm(math.ceil(seconds) + _GRACE_SECONDS)
            _limit_memory(memory_bytes)
            outcome, value = _attempt(function, args)
            _limit_memory(None)
            signal.alarm(0)
            try:
                pipe.send((outcome, value))
            except (pickle.PicklingError, TypeError, AttributeError) as error:  # the result cannot travel
                pipe.send(("error", f"{type(error).__name__}: {error}"))


def _settle() -> None:
    """Leaves ctrl-C to the parent, dies with it, and keeps the parent's output clean of what libraries print."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    # The default action ends the process even while foreign code holds the interpreter's lock.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    os.dup2(2, 1)  # standard output is the command's own, machine-readable
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)


def _exit_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _attempt(function: Callable[..., object], args: tuple[object, ...]) -> tuple[str, object]:
    try:
        return "result", function(*args)
    except GroundwireError as error:
        return "refused", error
    except MemoryError:
        return "out_of_memory", None
    except Exception as error:  # noqa: BLE001 - whatever a file does to a library, it costs that file
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return "out_of_memory", None
        return "error", f"{type(error).__name__}: {error}"


def _limit_memory(added: int | None) -> None:
    """Lets the process grow by `added` bytes from here, or without limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    soft = hard if added is None else _address_space() + added
    if hard != resource.RLIM_INFINITY:
        soft = min(soft, hard)
    with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _address_space() -> int:
    """Bytes of address space in use now; on macOS the peak of resident memory stands in."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[0]) * resource.getpagesize()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
