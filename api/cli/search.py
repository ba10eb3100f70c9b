"""`groundwire search`: passages that the asker may read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli.options import common, load_settings, make_principal, print_json, run, who

if TYPE_CHECKING:
    from orchestrator.settings import Settings
    from retrieval.access import Principal
    from retrieval.sanitising import Sanitised


@click.command("search")
@click.argument("query")
@click.option("-k", "k", default=10, show_default=True, type=click.IntRange(1, 100), help="How many passages.")
@who
@common
def command(query: str, k: int, home: Path | None, as_json: bool, **asker: Any) -> None:
    """Find the passages that carry QUERY best, among those that the asker may read."""
    settings = load_settings(home)
    hits = run(_search(settings, make_principal(settings, **asker), query, k))
    if as_json:
        from api.views import hit_json

        print_json({"hits": [hit_json(hit) for hit in hits]})
    else:
        _show(hits)


async def _search(settings: Settings, principal: Principal, query: str, k: int) -> Sanitised:
    from orchestrator.services import open_services

    async with open_services(settings) as services:
        return await services.retriever.search(query, services.scope(principal), k=k)


def _show(hits: Sanitised) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    if not hits:
        console.print("Nothing that you may read matches.")
    for number, hit in enumerate(hits, start=1):
        passage = hit.passage
        place = f", page {passage.page}" if passage.page else ""
        console.print(Text(f"{number}. {passage.title}{place}", style="bold"))
        console.print(Text(f"   {passage.document_id} [{passage.start}:{passage.end}]  {hit.score:.3f}", style="dim"))
        console.print(Text("   " + (" ".join(passage.text.split())[:300] or "(withheld)")))
        for finding in passage.findings:
            place = f"[{finding.start}:{finding.end}]"
            console.print(Text(f"   {finding.kind} {finding.score:.3f} {place}: {finding.reason}", style="yellow"))
        if passage.flags:
            console.print(Text(f"   flags: {', '.join(passage.flags)}", style="yellow"))
