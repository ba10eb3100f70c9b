"""Files of one JSON object a line, as sets and collections come."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ingest.errors import BadInput

Item = TypeVar("Item")


def read_json_lines(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each object with the place where it stands, `path:line`. Raises BadInput for what is missing or no object."""
    try:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield f"{path}:{number}", _object(f"{path}:{number}", line)
    except OSError as error:
        cause = f"The file cannot be read ({error.strerror})."
        raise BadInput(str(path), "missing_file", cause, "Check the path.") from error


def write_json_lines(path: Path, values: Iterable[object]) -> None:
    """One value a line, in UTF-8. Raises BadInput when the file cannot be written."""
    try:
        with path.open("w", encoding="utf-8") as out:
            for value in values:
                out.write(json.dumps(value, ensure_ascii=False) + "\n")
    except OSError as error:
        cause = f"The file cannot be written ({error.strerror})."
        raise BadInput(str(path), "not_writable", cause, "Choose another path.") from error


def spread(items: Sequence[Item], limit: int | None) -> Sequence[Item]:
    """At most `limit` of the items, evenly spaced, so that a part stands for the whole; all of them for None."""
    if limit is None or limit >= len(items):
        return items
    return [items[number * len(items) // limit] for number in range(limit)]


def _object(place: str, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        cause = f"The line is no JSON ({error})."
        raise BadInput(place, "not_json", cause, "Write one JSON object a line, in UTF-8.") from error
    if not isinstance(value, dict):
        raise BadInput(place, "not_json", "The line is no JSON object.", "Write one JSON object a line.")
    return value
