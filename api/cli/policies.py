"""`groundwire policies`: what the policies say, and whether they say what their tests expect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.options import common, load_settings, print_json

if TYPE_CHECKING:
    from orchestrator.policy.cases import Outcome, Report
    from orchestrator.policy.engine import CedarPolicy
    from orchestrator.store.policies import PolicyVersion


@click.group("policies")
def command() -> None:
    """Check and show the policies: who may do what, and which data may go where."""


@command.command("check")
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@common
def check(folder: Path | None, home: Path | None, as_json: bool) -> None:
    """Parse the set in FOLDER, hold it against its schema, and run the tests beside it.

    Without FOLDER: the set that counts in the home. Exits with 1 when a test fails, with 2 when the set cannot be used.
    """
    from orchestrator.policy.cases import check as check_cases
    from orchestrator.policy.cases import read_cases
    from orchestrator.policy.engine import PolicyConfig, load_policy

    policy = load_policy(PolicyConfig(folder=folder or load_settings(home).policies_folder))
    report = check_cases(policy, read_cases(policy.files.folder))
    if as_json:
        print_json(_report_json(policy, report))
    else:
        _print_report(policy, report)
    click.get_current_context().exit(0 if report.passed else 1)


@command.command("show")
@common
def show(home: Path | None, as_json: bool) -> None:
    """Print every rule in plain words, and the versions that were in force."""
    from orchestrator.policy.engine import PolicyConfig, load_policy
    from orchestrator.services import open_record
    from orchestrator.store.policies import history

    settings = load_settings(home)
    policy = load_policy(PolicyConfig(folder=settings.policies_folder))
    with open_record(settings) as database, database.read() as db:
        versions = history(db)
    if as_json:
        print_json(_policy_json(policy, versions))
    else:
        _print_policy(policy, versions)


def _report_json(policy: CedarPolicy, report: Report) -> dict[str, Any]:
    return {
        "folder": str(policy.files.folder),
        "version": policy.version,
        "policies": len(policy.rules),
        "passed": report.passed,
        "cases": [_outcome_json(one) for one in report.outcomes],
        "untested": list(report.untested),
    }


def _outcome_json(one: Outcome) -> dict[str, Any]:
    return {
        "name": one.case.name,
        "action": one.case.action,
        "expect": one.case.expect,
        "by": one.case.by,
        "decision": "allow" if one.decision.allowed else "deny",
        "policies": list(one.decision.policies),
        "reason": one.decision.reason,
        "errors": list(one.decision.errors),
        "passed": one.passed,
    }


def _print_report(policy: CedarPolicy, report: Report) -> None:
    for one in report.outcomes:
        said = "allow" if one.decision.allowed else "deny"
        by = ", ".join(one.decision.policies) or "no policy permits it"
        click.echo(f"{'ok  ' if one.passed else 'FAIL'}  {one.case.action}: {one.case.name}: {said} ({by})")
        if not one.passed:
            click.echo(
                f"      expected {one.case.expect} by {one.case.by or 'lack of a permit'}. {one.decision.reason}"
            )
    for name in report.untested:
        click.echo(f"no test exercises {name}")
    failed = sum(not one.passed for one in report.outcomes)
    click.echo(f"{len(policy.rules)} policies, {len(report.outcomes)} tests, {failed} failed; version {policy.version}")


def _policy_json(policy: CedarPolicy, versions: list[PolicyVersion]) -> dict[str, Any]:
    return {
        "folder": str(policy.files.folder),
        "version": policy.version,
        "policies": [
            {
                "id": rule.id,
                "effect": rule.effect,
                "actions": list(rule.actions),
                "description": rule.description,
                "owner": rule.owner,
                "file": rule.file,
                "line": rule.line,
            }
            for rule in policy.rules
        ],
        "retention": {one.name: rule.model_dump() for one, rule in policy.retentions.items()},
        "history": [{"version": one.version, "since": one.since.isoformat(), "by": one.by} for one in versions],
    }


def _print_policy(policy: CedarPolicy, versions: list[PolicyVersion]) -> None:
    click.echo(f"Policies of {policy.files.folder}, version {policy.version}\n")
    for rule in policy.rules:
        click.echo(f"{rule.effect} {', '.join(rule.actions) or 'everything'}: {rule.description}")
        click.echo(f"    {rule.id}, of {rule.owner}, {rule.file}:{rule.line}")
    for kept in policy.retentions.values():
        click.echo(f"keep {kept.keeps} {kept.days} days: {kept.description}\n    {kept.id}, of {kept.owner}")
    click.echo("\nIn force:" if versions else "\nNo version was in force yet.")
    for one in versions:
        click.echo(f"    since {one.since.isoformat(timespec='seconds')} by {one.by}: {one.version}")
