"""`groundwire prompts`: the versions that there are, what is live where, and how that changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import ANSWER_IS_NO
from api.cli.options import common, load_settings, make_principal, print_json, who

if TYPE_CHECKING:
    from ingest.errors import BadInput
    from orchestrator.prompts.definition import Problem
    from orchestrator.prompts.promotion import PromotionRecord
    from orchestrator.prompts.registry import PromptRegistry
    from orchestrator.settings import Settings

_ENVIRONMENTS = click.Choice(["dev", "staging", "prod"])
_why = click.option("--why", required=True, metavar="TEXT", help="Why; it stays in the record.")


@click.group("prompts")
def command() -> None:
    """List, show, compare and check prompts; bring a version live, or go back."""


@command.command("list")
@common
def list_(home: Path | None, as_json: bool) -> None:
    """All prompts with their versions, and what is live where."""
    from api.prompt_views import listed_json

    with _registry(load_settings(home)) as registry:
        found = registry.listed()
    if as_json:
        print_json({"prompts": [listed_json(one) for one in found]})
        return
    for one in found:
        live = ", ".join(f"{place} {record.version}" for place, record in one.live.items()) or "not live"
        click.echo(f"{one.name}  ({live})  {one.newest.title if one.newest else 'its files are gone'}")


@command.command("show")
@click.argument("name")
@click.option("--version", "version", metavar="V", help="This version.")
@click.option("--hash", "content_hash", metavar="H", help="What ran under this hash; its first 8 characters do.")
@click.option("--env", "environment", type=_ENVIRONMENTS, default="prod", show_default=True, help="What is live there.")
@common
def show(
    name: str, version: str | None, content_hash: str | None, environment: str, home: Path | None, as_json: bool
) -> None:
    """Print NAME with all its files: what is live, a version, or what once ran, also when its files are gone."""
    from api.prompt_views import prompt_json, stored_json
    from ingest.errors import BadInput

    with _registry(load_settings(home)) as registry:
        if content_hash is None:
            found = prompt_json(registry.find(name, version or environment))
        else:
            found = stored_json(registry.stored(content_hash))
    if found["name"] != name:
        raise BadInput(name, "no_such_prompt", f"The hash is of {found['name']}.", "Ask for that prompt.")
    if as_json:
        print_json(found)
        return
    click.echo(f"{found['name']} {found['version']}  {found['content_hash']}")
    for file, text in found["files"].items():
        click.echo(f"\n--- {file}\n{text}")


@command.command("diff")
@click.argument("name")
@click.argument("old")
@click.argument("new")
@common
def diff(name: str, old: str, new: str, home: Path | None, as_json: bool) -> None:
    """What changes from OLD to NEW: versions, or environments for what is live there."""
    from orchestrator.prompts.definition import differences

    with _registry(load_settings(home)) as registry:
        before, after = registry.find(name, old), registry.find(name, new)
    changed = differences(before.files, after.files)
    if as_json:
        print_json({"name": name, "from": before.version, "to": after.version, "files": changed})
        return
    click.echo("\n".join(changed.values()) if changed else "They are the same.")


@command.command("history")
@click.argument("name")
@click.option("--env", "environment", type=_ENVIRONMENTS, default="prod", show_default=True, help="Where.")
@common
def history(name: str, environment: Any, home: Path | None, as_json: bool) -> None:
    """What was live of NAME, the newest first: who changed it, when and why."""
    from api.prompt_views import promotion_json

    with _registry(load_settings(home)) as registry:
        records = registry.history(name, environment)
    if as_json:
        print_json({"history": [promotion_json(record) for record in records]})
        return
    for record in records:
        click.echo(f"{record.at:%Y-%m-%d %H:%M}  {record.kind} {record.version} by {record.subject}: {record.why}")


@command.command("check")
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@common
def check(folder: Path | None, home: Path | None, as_json: bool) -> None:
    """Everything that would fail in a run, with file and line: of the prompts in FOLDER, or of all in the home.

    Exits with 1 when there is any.
    """
    from api.prompt_views import problem_json
    from orchestrator.egress.contracts import CONTRACTS
    from orchestrator.prompts.folders import SHIPPED, check_library, prompt_folders

    settings = load_settings(home)
    own = [settings.prompts_path] if any(prompt_folders(settings.prompts_path)) else []
    found: dict[Path, tuple[Problem, ...]] = {}
    for place in [folder] if folder else [SHIPPED, *own]:
        found |= check_library(place, CONTRACTS)
    if as_json:
        prompts = [{"folder": str(one), "problems": [problem_json(p) for p in all_]} for one, all_ in found.items()]
        print_json({"passed": not any(found.values()), "prompts": prompts})
    else:
        for one, problems in found.items():
            click.echo(f"{'FAIL' if problems else 'ok  '}  {one}")
            for problem in problems:
                click.echo(f"      {problem.place}: {problem.reason} {problem.next_step}")
    click.get_current_context().exit(ANSWER_IS_NO if any(found.values()) else 0)


@command.command("promote")
@click.argument("name")
@click.argument("version")
@click.option("--to", "to", required=True, type=_ENVIRONMENTS, help="Where it is to be live.")
@click.option(
    "--evaluation",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    metavar="REPORT.json",
    help="What allows it; needed for prod.",
)
@_why
@who
@common
def promote(
    name: str,
    version: str,
    to: Any,
    evaluation: Path | None,
    why: str,
    home: Path | None,
    as_json: bool,
    **asker: Any,
) -> None:
    """Bring VERSION of NAME live in an environment, one step at a time: dev, staging, prod.

    Exits with 1 when the rules, the evaluation or the policy say no.
    """
    settings = load_settings(home)
    principal = make_principal(settings, **asker)
    report = evaluation.read_bytes() if evaluation else None
    with _registry(settings) as registry:
        _change(lambda: registry.promote(principal, name, version, to, why=why, evaluation=report), as_json)


@command.command("rollback")
@click.argument("name")
@click.option("--env", "environment", required=True, type=_ENVIRONMENTS, help="Where.")
@_why
@who
@common
def rollback(name: str, environment: Any, why: str, home: Path | None, as_json: bool, **asker: Any) -> None:
    """Bring back the version of NAME that was live before.

    Exits with 1 when there was none, or the policy says no.
    """
    settings = load_settings(home)
    principal = make_principal(settings, **asker)
    with _registry(settings) as registry:
        _change(lambda: registry.rollback(principal, name, environment, why=why), as_json)


def _change(work: Callable[[], PromotionRecord], as_json: bool) -> None:
    """Make a change and tell it; a refusal is an answer, and the answer is no."""
    from api.prompt_views import promotion_json
    from orchestrator.ingress import NotAllowed
    from orchestrator.prompts.promotion import PromotionRefused

    try:
        record = work()
    except (NotAllowed, PromotionRefused) as refusal:
        _tell(refusal, as_json)
        click.get_current_context().exit(ANSWER_IS_NO)
    if as_json:
        print_json(promotion_json(record))
    else:
        was = f", in place of {record.from_version}" if record.from_version else ""
        click.echo(f"{record.name} {record.version} is live in {record.environment}{was}.")


def _tell(refusal: BadInput, as_json: bool) -> None:
    click.echo(f"{refusal.item}\n  {refusal.cause}\n  {refusal.next_step}", err=True)
    if as_json:
        parts = {
            "code": refusal.code,
            "item": refusal.item,
            "cause": refusal.cause,
            "next_step": refusal.next_step,
        }
        print_json({"error": parts})


@contextmanager
def _registry(settings: Settings) -> Iterator[PromptRegistry]:
    from orchestrator.governance import open_governance

    with open_governance(settings) as governance:
        yield governance.prompts
