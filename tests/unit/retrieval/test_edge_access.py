"""Access rules as marks: the same answers as the conditions that they stand for."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from qdrant_client import models as m

from ingest.tags import AccessTags, Classification
from retrieval import edge_access
from retrieval.access import ACCESS_KEYS, Principal, ReadScope, index_payload, read_scope
from retrieval.chunk_index import index_config, readable
from retrieval.edge import plain_filter
from retrieval.edge_access import GUARD, MARKS, AccessMarks

TODAY = date(2026, 6, 1)
NAMES = st.sampled_from(["a", "b", "c"])
TOKENS = st.just("public") | st.builds("{}:{}".format, st.sampled_from(["user", "group", "role"]), NAMES)
DAYS = st.sampled_from([None, date(2026, 5, 31), TODAY, date(2026, 6, 2)])
REGIONS = st.sampled_from(["eu", "us"])


@st.composite
def access_tags(draw: st.DrawFn) -> AccessTags:
    first, last = sorted((draw(DAYS), draw(DAYS)), key=lambda day: day or TODAY)
    return AccessTags(
        tenant=draw(st.sampled_from(["default", "other"])),
        owner=draw(st.none() | NAMES),
        allow=draw(st.frozensets(TOKENS, max_size=3)),
        deny=draw(st.frozensets(TOKENS, max_size=2)),
        classification=draw(st.sampled_from(Classification)),
        region=draw(st.none() | REGIONS),
        valid_from=first,
        valid_to=last,
    )


SCOPES = st.builds(
    Principal,
    subject=NAMES,
    tenant=st.sampled_from(["default", "other"]),
    groups=st.frozensets(NAMES),
    roles=st.frozensets(NAMES),
    clearance=st.sampled_from(Classification),
    regions=st.frozensets(REGIONS),
).map(lambda principal: read_scope(principal, today=TODAY))


def found(marks: AccessMarks, scope: ReadScope, payload: dict[str, Any]) -> bool:
    """Whether a point is in the scope by its marks alone."""
    (condition,) = marks.rewritten(plain_filter(scope.conditions()))["must"]
    assert condition["key"] == MARKS
    return not set(condition["any"]).isdisjoint(payload[MARKS])


@given(st.lists(access_tags(), max_size=12), SCOPES, st.lists(access_tags(), max_size=4))
def test_marks_are_permits(tags: list[AccessTags], scope: ReadScope, later: list[AccessTags]) -> None:
    """Over random tags and readers a point has a mark of the scope exactly when `permits` says so: for points that were
    there, for points that come after the scope was first asked for, and after a restart that knows guards alone."""
    marks = AccessMarks(ACCESS_KEYS, [])
    points = [(tag, marks.marked(index_payload(tag))) for tag in tags]
    assert all(found(marks, scope, dict(payload)) == scope.permits(tag) for tag, payload in points)
    points += [(tag, marks.marked(index_payload(tag))) for tag in later]
    assert all(found(marks, scope, dict(payload)) == scope.permits(tag) for tag, payload in points)
    again = AccessMarks(ACCESS_KEYS, {str(payload[GUARD]) for _, payload in points})
    assert all(found(again, scope, dict(payload)) == scope.permits(tag) for tag, payload in points)


@given(access_tags(), SCOPES)
def test_what_is_unknown_is_denied(tags: AccessTags, scope: ReadScope) -> None:
    """A point whose guard is not known is in nobody's scope: the marks of a scope are of known guards alone."""
    payload = dict(AccessMarks(ACCESS_KEYS, []).marked(index_payload(tags)))
    assert not found(AccessMarks(ACCESS_KEYS, []), scope, payload)


def test_the_rest_of_a_filter_stays() -> None:
    """What a filter asks for besides the access rule is asked for still, and the whole rule is one condition."""
    marks = AccessMarks(index_config(4).access, [])
    marks.marked(index_payload(AccessTags(owner="a")))
    scope = read_scope(Principal(subject="a", clearance=Classification.internal), today=TODAY)
    first = m.FieldCondition(key="first", match=m.MatchValue(value=True))
    older = m.Filter(must_not=[m.FieldCondition(key="version", match=m.MatchValue(value=2))])
    rewritten = marks.rewritten(plain_filter(m.Filter(must=[readable(scope, first), older])))
    assert [condition["key"] for condition in rewritten["must"]] == [MARKS, "first"]
    assert [condition["key"] for condition in rewritten["must_not"]] == ["version"]


READERS = {"key": "readers", "any": ["user:a"]}
LATER = {"key": "valid_to", "range": {"gte": 5}}
NO_RULES: dict[str, dict[str, Any]] = {
    "nobody's tokens": {"must": [LATER]},
    "tokens twice": {"must": [READERS, {"key": "readers", "value": "public"}]},
    "tokens denied": {"must": [READERS], "must_not": [{"key": "readers", "value": "public"}]},
    "a choice": {"should": [READERS, LATER]},
    "a choice inside": {"must": [{"should": [READERS, LATER]}, LATER]},
    "a denied part": {"must": [LATER], "must_not": [{"must": [READERS]}]},
}


@pytest.mark.parametrize("name", NO_RULES)
def test_other_filters_stay_as_they_are(name: str) -> None:
    """A filter that is no plain access rule is left to the engine as it is."""
    marks = AccessMarks(ACCESS_KEYS, [])
    marks.marked(index_payload(AccessTags(owner="a")))
    assert marks.rewritten(NO_RULES[name]) == NO_RULES[name]


@pytest.mark.parametrize("limit", ["MOST_GUARDS", "MOST_MARKS"])
def test_too_many_guards_leave_the_filter_as_it_is(monkeypatch: pytest.MonkeyPatch, limit: str) -> None:
    """Where marks would be slower than the conditions, the conditions stay; with fewer guards marks are used."""
    monkeypatch.setattr(edge_access, limit, 2)
    scope = read_scope(Principal(subject="a", clearance=Classification.regulated), today=TODAY)
    where = plain_filter(scope.conditions())
    marks = AccessMarks(ACCESS_KEYS, [])
    marks.marked(index_payload(AccessTags(owner="a")))
    assert len(marks.rewritten(where)["must"]) == 1
    for region in ("eu", "us"):
        marks.marked(index_payload(AccessTags(owner="a", region=region)))
        marks.marked(index_payload(AccessTags(owner="a", deny=frozenset({f"group:{region}"}))))
    assert marks.rewritten(where) == where


def test_an_index_without_access_keys_marks_nothing() -> None:
    """With no access keys payloads and filters go through as they are."""
    marks = AccessMarks([], [])
    assert marks.marked({"readers": ["public"]}) == {"readers": ["public"]}
    assert marks.rewritten({"must": [READERS]}) == {"must": [READERS]}
    assert not marks.concerns({"readers": ["public"]})


def test_a_guard_holds_all_but_the_tokens() -> None:
    """Points of one guard share it whoever may read them, so that there are few guards where there are many owners."""
    marks = AccessMarks(ACCESS_KEYS, [])
    guards = {str(marks.marked(index_payload(AccessTags(owner=name)))[GUARD]) for name in "abcdef"}
    assert len(guards) == 1
    assert json.loads(guards.pop()).keys() == set(ACCESS_KEYS[1:])
