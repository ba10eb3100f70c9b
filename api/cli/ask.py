"""`groundwire ask`: an answer with citations that were checked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from api.cli import ANSWER_IS_NO
from api.cli.options import common, load_settings, make_principal, print_json, run, who

if TYPE_CHECKING:
    from rich.console import Console

    from orchestrator.contract import Answer, Citation
    from orchestrator.settings import Settings
    from retrieval.access import Principal


NO_ANSWER: Final = "No answer: what you may read does not carry this question."
NO_OUTPUT: Final = "No answer: no model gave an output. `groundwire runs show` tells why."


@click.command("ask")
@click.argument("question")
@click.option("--earlier", multiple=True, metavar="QUESTION", help="Asked before this one, oldest first; repeatable.")
@click.option(
    "--conversation", metavar="ID", help="Goes on with a conversation that is kept under this id, or begins it."
)
@click.option("--risk", type=click.Choice(["low", "medium", "high"]), help="How much care; default: the workflow's.")
@click.option("--model", metavar="ROUTE", help="Which model answers; default: that of the settings, else by routing.")
@who
@common
def command(
    question: str,
    earlier: tuple[str, ...],
    conversation: str | None,
    risk: str | None,
    model: str | None,
    home: Path | None,
    as_json: bool,
    **asker: Any,
) -> None:
    """Answer QUESTION from documents that the asker may read, or say that they do not carry it (exit code 1)."""
    settings = load_settings(home)
    principal = make_principal(settings, **asker)
    answer = run(
        _ask(settings, principal, question, earlier=earlier, conversation=conversation, model=model, risk=risk)
    )
    if as_json:
        print_json(answer.model_dump(mode="json"))
    else:
        _show(answer)
    if answer.status != "answered":
        raise click.exceptions.Exit(ANSWER_IS_NO)


async def _ask(settings: Settings, principal: Principal, question: str, **wishes: Any) -> Answer:
    from orchestrator.services import open_services

    async with open_services(settings) as services:
        return await services.ask(question, services.scope(principal), **wishes)


def _show(answer: Answer) -> None:
    from rich.console import Console
    from rich.text import Text

    out = Console()
    if answer.status != "answered":
        waits = f"No answer yet: it waits in the queue {answer.route.queue} for a person."
        out.print({"in_review": waits, "refused": NO_OUTPUT}.get(answer.status, NO_ANSWER))
        _show_flags(answer, out)
        return
    out.print(Text(answer.answer, style="bold"))
    if answer.asked:
        out.print(Text(f"asked as: {answer.asked}", style="dim"))
    for number, citation in enumerate((c for claim in answer.claims for c in claim.citations), start=1):
        _show_citation(citation, f"[{number}]", out)
    for conflict in answer.conflicts:
        for citation in conflict.citations:
            _show_citation(citation, "but", out)
    kind = "calibrated" if answer.confidence.calibrated else "uncalibrated"
    out.print(Text(f"\nconfidence {answer.confidence.score:.2f} ({kind}), model {answer.model}", style="dim"))
    _show_flags(answer, out)


def _show_citation(citation: Citation, mark: str, out: Console) -> None:
    from rich.text import Text

    place = f", page {citation.page}" if citation.page else ""
    where = f"{citation.document_id} version {citation.version} [{citation.start}:{citation.end}]"
    out.print(Text(f"\n{mark} {citation.title}{place}  ({where})", style="dim"))
    out.print(Text(f"    “{' '.join(citation.quote.split())}”"))


def _show_flags(answer: Answer, out: Console) -> None:
    if answer.flags:
        out.print(f"flags: {', '.join(answer.flags)}", style="yellow")
