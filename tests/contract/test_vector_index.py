"""What every vector index promises, run over Edge, qdrant-client's local engine, the REST path and, where there is one,
a real server (GROUNDWIRE_TEST_QDRANT_URL, GROUNDWIRE_TEST_QDRANT_API_KEY)."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qdrant_client import AsyncQdrantClient
from qdrant_client import models as m

from ingest.errors import BadInput, DependencyDown
from ingest.tags import AccessTags, Classification
from retrieval.access import ACCESS_KEYS, Principal, index_payload, read_scope
from retrieval.edge import open_edge
from retrieval.index import (
    Change,
    Delete,
    IndexConfig,
    IndexPoint,
    ScoredPoint,
    SetPayload,
    SparseVector,
    Upsert,
    VectorIndex,
)
from retrieval.qdrant_server import drop_collection, open_collection, open_server
from tests.doubles.qdrant_rest import KEY, qdrant_rest

TODAY = date(2026, 6, 1)
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # local mode says what it ignores
CONFIG = IndexConfig(
    dimensions=4,
    sparse=("terms", "title"),
    payload={
        "tenant": "keyword",
        "readers": "keyword",
        "deny": "keyword",
        "region": "keyword",
        "classification": "integer",
        "valid_from": "integer",
        "valid_to": "integer",
        "live": "bool",
        "digits": "float",
        "version": "uuid",
        "number": "integer",
    },
    access=ACCESS_KEYS,
)
SERVER = os.environ.get("GROUNDWIRE_TEST_QDRANT_URL")


@dataclass(frozen=True, slots=True, kw_only=True)
class Backend:
    """An open index and the loop it lives on."""

    name: str
    index: VectorIndex
    run: Callable[[Coroutine[Any, Any, Any]], Any]

    def update(self, *changes: Change) -> None:
        self.run(self.index.update(list(changes)))

    def query(self, *requests: m.QueryRequest) -> list[list[ScoredPoint]]:
        answers: list[list[ScoredPoint]] = self.run(self.index.query(list(requests)))
        return answers

    def count(self, where: m.Filter) -> int:
        return int(self.run(self.index.count(where)))

    @property
    def examples(self) -> int:
        """How many rounds of a costly test the backend is quick enough for."""
        return 3 if self.name == "edge" else 1


@pytest.fixture(scope="module", params=["edge", "local", "rest", *(["server"] if SERVER else [])])
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backend]:
    name: str = request.param
    with asyncio.Runner() as runner:
        if name == "edge":
            index: VectorIndex = runner.run(open_edge(tmp_path_factory.mktemp("edge"), CONFIG))
        elif name == "local":
            local = AsyncQdrantClient(":memory:")
            index = runner.run(open_collection(local, collection="c", config=CONFIG))
        elif name == "rest":
            double = request.getfixturevalue("rest")
            index = runner.run(open_server(double.url, api_key=KEY, collection="c", config=CONFIG))
        else:
            assert SERVER
            key = os.environ.get("GROUNDWIRE_TEST_QDRANT_API_KEY")
            collection = f"contract-{uuid.uuid4()}"
            index = runner.run(open_server(SERVER, api_key=key, collection=collection, config=CONFIG))
        yield Backend(name=name, index=index, run=runner.run)
        runner.run(index.close())
        if name == "server" and SERVER:
            client = AsyncQdrantClient(url=SERVER, api_key=os.environ.get("GROUNDWIRE_TEST_QDRANT_API_KEY"))
            runner.run(client.delete_collection(collection))


@pytest.fixture(scope="module")
def rest() -> Iterator[Any]:
    with qdrant_rest() as double:
        yield double


@pytest.fixture
def backend(opened: Backend) -> Backend:
    """The module's index, emptied."""
    opened.update(Delete(where=EVERYTHING))
    return opened


def number_is(**bounds: float) -> m.Filter:
    return m.Filter(must=[m.FieldCondition(key="number", range=m.Range(**bounds))])


