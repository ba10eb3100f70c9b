"""The vector index on a Qdrant server or cluster, over `AsyncQdrantClient`.

Same port as `retrieval/edge.py`. A server needs version 1.19, the first with an IDF corpus. Changes of one `update` are
applied one after the other; a query of another process may see the state between two of them.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

from ingest.errors import BadInput, DependencyDown
from retrieval.index import DENSE, Change, IndexConfig, IndexPoint, ScoredPoint, SetPayload, Upsert
from retrieval.index_checks import check_changes, check_filter, check_requests

if TYPE_CHECKING:
    from qdrant_client import AsyncQdrantClient, models

POINTS_PER_CALL: Final = 256  # about 1 MB as JSON, far below the server's limit of 32 MB
TIES_FACTOR: Final = 16  # how far past its limit a query is read to find the end of a tie, as a multiple of the limit


async def open_server(
    url: str,
    *,
    api_key: str | None = None,
    collection: str,
    config: IndexConfig,
    replication_factor: int = 1,
    shard_number: int | None = None,
    deadline: float = 30.0,
) -> ServerIndex:
    """Connect to `url` and open `collection`, made if it is not there.

    `deadline` is in seconds and bounds every call. `replication_factor` and `shard_number` are used when the collection
    is made. Raises DependencyDown when the server cannot be used, BadInput when the collection has another shape.
    """
    client = _client(url, api_key, deadline)
    try:
        return await open_collection(
            client,
            collection=collection,
            config=config,
            replication_factor=replication_factor,
            shard_number=shard_number,
            deadline=deadline,
        )
    except BaseException:
        await client.close()
        raise


async def open_collection(
    client: AsyncQdrantClient,
    *,
    collection: str,
    config: IndexConfig,
    replication_factor: int = 1,
    shard_number: int | None = None,
    deadline: float = 30.0,
) -> ServerIndex:
    """`open_server` over a client that is already made; the index closes it."""
    index = ServerIndex(client, collection, config, deadline)
    async with _calling(collection, deadline):
        if await client.collection_exists(collection):
            _check_shape(collection, (await client.get_collection(collection)).config.params, config)
        else:
            await _create(client, collection, config, replication_factor, shard_number)
        for key in config.payload:
            await client.create_payload_index(collection, key, field_schema=_field_schema(key, config), wait=True)
    return index


async def drop_collection(url: str, *, api_key: str | None = None, collection: str, deadline: float = 30.0) -> None:
    """Remove `collection` with everything in it; nothing happens when it is not there.

    `deadline` is in seconds. Raises DependencyDown when the server cannot be used.
    """
    client = _client(url, api_key, deadline)
    try:
        async with _calling(collection, deadline):
            await client.delete_collection(collection)
    finally:
        await client.close()


def _client(url: str, api_key: str | None, deadline: float) -> AsyncQdrantClient:
    from qdrant_client import AsyncQdrantClient

    seconds = max(1, math.ceil(deadline))
    return AsyncQdrantClient(url=url, api_key=api_key, timeout=seconds, check_compatibility=False)


class ServerIndex:
    """`VectorIndex` over a server's collection. Made by `open_server` or `open_collection`."""

    def __init__(self, client: AsyncQdrantClient, collection: str, config: IndexConfig, deadline: float) -> None:
        self._client = client
        self._collection = collection
        self._config = config
        self._deadline = deadline

    async def update(self, changes: Sequence[Change]) -> None:
        """See `VectorIndex.update`. Returns when the server has applied the changes."""
        check_changes(changes, self._config)
        for change in changes:
            for operation in _operations(change):
                async with _calling(self._collection, self._deadline):
                    await self._client.batch_update_points(self._collection, [operation], wait=True)

    async def flush(self) -> None:
        """Nothing to do: what a server has acknowledged is in its log."""

    async def query(self, requests: Sequence[models.QueryRequest]) -> list[list[ScoredPoint]]:
        """See `VectorIndex.query`. A tie that reaches past the limit costs a second call."""
        check_requests(requests, self._config)
        found: list[list[ScoredPoint]] = [[] for _ in requests]
        read = [(request.limit or 0) + 1 for request in requests]
        open_ones = list(range(len(requests)))
        while open_ones:
            batch = [_rescored(requests[n], read[n]) for n in open_ones]
            async with _calling(self._collection, self._deadline):
                answers = await self._client.query_batch_points(self._collection, batch)
            for n, answer in zip(open_ones, answers, strict=True):
                found[n] = [_scored(point) for point in answer.points]
            open_ones = [n for n in open_ones if _tie_at_limit(found[n], requests[n].limit or 0, read[n])]
            read = [size * 4 if n in open_ones else size for n, size in enumerate(read)]
        return [_best(points, request.limit or 0) for points, request in zip(found, requests, strict=True)]

    async def count(self, where: models.Filter) -> int:
        """See `VectorIndex.count`."""
        check_filter(where, self._config)
        async with _calling(self._collection, self._deadline):
            return (await self._client.count(self._collection, count_filter=where, exact=True)).count

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()


