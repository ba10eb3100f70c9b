"""`groundwire ingest`: files, folders, records and what readers read in, with their access tags."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import BAD_USE
from api.cli.options import common, load_settings, local_user, print_json, run

if TYPE_CHECKING:
    from ingest.pipeline import Progress as ShowProgress
    from ingest.report import IngestReport
    from orchestrator.services import Services
    from orchestrator.settings import Settings

    Work = Callable[[Services, ShowProgress], Awaitable[IngestReport]]


@click.command("ingest")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--tenant", default="default", show_default=True, metavar="T", help="Whose documents.")
@click.option("--owner", metavar="USER", help="Who owns them; default: you, but nobody with --reader.")
@click.option("--allow", multiple=True, metavar="TOKEN", help="user:U, group:G, role:R or public; repeatable.")
@click.option("--deny", multiple=True, metavar="TOKEN", help="Wins over every allow; repeatable.")
@click.option("--classification", metavar="C", help="public, internal, confidential or regulated.")
@click.option("--integrity", metavar="I", help="Who could write it: external, internal or reviewed.")
@click.option("--department", metavar="D", help="For routing and reports; grants nothing.")
@click.option("--region", metavar="R", help="Readable only by principals of this region.")
@click.option(
    "--tags", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Tags of single documents, as .jsonl."
)
@click.option("--reader", metavar="MODULE:CLASS", help="A llama-index reader, run in this process, in place of PATHS.")
@click.option("--reader-args", metavar="JSON", help='Its keyword arguments: {"init": {…}, "load": {…}}.')
@click.option(
    "--reader-tags", metavar="A,B", help="Tags that the metadata of its documents sets, as allow,deny; default: none."
)
@click.option("--keep-missing", is_flag=True, help="Keep documents whose file is gone from an ingested folder.")
@common
def command(
    paths: tuple[Path, ...],
    home: Path | None,
    as_json: bool,
    tags: Path | None,
    reader: str | None,
    reader_args: str | None,
    reader_tags: str | None,
    keep_missing: bool,
    **access: Any,
) -> None:
    """Take PATHS in: files, folders, and .jsonl records {id, title?, text, allow?, ...}.

    Unchanged documents cost no encoding. What cannot be taken is reported, and the rest goes on. The documents of a
    --reader need --allow or --owner.
    """
    settings = load_settings(home)
    access["owner"] = access["owner"] or (None if reader else local_user())
    access["allow"], access["deny"] = list(access["allow"]), list(access["deny"])
    defaults = {name: value for name, value in access.items() if value}
    if reader is not None:
        if paths or tags or keep_missing:
            raise click.UsageError("--reader goes without PATHS, --tags and --keep-missing.")
        work = _reading(reader, reader_args or "{}", reader_tags or "", defaults)
    elif paths and reader_args is None and reader_tags is None:
        work = _taking(paths, defaults, tags, keep_missing=keep_missing)
    else:
        raise click.UsageError("Name PATHS, or a --reader with what belongs to it.")
    report = run(_ingest(settings, work, quiet=as_json))
    if as_json:
        print_json(report.as_json())
    else:
        _show(report)
    if report.failed and not report.documents:
        raise click.exceptions.Exit(BAD_USE)


def _taking(paths: tuple[Path, ...], defaults: dict[str, Any], tags: Path | None, *, keep_missing: bool) -> Work:
    return lambda services, show: services.ingest(paths, defaults, tags, keep_missing=keep_missing, progress=show)


def _reading(name: str, arguments: str, tags: str, defaults: dict[str, Any]) -> Work:
    from ingest.readers import reader_config

    reader = reader_config(name, arguments, [tag.strip() for tag in tags.split(",") if tag.strip()])
    return lambda services, show: services.ingest_reader(reader, defaults, progress=show)


async def _ingest(settings: Settings, work: Work, *, quiet: bool) -> IngestReport:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    from orchestrator.services import open_services

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("opening")

        def show(report: IngestReport) -> None:
            bar.update(task, description=f"{report.documents} documents, {report.chunks} chunks")

        async with open_services(settings) as services:
            with redirect_stdout(sys.stderr):  # readers print, and stdout is the report's
                return await work(services, show)


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
    if report.with_findings:
        found = f"{report.with_findings} documents hold text that looks like an order"
        out.print(f"{found}: see `groundwire documents show ID`.")
    if report.unscreened:
        out.print(f"{report.unscreened} documents could not be screened and stay out of answers: `groundwire rescan`.")
    for note in report.notes:
        out.print(f"note: {note}", markup=False)
    for failure in report.failed:
        out.print(f"not taken: {failure.path}: {failure.error.reason}", markup=False, style="red")
