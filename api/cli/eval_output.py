"""What the commands of `groundwire eval` show people: progress on stderr, tables, figures with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table


@contextmanager
def show_progress(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    """Shows the text that it is given last, until it ends; nothing when `quiet`."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task("opening")
        yield lambda text: bar.update(task, description=text)


def new_table(columns: list[str]) -> Table:
    """A table with these columns, numbers to the right; the first, of names, has no title."""
    from rich.table import Table

    made = Table(box=None, pad_edge=False)
    for name in columns:
        made.add_column(name, justify="left" if not name else "right", no_wrap=True)
    return made


def with_interval(given: dict[str, float | None]) -> str:
    """A figure of a report with its interval."""
    if given["value"] is None:
        return "-"
    return f"{given['value']:.3f} [{given['low']:.3f}, {given['high']:.3f}]"
