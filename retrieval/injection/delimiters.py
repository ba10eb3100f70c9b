"""Stub."""

from __future__ import annotations

from ingest.screening import Finding


def find(text: str) -> list[Finding]:
    """Nothing yet."""
    return []
