from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.html import parse, parse_text

LIMITS = ParseLimits()


def page(body: str, head: str = "") -> ParsedDocument:
    return parse_text(f"<html><head>{head}</head><body>{body}</body></html>", "page.html", LIMITS)


def shown(document: ParsedDocument) -> str:
    return "\n".join(element.text for element in document.elements)


@pytest.mark.parametrize(
    ("style", "reason"),
    [
        ("display:none", "css_hidden"),
        ("DISPLAY : NONE !important", "css_hidden"),
        ("visibility:hidden", "css_hidden"),
        ("opacity:0.01", "css_hidden"),
        ("position:absolute;left:-9999px", "css_hidden"),
        ("position:fixed;top:-200em", "css_hidden"),
        ("text-indent:-9999px", "css_hidden"),
        ("margin-left:-5000px", "css_hidden"),
        ("transform:translateX(-9999px)", "css_hidden"),
        ("transform:scale(0)", "css_hidden"),
        ("clip:rect(0,0,0,0)", "css_hidden"),
        ("clip-path:inset(100%)", "css_hidden"),
        ("height:0;overflow:hidden", "css_hidden"),
        ("content-visibility:hidden", "css_hidden"),
        ("dis\\70 lay:none", "css_hidden"),
        ("font-size:0", "tiny_font"),
        ("font-size:1px", "tiny_font"),
        ("font:0/0 a", "tiny_font"),
        ("font-size:1%", "tiny_font"),
        ("color:white", "same_colour"),
        ("color:#fffffe", "same_colour"),
        ("color:rgb(250 250 250)", "same_colour"),
        ("color:transparent", "same_colour"),
        ("color:rgba(0,0,0,0)", "same_colour"),
        ("background:#102030;color:rgb(16,32,48)", "same_colour"),
    ],
)
@pytest.mark.parametrize("way", ["inline", "class", "nested"])
def test_hidden_by_style(style: str, reason: str, way: str) -> None:
    """Text that style hides is kept out and reported with its reason, inline, by a style sheet, or by a parent."""
    markup = {
        "inline": f'<p>Seen.</p><p style="{style}">Secret.</p>',
        "class": '<p>Seen.</p><p class="a b">Secret.</p>',
        "nested": f'<p>Seen.</p><div style="{style}"><section><p>Secret.</p></section></div>',
    }[way]
    document = page(markup, f"<style>p.b {{ {style} }}</style>" if way == "class" else "")
    assert shown(document) == "Seen."
    assert [(hidden.text, hidden.reason) for hidden in document.hidden] == [("Secret.", reason)]


@pytest.mark.parametrize(
    "markup",
    [
        '<p style="color:white;background:#333">Seen.</p>',
        '<div style="background:url(dark.png)"><p style="color:#fff">Seen.</p></div>',
        '<p style="font-size:11px">Seen.</p>',
        '<div style="font-size:0"><span style="font-size:14px">Seen.</span></div>',
        '<div style="visibility:hidden"><span style="visibility:visible">Seen.</span></div>',
        '<div style="position:absolute;left:50%;transform:translate(-50%,-50%)">Seen.</div>',
        '<div style="opacity:.6">Seen.</div>',
        '<p hidden style="display:block">Seen.</p>',
        '<div style="height:0">Seen.</div>',
        "<style>@media print { p { display:none } }</style><p>Seen.</p>",
        '<style>p { display:none } p.x { display:block }</style><p class="x">Seen.</p>',
        "<style>p { color:white } p { color:black !important } p { color:white }</style><p>Seen.</p>",
        "<style>p:hover { display:none }</style><p>Seen.</p>",
        "<details><summary>Seen.</summary></details>",
    ],
)
def test_visible_text_stays(markup: str) -> None:
    """Style that leaves text readable hides nothing: the cascade is followed, not the mere word."""
    document = page(markup)
    assert shown(document) == "Seen."
    assert not document.hidden


def test_other_hidden_channels() -> None:
    """The hidden attribute, comments and white fonts of old HTML are found too."""
    document = page('<p hidden>One.</p><!-- Two. --><font color="#FFFFFF">Three.</font><p>Seen.</p>')
    assert shown(document) == "Seen."
    assert {(hidden.text, hidden.reason) for hidden in document.hidden} == {
        ("One.", "css_hidden"),
        ("Two.", "hidden_part"),
        ("Three.", "same_colour"),
    }


def test_hidden_rows_and_cells_of_a_table() -> None:
    """A table is read without its hidden rows and cells."""
    row = '<tr{}><td>{}</td><td style="{}">{}</td></tr>'
    document = page(
        "<table><tr><th>Name</th><th>Price</th></tr>"
        + row.format("", "Pen", "", "2")
        + row.format(' style="display:none"', "Trap", "", "0")
        + row.format("", "Ink", "color:white", "secret")
        + "</table>"
    )
    assert shown(document) == "Name\tPrice\nPen\t2\nInk"
    assert [hidden.text for hidden in document.hidden] == ["Trap", "0", "secret"]


