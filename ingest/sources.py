"""Where documents come from: files, folders and .jsonl records, each with its access tags.

Tags are put together field by field, the more specific winning: the command's own, `.access.yaml` from the given folder
downwards, the line of the tags file, the record. `deny` alone adds up, so that nothing more specific can lift it.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from ingest.errors import BadInput, FileRefused, GroundwireError, RecordRefused
from ingest.tags import AccessTags

ACCESS_FILE: Final = ".access.yaml"
TAG_FIELDS: Final = frozenset(AccessTags.model_fields)
_ID_FIELDS: Final = ("id", "_id", "path")
_MAX_RECORD_BYTES: Final = 50_000_000
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]")  # no name has them, and no database stores them all


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One document to be: a file, or the text of a record."""

    id: str  # wanted document id; a file may get another when it is taken
    uri: str  # identifies the source across runs
    tags: AccessTags
    name: str  # for people and for telling the type of the content
    path: Path | None = None  # of a file
    text: str | None = None  # of a record
    title: str | None = None  # as the record says


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A source that could not be taken, and why."""

    path: str
    error: GroundwireError


@dataclass(kw_only=True)
class TagsFile:
    """Lines of a tags file by the document that they name, and which of them were used."""

    path: Path
    by_name: dict[str, dict[str, Any]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def fields_for(self, *names: str) -> dict[str, Any]:
        """The tags for the first of the names that the file has."""
        for name in names:
            if name in self.by_name:
                self.used.add(name)
                return self.by_name[name]
        return {}

    def unused(self) -> Iterator[Failure]:
        """Lines that no document of the run answered to: a tag that guards nothing is a mistake worth knowing."""
        for name in sorted(self.by_name.keys() - self.used):
            yield Failure(
                path=f"{self.path}: {name}",
                error=RecordRefused(
                    name,
                    "tags_without_document",
                    "The tags file names a document that this run did not meet.",
                    "Correct its path (relative to the tags file) or id, or ingest the document too.",
                ),
            )


def read_tags_file(path: Path) -> tuple[TagsFile, list[Failure]]:
    """The usable lines of a tags file, `{"path" or "id": …, any AccessTags field}`, and those that are not."""
    tags, failures = TagsFile(path=path), []
    for place, line in _json_lines(path):
        if isinstance(line, GroundwireError):
            failures.append(Failure(path=place, error=line))
            continue
        try:
            name, fields = _tag_line(place, line, path.parent)
        except RecordRefused as error:
            failures.append(Failure(path=place, error=error))
            continue
        tags.by_name[name] = fields
    return tags, failures


def discover(
    paths: Sequence[Path], defaults: Mapping[str, object], tags_file: TagsFile | None = None
) -> Iterator[Source | Failure]:
    """Every source under `paths` in a fixed order; what cannot be taken comes as a Failure and the rest goes on."""
    tags = tags_file or TagsFile(path=Path())
    for given in paths:
        root = given.resolve()
        if root.is_dir():
            yield from _folder(root, defaults, tags)
        elif root.is_file():
            try:
                yield from _file(root, root.name, _folder_access(root.parent, defaults), tags)
            except BadInput as error:
                yield Failure(path=error.item, error=error)
        else:
            cause, step = "There is no such file or folder.", "Check the path."
            yield Failure(path=str(given), error=FileRefused(str(given), "missing", cause, step))


def from_records(records: Sequence[dict[str, Any]], defaults: Mapping[str, object]) -> Iterator[Source | Failure]:
    """The sources that records of a .jsonl file would be; failures are placed by number, from 1."""
    for number, record in enumerate(records, start=1):
        try:
            yield _record(f"record {number}", record, defaults, TagsFile(path=Path()))
        except GroundwireError as error:
            yield Failure(path=f"record {number}", error=error)


def distinct_id(wanted: str, uri: str) -> str:
    """Another id for a file whose wanted id belongs to another source; the same on every run."""
    return f"{wanted}~{hashlib.sha256(uri.encode()).hexdigest()[:8]}"


def check_tags(item: str, fields: Mapping[str, Any]) -> AccessTags:
    """The tags that these fields make; raises RecordRefused naming `item` and the first field that cannot be used."""
    try:
        made = AccessTags.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        cause = f"The tag {'.'.join(str(part) for part in first['loc'])} cannot be used: {first['msg']}."
        raise RecordRefused(item, "bad_tags", cause, "Correct the tag and ingest the document again.") from error
    if _UNPRINTABLE.search(
        "".join(
            filter(
                None, (made.tenant, made.owner, made.department, made.region, made.retention, *made.allow, *made.deny)
            )
        )
    ):
        cause = "A tag has a character that cannot be written, such as a control character."
        raise RecordRefused(item, "bad_tags", cause, "Write it without.")
    return made


def files_gone(uris: Iterable[str], folders: Sequence[Path]) -> list[str]:
    """Those file URIs that lie in one of the folders and whose file no longer exists."""
    roots = [folder.resolve() for folder in folders]
    gone = []
    for uri in uris:
        if uri.startswith("file:"):
            path = Path(unquote(urlsplit(uri).path))
            if any(path.is_relative_to(root) for root in roots) and not path.exists():
                gone.append(uri)
    return gone


def _folder(root: Path, defaults: Mapping[str, object], tags: TagsFile) -> Iterator[Source | Failure]:
    for folder, names, files in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        here = Path(folder)
        try:
            access = _folder_access(here, defaults)
        except BadInput as error:
            yield Failure(path=error.item, error=error)
            names.clear()  # what a broken access file should have guarded is not taken
            continue
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and path.is_file() and path != tags.path.resolve():
                yield from _file(path, path.relative_to(root.parent).as_posix(), access, tags)


def _file(path: Path, wanted: str, folder: _FolderAccess, tags: TagsFile) -> Iterator[Source | Failure]:
    try:
        own = _merge(folder.for_file(path.name), tags.fields_for(str(path), wanted))
        if path.suffix.lower() == ".jsonl":
            yield from _records(path, own, tags)
        else:
            made = check_tags(str(path), own)
            name = _readable(path.name)
            yield Source(id=_readable(wanted), uri=path.as_uri(), tags=made, name=name, path=path)
    except GroundwireError as error:
        yield Failure(path=str(path), error=error)


def _readable(name: str) -> str:
    """A file's name for people: what is not UTF-8 in it, or not printable, is replaced."""
    return _UNPRINTABLE.sub("\ufffd", name)


