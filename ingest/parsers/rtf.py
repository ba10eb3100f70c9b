"""RTF (Rich Text Format 1.9.1): text, tables, headers, notes, text boxes, and what is hidden in it.

A reader of tokens with a stack of group states, as the specification describes one. Bytes are kept until the encoding
or the formatting changes, because a character of an Asian code page may be half an escape and half plain text.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace

from ingest.elements import Element, ElementKind, HiddenReason, HiddenText, ParsedDocument
from ingest.limits import ParseLimits
from ingest.parsers.openxml import SAME_COLOUR, TINY, contrast
from ingest.parsers.rows import table_elements

_TOKEN = re.compile(
    rb"\\'(?P<hex>[0-9a-fA-F]{2})|\\(?P<word>[a-zA-Z]{1,32})(?P<number>-?\d{1,10})? ?|\\(?P<symbol>[^a-zA-Z])"
    rb"|(?P<brace>[{}])|(?P<line>[\r\n\0]+)|(?P<text>[^\\{}\r\n\0]+)|(?P<stray>\\)",
    re.DOTALL,
)

# Groups that hold no text of the document. Any other group that begins with \* is left out too.
_SKIPPED = frozenset((
    "info", "pict", "objdata", "objclass", "themedata", "colorschememapping", "datastore", "latentstyles",
    "generator", "fldinst", "datafield", "listtable", "listoverridetable", "rsidtbl", "xmlnstbl", "filetbl",
    "revtbl", "pgptbl", "shprslt", "nonshppict", "sp", "xe", "tc", "atnid",
    "atnauthor", "atndate", "atnref", "atnparent", "atntime", "nextfile", "template", "mmathPr",
    "upr", "private", "fchars", "lchars",
))  # fmt: skip
_STARRED = frozenset(("shpinst", "shppict", "annotation", "ud", "background", "shptxt"))  # groups with \* that are read
_STORIES: dict[str, ElementKind] = {  # groups whose text stands apart from the paragraph around them
    **dict.fromkeys(("header", "headerl", "headerr", "headerf"), "header"),
    **dict.fromkeys(("footer", "footerl", "footerr", "footerf"), "footer"),
    **dict.fromkeys(("footnote", "annotation", "shptxt"), "paragraph"),
}
_CHARACTERS = {
    "tab": "\t", "line": "\n", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "bullet": "•",
    "endash": "–", "emdash": "—", "enspace": " ", "emspace": " ", "qmspace": " ", "nestcell": " ", "nestrow": " ",
}  # fmt: skip
_CODE_PAGES = {  # \fcharset -> codec
    0: "cp1252", 77: "mac_roman", 78: "shift_jis", 80: "gb2312", 81: "big5", 128: "cp932", 129: "cp949", 130: "johab",
    134: "gbk", 136: "big5", 161: "cp1253", 162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257",
    204: "cp1251", 222: "cp874", 238: "cp1250", 254: "cp437", 255: "cp850",
}  # fmt: skip
_HEADING = re.compile(r"(?i)heading (\d)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What holds inside a group."""

    skip: bool = False
    table: str = ""  # fonttbl, colortbl, stylesheet or title while one is read
    font: int = -1
    hidden: bool = False
    deleted: bool = False
    points: float = 12.0
    ink: int = 0  # index in the colour table, 0 is automatic
    ground: int = 0
    fallback: int = 1  # characters to skip after \u
    story: int = 0  # depth of nested stories
    level: int = 0  # of the heading that the paragraph is
    listed: bool = False
    in_table: bool = False


@dataclass(slots=True, kw_only=True)
class _Story:
    """A flow of paragraphs: the body, a header, a note, a text box."""

    kind: ElementKind
    pieces: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=lambda: [[]])  # cells by row; the last one is being filled


def parse(data: bytes, _name: str, _limits: ParseLimits) -> ParsedDocument:
    """Paragraphs in reading order; headers, notes and text boxes where they are anchored."""
    reader = _Reader()
    reader.read(data)
    return ParsedDocument(
        media_type="application/rtf",
        elements=tuple(reader.elements),
        title=reader.title.strip() or None,
        hidden=tuple(reader.hidden_texts()),
    )


