"""Every table of the orchestrator, loaded together for migrations."""

from __future__ import annotations

import importlib
from typing import Final

from sqlalchemy import MetaData

from orchestrator.store.tables import metadata

# The modules that add tables. A new one is named here, and gets a migration.
MODULES: Final = ("audit", "usage", "prompts", "policies", "answers", "conversations", "runs")


def all_tables() -> MetaData:
    """The tables of all modules."""
    for module in MODULES:
        importlib.import_module(f"orchestrator.store.{module}")
    return metadata