EVERYTHING = number_is(gte=0)


def identity(number: int) -> str:
    return str(uuid.UUID(int=number))


def unit(*values: float) -> np.ndarray:
    row = np.array([*values, 0, 0, 0, 0][:4], dtype=np.float32)
    return row / np.linalg.norm(row)


def sparse(**weights: float) -> SparseVector:
    """`t7=1.5` is term 7 with weight 1.5."""
    terms = sorted((int(name[1:]), weight) for name, weight in weights.items())
    return SparseVector(
        indices=np.array([t for t, _ in terms], dtype=np.uint32),
        values=np.array([w for _, w in terms], dtype=np.float32),
    )


def point(
    number: int, *, dense: np.ndarray | None = None, terms: SparseVector | None = None, **payload: Any
) -> IndexPoint:
    return IndexPoint(
        id=identity(number),
        dense=unit(1, number % 7) if dense is None else dense,
        sparse={"terms": terms or sparse(t1=1.0)},
        payload={"number": number, **payload},
    )


def dense_query(
    where: m.Filter, *, limit: int = 100, keys: Any = None, vector: tuple[float, ...] = (1, 0.5)
) -> m.QueryRequest:
    query = unit(*vector).tolist()
    return m.QueryRequest(query=query, using="dense", filter=where, limit=limit, with_payload=keys)


def sparse_query(
    where: m.Filter, *, corpus: m.Filter | None = None, limit: int = 100, terms: tuple[int, ...] = (1,)
) -> m.QueryRequest:
    return m.QueryRequest(
        query=m.SparseVector(indices=list(terms), values=[1.0] * len(terms)),
        using="terms",
        filter=where,
        limit=limit,
        params=m.SearchParams(idf=m.IdfCorpusParams(corpus=corpus or where)),
    )


def ids(points: list[ScoredPoint]) -> list[str]:
    return [found.id for found in points]


NAMES = st.sampled_from(["a", "b", "c"])
TOKENS = st.one_of(
    st.just("public"), NAMES.map("user:{}".format), NAMES.map("group:{}".format), NAMES.map("role:{}".format)
)
DAYS = st.none() | st.dates(min_value=date(2026, 5, 30), max_value=date(2026, 6, 3))


@st.composite
def access_tags(draw: st.DrawFn) -> AccessTags:
    first, last = draw(DAYS), draw(DAYS)
    if first and last and last < first:
        first, last = last, first
    return AccessTags(
        tenant=draw(st.sampled_from(["default", "default", "other"])),
        owner=draw(st.none() | NAMES),
        allow=draw(st.frozensets(TOKENS, max_size=3)),
        deny=draw(st.frozensets(TOKENS, max_size=1)),
        classification=draw(st.sampled_from(Classification)),
        region=draw(st.none() | st.sampled_from(["eu", "us"])),
        valid_from=first,
        valid_to=last,
    )


PRINCIPALS = st.builds(
    Principal,
    subject=NAMES,
    tenant=st.sampled_from(["default", "default", "other"]),
    groups=st.frozensets(NAMES, max_size=2),
    roles=st.frozensets(NAMES, max_size=1),
    clearance=st.sampled_from(Classification),
    regions=st.frozensets(st.sampled_from(["eu", "us"]), max_size=2),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tags=st.lists(access_tags(), min_size=1, max_size=25),
    principals=st.lists(PRINCIPALS, min_size=1, max_size=4),
    change=access_tags(),
    later=st.lists(access_tags(), max_size=3),
)
def test_finds_what_the_scope_permits_and_nothing_else(
    opened: Backend, tags: list[AccessTags], principals: list[Principal], change: AccessTags, later: list[AccessTags]
) -> None:
    """Over random tags and readers both legs and the count are exactly `ReadScope.permits`, before and after a change
    of access and the arrival of points with tags never seen before, on the first query as on the twentieth (an engine
    may learn from a state that stays as it is)."""
    points = [point(n, **index_payload(tag)) for n, tag in enumerate(tags)]
    opened.update(Delete(where=EVERYTHING), Upsert(points=points))
    scopes = [read_scope(principal, today=TODAY) for principal in principals]
    for _ in range(2):
        for _ in range(opened.examples):
            for scope in scopes:
                where = scope.conditions()
                wanted = {identity(n) for n, tag in enumerate(tags) if scope.permits(tag)}
                dense, lexical = opened.query(dense_query(where), sparse_query(where))
                assert set(ids(dense)) == set(ids(lexical)) == wanted
                assert opened.count(where) == len(wanted)
        more = [point(len(tags) + n, **index_payload(tag)) for n, tag in enumerate(later)]
        opened.update(SetPayload(payload=index_payload(change), where=number_is(lte=0)), Upsert(points=more))
        tags = [change, *tags[1:], *later]


