"""`groundwire eval support`: whether claims that their evidence carries are told from others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from api.cli.options import common, load_settings, print_json, run


@click.command("support")
@click.option(
    "--set",
    "claims",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Labelled claims, one a line, as .jsonl: id, claim, evidence (sentences), label, and what supports it.",
)
@click.option("--no-vectors", is_flag=True, help="Judge by words alone, as where no encoder reads the language.")
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only N of the claims, evenly spaced.")
@click.option("--cases", type=click.Path(path_type=Path, dir_okay=False), help="Write what came of each claim here.")
@common
def support(
    claims: Path, no_vectors: bool, limit: int | None, cases: Path | None, home: Path | None, as_json: bool
) -> None:
    """Judge labelled claims by their evidence: supported, partial or not_supported."""
    from api.cli.eval_output import show_progress
    from evals.json_lines import write_json_lines
    from evals.support import evaluate_support

    settings = load_settings(home)
    with show_progress(quiet=as_json) as show:
        report, results = run(evaluate_support(settings, claims, vectors=not no_vectors, limit=limit, progress=show))
    if cases:
        write_json_lines(cases, results)
    if as_json:
        print_json(report)
    else:
        _show(report)


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console

    from api.cli.eval_output import new_table, with_interval

    table = new_table(["", "value [95% interval]"])
    figures = {name: found for name, found in report.items() if isinstance(found, dict) and "low" in found}
    figures |= {f"contradicted_{label}": found for label, found in report["contradicted"].items()}
    for name, figure in figures.items():
        table.add_row(name.replace("_", " "), with_interval(figure))
    out = Console()
    out.print(table)
    labels = ", ".join(f"{count} {label.replace('_', ' ')}" for label, count in report["labels"].items())
    out.print(
        f"{report['set']} (revision {report['revision']}): {report['n']} claims ({labels}); rule {report['rule']}, "
        f"vectors of {report['encoder'] or 'none'}; processor time of the check {report['cpu_ms_per_claim']} ms a "
        f"claim; {report['seconds']} s",
        markup=False,
        soft_wrap=True,
    )
