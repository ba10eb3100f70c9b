"""A bundle verifies in a bare Python, and nothing in it can be changed."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.errors import BadInput
from orchestrator.audit import crypto, merkle, verify_bundle
from orchestrator.audit.bundle import export_bundle
from orchestrator.audit.chain import NewEvent, Signer, canonical, event_body, event_hash
from orchestrator.audit.verify_bundle import Invalid, is_signed, verify
from tests.doubles.audit_records import ask, check, custody_at

# RFC 8032, 7.1: secret key, public key, message, signature
VECTORS = {
    "1": (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    "2": (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    "3": (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    "SHA(abc)": (
        "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
}


@pytest.mark.parametrize("name", VECTORS)
def test_signatures_of_the_rfc(name: str) -> None:
    """The test vectors of RFC 8032 verify, and fail with any one byte of message or signature changed."""
    _, public, message, signature = map(bytes.fromhex, VECTORS[name])
    assert is_signed(public, message, signature)
    assert not is_signed(public, message + b"x", signature)
    for place in range(64):
        changed = signature[:place] + bytes([signature[place] ^ 1]) + signature[place + 1 :]
        assert not is_signed(public, message, changed)


@settings(max_examples=40, deadline=None)
@given(seed=st.binary(min_size=32, max_size=32), message=st.binary(max_size=200), flip=st.integers(0, 64 * 8 - 1))
def test_the_verifier_agrees_with_openssl(seed: bytes, message: bytes, flip: int) -> None:
    """On signatures that are good, and on the same with one bit of signature or key turned over."""
    public, signature = crypto.public_key(seed), crypto.sign(seed, message)
    assert is_signed(public, message, signature)
    turned = bytearray(signature)
    turned[flip // 8] ^= 1 << flip % 8
    other = bytearray(public)
    other[flip // 8 % 32] ^= 1 << flip % 8
    for key, signed in ((public, bytes(turned)), (bytes(other), signature)):
        assert is_signed(key, message, signed) == crypto.is_signed(key, message, signed)


def test_a_signature_is_one_and_no_other() -> None:
    """S plus the group's order would verify as well, were it not refused; so would a key that is no point."""
    _, public, message, signature = map(bytes.fromhex, VECTORS["2"])
    s = int.from_bytes(signature[32:], "little") + verify_bundle.ORDER
    assert not is_signed(public, message, signature[:32] + s.to_bytes(32, "little"))
    assert not is_signed((2).to_bytes(32, "little"), message, signature)
    assert verify_bundle.BASE is not None
    for_all = verify_bundle.encode(verify_bundle.BASE) + (1).to_bytes(32, "little")  # fits any message under y = 1
    assert not is_signed((verify_bundle.P + 1).to_bytes(32, "little"), message, for_all)
    assert not is_signed(public[:31], message, signature)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of a run whose events lie under two checkpoints, with one of its contents withheld."""
    with custody_at(tmp_path_factory.mktemp("record"), every=3) as custody:
        ask(custody, "before")
        ask(custody, "r1")
        ask(custody, "after")
        return export_bundle(custody, "default", "r1", lambda content: content.name != "prompt")


def content_of(bundle: bytes) -> Any:
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return json.loads(archive.read("bundle.json"))


def test_it_verifies_in_a_bare_python(bundle: bytes, tmp_path: Path) -> None:
    """The script of the bundle itself, without site-packages, environment and current folder, says so and exits 0."""
    (tmp_path / "evidence.zip").write_bytes(bundle)
    with zipfile.ZipFile(tmp_path / "evidence.zip") as archive:
        archive.extract("verify_bundle.py", tmp_path)
        assert {"README.txt", "verify_bundle.py", "bundle.json"} < set(archive.namelist())
    (key,) = content_of(bundle)["keys"].values()

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", "verify_bundle.py", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    good = run("evidence.zip", "--key", key)
    assert (good.returncode, good.stderr) == (0, "")
    assert good.stdout.endswith("VERIFIED\n")
    assert "4 events hold, to the last: run_finished" in good.stdout
    assert "2 enclosed, 1 withheld, 0 erased" in good.stdout
    assert "Compare the key" in run("evidence.zip").stdout
    stranger = run("evidence.zip", "--key", "00" * 32)
    assert (stranger.returncode, stranger.stdout[:12]) == (1, "NOT VERIFIED")
    assert run("missing.zip").returncode == 1
    assert run().returncode == 2
    assert run("evidence.zip", "--key", "no hex").returncode == 2


def test_the_verifier_needs_the_standard_library_alone_and_is_short() -> None:
    """A reader can go through it before trusting it."""
    lines = Path(verify_bundle.__file__).read_text("utf-8").splitlines()
    assert len(lines) < 250
    imported = {line.split()[1].split(".")[0] for line in lines if line.startswith(("import ", "from "))}
    assert imported <= sys.stdlib_module_names


def test_the_same_record_makes_the_same_bundle(tmp_path: Path) -> None:
    """Byte by byte, so that two copies can be compared; the record still verifies after the export's checkpoint."""
    with custody_at(tmp_path) as custody:
        ask(custody, "r1")
        first, second = (export_bundle(custody, "default", "r1", lambda _: True) for _ in range(2))
        assert first == second
        assert check(custody).ok


def test_nobody_learns_of_runs_of_others(tmp_path: Path) -> None:
    """A run of another tenant is refused in the same words as one that never was, and no checkpoint is made for it."""
    with custody_at(tmp_path) as custody:
        ask(custody, "r1", tenant="other")
        words = []
        for run_id in ("r1", "r9"):
            with pytest.raises(BadInput) as caught:
                export_bundle(custody, "default", run_id, lambda _: True)
            words.append((caught.value.code, caught.value.reason))
        assert words[0] == words[1]
        assert check(custody).checkpoints == 0