@pytest.mark.parametrize("hidden", [1, 40])
def test_hidden_points_change_no_score(backend: Backend, hidden: int) -> None:
    """Points that the filter hides, sharing terms and vectors with visible ones, change no score and no order."""
    where = m.Filter(must=[m.FieldCondition(key="readers", match=m.MatchAny(any=["public"]))])
    shown = [point(n, terms=sparse(**{f"t{n % 3}": 1.0 + n, "t9": 1.0}), readers=["public"]) for n in range(12)]
    backend.update(Upsert(points=shown))
    requests = [dense_query(where), sparse_query(where, terms=(0, 1, 9))]
    before = backend.query(*requests)
    added = [point(100 + n, terms=sparse(t0=3.0, t9=0.5), readers=["user:x"]) for n in range(hidden)]
    backend.update(Upsert(points=added))
    assert [backend.query(*requests) for _ in range(6)] == [before] * 6
    backend.update(Delete(where=number_is(gte=100)))
    assert backend.query(*requests) == before
    assert len(before[0]) == 12


def test_missing_and_empty_values_match_nothing(backend: Backend) -> None:
    """A point without readers, with an empty list of them, or without a day is in nobody's scope."""
    full = index_payload(AccessTags(allow=frozenset({"public"})))
    without = {"readers": [], "tenant": "default"}
    lacking = [{key: value for key, value in full.items() if key != gone} for gone in full if gone != "deny"]
    payloads: list[dict[str, Any]] = [full, without, {}, *lacking]
    backend.update(Upsert(points=[point(n, **payload) for n, payload in enumerate(payloads)]))
    scope = read_scope(Principal(subject="a", clearance=Classification.regulated), today=TODAY)
    assert ids(backend.query(dense_query(scope.conditions()))[0]) == [identity(0)]
    nobody = m.Filter(must=[m.FieldCondition(key="readers", match=m.MatchAny(any=[]))])
    assert backend.query(dense_query(nobody), sparse_query(nobody)) == [[], []]
    assert backend.count(nobody) == 0


def test_ties_are_broken_by_id(backend: Backend) -> None:
    """Of points with one score those of the lowest ids come first, however many share the score."""
    order = np.random.default_rng(3).permutation(60).tolist()
    backend.update(Upsert(points=[point(n, dense=unit(1, 1)) for n in order]))
    first = [identity(n) for n in range(10)]
    for _ in range(4):
        dense, lexical = backend.query(dense_query(EVERYTHING, limit=10), sparse_query(EVERYTHING, limit=10))
        assert ids(dense) == ids(lexical) == first