def _records(path: Path, access: Mapping[str, Any], tags: TagsFile) -> Iterator[Source | Failure]:
    for place, record in _json_lines(path):
        try:
            if isinstance(record, GroundwireError):
                raise record
            yield _record(place, record, access, tags)
        except GroundwireError as error:
            yield Failure(path=place, error=error)


def _record(place: str, record: dict[str, Any], access: Mapping[str, Any], tags: TagsFile) -> Source:
    identity = next((record[name] for name in _ID_FIELDS if record.get(name) not in (None, "")), None)
    if not isinstance(identity, str | int) or isinstance(identity, bool):
        cause = "The record has no id."
        raise RecordRefused(place, "no_id", cause, 'Give each record a unique "id" (text), beside its "text".')
    text, title = record.get("text"), record.get("title")
    if not isinstance(text, str) or not text.strip():
        raise RecordRefused(place, "no_text", "The record has no text.", 'Put the document\'s content in "text".')
    own = {name: record[name] for name in TAG_FIELDS & record.keys() if record[name] is not None}
    made = check_tags(place, _merge(_merge(access, tags.fields_for(str(identity))), own))
    uri = record.get("source_uri") or f"record:{identity}"
    heading = _UNPRINTABLE.sub(" ", title) if isinstance(title, str) and title.strip() else None
    for name, value in (("id", identity), ("source_uri", uri)):
        if _UNPRINTABLE.search(str(value)):
            cause = f"The {name} has a character that cannot be written, such as a control character."
            raise RecordRefused(place, "bad_characters", cause, "Write it without.")
    return Source(id=str(identity), uri=str(uri), tags=made, name=str(identity), text=text, title=heading)


