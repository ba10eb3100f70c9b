"""How a chunk lies in the index: its vectors, its payload, and the filters over them."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final

from ingest.pipeline import IndexedVersion
from ingest.terms import passage_weights
from retrieval.access import ReadScope, index_payload
from retrieval.index import IndexConfig, IndexPoint, SparseVector

if TYPE_CHECKING:
    from qdrant_client import models

TERMS: Final = "terms"  # sparse vector of a chunk's text
TITLE: Final = "title"  # sparse vector of the document's title and name, on its first chunk alone


def index_config(dimensions: int) -> IndexConfig:
    """The shape of an index of chunks under an encoder of these dimensions."""
    return IndexConfig(
        dimensions=dimensions,
        sparse=(TERMS, TITLE),
        payload={
            "tenant": "keyword",
            "readers": "keyword",
            "deny": "keyword",
            "classification": "integer",
            "region": "keyword",
            "valid_from": "integer",
            "valid_to": "integer",
            "document": "keyword",
            "version": "integer",
            "first": "bool",
        },
    )


def chunk_points(version: IndexedVersion) -> list[IndexPoint]:
    """The points of a version, chunk by chunk."""
    row = version.staged.version
    shared = index_payload(row.tags) | {"document": row.key, "version": row.number}
    points = []
    for chunk, dense in zip(version.staged.chunks, version.dense, strict=True):
        text = row.text[chunk.start : chunk.end]
        sparse = {TERMS: _sparse(text)}
        if chunk.ordinal == 0:
            sparse[TITLE] = _sparse(f"{row.title} {PurePosixPath(row.document_id).stem}")
        digits = sum(character.isdigit() for character in text) / len(text)
        payload = shared | {"first": chunk.ordinal == 0, "digits": digits}
        points.append(IndexPoint(id=chunk.id, dense=dense, sparse=sparse, payload=payload))
    return points


def readable(scope: ReadScope) -> models.Filter:
    """Every chunk that the scope may read: the filter of each leg, and the corpus of its IDF."""
    return scope.conditions()


def of_document(key: str) -> models.Filter:
    """Every chunk of a document."""
    from qdrant_client import models as m

    return m.Filter(must=[m.FieldCondition(key="document", match=m.MatchValue(value=key))])


def other_versions(key: str, number: int) -> models.Filter:
    """Every chunk of a document but those of one version."""
    from qdrant_client import models as m

    return m.Filter(
        must=[m.FieldCondition(key="document", match=m.MatchValue(value=key))],
        must_not=[m.FieldCondition(key="version", match=m.MatchValue(value=number))],
    )


def everything() -> models.Filter:
    """Every chunk of every tenant."""
    from qdrant_client import models as m

    return m.Filter(must=[m.FieldCondition(key="version", range=m.Range(gte=1))])


def _sparse(text: str) -> SparseVector:
    indices, values = passage_weights(text)
    return SparseVector(indices=indices, values=values)
