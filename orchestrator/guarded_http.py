"""HTTP clients that can reach the listed hosts only. What they refuse is refused before any packet leaves.

The check is made for every request, redirects too, and once more for the address that a name turns out to have, on the
very address that is then connected to: a name that is rebound between the two finds no gap. No proxy, certificate or
password is taken from the environment.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpcore2
import httpx2

from orchestrator.network import AllowList, Endpoint, HostNotAllowed, check_addresses, refusal

SocketOptions = Iterable[httpcore2.SOCKET_OPTION] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """How connections are made."""

    connect_s: float = 5.0  # longest wait for a connection
    read_s: float = 30.0  # longest wait for the next bytes; callers that have a deadline give their own
    max_connections: int = 1000
    keep_alive: int = 100  # connections that are kept open while idle
    ca_file: Path | None = None  # certificates to trust in place of the usual ones


class GuardedTransport(httpx2.AsyncHTTPTransport):
    """For `httpx2.AsyncClient(transport=…)`. A refusal is an httpx2.ConnectError whose cause is a HostNotAllowed.

    So SDKs treat it as any failed connection; `network.refusal_in` finds it in whatever they make of it.
    """

    def __init__(self, allowed: AllowList, config: HttpConfig | None = None) -> None:
        config = config or HttpConfig()
        self._allowed = allowed
        self._pool = httpcore2.AsyncConnectionPool(**_pool(config), network_backend=_AsyncBackend(allowed))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to an allowed host."""
        with _refusing(request):
            _check(self._allowed, request)
            return await super().handle_async_request(request)


class GuardedSyncTransport(httpx2.HTTPTransport):
    """The same for `httpx2.Client(transport=…)`."""

    def __init__(self, allowed: AllowList, config: HttpConfig | None = None) -> None:
        config = config or HttpConfig()
        self._allowed = allowed
        self._pool = httpcore2.ConnectionPool(**_pool(config), network_backend=_SyncBackend(allowed))

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request to an allowed host."""
        with _refusing(request):
            _check(self._allowed, request)
            return super().handle_request(request)


def guarded_client(allowed: AllowList, config: HttpConfig | None = None) -> httpx2.AsyncClient:
    """A client for the SDKs of models (`http_client=`): follows no redirect, reads nothing of the environment."""
    config = config or HttpConfig()
    return httpx2.AsyncClient(
        transport=GuardedTransport(allowed, config), trust_env=False, follow_redirects=False, timeout=_timeout(config)
    )


def guarded_sync_client(allowed: AllowList, config: HttpConfig | None = None) -> httpx2.Client:
    """The same, for code that runs in a thread."""
    config = config or HttpConfig()
    return httpx2.Client(
        transport=GuardedSyncTransport(allowed, config),
        trust_env=False,
        follow_redirects=False,
        timeout=_timeout(config),
    )


def _timeout(config: HttpConfig) -> httpx2.Timeout:
    return httpx2.Timeout(config.read_s, connect=config.connect_s)


def _pool(config: HttpConfig) -> dict[str, Any]:
    if config.ca_file is not None:
        certificates = ssl.create_default_context(cafile=str(config.ca_file))
    else:
        certificates = httpx2.create_ssl_context(trust_env=False)
    return {
        "ssl_context": certificates,
        "max_connections": config.max_connections,
        "max_keepalive_connections": config.keep_alive,
        "keepalive_expiry": 60.0,
    }


@contextmanager
def _refusing(request: httpx2.Request) -> Iterator[None]:
    try:
        yield
    except HostNotAllowed as error:
        raise httpx2.ConnectError(str(error), request=request) from error


def _check(allowed: AllowList, request: httpx2.Request) -> None:
    allowed.check(request.url.scheme, request.url.raw_host.decode("ascii"), request.url.port)


def _endpoint(allowed: AllowList, host: str, port: int) -> Endpoint:
    endpoint = allowed.named(host, port)
    if endpoint is None:
        raise refusal(host, port, f"{host}:{port} is not among the hosts that are configured.")
    return endpoint


def _addresses(found: Iterable[Any]) -> list[str]:
    return [str(one[4][0]) for one in found]


class _AsyncBackend(httpcore2.AsyncNetworkBackend):
    """Connects to the addresses that were checked, one after the other."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed
        self._real = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the library's name
        local_address: str | None = None,
        socket_options: SocketOptions = None,
    ) -> httpcore2.AsyncNetworkStream:
        endpoint = _endpoint(self._allowed, host, port)
        try:
            async with asyncio.timeout(timeout):
                found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError as error:
            raise httpcore2.ConnectTimeout(f"{host} was not resolved in time") from error
        except socket.gaierror as error:
            raise httpcore2.ConnectError(f"{host} has no address ({error.strerror})") from error
        failed: Exception | None = None
        for address in check_addresses(endpoint, _addresses(found)):
            try:
                return await self._real.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore2.ConnectError(f"{host} has no address")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _SyncBackend(httpcore2.NetworkBackend):
    """The same without an event loop. The system's resolver has its own deadline."""

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed
        self._real = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: SocketOptions = None,
    ) -> httpcore2.NetworkStream:
        endpoint = _endpoint(self._allowed, host, port)
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise httpcore2.ConnectError(f"{host} has no address ({error.strerror})") from error
        failed: Exception | None = None
        for address in check_addresses(endpoint, _addresses(found)):
            try:
                return self._real.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore2.ConnectError(f"{host} has no address")
