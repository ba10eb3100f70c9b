"""`groundwire audit`: verify the record, show it to others, and erase what it holds of a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.cli.options import common, load_settings, print_json

if TYPE_CHECKING:
    from orchestrator.audit.custody import Custody
    from orchestrator.audit.verification import Verification
    from orchestrator.settings import Settings

_TENANT = click.option("--tenant", default="default", show_default=True, metavar="T", help="Whose.")
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("audit")
def command() -> None:
    """Verify the record of runs, export evidence, erase a person's contents."""


@command.command("verify")
@click.option("--against", multiple=True, type=_FILE, metavar="FILE", help="Checkpoints that were kept elsewhere.")
@click.option("--deep", is_flag=True, help="Decrypt every content too, and compare it with its hash.")
@common
def verify(against: tuple[Path, ...], deep: bool, home: Path | None, as_json: bool) -> None:
    """Find any event that was changed, removed, reordered or inserted, and a record that was signed anew.

    Exits with 1 when anything is wrong, and names the first bad event.
    """
    from api.cli import ANSWER_IS_NO
    from orchestrator.audit.verification import verify

    with _custody(load_settings(home)) as custody:
        found = verify(custody.database, custody.keys, witness=custody.config.witness, against=against, deep=deep)
    if as_json:
        print_json(found.as_json())
    else:
        _tell(found)
    if not found.ok:
        raise click.exceptions.Exit(ANSWER_IS_NO)


@command.command("export")
@click.argument("run")
@click.option("--out", required=True, type=_FILE, metavar="FILE", help="The zip file to write.")
@click.option("--no-content", is_flag=True, help="Leave prompts, outputs and answers out; their hashes stay.")
@_TENANT
@common
def export(run: str, out: Path, no_content: bool, tenant: str, home: Path | None, as_json: bool) -> None:
    """Write the evidence of RUN, with a small script that verifies it without Groundwire."""
    from orchestrator.audit.bundle import export_bundle

    with _custody(load_settings(home)) as custody:
        bundle = export_bundle(custody, tenant, run, lambda _: not no_content)
    _write(out, bundle)
    if as_json:
        print_json({"run_id": run, "file": str(out), "bytes": len(bundle)})
    else:
        click.echo(f"{out} holds the evidence of {run}. To verify it: unpack verify_bundle.py, then")
        click.echo(f"  python -I -S verify_bundle.py {out} --key PUBLIC_KEY   (see `groundwire audit keys`)")


@command.command("erase")
@click.argument("subject")
@click.option("--yes", is_flag=True, help="Do it: it cannot be undone.")
@_TENANT
@common
def erase(subject: str, yes: bool, tenant: str, home: Path | None, as_json: bool) -> None:
    """Delete the key of SUBJECT, and with it all contents of their runs and conversations; the chain still verifies."""
    from ingest.errors import BadInput

    if not yes:
        cause = "Erasing cannot be undone."
        raise BadInput(subject, "not_confirmed", cause, "Give --yes to do it.")
    from dataclasses import asdict

    from orchestrator.governance import open_governance
    from orchestrator.retention import erase

    with open_governance(load_settings(home)) as governance:
        done = erase(governance, tenant, subject)
    if as_json:
        print_json({"subject": subject, "tenant": tenant, **asdict(done)})
    elif done.nothing:
        click.echo(f"Nothing is kept of {subject}.")
    else:
        left = f"{done.turns} turns of conversations and {done.kept_answers} kept answers"
        click.echo(f"{subject} is erased: {done.contents} contents of {done.runs} runs, {left}.")


@command.command("expire")
@common
def expire(home: Path | None, as_json: bool) -> None:
    """Delete contents whose time is over, as the policies say for their class. The server does it once a day."""
    from dataclasses import asdict
    from datetime import UTC, datetime

    from orchestrator.governance import open_governance
    from orchestrator.retention import expire

    with open_governance(load_settings(home)) as governance:
        done = expire(governance, datetime.now(UTC))
    if as_json:
        print_json(asdict(done))
    else:
        click.echo(f"{done.contents} contents of {done.runs} runs, {done.turns} turns, {done.kept_answers} answers.")


@command.command("checkpoint")
@click.option("--out", type=_FILE, metavar="FILE", help="Append it here too, to be kept elsewhere.")
@common
def checkpoint(out: Path | None, home: Path | None, as_json: bool) -> None:
    """Sign what the record holds now. Keep the line on another machine: `verify --against` takes it."""
    from orchestrator.audit.witness import Witness

    with _custody(load_settings(home)) as custody:
        made = custody.checkpoint()
    if made is None:
        if as_json:
            print_json({"checkpoint": None})
        else:
            click.echo("The record is empty.")
        return
    if out is not None:
        Witness(out).append([made], durable=True)
    if as_json:
        parts = {"number": made.number, "seq": made.seq, "hash": made.hash.hex(), "root": made.root.hex()}
        print_json({"checkpoint": parts | {"key_id": made.key_id}, "line": made.line().decode().strip()})
    else:
        click.echo(made.line().decode().strip())


@command.command("keys")
@click.option("--rotate", is_flag=True, help="Sign with a new key from now on; older signatures still count.")
@common
def keys(rotate: bool, home: Path | None, as_json: bool) -> None:
    """Print the public keys whose signatures count. Give them to those who are to verify evidence."""
    from orchestrator.audit import crypto
    from orchestrator.audit.keys import KeyFolder, key_id

    settings = load_settings(home)
    folder = KeyFolder(settings.keys_path)
    if rotate:
        fresh = folder.rotate()
        with _custody(settings) as custody:  # the head that this signs tells other processes of the key
            facts = {"setting": "audit_signing_key", "value": fresh}
            custody.record(custody.event("setting_changed", facts, tenant=""))
    signs = key_id(crypto.public_key(folder.signing_key()))
    known = folder.public_keys()
    if as_json:
        print_json({"keys": {name: key.hex() for name, key in known.items()}, "signs": signs})
        return
    for name, key in known.items():
        click.echo(f"{name}  {key.hex()}{'  signs now' if name == signs else ''}")


def _tell(found: Verification) -> None:
    """The verification for people."""
    contents = f"{found.artefacts} contents ({found.erased} erased)"
    against = f"{found.checkpoints} checkpoints and {found.remembered} lines kept beside the database"
    click.echo(f"{found.events} events, {contents}, compared with {against}.")
    if found.ok:
        click.echo("Everything holds." + ("" if found.deep else " Contents were not opened: --deep does."))
        return
    for one in found.findings:
        place = f"event {one.seq}" if one.seq is not None else "the record"
        place += f" (or one since {one.since})" if one.since is not None else ""
        run = f", run {one.run_id}" if one.run_id else ""
        click.echo(f"{one.problem.upper()}: {place}{run}. {one.detail}")


def _write(out: Path, content: bytes) -> None:
    from ingest.errors import DependencyDown

    try:
        out.write_bytes(content)
    except OSError as error:
        cause = f"The file cannot be written ({error.strerror})."
        raise DependencyDown(str(out), "not_writable", cause, "Choose another with --out.") from error


@contextmanager
def _custody(settings: Settings) -> Iterator[Custody]:
    from orchestrator.governance import open_custody_of
    from orchestrator.services import open_record

    with open_record(settings) as database, open_custody_of(settings, database) as custody:
        yield custody
