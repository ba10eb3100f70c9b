"""`groundwire documents`: what a home holds, for whoever owns the home."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.options import common, load_settings, make_principal, print_json, run, who

if TYPE_CHECKING:
    from ingest.ledger.rows import VersionRow
    from orchestrator.settings import Settings
    from retrieval.access import Principal


@click.group("documents")
def command() -> None:
    """List, show and delete documents; print their canonical text. A document is named by its id or source URI."""


@command.command("list")
@click.option("--limit", default=1000, show_default=True, type=click.IntRange(1), help="How many.")
@click.option("--after", default="", metavar="ID", help="Begin after this document id.")
@who
@common
def list_(limit: int, after: str, home: Path | None, as_json: bool, **asker: Any) -> None:
    """List the documents that the asker may read, sorted by id."""
    from api.views import document_json
    from orchestrator.services import open_library

    settings = load_settings(home)
    with open_library(settings) as (library, scope_of):
        scope = scope_of(make_principal(settings, **asker))
        rows = run(library.documents(scope, after=after, limit=limit))
    if as_json:
        print_json({"documents": [document_json(row) for row in rows]})
        return
    for row in rows:
        click.echo(f"{row.document_id}  (version {row.number}, {row.tags.classification.name})  {row.title}")


@command.command("show")
@click.argument("document")
@who
@common
def show(document: str, home: Path | None, as_json: bool, **asker: Any) -> None:
    """Print what is known of DOCUMENT: versions, access, notes, what screening found, and hidden text kept out."""
    from api.views import document_json, screening_json
    from orchestrator.services import open_library, screening_policy

    settings = load_settings(home)
    with open_library(settings) as (library, scope_of):
        scope = scope_of(make_principal(settings, **asker))
        row = _found(document, run(library.current(scope, document)))
        versions = run(library.versions(scope, row.document_id))
        hidden = run(library.hidden(scope, row))
    found = document_json(row) | {
        "characters": len(row.text),
        "versions": [{"version": v.number, "state": v.state, "created_at": v.created_at} for v in versions],
        "screening": screening_json(row, screening_policy(settings)),
        "hidden": [{"reason": h.reason, "place": h.place, "text": h.text} for h in hidden],
    }
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        click.echo(f"{name}: {value}")


@command.command("text")
@click.argument("document")
@click.option("--version", "number", type=click.IntRange(1), metavar="N", help="Default: the current one.")
@who
@common
def text(document: str, number: int | None, home: Path | None, as_json: bool, **asker: Any) -> None:
    """Print the canonical text of DOCUMENT; the offsets of citations count in it, from 0, in characters."""
    from orchestrator.services import open_library

    settings = load_settings(home)
    with open_library(settings) as (library, scope_of):
        scope = scope_of(make_principal(settings, **asker))
        row = _found(document, run(library.current(scope, document)))
        if number is not None and number != row.number:
            older = run(library.stored(scope, [(row.document_id, number)]))
            row = _found(f"{document} version {number}", older.get((row.document_id, number)))
    if as_json:
        print_json({"document_id": row.document_id, "version": row.number, "text": row.text})
    else:
        click.echo(row.text)


@command.command("delete")
@click.argument("document")
@who
@common
def delete(document: str, home: Path | None, as_json: bool, **asker: Any) -> None:
    """Remove DOCUMENT from the index, the stored text and the encodings."""
    settings = load_settings(home)
    removed = run(_delete(settings, make_principal(settings, **asker), document))
    if as_json:
        print_json({"deleted": removed})
    else:
        click.echo(f"{removed} is removed.")


async def _delete(settings: Settings, principal: Principal, document: str) -> str:
    from orchestrator.services import open_services

    async with open_services(settings) as services:
        row = _found(document, await services.library.current(services.scope(principal), document))
        await services.pipeline.delete(row.key)
        return row.document_id


def _found(document: str, row: VersionRow | None) -> VersionRow:
    from ingest.errors import BadInput

    if row is None:
        cause = "There is no such document, or you may not read it."
        raise BadInput(document, "no_such_document", cause, "See `groundwire documents list`.")
    return row
