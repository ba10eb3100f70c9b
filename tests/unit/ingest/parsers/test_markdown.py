from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.markdown import parse, parse_text

LIMITS = ParseLimits()


def read(text: str) -> ParsedDocument:
    return parse_text(text, "note.md", LIMITS)


def shown(document: ParsedDocument) -> str:
    return "\n".join(element.text for element in document.elements)


def test_structure() -> None:
    """Headings, paragraphs, lists, tables and code become elements of their kind, in order."""
    document = read(
        "# Travel *policy*\n\nBook **early**\nand cheap.\n\n- one\n  - two\n\n1. three\n\n"
        "| Class | Limit |\n|---|---|\n| Economy | 500 |\n\n```sh\nls -l\n```\n\nSetext\n------\n\n> quoted\n"
    )
    assert document.title == "Travel policy"
    assert [(element.kind, element.level, element.text) for element in document.elements] == [
        ("heading", 1, "Travel policy"),
        ("paragraph", 0, "Book early and cheap."),
        ("list_item", 0, "one"),
        ("list_item", 0, "two"),
        ("list_item", 0, "three"),
        ("table", 0, "Class\tLimit\nEconomy\t500"),
        ("code", 0, "ls -l"),
        ("heading", 2, "Setext"),
        ("paragraph", 0, "quoted"),
    ]


def test_links_keep_their_text() -> None:
    """The address of a link is dropped unless it is the text; images leave their description."""
    assert shown(read("See [the *guide*](https://a.example/x) or <https://b.example> ![a plan](p.png)")) == (
        "See the guide or https://b.example a plan"
    )


@pytest.mark.parametrize(
    ("front", "title"),
    [
        ("---\ntitle: Leave\nowner: hr\n---\n", "Leave"),
        ('---\nowner: hr\ntitle: "Leave: all of it"\n---\n', "Leave: all of it"),
        ("+++\ntitle = 'Leave'\n+++\n", "Leave"),
        ("---\nowner: hr\n---\n", "Heading"),
        ("---\n---\n", "Heading"),
        ("", "Heading"),
    ],
)
def test_front_matter(front: str, title: str) -> None:
    """Front matter is no text; its title names the document, else the first heading does."""
    document = read(front + "# Heading\n\nText.")
    assert document.title == title
    assert shown(document) == "Heading\nText."


def test_rule_is_no_front_matter() -> None:
    """Rules between paragraphs swallow nothing."""
    assert shown(read("First.\n\n---\n\nSecond.\n\n---\n")) == "First.\nSecond."


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Seen.\n\n<!-- Secret -->", "Secret"),
        ("Seen.<!-- Secret -->", "Secret"),
        ("Seen.\n\n<!-- Secret\n\nand more", "Secret and more"),
        ("Seen.\n\n<div style='display:none'>\n\nSecret *text*\n\n</div>", "Secret text"),
        ("Seen.<span hidden>Secret</span>", "Secret"),
        ("Seen.<font color=white>Secret</font>", "Secret"),
        ("<style>.x{font-size:0}</style>\n\nSeen.<span class='x'>Secret</span>", "Secret"),
        ("Seen." + "".join(chr(0xE0000 + ord(char)) for char in "Secret"), "Secret"),
    ],
)
def test_hidden_text(text: str, secret: str) -> None:
    """What a reader of the rendered page would not see is kept out of the text and reported."""
    document = read(text)
    assert shown(document) == "Seen."
    assert [hidden.text for hidden in document.hidden] == [secret]


def test_dropped_markup_carries_nothing_in() -> None:
    """Text inside templates and scripts does not get in through blank lines of Markdown."""
    assert shown(read("Seen.\n\n<template>\n\nSecret\n\n</template>")) == "Seen."


def test_plain_html_is_read() -> None:
    """Breaks, details and tables in raw HTML give their text without tags."""
    document = read("one<br>two &amp; *three*\n\n<details><summary>More</summary>\n\ninside\n\n</details>\n")
    assert shown(document) == "one\ntwo & three\nMore\ninside"
    table = read("# T\n\n<table><tr><th>A</th><th>B</th></tr><tr><td>1</td><td>2</td></tr></table>\n")
    assert [(element.kind, element.text) for element in table.elements] == [("heading", "T"), ("table", "A\tB\n1\t2")]


def test_long_table_repeats_its_header() -> None:
    """Each window of a long table begins with the header."""
    rows = "\n".join(f"| item number {at} | {at} euros and some cents |" for at in range(60))
    elements = read(f"| Item | Price |\n|---|---|\n{rows}\n").elements
    assert len(elements) > 1
    assert all(element.text.startswith("Item\tPrice\n") for element in elements)


def test_too_deep_is_refused() -> None:
    """Quotes nested beyond the limit are refused, where the library would drop their text."""
    with pytest.raises(FileRefused) as refused:
        read("> " * 150 + "deep")
    assert refused.value.code == "too_nested"
    assert shown(read("> " * 50 + "deep")) == "deep"


def test_bytes_in_an_old_encoding() -> None:
    """A file that is not UTF-8 is read all the same."""
    data = "# Überblick\n\nDie Kosten für Reisen werden vollständig erstattet.".encode("cp1252")
    assert parse(data, "a.md", LIMITS).title == "Überblick"


PIECES = st.sampled_from(
    [
        *(
            "# ",
            "- ",
            "1. ",
            "> ",
            "\n",
            "\n\n",
            "```",
            "*",
            "_",
            "[a](b)",
            "![",
            "](",
            "<div>",
            "</div>",
            "<!--",
            "-->",
        ),
        *("<b>", "    ", "~~", "`", "\\", "&#x200b;", "&lt;", "\x00", "word ", "漢字", "---\n", "\ud800", "<br>", "|"),
        *("<p hidden>", "+++\n", "title: x\n", "\r\n", "\t", "| a | b |\n|---|---|\n"),
    ]
)


@given(text=st.lists(PIECES, max_size=40).map("".join))
@settings(max_examples=150, deadline=None)
def test_any_text_is_read(text: str) -> None:
    """No text makes the parser fail, and no element is empty or beyond UTF-8."""
    document = read(text)
    assert all(element.text.strip() for element in document.elements)
    shown(document).encode()
