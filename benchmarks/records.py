"""Corpora for the benchmarks: part of one that is given, or one that is made up."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

Record = dict[str, Any]

_SYLLABLES = [first + second for first in "bdfgklmnprst" for second in ("a", "en", "i", "or", "u")]


def read(path: Path, limit: int | None = None) -> list[Record]:
    """The records of a .jsonl file."""
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in islice(lines, limit)]


def write(path: Path, records: Sequence[Record]) -> Path:
    """A .jsonl file of the records; returns its path."""
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")
    return path


def sampled(path: Path, limit: int | None, seed: int = 7) -> list[Record]:
    """At most `limit` records of a file, drawn over the whole of it, so that no part of it stands for the rest."""
    found = read(path)
    if limit is None or limit >= len(found):
        return found
    return random.Random(seed).sample(found, limit)


def made_up(count: int, seed: int = 7, sentences: int = 4) -> Iterator[Record]:
    """Documents of one chunk each, readable for `group:all`, whose words follow Zipf's law; no two are alike."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(_SYLLABLES, k=rng.randint(1, 4))) for _ in range(20_000)]
    totals = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    for number in range(count):
        text = " ".join(
            " ".join(rng.choices(words, cum_weights=totals, k=13)).capitalize() + "." for _ in range(sentences)
        )
        yield {"id": f"made-up-{number}", "title": f"Note {number}", "text": text, "allow": ["group:all"]}


def questions(records: Sequence[Record], count: int, seed: int = 7) -> list[str]:
    """Questions made of words of the records, one record each: half a sentence with a question mark."""
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        words = rng.choice(records)["text"].split()
        start = rng.randrange(max(1, len(words) - 9))
        found.append("What about " + " ".join(words[start : start + 9]).strip(".,;:?!") + "?")
    return found
