"""Documents are written as flat XML, and once as a package."""

from __future__ import annotations

import io
import zipfile

import pytest

from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers import parse

NAMES = {
    **{name: name for name in ("office", "text", "table", "style", "presentation")},
    "draw": "drawing",
    "fo": "xsl-fo-compatible",
    "svg": "svg-compatible",
}
SPACES = " ".join(f'xmlns:{p}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for p, name in NAMES.items())


def flat(body: str, *, styles: str = "", kind: str = "text") -> bytes:
    """A flat document whose body of `kind` holds `body`."""
    media_type = f"application/vnd.oasis.opendocument.{kind}"
    return (
        f'<?xml version="1.0"?><office:document {SPACES} office:mimetype="{media_type}">'
        f"<office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:document>"
    ).encode()


def parsed(body: str, *, styles: str = "", kind: str = "text", limits: ParseLimits | None = None) -> ParsedDocument:
    return parse(flat(body, styles=styles, kind=kind), "plan.xml", limits or ParseLimits())


def test_structure_is_kept() -> None:
    """Headings with their level, list items, tables, notes, text boxes, tabs and repeated spaces come out."""
    result = parsed(
        '<text:h text:outline-level="2">Leave</text:h>'
        '<text:p>Up to<text:s text:c="2"/>five<text:tab/>days<text:note><text:note-body><text:p>as of 2025</text:p>'
        "</text:note-body></text:note> move.</text:p>"
        "<text:list><text:list-item><text:p>Ask</text:p></text:list-item></text:list>"
        "<table:table><table:table-row><table:table-cell><text:p>a</text:p></table:table-cell>"
        "<table:table-cell><text:p>b</text:p></table:table-cell></table:table-row></table:table>"
        "<text:p><draw:frame><draw:text-box><text:p>boxed</text:p></draw:text-box></draw:frame></text:p>"
    )
    assert [(element.kind, element.level, element.text) for element in result.elements] == [
        ("heading", 2, "Leave"),
        ("paragraph", 0, "Up to  five\tdays move."),
        ("paragraph", 0, "as of 2025"),
        ("list_item", 0, "Ask"),
        ("table", 0, "a\tb"),
        ("paragraph", 0, "boxed"),
    ]


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ('text:display="none"', "invisible_mode"),
        ('fo:color="#ffffff"', "same_colour"),
        ('fo:color="#102030" fo:background-color="#102030"', "same_colour"),
        ('fo:font-size="1pt"', "tiny_font"),
    ],
)
def test_hidden_by_style_is_kept_out_and_reported(properties: str, reason: str) -> None:
    """A span whose style, or the style that is based on, hides it becomes a record."""
    styles = (
        f'<style:style style:name="base"><style:text-properties {properties}/></style:style>'
        '<style:style style:name="T1" style:parent-style-name="base"/>'
    )
    result = parsed('<text:p>before <text:span text:style-name="T1">unseen</text:span> after</text:p>', styles=styles)
    assert [element.text for element in result.elements] == ["before  after"]
    assert [(hidden.text, hidden.reason) for hidden in result.hidden] == [("unseen", reason)]


def test_hidden_rows_paragraphs_and_deletions() -> None:
    """Collapsed rows and hidden text are records; tracked deletions are left out."""
    result = parsed(
        "<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion>"
        "</text:changed-region></text:tracked-changes><text:p>seen<text:hidden-text>unseen</text:hidden-text></text:p>"
        '<table:table><table:table-row table:visibility="collapse"><table:table-cell><text:p>row</text:p>'
        "</table:table-cell></table:table-row></table:table>"
    )
    assert [element.text for element in result.elements] == ["seen"]
    assert [(hidden.text, hidden.reason) for hidden in result.hidden] == [
        ("unseen", "hidden_part"),
        ("row", "hidden_part"),
    ]


def test_slides_have_numbers_titles_and_hidden_parts() -> None:
    """Each element knows its slide; hidden slides and frames off the slide are records."""
    styles = (
        '<style:style style:name="dp1"><style:drawing-page-properties presentation:visibility="hidden"/></style:style>'
    )
    result = parsed(
        '<draw:page><draw:frame presentation:class="title"><draw:text-box><text:p>Where we are</text:p></draw:text-box>'
        '</draw:frame><draw:frame svg:x="-9cm" svg:width="2cm"><draw:text-box><text:p>off</text:p></draw:text-box>'
        '</draw:frame></draw:page><draw:page draw:style-name="dp1"><draw:frame><draw:text-box>'
        "<text:p>not shown</text:p></draw:text-box></draw:frame></draw:page>",
        styles=styles,
        kind="presentation",
    )
    assert [(e.kind, e.level, e.page, e.text) for e in result.elements] == [("heading", 1, 1, "Where we are")]
    assert [(h.text, h.reason, h.place) for h in result.hidden] == [
        ("off", "off_page", "slide 1"),
        ("not shown", "hidden_part", "slide 2"),
    ]
    assert result.pages == 2


def test_too_many_slides_are_refused() -> None:
    """More slides than the limit on pages are refused."""
    with pytest.raises(FileRefused) as caught:
        parsed("<draw:page/><draw:page/>", kind="presentation", limits=ParseLimits(max_pages=1))
    assert caught.value.code == "too_many_pages"


def test_a_package_is_read_with_its_headers_and_title() -> None:
    """An ODT gives its text, the footers of its page styles, and the title of its properties."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as container:
        container.writestr("mimetype", "application/vnd.oasis.opendocument.text")
        container.writestr("content.xml", flat("<text:p>words</text:p>").split(b"?>", 1)[1])
        container.writestr(
            "styles.xml",
            f"<office:document-styles {SPACES}><office:master-styles><style:master-page><style:footer>"
            "<text:p>below <text:page-number>7</text:page-number></text:p></style:footer></style:master-page>"
            "</office:master-styles></office:document-styles>",
        )
        container.writestr(
            "meta.xml",
            f'<office:document-meta {SPACES} xmlns:dc="http://purl.org/dc/elements/1.1/"><office:meta>'
            "<dc:title>Plan</dc:title></office:meta></office:document-meta>",
        )
    result = parse(out.getvalue(), "plan.odt", ParseLimits())
    assert [(element.kind, element.text) for element in result.elements] == [
        ("paragraph", "words"),
        ("footer", "below"),
    ]
    assert result.title == "Plan"
