"""`groundwire eval calibrate`: learn from labels what a confidence is worth, and from which on to answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from api.cli.eval_output import new_table, show_progress, with_interval
from api.cli.options import common, load_settings, make_principal, print_json, run, who

_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_SHARE = click.FloatRange(0.0, 1.0, min_open=True, max_open=True)


@click.command("calibrate")
@click.option("--set", "golden", required=True, type=_FILE, help="Golden set: one case a line, as .jsonl.")
@click.option(
    "--corpus",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Ask a home of its own that holds these files and folders; repeatable. Default: ask the home.",
)
@click.option("--tags", type=_FILE, help="Tags of single documents of the corpus, as .jsonl.")
@click.option("--risk", default=0.1, show_default=True, type=_SHARE, help="Share of wrong answers to tolerate.")
@click.option(
    "--confidence", default=0.9, show_default=True, type=_SHARE, help="With which the threshold keeps to that."
)
@click.option("--limit", type=click.IntRange(1), metavar="N", help="Only N of the cases, evenly spaced.")
@who
@common
def calibrate(
    golden: Path,
    corpus: tuple[Path, ...],
    tags: Path | None,
    risk: float,
    confidence: float,
    limit: int | None,
    home: Path | None,
    as_json: bool,
    **asker: Any,
) -> None:
    """Ask a golden set and learn from what is right: confidences become chances, with a threshold that keeps a risk.

    The calibration is put into the home, for the present rule and encoder; a running server takes it up when it starts
    again. With too few labels, or answers too often wrong, nothing is written, and it says how many labels it takes.
    """
    from evals.calibrate import calibrate_answers
    from orchestrator.calibration import write_calibration

    settings = load_settings(home)
    principal = make_principal(settings, **asker)
    if tags and not corpus:
        raise click.UsageError("--tags needs --corpus.")
    with show_progress(quiet=as_json) as show:
        work = calibrate_answers(
            settings,
            golden,
            principal,
            risk=risk,
            confidence=confidence,
            corpus=corpus,
            tags=tags,
            limit=limit,
            progress=show,
        )
        report, calibration = run(work)
    write_calibration(settings.calibration_path, calibration)
    report |= {"file": str(settings.calibration_path)}
    if as_json:
        print_json(report)
    else:
        _show(report)


def _show(report: dict[str, Any]) -> None:
    from rich.console import Console

    rows = new_table(["promised", "right", "cases"])
    for one in report["bins"]:
        rows.add_row(f"{one['promised']:.3f}", f"{one['right']:.3f}", str(one["n"]))
    out = Console()
    out.print(rows)
    for line in (
        f"Calibration error on cases not fitted on {with_interval(report['calibration_error'])}, "
        f"{report['method']} curve, {report['n']} labels, {report['wrong']} of them wrong.",
        f"Answers from a score of {report['threshold']:.4f} on: {with_interval(report['coverage'])} of the labels, of "
        f"these {with_interval(report['wrong_of_answered'])} wrong, with {report['confidence']:.0%} confidence at most "
        f"{report['highest_risk']:.1%} ({report['risk']:.0%} were asked for).",
        f"Written to {report['file']}.",
    ):
        out.print(line, markup=False, soft_wrap=True)
