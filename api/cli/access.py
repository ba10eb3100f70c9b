"""`groundwire access`: who may read a document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.options import common, load_settings, print_json, run

if TYPE_CHECKING:
    from ingest.tags import AccessTags
    from orchestrator.settings import Settings


@click.group("access")
def command() -> None:
    """Show or set who may read a document. Setting takes effect at once and encodes nothing."""


@command.command("show")
@click.argument("document")
@click.option("--tenant", default="default", show_default=True, metavar="T", help="Whose document.")
@common
def show(document: str, tenant: str, home: Path | None, as_json: bool) -> None:
    """Print the access tags of DOCUMENT, named by its id or source URI."""
    from orchestrator.services import open_ledger_at

    with open_ledger_at(load_settings(home)) as ledger:
        tags = ledger.tags_of(tenant, document)
    _print(document, tags, as_json=as_json)


@command.command("set")
@click.argument("document")
@click.option("--tenant", default="default", show_default=True, metavar="T", help="Whose document.")
@click.option("--allow", multiple=True, metavar="TOKEN", help="Replaces the list; '' empties it; repeatable.")
@click.option("--deny", multiple=True, metavar="TOKEN", help="Replaces the list; '' empties it; repeatable.")
@click.option("--classification", metavar="C", help="public, internal, confidential or regulated.")
@click.option("--integrity", metavar="I", help="Who could write it: external, internal or reviewed.")
@click.option("--owner", metavar="USER", help="Who may read it without being named.")
@common
def set_(document: str, tenant: str, home: Path | None, as_json: bool, **changes: Any) -> None:
    """Change who may read DOCUMENT; what is not named stays as it is."""
    given = {name: value for name, value in changes.items() if value}
    for name in ("allow", "deny"):
        if name in given:
            given[name] = [token for token in given[name] if token]
    if not given:
        raise click.UsageError("Name at least one of --allow, --deny, --classification, --integrity and --owner.")
    _print(document, run(_set(load_settings(home), tenant, document, given)), as_json=as_json)


async def _set(settings: Settings, tenant: str, document: str, changes: dict[str, Any]) -> AccessTags:
    from orchestrator.services import open_services

    async with open_services(settings) as services:
        return await services.set_access(tenant, document, changes)


def _print(document: str, tags: AccessTags, *, as_json: bool) -> None:
    from api.views import tags_json

    if as_json:
        print_json({"document_id": document, "access": tags_json(tags)})
        return
    click.echo(document)
    for name, value in tags_json(tags).items():
        if value not in (None, []):
            click.echo(f"  {name}: {', '.join(value) if isinstance(value, list) else value}")
