"""Markdown (CommonMark with tables and strikethrough): headings, lists, tables and code as elements.

Raw HTML that can hide something sends the whole text through the HTML parser, so that one set of rules decides what a
reader sees. Links keep their text and lose their address.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from html import unescape
from typing import TYPE_CHECKING

from ingest.charset import decode
from ingest.codepoints import reveal
from ingest.elements import Element, ElementKind, HiddenText, ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.rows import table_elements

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A\s*(---|\+\+\+)[ \t]*\n(.*?\n)??(?:\1|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"""^title[ \t]*[:=][ \t]*(?:"([^"\n]*)"|'([^'\n]*)'|([^\n]*))""", re.MULTILINE | re.IGNORECASE)
_COMMENT = re.compile(r"<!--(.*?)(?:-->|\Z)", re.DOTALL)
_PLAIN_TAG = re.compile(  # neither hides text nor arranges it
    r"</?(?:a|abbr|b|big|br|center|cite|code|details|dfn|div|em|hr|i|img|ins|kbd|mark|p|q|s|samp|small|span|strong|sub"
    r"|summary|sup|tt|u|var|wbr)(?:\s+(?:href|src|alt|id|class|name|title|target|rel|width|height|align|open|border"
    r"|loading|lang|dir)(?:\s*=\s*(?:\"[^\"<>]*\"|'[^'<>]*'|[^\s\"'<>=]+))?)*\s*/?>",
    re.IGNORECASE,
)
_BREAK = re.compile(r"<(?:br|hr|/?p|/?div|/?summary)\b[^>]*>", re.IGNORECASE)
_DEEPEST = 100  # block quotes and lists within each other; each level costs the library several stack frames


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """Elements of a Markdown file. Raises FileRefused: unreadable_encoding, too_nested."""
    return parse_text(decode(data, name), name, limits)


def parse_text(text: str, name: str, limits: ParseLimits) -> ParsedDocument:
    """As `parse`, of text that is decoded already."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    front = _FRONT_MATTER.match(text)
    title = _front_title(front[2] or "") if front else None
    deepest = min(limits.max_nesting, _DEEPEST)
    tokens = _tokens(text[front.end() :] if front else text, name, deepest)
    if _needs_html(tokens):
        from ingest.parsers import html

        parser = _parser(deepest)
        document = html.parse_text(parser.renderer.render(tokens, parser.options, {}), name, limits)
        return replace(document, media_type="text/markdown", title=title or document.title)
    reader = _Reader()
    reader.read(tokens)
    title = title or next((element.text for element in reader.elements if element.kind == "heading"), None)
    return reveal(
        ParsedDocument(
            media_type="text/markdown", elements=tuple(reader.elements), title=title, hidden=tuple(reader.hidden)
        )
    )


@cache
def _parser(deepest: int) -> MarkdownIt:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"maxNesting": deepest, "html": True}).enable(["table", "strikethrough"])


def _tokens(text: str, name: str, deepest: int) -> list[Token]:
    """The library's tokens; raises too_nested where it would drop what is deeper."""
    try:
        tokens = _parser(deepest).parse(text)
    except RecursionError:
        tokens = None
    if tokens is None or any(token.level >= deepest - 1 for token in tokens):
        cause = f"Its lists or quotes are nested more than {deepest} levels deep."
        raise FileRefused(name, "too_nested", cause, "Flatten it and ingest it again.")
    return tokens


def _front_title(front: str) -> str | None:
    match = _TITLE.search(front)
    title = next((group for group in match.groups() if group), "").strip() if match else ""
    return title or None


def _needs_html(tokens: list[Token]) -> bool:
    """Whether raw HTML says more than how the text around it is dressed."""
    for token in tokens:
        if token.type == "html_block" and not _is_plain(token.content):
            return True
        if token.type == "inline" and "<" in token.content:
            for child in token.children or ():
                if child.type == "html_inline" and not _is_plain(child.content):
                    return True
    return False


def _is_plain(markup: str) -> bool:
    return "<" not in _PLAIN_TAG.sub("", _COMMENT.sub("", markup))


class _Reader:
    """Collects elements and comments in reading order."""

    def __init__(self) -> None:
        self.elements: list[Element] = []
        self.hidden: list[HiddenText] = []

    def read(self, tokens: list[Token]) -> None:
        """Goes once over the tokens of a document."""
        lists = level = 0
        rows: list[list[str]] = []
        for token in tokens:
            match token.type:
                case "heading_open" | "heading_close":
                    level = int(token.tag[1]) if token.nesting == 1 else 0
                case "bullet_list_open" | "ordered_list_open" | "bullet_list_close" | "ordered_list_close":
                    lists += token.nesting
                case "inline" if rows:
                    rows[-1].append(self._line(token).replace("\n", " "))
                case "inline":
                    kind: ElementKind = "heading" if level else "list_item" if lists else "paragraph"
                    self._add(self._line(token), kind, level)
                case "fence" | "code_block":
                    self._add(token.content.strip("\n").rstrip(), "code")
                case "tr_open":
                    rows.append([])
                case "table_close":
                    self.elements += table_elements(rows, header=True)
                    rows = []
                case "html_block":
                    self._add(self._without_tags(token.content), "list_item" if lists else "paragraph")

    def _add(self, text: str, kind: ElementKind, level: int = 0) -> None:
        if text.strip():
            self.elements.append(Element(text=text, kind=kind, level=level))

    def _line(self, token: Token) -> str:
        """The text of a paragraph, a heading or a cell."""
        parts = []
        for child in token.children or ():
            match child.type:
                case "softbreak":
                    parts.append(" ")
                case "hardbreak":
                    parts.append("\n")
                case "image":
                    parts.append(self._line(child))
                case "html_inline":
                    parts.append(self._without_tags(child.content))
                case _:
                    parts.append(child.content)
        return "".join(parts).strip()

    def _without_tags(self, markup: str) -> str:
        """The text of plain markup; comments go to the hidden text."""
        for comment in _COMMENT.findall(markup):
            if comment.strip():
                self.hidden.append(HiddenText(text=" ".join(comment.split()), reason="hidden_part", place="comment"))
        text = _PLAIN_TAG.sub("", _BREAK.sub("\n", _COMMENT.sub("", markup)))
        return text if text == "\n" else unescape(text).strip("\n")