def test_what_was_erased_is_said_to_be(tmp_path: Path) -> None:
    """A bundle made after an erasure verifies; its contents are `erased` and nowhere in it."""
    with custody_at(tmp_path) as custody:
        ask(custody, "r1")
        custody.erase("default", "ann")
        (tmp_path / "b.zip").write_bytes(export_bundle(custody, "default", "r1", lambda _: True))
    assert "0 enclosed, 0 withheld, 3 erased" in verify(str(tmp_path / "b.zip"))


def rewritten(bundle: bytes, change: Callable[[Any], None], files: Callable[[str, bytes], bytes], path: Path) -> str:
    """The bundle with its parts changed, as a file."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "bundle.json":
                parts = json.loads(content)
                change(parts)
                content = canonical(parts)
            new.writestr(name, files(name, content))
    return str(path)


def _event(body: str, old: str, new: str) -> Callable[[Any], None]:
    def change(parts: Any) -> None:
        event = next(one for one in parts["events"] if body in one["body"])
        assert old in event["body"]
        event["body"] = event["body"].replace(old, new)

    return change


def _forge_checkpoint(parts: Any) -> None:
    seed = crypto.new_key()
    for one in parts["checkpoints"]:
        one["signature"] = crypto.sign(seed, one["body"].encode()).hex()


def _end_early(parts: Any) -> None:
    del parts["events"][1]


def _repeat(parts: Any) -> None:
    parts["events"].insert(1, parts["events"][0])


def _empty(parts: Any) -> None:
    parts["events"] = []


@pytest.mark.parametrize("linked", [True, False])
def test_neighbours_must_be_chained_to_each_other(tmp_path: Path, linked: bool) -> None:
    """Even where whoever holds the key signed a tree over two events of which the second names another before it."""
    now, signer = datetime(2026, 1, 1, tzinfo=UTC), Signer(bytes(32))
    events, prev = [], bytes(32)
    for seq in (1, 2):
        body = event_body(NewEvent(kind="routed", at=now, tenant="t", run_id="r"), seq, seq)
        before = prev if linked else bytes(32)
        prev = event_hash(before, body)
        events.append({"body": body.decode(), "prev": before.hex(), "hash": prev.hex(), "checkpoint": 1})
    leaves = [bytes.fromhex(event["hash"]) for event in events]
    for index, event in enumerate(events):
        event["proof"] = [node.hex() for node in merkle.proof(leaves, index)]
    place: dict[str, Any] = {"seq": 2, "number": 1, "covered": 0, "hash": prev.hex(), "prev": "00" * 32}
    made = signer.statement(now, type="checkpoint", root=merkle.root(leaves).hex(), **place)
    bundle = {
        "tenant": "t",
        "run_id": "r",
        "events": events,
        "checkpoints": [{"body": made.body.decode(), "signature": made.signature.hex()}],
        "keys": {"": crypto.public_key(bytes(32)).hex()},
        "artefacts": {},
    }
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("bundle.json", canonical(bundle))
    if linked:
        assert "2 events hold" in verify(str(tmp_path / "b.zip"))
    else:
        with pytest.raises(Invalid, match="does not follow"):
            verify(str(tmp_path / "b.zip"))


CHANGES: dict[str, tuple[Callable[[Any], None], str]] = {
    "a fact": (_event("model_attempt", '"tokens":12', '"tokens":11'), "does not have its hash"),
    "an event left out": (_end_early, "step 2 of the run is missing"),
    "an event twice": (_repeat, "step 2 of the run is missing"),
    "no event": (_empty, "no event"),
    "a run of that name": (lambda parts: parts.update(run_id="r2"), "another run"),
    "a checkpoint signed by somebody": (_forge_checkpoint, "good signature"),
    "no checkpoint": (lambda parts: parts.update(checkpoints=[]), "has no checkpoint"),
    "no keys": (lambda parts: parts.update(keys={}), "not among the keys"),
    "nothing of the contents": (lambda parts: parts.update(artefacts={}), "nothing is said"),
    "a part missing": (lambda parts: parts.pop("events"), "cannot be read"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of_the_bundle_is_found(bundle: bytes, tmp_path: Path, name: str) -> None:
    """Each says what does not hold."""
    change, words = CHANGES[name]
    path = rewritten(bundle, change, lambda _, content: content, tmp_path / "b.zip")
    with pytest.raises(Invalid, match=words):
        verify(path)


def test_a_changed_content_is_found(bundle: bytes, tmp_path: Path) -> None:
    """The answer says noon; a file that says one does not have the hash."""
    path = rewritten(bundle, lambda _: None, lambda _, content: content.replace(b"noon", b"once"), tmp_path / "b.zip")
    with pytest.raises(Invalid, match="not what was recorded"):
        verify(path)


LEAF = st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=2))


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_value_of_the_evidence_can_be_another(
    bundle: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Whatever value of events or checkpoints is replaced by whatever: Invalid, and never another error."""
    section = data.draw(st.sampled_from(["events", "checkpoints"]))

    def change(parts: Any) -> None:
        entry = data.draw(st.sampled_from(parts[section]))
        name = data.draw(st.sampled_from(sorted(entry)))
        fresh = data.draw(LEAF.filter(lambda value: value != entry[name]))
        entry[name] = fresh

    path = tmp_path_factory.mktemp("bundle") / "b.zip"
    with pytest.raises(Invalid):
        verify(rewritten(bundle, change, lambda _, content: content, path))
