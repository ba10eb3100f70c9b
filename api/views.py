"""What leaves the house: the JSON of hits and documents, the same on the command line, over HTTP and on the page."""

from __future__ import annotations

from typing import Any

from ingest.ledger.rows import VersionRow
from ingest.screening import Finding
from ingest.tags import AccessTags
from retrieval.evidence import Hit
from retrieval.screening_policy import ScreeningPolicy


def hit_json(hit: Hit) -> dict[str, Any]:
    """A hit in the words of the contract; pages count from 1. What was withheld of the text is white space in it."""
    passage = hit.passage
    return {
        "document_id": passage.document_id,
        "version": passage.version,
        "chunk_id": passage.chunk_id,
        "title": passage.title,
        "source_uri": passage.source_uri,
        "score": round(hit.score, 6),
        "legs": {name: round(value, 6) for name, value in hit.legs.items()},
        "text": passage.text,
        "start": passage.start,
        "end": passage.end,
        "page": passage.page,
        "page_end": passage.page_end,
        "heading": " > ".join(passage.headings) or None,
        "integrity": passage.integrity.name,
        "flags": list(passage.flags),
        "findings": [finding_json(finding) for finding in passage.findings],
    }


def finding_json(finding: Finding) -> dict[str, Any]:
    """What screening found at a place of the canonical text; nothing of the text itself."""
    return {
        "kind": finding.kind,
        "score": round(finding.score, 4),
        "start": finding.start,
        "end": finding.end,
        "reason": finding.reason,
    }


def screening_json(row: VersionRow, policy: ScreeningPolicy) -> dict[str, Any] | None:
    """Which screener saw a version, and what happens with each finding in an answer; None when none saw it."""
    found = row.screening
    if found is None:
        return None
    level = row.tags.classification
    peak = max((f.score for f in found.findings), default=0.0)
    actions = [policy.action(f.kind, f.score, level, "answer", peak=peak) or "keep" for f in found.findings]
    findings = [finding_json(f) | {"action": action} for f, action in zip(found.findings, actions, strict=True)]
    return {"screener": found.screener, "failed": list(found.failed), "findings": findings}


def document_json(row: VersionRow) -> dict[str, Any]:
    """A document version without its text."""
    return {
        "document_id": row.document_id,
        "version": row.number,
        "state": row.state,
        "title": row.title,
        "source_uri": row.source_uri,
        "media_type": row.media_type,
        "pages": row.pages,
        "notes": list(row.notes),
        "access": tags_json(row.tags),
        "integrity": row.integrity.name,
        "created_at": row.created_at,
    }


def tags_json(tags: AccessTags) -> dict[str, Any]:
    """Access tags as JSON values."""
    return tags.model_dump(mode="json")