def test_structure() -> None:
    """Headings, lists, code, captions and image descriptions keep their kind; scripts and styles are dropped."""
    document = page(
        "<h1>Guide</h1><p>Some <b>bo</b>ld<br>text</p><ul><li>one<ul><li>two</li></ul></li></ul>"
        "<pre>x\n  y</pre><figure><img alt='a chart'><figcaption>Costs</figcaption></figure><script>bad()</script>"
        "<details><summary>More</summary><p>inside</p></details>",
        "<title> The  title </title><style>p{}</style>",
    )
    assert document.title == "The title"
    assert [(element.kind, element.level, element.text) for element in document.elements] == [
        ("heading", 1, "Guide"),
        ("paragraph", 0, "Some bold\ntext"),
        ("list_item", 0, "one"),
        ("list_item", 0, "two"),
        ("code", 0, "x\n  y"),
        ("paragraph", 0, "a chart"),
        ("caption", 0, "Costs"),
        ("paragraph", 0, "More"),
        ("paragraph", 0, "inside"),
    ]


def test_layout_tables_are_no_data() -> None:
    """A table that arranges the page is read as what its cells hold."""
    document = page("<table><tr><td><h2>News</h2></td><td><p>Text.</p></td></tr><tr><td>x</td><td>y</td></tr></table>")
    assert [element.kind for element in document.elements] == ["heading", "paragraph", "paragraph", "paragraph"]


def test_declared_encoding() -> None:
    """The charset of the page is believed."""
    data = '<meta charset="cp1252"><p>Café à la carte</p>'.encode("cp1252")
    assert shown(parse(data, "a.html", LIMITS)) == "Café à la carte"


def test_entities_cannot_smuggle_invisible_characters() -> None:
    """Tag characters that are written as entities are revealed after decoding."""
    document = page("<p>Seen." + "".join(f"&#{0xE0000 + ord(char)};" for char in "trap") + "</p>")
    assert shown(document) == "Seen."
    assert [hidden.text for hidden in document.hidden] == ["trap"]


def test_too_deep_is_refused() -> None:
    """Markup nested beyond the limit is refused, not read in part."""
    with pytest.raises(FileRefused) as refused:
        page("<div>" * 300 + "x")
    assert refused.value.code == "too_nested"


PIECES = st.sampled_from(
    [
        "<p>",
        "</p>",
        "<table>",
        "<tr>",
        "<td>",
        "</td>",
        "</table>",
        "<li>",
        "<ul>",
        "</ul>",
        "<pre>",
        "<br>",
        "<!--",
        "-->",
        "<h2>",
        "</h2>",
        "<style>p{display:none}</style>",
        "<p style='color:",
        "'>",
        "white",
        "&#x200b;",
        "&amp;",
        "<",
        ">",
        "text ",
        "\x00",
        "\ud800",
        "漢字",
        "<td colspan=9999999>",
        "<svg>",
        "<template>",
        "<p class=a hidden>",
        "{",
        "}",
        ";",
    ]
)


@given(markup=st.lists(PIECES, max_size=40).map("".join))
@settings(max_examples=200, deadline=None)
def test_any_markup_is_read(markup: str) -> None:
    """No markup makes the parser fail, and no element is empty or holds invisible characters."""
    document = parse_text(markup, "x.html", LIMITS)
    assert all(element.text.strip() and "\u200b" not in element.text for element in document.elements)
    shown(document).encode()


@given(data=st.binary(max_size=60))
@settings(deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No bytes make the parser fail but with a refusal."""
    with suppress(FileRefused):
        assert parse(data, "x.html", LIMITS).media_type == "text/html"


@pytest.mark.parametrize(
    ("title", "texts"),
    [
        ("Travel rules", ["Travel rules", "Costs", "Ask first."]),
        ("Costs", ["Costs", "Ask first."]),
        ("Costs - The company", ["Costs", "Ask first."]),
    ],
)
def test_the_title_comes_first(title: str, texts: list[str]) -> None:
    """The title of a page is its first heading, unless the page begins with it."""
    page = f"<html><head><title>{title}</title></head><body><h1>Costs</h1><p>Ask first.</p></body></html>"
    assert [element.text for element in parse(page.encode(), "a.html", LIMITS).elements] == texts


def test_rules_beyond_the_limit_are_not_looked_at() -> None:
    """Only as many rules of the style sheets count as the limits allow."""
    markup = "<style>p {color: black} p {display: none}</style><p>Shown or not</p>"
    assert shown(parse_text(markup, "a.html", ParseLimits())) == ""
    assert shown(parse_text(markup, "a.html", ParseLimits(max_style_rules=1))) == "Shown or not"
