"""`groundwire runs`: what was asked, what was decided, and what rests on what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import ANSWER_IS_NO
from api.cli.options import common, load_settings, make_principal, print_json, run, who
from api.run_views import recalled_json, replay_json, row_json, run_json

if TYPE_CHECKING:
    from orchestrator.runs.replay import Replay
    from orchestrator.settings import Settings
    from orchestrator.store.runs import RunRow, UseKind
    from retrieval.access import Principal


@click.group("runs")
def command() -> None:
    """List and show runs, find those that used something, take back, and do again."""


@command.command("list")
@click.option("--before", metavar="RUN", help="Runs before this one: the next page.")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Most runs.")
@who
@common
def list_(before: str | None, limit: int, home: Path | None, as_json: bool, **asker: Any) -> None:
    """Runs that you may see, newest first: your own, or the tenant's for an auditor."""
    from orchestrator.governance import open_runs

    settings = load_settings(home)
    principal = make_principal(settings, **asker)
    with open_runs(settings) as runs:
        rows = run(runs.reader.page(principal, before=before, limit=limit))
    _show_rows(rows, as_json=as_json)


@command.command("show")
@click.argument("run_id", metavar="RUN")
@who
@common
def show(run_id: str, home: Path | None, as_json: bool, **asker: Any) -> None:
    """The whole story of RUN in plain words: who asked, what was found, sent, checked and decided, by which rule."""
    from orchestrator.governance import open_runs

    settings = load_settings(home)
    principal = make_principal(settings, **asker)
    with open_runs(settings) as runs:
        shown = run(runs.reader.show(runs.scope(principal), run_id))
    if as_json:
        print_json(run_json(shown))
        return
    click.echo(f"Run {shown.row.run_id}")
    if shown.row.recalled_at:
        click.echo(f"RECALLED: {shown.row.recalled_because}")
    for line in shown.story:
        click.echo(f"  {line.at[11:23]}  {line.tier:<8}  {line.text}")


@command.command("using")
@click.option("--document", metavar="ID", help="Runs that were shown this document.")
@click.option("--prompt", metavar="NAME", help="Runs that used this prompt.")
@click.option("--model", metavar="ROUTE", help="Runs that asked this model route.")
@click.option("--version", metavar="V", help="In this version; default: any.")
@who
@common
def using(
    document: str | None,
    prompt: str | None,
    model: str | None,
    version: str | None,
    home: Path | None,
    as_json: bool,
    **asker: Any,
) -> None:
    """Runs that used a document, a prompt or a model, oldest first."""
    from orchestrator.governance import open_runs

    kind, name = _thing({"document": document, "prompt": prompt, "model": model})
    settings = load_settings(home)
    principal = make_principal(settings, **asker)
    with open_runs(settings) as runs:
        rows = run(runs.lineage.using(principal, kind, name, version))
    _show_rows(rows, as_json=as_json)


@command.command("recall")
@click.option("--document", required=True, metavar="ID", help="The document that is wrong.")
@click.option("--version", metavar="N", help="In this version; default: any.")
@click.option("--because", required=True, metavar="TEXT", help="What is wrong with it.")
@who
@common
def recall(document: str, version: str | None, because: str, home: Path | None, as_json: bool, **asker: Any) -> None:
    """Mark every run that used a document, take back the answers kept of them, and list what was sent onward."""
    from orchestrator.governance import open_runs

    settings = load_settings(home)
    principal = make_principal(settings, **asker)
    with open_runs(settings) as runs:
        found = run(runs.lineage.recall(principal, document, version, because))
    if as_json:
        print_json(recalled_json(found))
        return
    click.echo(f"{len(found.runs)} runs are marked, {found.kept_answers} kept answers taken back.")
    for one in found.onward:
        click.echo(f"  run {one.run_id} was sent to {one.receiver} at {one.at.isoformat(timespec='seconds')}")


@command.command("replay")
@click.argument("run_id", metavar="RUN")
@click.option("--model", metavar="ROUTE", help="Ask this model in place of the one that was asked.")
@click.option("--prompt-version", metavar="V", help="With this version of the prompt.")
@who
@common
def replay(
    run_id: str, model: str | None, prompt_version: str | None, home: Path | None, as_json: bool, **asker: Any
) -> None:
    """Do RUN again from what was found then, and show what differs (exit code 1 where something does)."""
    settings = load_settings(home)
    done = run(_replay(settings, make_principal(settings, **asker), run_id, model, prompt_version))
    if as_json:
        print_json(replay_json(done))
    else:
        _show_replay(done)
    if not done.same:
        raise click.exceptions.Exit(ANSWER_IS_NO)


async def _replay(
    settings: Settings, principal: Principal, run_id: str, model: str | None, prompt_version: str | None
) -> Replay:
    from orchestrator.services import open_services

    async with open_services(settings) as services:
        scope = services.scope(principal)
        return await services.replay(run_id, scope, model=model, prompt_version=prompt_version)


@command.command("costs")
@click.option("--days", type=click.IntRange(1, 3660), default=30, show_default=True, help="How far to look back.")
@who
@common
def costs(days: int, home: Path | None, as_json: bool, **asker: Any) -> None:
    """What a good output costs, by workflow and model: all attempts, the vain ones too, over the outputs that left."""
    from datetime import UTC, datetime, timedelta

    from api.run_views import cost_json
    from orchestrator.governance import open_runs

    settings = load_settings(home)
    principal = make_principal(settings, **asker)
    until = datetime.now(UTC)
    with open_runs(settings) as runs:
        found = runs.reader.costs(principal, until - timedelta(days=days), until)
    if as_json:
        print_json({"costs": [cost_json(one) for one in found]})
        return
    for one in found:
        each = f"${one.per_good:.6f} each" if one.per_good is not None else "none good"
        name = one.route or "all models"
        click.echo(
            f"{one.workflow:<8} {name:<16} {one.attempts:>7} attempts  {one.good:>7} good  ${one.cost:.6f}  {each}"
        )


def _thing(named: dict[UseKind, str | None]) -> tuple[UseKind, str]:
    given = [(kind, name) for kind, name in named.items() if name is not None]
    if len(given) != 1:
        raise click.UsageError("Name one of --document, --prompt and --model.")
    return given[0]


def _show_rows(rows: Sequence[RunRow], *, as_json: bool) -> None:
    if as_json:
        print_json({"runs": [row_json(row) for row in rows]})
        return
    for row in rows:
        mark = "  RECALLED" if row.recalled_at else ""
        started = row.started_at.isoformat(timespec="seconds")
        click.echo(f"{row.run_id}  {started}  {row.subject:<12} {row.workflow:<6} {row.status}{mark}")


def _show_replay(done: Replay) -> None:
    click.echo(f"Replayed as {done.replay_id}: {'the same came out' if done.same else 'not the same'}.")
    if done.unread:
        click.echo(f"  {len(done.unread)} of the passages that were found then cannot be read now")
    for one in done.differences:
        click.echo(f"  {one.aspect}\n    before: {one.before}\n    after:  {one.after}")
