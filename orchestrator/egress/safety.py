"""Safety filters: what may not stand in an output, whoever says it. Each has an id; none quotes what it found.

active_link     an address that runs code, or carries its content itself
link_host       an address on a host that no cited source holds: whoever renders the answer would call it
link_data       an address on a known host with a query or user that no cited source holds: data could ride on it
html            a tag that a browser would act on
hidden          characters that no reader sees: zero width, tags, bidirectional controls
control         control characters besides tab and end of line
prompt_leak     delimiters or words of the prompt
chat_template   a sign of a chat template, as if another turn began
secret          what looks like a key or a token, and stands in no cited quote
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from ingest.codepoints import strip
from retrieval.injection.delimiters import find as find_delimiters

if TYPE_CHECKING:
    from orchestrator.prompts.rendering import Prompted

LEAK: Final = "prompt_leak"
FILTERS: Final = {
    "active_link": "Addresses that run code or carry content (javascript:, data:) are not allowed.",
    "link_host": "Links and images may only point to hosts that a cited source names.",
    "link_data": "A link must be written exactly as a cited source writes it.",
    "html": "HTML is not allowed; write plain text.",
    "hidden": "There are characters that no reader can see.",
    "control": "There are control characters.",
    LEAK: "The text repeats the instructions or the delimiters of the prompt.",
    "chat_template": "There is a sign of a chat template.",
    "secret": "There is what looks like a key or a token.",
}

IN_QUOTES: Final = frozenset({"active_link"})  # filters that hold for verbatim quotes too


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyConfig:
    """What the filters look for."""

    # Words in a row that the system text and an output share before it counts as repeated: a sentence of rules has
    # some fifteen, a phrase that both may use by chance rarely more than six.
    leaked_words: int = 8
    min_token: int = 32  # characters of a random-looking word that counts as a token
    chat_score: float = 0.95  # of `retrieval.injection.delimiters`, from which on a sign counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaks:
    """What of a prompt must not come back."""

    nonces: frozenset[str]
    runs: frozenset[tuple[str, ...]]  # of words of the system text, `SafetyConfig.leaked_words` long

    @classmethod
    def of(cls, prompted: Prompted, config: SafetyConfig) -> Leaks:
        """Of the prompt's system turn, and of the rules that mark its data."""
        return _leaks(prompted.system, prompted.context.rules, config)


@lru_cache(maxsize=64)
def _leaks(system: str, rules: str, config: SafetyConfig) -> Leaks:
    return Leaks(
        nonces=frozenset(nonce.casefold() for nonce in _NONCE.findall(rules)),
        runs=frozenset(run for text in (system, rules) for run in _runs(text, config.leaked_words)),
    )


def violations(
    text: str, quotes: Sequence[str], sources: Sequence[str], leaks: Leaks, config: SafetyConfig | None = None
) -> tuple[str, ...]:
    """Ids of the filters that `text` fails, in the order of `FILTERS`. Any string will do; time is linear in it.

    `quotes` are the stored words that are cited for it, `sources` the texts that these stand in.
    """
    config = config or SafetyConfig()
    found = {*_links(text, sources), *_characters(text)}
    if "<" in text and _HTML.search(text):
        found.add("html")
    if _leaks_prompt(text, quotes, leaks, config):
        found.add(LEAK)
    if _MAY_BE_TEMPLATE.search(text) and any(one.score >= config.chat_score for one in find_delimiters(text)):
        found.add("chat_template")
    if _holds_secret(text, quotes, sources, config):
        found.add("secret")
    return tuple(name for name in FILTERS if name in found)


# Links

# "data: see below" is prose. As an address it may have a media type, and has a comma after that.
_ACTIVE: Final = re.compile(
    r"(?<![^\W_])(?:(?:java|vb|live)script[ \t]{0,3}:(?=\S)"
    r"|data:(?:[\w.+-]{1,40}/[\w.+-]{1,60})?(?:;[\w=.+-]{1,60}){0,4},)",
    re.IGNORECASE,
)
_ADDRESS: Final = re.compile(
    r"(?:(?<![^\W_])(?P<scheme>[a-z][a-z0-9+.-]{0,15}):[\\/]{2}|(?<=[(\s<\"'=:])[\\/]{2}(?=[^\W_])|(?<![\w.@])(?=www\.))"
    r"(?P<rest>[^\s<>\"'`|^{}]{1,2000})",
    re.IGNORECASE,
)
_HOST: Final = re.compile(r"(?:[^/\\?#@]*@)?(?P<host>\[[0-9a-f:.]+\]|[^/\\?#:()\[\]*,;!]+)", re.IGNORECASE)
_AFTER: Final = ".,;:!?)]*_"  # signs after an address that belong to the text
_TARGET: Final = re.compile(r"\]\(\s{0,3}<?(?P<target>[^\s()<>]{1,2000})|\]:\s{0,3}<?(?P<reference>[^\s<>]{1,2000})")

_ESCAPE: Final = re.compile(r"\\([!-/:-@\[-`{-~])")


def _links(text: str, sources: Sequence[str]) -> Iterator[str]:
    """Ids of the filters that the addresses in `text` fail, entities and escapes read as browser and Markdown do."""
    if not _MAY_BE_LINK.search(text):
        return
    for reading in dict.fromkeys((text, html.unescape(text), _ESCAPE.sub(r"\1", text))):
        if _ACTIVE.search(reading):
            yield "active_link"
        for found in _ADDRESS.finditer(reading):
            yield from _address_problems(found["rest"], sources)
        for target in _TARGET.finditer(reading):
            yield from _target_problems(target["target"] or target["reference"], sources)


