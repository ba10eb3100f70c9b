"""What is written by others is read or refused, and never brings the reader down."""

from __future__ import annotations

import json
from collections import UserList
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.audit.chain import (
    Signer,
    canonical,
    event_hash,
    is_genuine,
    read_line,
    read_statement,
    salted,
    unpacked,
)
from orchestrator.audit.findings import explain, fits

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
NAMES = ("type", "seq", "hash", "number", "covered", "key_id", "root", "prev", "body", "signature")
ODD = JSON | st.sampled_from([float("inf"), "9" * 5000, "head", "checkpoint", "00", -1, 10**400])


@given(JSON)
def test_a_value_has_one_form_and_comes_back(value: Any) -> None:
    """In ASCII without spaces, whatever order its keys came in; half surrogate pairs included."""
    encoded = canonical({"b": value, "a": "\ud800"})
    assert json.loads(encoded) == {"a": "\ud800", "b": value}
    assert canonical({"a": "\ud800", "b": json.loads(canonical(value))}) == encoded
    assert encoded.isascii()


def test_mappings_and_sequences_of_any_kind_are_taken() -> None:
    """What the types of the port allow, at any depth; bytes and sets are no JSON."""
    assert canonical(MappingProxyType({"a": (1, UserList([MappingProxyType({})]))})) == b'{"a":[1,[{}]]}'
    for wrong in (b"bytes", frozenset("a"), bytearray(1)):
        with pytest.raises(ValueError, match="no JSON"):
            canonical({"a": [wrong]})


@given(JSON)
def test_a_content_is_salted(content: Any) -> None:
    """The same content has another hash each time; it comes back under its own hash only."""
    one, two = salted("answer", content), salted("answer", content)
    assert one.hash != two.hash
    salt, plain = unpacked(one.packed, one.hash)
    assert (len(salt), plain) == (32, canonical(content))
    with pytest.raises(ValueError, match="hash"):
        unpacked(one.packed, two.hash)


@given(st.binary(max_size=100) | st.dictionaries(st.sampled_from(NAMES), ODD).map(json.dumps).map(str.encode))
def test_a_statement_of_any_shape_is_read_or_refused(body: bytes) -> None:
    """With ValueError and nothing else."""
    for read in (lambda: read_statement(body, b""), lambda: read_line(body)):
        try:
            statement = read()
        except ValueError:
            continue
        assert not is_genuine(statement, {statement.key_id: bytes(32)})


def test_a_head_is_no_checkpoint() -> None:
    """What was signed as the one cannot be shown as the other: the type is signed too."""
    signer = Signer(bytes(32))
    head = signer.statement(datetime(2026, 1, 1, tzinfo=UTC), type="head", seq=1, hash="00", number=0, covered=0)
    forged = read_statement(head.body.replace(b'"head"', b'"checkpoint"'), head.signature)
    from orchestrator.audit import crypto

    keys = {signer.key_id: crypto.public_key(bytes(32))}
    assert is_genuine(head, keys)
    assert not is_genuine(forged, keys)
    assert read_line(head.line()) == head


CELL = st.none() | st.integers() | st.text(max_size=5) | st.binary(max_size=40)


@given(st.tuples(st.integers(0, 3), CELL, CELL, CELL, CELL, CELL, CELL, CELL, CELL), st.none() | ODD)
def test_a_row_of_anything_is_explained(row: tuple[Any, ...], inner: Any) -> None:
    """Values of any type in any column, with a body of any JSON whose hash is right: it does not fit, and is named."""
    prev = bytes(32)
    if inner is not None:
        body = json.dumps({"seq": row[0], "run_id": inner}).encode()
        row = (*row[:6], body, prev, event_hash(prev, body))
    assert not fits(row, 1, prev)
    for before, after in ((None, None), (row, row)):
        found = explain(row, 1, prev, before, after)
        assert found.problem in ("changed", "removed", "inserted", "reordered")
