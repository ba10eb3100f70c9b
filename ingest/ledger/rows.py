"""What the ledger's rows are in Python, and the way from one to the other."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.elements import HiddenText
from ingest.encoder import TokenVectors
from ingest.tags import AccessTags

if TYPE_CHECKING:
    from numpy.typing import NDArray


def document_key(tenant: str, document_id: str) -> str:
    """The key of a document: 32 hex digits, the same on every machine."""
    return hashlib.sha256(f"{tenant}\0{document_id}".encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkRow:
    """A chunk as the ledger keeps it."""

    id: str  # UUID
    ordinal: int  # counts from 0
    start: int
    end: int
    page: int | None
    page_end: int | None
    headings: tuple[str, ...]
    encoding_hash: str  # of the text that the encoder sees


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """A version of a document with everything but its chunks."""

    key: str  # of the document
    document_id: str
    source_uri: str
    number: int
    state: str
    tags: AccessTags
    content_hash: str
    title: str
    media_type: str
    pages: int | None
    notes: tuple[str, ...]
    text: str
    created_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StagedVersion:
    """A version with its chunks, on the way into the ledger or out of it."""

    version: VersionRow
    chunks: tuple[ChunkRow, ...]
    hidden: tuple[HiddenText, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingRow:
    """The vectors of one text under one encoder."""

    hash: str
    dense: NDArray[np.float32]  # [dimensions]
    tokens: TokenVectors


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """What the ledger knows of a source before it is read."""

    key: str
    document_id: str
    number: int
    content_hash: str
    access_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassageRow:
    """A chunk joined with its version, as retrieval needs it, unchecked."""

    chunk: ChunkRow
    key: str
    document_id: str
    source_uri: str
    number: int
    state: str
    title: str
    tags: AccessTags
    current_tags: AccessTags | None  # of the document's current version, None before the first has settled
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRow:
    """The token vectors of a chunk, unchecked."""

    chunk_id: str
    tags: AccessTags
    tokens: TokenVectors


@lru_cache(maxsize=4096)
def parse_tags(text: str) -> AccessTags:
    """AccessTags from the JSON that the ledger keeps."""
    return AccessTags.model_validate_json(text)


def access_hash(tags: AccessTags) -> str:
    """Changes when any tag changes."""
    return hashlib.sha256(tags.model_dump_json().encode()).hexdigest()


def version_row(row: Any) -> VersionRow:
    """A version from a row of `select_versions`."""
    return VersionRow(
        key=row.key,
        document_id=row.id,
        source_uri=row.source_uri,
        number=row.number,
        state=row.state,
        tags=parse_tags(row.tags),
        content_hash=row.content_hash,
        title=row.title,
        media_type=row.media_type,
        pages=row.pages,
        notes=tuple(json.loads(row.notes)),
        text=getattr(row, "text", ""),
        created_at=row.created_at,
    )


def chunk_row(row: Any) -> ChunkRow:
    """A chunk from its row."""
    return ChunkRow(
        id=row.id,
        ordinal=row.ordinal,
        start=row.start,
        end=row.end,
        page=row.page,
        page_end=row.page_end,
        headings=tuple(json.loads(row.headings)),
        encoding_hash=row.encoding_hash,
    )


def passage_row(row: Any) -> PassageRow:
    """A passage from its joined row."""
    return PassageRow(
        chunk=chunk_row(row),
        key=row.document,
        document_id=row.document_id,
        source_uri=row.source_uri,
        number=row.version,
        state=row.state,
        title=row.title,
        tags=parse_tags(row.tags),
        current_tags=parse_tags(row.current_tags) if row.current_tags else None,
        text=row.slice,
    )


def token_row(row: Any) -> TokenRow:
    """The token vectors of a chunk from their joined row; `size` is the length of a float32 vector in bytes."""
    return TokenRow(chunk_id=row.id, tags=parse_tags(row.tags), tokens=_token_vectors(row, row.size // 4))


def encoding_row(row: Any) -> EncodingRow:
    """An encoding from its row."""
    dense = np.frombuffer(row.dense, dtype=np.float32)
    return EncodingRow(hash=row.hash, dense=dense, tokens=_token_vectors(row, len(dense)))


def _token_vectors(row: Any, dimensions: int) -> TokenVectors:
    bits = np.frombuffer(row.tokens, dtype=np.uint8).reshape(-1, dimensions // 8)
    return TokenVectors(bits=bits, starts=np.frombuffer(row.starts, dtype="<i4"))


def document_values(item: StagedVersion, tenant: str) -> dict[str, object]:
    """The row of a document."""
    row = item.version
    return {"key": row.key, "tenant": tenant, "id": row.document_id, "source_uri": row.source_uri}


def version_values(row: VersionRow) -> dict[str, object]:
    """The row of a staged version."""
    return {
        "document": row.key,
        "number": row.number,
        "state": "staged",
        "tags": row.tags.model_dump_json(),
        "access_hash": access_hash(row.tags),
        "content_hash": row.content_hash,
        "title": row.title,
        "media_type": row.media_type,
        "pages": row.pages,
        "notes": json.dumps(row.notes),
        "text": row.text,
        "characters": len(row.text),
        "created_at": row.created_at,
    }


def chunk_values(version: VersionRow, chunk: ChunkRow) -> dict[str, object]:
    """The row of a chunk."""
    return {
        "id": chunk.id,
        "document": version.key,
        "version": version.number,
        "ordinal": chunk.ordinal,
        "start": chunk.start,
        "end": chunk.end,
        "page": chunk.page,
        "page_end": chunk.page_end,
        "headings": json.dumps(chunk.headings, ensure_ascii=False),
        "encoding_hash": chunk.encoding_hash,
    }


def hidden_values(version: VersionRow, ordinal: int, text: HiddenText) -> dict[str, object]:
    """The row of a quarantine record."""
    return {
        "document": version.key,
        "version": version.number,
        "ordinal": ordinal,
        "reason": text.reason,
        "place": text.place,
        "text": text.text,
    }


def encoding_values(tenant: str, encoder: str, row: EncodingRow) -> dict[str, object]:
    """The row of an encoding."""
    return {
        "tenant": tenant,
        "encoder": encoder,
        "hash": row.hash,
        "dense": np.ascontiguousarray(row.dense, dtype=np.float32).tobytes(),
        "tokens": np.ascontiguousarray(row.tokens.bits).tobytes(),
        "starts": np.ascontiguousarray(row.tokens.starts, dtype="<i4").tobytes(),
    }