_MAY_BE_LINK: Final = re.compile(
    r"[:\\/]{2}|www\.|\]\(|\]:|script|data|file|blob|view-source|jar|intent|about|&|mailto", re.I
)


def _address_problems(rest: str, sources: Sequence[str]) -> Iterator[str]:
    """What is wrong with an address, given without scheme: a cited source must hold its host, and then all of it."""
    host = _HOST.match(rest)
    if host is None or not any(_holds_host(host["host"].rstrip(".").casefold(), one.casefold()) for one in sources):
        yield "link_host"
    elif not any(rest.rstrip(_AFTER) in source for source in sources):
        yield "link_data"


def _holds_host(host: str, source: str) -> bool:
    """Whether a text names the host as a whole: not as a part of a longer name."""
    return re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", source) is not None


def _target_problems(address: str, sources: Sequence[str]) -> Iterator[str]:
    """What is wrong with the target of a link or image beyond what its host says.

    A relative one leads to the host that shows the answer, with whatever it carries.
    """
    if not (_ADDRESS.match(address) or address.startswith("#") or any(address in source for source in sources)):
        yield "link_host"


# Characters and tags

_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_HIDING: Final = frozenset({"tag", "variation", "emoji_style", "zero_width", "override"})
_HTML: Final = re.compile(
    r"<\s{0,3}/?\s{0,3}(?:script|img|iframe|object|embed|svg|math|style|link|meta|base|form|input|button|video|audio|source"
    r"|picture|body|html|template|frame|frameset|applet|a|area|map|details|marquee|table|td|textarea|select|isindex"
    r"|x-\w{1,20})(?=[\s/>])|<!--|<!\[CDATA|\bon[a-z]{3,20}\s{0,3}=\s{0,3}[\"'][^\"']{0,200}[\"']\s{0,3}/?>",
    re.IGNORECASE,
)


def _characters(text: str) -> Iterator[str]:
    if _CONTROL.search(text):
        yield "control"
    if not text.isascii() and any(run.kind in _HIDING for run in strip(text).removed):
        yield "hidden"


# What belongs to the prompt

_WORD: Final = re.compile(r"[^\W_]+")
_DELIMITER: Final = re.compile(r"<</?data\b", re.IGNORECASE)
_NONCE: Final = re.compile(r"<</?data (\w{8,})")
_MAY_BE_TEMPLATE: Final = re.compile(r"[<\[#|]|[\"']role|\b(?:END|BEGIN|START|STOP)|:\s", re.IGNORECASE)


def _leaks_prompt(text: str, quotes: Sequence[str], leaks: Leaks, config: SafetyConfig) -> bool:
    if _DELIMITER.search(text):
        return True
    if any(nonce in text.casefold() for nonce in leaks.nonces):
        return True
    repeated = [run for run in _runs(text, config.leaked_words) if run in leaks.runs]
    if not repeated:
        return False
    held = {run for quote in quotes for run in _runs(quote, config.leaked_words)}
    return any(run not in held for run in repeated)


def _runs(text: str, length: int) -> Iterator[tuple[str, ...]]:
    words = _WORD.findall(text.casefold())
    return (tuple(words[at : at + length]) for at in range(len(words) - length + 1))


# Secrets: the shapes that their issuers document, and long words that look random

_SECRET: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----"
    r"|(?<![A-Za-z0-9])(?:(?:AKIA|ASIA)[A-Z0-9]{16}|AIza[\w-]{35}|(?:sk|pk|rk)[-_][\w-]{16,200}|gh[pousr]_[A-Za-z0-9]{30,255}"
    r"|github_pat_\w{40,255}|glpat-[\w-]{20,64}|xox[abeprs]-[\w-]{10,200}|hv[sb]\.[\w-]{20,300}|npm_[A-Za-z0-9]{36}"
    r"|pypi-[\w-]{50,300}|SG\.[\w-]{16,64}\.[\w-]{16,64}|eyJ[\w-]{10,2000}\.[\w-]{10,4000}(?:\.[\w-]{0,2000})?"
    r"|ya29\.[\w-]{20,300})"
    r"|(?i:\bbearer\s{1,3}[\w.~+/-]{16,2000})"
    r"|(?i:\b(?:password|passwort|passwd|pwd|secret|api[-_ ]?key|token)\s{0,3}[:=]\s{0,3}"
    r"(?P<value>(?=[^\s,;]{0,40}\d)[^\s,;]{6,200}))"
)


def _holds_secret(text: str, quotes: Sequence[str], sources: Sequence[str], config: SafetyConfig) -> bool:
    """Whether a known shape stands in no quote, or a long word that looks random in no source (ids of links do)."""
    if any(not _within(found["value"] or found[0], quotes) for found in _SECRET.finditer(text)):
        return True
    words = (found[0] for found in _long_words(config.min_token).finditer(text))
    random = (word for word in words if any(map(str.isdigit, word)) and any(map(str.isalpha, word)))
    return any(not _within(word, sources) for word in random)


def _within(part: str, texts: Sequence[str]) -> bool:
    return any(part in text for text in texts)


@lru_cache(maxsize=4)
def _long_words(length: int) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9+=])[A-Za-z0-9+=]{{{length},}}")
