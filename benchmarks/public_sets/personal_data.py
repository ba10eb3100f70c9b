"""Sets of labelled personal data, and texts that hold next to none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.public_sets import Record, Sets, read, write


def presidio(data: Path, out: Path) -> None:
    """Each file of presidio-research's templates as a set of its own, and both as one."""
    everything = []
    for path in sorted(data.glob("*.jsonl")):
        texts = [
            {
                "id": str(record["id"]),
                "text": record["text"],
                "spans": [{name: span[name] for name in ("type", "start", "end")} for span in record["spans"]],
            }
            for record in read(path)
        ]
        write(out / path.name, texts)
        everything += texts
    write(out / "all.jsonl", everything)


def handbook(data: Path, out: Path) -> None:
    """The pages of a company's handbook, nothing labelled: what is found there is looked at by hand."""
    _unlabelled(read(data / "docs.jsonl"), "path", out)


def encyclopaedia(data: Path, out: Path) -> None:
    """Passages of Wikipedia, nothing labelled."""
    _unlabelled(read(data / "passages.jsonl"), "pid", out)


def _unlabelled(records: Iterator[Record], key: str, out: Path) -> None:
    write(out / "texts.jsonl", ({"id": record[key], "text": record["text"], "spans": []} for record in records))


SETS: Sets = {"pii-presidio": presidio, "pii-handbook": handbook, "pii-squad2": encyclopaedia}
