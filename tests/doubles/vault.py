"""Stands for HashiCorp Vault's key-value store, version 2, on a loopback socket."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class VaultDouble:
    """What it holds: path to version and value; a value of None was deleted."""

    url: str = ""
    token: str = "root-token"
    secrets: dict[str, tuple[int, str | None]] = field(default_factory=dict)
    broken: str | None = None  # a body to answer in place of JSON
    asked: list[str] = field(default_factory=list)


@contextmanager
def vault_double() -> Iterator[VaultDouble]:
    """A Vault that is there until the block ends."""
    double = VaultDouble()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            double.asked.append(self.path)
            status, body = _answer(double, self.path, self.headers.get("X-Vault-Token"))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    double.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield double
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _answer(double: VaultDouble, path: str, token: str | None) -> tuple[int, bytes]:
    if token != double.token:
        return 403, json.dumps({"errors": ["permission denied"]}).encode()
    if double.broken is not None:
        return 200, double.broken.encode()
    version, value = double.secrets.get(path.removeprefix("/v1/"), (0, None))
    if value is None:
        return 404, json.dumps({"errors": []}).encode()
    return 200, json.dumps({"data": {"data": {"value": value}, "metadata": {"version": version}}}).encode()
