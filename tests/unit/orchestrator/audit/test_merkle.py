"""Trees and proofs, against the definitions of RFC 6962."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.audit import merkle
from orchestrator.audit.verify_bundle import Invalid, root_of

LEAVES = st.lists(st.binary(max_size=40), min_size=1, max_size=40)


def by_the_book(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962, 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + by_the_book(leaves[:split]) + by_the_book(leaves[split:])).digest()


def test_roots_are_those_of_certificate_transparency() -> None:
    """The roots of the eight leaves that certificate-transparency-go tests with, computed there."""
    leaves = [
        bytes.fromhex(text)
        for text in (
            "", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f",
        )
    ]  # fmt: skip
    assert merkle.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.root(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.root(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(LEAVES)
def test_a_root_is_what_the_rfc_defines(leaves: list[bytes]) -> None:
    """Level by level gives the tree that the RFC defines from the top."""
    assert merkle.root(leaves) == by_the_book(leaves)


@given(LEAVES, st.data())
def test_a_proof_leads_from_its_leaf_to_the_root_and_from_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    """The stand-alone verifier takes each proof; with another leaf, place or path it gets another root or refuses."""
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle.proof(leaves, index)
    root = merkle.root(leaves)
    assert root_of(leaves[index], index, len(leaves), path) == root
    assert root_of(leaves[index] + b"x", index, len(leaves), path) != root
    for wrong in (path[:-1], [*path, bytes(32)]):
        if wrong != path:
            with pytest.raises(Invalid):
                root_of(leaves[index], index, len(leaves), wrong)
    elsewhere = data.draw(st.integers(0, len(leaves) - 1))
    if leaves[elsewhere] != leaves[index]:
        with contextlib.suppress(Invalid):
            assert root_of(leaves[index], elsewhere, len(leaves), path) != root


@pytest.mark.parametrize("index", [-1, 3])
def test_a_leaf_outside_its_tree_is_refused(index: int) -> None:
    """An index that no leaf has proves nothing."""
    with pytest.raises(Invalid, match="outside"):
        root_of(b"x", index, 3, [])
