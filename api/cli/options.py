"""Options that commands share, and how they become settings and a principal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from retrieval.access import Principal

Command = TypeVar("Command", bound=Callable[..., Any])
Result = TypeVar("Result")


def common(command: Command) -> Command:
    """`--home` and `--json`, which every command takes."""
    command = click.option("--json", "as_json", is_flag=True, help="Machine output on stdout.")(command)
    return click.option(
        "--home", type=click.Path(path_type=Path, file_okay=False), help="Folder that holds all state."
    )(command)


def who(command: Command) -> Command:
    """Who asks; by default the local user, who owns what they ingest."""
    for option in (
        click.option("--regions", default="", metavar="A,B", help="Regions whose documents may be read."),
        click.option("--clearance", metavar="CLASS", help="Highest classification that may be read."),
        click.option("--tenant", default="default", show_default=True, metavar="T", help="Whose documents."),
        click.option("--roles", default="", metavar="R,S", help="Roles of the asker."),
        click.option("--groups", default="", metavar="A,B", help="Groups of the asker."),
        click.option("--as", "subject", metavar="USER", help="Ask as this user; default: you."),
    ):
        command = option(command)
    return command


def load_settings(home: Path | None, **changes: object) -> Settings:
    """Settings from the environment, with what the command line says."""
    from pydantic import ValidationError

    from ingest.errors import BadInput
    from orchestrator.settings import Settings

    given = {name: value for name, value in {"home": home, **changes}.items() if value is not None}
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"])
        step = f"Correct GROUNDWIRE_{name.upper()}."
        raise BadInput(name, "bad_setting", f"The setting cannot be used: {first['msg']}.", step) from error


def make_principal(
    settings: Settings,
    *,
    subject: str | None,
    groups: str,
    roles: str,
    tenant: str,
    clearance: str | None,
    regions: str,
) -> Principal:
    """The principal that the options describe; raises BadInput for a clearance that does not exist."""
    from ingest.errors import BadInput
    from ingest.tags import Classification
    from retrieval.access import Principal

    try:
        cleared = Classification.parse(clearance or settings.local_clearance)
    except ValueError as error:
        raise BadInput("--clearance", "bad_clearance", f"{error}.", "Use one of these words.") from error
    if subject is not None and not subject.strip():
        raise BadInput("--as", "unknown_principal", "The name of the asker is empty.", "Give a user name, or leave it.")
    return Principal(
        subject=subject or local_user(),
        tenant=tenant,
        groups=_names(groups),
        roles=_names(roles),
        clearance=cleared,
        regions=_names(regions),
    )


def local_user() -> str:
    """The name of whoever runs the command."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "local"


def run(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end; ctrl-C stops it where that is safe."""
    try:
        return asyncio.run(work)
    except KeyboardInterrupt as error:
        raise click.Abort from error


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


def _names(listed: str) -> frozenset[str]:
    return frozenset(name.strip() for name in listed.split(",") if name.strip())
