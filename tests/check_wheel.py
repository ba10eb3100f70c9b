"""Checks a built wheel: it holds the packages and their data files, the licence and the command, and nothing else."""

from __future__ import annotations

import sys
import zipfile
from pathlib import PurePosixPath

PACKAGES = {"ingest", "retrieval", "orchestrator", "api", "evals"}
NEEDED = (
    "ingest/ledger/migrations/env.py",
    "ingest/ledger/migrations/versions/v0001_documents.py",
    "api/pages/ask.html",
    "retrieval/injection/model.json",
)


def complaints(names: list[str], entry_points: str) -> list[str]:
    """What is wrong with a wheel that holds these files."""
    tops = {PurePosixPath(name).parts[0] for name in names}
    found = [f"holds {top}, which is no package of ours" for top in tops - PACKAGES if not top.endswith(".dist-info")]
    found += [f"lacks the package {package}" for package in PACKAGES - tops]
    found += [f"lacks {name}" for name in NEEDED if name not in names]
    found += [f"holds {name}" for name in names if "__pycache__" in name or "/tests/" in f"/{name}"]
    if not any(name.endswith("licenses/LICENSE") for name in names):
        found.append("lacks the licence")
    if "groundwire = api.cli:main" not in entry_points:
        found.append("lacks the command groundwire")
    return found


def main(path: str) -> int:
    """Print what is wrong with the wheel at `path`; 1 if anything is."""
    with zipfile.ZipFile(path) as wheel:
        names = wheel.namelist()
        entry = next((name for name in names if name.endswith("entry_points.txt")), None)
        found = complaints(names, wheel.read(entry).decode() if entry else "")
    for line in found:
        print(f"{path} {line}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
