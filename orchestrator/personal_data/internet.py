"""E-mail addresses, IP addresses and URLs."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from orchestrator.personal_data.detection import Cue, Entity, words

# Every pattern has bounded repeats and is tried only beside a sign that all such addresses hold ("@", ":", a digit).
_LABEL: Final = r"[^\W_](?:[\w-]{0,61}[^\W_])?"  # RFC 1035, 2.3.4, letters of all scripts
_TOP: Final = r"(?:xn--[a-z0-9-]{2,59}|[a-z]{2,24}|[^\W\d_a-z]{2,24})(?![a-z0-9@])"
_HOST: Final = re.compile(rf"(?:{_LABEL}\.){{1,8}}{_TOP}", re.IGNORECASE)
_LOCAL: Final = re.compile(r"[\w.+%'~-]{1,64}\Z")  # 64: RFC 5321, 4.5.3.1.1; signs that stand in real ones
_UNSPACED: Final = re.compile(r"[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af](?=[\x21-\x7e]+\Z)")
_FILES: Final = frozenset(words("png jpg jpeg gif svg webp ico bmp css js ts json md html htm pdf zip gz"))
_BRACKETED_AT: Final = r"[ \t]?[(\[{<][ \t]?(?:at|arroba)[ \t]?[)\]}>][ \t]?"
_SPELLED_AT: Final = re.compile(rf"{_BRACKETED_AT}|[ \t](?:at|arroba)[ \t]", re.IGNORECASE)
_DOT: Final = r"(?:[ \t]?[(\[{<][ \t]?(?:dot|punto|punkt|\.)[ \t]?[)\]}>][ \t]?|[ \t](?:dot|punto|punkt)[ \t])"
_SPELLED_LOCAL: Final = re.compile(rf"[\w+-]{{1,32}}(?:(?:{_DOT}|\.)[\w+-]{{1,32}}){{0,3}}\Z", re.IGNORECASE)
_SPELLED_HOST: Final = re.compile(
    rf"{_LABEL}(?:(?:{_DOT}|\.){_LABEL}){{0,3}}{_DOT}(?:[a-z]{{2,24}})(?![\w@])", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailDetector:
    """EMAIL_ADDRESS, international names included."""

    disguised: bool = True  # whether "name (at) host (dot) com" counts
    name: str = "email"
    types: frozenset[str] = frozenset({"EMAIL_ADDRESS"})

    def detect(self, text: str) -> Iterator[Entity]:
        """The addresses of `text`."""
        at = text.find("@")
        while at >= 0:
            yield from _address(text, at, at + 1, _LOCAL, _HOST)
            at = text.find("@", at + 1)
        for spelled in _SPELLED_AT.finditer(text) if self.disguised else ():
            bracketed = not spelled[0].strip().isalpha()
            found = list(_address(text, *spelled.span(), _SPELLED_LOCAL, _SPELLED_HOST))
            yield from found or (_address(text, *spelled.span(), _SPELLED_LOCAL, _HOST) if bracketed else ())


def _address(text: str, start: int, end: int, local: re.Pattern[str], host: re.Pattern[str]) -> Iterator[Entity]:
    """The address whose "@" is [start, end), if what stands on both sides makes one."""
    right = host.match(text, end)
    if right is None or right[0].rpartition(".")[2].lower() in _FILES:
        return
    left = local.search(text, max(0, start - 128), start)
    if left is None or left[0].endswith("."):
        return
    name = left[0]
    if foreign := _UNSPACED.search(name):
        name = name[foreign.end() :]
    name = name.lstrip(".'%~-")
    if name:
        yield Entity(type="EMAIL_ADDRESS", start=start - len(name), end=right.end())


_V4: Final = re.compile(r"\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}")
_V6_HINT: Final = re.compile(r":[0-9A-Fa-f]{0,4}:")
_V6_RUN: Final = re.compile(r"[0-9A-Fa-f:.]{0,45}")
_V6_HEAD: Final = re.compile(r"[0-9A-Fa-f]{0,4}\Z")
_VERSION: Final = Cue(r"(?:v|version|release|build|firmware|driver|v\.|ver\.?)[ :=]{0,2}\Z", before=12)


# RFC 6890: every machine's own address, none, examples in documents; and masks, which are written like addresses.
_NOBODY: Final = tuple(
    map(
        ipaddress.ip_network,
        words("127.0.0.0/8 0.0.0.0/32 192.0.2.0/24 198.51.100.0/24 203.0.113.0/24 255.0.0.0/8 ::/127 2001:db8::/32"),
    )
)
_PRIVATE: Final = tuple(
    map(ipaddress.ip_network, words("10.0.0.0/8 172.16.0.0/12 192.168.0.0/16 169.254.0.0/16 fc00::/7 fe80::/10"))
)


@dataclass(frozen=True, slots=True, kw_only=True)
class IpDetector:
    """IP_ADDRESS, of both versions. Loopback, unspecified and documentation addresses are nobody's and never count."""

    private: bool = True  # whether addresses count that name a machine within one network only
    versions: bool = False  # whether four numbers after "version" or "v" count
    name: str = "ip"
    types: frozenset[str] = frozenset({"IP_ADDRESS"})

    def detect(self, text: str) -> Iterator[Entity]:
        """The addresses of `text`."""
        for found in _V4.finditer(text):
            if _stands_alone(text, *found.span()) and self._counts(text, *found.span()):
                yield Entity(type="IP_ADDRESS", start=found.start(), end=found.end())
        done = 0
        for hint in _V6_HINT.finditer(text):
            if hint.start() < done:
                continue
            head = _V6_HEAD.search(text, max(done, hint.start() - 4), hint.start())
            run = _V6_RUN.match(text, head.start() if head else hint.start())
            assert run is not None  # every part of it may be empty
            start, done = run.span()
            end = start + len(run[0].rstrip(".") if run[0].endswith("::") else run[0].rstrip(".:"))
            if _likely_v6(run[0]) and _stands_alone(text, start, end) and self._counts(text, start, end):
                yield Entity(type="IP_ADDRESS", start=start, end=end)

    def _counts(self, text: str, start: int, end: int) -> bool:
        try:
            address = ipaddress.ip_address(text[start:end])
        except ValueError:
            return False
        if any(address in network for network in _NOBODY if network.version == address.version):
            return False
        if not self.private and any(address in network for network in _PRIVATE if network.version == address.version):
            return False
        return self.versions or address.version == 6 or not _VERSION.near(text, start, end)


def _likely_v6(written: str) -> bool:
    """Whether this is no name of a program such as `a::b`."""
    return written.count(":") >= 3 or ("::" in written and any(map(str.isdigit, written)))


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether [start, end) is no part of a longer number, name or dotted row."""
    before, after = text[max(0, start - 2) : start], text[end : end + 2]
    if _ascii_word(before[-1:]) or _ascii_word(after[:1]):
        return False
    if before[:1].isdigit() and before[1:] in (".", ":", "-"):
        return False
    return not (after[:1] == "." and after[1:].isdigit())


def _ascii_word(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character == "_")


_URL: Final = re.compile(r"(?:https?://|www\.)[^\s<>\"'`\\|{}\[\]]{3,2000}", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlDetector:
    """URL: web addresses with a scheme or "www."."""

    name: str = "url"
    types: frozenset[str] = frozenset({"URL"})

    def detect(self, text: str) -> Iterator[Entity]:
        """The addresses of `text`, without the punctuation after them."""
        for found in _URL.finditer(text):
            end = found.start() + len(found[0].rstrip(".,;:!?)*_"))
            if end - found.start() > len("https://"):
                yield Entity(type="URL", start=found.start(), end=end)
