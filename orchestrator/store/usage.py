"""Tables and queries: to be written by the owner of this part."""

from __future__ import annotations

from orchestrator.store.tables import metadata  # noqa: F401