def test_is_sorted_and_limited(backend: Backend) -> None:
    """Answers hold at most `limit` points, best first, with the payload keys that were asked for."""
    backend.update(Upsert(points=[point(n, dense=unit(1, n), live=n % 2 == 0, digits=n / 4) for n in range(1, 9)]))
    (found,) = backend.query(dense_query(EVERYTHING, limit=3, keys=["live", "digits"], vector=(1, 4)))
    assert ids(found) == [identity(n) for n in (4, 5, 3)]
    assert found[0].score == pytest.approx(1.0, abs=1e-5)
    assert [found.payload for found in found] == [
        {"live": True, "digits": 1.0},
        {"live": False, "digits": 1.25},
        {"live": False, "digits": 0.75},
    ]
    assert backend.query(dense_query(EVERYTHING, limit=1))[0][0].payload == {}


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        (m.FieldCondition(key="live", match=m.MatchValue(value=True)), {0, 2}),
        (m.FieldCondition(key="live", match=m.MatchValue(value=False)), {1, 3}),
        (m.FieldCondition(key="digits", range=m.Range(gt=0.25, lt=0.75)), {2}),
        (m.FieldCondition(key="number", match=m.MatchValue(value=3)), {3}),
        (m.FieldCondition(key="number", match=m.MatchAny(any=[0, 3])), {0, 3}),
        (m.FieldCondition(key="version", match=m.MatchValue(value=identity(71))), {1}),
        (m.HasIdCondition(has_id=[identity(2), identity(99)]), {2}),
        (m.Filter(should=[number_is(lte=0), number_is(gte=3)]), {0, 3}),
        (m.Filter(must_not=[number_is(lte=1)]), {2, 3}),
    ],
)
def test_filters_of_every_kind(backend: Backend, condition: Any, wanted: set[int]) -> None:
    """Each kind of condition and of payload key separates what it says."""
    points = [point(n, live=n % 2 == 0, digits=n / 4, version=identity(70 + n)) for n in range(4)]
    backend.update(Upsert(points=points))
    where = m.Filter(must=[EVERYTHING, condition])
    assert set(ids(backend.query(dense_query(where))[0])) == {identity(n) for n in wanted}
    assert backend.count(where) == len(wanted)


def test_candidates_keep_their_scores(backend: Backend) -> None:
    """Scoring given candidates with the corpus of the scope gives the scores of the open query."""
    backend.update(Upsert(points=[point(n, terms=sparse(**{f"t{n % 4}": 1.0, "t9": 0.5 + n})) for n in range(30)]))
    dense, lexical = dense_query(EVERYTHING), sparse_query(EVERYTHING, terms=(0, 2, 9))
    everything = backend.query(dense, lexical)
    some = m.Filter(must=[m.HasIdCondition(has_id=[identity(n) for n in range(5, 15)]), EVERYTHING])
    chosen = backend.query(dense_query(some), sparse_query(some, corpus=EVERYTHING, terms=(0, 2, 9)))
    for whole, part in zip(everything, chosen, strict=True):
        scores = {found.id: found.score for found in whole}
        assert len(part) == 10
        assert {found.id: found.score for found in part} == {found.id: scores[found.id] for found in part}


def test_upsert_replaces(backend: Backend) -> None:
    """A point of a known id replaces it whole: vectors, missing ones too, and payload."""
    backend.update(Upsert(points=[point(1, live=True), point(2, live=True)]))
    bare = IndexPoint(id=identity(1), dense=unit(0, 0, 1), sparse={}, payload={"number": 5})
    backend.update(Upsert(points=[bare]))
    assert backend.count(EVERYTHING) == 2
    assert backend.count(m.Filter(must=[m.FieldCondition(key="live", match=m.MatchValue(value=True))])) == 1
    dense, lexical = backend.query(dense_query(EVERYTHING, vector=(0, 0, 1)), sparse_query(EVERYTHING))
    assert ids(dense)[0] == identity(1)
    assert ids(lexical) == [identity(2)]


def test_changes_apply_in_order(backend: Backend) -> None:
    """Later changes of one update see the earlier ones."""
    gone = number_is(gte=1)
    backend.update(
        Upsert(points=[point(0), point(1)]), Delete(where=gone), Upsert(points=[point(2)]), Upsert(points=[])
    )
    assert backend.count(EVERYTHING) == 2
    backend.update(SetPayload(payload={"number": 7}, where=gone), Delete(where=number_is(gte=7)))
    assert ids(backend.query(dense_query(EVERYTHING))[0]) == [identity(0)]


