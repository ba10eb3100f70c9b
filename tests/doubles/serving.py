"""Runs an ASGI app on a loopback socket of its own, in a thread: for doubles of other people's services."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

HOST = "127.0.0.1"


class Stage:
    """An app in place of which another can be put while it is served: starting a server for each test is slow."""

    def __init__(self) -> None:
        self.app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def listening_socket(port: int = 0) -> socket.socket:
    """A socket that already listens, so that nobody has to wait until the server has started."""
    # With the protocol named, asyncio turns Nagle's algorithm off; otherwise each answer takes 40 ms longer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, port))
    listener.listen(512)
    return listener


def new_server(app: Any) -> uvicorn.Server:
    """A quiet server for `app`."""
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="critical",
            access_log=False,
            lifespan="off",
            date_header=False,  # apps set their own where it matters
            timeout_graceful_shutdown=1,
        )
    )


@contextmanager
def serving(app: Any) -> Iterator[str]:
    """Address at which `app` answers, as http://127.0.0.1:PORT, until the block ends."""
    server, listener = new_server(app), listening_socket()
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True, name="double")
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=10)
        listener.close()


def serve_by_hand(app: Any, port: int) -> None:
    """Serve in the foreground until interrupted, for demos and benchmarks; prints the address."""
    listener = listening_socket(port)
    sys.stdout.write(f"http://{HOST}:{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    new_server(app).run(sockets=[listener])
