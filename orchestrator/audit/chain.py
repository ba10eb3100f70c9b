"""What the chain is made of, as bytes: events, the statements that are signed, and how each is hashed.

    event       hash = SHA-256(hash of the event before || body); 32 zero bytes before the first
    artefact    hash = SHA-256(salt of 32 random bytes || content)
    statement   head or checkpoint; its body is signed with Ed25519

A body is canonical JSON. It is ASCII with escapes, not raw UTF-8: what a model wrote may hold half a surrogate pair,
which has no UTF-8 form and must not keep a run from being recorded.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

from orchestrator.audit import crypto
from orchestrator.audit.keys import key_id
from orchestrator.audit.port import EventKind, Json

GENESIS: Final = bytes(32)  # stands for the event before the first
NO_RUN: Final = ""  # run of an event that belongs to none, as a change of policy
_SALT_BYTES: Final = 32


def canonical(value: object) -> bytes:
    """The one JSON form of a value: keys sorted, no spaces, ASCII. Raises ValueError for what JSON cannot hold."""
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_plain)
    except (TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"The value has no JSON form that the record can hold ({error}).") from error
    return text.encode("ascii")


def _plain(value: object) -> object:
    """Mappings and sequences that are not Python's own, for the encoder."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return list(value)
    raise TypeError(f"a {type(value).__name__} is no JSON")


@dataclass(frozen=True, slots=True, kw_only=True)
class SaltedContent:
    """The content of an artefact on its way into the record."""

    name: str
    hash: str  # hex
    packed: bytes = field(repr=False)  # salt and content, compressed


def salted(name: str, content: Json) -> SaltedContent:
    """The content with a fresh salt, so that nobody can find it out by trying likely ones against the hash."""
    plain = secrets.token_bytes(_SALT_BYTES) + canonical(content)
    return SaltedContent(name=name, hash=hashlib.sha256(plain).hexdigest(), packed=zlib.compress(plain))


def unpacked(packed: bytes, expected_hash: str) -> tuple[bytes, bytes]:
    """Salt and content. Raises ValueError when the hash is another."""
    plain = zlib.decompress(packed)
    if hashlib.sha256(plain).hexdigest() != expected_hash:
        raise ValueError("The content does not have the hash that the event names.")
    return plain[:_SALT_BYTES], plain[_SALT_BYTES:]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEvent:
    """An event that is to be appended. Its place in the chain and in its run is given then."""

    kind: EventKind
    at: datetime  # UTC
    tenant: str
    run_id: str = NO_RUN
    subject: str = ""  # whose key encrypts the artefacts; needed when there are any
    facts: bytes = b"{}"  # canonical
    artefacts: tuple[SaltedContent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event of the chain."""

    seq: int  # 1 for the first of the chain
    run_id: str
    step: int  # 1 for the first of the run
    tenant: str
    kind: str
    at: str  # UTC, ISO 8601
    facts: Mapping[str, Any]
    artefacts: Mapping[str, str]  # name to hash
    body: bytes = field(repr=False)
    prev: bytes = field(repr=False)
    hash: bytes = field(repr=False)


def event_body(event: NewEvent, seq: int, step: int) -> bytes:
    """What is hashed and kept of an event."""
    return canonical(
        {
            "artefacts": {one.name: one.hash for one in event.artefacts},
            "at": event.at.isoformat(timespec="microseconds"),
            "facts": json.loads(event.facts),
            "kind": event.kind,
            "run_id": event.run_id,
            "seq": seq,
            "step": step,
            "tenant": event.tenant,
        }
    )


def event_hash(prev: bytes, body: bytes) -> bytes:
    """Hash of an event, which holds all events before it."""
    return hashlib.sha256(prev + body).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a key has signed of the chain up to an event: its head, at every commit, or a checkpoint."""

    body: bytes
    signature: bytes = field(repr=False)
    type: Literal["head", "checkpoint"]
    seq: int  # of the last event that it speaks of; 0: the chain is empty
    hash: bytes  # of that event
    number: int  # of the checkpoint, or of the last one when the head was signed; 0: none
    covered: int  # checkpoint: the seq up to which the one before went; head: up to which the last one went
    key_id: str
    root: bytes = b""  # checkpoint: Merkle root over the events (covered, seq]
    prev: bytes = b""  # checkpoint: SHA-256 of the body of the one before

    @property
    def digest(self) -> bytes:
        """What the next checkpoint says of this one."""
        return hashlib.sha256(self.body).digest()

    def line(self) -> bytes:
        """As a line of a file outside the database."""
        return canonical({"body": self.body.decode("ascii"), "signature": self.signature.hex()}) + b"\n"


def read_statement(body: bytes, signature: bytes) -> Statement:
    """The parts of a statement; whether it is signed by a known key is not looked at. Raises ValueError."""
    try:
        found = json.loads(body)
        return Statement(
            body=bytes(body),
            signature=bytes(signature),
            type={"head": "head", "checkpoint": "checkpoint"}[found["type"]],  # type: ignore[arg-type]
            seq=int(found["seq"]),
            hash=bytes.fromhex(found["hash"]),
            number=int(found["number"]),
            covered=int(found["covered"]),
            key_id=str(found["key_id"]),
            root=bytes.fromhex(found.get("root", "")),
            prev=bytes.fromhex(found.get("prev", "")),
        )
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"This is no statement of the chain ({error!r}).") from error


def read_line(line: bytes) -> Statement:
    """A statement from a file. Raises ValueError."""
    try:
        parts = json.loads(line)
        return read_statement(parts["body"].encode("ascii"), bytes.fromhex(parts["signature"]))
    except (KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"This is no statement of the chain ({error!r}).") from error


class Signer:
    """Signs statements with one key."""

    def __init__(self, seed: bytes) -> None:
        self.key_id = key_id(crypto.public_key(seed))
        self._sign = crypto.signer(seed)

    def statement(self, at: datetime, **parts: str | int) -> Statement:
        """A statement of that time; `parts` are those of `read_statement`, hashes in hex."""
        body = canonical({**parts, "at": at.isoformat(timespec="microseconds"), "key_id": self.key_id})
        return read_statement(body, self._sign(body))


def is_genuine(statement: Statement, keys: Mapping[str, bytes]) -> bool:
    """Whether one of the keys signed it."""
    key = keys.get(statement.key_id)
    return key is not None and crypto.is_signed(key, statement.body, statement.signature)