def test_set_payload_moves_visibility(backend: Backend) -> None:
    """After an access change the old reader finds nothing, the new one finds it, and its vectors are as they were."""
    old, new = (AccessTags(allow=frozenset({f"user:{name}"})) for name in "ab")
    backend.update(Upsert(points=[point(1, **index_payload(old))]))
    scopes = [
        read_scope(Principal(subject=s, clearance=Classification.internal), today=TODAY).conditions() for s in "ab"
    ]
    before = backend.query(*[dense_query(scope) for scope in scopes])
    backend.update(SetPayload(payload=index_payload(new), where=EVERYTHING))
    after = backend.query(*[dense_query(scope) for scope in scopes])
    assert [len(found) for found in (*before, *after)] == [1, 0, 0, 1]
    assert before[0] == after[1]


NAN = float("nan")
BAD_POINTS = {
    "an id that is no UUID": IndexPoint(id="7", dense=unit(1), sparse={}, payload={}),
    "another dimension": IndexPoint(id=identity(1), dense=np.ones(3, np.float32), sparse={}, payload={}),
    "a dense number that is not finite": IndexPoint(
        id=identity(1), dense=np.array([1, NAN, 0, 0], np.float32), sparse={}, payload={}
    ),
    "an unknown vector": IndexPoint(id=identity(1), dense=unit(1), sparse={"other": sparse(t1=1.0)}, payload={}),
    "a weight that is not finite": point(1, terms=sparse(t1=float("inf"))),
    "a term twice": point(1, terms=SparseVector(indices=np.array([5, 2, 5], np.uint32), values=np.ones(3, np.float32))),
    "more terms than weights": point(
        1, terms=SparseVector(indices=np.array([1, 2], np.uint32), values=np.ones(1, np.float32))
    ),
    "a string for an integer": point(1, classification="internal"),
    "a number for a bool": point(1, live=1),
    "a bool for an integer": point(1, classification=True),
    "a nested payload": point(1, note={"a": 1}),
    "a payload number that is not finite": point(1, digits=NAN),
    "a version that is no UUID": point(1, version="v1"),
}
EMPTY_FILTERS = {
    "no condition": m.Filter(),
    "empty parts": m.Filter(must=[], must_not=[]),
    "an empty should": m.Filter(must=[EVERYTHING], should=[]),
    "an empty filter inside": m.Filter(must=[EVERYTHING, m.Filter()]),
    "an unknown key": m.Filter(must=[m.FieldCondition(key="nope", match=m.MatchValue(value=1))]),
    "a condition without a test": m.Filter(must=[m.FieldCondition(key="number", is_null=True)]),
}
BAD_CHANGES: dict[str, Change] = {
    **{name: Upsert(points=[point(8), bad]) for name, bad in BAD_POINTS.items()},
    **{f"delete by {name}": Delete(where=where) for name, where in EMPTY_FILTERS.items()},
    "set payload by no condition": SetPayload(payload={"live": True}, where=m.Filter()),
    "a part of the access rule": SetPayload(payload={"readers": ["public"]}, where=EVERYTHING),
    "set payload of another kind": SetPayload(payload={"live": "yes"}, where=EVERYTHING),
}


@pytest.mark.parametrize("name", BAD_CHANGES)
def test_refuses_a_bad_change_whole(backend: Backend, name: str) -> None:
    """A change that cannot be taken is BadInput, and nothing of its update was applied."""
    backend.update(Upsert(points=[point(0)]))
    with pytest.raises(BadInput) as refused:
        backend.update(Upsert(points=[point(9)]), BAD_CHANGES[name])
    assert refused.value.next_step
    assert backend.count(EVERYTHING) == 1


