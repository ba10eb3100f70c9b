"""API keys: who a caller is. The file at home holds hashes; a key itself is shown once, when it is made."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import Field, ValidationError

from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.principal_fields import PrincipalFields
from retrieval.access import Principal

CURATOR: Final = "curator"  # the role that may ingest, delete and change access over HTTP
# Whoever owns the home: all that the faces and the shipped policies know a role for.
OWNER_ROLES: Final = (CURATOR, "operator", "auditor", "prompt-owner", "privacy-officer")


class KeyEntry(PrincipalFields):
    """One key of the file: its hash, and the principal that it stands for."""

    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRing:
    """The keys that are known."""

    entries: tuple[KeyEntry, ...]

    def principal(self, key: str) -> Principal | None:
        """Who the key stands for, None when it is unknown. Compares in constant time, and all of them."""
        digest = hash_key(key)
        found = [entry for entry in self.entries if hmac.compare_digest(entry.sha256, digest)]
        return found[0].principal() if found else None


def hash_key(key: str) -> str:
    """What the file holds of a key. Keys are random and long, so a plain hash is enough."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def load_keys(file: Path) -> KeyRing:
    """The keys of a file; raises BadInput naming the first entry that cannot be used."""
    step = "Each entry holds sha256, subject and, if wanted, tenant, groups, roles, clearance and regions."
    try:
        content: Any = yaml.safe_load(file.read_text("utf-8")) or []
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(str(file), "bad_keys_file", f"The keys cannot be read ({error}).", step) from error
    if not isinstance(content, list):
        raise BadInput(str(file), "bad_keys_file", "The file is no list of keys.", step)
    entries = []
    for number, entry in enumerate(content, start=1):
        try:
            entries.append(KeyEntry.model_validate(entry))
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise BadInput(f"{file}, key {number}", "bad_keys_file", f"{place}: {first['msg']}.", step) from error
    return KeyRing(entries=tuple(entries))


def make_first_key(file: Path, subject: str) -> str:
    """Make a key for `subject`, who may do everything, and a new file with its hash; returns the key."""
    key = f"gw_{secrets.token_urlsafe(32)}"
    entry = {
        "sha256": hash_key(key),
        "subject": subject,
        "roles": [*OWNER_ROLES],
        "clearance": Classification.regulated.name,
    }
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        yaml.safe_dump([entry], out, sort_keys=False)
    return key
