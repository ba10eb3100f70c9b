"""A key for each subject, so that what is theirs can be erased by deleting it, in backups made later too."""

from __future__ import annotations

import struct
import uuid
from dataclasses import dataclass, field
from typing import Final

from ingest.errors import DependencyDown
from orchestrator.audit import crypto
from orchestrator.audit.keys import AuditKeys, key_id
from orchestrator.store import audit as store
from orchestrator.store.audit import SubjectKeyRow
from orchestrator.store.database import Connection, Database

_VERSION: Final = b"\x01"
_ID_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectKey:
    """The key of one subject, unwrapped."""

    key_id: str  # 32 hex digits, random: the record names it where the subject must not be named
    secret: bytes = field(repr=False)


class SubjectKeys:
    """A `SubjectCipher` over the keys of subjects. Keeps no key in memory: one that is deleted is gone everywhere.

    Safe from several threads; blocking. Raises DependencyDown when the master key is not the one that wrapped a key.
    """

    def __init__(self, database: Database, keys: AuditKeys) -> None:
        self._database = database
        self._keys = keys

    def encrypt(self, tenant: str, subject: str, plain: bytes) -> bytes:
        """Authenticated, under a key that is made on first use.

        May open a write transaction of its own: not to be called within one.
        """
        with self._database.read() as db:
            key = self._find(db, tenant, subject)
        if key is None:
            with self._database.write() as db:
                key = self.key_for(db, tenant, subject)
        head = _VERSION + bytes.fromhex(key.key_id)
        return head + crypto.seal(key.secret, plain, _place("cipher", tenant, subject))

    def decrypt(self, tenant: str, subject: str, sealed: bytes) -> bytes | None:
        """None when the key was deleted. Raises ValueError when the bytes were altered."""
        name = sealed[1 : 1 + _ID_BYTES].hex()
        with self._database.read() as db:
            row = store.key_by_id(db, name)
        if sealed[:1] != _VERSION or row is None or row.tenant != tenant:
            raise ValueError("The sealed bytes were altered, or belong to somebody else.")
        if row.wrapped is None:
            return None
        secret = self.unwrap(row)
        return crypto.unseal(secret, sealed[1 + _ID_BYTES :], _place("cipher", tenant, subject))

    def key_for(self, db: Connection, tenant: str, subject: str) -> SubjectKey:
        """The subject's key, made within the caller's transaction when there is none."""
        found = self._find(db, tenant, subject)
        if found is not None:
            return found
        fresh = SubjectKey(key_id=uuid.uuid4().hex, secret=crypto.new_key())
        master = self._keys.master_key()
        place = _place("key", tenant, subject, fresh.key_id)
        row = SubjectKeyRow(
            key_id=fresh.key_id,
            tenant=tenant,
            subject=subject,
            master_id=key_id(master),
            wrapped=crypto.seal(master, fresh.secret, place),
        )
        store.add_subject_key(db, row)
        kept = self._find(db, tenant, subject)  # another process's, where it was quicker
        assert kept is not None
        return kept

    def unwrap(self, row: SubjectKeyRow) -> bytes:
        """The secret of a key that was not erased. Raises ValueError when the row was altered."""
        return unwrap(row, self._keys.master_key())

    def _find(self, db: Connection, tenant: str, subject: str) -> SubjectKey | None:
        row = store.subject_key(db, tenant, subject)
        return SubjectKey(key_id=row.key_id, secret=self.unwrap(row)) if row else None


def unwrap(row: SubjectKeyRow, master: bytes) -> bytes:
    """The secret of a key that was not erased. Raises as `SubjectKeys` does."""
    if row.master_id != key_id(master):
        cause = f"The keys of subjects were wrapped by the master key {row.master_id}, and here is another."
        step = "Put the key that belongs to this database into the folder of keys."
        raise DependencyDown("master key", "wrong_master_key", cause, step)
    if row.wrapped is None or row.subject is None:
        raise ValueError("The key of the subject was altered.")
    return crypto.unseal(master, row.wrapped, _place("key", row.tenant, row.subject, row.key_id))


def seal_artefact(key: SubjectKey, packed: bytes, tenant: str, hash_: str) -> bytes:
    """An artefact's content, encrypted for its place."""
    return crypto.seal(key.secret, packed, _place("artefact", tenant, key.key_id, hash_))


def open_artefact(secret: bytes, key: str, sealed: bytes, tenant: str, hash_: str) -> bytes:
    """What `seal_artefact` was given. Raises ValueError when it was altered or lies in another's place."""
    return crypto.unseal(secret, sealed, _place("artefact", tenant, key, hash_))


def _place(*parts: str) -> bytes:
    """What a ciphertext is bound to; each part with its length, so that no two lists of parts look alike."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(struct.pack(">I", len(part)) + part for part in encoded)
