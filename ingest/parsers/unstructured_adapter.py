"""The only importer of `unstructured`: PPTX into elements, offline.

Where the spaCy model that it would otherwise download is not installed, a rule-based stand-in takes its place. That
changes no element here: the tagger only tells narrative from other text, and both are paragraphs to us.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ingest.elements import Element, ElementKind
from ingest.parsers.rows import table_elements

_LANGUAGES = ["eng"]  # saves it from guessing, for about a second; nothing we use depends on it
_KINDS: dict[str, ElementKind] = {
    "Title": "heading",
    "ListItem": "list_item",
    "Table": "table",
    "CodeSnippet": "code",
    "FigureCaption": "caption",
    "Header": "header",
    "Footer": "footer",
}


def partition_pptx(data: bytes) -> list[Element]:
    """Elements of a PPTX in reading order with the number of their slide as page; headings are the slides' titles."""
    pieces = _partitioner()(file=io.BytesIO(data), languages=_LANGUAGES)
    elements = (element for piece in pieces for element in _elements(piece))
    # A deeper title is a guess from the words of a text box.
    return [replace(element, kind="paragraph", level=0) if element.level > 1 else element for element in elements]


def _elements(piece: Any) -> list[Element]:
    text, page = piece.text.strip(), piece.metadata.page_number
    kind = _KINDS.get(piece.category, "paragraph")
    if not text:
        return []
    if kind == "table" and piece.metadata.text_as_html:
        return table_elements(_rows(piece.metadata.text_as_html), page=page)
    level = (piece.metadata.category_depth or 0) + 1 if kind == "heading" else 0
    return [Element(text=text, kind=kind, level=level, page=page)]


def _rows(html: str) -> list[list[str]]:
    """The cells of a table's own rows; what is nested in a cell is part of its text."""
    from lxml.html import fragment_fromstring

    rows = fragment_fromstring(html).xpath("./tr|./thead/tr|./tbody/tr")
    return [[" ".join(" ".join(cell.itertext()).split()) for cell in row.xpath("./td|./th")] for row in rows]


@cache
def _partitioner() -> Callable[..., list[Any]]:
    """`partition_pptx`, imported with no telemetry, no notice printed and no download."""
    os.environ.setdefault("DO_NOT_TRACK", "1")
    os.environ.setdefault("SCARF_NO_ANALYTICS", "true")
    os.environ.setdefault("UNSTRUCTURED_DISABLE_NOTICE", "1")
    with _without_torch():
        module = import_module("unstructured.partition.pptx")
        tokenize = import_module("unstructured.nlp.tokenize")
    if find_spec("en_core_web_sm") is None:
        tokenize._get_nlp = _RuleTokeniser  # type: ignore[attr-defined]
    partition: Callable[..., list[Any]] = module.partition_pptx
    return partition


@contextmanager
def _without_torch() -> Iterator[None]:
    """Keeps spaCy from loading torch, which has nothing to do here: a worker starts in half the time and 180 MB."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["torch"]


@dataclass(frozen=True, slots=True)
class _Word:
    text: str
    tag_: str


@dataclass(frozen=True, slots=True)
class _Sentence:
    text: str


class _RuleTokeniser:
    """What `unstructured` uses of a spaCy pipeline: words with a tag, and sentences."""

    max_length = 1_000_000

    def __call__(self, text: str) -> _Words:
        return _Words(text)


class _Words(Iterable[_Word]):
    _WORD = re.compile(r"\w+(?:['’]\w+)?|[^\w\s]")
    _SENTENCE = re.compile(r"\S.*?(?:[.!?。！？](?=\s|$)|$)", re.DOTALL)
    _VERB = re.compile(
        r"(?i)is|are|was|were|be|been|has|have|had|do|does|did|can|will|must|may|\w{2,}(?:ed|ing|ify|ise|ize)"
    )

    def __init__(self, text: str) -> None:
        self._text = text

    def __iter__(self) -> Iterator[_Word]:
        for word in self._WORD.findall(self._text):
            yield _Word(word, "VB" if self._VERB.fullmatch(word) else "NN")

    @property
    def sents(self) -> Iterator[_Sentence]:
        return (_Sentence(match[0]) for match in self._SENTENCE.finditer(self._text))
