from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers.text import parse, parse_record

LIMITS = ParseLimits()


def read(text: str, name: str) -> ParsedDocument:
    return parse(text.encode(), name, LIMITS)


def lines(document: ParsedDocument) -> list[str]:
    return [element.text for element in document.elements]


def test_paragraphs_are_what_blank_lines_separate() -> None:
    """Lines of a paragraph stay as they are, with their indentation; line ends of any system are one."""
    assert lines(read("One\r\n  two\r\n\r\n \t\r\nThree\n\n\n", "a.txt")) == ["One\n  two", "Three"]


def test_log_lines_are_not_headings() -> None:
    """A text file is taken as it is, even where a line begins like a Markdown heading."""
    assert [element.kind for element in read("# comment\nvalue = 1", "a.log").elements] == ["paragraph"]


def test_record_with_headings_is_markdown() -> None:
    """The text of a record is Markdown if it has Markdown's headings, else plain."""
    assert [element.kind for element in parse_record("Intro\n\n## Costs\n\n- a", "r1", LIMITS).elements] == [
        "paragraph",
        "heading",
        "list_item",
    ]
    assert lines(parse_record("See [the guide](https://a.example/b).", "r1", LIMITS)) == ["See the guide."]
    assert lines(parse_record("A | B\n--- | ---\n1 | 2", "r1", LIMITS)) == ["A\tB\n1\t2"]
    assert lines(parse_record("2 * 3 * 4\n\n#tag", "r1", LIMITS)) == ["2 * 3 * 4", "#tag"]


def test_subtitles_are_read_as_speech() -> None:
    """Of subtitles the words and speakers remain; notes, which no viewer sees, are hidden text."""
    document = read(
        "WEBVTT - Meeting\n\nNOTE secret remark\n\nSTYLE\n::cue { color: white }\n\n"
        "1\n00:00:01.000 --> 00:00:04.000 line:0\n"
        "<v Ada Lovelace>We <i>ship</i> today.</v>\n\n00:05.000 --> 00:06.000\nFine.\n",
        "a.vtt",
    )
    assert lines(document) == ["Ada Lovelace: We ship today.\nFine."]
    assert [hidden.text for hidden in document.hidden] == ["NOTE secret remark"]


def test_restructured_text() -> None:
    """Adornments make headings in the order of first use, directives leave their text, comments are hidden."""
    document = read(
        "=====\nGuide\n=====\n\nSee `the site <https://a.example>`_ and :ref:`this <x>`.\n\nCosts\n-----\n\n"
        ".. note:: Keep receipts.\n\n.. secret remark\n\nTravel\n------\n",
        "a.rst",
    )
    assert [(element.kind, element.level, element.text) for element in document.elements] == [
        ("heading", 1, "Guide"),
        ("paragraph", 0, "See the site and this."),
        ("heading", 2, "Costs"),
        ("paragraph", 0, "Keep receipts."),
        ("heading", 2, "Travel"),
    ]
    assert [hidden.text for hidden in document.hidden] == ["secret remark"]


def test_calendar() -> None:
    """An event is a paragraph of what people read in it, unfolded and unescaped."""
    event = "UID:1\nSUMMARY:Board\n  meeting\nDTSTART;TZID=Europe/Rome:20260301\nLOCATION:Room 1\\, Rome"
    assert lines(read(f"BEGIN:VCALENDAR\nBEGIN:VEVENT\n{event}\nEND:VEVENT\nEND:VCALENDAR", "a.ics")) == [
        "Summary: Board meeting\nStart: 20260301\nLocation: Room 1, Rome"
    ]


def test_json_records() -> None:
    """Each record of a list or of JSON lines is a paragraph of named values."""
    expected = ["name: Ada\naddress.city: London\ntags: a\ntags: b\nactive: true", "name: Bob"]
    records = '{"name":"Ada","address":{"city":"London"},"tags":["a","b"],"active":true,"x":null}', '{"name":"Bob"}'
    assert lines(read(f"[{records[0]},{records[1]}]", "a.json")) == expected
    assert lines(read("\n".join(records), "a.ndjson")) == expected


def test_broken_json_is_still_text() -> None:
    """A JSON file that does not parse is read as it stands."""
    assert lines(read('{"name": "Ada"', "a.json")) == ['{"name": "Ada"']


def test_escapes_of_json_cannot_smuggle() -> None:
    """Invisible and impossible characters that JSON escapes are dealt with after decoding."""
    document = read('{"a": "seen\\udb40\\udc74\\udb40\\udc72\\ud800"}', "a.json")
    assert lines(document) == ["a: seen\ufffd"]
    assert [hidden.text for hidden in document.hidden] == ["tr"]


def test_xml() -> None:
    """Fields of a record are named, flowing text is one paragraph, comments are hidden, entities are not followed."""
    document = read(
        '<?xml version="1.0"?><!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd"><!ENTITY y "yyy">]>'
        "<r><!-- secret --><item><name>Pen</name><price>2</price></item><p>Some <b>bold</b>er text.</p>"
        "<q>a&x;b</q></r>",
        "a.xml",
    )
    assert lines(document)[:2] == ["name: Pen\nprice: 2", "Some bolder text."]
    assert "root:" not in "".join(lines(document))
    assert [hidden.text for hidden in document.hidden] == ["secret"]


@pytest.mark.parametrize(
    ("text", "name"), [("[" * 400 + "]" * 400, "a.json"), ("<a>" * 400 + "<b/>" * 2 + "</a>" * 400, "a.xml")]
)
def test_too_deep_is_refused(text: str, name: str) -> None:
    """Values and elements nested beyond the limit are refused."""
    with pytest.raises(FileRefused) as refused:
        read(text, name)
    assert refused.value.code == "too_nested"


def test_very_deep_json_is_refused() -> None:
    """JSON that would exhaust the stack is refused like any that is too deep."""
    with pytest.raises(FileRefused) as refused:
        read("[" * 100_000, "a.json")
    assert refused.value.code == "too_nested"


@settings(deadline=None)
@given(data=st.binary(max_size=80), name=st.sampled_from(["a.txt", "a.vtt", "a.rst", "a.ics", "a.json", "a.xml", "a"]))
def test_any_bytes_are_read_or_refused(data: bytes, name: str) -> None:
    """No bytes make a text parser fail but with a refusal of a known code."""
    try:
        document = parse(data, name, LIMITS)
    except FileRefused as error:
        refusal = error.code
    else:
        refusal = None
        assert all(element.text.strip() for element in document.elements)
    assert refusal in (None, "unreadable_encoding", "unreadable", "too_nested")


@settings(deadline=None)
@given(text=st.text(max_size=200) | st.text(st.sampled_from("=-~ab \n.:`_"), max_size=80))
def test_any_record_is_read(text: str) -> None:
    """No record's text makes the parser fail, and what comes out can be stored."""
    "".join(lines(parse_record(text, "r", LIMITS))).encode()
    "".join(lines(parse(text.encode("utf-8", "replace"), "a.rst", LIMITS))).encode()