def _json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any] | GroundwireError]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            place = f"{path}:{number}"
            if not line.strip():
                continue
            if len(line) > _MAX_RECORD_BYTES:
                cause, step = f"The line is longer than {_MAX_RECORD_BYTES} bytes.", "Split the document."
                yield place, RecordRefused(place, "too_large", cause, step)
                continue
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                cause, step = f"The line is no JSON ({error}).", "Write one JSON object a line, in UTF-8."
                yield place, RecordRefused(place, "not_json", cause, step)
                continue
            if isinstance(value, dict):
                yield place, value
            else:
                cause, step = "The line is no JSON object.", 'Write {"id": …, "text": …} on one line.'
                yield place, RecordRefused(place, "not_json", cause, step)


def _tag_line(place: str, line: dict[str, Any], base: Path) -> tuple[str, dict[str, Any]]:
    fields = {name: line[name] for name in TAG_FIELDS & line.keys()}
    unknown = line.keys() - TAG_FIELDS - {"path", "id"}
    if unknown:
        cause = f"There is no tag {', '.join(sorted(unknown))}."
        raise RecordRefused(place, "unknown_tag", cause, f"Use {', '.join(sorted(TAG_FIELDS))}.")
    check_tags(place, fields)
    if isinstance(line.get("id"), str):
        return line["id"], fields
    if isinstance(line.get("path"), str):
        beside = (base / line["path"]).resolve()
        return (str(beside) if beside.exists() else line["path"]), fields
    cause = "The line names no document."
    raise RecordRefused(place, "no_id", cause, 'Add "path", relative to the tags file, or "id".')


@dataclass(frozen=True, slots=True, kw_only=True)
class _FolderAccess:
    """The tags of a folder, and of single files in it by pattern."""

    fields: Mapping[str, Any]
    patterns: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def for_file(self, name: str) -> dict[str, Any]:
        found = dict(self.fields)
        for pattern, fields in self.patterns:
            if fnmatch.fnmatchcase(name, pattern):
                found = _merge(found, fields)
        return found


def _folder_access(folder: Path, defaults: Mapping[str, Any]) -> _FolderAccess:
    """What the access files of `folder` and of every folder above it say, so that a file's tags do not depend on
    whether it is ingested alone or with its folder. Raises BadInput for a broken one.
    """
    fields: dict[str, Any] = dict(defaults)
    patterns: list[tuple[str, Mapping[str, Any]]] = []
    for step in [*reversed(folder.parents), folder]:
        if (step / ACCESS_FILE).is_file():
            own, mine = _read_access_file(step / ACCESS_FILE)
            fields = _merge(fields, own)
            patterns.extend(mine)
    return _FolderAccess(fields=fields, patterns=tuple(patterns))


def _read_access_file(file: Path) -> tuple[dict[str, Any], list[tuple[str, Mapping[str, Any]]]]:
    import yaml

    step = f"It holds a mapping with {', '.join(sorted(TAG_FIELDS))} and, by name pattern, `files`."
    try:
        content = yaml.safe_load(file.read_text("utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise BadInput(str(file), "bad_access_file", f"The file is no YAML ({error}).", step) from error
    files = content.pop("files", {}) if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(files, dict):
        raise BadInput(str(file), "bad_access_file", "The file is no mapping.", step)
    for where, fields in [("the folder", content), *files.items()]:
        unknown = fields.keys() - TAG_FIELDS if isinstance(fields, dict) else {str(fields)}
        if unknown:
            cause = f"For {where} it names {', '.join(sorted(unknown))}, which is no tag."
            raise BadInput(str(file), "bad_access_file", cause, step)
        check_tags(str(file), fields)
    return content, list(files.items())


def _merge(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**base, **own}
    if base.get("deny") and own.get("deny"):
        merged["deny"] = [*_listed(base["deny"]), *_listed(own["deny"])]
    return merged


def _listed(value: object) -> list[object]:
    return [value] if isinstance(value, str) or not isinstance(value, list | tuple | set | frozenset) else [*value]
