"""An evidence bundle: one run's events with proofs, so that a third party can verify them without Groundwire."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ingest.errors import BadInput
from orchestrator.audit import merkle
from orchestrator.audit.chain import Event, Statement, canonical, read_statement
from orchestrator.audit.custody import Custody
from orchestrator.store import audit as store
from orchestrator.store.database import Connection

FORMAT: Final = "groundwire-evidence-1"
_VERIFIER: Final = Path(__file__).with_name("verify_bundle.py")
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)  # the same record makes the same bytes
_README: Final = """\
Evidence of run {run_id} of tenant {tenant}.

bundle.json       the events of the run, in order, with their place in a signed log; the keys it was signed with
artefacts/        contents that you may read: prompts, outputs, answers, as they were recorded
verify_bundle.py  checks all of it with Python 3.9 or newer and nothing else; read it first, it is short

    python -I -S verify_bundle.py THIS_FILE.zip --key PUBLIC_KEY_AS_ITS_OWNER_GAVE_IT_TO_YOU

What it proves: whoever holds the key signed a log in which these events, with these contents, stood in this order,
and no event of the run between the first and the last is left out. What it does not prove: that the run has no event
after the last one here (a finished run ends with `run_finished`), that what was recorded was true, and whose the key
is. `withheld`: the content is there, and was not for whoever made the bundle. `erased`: its key was deleted for good.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A content that a bundle may enclose."""

    event: Event
    name: str


def export_bundle(custody: Custody, tenant: str, run_id: str, readable: Callable[[Content], bool]) -> bytes:
    """The bundle as a zip file; the same record gives the same bytes.

    Signs a checkpoint first where the run reaches beyond the last one. `readable` says which contents are enclosed: a
    run's prompt holds text of documents, so who may read the run may not read all of it. Raises BadInput when the
    tenant has no such run, ValueError when a content was altered.
    """
    events = custody.events(tenant, run_id)
    if not events:
        cause = "There is no such run, or it belongs to somebody else."
        raise BadInput(run_id, "no_such_run", cause, "See `groundwire runs list`.")
    proofs, checkpoints = _proofs(custody, events)
    artefacts, files = _artefacts(custody, tenant, events, readable)
    bundle = {
        "format": FORMAT,
        "tenant": tenant,
        "run_id": run_id,
        "events": [_event_json(event, *proofs[event.seq]) for event in events],
        "checkpoints": [
            {"body": one.body.decode("ascii"), "signature": one.signature.hex()} for one in checkpoints.values()
        ],
        "keys": {name: key.hex() for name, key in custody.keys.public_keys().items()},
        "artefacts": artefacts,
    }
    readme = _README.format(run_id=run_id, tenant=tenant).encode("utf-8", "replace")
    first = {"README.txt": readme, "verify_bundle.py": _VERIFIER.read_bytes(), "bundle.json": canonical(bundle)}
    return _zipped(first | files)


Proof = tuple[int, list[bytes]]  # number of a checkpoint, and the path to its root


def _proofs(custody: Custody, events: Sequence[Event]) -> tuple[dict[int, Proof], dict[int, Statement]]:
    with store.snapshot(custody.database) as db:
        head = store.last_checkpoint(db)
    if head is None or read_statement(*head).seq < events[-1].seq:
        custody.checkpoint()
    proofs: dict[int, Proof] = {}
    used: dict[int, Statement] = {}
    with store.snapshot(custody.database) as db:
        for checkpoint in _covering(db, events):
            mine = [event for event in events if checkpoint.covered < event.seq <= checkpoint.seq]
            if mine:
                used[checkpoint.number] = checkpoint
                leaves = store.hashes(db, checkpoint.covered, checkpoint.seq)
                for event in mine:
                    path = merkle.proof(leaves, event.seq - checkpoint.covered - 1)
                    proofs[event.seq] = (checkpoint.number, path)
    return proofs, used


def _covering(db: Connection, events: Sequence[Event]) -> list[Statement]:
    """The checkpoints from that of the first event to that of the last."""
    rows = [read_statement(body, signature) for _, body, signature in store.raw_checkpoints(db)]
    return [one for one in rows if one.seq >= events[0].seq and one.covered < events[-1].seq]


def _artefacts(
    custody: Custody, tenant: str, events: Sequence[Event], readable: Callable[[Content], bool]
) -> tuple[dict[str, Any], dict[str, bytes]]:
    said: dict[str, Any] = {}
    files: dict[str, bytes] = {}
    for event in events:
        for name, hash_ in sorted(event.artefacts.items()):
            if not readable(Content(event=event, name=name)):
                said[hash_] = {"state": "withheld"}
                continue
            found = custody.artefact(tenant, hash_)
            if found is None:
                said[hash_] = {"state": "erased"}
                continue
            said[hash_] = {"state": "enclosed", "salt": found.salt.hex()}
            files[f"artefacts/{hash_}.json"] = found.content
    return said, files


def _event_json(event: Event, checkpoint: int, path: Sequence[bytes]) -> dict[str, Any]:
    return {
        "body": event.body.decode("ascii"),
        "prev": event.prev.hex(),
        "hash": event.hash.hex(),
        "checkpoint": checkpoint,
        "proof": [node.hex() for node in path],
    }


def _zipped(files: Mapping[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, date_time=_LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return out.getvalue()
