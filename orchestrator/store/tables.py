"""The one collection of the orchestrator's tables; each module of this folder adds its own. No table of the ledger."""

from __future__ import annotations

from sqlalchemy import MetaData

metadata = MetaData()
