"""Where the keys of the record are: one that signs, one that wraps the keys of subjects, and all public ones."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from ingest.errors import DependencyDown
from orchestrator.audit import crypto

_SIGNING: Final = "signing.key"
_MASTER: Final = "master.key"
_PUBLIC: Final = "public"  # folder of KEY_ID.pub, those of keys that were retired too


class AuditKeys(Protocol):
    """The keys. `KeyFolder` holds them in files; a vault may in its place."""

    def signing_key(self) -> bytes:
        """Seed of the Ed25519 key that signs now."""
        ...

    def master_key(self) -> bytes:
        """AES-256 key under which the keys of subjects are wrapped."""
        ...

    def public_keys(self) -> Mapping[str, bytes]:
        """Every key whose signatures count, by id: the one that signs now and those before it."""
        ...


def key_id(key: bytes) -> str:
    """Name of a key: the first 16 hex digits of its SHA-256. Of a signing key, that of its public half."""
    return hashlib.sha256(key).hexdigest()[:16]


class KeyFolder:
    """Keys as files of hex digits, readable by their owner alone, made when they are first asked for.

    Each method raises DependencyDown when the folder or a file cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def signing_key(self) -> bytes:
        """Seed of the Ed25519 key that signs now; its public half is put beside it."""
        seed = self._read_or_make(_SIGNING)
        self._publish(seed)
        return seed

    def master_key(self) -> bytes:
        """AES-256 key under which the keys of subjects are wrapped."""
        return self._read_or_make(_MASTER)

    def public_keys(self) -> Mapping[str, bytes]:
        """Every public key of the folder, by id."""
        self.signing_key()
        keys = [self._read(path) for path in sorted((self.folder / _PUBLIC).glob("*.pub"))]
        return {key_id(key): key for key in keys}

    def rotate(self) -> str:
        """Sign with a new key from now on; returns its id. Signatures of the old one still count."""
        self.signing_key()
        seed = crypto.new_key()
        self._publish(seed)  # first: a signature whose key is unknown would look like a forgery
        fresh = self._written(seed)
        fresh.replace(self.folder / _SIGNING)
        return key_id(crypto.public_key(seed))

    def _publish(self, seed: bytes) -> None:
        public = crypto.public_key(seed)
        path = self.folder / _PUBLIC / f"{key_id(public)}.pub"
        if path.exists():
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._written(public).replace(path)
        except OSError as error:
            raise self._down(error.strerror) from error

    def _read_or_make(self, name: str) -> bytes:
        path = self.folder / name
        if not path.exists():
            self._make(path)
        return self._read(path)

    def _make(self, path: Path) -> None:
        """A whole file appears under the name or none; of two processes that make it, one wins for both."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh = self._written(crypto.new_key())
            try:
                path.hardlink_to(fresh)
            except FileExistsError:
                pass
            finally:
                fresh.unlink()
        except OSError as error:
            raise self._down(error.strerror) from error

    def _written(self, key: bytes) -> Path:
        path = self.folder / f".new-{os.getpid()}-{os.urandom(4).hex()}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as out:
            out.write(key.hex() + "\n")
            out.flush()
            os.fsync(out.fileno())
        return path

    def _read(self, path: Path) -> bytes:
        try:
            key = bytes.fromhex(path.read_text("ascii"))
        except (OSError, ValueError) as error:
            raise self._down(f"{path.name} cannot be read ({type(error).__name__})") from error
        if len(key) != crypto.KEY_BYTES:
            raise self._down(f"{path.name} does not hold {crypto.KEY_BYTES} bytes in hex")
        return key

    def _down(self, what: str | None) -> DependencyDown:
        step = "Put the file back from a backup, or correct the permissions of the folder."
        return DependencyDown(str(self.folder), "keys_unusable", f"The keys cannot be used: {what}.", step)
