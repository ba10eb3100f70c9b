"""`groundwire eval pii`: what the detectors find of labelled personal data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from api.cli import ANSWER_IS_NO
from api.cli.options import common, print_json


@click.command("pii")
@click.option(
    "--set",
    "texts",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Labelled texts, one a line, as .jsonl: id, text, spans of type, start and end.",
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only N of the texts, evenly spaced.")
@click.option("--cases", type=click.Path(path_type=Path, dir_okay=False), help="Write what came of each text here.")
@common
def pii(
    texts: Path,
    limit: int | None,
    cases: Path | None,
    home: Path | None,  # noqa: ARG001 - every command takes it; this one needs none
    as_json: bool,
) -> None:
    """Look for personal data in labelled texts: precision, recall and F1 of exact spans, by type.

    Exit code 1 when a detector failed on a text.
    """
    from api.cli.eval_output import show_progress
    from evals.json_lines import write_json_lines
    from evals.personal_data import evaluate_personal_data

    with show_progress(quiet=as_json) as show:
        report, results = evaluate_personal_data(texts, limit=limit, progress=show)
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

    from api.cli.eval_output import new_table, with_interval

    names = ("precision", "recall", "f1", "touched")
    table = new_table(["", "n", *(f"{name} [95% interval]" for name in names)])
    for kind, figures in report["by_type"].items():
        table.add_row(kind, str(figures["n"]), *(with_interval(figures[name]) for name in names))
    out = Console()
    out.print(table)
    others = {
        "no detector looks for": report["not_covered"],
        "found and nowhere labelled": {kind: counts["n"] for kind, counts in report["not_labelled"].items()},
        "detector failed": report["failed"],
    }
    for what, counts in others.items():
        if counts:
            out.print(f"{what}: {', '.join(f'{kind} {n}' for kind, n in counts.items())}", markup=False, soft_wrap=True)
    out.print(
        f"{report['set']} (revision {report['revision']}): {report['n']} texts, {report['words']} words; "
        f"{report['bare_years']} years alone judged apart; {report['mb_per_s']} MB a second of processor time",
        markup=False,
        soft_wrap=True,
    )
