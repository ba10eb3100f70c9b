"""The command line. Each command's module is imported when the command runs, so that `--help` answers at once."""

from __future__ import annotations

import importlib
import sys
from typing import Final

import click

from ingest.errors import BadInput, GroundwireError

DONE: Final = 0
ANSWER_IS_NO: Final = 1  # a gate failed, nothing could be verified
BAD_USE: Final = 2  # bad use or bad input
DEPENDENCY_DOWN: Final = 3

_COMMANDS: Final = {  # name: (module, what `--help` says of it)
    "ingest": ("ingest", "Take files, folders and .jsonl records in, with their access tags."),
    "search": ("search", "Find passages that the asker may read."),
    "ask": ("ask", "Answer a question with citations that were checked."),
    "access": ("access", "Show or set who may read a document."),
    "documents": ("documents", "List, show and delete documents; print their text."),
    "runs": ("runs", "Show what was asked and decided, follow what rests on what, take back, do again."),
    "workflows": ("workflows", "List workflows, and explain every decision taken without a person."),
    "prompts": ("prompts", "List, compare, check, promote and roll back prompts."),
    "policies": ("policies", "Check and show who may do what, and which data may go where."),
    "audit": ("audit", "Verify the record, export evidence, erase a person's contents."),
    "serve": ("serve", "Serve the HTTP API and the web page."),
    "reindex": ("reindex", "Build the index anew from the ledger, for a new encoder too."),
    "rescan": ("rescan", "Screen documents again for text that looks like an order."),
    "doctor": ("doctor", "Check that everything that a home needs is there."),
    "eval": ("evaluate", "Measure retrieval and answers on labelled sets."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        command = importlib.import_module(f"api.cli.{_COMMANDS[cmd_name][0]}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in _COMMANDS.items()])


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="groundwire")
def groundwire() -> None:
    """Grounded answers over permission-tagged documents, with citations that are checked.

    Exit codes: 0 done, 1 the answer is no, 2 bad use or bad input, 3 a dependency is down.
    """


def main() -> None:
    """Entry of the console script."""
    try:
        code = groundwire.main(prog_name="groundwire", standalone_mode=False)  # of a click.exceptions.Exit, else None
        sys.exit(code)
    except click.Abort:
        click.echo("Stopped. Nothing is half-done; run the command again to go on.", err=True)
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        _tell(_bad_use(error))
        sys.exit(BAD_USE)
    except GroundwireError as error:
        click.echo(f"{error.item}\n  {error.cause}\n  {error.next_step}", err=True)
        _tell(error)
        sys.exit(BAD_USE if isinstance(error, BadInput) else DEPENDENCY_DOWN)


def _bad_use(error: click.ClickException) -> BadInput:
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "groundwire"
    return BadInput(command, "bad_use", error.format_message(), f"See `{command} --help`.")


def _tell(error: GroundwireError) -> None:
    """The error for a program, when the command was asked for JSON."""
    if "--json" in sys.argv:
        import json

        parts = {"code": error.code, "item": error.item, "cause": error.cause, "next_step": error.next_step}
        click.echo(json.dumps({"error": parts}, ensure_ascii=False))
