"""What belongs to a person opens for them alone, until their key is deleted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingest.errors import DependencyDown
from orchestrator.audit.custody import Custody
from orchestrator.audit.port import SubjectCipher
from tests.doubles.audit_records import custody_at


@pytest.fixture
def custody(tmp_path: Path) -> Iterator[Custody]:
    with custody_at(tmp_path) as custody:
        yield custody


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plain=st.binary(max_size=300), place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_what_was_encrypted_comes_back_and_no_bit_of_it_can_change(
    custody: Custody, plain: bytes, place: int, bit: int
) -> None:
    """Twice the same text gives two ciphertexts; one with any bit turned over raises."""
    cipher: SubjectCipher = custody.subjects
    sealed = cipher.encrypt("default", "ann", plain)
    assert sealed != cipher.encrypt("default", "ann", plain)
    assert cipher.decrypt("default", "ann", sealed) == plain
    altered = bytearray(sealed)
    altered[place % len(sealed)] ^= 1 << bit
    with pytest.raises(ValueError, match="altered"):
        cipher.decrypt("default", "ann", bytes(altered))


@pytest.mark.parametrize(("tenant", "subject"), [("default", "bob"), ("other", "ann"), ("defaultann", "")])
def test_it_opens_for_nobody_else(custody: Custody, tenant: str, subject: str) -> None:
    """Neither for another person nor for the namesake of another tenant."""
    sealed = custody.subjects.encrypt("default", "ann", b"secret")
    custody.subjects.encrypt(tenant, subject, b"theirs")
    with pytest.raises(ValueError, match="altered"):
        custody.subjects.decrypt(tenant, subject, sealed)


def test_an_erased_person_may_come_back_and_stays_erased(custody: Custody) -> None:
    """A new key is made, which opens nothing of before; what was before reads as erased, not as altered."""
    before = custody.subjects.encrypt("default", "ann", b"before")
    custody.erase("default", "ann")
    after = custody.subjects.encrypt("default", "ann", b"after")
    assert custody.subjects.decrypt("default", "ann", before) is None
    assert custody.subjects.decrypt("default", "ann", after) == b"after"
    custody.erase("default", "ann")
    assert custody.subjects.decrypt("default", "ann", after) is None


def test_an_erasure_is_true_at_once_in_every_process(custody: Custody, tmp_path: Path) -> None:
    """No key is kept in memory."""
    sealed = custody.subjects.encrypt("default", "ann", b"secret")
    with custody_at(tmp_path) as other:
        assert other.subjects.decrypt("default", "ann", sealed) == b"secret"
        custody.erase("default", "ann")
        assert other.subjects.decrypt("default", "ann", sealed) is None


def test_another_master_key_is_named_as_such(custody: Custody, tmp_path: Path) -> None:
    """A home whose master key was lost says so, in place of calling everything altered."""
    sealed = custody.subjects.encrypt("default", "ann", b"secret")
    (tmp_path / "keys" / "master.key").unlink()
    with pytest.raises(DependencyDown) as caught:
        custody.subjects.decrypt("default", "ann", sealed)
    assert caught.value.code == "wrong_master_key"
