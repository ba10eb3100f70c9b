from __future__ import annotations

from email import policy
from email.message import EmailMessage

import pytest

from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.limits import ParseLimits
from ingest.parsers import parse


def a_message(text: str = "The visit is on Monday.", **fields: str) -> EmailMessage:
    message = EmailMessage(policy=policy.default)
    for name, value in {"Subject": "Visit", "From": "ann@example.com", "To": "bo@example.com", **fields}.items():
        message[name] = value
    message.set_content(text)
    return message


def parsed(message: EmailMessage, limits: ParseLimits | None = None) -> ParsedDocument:
    return parse(message.as_bytes(), "visit.eml", limits or ParseLimits())


def texts(document: ParsedDocument) -> list[str]:
    return [element.text for element in document.elements]


def test_head_and_paragraphs() -> None:
    """The subject is heading and title, who wrote to whom one paragraph, and blank lines separate the rest."""
    result = parsed(a_message("First.\nStill first.\n\nSecond.", Date="Mon, 02 Mar 2026 09:00:00 +0000"))
    assert texts(result) == [
        "Visit",
        "From: ann@example.com\nTo: bo@example.com\nDate: Mon, 02 Mar 2026 09:00:00 +0000",
        "First.\nStill first.",
        "Second.",
    ]
    assert (result.elements[0].kind, result.title, result.media_type) == ("heading", "Visit", "message/rfc822")


def test_encoded_headers_and_bodies_are_decoded() -> None:
    """RFC 2047 words, quoted-printable and Japanese in seven bits become what a person reads."""
    assert "Grüße ☸" in texts(parsed(a_message("schön", Subject="Grüße ☸")))
    message = b"Subject: a\nTo: b\nContent-Type: text/plain; charset=iso-2022-jp\n\n" + "日本語".encode("iso-2022-jp")
    assert "日本語" in texts(parse(message, "a.eml", ParseLimits()))
    assert "schön" in texts(parse(b"Subject: a\nTo: b\n\n" + "schön".encode("cp1252"), "a.eml", ParseLimits()))


def test_a_message_as_utf16_is_read() -> None:
    """A message that was saved in UTF-16 reads as one in ASCII does."""
    result = parse(a_message().as_string().encode("utf-16"), "a.eml", ParseLimits())
    assert "The visit is on Monday." in texts(result)


def test_the_form_that_people_see_is_read_and_its_hidden_text_reported() -> None:
    """Of text and HTML the HTML is read, and what it hides is a record."""
    message = a_message("plain form")
    message.add_alternative('<p>HTML form</p><p style="display:none">unseen</p>', subtype="html")
    result = parsed(message)
    assert texts(result)[2:] == ["HTML form"]
    assert [(hidden.text, hidden.reason) for hidden in result.hidden] == [("unseen", "css_hidden")]


def test_attachments_are_parsed_like_files() -> None:
    """An attachment follows under its name; one that is refused leaves a note with the cause."""
    message = a_message()
    message.add_attachment("a,b\n1,2\n", subtype="csv", filename="costs.csv")
    message.add_attachment(b"MZ\x90\0", maintype="application", subtype="octet-stream", filename="setup.exe")
    result = parsed(message)
    at = texts(result).index("Attachment costs.csv")
    assert result.elements[at].kind == "heading"
    assert "1" in texts(result)[at + 1]
    assert "2" in texts(result)[at + 1]
    assert result.notes == ("The attachment setup.exe was left out: The file is a program, which is not read here.",)


def test_messages_in_messages_end_at_the_limit() -> None:
    """Forwarded messages are read down to the limit on files within files, and a note says what was left out."""
    message = a_message("innermost")
    for depth in range(4):
        outer = a_message(f"level {depth}")
        outer.add_attachment(message)
        message = outer
    assert "innermost" in texts(parsed(message, ParseLimits(max_embedded=4)))
    result = parsed(message, ParseLimits(max_embedded=2))
    assert "level 1" in texts(result)
    assert "level 0" not in texts(result)
    assert any("too deep" in note for note in result.notes)


def test_a_mailbox_gives_every_message() -> None:
    """Each message of an mbox comes under its subject; a quoted "From " in a text splits nothing."""
    one = a_message("Hello.\n\n>From here on it rains.", Subject="One").as_bytes()
    two = a_message("Bye.", Subject="Two").as_bytes()
    box = b"From ann@example.com Mon Mar  2 09:00:00 2026\n" + one + b"\n\nFrom bo@example.com Tue\n" + two
    result = parse(box, "mails.mbox", ParseLimits())
    assert [element.text for element in result.elements if element.kind == "heading"] == ["One", "Two"]
    assert "From here on it rains." in texts(result)
    with pytest.raises(FileRefused) as caught:
        parse(box, "mails.mbox", ParseLimits(max_members=1))
    assert caught.value.code == "too_many_members"


def test_an_encrypted_message_is_refused() -> None:
    """S/MIME and PGP messages are refused as encrypted, signed ones are read."""
    head = b"Subject: a\nTo: b\nContent-Type: "
    for kind in (b"multipart/encrypted; boundary=x", b"application/pkcs7-mime; smime-type=enveloped-data"):
        with pytest.raises(FileRefused) as caught:
            parse(head + kind + b"\n\n--x\n\nabc\n--x--\n", "a.eml", ParseLimits())
        assert caught.value.code == "encrypted"
    signed = head + b"multipart/signed; boundary=x\n\n--x\nContent-Type: text/plain\n\nsigned words\n--x--\n"
    assert "signed words" in texts(parse(signed, "a.eml", ParseLimits()))


def test_broken_headers_cost_nothing_but_themselves() -> None:
    """A header that cannot be decoded stays as it is written."""
    message = b"Subject: =?x-none?Q?abc?= =?utf-8?B?####?=\nFrom: a\nTo: b\n\nwords"
    assert "words" in texts(parse(message, "a.eml", ParseLimits()))
