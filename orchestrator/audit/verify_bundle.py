"""Verifies an evidence bundle of Groundwire with nothing but Python (3.9 or newer): no package, no network, no trust
in whoever made the bundle beyond their public key.

    python -I -S verify_bundle.py BUNDLE.zip [--key HEX_OF_PUBLIC_KEY]...

Exit code 0: all of it holds. 1: something does not; the first such thing is printed. 2: bad use.

What is checked: each event's hash; that the events of the run are numbered 1, 2, 3 with none left out between; that
each event is a leaf of the Merkle tree (RFC 6962) of a checkpoint; each checkpoint's Ed25519 signature (RFC 8032); and
that each content which is enclosed has the salted hash that its event names. Give the public key with --key, as you got
it from its owner in another way: without it, the bundle is checked against the keys that it brings along itself.
"""

from __future__ import annotations

import hashlib
import json
import sys
import zipfile
from typing import Any, Sequence  # noqa: UP035 - for Python 3.9

MOST_BYTES = 1_000_000_000  # of one file of the bundle

# Ed25519, RFC 8032, 5.1: points are (X, Y, Z, T) with x = X/Z, y = Y/Z, x*y = T/Z
P = 2**255 - 19
ORDER = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT_OF_MINUS_1 = pow(2, (P - 1) // 4, P)
Point = tuple[int, int, int, int]


class Invalid(Exception):
    """The bundle does not hold."""


def add(a: Point, b: Point) -> Point:
    """Sum of two points (RFC 8032, 5.1.4)."""
    low, high = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    e, f, g, h = high - low, d - c, d + c, high + low
    return e * f % P, g * h % P, f * g % P, e * h % P


def multiply(number: int, point: Point) -> Point:
    """The point added to itself so many times. Not for secrets: the time it takes tells the number."""
    result: Point = (0, 1, 1, 0)
    while number > 0:
        if number & 1:
            result = add(result, point)
        point = add(point, point)
        number >>= 1
    return result


def x_of(y: int, odd: int) -> int | None:
    """The x that goes with y on the curve, None when there is none (RFC 8032, 5.1.3)."""
    if y >= P:
        return None
    square = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if square == 0:
        return None if odd else 0
    x = pow(square, (P + 3) // 8, P)
    if (x * x - square) % P:
        x = x * ROOT_OF_MINUS_1 % P
    if (x * x - square) % P:
        return None
    return P - x if x & 1 != odd else x


def decode(encoded: bytes) -> Point | None:
    """The point of its 32 bytes, None when they are no point."""
    number = int.from_bytes(encoded, "little")
    y = number & ((1 << 255) - 1)
    x = x_of(y, number >> 255)
    return None if x is None else (x, y, 1, x * y % P)


def encode(point: Point) -> bytes:
    """The 32 bytes of a point."""
    inverse = pow(point[2], P - 2, P)
    x, y = point[0] * inverse % P, point[1] * inverse % P
    return int.to_bytes(y | ((x & 1) << 255), 32, "little")


_BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = decode(_BASE_Y.to_bytes(32, "little"))


def is_signed(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature is that of the key for the message (RFC 8032, 5.1.7)."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key, s = decode(public), int.from_bytes(signature[32:], "little")
    if key is None or BASE is None or s >= ORDER:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % ORDER
    minus_key = (P - key[0], key[1], key[2], P - key[3])
    return encode(add(multiply(s, BASE), multiply(k, minus_key))) == signature[:32]


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """Root of the tree of `size` leaves that has this leaf at `index` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        raise Invalid("a leaf lies outside its tree")
    node, last = hashlib.sha256(b"\x00" + leaf).digest(), size - 1
    for other in path:
        if last == 0:
            raise Invalid("a proof is too long")
        if index & 1 or index == last:
            node = hashlib.sha256(b"\x01" + other + node).digest()
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            node = hashlib.sha256(b"\x01" + node + other).digest()
        index, last = index >> 1, last >> 1
    if last:
        raise Invalid("a proof is too short")
    return node


def check_keys(bundle: dict[str, Any], given: Sequence[bytes]) -> dict[str, bytes]:
    """The keys that count, by id."""
    keys = given or [bytes.fromhex(key) for key in bundle["keys"].values()]
    return {hashlib.sha256(key).hexdigest()[:16]: key for key in keys}


def check_checkpoints(bundle: dict[str, Any], keys: dict[str, bytes]) -> dict[int, dict[str, Any]]:
    """The checkpoints, by number, each signed by a key that counts."""
    found = {}
    for entry in bundle["checkpoints"]:
        body = entry["body"].encode("ascii")
        checkpoint = json.loads(body)
        number, key = checkpoint["number"], keys.get(checkpoint["key_id"])
        if key is None:
            raise Invalid(f"checkpoint {number} is signed with {checkpoint['key_id']}, which is not among the keys")
        if checkpoint["type"] != "checkpoint" or not is_signed(key, body, bytes.fromhex(entry["signature"])):
            raise Invalid(f"checkpoint {number} does not have a good signature")
        found[number] = checkpoint
    return found


def check_events(bundle: dict[str, Any], checkpoints: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """The events of the run, in order, each under a signed checkpoint."""
    events: list[dict[str, Any]] = []
    seq, last = 0, ""
    for step, entry in enumerate(bundle["events"], start=1):
        body, prev, own = entry["body"].encode("ascii"), bytes.fromhex(entry["prev"]), bytes.fromhex(entry["hash"])
        event = json.loads(body)
        if (event["run_id"], event["tenant"]) != (bundle["run_id"], bundle["tenant"]):
            raise Invalid(f"event {event['seq']} belongs to another run")
        if event["step"] != step:
            raise Invalid(f"step {step} of the run is missing: {event['step']} stands in its place")
        if len(prev) != 32 or hashlib.sha256(prev + body).digest() != own:
            raise Invalid(f"event {event['seq']} does not have its hash")
        if event["seq"] <= seq or (event["seq"] == seq + 1 and seq and entry["prev"] != last):
            raise Invalid(f"event {event['seq']} does not follow event {seq}")
        checkpoint = checkpoints.get(entry["checkpoint"])
        if checkpoint is None:
            raise Invalid(f"event {event['seq']} has no checkpoint")
        index, size = event["seq"] - checkpoint["covered"] - 1, checkpoint["seq"] - checkpoint["covered"]
        path = [bytes.fromhex(node) for node in entry["proof"]]
        if root_of(own, index, size, path).hex() != checkpoint["root"]:
            raise Invalid(f"event {event['seq']} is not under checkpoint {entry['checkpoint']}")
        seq, last = event["seq"], entry["hash"]
        events.append(event)
    if not events:
        raise Invalid("there is no event")
    return events


def check_artefacts(bundle: dict[str, Any], events: Sequence[dict[str, Any]], archive: zipfile.ZipFile) -> list[str]:
    """What is said of each content; those that are enclosed have the hash that their event names."""
    said = []
    for event in events:
        for name, expected in event["artefacts"].items():
            entry = bundle["artefacts"].get(expected)
            if entry is None:
                raise Invalid(f"nothing is said of the {name} of event {event['seq']}")
            if entry["state"] == "enclosed":
                plain = bytes.fromhex(entry["salt"]) + read(archive, f"artefacts/{expected}.json")
                if hashlib.sha256(plain).hexdigest() != expected:
                    raise Invalid(f"the {name} of event {event['seq']} is not what was recorded")
            elif entry["state"] not in ("erased", "withheld"):
                raise Invalid(f"the {name} of event {event['seq']} has no known state")
            said.append(entry["state"])
    return said


def read(archive: zipfile.ZipFile, name: str) -> bytes:
    """A file of the bundle."""
    if archive.getinfo(name).file_size > MOST_BYTES:
        raise Invalid(f"{name} is too large")
    return archive.read(name)


def verify(path: str, given: Sequence[bytes] = ()) -> str:
    """What the bundle proves, in words. Raises Invalid with the first thing that does not hold."""
    try:
        with zipfile.ZipFile(path) as archive:
            bundle = json.loads(read(archive, "bundle.json"))
            keys = check_keys(bundle, given)
            checkpoints = check_checkpoints(bundle, keys)
            events = check_events(bundle, checkpoints)
            said = check_artefacts(bundle, events, archive)
    except Invalid:
        raise
    except Exception as error:
        raise Invalid(f"the bundle cannot be read ({type(error).__name__}: {error})") from error
    counted = ", ".join(f"{said.count(state)} {state}" for state in ("enclosed", "withheld", "erased"))
    lines = [f"Run {bundle['run_id']} of tenant {bundle['tenant']}: {len(events)} events hold, to the last: "]
    lines[0] += f"{events[-1]['kind']} at {events[-1]['at']}."
    lines.append(f"Contents: {counted}.")
    used = sorted({checkpoint["key_id"] for checkpoint in checkpoints.values()})
    lines += [f"Signed with the key {keys[key].hex()} ({key})." for key in used]
    if not given:
        lines.append("Compare the key with one that you got in another way, or give that with --key.")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> int:
    """The command line; returns its exit code."""
    paths, given, rest = [], [], list(arguments)
    try:
        while rest:
            word = rest.pop(0)
            if word == "--key":
                given.append(bytes.fromhex(rest.pop(0)))
            else:
                paths.append(word)
        (path,) = paths
    except (ValueError, IndexError):
        sys.stderr.write("use: verify_bundle.py BUNDLE.zip [--key HEX]...\n")
        return 2
    try:
        sys.stdout.write(f"{verify(path, given)}\nVERIFIED\n")
    except Invalid as error:
        sys.stdout.write(f"NOT VERIFIED: {error}.\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
