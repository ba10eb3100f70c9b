"""Which hosts the process may talk to: one list, asked before a name is resolved and again before a connection.

HTTP clients of our own take their connections from `orchestrator.guarded_http`. What libraries open by themselves is
held to the same list by `enforce`. Neither sees what compiled code does without Python's sockets (libpq, gRPC's core)
nor what another program does that this one starts; and a socket that is told to connect to a name asks the server of
names before it is refused. For these set the firewall of the machine (systemd's IPAddressDeny=, a NetworkPolicy) to
the same hosts.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from ingest.errors import BadInput

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

_PORTS: Final = {"https": 443, "http": 80, "postgresql": 5432}
# Services that hand out credentials of the machine, beside the link-local ones (169.254.169.254 and its like):
# AWS over IPv6, Alibaba, Oracle, Azure's wire server. From the providers' own documentation.
_METADATA: Final = frozenset(
    ipaddress.ip_address(one) for one in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
)
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_MOST_ADDRESSES: Final = 4096  # that are remembered as those of allowed names
_MOST_REFUSED: Final = 100  # that are told apart in the count of refusals


class HostNotAllowed(BadInput, PermissionError):
    """The process may not talk to that host. Also an OSError, so that libraries take it for a failed connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One host that the process may talk to."""

    scheme: str  # https, http, or what the URL of a database begins with
    host: str  # a name in ASCII and lower case, or an address
    port: int
    local: bool = False  # whether it may have an address that the internet does not route


@dataclass(frozen=True, slots=True, kw_only=True)
class AllowList:
    """The hosts that the process may talk to. Made by `allow_list`; empty: none."""

    endpoints: frozenset[Endpoint] = frozenset()

    def check(self, scheme: str, host: str, port: int | None) -> Endpoint:
        """The entry for what a URL names; raises HostNotAllowed when there is none."""
        host = plain_host(host)
        port = port or _PORTS.get(scheme, 0)
        for endpoint in self.endpoints:
            if (endpoint.scheme, endpoint.host, endpoint.port) == (scheme, host, port):
                return endpoint
        raise refusal(host, port, f"{scheme}://{host}:{port} is not among the hosts that are configured.")

    def named(self, host: str, port: int | None = None) -> Endpoint | None:
        """The entry for a host, and for a port where one is given, whatever is spoken there."""
        host = plain_host(host)
        found = (one for one in self.endpoints if one.host == host and port in (None, one.port))
        return next(found, None)


def allow_list(urls: Iterable[str], *, local_hosts: Iterable[str] = ()) -> AllowList:
    """The list that lets through exactly these URLs' hosts, with their scheme and port.

    `local_hosts` are the names that may have an address within one's own network, as `ollama.internal`; a private
    address that stands in a URL, and `localhost`, are taken at their word. URLs of files and of sockets name no host
    and add nothing. Raises BadInput for a URL that cannot be used, for one without encryption that leaves the own
    network, and for the machine's metadata service.
    """
    local = {plain_host(host) for host in local_hosts}
    return AllowList(endpoints=frozenset(one for url in urls if (one := _endpoint(url, local)) is not None))


def _endpoint(url: str, local_hosts: set[str]) -> Endpoint | None:
    step = "Write it as https://host or https://host:port."
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.partition("+")[0].lower(), parts.hostname or "", parts.port
    except ValueError as error:
        raise BadInput("allowed hosts", "bad_url", "One of the configured URLs cannot be read.", step) from error
    if not host and scheme not in ("", "http", "https"):
        return None
    port = port or _PORTS.get(scheme)
    if not host or port is None:
        raise BadInput(host or "allowed hosts", "bad_url", "The URL names no host, or no port.", step)
    host = plain_host(host)
    ip = _as_ip(host)
    if ip is not None:
        check_address(host, host=host, port=port, local=True)
    local = host in local_hosts or host == "localhost" or (ip is not None and not ip.is_global)
    if scheme == "http" and not local:
        cause = f"http://{host} would carry questions and keys in clear text beyond the own network."
        raise BadInput(host, "clear_text", cause, "Use https, or name the host among the local hosts if it is one.")
    return Endpoint(scheme=scheme, host=host, port=port, local=local)


def plain_host(host: str) -> str:
    """The one way to write a host: ASCII, lower case, no dot at the end, an address in its short form.

    Raises BadInput for what cannot be a host.
    """
    host = host.strip().rstrip(".").lower()
    address = _as_ip(host)
    if address is not None:
        return str(address)
    try:
        return host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise BadInput(
            "host", "bad_host", "A host's name has characters that no name may have.", "Correct it."
        ) from error


def check_address(address: str, *, host: str, port: int, local: bool) -> None:
    """Raise HostNotAllowed for an address that a name of the internet must not have.

    That is one of the own network, unless the host is `local`, and for every host one of the machine's metadata service
    (all link-local addresses) or of none at all.
    """
    written = _as_ip(address)
    if written is None:
        raise refusal(host, port, f"{host} has no address that can be read.")
    ip = _carried(written)
    if ip.is_link_local or ip in _METADATA:
        raise refusal(host, port, f"{address} is link-local or a metadata service, which hands out credentials.")
    if ip.is_unspecified or ip.is_multicast:
        raise refusal(host, port, f"{address} is no address of one machine.")
    if not local and not ip.is_global:
        cause = f"{host} is a public name that has the private address {address}."
        raise refusal(host, port, cause, "If it is a host of your own network, name it among the local hosts.")


def check_addresses(endpoint: Endpoint, addresses: Iterable[str]) -> tuple[str, ...]:
    """The addresses of an allowed host, when all may be used; raises HostNotAllowed for the first that may not.

    All, since a name that has a forbidden address beside a good one is one that is being rebound.
    """
    found = tuple(dict.fromkeys(addresses))
    for address in found:
        check_address(address, host=endpoint.host, port=endpoint.port, local=endpoint.local)
    return found


def refusal(host: str, port: int | None, cause: str, step: str = "") -> HostNotAllowed:
    """The error for a host that may not be talked to."""
    step = step or "If the process shall talk to it, add it to the allowed hosts."
    return HostNotAllowed(f"{host}:{port}" if port else host, "host_not_allowed", cause, step)


def refusal_in(error: BaseException) -> HostNotAllowed | None:
    """The refusal that another error was made from, as SDKs wrap it; None where there is none."""
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        if isinstance(current, HostNotAllowed):
            return current
        seen.add(id(current))
        current = current.__cause__ or current.__context__
    return None


def _as_ip(host: str) -> IpAddress | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _carried(ip: IpAddress) -> IpAddress:
    """The IPv4 address within an IPv6 one, where the packet ends up."""
    if isinstance(ip, ipaddress.IPv6Address):
        if ip in _NAT64:
            return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
        return ip.ipv4_mapped or ip.sixtofour or ip
    return ip


class ProcessGuard:
    """Holds every Python socket of this process to a list. Installed by `enforce`, for as long as the process lives."""

    def __init__(self, allowed: AllowList, *, loopback: bool = True) -> None:
        self.allowed = allowed  # may be replaced
        self.refused: dict[str, int] = {}  # what was refused, as host:port, and how often
        self._loopback = loopback  # whether all of this machine's own services may be talked to
        self._names: OrderedDict[str, str] = OrderedDict()  # address to the allowed name that has it
        self._lock = threading.Lock()
        self._resolve: Callable[..., list[Any]] = socket.getaddrinfo
        self._checks: dict[str, Callable[[tuple[Any, ...]], None]] = {
            "socket.connect": lambda args: self._check_connection(args[0].family, args[1]),
            "socket.sendto": lambda args: self._check_connection(args[0].family, args[1]),
            "socket.sendmsg": lambda args: self._check_connection(args[0].family, args[1]),
            "socket.getaddrinfo": lambda args: self._check_name(args[0]),
            "socket.gethostbyname": lambda args: self._check_name(args[0]),
            "socket.gethostbyaddr": lambda args: self._check_name(args[0]),
        }

    def install(self) -> None:
        """Begin to refuse. Cannot be undone: an audit hook stays (PEP 578)."""
        socket.getaddrinfo = self.getaddrinfo
        sys.addaudithook(self._hook)

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> list[Any]:
        """As socket.getaddrinfo; remembers the addresses of allowed names, since a connection names only an address."""
        found = self._resolve(host, port, *args, **kwargs)
        name = _text(host)
        if name and _as_ip(name) is None and not self._is_own(name):
            endpoint = self.allowed.named(name)
            assert endpoint is not None  # the hook has refused other names
            with self._lock:
                for address in check_addresses(endpoint, (str(one[4][0]) for one in found)):
                    self._names[str(_as_ip(address))] = endpoint.host
                    self._names.move_to_end(str(_as_ip(address)))
                while len(self._names) > _MOST_ADDRESSES:
                    self._names.popitem(last=False)
        return found

    def _hook(self, event: str, args: tuple[Any, ...]) -> None:
        check = self._checks.get(event)
        if check is None:
            return
        try:
            check(args)
        except HostNotAllowed as error:
            if error.item in self.refused or len(self.refused) < _MOST_REFUSED:
                self.refused[error.item] = self.refused.get(error.item, 0) + 1
            raise

    def _check_name(self, given: Any) -> None:
        name = _text(given)
        if not name or _as_ip(name) is not None or self._is_own(name):
            return  # nothing is asked of any server of names
        if self.allowed.named(name) is None:
            raise refusal(name, None, f"{name} is not among the hosts that are configured.")

    def _check_connection(self, family: int, address: Any) -> None:
        if family == socket.AF_UNIX or address is None:  # None: sent over what is connected already
            return
        if family not in (socket.AF_INET, socket.AF_INET6):
            raise refusal("socket", None, "Only IP and Unix sockets may be used.")
        host, port = _text(address[0]), int(address[1])
        ip = _as_ip(host)
        if self._is_own(host) or (self._loopback and ip is not None and ip.is_loopback):
            return
        if ip is None:
            raise refusal(host, port, f"{host} was not resolved before the connection, so its address is unknown.")
        names = (str(ip), self._names.get(str(ip)))
        endpoint = next((one for name in names if name and (one := self.allowed.named(name, port))), None)
        if endpoint is None:
            raise refusal(host, port, f"{host}:{port} is not among the hosts that are configured.")
        check_address(str(ip), host=endpoint.host, port=port, local=endpoint.local)

    def _is_own(self, name: str) -> bool:
        return self._loopback and name == "localhost"


def enforce(allowed: AllowList, *, loopback: bool = True) -> ProcessGuard:
    """From now on the process resolves and connects to the listed hosts only, and to itself where `loopback`.

    A refused call raises HostNotAllowed in whoever made it. Listening is not touched. Child processes are not held to
    it unless they call this too. Costs under 1 us for each audit event of the interpreter.
    """
    guard = ProcessGuard(allowed, loopback=loopback)
    guard.install()
    return guard


def _text(host: Any) -> str:
    if host is None:
        return ""
    return (host.decode("ascii", "replace") if isinstance(host, bytes | bytearray) else str(host)).rstrip(".").lower()
