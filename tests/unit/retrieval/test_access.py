"""Who may read what."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.tags import AccessTags, Classification
from retrieval.access import Principal, ReadScope, expand_groups, read_scope

TODAY = date(2026, 11, 20)
ALICE = Principal(subject="alice", groups=frozenset({"hr"}), clearance=Classification.internal)
OPEN = AccessTags(allow=frozenset({"public"}), classification=Classification.public)


def scope(principal: Principal = ALICE, **parents: frozenset[str]) -> ReadScope:
    return read_scope(principal, parents=parents, today=TODAY)


def test_a_scope_cannot_be_made_by_hand() -> None:
    """Only read_scope makes a ReadScope: neither the constructor nor a copy with other tokens does."""
    with pytest.raises(TypeError, match="read_scope"):
        ReadScope(
            tenant="default",
            tokens=frozenset({"user:root"}),
            clearance=Classification.regulated,
            regions=frozenset(),
            today=TODAY,
            principal=Principal(subject="root"),
            seal=object(),
        )


def test_no_tag_means_nobody_but_the_owner() -> None:
    """A document without `allow` is read by its owner alone."""
    assert not scope().permits(AccessTags())
    assert scope().permits(AccessTags(owner="alice"))
    assert not scope().permits(AccessTags(owner="bob"))


@pytest.mark.parametrize("token", ["user:alice", "group:hr", "public"])
def test_deny_wins_over_the_owner_too(token: str) -> None:
    """A denied token shuts out even the owner who is allowed by name."""
    tags = AccessTags(owner="alice", allow=frozenset({"user:alice", "public"}), deny=frozenset({token}))
    assert not scope().permits(tags)


@pytest.mark.parametrize(
    ("change", "readable"),
    [
        ({"tenant": "other"}, False),
        ({"classification": Classification.confidential}, False),
        ({"classification": Classification.internal}, True),
        ({"region": "eu"}, False),
        ({"valid_from": TODAY}, True),
        ({"valid_from": TODAY + timedelta(days=1)}, False),
        ({"valid_to": TODAY}, True),
        ({"valid_to": TODAY - timedelta(days=1)}, False),
    ],
)
def test_each_rule_shuts_out_on_its_own(change: dict[str, object], readable: bool) -> None:
    """Tenant, clearance, region and validity are each enough to hide a document that everyone is allowed."""
    assert scope().permits(OPEN.model_copy(update=change)) is readable


def test_region_is_read_by_those_of_the_region() -> None:
    """A document of a region is read by principals of that region, and by nobody else."""
    tags = OPEN.model_copy(update={"region": "eu"})
    assert scope(replace(ALICE, regions=frozenset({"eu"}))).permits(tags)
    assert not scope(replace(ALICE, regions=frozenset({"us"}))).permits(tags)


def test_nested_groups_are_followed_to_the_end() -> None:
    """Membership reaches through groups that contain groups, and a cycle does not hang."""
    parents = {"hr": frozenset({"staff"}), "staff": frozenset({"everyone", "hr"})}
    assert expand_groups(frozenset({"hr"}), parents) == {"hr", "staff", "everyone"}
    assert scope(ALICE, **parents).permits(AccessTags(allow=frozenset({"group:everyone"})))


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.frozensets(st.sampled_from("abcdef"))),
    st.frozensets(st.sampled_from("abcdef")),
)
def test_expansion_is_the_smallest_closed_set(parents: dict[str, frozenset[str]], direct: frozenset[str]) -> None:
    """Expanding holds the direct groups, is closed under `parents`, and expanding again adds nothing."""
    groups = expand_groups(direct, parents)
    assert direct <= groups
    assert all(parents.get(group, frozenset()) <= groups for group in groups)
    assert expand_groups(groups, parents) == groups
    assert all(any(g in parents.get(h, ()) for h in groups) for g in groups - direct)
