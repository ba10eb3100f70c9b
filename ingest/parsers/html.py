"""HTML as a person sees it: a walk over lxml's tree that knows at every node how its text looks.

This walk, not unstructured, is the parser of record for HTML: hidden text has to be told apart by computed style before
anything is extracted, and the same pass keeps what unstructured drops (`<details>`, `<figcaption>`, image descriptions,
table headers) at several times its speed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from lxml import etree
from lxml import html as lxml_html

from ingest.charset import decode
from ingest.codepoints import reveal
from ingest.elements import Element, ElementKind, HiddenText, ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.css import Declarations, Look, declarations
from ingest.parsers.rows import table_elements

_CHARSET = re.compile(rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]+encoding\s*=\s*["']([\w.:-]+)""", re.I)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_NOT_MARKUP = re.compile("[\x00\ud800-\udfff]")
_SPACES = re.compile(r"[ \t\n\r\f]+")
_DROPPED = frozenset(
    """script style template noscript iframe object embed applet select datalist textarea audio video canvas metadata
    defs desc rp annotation dialog map link""".split()  # noqa: SIM905
)
_BLOCKS = frozenset(
    """address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form
    h1 h2 h3 h4 h5 h6 header hgroup hr html legend li listing main menu nav ol optgroup option p plaintext pre search
    section summary table tbody td tfoot th thead tr ul xmp""".split()  # noqa: SIM905
)
_KINDS: dict[str, ElementKind] = {
    **dict.fromkeys(("li", "dt", "dd"), "list_item"),
    **dict.fromkeys(("figcaption", "caption"), "caption"),
    **dict.fromkeys(("pre", "listing", "xmp"), "code"),
    **dict.fromkeys(("h1", "h2", "h3", "h4", "h5", "h6"), "heading"),
}
_IN_LAYOUT = "descendant::table|descendant::h1|descendant::h2|descendant::h3|descendant::h4|descendant::pre"
_LONGEST_CELL = 600  # characters; longer ones are prose that a table arranges on the page


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """Visible elements and hidden text of a page, its title first unless the page begins with it.

    Raises FileRefused: unreadable_encoding, too_nested, unreadable.
    """
    declared = _CHARSET.search(data[:8192])
    codec = (declared[1] or declared[2]).decode("ascii", "replace") if declared else None
    document = parse_text(decode(data, name, codec), name, limits)
    first = document.elements[0].text.casefold() if document.elements else ""
    if not document.title or not first or document.title.casefold().startswith(first):
        return document
    heading = Element(text=document.title, kind="heading", level=1)  # people read it on the tab, and cite it
    return replace(document, elements=(heading, *document.elements))


def parse_text(text: str, name: str, limits: ParseLimits) -> ParsedDocument:
    """As `parse`, of markup that is decoded already."""
    markup = _XML_DECLARATION.sub("", _NOT_MARKUP.sub("\ufffd", text))
    if not markup.strip():
        return ParsedDocument(media_type="text/html", elements=())
    parser = lxml_html.HTMLParser(encoding="utf-8", huge_tree=True, remove_pis=True)
    try:
        root = lxml_html.document_fromstring(markup.encode(), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):  # nothing in it that is an element or text
        return ParsedDocument(media_type="text/html", elements=())
    _check_nesting(root, name, limits)
    walk = _Walk(declarations(root, limits.max_style_rules))
    walk.visit(root, Look())
    walk.flush()
    title = _squeeze(root.findtext(".//title") or "") or next(
        (element.text for element in walk.elements if element.kind == "heading"), None
    )
    return reveal(
        ParsedDocument(
            media_type="text/html", elements=tuple(walk.elements), title=title or None, hidden=tuple(walk.hidden)
        )
    )


def _check_nesting(root: Any, name: str, limits: ParseLimits) -> None:
    if root.xpath(f"boolean(//*[count(ancestor::*) >= {limits.max_nesting}])"):
        cause = f"Its markup is nested more than {limits.max_nesting} levels deep."
        raise FileRefused(name, "too_nested", cause, "Save it anew in the program that made it.")


def _squeeze(text: str) -> str:
    return _SPACES.sub(" ", text).strip()


