from __future__ import annotations

import io
import zipfile

import pytest

from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers import parse

PACKAGE = """<package xmlns="http://www.idpf.org/2007/opf"><metadata xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title>The Book</dc:title></metadata><manifest>
<item id="a" href="text/one%20a.xhtml"/><item id="b" href="text/two.xhtml"/><item id="c" href="text/gone.xhtml"/>
</manifest><spine><itemref idref="b"/><itemref idref="a"/><itemref idref="c"/></spine></package>"""
CONTAINER = """<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>
<rootfile full-path="OPS/book.opf"/></rootfiles></container>"""


def a_book(**members: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as container:
        container.writestr("mimetype", "application/epub+zip")
        for name, text in members.items():
            container.writestr(name, text)
    return out.getvalue()


def test_chapters_come_in_the_order_of_the_spine() -> None:
    """The spine orders the chapters; hidden text in them is reported, and a missing one leaves a note."""
    book = a_book(
        **{
            "META-INF/container.xml": CONTAINER,
            "OPS/book.opf": PACKAGE,
            "OPS/text/one a.xhtml": "<html><body><h1>First file</h1></body></html>",
            "OPS/text/two.xhtml": "<html><body><h1>Second file</h1><p hidden=''>unseen</p></body></html>",
        }
    )
    result = parse(book, "book.epub", ParseLimits())
    assert [(element.kind, element.text) for element in result.elements] == [
        ("heading", "Second file"),
        ("heading", "First file"),
    ]
    assert result.title == "The Book"
    assert [hidden.text for hidden in result.hidden] == ["unseen"]
    assert result.notes == ("The chapter OPS/text/gone.xhtml was left out: it is missing.",)


def test_a_book_without_a_list_of_chapters_is_refused() -> None:
    """An EPUB that names no package document is refused as unreadable."""
    with pytest.raises(FileRefused) as caught:
        parse(a_book(**{"a.xhtml": "<p>x</p>"}), "book.epub", ParseLimits())
    assert caught.value.code == "unreadable"


def test_a_protected_book_is_refused() -> None:
    """A book with encrypted chapters is refused; obfuscated fonts alone are no reason."""
    encryption = '<encryption><CipherReference URI="{}"/></encryption>'
    chapters = a_book(**{"META-INF/encryption.xml": encryption.format("OPS/text/two.xhtml")})
    fonts = a_book(**{"META-INF/encryption.xml": encryption.format("OPS/a.otf")})
    with pytest.raises(FileRefused) as caught:
        parse(chapters, "book.epub", ParseLimits())
    assert caught.value.code == "encrypted"
    with pytest.raises(FileRefused) as caught:
        parse(fonts, "book.epub", ParseLimits())
    assert caught.value.code == "unreadable"