@asynccontextmanager
async def _calling(collection: str, deadline: float) -> AsyncIterator[None]:
    """One call to the server: within the deadline, its failures named."""
    from qdrant_client.common.client_exceptions import QdrantException
    from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

    try:
        async with asyncio.timeout(deadline):
            yield
    except TimeoutError:
        cause = f"The Qdrant server did not answer within {deadline:g} s."
        raise _down(collection, "index_slow", cause) from None
    except UnexpectedResponse as error:
        code = "index_forbidden" if error.status_code in (401, 403) else "index_failed"
        detail = error.content.decode(errors="replace")[:300]
        raise _down(collection, code, f"The Qdrant server answered {error.status_code}: {detail}.") from error
    except (ApiException, QdrantException, OSError) as error:
        cause = f"The Qdrant server cannot be reached: {type(error).__name__}: {str(error)[:300]}."
        raise _down(collection, "index_unreachable", cause) from error


def _down(collection: str, code: str, cause: str) -> DependencyDown:
    return DependencyDown(collection, code, cause, "Check that it runs, its address and its key; try again.")


async def _create(
    client: AsyncQdrantClient, collection: str, config: IndexConfig, replication: int, shards: int | None
) -> None:
    from qdrant_client import models as m

    int8 = m.ScalarQuantization(scalar=m.ScalarQuantizationConfig(type=m.ScalarType.INT8, always_ram=True))
    dense = m.VectorParams(size=config.dimensions, distance=m.Distance.COSINE, quantization_config=int8)
    await client.create_collection(
        collection,
        vectors_config={DENSE: dense},
        sparse_vectors_config={name: m.SparseVectorParams(modifier=m.Modifier.IDF) for name in config.sparse},
        replication_factor=replication,
        write_consistency_factor=replication,
        shard_number=shards,
    )


def _field_schema(key: str, config: IndexConfig) -> Any:
    from qdrant_client import models as m

    if key == config.tenant_key:
        return m.KeywordIndexParams(type=m.KeywordIndexType.KEYWORD, is_tenant=True)
    return m.PayloadSchemaType(config.payload[key])


def _check_shape(collection: str, found: models.CollectionParams, config: IndexConfig) -> None:
    vectors = found.vectors if isinstance(found.vectors, dict) else {}
    sizes = {name: params.size for name, params in vectors.items()}
    if sizes != {DENSE: config.dimensions} or set(found.sparse_vectors or {}) != set(config.sparse):
        cause = f"The collection has other vectors: {sizes} and {sorted(found.sparse_vectors or {})}."
        step = "Use the configuration that it was made with, or name a new collection and run groundwire reindex."
        raise BadInput(collection, "index_shape", cause, step)


def _operations(change: Change) -> Iterator[Any]:
    from qdrant_client import models as m

    if isinstance(change, Upsert):
        for start in range(0, len(change.points), POINTS_PER_CALL):
            points = [_point(point) for point in change.points[start : start + POINTS_PER_CALL]]
            yield m.UpsertOperation(upsert=m.PointsList(points=points))
    elif isinstance(change, SetPayload):
        yield m.SetPayloadOperation(set_payload=m.SetPayload(payload=dict(change.payload), filter=change.where))
    else:
        yield m.DeleteOperation(delete=m.FilterSelector(filter=change.where))


def _point(point: IndexPoint) -> models.PointStruct:
    from qdrant_client import models as m

    vector: dict[str, Any] = {DENSE: point.dense.tolist()}
    for name, sparse in point.sparse.items():
        vector[name] = m.SparseVector(indices=sparse.indices.tolist(), values=sparse.values.tolist())
    return m.PointStruct(id=point.id, vector=vector, payload=dict(point.payload))


def _rescored(request: models.QueryRequest, limit: int) -> models.QueryRequest:
    """The request with its new limit; a dense one is rescored with the stored vectors unless it says otherwise."""
    from qdrant_client import models as m

    update: dict[str, Any] = {"limit": limit, "with_payload": request.with_payload or False}
    if request.using == DENSE and request.params is None:
        rescored = m.QuantizationSearchParams(rescore=True, oversampling=3.0)
        update["params"] = m.SearchParams(quantization=rescored)
    return request.model_copy(update=update)


def _scored(point: models.ScoredPoint) -> ScoredPoint:
    payload: Mapping[str, object] = point.payload or {}
    return ScoredPoint(id=str(point.id), score=point.score, payload=payload)


def _tie_at_limit(points: Sequence[ScoredPoint], limit: int, read: int) -> bool:
    """Whether a tie reaches from inside the limit past what was read, so that the engine's order would show."""
    return len(points) == read and points[limit - 1].score == points[-1].score and read < TIES_FACTOR * limit


def _best(points: Sequence[ScoredPoint], limit: int) -> list[ScoredPoint]:
    return sorted(points, key=lambda point: (-point.score, point.id))[:limit]
