"""A provider's own citations as the text of a grounded answer, so that egress verifies them like any other's."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

_SENTENCE_END: Final = re.compile(r"(?<=[.!?…。！？])\s+|\n+")
_ENDS: Final = re.compile(r"[.!?…。！？][\"'”’)\]]*\s*$|\n\s*$")
_LIST_MARK: Final = re.compile(r"^(?:[-*•]|\d+[.)])\s+")
NOT_REPORTED: Final = 0.5  # confidence of an answer in which the model was not asked for one


@dataclass(slots=True, kw_only=True)
class CitedBlock:
    """A stretch of a reply and what the provider says it was taken from."""

    text: str = ""
    quotes: list[tuple[int, str]] = field(default_factory=list)  # number of the document from 0, its words


def grounded_answer(blocks: Iterable[CitedBlock]) -> str:
    """JSON text of the contract `grounded_answer`: a claim is a sentence, with the quotes of the blocks that it spans.

    A sentence that cites nothing stays as a claim without quotes, for egress to refuse: dropping it could turn the
    meaning of the others. A reply that cites nothing at all says that the sources hold no answer.
    """
    claims = list(_claims(blocks))
    answerable = any(quotes for _, quotes in claims)
    return json.dumps(
        {
            "answerable": answerable,
            "claims": [
                {"text": text, "quotes": [{"source": document + 1, "quote": quote} for document, quote in quotes]}
                for text, quotes in claims
            ]
            if answerable
            else [],
            "confidence": NOT_REPORTED,
        },
        ensure_ascii=False,
    )


def _claims(blocks: Iterable[CitedBlock]) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """(sentence, quotes) in order. A cited block is never split; an unfinished sentence goes on in the next block."""
    text, quotes = "", list[tuple[int, str]]()
    for block in blocks:
        for piece in [block.text] if block.quotes else _sentences(block.text):
            text += piece
            quotes += block.quotes
            if _ENDS.search(text):
                yield from _claim(text, quotes)
                text, quotes = "", []
    yield from _claim(text, quotes)


def _claim(text: str, quotes: list[tuple[int, str]]) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    stripped = _LIST_MARK.sub("", text.strip())
    if any(map(str.isalnum, stripped)):
        yield stripped, quotes


def _sentences(text: str) -> Iterator[str]:
    """The sentences of a text, each with the white space after it."""
    start = 0
    for match in _SENTENCE_END.finditer(text):
        yield text[start : match.end()]
        start = match.end()
    if start < len(text):
        yield text[start:]
