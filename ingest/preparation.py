"""From a source to a draft: read, parsed in a worker process, cut into chunks. Nothing is written here."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ingest.chunker import Chunk, ChunkConfig, canonicalise, chunk, encoder_input
from ingest.elements import ParsedDocument
from ingest.encoder import Encoder
from ingest.errors import FileRefused, GroundwireError
from ingest.limits import ParseLimits
from ingest.sources import Source

PIPELINE_VERSION: Final = "2"  # raised when parsing or chunking changes, so that sources are taken anew


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A document that is ready to be encoded."""

    source: Source
    content_hash: str
    title: str
    parsed: ParsedDocument
    text: str  # canonical
    chunks: tuple[Chunk, ...]
    inputs: tuple[str, ...]  # what the encoder sees, chunk by chunk


def content_hash(source: Source, chunking: ChunkConfig) -> str:
    """Changes when the source's bytes change, or the way they are made into chunks. Raises FileRefused."""
    digest = hashlib.sha256(f"{PIPELINE_VERSION}\0{chunking!r}\0{source.title or ''}\0".encode())
    if source.path is None:
        digest.update((source.text or "").encode("utf-8", "surrogatepass"))
        return digest.hexdigest()
    try:
        with source.path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise _unreadable(source, error) from error
    return digest.hexdigest()


def parse_sources(sources: Sequence[Source], limits: ParseLimits) -> list[ParsedDocument | GroundwireError]:
    """Parse sources one after the other; what cannot be parsed comes back as its error. Runs in a worker."""
    outcomes: list[ParsedDocument | GroundwireError] = []
    for source in sources:
        try:
            outcomes.append(_parse(source, limits))
        except GroundwireError as error:
            outcomes.append(error)
    return outcomes


def make_draft(source: Source, digest: str, parsed: ParsedDocument, encoder: Encoder, chunking: ChunkConfig) -> Draft:
    """Cut a parsed document into chunks that the encoder sees whole. Raises FileRefused when it holds no text."""
    canonical = canonicalise(parsed.elements)
    if not canonical.text.strip():
        cause = "It has no visible text." if parsed.hidden else "It has no text."
        raise FileRefused(source.name, "no_text", cause, "Check that it is the right file.")
    title = source.title or parsed.title or Path(source.name).stem
    pieces = chunk(canonical, encoder.token_starts(canonical.text), chunking)
    inputs = tuple(encoder_input(title, piece.headings, canonical.text[piece.start : piece.end])[0] for piece in pieces)
    return Draft(
        source=source,
        content_hash=digest,
        title=title,
        parsed=parsed,
        text=canonical.text,
        chunks=pieces,
        inputs=inputs,
    )


def _parse(source: Source, limits: ParseLimits) -> ParsedDocument:
    if source.path is None:
        from ingest.parsers.text import parse_record

        return parse_record(source.text or "", source.name, limits)
    from ingest.parsers import parse

    try:
        if source.path.stat().st_size > limits.max_bytes:
            cause = f"It has more than {limits.max_bytes} bytes."
            raise FileRefused(source.name, "too_large", cause, "Split it, or raise the limit on a file's size.")
        data = source.path.read_bytes()
    except OSError as error:
        raise _unreadable(source, error) from error
    return parse(data, source.name, limits)


def _unreadable(source: Source, error: OSError) -> FileRefused:
    return FileRefused(source.name, "unreadable", f"It cannot be read ({error.strerror}).", "Check its permissions.")
