"""How a chunk lies in the index: its vectors, its payload, and the filters over them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from ingest.chunker import encoder_input
from ingest.terms import Weights, passage_weights
from retrieval.access import ACCESS_KEYS, index_payload
from retrieval.index import IndexConfig, IndexPoint, SparseVector
from retrieval.titles import name_weights

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from qdrant_client import models

    from ingest.ledger.rows import ChunkRow, VersionRow
    from ingest.pipeline import IndexedVersion
    from retrieval.access import ReadScope

TERMS: Final = "terms"  # BM25 term frequencies of title, headings and text
NAME: Final = "name"  # words of the document's title and file name, on its first chunk only

DOCUMENT: Final = "document"  # key of the document
VERSION: Final = "version"  # number of the version, from 1
FIRST: Final = "first"  # whether it is the first chunk of its document
DIGITS: Final = "digits"  # share of digits among the characters of the text, white space left out
TITLE: Final = "title"  # of the document, and
SOURCE: Final = "source"  # where it came from: on first chunks, to tell how much of a name a question holds


def index_config(dimensions: int) -> IndexConfig:
    """The shape of the index for an encoder of so many dimensions."""
    return IndexConfig(
        dimensions=dimensions,
        sparse=(TERMS, NAME),
        payload={
            "tenant": "keyword",
            "readers": "keyword",
            "deny": "keyword",
            "classification": "integer",
            "region": "keyword",
            "valid_from": "integer",
            "valid_to": "integer",
            DOCUMENT: "keyword",
            VERSION: "integer",
            FIRST: "bool",
        },
        access=ACCESS_KEYS,
    )


def chunk_points(version: IndexedVersion) -> list[IndexPoint]:
    """The chunks of a version as the index takes them."""
    row = version.staged.version
    return [_point(row, chunk, dense) for chunk, dense in zip(version.staged.chunks, version.dense, strict=True)]


def everything() -> models.Filter:
    """All chunks of all tenants; for the operator's counts, never for a reader."""
    from qdrant_client import models as m

    return m.Filter(must=[m.FieldCondition(key=VERSION, range=m.Range(gte=0))])


def of_document(key: str) -> models.Filter:
    """All chunks of a document."""
    from qdrant_client import models as m

    return m.Filter(must=[m.FieldCondition(key=DOCUMENT, match=m.MatchValue(value=key))])


def other_versions(key: str, number: int) -> models.Filter:
    """The chunks of every version of a document but this one."""
    from qdrant_client import models as m

    this = m.FieldCondition(key=VERSION, match=m.MatchValue(value=number))
    return m.Filter(must=of_document(key).must, must_not=[this])


def readable(scope: ReadScope, *more: models.Condition) -> models.Filter:
    """The chunks that may be read and that meet `more` as well."""
    from qdrant_client import models as m

    return m.Filter(must=[scope.conditions(), *more])


def digit_share(text: str) -> float:
    """Share of digits among the characters that are not white space."""
    solid = "".join(text.split())
    return sum(map(str.isdigit, solid)) / len(solid) if solid else 0.0


def _point(row: VersionRow, chunk: ChunkRow, dense: NDArray[np.float32]) -> IndexPoint:
    text = row.text[chunk.start : chunk.end]
    searched, _ = encoder_input(row.title, chunk.headings, text)
    sparse = {TERMS: sparse_vector(passage_weights(searched))}
    first = chunk.ordinal == 0
    payload = {
        **index_payload(row.tags),
        DOCUMENT: row.key,
        VERSION: row.number,
        FIRST: first,
        DIGITS: round(digit_share(text), 4),
    }
    if first:
        sparse[NAME] = sparse_vector(name_weights(row.title, row.source_uri))
        payload |= {TITLE: row.title, SOURCE: row.source_uri}
    return IndexPoint(id=chunk.id, dense=dense, sparse=sparse, payload=payload)


def sparse_vector(weights: Weights) -> SparseVector:
    """Terms and weights as the index takes them."""
    return SparseVector(indices=weights[0], values=weights[1])
