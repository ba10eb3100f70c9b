"""From the bytes of a file to its pieces: `parse` guards, then hands over to the parser of the media type.

Each parser is a module with the same function `parse(data, name, limits) -> ParsedDocument`, imported on first use.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module

from ingest.codepoints import reveal
from ingest.elements import ParsedDocument
from ingest.errors import FileRefused
from ingest.guard import inspect
from ingest.limits import ParseLimits
from ingest.media_types import PARSERS


def parse(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument:
    """The pieces of the file `name` in reading order, and what is hidden in it.

    Raises FileRefused with a code of `ingest.guard.inspect`, of the parser, or with no_text, too_long or too_nested.
    What a library raises over a damaged file is refused as unreadable.
    """
    media_type = inspect(data, name, limits)
    parser = import_module(f"ingest.parsers.{PARSERS[media_type]}")
    try:
        document = reveal(parser.parse(data, name, limits))
    except (FileRefused, MemoryError):
        raise
    except RecursionError:
        cause = "Its parts are nested too deep."
        raise FileRefused(name, "too_nested", cause, "Save it anew in the program that made it.") from None
    except Exception as error:
        cause = f"It could not be read as {media_type} ({type(error).__name__}: {error})."
        raise FileRefused(name, "unreadable", cause, "Open it and save it anew, or export it as PDF.") from error
    _check_text(document, name, limits)
    most = limits.max_hidden_characters
    hidden = tuple(text if len(text.text) <= most else replace(text, text=text.text[:most]) for text in document.hidden)
    return replace(document, media_type=media_type, hidden=hidden)


def _check_text(document: ParsedDocument, name: str, limits: ParseLimits) -> None:
    characters = sum(len(element.text) for element in document.elements)
    if characters > limits.max_characters:
        cause = f"Its text has {characters:,} characters; the limit is {limits.max_characters:,}."
        raise FileRefused(name, "too_long", cause, "Split it, or raise the limit on characters.")
    if characters == 0:
        known = "All of its text is hidden." if document.hidden else "No text was found in it."
        cause = " ".join((known, *document.notes))
        raise FileRefused(name, "no_text", cause, "Leave it out, or export it with its text.")


def parse_within(data: bytes, name: str, limits: ParseLimits) -> ParsedDocument | str:
    """A file that lies within another one, or a note for a person on why it was left out."""
    if limits.max_embedded <= 0:
        return f"{name} was left out: it lies too deep within other files."
    try:
        return parse(data, name, replace(limits, max_embedded=limits.max_embedded - 1))
    except FileRefused as error:
        return f"{name} was left out: {error.cause}"
