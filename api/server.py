"""Runs the HTTP API with uvicorn, behind API keys unless told otherwise."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import sys
from contextlib import nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn

from api.cli.options import local_user, make_principal, run
from api.http import make_app
from api.keys import OWNER_ROLES, KeyRing, load_keys, make_first_key
from ingest.errors import BadInput, GroundwireError
from orchestrator.governance import Governance, allowed_hosts
from orchestrator.network import enforce
from orchestrator.retention import expire
from orchestrator.services import open_services
from orchestrator.settings import Settings
from orchestrator.telemetry.logs import configure_logs
from retrieval.access import Principal

logger = logging.getLogger(__name__)

DAY_S: Final = 86_400.0
LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(settings: Settings, *, as_json: bool = False) -> None:
    """Serve until stopped. Raises BadInput for open access on an address that others reach."""
    run(_serve(settings, _callers(settings), as_json=as_json))


async def _serve(settings: Settings, callers: KeyRing | Principal, *, as_json: bool) -> None:
    configure_logs(settings.log_format, settings.log_level.upper())
    async with open_services(settings) as services:
        if settings.network_guard:  # after the start, when a model may have been fetched from its hub
            guard = enforce(allowed_hosts(settings, services.gateway.usable))
            services.metrics.count_refusals(lambda: sum(guard.refused.values()))
        app = make_app(nullcontext(services), settings, callers)
        listener = _listen(settings)
        host, port = listener.getsockname()[:2]
        url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        print(json.dumps({"url": url}) if as_json else f"Serving {settings.home} on {url}", flush=True)  # noqa: T201
        gc.freeze()  # what was made to start up stays: the collector need not walk it while questions are answered
        # its own log settings would print the texts of exceptions
        config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=10)
        over = asyncio.Event()
        expiring = asyncio.create_task(_expire_daily(services.governance, over))
        try:
            await uvicorn.Server(config).serve(sockets=[listener])
        finally:
            over.set()
            await expiring


async def _expire_daily(governance: Governance, over: asyncio.Event) -> None:
    """What may be kept no longer goes once a day, the first time at the start. A failure waits for the next day."""
    while not over.is_set():
        try:
            await asyncio.to_thread(expire, governance, datetime.now(UTC))
        except Exception as error:  # noqa: BLE001 - the server goes on; the log tells of it
            code = error.code if isinstance(error, GroundwireError) else type(error).__name__
            logger.warning("nothing expired", extra={"code": code})
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), DAY_S)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server((settings.host, settings.port), family=family)
        # asyncio does this only for sockets that name their protocol; without it each answer waits 40 ms for its ACK
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        cause = f"Nothing can listen on {settings.host}:{settings.port} ({error.strerror})."
        raise BadInput("--port", "port_taken", cause, "Choose another with --port; 0 takes any free one.") from error


def _callers(settings: Settings) -> KeyRing | Principal:
    if settings.open_access:
        if settings.host not in LOOPBACK:
            cause = f"Open access on {settings.host} would let everyone read everything."
            raise BadInput("--open", "open_to_others", cause, "Serve on 127.0.0.1, or use API keys.")
        return make_principal(
            settings, subject=None, groups="", roles=",".join(OWNER_ROLES), tenant="default", clearance=None, regions=""
        )
    file = settings.api_keys_file or settings.home / "api-keys.yaml"
    if not file.exists():
        _announce_key(file)
    return load_keys(file)


def _announce_key(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    key = make_first_key(file, local_user())
    print(f"Made an API key for you. It is shown this once: {key}", file=sys.stderr)  # noqa: T201
