"""Documents from a llama-index reader: any class with `load_data` or `lazy_load_data`.

The reader is the operator's own code: to name one is to run it in this process, with all that this process may do.
What it reads is not trusted: its documents become records as those of a .jsonl file are, and their metadata sets only
the access tags that the operator names.
"""

from __future__ import annotations

import importlib
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ingest.errors import BadInput, RecordRefused
from ingest.sources import TAG_FIELDS, Failure, Source, from_records

METADATA_TAGS: Final = TAG_FIELDS - {"tenant"}  # whose documents they are is for the operator alone to say
_NAME: Final = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")
_ID_KEYS: Final = ("file_path", "path", "url", "source_url", "link", "page_id", "document_id", "doc_id", "id", "source")
_TITLE_KEYS: Final = ("title", "file_name")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderConfig:
    """Which reader reads, and what. Made by `reader_config` from the words of a command line."""

    name: str  # module:Class
    init: Mapping[str, Any] = field(default_factory=dict)  # keyword arguments of the class
    load: Mapping[str, Any] = field(default_factory=dict)  # keyword arguments of load_data
    tags: frozenset[str] = frozenset()  # access tags that a document's metadata sets, in place of the command's


def reader_config(name: str, arguments: str = "{}", tags: Iterable[str] = ()) -> ReaderConfig:
    """The config that these words make; `arguments` is JSON, `{"init": {…}, "load": {…}}`, either part optional.

    Raises BadInput for a name of another form, arguments of another shape, and tags that metadata may not set.
    """
    if not _NAME.fullmatch(name):
        cause, step = "It names no class of a module.", "Write it as package.module:Class."
        raise BadInput(name, "bad_reader_name", cause, step)
    try:
        parts = json.loads(arguments)
    except (ValueError, RecursionError) as error:
        raise _bad_arguments(name, f"The arguments are no JSON ({error}).") from error
    if not isinstance(parts, dict) or parts.keys() - {"init", "load"}:
        raise _bad_arguments(name, "The arguments have other parts than init and load.")
    if not all(isinstance(part, dict) for part in parts.values()):
        raise _bad_arguments(name, "Each of init and load is a JSON object of keyword arguments.")
    chosen = frozenset(tags)
    if wrong := chosen - METADATA_TAGS:
        cause = f"The metadata of a document cannot set {', '.join(sorted(wrong))}."
        raise BadInput(name, "bad_reader_tags", cause, f"Choose from {', '.join(sorted(METADATA_TAGS))}.")
    return ReaderConfig(name=name, tags=chosen, **parts)


def read(config: ReaderConfig, defaults: Mapping[str, object]) -> Iterator[Source | Failure]:
    """The reader's documents as sources, tagged with `defaults`; what cannot be taken comes as a Failure.

    A reader that fails on the way ends the stream with a Failure: what came before it counts. Raises BadInput, before
    anything is read, for a reader that cannot be had and for documents that nobody could read.
    """
    if not any(defaults.get(name) or name in config.tags for name in ("allow", "owner")):
        cause = "Nothing says who may read its documents."
        raise BadInput(config.name, "no_access_tags", cause, "Give at least one --allow TOKEN, or an --owner.")
    return _sources(config, _make(config), defaults)


def _make(config: ReaderConfig) -> Any:
    """The reader itself: imported and constructed."""
    module, _, name = config.name.partition(":")
    try:
        made = getattr(importlib.import_module(module), name, None)
    except Exception as error:
        cause = f"The module {module} cannot be imported ({_told(error)})."
        step = "Install its package, or put its folder on PYTHONPATH."
        raise BadInput(config.name, "reader_not_found", cause, step) from error
    if not isinstance(made, type) or not hasattr(made, "load_data"):
        cause = f"The module {module} has no reader {name}: a class with load_data."
        raise BadInput(config.name, "reader_not_found", cause, "Check the name of the class.")
    try:
        return made(**config.init)
    except Exception as error:
        cause = f"The reader cannot be made ({_told(error)})."
        step = 'Check the "init" part of the reader\'s arguments, and what the reader takes from the environment.'
        raise BadInput(config.name, "reader_failed", cause, step) from error


