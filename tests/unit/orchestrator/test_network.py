"""The hosts that the process may talk to."""

from __future__ import annotations

import asyncio
import ipaddress
import pickle
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput
from orchestrator.guarded_http import guarded_client, guarded_sync_client
from orchestrator.network import (
    AllowList,
    HostNotAllowed,
    allow_list,
    check_address,
    plain_host,
    refusal,
    refusal_in,
)

ROOT = Path(__file__).parents[3]
ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"


class Listener:
    """An HTTP server that counts who connected."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.connections = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port)) as last:
            last.sendall(b"STOP")
        self._thread.join(5)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with connection:
                if connection.recv(65536).startswith(b"STOP"):
                    return
                self.connections += 1
                connection.sendall(self.answer)


@contextmanager
def listening(answer: bytes = ANSWER) -> Iterator[Listener]:
    listener = Listener(answer)
    try:
        yield listener
    finally:
        listener.close()


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Names with their addresses, in place of a server of names."""
    known: dict[str, list[str]] = {}
    real: Callable[..., list[Any]] = socket.getaddrinfo

    def resolve(host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        if name not in known:
            return real(host, port, *args, **kwargs)
        return [found for address in known[name] for found in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return known


@contextmanager
def refused(words: str = "") -> Iterator[None]:
    with pytest.raises(httpx2.ConnectError) as failed:
        yield
    cause = refusal_in(failed.value)
    assert cause is not None
    assert cause.code == "host_not_allowed"
    assert words in str(cause)


async def _get(allowed: AllowList, url: str, **more: Any) -> httpx2.Response:
    async with guarded_client(allowed) as client:
        return await client.get(url, **more)


def _get_sync(allowed: AllowList, url: str) -> httpx2.Response:
    with guarded_sync_client(allowed) as client:
        return client.get(url)


BOTH = [lambda allowed, url: asyncio.run(_get(allowed, url)), _get_sync]


@pytest.mark.parametrize("get", BOTH)
def test_a_listed_host_is_reached_and_another_is_refused_before_a_connection(get: Callable[..., Any]) -> None:
    """The listed server answers; one at another port sees no connection at all."""
    with listening() as listed, listening() as other:
        allowed = allow_list([listed.url])
        assert get(allowed, listed.url).text == "ok"
        with refused(str(other.port)):
            get(allowed, other.url)
        assert (listed.connections, other.connections) == (1, 0)


@pytest.mark.parametrize("get", BOTH)
def test_a_name_that_turns_out_to_be_a_private_address_is_refused(
    get: Callable[..., Any], names: dict[str, Any]
) -> None:
    """A public name rebound to one's own network reaches nothing there, also when one good address stands first."""
    with listening() as inside:
        url = f"https://api.example.com:{inside.port}"
        for addresses in (["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:10.0.0.1"]):
            names["api.example.com"] = addresses
            with refused("local hosts"):
                get(allow_list([url]), url)
        assert inside.connections == 0


@pytest.mark.parametrize("get", BOTH)
def test_a_name_of_ones_own_network_is_reached_when_it_is_said_to_be_one(
    get: Callable[..., Any], names: dict[str, Any]
) -> None:
    """`local_hosts` lets a private address through, and clear text to it; never the metadata service."""
    with listening() as inside:
        names["ollama.internal"] = ["127.0.0.1"]
        url = f"http://ollama.internal:{inside.port}"
        allowed = allow_list([url], local_hosts=["ollama.internal"])
        assert get(allowed, url).text == "ok"
        names["ollama.internal"] = ["169.254.169.254"]
        with refused("metadata"):
            get(allowed, url)


@pytest.mark.parametrize("get", BOTH)
def test_the_next_address_is_tried_when_one_does_not_answer(get: Callable[..., Any], names: dict[str, Any]) -> None:
    """A host with one dead address is still reached."""
    with listening() as inside:
        names["two.internal"] = ["127.0.0.2", "127.0.0.1"]
        url = f"http://two.internal:{inside.port}"
        assert get(allow_list([url], local_hosts=["two.internal"]), url).text == "ok"


def test_a_redirect_leads_nowhere_else() -> None:
    """Redirects are not followed; when a caller asks for it all the same, the next host is held to the list."""
    with listening() as target:
        moved = b"HTTP/1.1 302 Found\r\nlocation: %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        with listening(moved % target.url.encode()) as first:
            assert asyncio.run(_get(allow_list([first.url]), first.url)).status_code == 302
            with refused():
                asyncio.run(_get(allow_list([first.url]), first.url, follow_redirects=True))
        assert target.connections == 0


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY and its like would send questions and keys to whoever set them."""
    with listening() as proxy, listening() as listed:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        assert asyncio.run(_get(allow_list([listed.url]), listed.url)).text == "ok"
        assert (proxy.connections, listed.connections) == (0, 1)


@pytest.mark.parametrize("sdk", ["anthropic", "openai"])
def test_the_sdks_of_models_take_the_client_and_the_refusal_can_be_told(sdk: str) -> None:
    """Both use it for every connection; their own error carries the refusal, so that it is not taken for an outage."""
    with listening() as listed, listening() as other:
        http = guarded_client(allow_list([listed.url]))

        async def call() -> None:
            if sdk == "anthropic":
                await anthropic.AsyncAnthropic(
                    api_key="k", base_url=other.url, http_client=http, max_retries=0
                ).models.list()
            else:
                await openai.AsyncOpenAI(api_key="k", base_url=other.url, http_client=http, max_retries=0).models.list()

        with pytest.raises((anthropic.APIConnectionError, openai.APIConnectionError)) as failed:
            asyncio.run(call())
        assert refusal_in(failed.value) is not None
        assert other.connections == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://api.anthropic.com",  # not encrypted
        "https://api.anthropic.com:8443",
        "https://api.anthropic.com.evil.example",
        "https://api.anthropic.com@evil.example",
        "https://evil.example",
        "https://xn--pi-0ka.anthropic.com",
        "https://169.254.169.254",
        "https://127.0.0.1",
        "https://2130706433",
        "https://[::1]",
        "https://[::ffff:169.254.169.254]",
    ],
)
def test_what_looks_like_a_listed_host_is_refused(url: str) -> None:
    """Scheme, name and port must all be the listed ones."""
    with refused():
        asyncio.run(_get(allow_list(["https://api.anthropic.com"]), url))


def test_ways_to_write_the_same_host_are_one() -> None:
    """Case, a dot at the end, the usual port and the form of an address make no difference."""
    allowed = allow_list(["https://API.Anthropic.com./v1", "http://[0:0:0:0:0:0:0:1]:8000", "https://bücher.example"])
    assert allowed.check("https", "api.anthropic.com.", None).port == 443
    assert allowed.check("https", "API.anthropic.com", 443).host == "api.anthropic.com"
    assert allowed.check("http", "::1", 8000).local
    assert allowed.check("https", "xn--bcher-kva.example", 443)


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://api.example.com", "clear_text"),
        ("http://93.184.216.34", "clear_text"),
        ("https://", "bad_url"),
        ("api.example.com", "bad_url"),
        ("https://host:notaport", "bad_url"),
        ("mysql://host", "bad_url"),
        ("http://169.254.169.254/latest", "host_not_allowed"),
        ("https://[fd00:ec2::254]", "host_not_allowed"),
        ("http://0.0.0.0:80", "host_not_allowed"),
    ],
)
def test_a_list_that_would_be_unsafe_is_refused(url: str, code: str) -> None:
    """Clear text beyond the own network, a URL without host or port, and the metadata service cannot be listed."""
    with pytest.raises(BadInput) as bad:
        allow_list([url])
    assert bad.value.code == code


def test_databases_are_listed_by_their_url_without_their_password() -> None:
    """The host and port of a database count; a file and a socket add nothing."""
    allowed = allow_list(
        ["postgresql+psycopg://gw:hunter2@db.internal/gw", "sqlite:////tmp/ledger.db", "postgresql:///gw?host=/run/pg"],
        local_hosts=["db.internal"],
    )
    assert [(one.host, one.port, one.local) for one in allowed.endpoints] == [("db.internal", 5432, True)]
    assert "hunter2" not in repr(allowed)


@given(st.ip_addresses(v=4))
def test_every_private_address_is_refused_however_it_is_carried(address: ipaddress.IPv4Address) -> None:
    """An IPv4 address is judged alike alone, mapped, behind NAT64 and in 6to4."""
    number = int(address)
    forms = [
        str(address),
        str(ipaddress.IPv6Address((0xFFFF << 32) | number)),
        str(ipaddress.IPv6Address((0x64FF9B << 96) | number)),
        str(ipaddress.IPv6Address((0x2002 << 112) | (number << 80))),
    ]
    outcomes = []
    for form in forms:
        try:
            check_address(form, host="api.example.com", port=443, local=False)
            outcomes.append(True)
        except HostNotAllowed:
            outcomes.append(False)
    assert len(set(outcomes)) == 1
    assert not (outcomes[0] and (address.is_private or address.is_link_local or address.is_loopback))


@given(st.text())
def test_any_text_is_a_plain_host_or_a_named_error(text: str) -> None:
    """The way to write a host is settled after one pass, and what cannot be one raises BadInput."""
    try:
        host = plain_host(text)
    except BadInput:
        return
    assert plain_host(host) == host


def test_a_refusal_survives_a_process_boundary_and_chains_that_bite_their_tail() -> None:
    """It is pickled with its parts, and is found at the end of a chain of causes of any shape."""
    error = refusal("evil.example", 443, "It is not among the hosts.")
    again = pickle.loads(pickle.dumps(error))
    assert (again.item, again.code, str(again)) == (error.item, error.code, str(error))
    assert isinstance(error, OSError)
    loop = ValueError("a")
    loop.__cause__ = KeyError("b")
    loop.__cause__.__context__ = loop
    assert refusal_in(loop) is None
    loop.__cause__.__context__ = error
    assert refusal_in(loop) is error


GUARDED = """
import asyncio, http.client, json, socket, sqlite3, sys, threading, urllib.request
sys.path.insert(0, {root!r})
from orchestrator.network import HostNotAllowed, allow_list, enforce
from orchestrator.guarded_http import guarded_client

listed, other = {listed!r}, {other!r}
known = {{"models.example": ["127.0.0.2"], "good.internal": ["127.0.0.1"]}}
real = socket.getaddrinfo
def resolve(host, port, *args, **kwargs):  # stands for a server of names; asks nothing of the network
    sys.audit("socket.getaddrinfo", host, port, 0, 0, 0)
    return [one for address in known.get(host, [host]) for one in real(address, port, *args, **kwargs)]
socket.getaddrinfo = resolve
allowed = allow_list([listed, "https://models.example:%d" % {port}, "http://good.internal:%d" % {port}],
                     local_hosts=["good.internal"])
guard = enforce(allowed, loopback={loopback})
results = {{}}

def refused(name, call):
    try:
        call()
        results[name] = "went through"
    except HostNotAllowed:
        results[name] = "refused"
    except OSError as error:
        found, seen = error, []
        while found is not None and not isinstance(found, HostNotAllowed):
            found = getattr(found, "reason", None) or found.__cause__ or found.__context__
        results[name] = "refused" if found is not None else repr(error)

{body}
print(json.dumps(results))
"""


def _guarded(body: str, listed: str, other: str, port: int, *, loopback: bool) -> dict[str, Any]:
    script = GUARDED.format(
        root=str(ROOT), listed=listed, other=other, port=port, loopback=loopback, body=textwrap.dedent(body)
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    import json

    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_what_a_library_opens_by_itself_is_refused_in_the_whole_process() -> None:
    """Under `enforce` no way of Python's to open a connection, send a datagram or resolve a name leads elsewhere."""
    body = """
        def datagram(call):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                call(sender)
        async def streams():
            await asyncio.open_connection("127.0.0.1", int(other.rsplit(":", 1)[1]))
        def threaded():
            failures = []
            def run():
                try:
                    urllib.request.urlopen(other, timeout=2)
                except OSError as error:
                    failures.append(error)
            thread = threading.Thread(target=run); thread.start(); thread.join()
            raise failures[0]
        port = int(other.rsplit(":", 1)[1])
        refused("urllib", lambda: urllib.request.urlopen(other, timeout=2))
        refused("http.client", lambda: http.client.HTTPConnection("127.0.0.1", port, timeout=2).request("GET", "/"))
        refused("asyncio", lambda: asyncio.run(streams()))
        refused("thread", threaded)
        refused("sendto", lambda: datagram(lambda s: s.sendto(b"x", ("127.0.0.1", port))))
        refused("sendmsg", lambda: datagram(lambda s: s.sendmsg([b"x"], [], 0, ("127.0.0.1", port))))
        refused("connect by name", lambda: socket.socket().connect(("127.1", port)))
        refused("resolve", lambda: socket.getaddrinfo("telemetry.example.com", 443))
        refused("gethostbyname", lambda: socket.gethostbyname("telemetry.example.com"))
        refused("metadata", lambda: urllib.request.urlopen("http://169.254.169.254/latest", timeout=2))
        refused("rebound", lambda: socket.create_connection(("models.example", int(listed.rsplit(":", 1)[1])), 2))
        import requests
        refused("requests", lambda: requests.post(other, data="event", timeout=2))
        results["listed"] = urllib.request.urlopen(listed, timeout=2).read().decode()
        good = "http://good.internal:{port_of_listed}"
        results["resolved"] = urllib.request.urlopen(good, timeout=2).read().decode()
        results["counted"] = guard.refused.get(f"127.0.0.1:{port}", 0)
    """
    with listening() as listed, listening() as other:
        body = body.replace("{port_of_listed}", str(listed.port))
        found = _guarded(body, listed.url, other.url, listed.port, loopback=False)
        assert other.connections == 0
        assert listed.connections == 2
    assert found.pop("listed") == found.pop("resolved") == "ok"
    assert found.pop("counted") >= 6
    assert [name for name, outcome in found.items() if outcome != "refused"] == []


def test_the_server_works_under_the_guard() -> None:
    """uvicorn serves, SQLite writes and a guarded client asks, while a surprise call of a handler is refused."""
    body = """
        import tempfile, time, uvicorn
        from fastapi import FastAPI
        import httpx2
        app = FastAPI()
        database = sqlite3.connect(tempfile.mktemp(), check_same_thread=False)
        database.execute("create table t (x)")
        client = guarded_client(allowed)

        @app.get("/")
        async def handler():
            database.execute("insert into t values (1)"); database.commit()
            answer = (await client.get(listed)).text
            try:
                async with httpx2.AsyncClient() as telemetry:
                    await telemetry.get("http://telemetry.example.com/v1/events")
                return "leaked"
            except httpx2.ConnectError as error:
                return answer

        listener = socket.create_server(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}); thread.start()
        mine = "http://127.0.0.1:%d/" % listener.getsockname()[1]
        results["served"] = json.loads(urllib.request.urlopen(mine, timeout=10).read())
        results["rows"] = database.execute("select count(*) from t").fetchone()[0]
        results["refused"] = list(guard.refused)
        server.should_exit = True
        thread.join(10)
    """
    with listening() as listed:
        found = _guarded(body, listed.url, "", listed.port, loopback=True)
    assert found == {"served": "ok", "rows": 1, "refused": ["telemetry.example.com"]}
