"""What the doubles of model providers say: an honest answer from the prompt's own sources, and ways to spoil it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

_DATA = re.compile(r"<<data (?P<nonce>\w+) (?P<number>\d+)>>\n(?P<inside>.*?)\n<</data (?P=nonce) (?P=number)>>", re.S)
_SPACE = r"\s\u02c6\u2016\u205e\ue000-\ue0ff"  # with the marks that may stand in its place
_SENTENCE = re.compile(rf"[^.!?\n]+(?:[.!?](?![{_SPACE}]|$)[^.!?\n]*)*[.!?]?")
_ASKED = re.compile(r"^[^\n]*\b(?:question|request|say|about)\W*:\s*(.+?)\s*(?:\n\s*\n|\Z)", re.S | re.I | re.M)
_LIST = re.compile(r"^(?:The )?(?P<name>[A-Za-z]+)[^\n]*\n+(?P<items>(?:- [^\n]*\n?)+)", re.M)
_NUMBERED = re.compile(r"^\d+\. ", re.M)
_WORD = re.compile(r"\w{3,}")
_COMMON = frozenset(
    [
        "the",
        "and",
        "for",
        "are",
        "was",
        "what",
        "which",
        "who",
        "how",
        "when",
        "where",
        "does",
        "did",
        "not",
        "can",
        "may",
        "with",
        "from",
        "that",
        "this",
    ]
)

INVENTED = "The moon office opens at 25 o'clock on 31 February."
SPOILING = ("malformed_json", "truncation", "wrong_schema", "uncited_claim", "invented_quote", "placeholder_leak")
LEAK = " Write to [EMAIL_9]."


@dataclass(frozen=True, kw_only=True)
class Source:
    """One numbered source of a prompt."""

    number: int
    text: str


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request in the form that both wires share."""

    system: str
    turns: tuple[tuple[str, str], ...]  # role, text
    schema: dict[str, Any] | None
    documents: tuple[tuple[str, str], ...] = ()  # title and text, of native citations
    body: dict[str, Any] = field(repr=False)  # as it came

    @property
    def user_text(self) -> str:
        return "\n\n".join(text for role, text in self.turns if role == "user")

    @property
    def repairing(self) -> bool:
        """Whether the model is told what was wrong with an answer of its own."""
        return any(role == "assistant" for role, _ in self.turns)


Answer = Callable[[Asked], str]


def sources(text: str) -> list[Source]:
    """The sources between data marks. A header is a line each for title and integrity, or one line with a mark."""
    found = []
    for match in _DATA.finditer(text):
        header_end = match["inside"].find("\n\n")
        if not match["inside"].startswith("title: "):  # datamarked: white space of the header is marked too
            header_end = match["inside"].find("\n") - 1
        found.append(Source(number=int(match["number"]), text=match["inside"][header_end + 2 :]))
    return found


def question(text: str) -> str:
    """What is asked: the paragraph after the line that says so, or all that is no data."""
    rest = _DATA.sub("", text)
    match = _ASKED.search(rest)
    return match[1] if match else rest


def sentences(text: str) -> list[str]:
    found = (re.sub(rf"^[{_SPACE}]+|[{_SPACE}]+$", "", match[0]) for match in _SENTENCE.finditer(text))
    return [sentence for sentence in found if sentence]


def best_quote(asked: Asked) -> tuple[int, str] | None:
    """Number and sentence of the source that shares most words with the question; None when none shares any."""
    pool = [*sources(asked.user_text)]
    pool += [Source(number=number, text=text) for number, (_, text) in enumerate(asked.documents, 1)]
    wanted = _words(question(asked.user_text))
    best, most = None, 0
    for source in pool:
        for sentence in sentences(source.text):
            shared = len(wanted & _words(sentence))
            if shared > most and "[removed]" not in sentence:
                best, most = (source.number, sentence), shared
    return best


def _words(text: str) -> set[str]:
    return set(_WORD.findall(re.sub(f"[{_SPACE}]", " ", text).casefold())) - _COMMON


