"""`groundwire eval`: measure retrieval and answers on labelled sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from api.cli import ANSWER_IS_NO
from api.cli.eval_calibrate import calibrate
from api.cli.eval_injection import injection
from api.cli.eval_output import new_table, show_progress, with_interval
from api.cli.eval_pii import pii
from api.cli.eval_support import support
from api.cli.options import common, load_settings, make_principal, print_json, run, who

if TYPE_CHECKING:
    from rich.table import Table

_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@click.group("eval")
def command() -> None:
    """Measure retrieval and answers on labelled sets."""


command.add_command(calibrate)
command.add_command(injection)
command.add_command(pii)
command.add_command(support)


@command.command("retrieval")
@click.option("--collection", "folder", required=True, type=_FOLDER, help="Folder in the layout of BEIR.")
@click.option(
    "--level",
    default="document",
    show_default=True,
    type=click.Choice(["document", "page"]),
    help="What qrels name: documents, or FILE#PAGE.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only N of the queries, evenly spaced.")
@common
def retrieval(
    folder: Path, level: Literal["document", "page"], limit: int | None, home: Path | None, as_json: bool
) -> None:
    """Rank a labelled collection by each leg alone and by both fused: nDCG, recall, MRR.

    The corpus is ingested into a home of its own below the home, once, and found there again by the next run.
    """
    from evals.collection import read_collection
    from evals.retrieval import evaluate_retrieval

    settings = load_settings(home)
    collection = read_collection(folder, level)
    with show_progress(quiet=as_json) as show:
        report = run(evaluate_retrieval(settings, collection, limit=limit, progress=show))
    if as_json:
        print_json(report)
    else:
        _show_retrieval(report)
    if report["errors"]:
        raise click.exceptions.Exit(ANSWER_IS_NO)


@command.command("answers")
@click.option("--set", "golden", required=True, type=_FILE, help="Golden set: one case a line, as .jsonl.")
@click.option(
    "--corpus",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Ask a home of its own that holds these files and folders; repeatable. Default: ask the home.",
)
@click.option("--tags", type=_FILE, help="Tags of single documents of the corpus, as .jsonl.")
@click.option("--model", default="extractive", show_default=True, metavar="ROUTE", help="Which model answers.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only N of the cases, evenly spaced.")
@click.option("--cases", type=click.Path(path_type=Path, dir_okay=False), help="Write what came of each case here.")
@who
@common
def answers(
    golden: Path,
    corpus: tuple[Path, ...],
    tags: Path | None,
    model: str,
    limit: int | None,
    cases: Path | None,
    home: Path | None,
    as_json: bool,
    **asker: Any,
) -> None:
    """Ask the questions of a golden set, each as its principal, and judge what comes out.

    Exit code 1 when a case ended in an error or a citation was not the stored text.
    """
    from evals.answer_report import case_json
    from evals.answers import evaluate_answers
    from evals.json_lines import write_json_lines

    settings = load_settings(home)
    principal = make_principal(settings, **asker)
    if tags and not corpus:
        raise click.UsageError("--tags needs --corpus.")
    with show_progress(quiet=as_json) as show:
        work = evaluate_answers(
            settings, golden, principal, corpus=corpus, tags=tags, model=model, limit=limit, progress=show
        )
        report, results = run(work)
    if cases:
        write_json_lines(cases, map(case_json, results))
    if as_json:
        print_json(report)
    else:
        _show_answers(report)
    if report["errors"] or report["citations"]["mismatches"]:
        raise click.exceptions.Exit(ANSWER_IS_NO)


def _show_retrieval(report: dict[str, Any]) -> None:
    from rich.console import Console

    names = list(report["fused"])
    table = new_table(["", *names])
    for leg in ("dense", "lexical", "fused"):
        table.add_row(leg, *(f"{report[leg][name]:.3f}" for name in names))
    out = Console()
    out.print(table)
    out.print(
        f"{report['collection']} (revision {report['revision']}): {report['n']} queries over {report['documents']} "
        f"documents, one query p50 {report['latency_ms']['p50']} ms; {report['seconds']} s",
        markup=False,
        soft_wrap=True,
    )
    _show_troubles(report, out.print)


def _show_answers(report: dict[str, Any]) -> None:
    from rich.console import Console

    table = new_table(["", "value [95% interval]"])
    for name, figure in report.items():
        if isinstance(figure, dict) and figure.keys() == {"value", "low", "high"}:
            table.add_row(name.replace("_", " "), with_interval(figure))
    out = Console()
    out.print(table)
    if report["by_kind"]:
        out.print(_kinds_table(report["by_kind"]))
    out.print(
        f"{report['set']} (revision {report['revision']}): {report['n']} cases, {report['answered']} answered, "
        f"{report['citations']['checked']} citations checked, {report['citations']['mismatches']} not as stored, "
        f"one question p50 {report['latency_ms']['p50']} ms; {report['seconds']} s",
        markup=False,
        soft_wrap=True,
    )
    for kind in ("must_cite", "must_not_cite"):
        for case in report[f"{kind}_violations"]:
            out.print(f"{kind}: {case}", markup=False, style="red")
    _show_troubles(report, out.print)


def _kinds_table(by_kind: dict[str, Any]) -> Table:
    names = ("coverage", "answered_correctly", "wrong", "auroc")
    table = new_table(["", "n", *(name.replace("_", " ") for name in names)])
    for kind, figures in by_kind.items():
        table.add_row(kind, str(figures["n"]), *(with_interval(figures[name]) for name in names))
    return table


def _show_troubles(report: dict[str, Any], say: Callable[..., None]) -> None:
    for code, count in report["not_taken"].items():
        say(f"not taken: {count} documents: {code}", markup=False, style="red")
    for code, count in report["errors"].items():
        say(f"error: {count} questions: {code}", markup=False, style="red")
