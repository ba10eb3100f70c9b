"""`groundwire reindex`: the index built anew from the ledger."""

from __future__ import annotations

from pathlib import Path

import click

from api.cli.options import common, load_settings, print_json, run


@click.command("reindex")
@common
def command(home: Path | None, as_json: bool) -> None:
    """Build the index anew from the ledger, with the encoder that the settings name, and then switch to it.

    Vectors that the ledger has are used again. Until the switch the old index stays as it is.
    """
    from orchestrator.services import reindex

    report = run(reindex(load_settings(home)))
    if as_json:
        print_json(report)
    else:
        click.echo(f"{report['documents']} documents, {report['chunks']} chunks in the new index {report['index']}.")
        if report["to_rescan"]:
            click.echo(f"{report['to_rescan']} documents wait for the screener of today: run `groundwire rescan`.")
