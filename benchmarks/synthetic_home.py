"""A home of many chunks in minutes: through ledger and publisher as the ingest writes, with vectors that are drawn."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np

from benchmarks import records
from ingest.encoder import TokenVectors
from ingest.ledger.rows import ChunkRow, EncodingRow, StagedVersion, VersionRow, document_key
from ingest.pipeline import IndexedVersion
from ingest.screening import Screening
from ingest.tags import AccessTags

if TYPE_CHECKING:
    from orchestrator.services import Services

CHUNKS = 4  # of a document
TOKENS = 160  # of a chunk
_TAGS = AccessTags(owner="benchmark", allow=frozenset({"group:all"}))


async def fill(services: Services, chunks: int, *, seed: int = 7) -> list[records.Record]:
    """Write at least so many chunks, readable for `group:all`; the documents as {id, title, text}."""
    random = np.random.default_rng(seed)
    stream = documents(-(-chunks // CHUNKS), seed)
    written: list[records.Record] = []
    while batch := list(islice(stream, 256)):
        made = [_version(document, random, services) for document in batch]
        staged, fresh = [version.staged for version, _ in made], [row for _, rows in made for row in rows]
        services.ledger.stage(staged, "default", services.encoder.id, fresh)
        await services.publisher.put([version for version, _ in made])
        services.ledger.settle(staged)
        written += [{name: document[name] for name in ("id", "title", "text")} for document in batch]
    await services.publisher.count()  # waits behind the tidying of the index
    return written


def documents(count: int, seed: int = 7) -> Iterator[records.Record]:
    """Documents with a name that no other has, of as many passages as they have chunks."""
    passages = records.made_up(count * CHUNKS, seed)
    for number in range(count):
        parts = [record["text"] for record in islice(passages, CHUNKS)]
        yield {
            "id": f"document-{number}",
            "title": f"Report {_word(number)}",
            "parts": parts,
            "text": "\n\n".join(parts),
        }


def _word(number: int) -> str:
    """A word of its own for each number."""
    return "".join(
        "abcdefghij"[int(digit)] for digit in hashlib.sha256(str(number).encode()).hexdigest() if digit.isdigit()
    )[:12]


def _version(
    document: records.Record, random: np.random.Generator, services: Services
) -> tuple[IndexedVersion, list[EncodingRow]]:
    dimensions = services.encoder.dimensions
    key = document_key("default", document["id"])
    version = VersionRow(
        key=key,
        document_id=document["id"],
        source_uri=f"record:{document['id']}",
        number=1,
        state="staged",
        tags=_TAGS,
        content_hash=hashlib.sha256(document["text"].encode()).hexdigest(),
        title=document["title"],
        media_type="text/plain",
        pages=None,
        notes=(),
        text=document["text"],
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        screening=Screening(screener=services.screener.id, findings=()),  # unscreened text would stay out of answers
    )
    vectors = random.standard_normal((len(document["parts"]), dimensions)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    rows = _chunks(key, document["parts"])
    fresh = [
        EncodingRow(
            hash=row.encoding_hash,
            dense=dense,
            tokens=TokenVectors(
                bits=random.integers(0, 256, (TOKENS, dimensions // 8), dtype=np.uint8),
                starts=np.arange(TOKENS, dtype=np.int32),
            ),
        )
        for row, dense in zip(rows, vectors, strict=True)
    ]
    return IndexedVersion(staged=StagedVersion(version=version, chunks=rows), dense=list(vectors)), fresh


def _chunks(key: str, parts: Sequence[str]) -> tuple[ChunkRow, ...]:
    rows, start = [], 0
    for ordinal, part in enumerate(parts):
        digest = hashlib.sha256(f"{key}/{ordinal}".encode()).hexdigest()
        rows.append(
            ChunkRow(
                id=str(UUID(digest[:32])),
                ordinal=ordinal,
                start=start,
                end=start + len(part),
                page=None,
                page_end=None,
                headings=(),
                encoding_hash=digest,
            )
        )
        start += len(part) + 2
    return tuple(rows)