class _Reader:
    """Reads one document from its tokens."""

    def __init__(self) -> None:
        self.elements: list[Element] = []
        self.title = ""
        self._hidden: list[tuple[int, HiddenReason, str]] = []
        self._state = _State()
        self._stack: list[_State] = []
        self._stories = [_Story(kind="paragraph")]
        self._codec = "cp1252"
        self._fonts: dict[int, str] = {}
        self._colours: list[str | None] = []
        self._colour = [0, 0, 0]
        self._coloured = False
        self._styles: dict[int, int] = {}  # number of a style -> level of heading
        self._style = -1
        self._style_name = ""
        self._bytes = bytearray()
        self._units: list[int] = []  # UTF-16 code units of \u
        self._to_skip = 0
        self._starred = False
        self._at_start = False  # just behind an opening brace

    def read(self, data: bytes) -> None:
        at = 0
        while at < len(data):
            token = _TOKEN.match(data, at)
            if token is None:
                break
            at = token.end()
            if token["word"]:
                number = int(token["number"]) if token["number"] else None
                if token["word"] == b"bin":
                    at += max(0, number or 0)
                else:
                    self._word(token["word"].decode("ascii"), number)
            elif token["text"]:
                self._raw(token["text"])
            elif token["hex"]:
                self._raw(bytes.fromhex(token["hex"].decode("ascii")))
            elif token["brace"]:
                self._brace(token["brace"])
            elif token["symbol"]:
                self._symbol(token["symbol"].decode("latin-1"))
        self._flush()
        while self._stories:
            self._end_story()

    def hidden_texts(self) -> Iterator[HiddenText]:
        """What was taken out, pieces of one paragraph and reason joined."""
        joined: dict[tuple[int, HiddenReason], str] = {}
        for paragraph, reason, text in self._hidden:
            joined[paragraph, reason] = joined.get((paragraph, reason), "") + text
        for (paragraph, reason), text in joined.items():
            if text.strip():
                yield HiddenText(text=text.strip(), reason=reason, place=f"paragraph {paragraph + 1}")

    # Tokens

    def _brace(self, brace: bytes) -> None:
        self._flush()
        self._to_skip = 0
        if brace == b"{":
            self._stack.append(self._state)
            self._at_start = True
            return
        if self._state.table == "stylesheet":
            self._end_style()
        outer = self._stack.pop() if self._stack else self._state
        while self._state.story > outer.story:
            self._end_story()
            self._state = replace(self._state, story=self._state.story - 1)
        self._state, self._at_start, self._starred = outer, False, False

    def _symbol(self, symbol: str) -> None:
        if symbol == "*":
            self._starred = True
        elif symbol in "\\{}":
            self._raw(symbol.encode())
        elif symbol in "\r\n":
            self._word("par", None)
        elif symbol in "~_":
            self._flush()
            self._emit("\u00a0" if symbol == "~" else "-")

    def _raw(self, text: bytes) -> None:
        self._at_start = False
        if self._to_skip:
            skipped = min(self._to_skip, len(text))
            self._to_skip -= skipped
            text = text[skipped:]
        if text and self._units:
            self._flush()
        self._bytes += text

    def _word(self, word: str, number: int | None) -> None:
        if word == "u":
            if self._bytes:
                self._flush()
            self._units.append((number or 0) & 0xFFFF)
            self._to_skip = self._state.fallback
            return
        self._flush()
        self._to_skip = 0
        if self._at_start and self._destination(word):
            return
        if word in _CHARACTERS:
            self._emit(_CHARACTERS[word])
        elif self._state.table:
            self._table_word(word, number)
        elif not self._state.skip:
            self._text_word(word, number)

    def _destination(self, word: str) -> bool:
        """Whether `word`, the first of its group, says what the group holds."""
        starred, self._at_start, self._starred = self._starred, False, False
        if word in ("fonttbl", "colortbl", "stylesheet", "title"):
            self._state = replace(self._state, skip=True, table=word)
            self.title = "" if word == "title" else self.title  # a second one says the same in Unicode
        elif word == "ud" and len(self._stack) > 1:  # the same text as Unicode: goes where the group around both goes
            self._state = self._stack[-2]
        elif word in _SKIPPED or (starred and word not in _STARRED and word not in _STORIES):
            if self._state.table != "stylesheet":
                self._state = replace(self._state, skip=True, table="")
        elif word in _STORIES and not self._state.skip:
            self._state = replace(self._state, story=self._state.story + 1, level=0, listed=False, in_table=False)
            self._stories.append(_Story(kind=_STORIES[word]))
        else:
            return False
        return True

    def _table_word(self, word: str, number: int | None) -> None:
        if self._state.table == "fonttbl":
            if word == "f":
                self._state = replace(self._state, font=number or 0)
            elif word == "fcharset" and number in _CODE_PAGES:
                self._fonts[self._state.font] = _CODE_PAGES[number] if number else self._codec
        elif self._state.table == "colortbl":
            if word in ("red", "green", "blue"):
                self._colour[("red", "green", "blue").index(word)] = (number or 0) & 0xFF
                self._coloured = True
        elif self._state.table == "stylesheet" and word == "s":
            self._style = number or 0

    def _text_word(self, word: str, number: int | None) -> None:
        action = _ACTIONS.get(word)
        if action is not None:
            action(self, 1 if number is None else number)

    # Text

    def _flush(self) -> None:
        """Turns the bytes and code units that are waiting into text."""
        if self._units:
            units = b"".join(unit.to_bytes(2, "little") for unit in self._units)
            self._units.clear()
            self._emit(units.decode("utf-16-le", "replace"))
        if self._bytes:
            raw = bytes(self._bytes)
            self._bytes.clear()
            codec = self._fonts.get(self._state.font, self._codec)
            self._emit(raw.decode(codec, "replace"))

    def _emit(self, text: str) -> None:
        state = self._state
        if state.table:
            self._table_text(text)
        elif not state.skip and not state.deleted:
            reason = self._why_hidden()
            if reason is not None:
                self._hidden.append((len(self.elements), reason, text))
            else:
                self._stories[-1].pieces.append(text)

    def _table_text(self, text: str) -> None:
        if self._state.table == "colortbl":
            for _ in range(text.count(";")):
                self._colours.append("".join(f"{channel:02X}" for channel in self._colour) if self._coloured else None)
                self._colour, self._coloured = [0, 0, 0], False
        elif self._state.table == "stylesheet":
            self._style_name += text
        elif self._state.table == "title":
            self.title += text

    def _end_style(self) -> None:
        heading = _HEADING.match(self._style_name.strip())
        if heading and self._style >= 0:
            self._styles[self._style] = int(heading[1])
        self._style, self._style_name = -1, ""

    def _why_hidden(self) -> HiddenReason | None:
        state = self._state
        if state.hidden:
            return "invisible_mode"
        if state.points <= TINY:
            return "tiny_font"
        ink = self._colours[state.ink] if 0 < state.ink < len(self._colours) else None
        ground = self._colours[state.ground] if 0 < state.ground < len(self._colours) else None
        if ink is None or (ground is None and state.in_table):  # a cell's shading is not followed
            return None
        return "same_colour" if contrast(ink, ground or "FFFFFF") < SAME_COLOUR else None

    # Paragraphs

    def _end_paragraph(self, _number: int = 0) -> None:
        story, state = self._stories[-1], self._state
        if state.in_table:
            story.pieces.append("\n")
            return
        self._end_rows(story)
        text = "".join(story.pieces).strip()
        story.pieces.clear()
        if text:
            kind: ElementKind = "heading" if state.level else "list_item" if state.listed else story.kind
            self.elements.append(Element(text=text, kind=kind, level=state.level))

    def _end_cell(self, _number: int) -> None:
        story = self._stories[-1]
        story.rows[-1].append("".join(story.pieces))
        story.pieces.clear()

    def _end_row(self, _number: int) -> None:
        self._stories[-1].rows.append([])

    def _end_rows(self, story: _Story) -> None:
        self.elements += table_elements(story.rows)
        story.rows = [[]]

    def _end_story(self) -> None:
        self._set(in_table=False)
        self._end_paragraph()
        self._stories.pop()

    def _set(self, **changes: object) -> None:
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]

    def _outline(self, number: int) -> None:
        self._set(level=number + 1 if 0 <= number < 9 else 0)

    def _code_page(self, number: int) -> None:
        with suppress(LookupError):
            self._codec = codecs.lookup(f"cp{number}").name


