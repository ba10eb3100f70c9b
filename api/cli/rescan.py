"""`groundwire rescan`: old documents screened by the screener of today."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.cli.options import common, load_settings, print_json

if TYPE_CHECKING:
    from ingest.screen_versions import RescanReport


@click.command("rescan")
@click.option("--all", "everything", is_flag=True, help="Also what the present screener has seen.")
@common
def command(home: Path | None, as_json: bool, everything: bool) -> None:
    """Screen again every document that an older screener saw, or none, for text that looks like an order.

    Works on stored text and stored token vectors: nothing is parsed or encoded. What is found is in force at once, in
    a server that runs too. Stopped, it goes on where it was.
    """
    from orchestrator.services import rescan

    def show(report: RescanReport) -> None:
        if report.versions % 100 == 0 and not as_json:
            click.echo(f"{report.versions} versions", err=True)

    report = rescan(load_settings(home), everything=everything, progress=show)
    if as_json:
        print_json(report.as_json())
        return
    click.echo(
        f"{report.versions} versions screened by {report.screener}: {report.with_findings} with findings, "
        f"{report.changed} with others than before, {report.failed} that it could not screen."
    )
