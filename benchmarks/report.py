"""How a benchmark states what it found: one heading with versions and machine, Markdown tables, medians."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("groundwire", "openvino", "torch", "sentence-transformers", "qdrant-edge-py")


def heading(title: str, *facts: str, packages: Sequence[str] = PACKAGES) -> None:
    """Print what is measured, on what and with what; the load tells how far to trust seconds."""
    print(f"\n## {title}\n")
    print(f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {machine()}")
    print(", ".join(versions(packages)))
    for fact in facts:
        print(fact)
    print(flush=True)


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a Markdown table."""
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    print(lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:], sep="\n", flush=True)


def spread(values: Sequence[float]) -> str:
    """p50 / p95."""
    return f"{percentile(values, 50):.1f} / {percentile(values, 95):.1f}"


def percentile(values: Sequence[float], percent: int) -> float:
    """By linear interpolation between the values."""
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def ratios(upper: Sequence[float], lower: Sequence[float]) -> str:
    """Median of the ratios round by round, and the extremes: other load hits both sides of one round alike."""
    found = [a / b for a, b in zip(upper, lower, strict=True)]
    return f"{statistics.median(found):.2f} ({min(found):.2f} to {max(found):.2f})"


def verdict(value: float, target: float, *, least: bool = False) -> str:
    """`value` beside its target, which is the most it may be, or the least."""
    met = value >= target if least else value <= target
    return f"target {'>=' if least else '<='} {target:g}: {'met' if met else 'MISSED'}"


def machine() -> str:
    """Processor, cores that this process may use, memory, Python, and the load now."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{_processor()}, {cores} cores, {memory:.0f} GiB, Python {platform.python_version()}, load {load}"


def versions(packages: Iterable[str]) -> list[str]:
    """`name version` of those that are installed."""
    found = []
    for name in packages:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return found


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