_Action = Callable[[_Reader, int], None]


def _setting(name: str) -> _Action:
    return lambda reader, number: reader._set(**{name: number})


_ACTIONS: dict[str, _Action] = {
    "par": _Reader._end_paragraph,
    "sect": _Reader._end_paragraph,
    "page": _Reader._end_paragraph,
    "cell": _Reader._end_cell,
    "row": _Reader._end_row,
    "outlinelevel": _Reader._outline,
    "ansicpg": _Reader._code_page,
    "pard": lambda reader, _: reader._set(level=0, listed=False, in_table=False),
    "intbl": lambda reader, _: reader._set(in_table=True),
    "ls": lambda reader, _: reader._set(listed=True),
    "s": lambda reader, number: reader._set(level=reader._styles.get(number, 0)),
    "f": _setting("font"),
    "cf": _setting("ink"),
    "cb": _setting("ground"),
    "highlight": _setting("ground"),
    "chcbpat": _setting("ground"),
    "cbpat": _setting("ground"),
    "uc": _setting("fallback"),
    "fs": lambda reader, number: reader._set(points=number / 2),
    "v": lambda reader, number: reader._set(hidden=number != 0),
    "deleted": lambda reader, number: reader._set(deleted=number != 0),
    "plain": lambda reader, _: reader._set(hidden=False, deleted=False, points=12.0, ink=0, ground=0),
}
