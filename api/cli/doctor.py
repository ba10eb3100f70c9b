"""`groundwire doctor`: whether everything that a home needs is there."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from api.cli import DEPENDENCY_DOWN
from api.cli.options import common, load_settings, print_json, run


@click.command("doctor")
@common
def command(home: Path | None, as_json: bool) -> None:
    """Check disk, home, encoder, ledger, index, and the optional programs. Exit code 3 when something has failed."""
    from orchestrator.diagnosis import diagnose

    findings = run(diagnose(load_settings(home)))
    failed = any(finding.state == "failed" for finding in findings)
    if as_json:
        print_json({"ok": not failed, "checks": [asdict(finding) for finding in findings]})
    else:
        for finding in findings:
            click.echo(f"{finding.state:8}{finding.check}: {finding.detail}")
            if finding.next_step:
                click.echo(f"        {finding.next_step}")
    if failed:
        raise click.exceptions.Exit(DEPENDENCY_DOWN)
