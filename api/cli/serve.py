"""`groundwire serve`: the HTTP API and the web page."""

from __future__ import annotations

from pathlib import Path

import click

from api.cli.options import common, load_settings


@click.command("serve")
@click.option("--host", metavar="ADDRESS", help="Address to listen on; default: this machine only.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0: any free one.")
@click.option("--open", "open_access", is_flag=True, default=None, help="No key: every caller is the local user.")
@common
def command(home: Path | None, as_json: bool, host: str | None, port: int | None, open_access: bool | None) -> None:
    """Serve the HTTP API and the web page until stopped. Callers need a key of `api-keys.yaml` at home."""
    from api.server import serve

    serve(load_settings(home, host=host, port=port, open_access=open_access), as_json=as_json)
