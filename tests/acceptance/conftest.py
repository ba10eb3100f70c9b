"""What a new user has: a checkout with its `.venv`, in which `make demo` was run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A copy of what the README's commands use, with the demo's home `.groundwire` in it."""

    folder: Path
    demo: subprocess.CompletedProcess[str]
    home: Path  # a copy of the home as the demo left it

    def run(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a line of a console block as its reader would."""
        shell = ["bash", "-c", command]
        return subprocess.run(
            shell, cwd=self.folder, env=environment(), capture_output=True, text=True, timeout=120, check=False
        )


def environment() -> dict[str, str]:
    """Without settings of whoever runs the tests."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GROUNDWIRE_")}


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The checkout after `make demo`; what the README's commands change of its home stays in `folder`."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in DOCS:
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "samples", folder / "samples", ignore=shutil.ignore_patterns("__pycache__"))
    (folder / ".venv").symlink_to(sys.prefix)
    command = [".venv/bin/python", "-m", "samples.demo"]  # what `make demo` runs once `.venv` is there
    demo = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=280, check=False
    )
    home = folder.parent / "home-after-demo"
    shutil.copytree(folder / ".groundwire", home)
    return Checkout(folder=folder, demo=demo, home=home)
