"""What a process and all that it starts use: processor time, and resident memory at its peak."""

from __future__ import annotations

import resource
import threading
import time
from collections import defaultdict
from types import TracebackType
from typing import Self

import psutil


def resident_mib(process: psutil.Process) -> dict[str, float]:
    """MiB resident, by role, of a process and its descendants; pages that they share count once for each."""
    sizes: defaultdict[str, float] = defaultdict(float)
    for one in [process, *process.children(recursive=True)]:
        try:
            sizes[_role(one, process)] += one.memory_info().rss / 2**20
        except psutil.Error:  # it has ended
            continue
    return dict(sizes)


def cpu_seconds(process: int) -> float:
    """Processor seconds of another process and of its descendants that are alive."""
    main = psutil.Process(process)
    return sum(sum(one.cpu_times()[:2]) for one in [main, *main.children(recursive=True)])


def tree_cpu_seconds() -> float:
    """Processor seconds of this process, its descendants and those of them that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    own = time.process_time()
    return own + ended.ru_utime + ended.ru_stime + sum(live_cpu_seconds().values())


def live_cpu_seconds() -> dict[str, float]:
    """Processor seconds, by role, of the descendants that are alive and of those they have waited for."""
    seconds: defaultdict[str, float] = defaultdict(float)
    this = psutil.Process()
    for one in this.children(recursive=True):
        try:
            times = one.cpu_times()
            seconds[_role(one, this)] += times.user + times.system + times.children_user + times.children_system
        except psutil.Error:
            continue
    return dict(seconds)


class Usage:
    """`with Usage() as usage: …`: wall seconds, processor seconds of the whole tree, and its peak of resident MiB.

    The seconds that taking samples costs are left out.
    """

    wall = 0.0
    cpu = 0.0
    peak_mib = 0.0
    sampling = 0.0  # processor seconds

    def __init__(self, *, sample_s: float = 0.5) -> None:
        self._sample_s = sample_s
        self._done = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self.live: dict[str, float] = {}  # processor seconds of children by role, as last seen

    def __enter__(self) -> Self:
        self.live_before = live_cpu_seconds()
        self.cpu, self.wall = -tree_cpu_seconds(), -time.perf_counter()
        self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wall += time.perf_counter()
        self._done.set()
        self._sampler.join()
        self.cpu += tree_cpu_seconds() - self.sampling

    def _sample(self) -> None:
        this = psutil.Process()
        while not self._done.wait(self._sample_s):
            self.peak_mib = max(self.peak_mib, sum(resident_mib(this).values()))
            for role, seconds in live_cpu_seconds().items():
                self.live[role] = max(self.live.get(role, 0.0), seconds - self.live_before.get(role, 0.0))
            self.sampling = time.thread_time()


def _role(one: psutil.Process, main: psutil.Process) -> str:
    if one.pid == main.pid:
        return "main"
    command = " ".join(one.cmdline())
    for word, role in {"edge_process": "index", "spawn_main": "parser", "resource_tracker": "tracker"}.items():
        if word in command:
            return role
    return str(one.name())
