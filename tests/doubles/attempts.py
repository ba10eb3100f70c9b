"""Attempts at models, for the tests of telemetry."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from orchestrator.gateway.outcomes import Attempt
from orchestrator.gateway.port import TokenUsage

BEGUN = datetime(2026, 11, 20, 12, 0, 0, 250_000, tzinfo=UTC)


def attempt(**changes: Any) -> Attempt:
    """One attempt that went well."""
    facts: dict[str, Any] = {
        "number": 1,
        "purpose": "answer",
        "route": "claude-fast",
        "provider": "anthropic",
        "model": "claude-haiku-5-5",
        "outcome": "end",
        "started_at": BEGUN,
        "seconds": 0.75,
        "usage": TokenUsage(input=100, output=20, cache_read=50, cache_write=5, cache_write_long=7),
        "cost": Decimal("0.0021"),
        "priced_by": "2026-11",
        "request_id": "req_1",
        "status": 200,
    }
    return Attempt(**(facts | changes))
