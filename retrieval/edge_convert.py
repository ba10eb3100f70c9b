"""From the plain requests of `retrieval/edge.py` to the types of the Edge engine. Runs in the child only."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import qdrant_edge as edge

from retrieval.edge_access import GUARD, MARKS

_SCHEMA: Mapping[str, Any] = {
    "keyword": edge.KeywordIndexParams(),
    "integer": edge.IntegerIndexParams(lookup=True, range=True),
    "float": edge.FloatIndexParams(),
    "bool": edge.IntegerIndexParams(
        lookup=True, range=False
    ),  # Edge 0.9 reads MatchValue(True) as 1: bools travel as 0, 1
    "uuid": edge.UuidIndexParams(),
}
RESCORED = edge.QuantizationSearchParams(ignore=False, rescore=True, oversampling=3.0)
# Pieces of at most this many points are optimised at a time, so that no query waits longer than a few seconds; fewer
# than the lower figure are searched as they are. Measured with benchmarks/index.py.
PIECE_POINTS = 50_000
UNINDEXED_POINTS = 20_000
MOST_ALTERNATIVES = 64  # values of one key that are asked for one by one; the lexical leg suffers from more


def edge_config(shape: Mapping[str, Any], threads: int) -> edge.EdgeConfig:
    """No graph (m=0): int8 with rescoring is exact at a few hundred thousand points and builds in seconds."""
    kib_per_point = shape["dimensions"] * 4 / 1024
    return edge.EdgeConfig(
        vectors={
            "dense": edge.EdgeVectorParams(
                size=shape["dimensions"],
                distance=edge.Distance.Cosine,
                hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=16, full_scan_threshold=1),
                quantization_config=edge.ScalarQuantizationConfig(type=edge.ScalarType.Int8, memory=edge.Memory.Pinned),
                memory=edge.Memory.Cached,
            )
        },
        sparse_vectors={name: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf) for name in shape["sparse"]},
        optimizers=edge.EdgeOptimizersConfig(
            default_segment_number=threads,
            indexing_threshold=max(1, int(UNINDEXED_POINTS * kib_per_point)),
            max_segment_size=max(1, int(PIECE_POINTS * kib_per_point)),
        ),
        max_search_threads=threads,
    )


def field_indexes(payload: Mapping[str, str], tenant_key: str) -> Iterator[edge.UpdateOperation]:
    """One look-up per declared payload key."""
    for key, kind in payload.items():
        schema = edge.KeywordIndexParams(is_tenant=True) if key == tenant_key else _SCHEMA[kind]
        yield edge.UpdateOperation.create_field_index(key, schema)


def access_indexes(keys: Sequence[str]) -> Iterator[edge.UpdateOperation]:
    """The look-ups that `retrieval/edge_access.py` adds where there are access keys."""
    if keys:
        yield edge.UpdateOperation.create_field_index(GUARD, edge.KeywordIndexParams())
        yield edge.UpdateOperation.create_field_index(MARKS, edge.IntegerIndexParams(lookup=True, range=False))


def edge_filter(plain: Mapping[str, Any]) -> edge.Filter:
    """A filter of `must`, `should` and `must_not`, each a list of plain conditions."""
    parts: dict[str, Any] = {part: [_condition(c) for c in conditions] for part, conditions in plain.items()}
    return edge.Filter(**parts)


def gathering_filter(plain: Mapping[str, Any]) -> edge.Filter:
    """The same filter, quicker where the engine gathers the points that meet it.

    For a list of values the engine puts each point that it comes by in a hash set; for alternatives it sets a bit. At
    100k points of which all match that is 3.4 against 1.2 ms.
    """
    conditions = [_alternatives(c) for c in plain.get("must", ())]
    if list(plain) == ["must"] and len(conditions) == 1 and isinstance(conditions[0], edge.Filter):
        return conditions[0]
    rest: dict[str, Any] = {part: [_condition(c) for c in cs] for part, cs in plain.items() if part != "must"}
    return edge.Filter(must=conditions, **rest) if conditions else edge.Filter(**rest)


def _alternatives(plain: Mapping[str, Any]) -> Any:
    if "key" not in plain or not 1 <= len(plain.get("any", ())) <= MOST_ALTERNATIVES:
        return _condition(plain)
    return edge.Filter(should=[edge.FieldCondition(plain["key"], match=edge.MatchValue(v)) for v in plain["any"]])


def _condition(plain: Mapping[str, Any]) -> Any:
    if "ids" in plain:
        return edge.HasIdCondition(set(plain["ids"]))
    if "key" not in plain:
        return edge_filter(plain)
    if "range" in plain:
        return edge.FieldCondition(plain["key"], range=edge.RangeFloat(**plain["range"]))
    if "any" in plain:
        return edge.FieldCondition(plain["key"], match=edge.MatchAny(plain["any"]))
    return edge.FieldCondition(plain["key"], match=edge.MatchValue(plain["value"]))


def edge_request(
    plain: Mapping[str, Any],
    vectors: Iterator[memoryview],
    where: edge.Filter | None,
    corpus: edge.Filter | None,
) -> edge.QueryRequest:
    """One query; its vector is the next buffer, or the next two (term ids, weights) for a sparse one."""
    if "idf" in plain:
        vector: Any = _sparse(next(vectors).cast("I"), next(vectors).cast("f"))
        params = edge.SearchParams(idf=edge.IdfParams(corpus=corpus))
    else:
        vector = next(vectors).cast("f")
        params = edge.SearchParams(exact=plain["exact"], quantization=_quantization(plain))
    return edge.QueryRequest(
        limit=plain["limit"],
        query=edge.Query.Nearest(vector, using=plain["using"]),
        filter=where,
        params=params,
        with_payload=plain["keys"],
    )


def _sparse(indices: Any, values: Any) -> edge.SparseVector:
    return edge.SparseVector(indices, values)  # any sequence will do, though the stubs say list


def _quantization(plain: Mapping[str, Any]) -> edge.QuantizationSearchParams:
    given = plain.get("quantization")
    return edge.QuantizationSearchParams(**given) if given else RESCORED


def edge_changes(plain: Mapping[str, Any], vectors: Iterator[memoryview]) -> edge.UpdateOperation:
    """One change; an upsert takes its dense matrix and, per sparse name, all term ids and all weights as buffers."""
    if "ids" in plain:
        return edge.UpdateOperation.upsert_points(list(_points(plain, vectors)))
    where = edge_filter(json.loads(plain["where"]))
    if "payload" in plain:
        return edge.UpdateOperation.set_payload_by_filter(where, plain["payload"])
    return edge.UpdateOperation.delete_points_by_filter(where)


def _points(plain: Mapping[str, Any], vectors: Iterator[memoryview]) -> Iterator[edge.Point]:
    dense = next(vectors).cast("f")
    size = len(dense) // max(1, len(plain["ids"]))
    named: list[dict[str, Any]] = [{"dense": dense[n * size : (n + 1) * size]} for n in range(len(plain["ids"]))]
    for name, rows in plain["sparse"].items():
        indices, values, start = next(vectors).cast("I"), next(vectors).cast("f"), 0
        for row, length in rows:
            end = start + length
            named[row][name] = _sparse(indices[start:end], values[start:end])
            start = end
    for point_id, vector, payload in zip(plain["ids"], named, plain["payloads"], strict=True):
        yield edge.Point(point_id, vector, payload)