BAD_QUERIES = {
    "no filter": dense_query(EVERYTHING).model_copy(update={"filter": None}),
    **{name: dense_query(where) for name, where in EMPTY_FILTERS.items()},
    "another dimension": dense_query(EVERYTHING).model_copy(update={"query": [1.0]}),
    "a number that is not finite": dense_query(EVERYTHING).model_copy(update={"query": [NAN, 0.0, 0.0, 0.0]}),
    "an unknown vector": dense_query(EVERYTHING).model_copy(update={"using": "other"}),
    "no limit": dense_query(EVERYTHING, limit=0),
    "no IDF corpus": sparse_query(EVERYTHING).model_copy(update={"params": None}),
    "an empty IDF corpus": sparse_query(EVERYTHING, corpus=m.Filter()),
    "a term twice": sparse_query(EVERYTHING, terms=(1, 1)),
    "a prefetch": dense_query(EVERYTHING).model_copy(update={"prefetch": [m.Prefetch()]}),
}


@pytest.mark.parametrize("name", BAD_QUERIES)
def test_refuses_a_bad_query(backend: Backend, name: str) -> None:
    """A query without a filter, without an IDF corpus or of a wrong shape is BadInput and never answers."""
    with pytest.raises(BadInput):
        backend.query(dense_query(EVERYTHING), BAD_QUERIES[name])


def test_concurrent_callers_get_their_own_answers(backend: Backend) -> None:
    """Many callers at a time each get the answers to their own questions."""
    backend.update(Upsert(points=[point(n) for n in range(40)]))

    async def caller(number: int) -> bool:
        where = m.Filter(must=[m.HasIdCondition(has_id=[identity(number)])])
        answers = await backend.index.query([sparse_query(where), dense_query(where)])
        return [ids(found) for found in answers] == [[identity(number)]] * 2

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(caller(n) for n in range(40)))

    assert backend.run(all_of_them()) == [True] * 40


def test_empty_batches_do_nothing(backend: Backend) -> None:
    """No request, no answer; no change, no effect."""
    backend.update()
    backend.run(backend.index.flush())
    assert backend.query() == []
    assert backend.count(EVERYTHING) == 0


def test_the_wire_carries_key_replicas_shards_and_tenant(rest: Any, tmp_path: Path) -> None:
    """A new collection is made with the replicas and shards of the settings, and its tenant key marked as one."""
    with asyncio.Runner() as runner:
        index = runner.run(
            open_server(rest.url, api_key=KEY, collection="new", config=CONFIG, replication_factor=2, shard_number=4)
        )
        runner.run(index.close())
    bodies = [body for method, path, body in rest.requests if method == "PUT" and path.startswith("/collections/new")]
    assert (bodies[0]["replication_factor"], bodies[0]["shard_number"]) == (2, 4)
    assert bodies[0]["sparse_vectors"]["terms"]["modifier"] == "idf"
    tenant = next(body for body in bodies[1:] if body["field_name"] == "tenant")
    assert tenant["field_schema"]["is_tenant"] is True


def test_a_dropped_collection_is_gone(rest: Any) -> None:
    """Dropping removes a collection with its points, may be repeated, leaves others be, and names a wrong key."""
    drop = {"url": rest.url, "collection": "old"}

    async def story() -> list[int]:
        kept = await open_server(rest.url, api_key=KEY, collection="kept", config=CONFIG)
        old = await open_server(rest.url, api_key=KEY, collection="old", config=CONFIG)
        for index in (kept, old):
            await index.update([Upsert(points=[point(1)])])
        with pytest.raises(DependencyDown) as refused:
            await drop_collection(**drop, api_key="wrong")
        assert refused.value.code == "index_forbidden"
        counts = [await old.count(EVERYTHING)]
        await drop_collection(**drop, api_key=KEY)
        await drop_collection(**drop, api_key=KEY)
        with pytest.raises(DependencyDown):
            await old.count(EVERYTHING)
        again = await open_server(rest.url, api_key=KEY, collection="old", config=CONFIG)
        counts += [await again.count(EVERYTHING), await kept.count(EVERYTHING)]
        for index in (kept, old, again):
            await index.close()
        return counts

    assert asyncio.run(story()) == [1, 0, 1]
