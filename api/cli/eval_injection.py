"""`groundwire eval injection`: what the screener finds, and what it takes from clean text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import ANSWER_IS_NO
from api.cli.options import common, load_settings, print_json, run

if TYPE_CHECKING:
    from rich.table import Table

_FIGURES = ("recall", "found", "span_recall", "false_positive_rate", "clean_text_lost")


@click.command("injection")
@click.option(
    "--set",
    "texts",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Labelled texts, one a line, as .jsonl: id, text, label (attack or benign), and the attack's span.",
)
@click.option("--no-context", is_flag=True, help="Screen each text alone: no vectors, no document around a sentence.")
@click.option(
    "--threshold", type=click.FloatRange(0, 1), help="Least score that counts; default: from which text is withheld."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only N of the texts, evenly spaced.")
@click.option("--cases", type=click.Path(path_type=Path, dir_okay=False), help="Write what came of each text here.")
@common
def injection(
    texts: Path,
    no_context: bool,
    threshold: float | None,
    limit: int | None,
    cases: Path | None,
    home: Path | None,
    as_json: bool,
) -> None:
    """Screen labelled texts for injected orders: what is found of attacks, what is lost of clean text.

    Exit code 1 when a detector failed on a text.
    """
    from api.cli.eval_output import show_progress
    from evals.injection import evaluate_injection
    from evals.json_lines import write_json_lines

    settings = load_settings(home)
    with show_progress(quiet=as_json) as show:
        work = evaluate_injection(
            settings, texts, context=not no_context, threshold=threshold, limit=limit, progress=show
        )
        report, results = run(work)
    if cases:
        write_json_lines(cases, results)
    if as_json:
        print_json(report)
    else:
        _show(report)
    if report["failed"]:
        raise click.exceptions.Exit(ANSWER_IS_NO)


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console

    out = Console()
    out.print(_by_threshold(report))
    out.print()
    out.print(_by_kind(report))
    out.print(
        f"\n{report['set']} (revision {report['revision']}): {report['attacks']} attacks, {report['benign']} benign "
        f"texts; {report['screener']}, vectors of {report['encoder'] or 'none'}; processor time: encoding "
        f"{report['cpu_s']['encoding']} s, screening {report['cpu_s']['screening']} s; {report['seconds']} s",
        markup=False,
        soft_wrap=True,
    )
    for name, detectors in report["failed"].items():
        out.print(f"failed: {name}: {', '.join(detectors)}", markup=False, style="red")


def _by_threshold(report: dict[str, Any]) -> Table:
    """Attacks found, and beside them what that costs, at each threshold."""
    from api.cli.eval_output import new_table, with_interval

    rows = {"shipped": report} | {
        f"{name} of benign flagged": figures for name, figures in report["thresholds"].items()
    }
    table = new_table(["", *(f"{name} ({figures['threshold']:.4f})" for name, figures in rows.items())])
    for name in (*_FIGURES[:3], "span_recall_mean", *_FIGURES[3:]):
        table.add_row(name.replace("_", " "), *(with_interval(figures[name]) for figures in rows.values()))
    return table


def _by_kind(report: dict[str, Any]) -> Table:
    from api.cli.eval_output import new_table

    at = list(report["thresholds"])
    table = new_table(["", "n", *(name.replace("_", " ") for name in _FIGURES), *(f"recall at {name}" for name in at)])
    for kind, row in report["by_kind"].items():
        values = [row[name]["value"] for name in _FIGURES] + [row["recall_at"][name]["value"] for name in at]
        table.add_row(kind, str(row["n"]), *("-" if value is None else f"{value:.3f}" for value in values))
    return table
