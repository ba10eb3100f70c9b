"""`groundwire ingest`: files, folders and records in, with their access tags."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import BAD_USE
from api.cli.options import common, load_settings, local_user, print_json, run

if TYPE_CHECKING:
    from ingest.report import IngestReport
    from orchestrator.settings import Settings


@click.command("ingest")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--tenant", default="default", show_default=True, metavar="T", help="Whose documents.")
@click.option("--owner", metavar="USER", help="Who owns them; default: you.")
@click.option("--allow", multiple=True, metavar="TOKEN", help="user:U, group:G, role:R or public; repeatable.")
@click.option("--deny", multiple=True, metavar="TOKEN", help="Wins over every allow; repeatable.")
@click.option("--classification", metavar="C", help="public, internal, confidential or regulated.")
@click.option("--department", metavar="D", help="For routing and reports; grants nothing.")
@click.option("--region", metavar="R", help="Readable only by principals of this region.")
@click.option(
    "--tags", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Tags of single documents, as .jsonl."
)
@click.option("--keep-missing", is_flag=True, help="Keep documents whose file is gone from an ingested folder.")
@common
def command(
    paths: tuple[Path, ...], home: Path | None, as_json: bool, tags: Path | None, keep_missing: bool, **access: Any
) -> None:
    """Take PATHS in: files, folders, and .jsonl records {id, title?, text, allow?, ...}.

    Unchanged documents cost no encoding. What cannot be taken is reported, and the rest goes on.
    """
    settings = load_settings(home)
    access["owner"] = access["owner"] or local_user()
    access["allow"], access["deny"] = list(access["allow"]), list(access["deny"])
    defaults = {name: value for name, value in access.items() if value}
    report = run(_ingest(settings, paths, defaults, tags, keep_missing=keep_missing, quiet=as_json))
    if as_json:
        print_json(report.as_json())
    else:
        _show(report)
    if report.failed and not report.documents:
        raise click.exceptions.Exit(BAD_USE)


async def _ingest(
    settings: Settings,
    paths: tuple[Path, ...],
    defaults: dict[str, Any],
    tags: Path | None,
    *,
    keep_missing: bool,
    quiet: bool,
) -> IngestReport:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from orchestrator.services import open_services

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("opening")

        def show(report: IngestReport) -> None:
            bar.update(task, description=f"{report.documents} documents, {report.chunks} chunks")

        async with open_services(settings) as services:
            return await services.ingest(paths, defaults, tags, keep_missing=keep_missing, progress=show)


def _show(report: IngestReport) -> None:
    from rich.console import Console

    out = Console()
    out.print(
        f"{report.documents} documents: {report.chunks} chunks written, {report.encoded} encoded, "
        f"{report.unchanged} documents unchanged, {report.updated} updated, {report.retagged} with other access, "
        f"{report.removed} removed; {report.seconds:.1f} s"
    )
    if report.quarantined:
        out.print(f"{report.quarantined} pieces of hidden text were kept out: see `groundwire documents show ID`.")
    for note in report.notes:
        out.print(f"note: {note}", markup=False)
    for failure in report.failed:
        out.print(f"not taken: {failure.path}: {failure.error.reason}", markup=False, style="red")