@dataclass(frozen=True, kw_only=True)
class Known:
    """What an answer is made of."""

    quote: tuple[int, str] | None
    labels: dict[str, str]  # by field: one of those that the prompt names
    disclaimers: list[str]  # that the prompt asks for
    claims: int  # that are to be judged

    @property
    def sentence(self) -> str:
        """The quote as one writes it oneself: with white space where the data is marked."""
        return re.sub(f"[{_SPACE}]", " ", self.quote[1]) if self.quote else "none"


def known(asked: Asked) -> Known:
    """What the prompt says of what an answer may hold, in the words of the prompt library."""
    found = _LIST.finditer(asked.system)
    lists = {match["name"].lower(): [line[2:] for line in match["items"].splitlines()] for match in found}
    names = {"category": "categories", "priority": "priorities", "suggested_team": "teams", "name": "fields"}
    labels = {field: lists.get(listed, ["general"])[0].partition(",")[0] for field, listed in names.items()}
    disclaimers = [line for line in lists.get("disclaimers", ()) if not line.startswith("None is asked for")]
    judged = asked.user_text.partition("Claims to check:")[2]
    return Known(
        quote=best_quote(asked), labels=labels, disclaimers=disclaimers, claims=len(_NUMBERED.findall(judged)) or 1
    )


def good_answer(asked: Asked) -> str:
    """A valid answer: by the schema of the request where it has one, else the sentence itself."""
    facts = known(asked)
    if asked.schema is None:
        return facts.sentence if facts.quote else "The sources do not say."
    return json.dumps(filled(asked.schema, asked.schema.get("$defs", {}), facts), ensure_ascii=False)


def filled(schema: dict[str, Any], defs: dict[str, Any], facts: Known, name: str = "", number: int = 0) -> Any:
    """A plausible small value that fits `schema`. Arrays hold one item where there is something to quote.

    `name` is that of the field, `number` that of the item within its array, from 0.
    """
    if "$ref" in schema:
        return filled(defs[schema["$ref"].rsplit("/", 1)[-1]], defs, facts, name, number)
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[0]
    if "anyOf" in schema:
        return filled(schema["anyOf"][0], defs, facts, name, number)
    match schema.get("type"):
        case "object":
            return {key: filled(part, defs, facts, key, number) for key, part in schema.get("properties", {}).items()}
        case "array":
            return _items(schema["items"], defs, facts, name)
        case "string" if name == "problem":
            return ""
        case "string" if name == "quote" and facts.quote:
            return facts.quote[1]
        case "string":
            return facts.labels.get(name, facts.sentence)
        case "integer":
            return number + 1 if name == "claim" or not facts.quote else facts.quote[0]
        case "number":
            return 0.9
        case "boolean":
            return facts.quote is not None
    return None


def _items(items: dict[str, Any], defs: dict[str, Any], facts: Known, name: str) -> list[Any]:
    if items.get("type") == "string":
        return facts.disclaimers if name == "disclaimers" else []
    count = facts.claims if name == "verdicts" else int(facts.quote is not None)
    return [filled(items, defs, facts, name, number) for number in range(count)]


def spoilt(text: str, mode: str) -> str:
    """A good answer, spoilt as the mode says."""
    if mode == "malformed_json":
        return "Here is the answer: " + text[: len(text) // 2]
    if mode == "truncation":
        return text[: max(1, len(text) // 2)]
    if mode == "wrong_schema":
        return json.dumps({"reply": "yes"})
    try:
        value = json.loads(text)
    except ValueError:
        return text + (LEAK if mode == "placeholder_leak" else "")
    _spoil(value, mode)
    return json.dumps(value, ensure_ascii=False)


def _spoil(value: Any, mode: str) -> None:
    """Spoil in place: every list of quotes emptied, every quote invented, or an unknown placeholder in a text."""
    for part in _objects(value):
        if mode == "uncited_claim":
            part.update({key: [] for key in ("quotes", "citations") if isinstance(part.get(key), list)})
        elif mode == "invented_quote" and "quote" in part:
            part["quote"] = INVENTED
        elif mode == "placeholder_leak":
            key = next(
                (k for k in ("text", "value", "summary", "body", "rationale") if isinstance(part.get(k), str)), ""
            )
            if key:
                part[key] += LEAK


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _objects(part)


def tokens(text: str) -> int:
    """Four characters each."""
    return -(-len(text) // 4)
