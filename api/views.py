"""What leaves the house: the JSON of hits and documents, the same on the command line, over HTTP and on the page."""

from __future__ import annotations

from typing import Any

from ingest.ledger.rows import VersionRow
from ingest.tags import AccessTags
from retrieval.evidence import Hit


def hit_json(hit: Hit) -> dict[str, Any]:
    """A hit in the words of the contract; pages count from 1."""
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
    }


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
        "created_at": row.created_at,
    }


def tags_json(tags: AccessTags) -> dict[str, Any]:
    """Access tags as JSON values."""
    return tags.model_dump(mode="json")
