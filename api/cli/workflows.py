"""`groundwire workflows`: what can be run, and every decision that is taken on the way without a person."""

from __future__ import annotations

from dataclasses import asdict, fields
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.options import common, load_settings, print_json

if TYPE_CHECKING:
    from orchestrator.explaining import Explained
    from orchestrator.workflows import Workflow


@click.group("workflows")
def command() -> None:
    """List, show and explain the ways of working."""


@command.command("list")
@common
def list_(home: Path | None, as_json: bool) -> None:  # noqa: ARG001
    """List the workflows with their risk and owner."""
    from orchestrator.workflows import WORKFLOWS

    if as_json:
        print_json({"workflows": [_workflow_json(one) for one in WORKFLOWS.values()]})
        return
    for one in WORKFLOWS.values():
        click.echo(f"{one.name}  (version {one.version}, risk {one.risk}, of {one.owner})  {one.title}")


@command.command("show")
@click.argument("name")
@common
def show(name: str, home: Path | None, as_json: bool) -> None:  # noqa: ARG001
    """Print what NAME runs, what it may cost, and from when on it answers."""
    shown = _workflow_json(_found(name))
    if as_json:
        print_json(shown)
        return
    for key, value in shown.items():
        click.echo(f"{key}: {value}")


@command.command("explain")
@click.argument("name", default="ask")
@common
def explain(name: str, home: Path | None, as_json: bool) -> None:
    """Print every decision that is taken in NAME without a person: the rule, its thresholds, where, and whose."""
    from orchestrator.explaining import explain, parts_of

    workflow = _found(name)
    decisions = explain(workflow, parts_of(load_settings(home)))
    if as_json:
        print_json({"workflow": workflow.name, "version": workflow.version, "decisions": [*map(asdict, decisions)]})
        return
    for tier, group in groupby(decisions, key=lambda one: one.tier):
        click.echo(f"\n{tier.upper()}")
        for one in group:
            _print_decision(one)


def _print_decision(one: Explained) -> None:
    click.echo(f"\n  {one.rule}")
    for name, value in one.values.items():
        for line in _lines(name, value):
            click.echo(f"      {line}")
    version = f", version {one.version[:12] if len(one.version) == 64 else one.version}" if one.version else ""
    click.echo(f"      [{one.id}{version}; of {one.owner}; set in {one.where}]")


def _lines(name: str, value: Any) -> list[str]:
    """A value as lines: one for each of a list of things, else a single one."""
    match value:
        case list() if value and isinstance(value[0], dict):
            return [f"{name}: {_flat(one)}" for one in value]
        case _:
            return [f"{name}: {_flat(value)}"]


def _flat(value: Any) -> str:
    match value:
        case dict():
            return ", ".join(f"{key} {_flat(one)}" for key, one in value.items()) or "none"
        case list():
            return ", ".join(map(_flat, value)) or "none"
        case None:
            return "none"
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def _found(name: str) -> Workflow:
    from ingest.errors import BadInput
    from orchestrator.workflows import WORKFLOWS

    if name not in WORKFLOWS:
        cause = f"There is no workflow of this name; there is {', '.join(WORKFLOWS)}."
        raise BadInput(name, "no_such_workflow", cause, "See `groundwire workflows list`.")
    return WORKFLOWS[name]


def _workflow_json(workflow: Workflow) -> dict[str, Any]:
    shown = {one.name: getattr(workflow, one.name) for one in fields(workflow)}
    return shown | {"thresholds": {risk: asdict(limits) for risk, limits in workflow.thresholds.items()}}
