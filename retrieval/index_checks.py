"""What an index accepts: every change and every query is checked whole here, before an engine sees any of it.

An engine cannot be trusted with this: Qdrant applies the good half of a batch, keeps the bad half in its log, and takes
a filter without a condition for "everything".
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn
from uuid import UUID

import numpy as np

from ingest.errors import BadInput
from retrieval.index import DENSE, Change, IndexConfig, IndexPoint, PayloadKind, SetPayload, SparseVector, Upsert

if TYPE_CHECKING:
    from qdrant_client import models

_KINDS: Mapping[PayloadKind, tuple[type, ...]] = {
    "keyword": (str,),
    "integer": (int,),
    "float": (int, float),
    "bool": (bool,),
    "uuid": (str,),
}
_SCALARS = (str, int, float, bool, type(None))


def check_changes(changes: Sequence[Change], config: IndexConfig) -> None:
    """Raise BadInput for the first change that the index would not take whole."""
    for change in changes:
        if isinstance(change, Upsert):
            _check_points(change.points, config)
            continue
        check_filter(change.where, config)
        if isinstance(change, SetPayload):
            _check_payload("set payload", change.payload, config)
            if missing := _missing(change.payload, config.access):
                _refuse("set payload", "payload_part", f"A change of access leaves out {', '.join(missing)}.")


def check_filter(where: models.Filter | None, config: IndexConfig) -> None:
    """Raise BadInput for a filter without a condition, on a key that is not indexed, or of an unsupported kind."""
    from qdrant_client import models as m

    if not isinstance(where, m.Filter):
        _refuse("filter", "filter_missing", "A read or a change by filter came without a filter.")
    if where.min_should is not None:
        _refuse("filter", "filter_unsupported", "A filter uses min_should, which this index does not offer.")
    conditions = [c for part in (where.must, where.should, where.must_not) for c in listed(part)]
    if not conditions or where.should == []:
        _refuse("filter", "filter_empty", "A filter without a condition would match every point.")
    for condition in conditions:
        _check_condition(condition, config)


def check_requests(requests: Sequence[models.QueryRequest], config: IndexConfig) -> None:
    """Raise BadInput for a query that lacks its filter or IDF corpus, or whose vector does not fit the index."""
    for request in requests:
        check_filter(request.filter, config)
        if request.prefetch is not None or request.offset or request.score_threshold is not None:
            _refuse("query", "query_unsupported", "A query uses prefetch, offset or score_threshold.")
        if not 1 <= (request.limit or 0) <= 10_000:
            _refuse("query", "query_limit", "The limit of a query must lie between 1 and 10000.")
        if request.using in config.sparse:
            _check_sparse_query(request, config)
        elif request.using == DENSE:
            _check_dense_query(request, config)
        else:
            _refuse("query", "vector_unknown", f"The index has no vector named {request.using!r}.")


def _missing(payload: Mapping[str, object], keys: Sequence[str]) -> list[str]:
    """Those of the keys that are not in the payload, when others of them are."""
    return [key for key in keys if key not in payload] if not payload.keys().isdisjoint(keys) else []


def listed(part: Any) -> list[Any]:
    """The conditions of one part of a filter, which may be absent, one condition or a list."""
    return part if isinstance(part, list) else [] if part is None else [part]


def _check_condition(condition: object, config: IndexConfig) -> None:
    from qdrant_client import models as m

    if isinstance(condition, m.Filter):
        return check_filter(condition, config)
    if isinstance(condition, m.HasIdCondition):
        for point_id in condition.has_id:
            _check_id(point_id)
        return None
    if not isinstance(condition, m.FieldCondition):
        _refuse("filter", "filter_unsupported", f"A filter uses {type(condition).__name__}.")
    if condition.key not in config.payload:
        _refuse("filter", "filter_key_unknown", f"The index keeps no look-up for the payload key {condition.key!r}.")
    is_match = isinstance(condition.match, (m.MatchValue, m.MatchAny)) and condition.range is None
    is_range = isinstance(condition.range, m.Range) and condition.match is None
    if not (is_match or is_range):
        _refuse("filter", "filter_unsupported", f"The condition on {condition.key!r} is no value, list or range.")
    return None


def _check_dense_query(request: models.QueryRequest, config: IndexConfig) -> None:
    vector = request.query
    if not isinstance(vector, list) or len(vector) != config.dimensions or not np.isfinite(vector).all():
        _refuse("query", "vector_shape", f"A dense query must be a list of {config.dimensions} finite numbers.")


def _check_sparse_query(request: models.QueryRequest, config: IndexConfig) -> None:
    from qdrant_client import models as m

    vector = request.query
    if not isinstance(vector, m.SparseVector) or len(vector.indices) != len(vector.values):
        _refuse("query", "vector_shape", "A sparse query must be a SparseVector with as many ids as weights.")
    if len(set(vector.indices)) != len(vector.indices) or not np.isfinite(vector.values).all():
        _refuse("query", "vector_values", "A sparse query must have unique term ids and finite weights.")
    idf = request.params.idf if request.params else None
    if not isinstance(idf, m.IdfCorpusParams):
        _refuse(
            "query", "idf_corpus_missing", "A sparse query must name the corpus of its IDF, or hidden points count."
        )
    check_filter(idf.corpus, config)


def _check_points(points: Sequence[IndexPoint], config: IndexConfig) -> None:
    for point in points:
        _check_id(point.id)
        _check_payload(point.id, point.payload, config)
        if point.dense.shape != (config.dimensions,):
            _refuse(point.id, "vector_shape", f"The dense vector has shape {point.dense.shape}.")
        if not np.isfinite(point.dense).all():
            _refuse(point.id, "vector_values", "The dense vector holds a number that is not finite.")
        for name, vector in point.sparse.items():
            if name not in config.sparse:
                _refuse(point.id, "vector_unknown", f"The index has no sparse vector named {name!r}.")
            _check_sparse(point.id, name, vector)


def _check_sparse(item: str, name: str, vector: SparseVector) -> None:
    indices, values = vector.indices, vector.values
    if indices.ndim != 1 or indices.shape != values.shape or indices.dtype != np.uint32:
        _refuse(item, "vector_shape", f"The sparse vector {name!r} needs as many uint32 term ids as weights.")
    if not np.isfinite(values).all():
        _refuse(item, "vector_values", f"The sparse vector {name!r} holds a weight that is not finite.")
    ascending = bool((indices[1:] > indices[:-1]).all())  # the usual case, without a sort
    if not ascending and len(np.unique(indices)) != len(indices):
        _refuse(item, "vector_values", f"The sparse vector {name!r} holds a term id twice.")


def _check_payload(item: str, payload: Mapping[str, object], config: IndexConfig) -> None:
    for key, value in payload.items():
        kind = config.payload.get(key)
        for single in value if isinstance(value, list) else [value]:
            if not isinstance(single, _SCALARS) or (isinstance(single, float) and not math.isfinite(single)):
                _refuse(item, "payload_value", f"The payload key {key!r} holds something else than plain values.")
            if kind and ((type(single) is bool) != (kind == "bool") or not isinstance(single, _KINDS[kind])):
                _refuse(item, "payload_kind", f"The payload key {key!r} holds {single!r}, which is no {kind}.")
            if kind == "uuid":
                _check_id(single)


def _check_id(value: object) -> None:
    try:
        if not isinstance(value, str) or str(UUID(value)) != value.lower():
            raise ValueError
    except ValueError:
        _refuse(str(value)[:80], "id_no_uuid", "A point id must be a UUID in its dashed form.")


def _refuse(item: str, code: str, cause: str) -> NoReturn:
    raise BadInput(item, code, cause, "Nothing was changed; correct the call.")
