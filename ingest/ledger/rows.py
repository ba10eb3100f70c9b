"""What the ledger's rows are in Python, and the way from one to the other."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.elements import HiddenText
from ingest.encoder import TokenVectors
from ingest.screening import Finding, Kind, Screening
from ingest.tags import AccessTags, Integrity, integrity_of

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
    screening: Screening | None = None  # None when no screener ever saw it; read only where the text is

    @property
    def integrity(self) -> Integrity:
        """Who could write it."""
        return integrity_of(self.tags, self.media_type)


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
class ChunkScreening:
    """What screening found that a reader of one chunk meets, and what of its version decides over the whole of it."""

    screener: str  # its id
    failed: tuple[str, ...]  # detectors that failed on the version
    findings: tuple[Finding, ...]  # that touch the chunk, and those over a line that is one of its headings
    peaks: Mapping[Kind, float]  # in the whole version: kind to the highest score


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
    integrity: Integrity
    screening: ChunkScreening | None  # None when no screener ever saw the version


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
        screening=_screening(row) if hasattr(row, "text") else None,
    )


def _screening(row: Any) -> Screening | None:
    if row.screener is None:
        return None
    failed = tuple(json.loads(row.screening_failed))
    return Screening(screener=row.screener, findings=parse_findings(row.findings), failed=failed)


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
    tags = parse_tags(row.tags)
    return PassageRow(
        chunk=chunk_row(row),
        key=row.document,
        document_id=row.document_id,
        source_uri=row.source_uri,
        number=row.version,
        state=row.state,
        title=row.title,
        tags=tags,
        current_tags=parse_tags(row.current_tags) if row.current_tags else None,
        text=row.slice,
        integrity=integrity_of(tags, row.media_type),
        screening=_chunk_screening(row),
    )


def _chunk_screening(row: Any) -> ChunkScreening | None:
    if row.screener is None:
        return None
    return ChunkScreening(
        screener=row.screener,
        failed=tuple(json.loads(row.screening_failed)),
        findings=parse_findings(row.findings),
        peaks=json.loads(row.peaks),
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
        **screening_values(row.screening),
    }


def screening_values(screening: Screening | None) -> dict[str, object]:
    """The columns of a version that say what screening found in it."""
    if screening is None:
        return {"screener": None, "screening_failed": None, "findings": None, "peaks": None}
    peaks: dict[str, float] = {}
    for finding in screening.findings:
        peaks[finding.kind] = max(finding.score, peaks.get(finding.kind, 0.0))
    return {
        "screener": screening.screener,
        "screening_failed": json.dumps(screening.failed),
        "findings": findings_values(screening.findings),
        "peaks": json.dumps(peaks),
    }


def findings_values(findings: Iterable[Finding]) -> str:
    """Findings as the ledger keeps them: a JSON list of [kind, score, start, end, reason]."""
    return json.dumps([[f.kind, f.score, f.start, f.end, f.reason] for f in findings])


def parse_findings(text: str) -> tuple[Finding, ...]:
    """Findings from the JSON that the ledger keeps."""
    rows = json.loads(text) if text != "[]" else ()
    return tuple(Finding(kind=kind, score=score, start=a, end=b, reason=why) for kind, score, a, b, why in rows)


def findings_by_chunk(text: str, findings: Sequence[Finding], rows: Sequence[ChunkRow]) -> dict[str, list[Finding]]:
    """By chunk id, the findings that touch the chunk or stand on a line that is one of its headings, if any.

    A heading goes with every chunk of its section, so what is found in it must too.
    """
    found: dict[str, list[Finding]] = {}
    starts = [row.start for row in rows]
    lines: dict[str, Finding] = {}
    for finding in findings:
        for place in range(max(0, bisect_right(starts, finding.start) - 1), bisect_left(starts, finding.end)):
            if finding.start < rows[place].end:
                found.setdefault(rows[place].id, []).append(finding)
        for line in text[finding.start : finding.end].splitlines():
            lines.setdefault(" ".join(line.split()), finding)
    for row in rows if lines else ():
        mine = found.get(row.id, [])
        extra = [lines[name] for name in (" ".join(part.split()) for part in row.headings) if name in lines]
        if extra := [finding for finding in dict.fromkeys(extra) if finding not in mine]:
            found[row.id] = extra + mine
    return found


def chunk_values(version: VersionRow, chunk: ChunkRow, findings: Iterable[Finding] = ()) -> dict[str, object]:
    """The row of a chunk, with the findings that `findings_by_chunk` has for it."""
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
        "findings": findings_values(findings),
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