def _sources(config: ReaderConfig, reader: Any, defaults: Mapping[str, object]) -> Iterator[Source | Failure]:
    parts: Counter[str] = Counter()
    number = 0
    try:
        for number, document in enumerate(_load(reader, config.load), start=1):
            yield _source(config, document, number, parts, defaults)
    except Exception as error:  # noqa: BLE001 - a reader raises whatever its source does to it
        cause = f"The reader failed after {number} documents ({_told(error)})."
        step = "Correct the cause and run it again: what came before is kept and costs nothing then."
        yield Failure(path=config.name, error=BadInput(config.name, "reader_failed", cause, step))


def _load(reader: Any, arguments: Mapping[str, Any]) -> Iterable[Any]:
    """The documents one by one where the reader can do that."""
    if hasattr(reader, "lazy_load_data"):
        try:
            lazily: Iterable[Any] = reader.lazy_load_data(**arguments)
        except NotImplementedError:  # llama-index's base class has the method for every reader
            pass
        else:
            return lazily
    at_once: Iterable[Any] = reader.load_data(**arguments)
    return at_once


def _source(
    config: ReaderConfig, document: Any, number: int, parts: Counter[str], defaults: Mapping[str, object]
) -> Source | Failure:
    """The document as a record, and the record as a source that somebody may read."""
    place = f"{config.name}, document {number}"
    metadata = getattr(document, "metadata", None)
    try:
        if not isinstance(metadata, Mapping):
            cause, step = "It is no Document: it has no metadata.", "Name a reader that yields llama-index Documents."
            raise RecordRefused(place, "not_a_document", cause, step)
        identity = _identity(place, document, metadata, parts)
        place = f"reader:{config.name}:{identity}"
        record = {"id": identity, "text": getattr(document, "text", None), "title": _first(metadata, _TITLE_KEYS)}
        own = {name: metadata[name] for name in config.tags & metadata.keys()}
        (made,) = from_records([record | {"source_uri": place} | own], defaults)
        if isinstance(made, Failure):
            raise RecordRefused(place, made.error.code, made.error.cause, made.error.next_step)
        if not made.tags.readers:
            cause, step = "Nobody may read it.", "Give --allow or --owner for documents whose metadata names no reader."
            raise RecordRefused(place, "no_access_tags", cause, step)
    except RecordRefused as error:
        return Failure(path=place, error=error)
    return made


def _identity(place: str, document: Any, metadata: Mapping[str, Any], parts: Counter[str]) -> str:
    """What names the document on every run: the reader's id for it, else where its metadata says that it is from.

    Several documents from one place, as a reader makes of a file's pages, count on: `notes.pdf`, `notes.pdf#2`.
    """
    given = getattr(document, "id_", None)
    if isinstance(given, str) and given and not _random(given, metadata):
        return given
    origin = _first(metadata, _ID_KEYS)
    if origin is None:
        cause = "The reader gives it no lasting id, so that the next run would take it for another document."
        step = f"Let the reader set the Document's id_, or one of {', '.join(_ID_KEYS)} in its metadata."
        raise RecordRefused(place, "no_id", cause, step)
    parts[origin] += 1
    return origin if parts[origin] == 1 else f"{origin}#{parts[origin]}"


def _random(given: str, metadata: Mapping[str, Any]) -> bool:
    """Whether llama-index made the id up: a UUID of version 4 that the source's own metadata does not know."""
    try:
        made_up = str(uuid.UUID(given)) == given and uuid.UUID(given).version == 4
    except ValueError:
        return False
    return made_up and not any(isinstance(value, str) and value == given for value in metadata.values())


def _first(metadata: Mapping[str, Any], keys: Iterable[str]) -> str | None:
    """The first of the keys, in any case, that has a value of use."""
    lowered = {str(key).lower(): value for key, value in metadata.items()}
    found = (lowered.get(key) for key in keys)
    return next((str(value) for value in found if isinstance(value, str | int) and str(value).strip()), None)


def _told(error: Exception) -> str:
    """Kind and first line of an error of foreign code."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__


def _bad_arguments(name: str, cause: str) -> BadInput:
    return BadInput(name, "bad_reader_args", cause, 'Write them as {"init": {…}, "load": {…}}; either may be left out.')
