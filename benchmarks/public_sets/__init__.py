"""Public data sets, brought into the files that `groundwire ingest` and `groundwire eval` take; none is kept here."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

Record = dict[str, Any]
Sets = Mapping[str, Callable[[Path, Path], None]]  # by name: (folder of the set's .jsonl files, folder for the result)


def read(path: Path) -> Iterator[Record]:
    """The records of a .jsonl file."""
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def write(path: Path, records: Iterable[Record]) -> None:
    """Write a .jsonl file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as out:
        out.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
