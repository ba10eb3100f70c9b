"""The port of the vector index. It speaks `qdrant_client.models` as its query language.

`retrieval/edge.py` stands behind it in one process, `retrieval/qdrant_server.py` on a Qdrant server or cluster.
Every point has a dense vector, named sparse vectors and a flat payload. The layout of the payload is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from qdrant_client import models

DENSE = "dense"  # name of the dense vector, cosine distance
PayloadKind = Literal["keyword", "integer", "float", "bool", "uuid"]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexConfig:
    """The shape of an index; two indexes of different shape never mix."""

    dimensions: int  # of the dense vector
    sparse: tuple[str, ...]  # names of the sparse vectors; each is scored with the IDF of the query's corpus
    payload: Mapping[str, PayloadKind]  # payload keys that filters use
    tenant_key: str = "tenant"  # payload key that separates tenants, the shard key on a cluster
    access: tuple[str, ...] = ()  # keys of the access rule, that of the tokens first: they change all at once or not


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseVector:
    """Term ids and weights, one row of a sparse matrix."""

    indices: NDArray[np.uint32]  # unique
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexPoint:
    """One vector record."""

    id: str  # UUID
    dense: NDArray[np.float32]  # [dimensions]
    sparse: Mapping[str, SparseVector]  # a name may be left out
    payload: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Upsert:
    """Put these points, replacing points of the same id."""

    points: Sequence[IndexPoint]


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPayload:
    """Overwrite these payload keys on the points that match."""

    payload: Mapping[str, object]
    where: models.Filter


@dataclass(frozen=True, slots=True, kw_only=True)
class Delete:
    """Remove the points that match."""

    where: models.Filter


Change = Upsert | SetPayload | Delete


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredPoint:
    """One point of an answer."""

    id: str
    score: float
    payload: Mapping[str, object]  # the keys that were asked for


class VectorIndex(Protocol):
    """Lifecycle: made open by a factory of its module, used from one event loop, closed once with `close`.

    Every change is checked whole before any of it is applied (ids, dimensions, names, finite numbers; a filter must
    have a condition): `BadInput` and nothing changed. `DependencyDown` when the engine does not answer in time.
    """

    async def update(self, changes: Sequence[Change]) -> None:
        """Apply the changes in order. In one process no query sees a part of them."""
        ...

    async def flush(self) -> None:
        """Return when all applied changes survive a loss of power."""
        ...

    async def query(self, requests: Sequence[models.QueryRequest]) -> list[list[ScoredPoint]]:
        """Answer the requests in one batch over one state, each sorted by (score descending, id)."""
        ...

    async def count(self, where: models.Filter) -> int:
        """The exact number of points that match."""
        ...

    async def close(self) -> None:
        """Flush and let go of the engine."""
        ...