class _Walk:
    """Collects elements and hidden text in reading order."""

    def __init__(self, styles: dict[Any, Declarations]) -> None:
        self.elements: list[Element] = []
        self.hidden: list[HiddenText] = []
        self._styles = styles
        self._said: list[str] = []  # of the block that is being read
        self._secret: list[str] = []  # of the hidden element that is being read
        self._kind: ElementKind = "paragraph"
        self._level = 0
        self._preserved = False

    def visit(self, node: Any, look: Look) -> None:
        """Reads an element and what is in it."""
        tag = node.tag
        if tag in _DROPPED:
            return
        if tag == "head":
            self._comments(node)
            return
        style = self._styles.get(node)
        inner = look.inside(style) if style else look
        if inner.reason and not look.reason:
            self._visit_hidden(node, inner)
        elif tag == "table" and not inner.reason and not self._preserved:
            self._table(node, inner)
        elif tag in _BLOCKS:
            self._block(node, inner)
        elif tag == "br":
            self._say("\n", inner)
        elif tag in ("img", "area") or (tag == "input" and node.get("type") == "image"):
            self._say(f" {_squeeze(node.get('alt') or '')} ", inner)
        else:
            self._inside(node, inner)

    def flush(self) -> None:
        """Ends the block that is being read."""
        if not self._said:
            return
        text, self._said = self._text(self._said), []
        if text:
            self.elements.append(Element(text=text, kind=self._kind, level=self._level))

    def _text(self, parts: list[str]) -> str:
        if self._preserved:
            return "".join(parts).strip("\n").rstrip()
        lines = "".join(parts).split("\n")
        return "\n".join(line for line in map(_squeeze, lines) if line)

    def _inside(self, node: Any, look: Look) -> None:
        self._say(node.text, look, flowing=True)
        for child in node:
            if isinstance(child.tag, str):
                self.visit(child, look)
            elif child.tag is etree.Comment:
                self._comment(child)
            self._say(child.tail, look, flowing=True)

    def _say(self, text: str | None, look: Look, *, flowing: bool = False) -> None:
        if not text:
            return
        if flowing and not self._preserved:
            text = _SPACES.sub(" ", text)
        (self._secret if look.reason else self._said).append(text)

    def _block(self, node: Any, look: Look) -> None:
        """A block of its own; blocks inside a list item, a caption or a heading stay of that kind."""
        self.flush()
        before = self._kind, self._level, self._preserved
        kind = _KINDS.get(node.tag)
        if kind is not None:
            self._kind, self._level = kind, int(node.tag[1]) if kind == "heading" else 0
            self._preserved = self._preserved or kind == "code"
        elif node.tag in ("td", "th", "div", "section", "article", "main", "body") and self._kind == "heading":
            self._kind, self._level = "paragraph", 0
        self._inside(node, look)
        if look.reason:
            self._secret.append("\n")
        self.flush()
        self._kind, self._level, self._preserved = before

    def _visit_hidden(self, node: Any, look: Look) -> None:
        """An element whose own text cannot be read; parts of it may be visible again."""
        before, self._secret = self._secret, []
        if node.tag in _BLOCKS:
            self._block(node, look)
        else:
            self._inside(node, look)
        text = "\n".join(line for line in map(_squeeze, "".join(self._secret).split("\n")) if line)
        self._secret = before
        if text and look.reason:
            place = f"element <{node.tag}>" + (f", line {node.sourceline}" if node.sourceline else "")
            self.hidden.append(HiddenText(text=text, reason=look.reason, place=place))

    def _comments(self, node: Any) -> None:
        for comment in node.iter(etree.Comment):
            self._comment(comment)

    def _comment(self, comment: Any) -> None:
        text = _squeeze(comment.text or "")
        if any(char.isalpha() for char in text):
            place = f"comment, line {comment.sourceline}" if comment.sourceline else "comment"
            self.hidden.append(HiddenText(text=text, reason="hidden_part", place=place))

    def _table(self, node: Any, look: Look) -> None:
        """A table of data as rows; one that only arranges the page as what its cells hold."""
        self.flush()
        rows = [row for row in node.iterdescendants("tr") if next(row.iterancestors("table")) is node]
        if len(rows) < 2 or max(len(row) for row in rows) < 2 or node.xpath(f"boolean({_IN_LAYOUT})"):
            self._block(node, look)
            return
        elements, hidden = len(self.elements), len(self.hidden)
        for caption in node.iterchildren("caption"):
            self.visit(caption, look)
        cells = [self._row(row, look) for row in rows]
        if any(len(cell) > _LONGEST_CELL for row in cells for cell in row):
            del self.elements[elements:], self.hidden[hidden:]
            self._block(node, look)
            return
        header = len(rows[0].findall("th")) > 1 or next(rows[0].iterancestors()).tag == "thead"
        self.elements += table_elements([row for row in cells if any(row)], header=header or None)

    def _row(self, row: Any, look: Look) -> list[str]:
        """The visible text of the cells of a row, each on one line."""
        for ancestor in (row.getparent(), row):
            style = self._styles.get(ancestor) if ancestor.tag != "table" else None
            look = look.inside(style) if style else look
        cells: list[str] = []
        for cell in row:
            if cell.tag not in ("td", "th"):
                continue
            cells.append(self._cell(cell, look))
            cells += [""] * (min(int(cell.get("colspan")), 100) - 1 if (cell.get("colspan") or "").isdecimal() else 0)
        return cells

    def _cell(self, cell: Any, look: Look) -> str:
        aside, self._said = self._said, []
        elements, self.elements = self.elements, []
        before, self._secret = self._secret, []
        style = self._styles.get(cell)
        inner = look.inside(style) if style else look
        self._inside(cell, inner)
        self.flush()
        said = " ".join(element.text.replace("\n", " ") for element in self.elements)
        secret = _squeeze(" ".join(self._secret))
        if secret and inner.reason:
            place = f"table cell, line {cell.sourceline}"
            self.hidden.append(HiddenText(text=secret, reason=inner.reason, place=place))
        self._said, self.elements, self._secret = aside, elements, before
        return said
