"""How fast personal data is found and replaced, and how much is found in texts: on one core, in processor time.

    python -m benchmarks.personal_data PATH... [--repeat 3] [--show PHONE_NUMBER]

PATH is a folder of .md and .txt files, or a .jsonl file whose records have a `text`. Detection is measured with
all types; redaction with one vault for all texts. `--show` prints what was found of a type, to judge it by eye.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks.public_sets.reading import read
from benchmarks.report import heading, table, verdict
from orchestrator.personal_data.chain import DetectorChain, standard_chain
from orchestrator.personal_data.redaction import redact
from orchestrator.personal_data.vault import Vault

LEAST_MB_PER_S = 1.0  # target
CONTEXT = 30  # characters shown on both sides of a find


def texts_of(path: Path) -> Iterator[str]:
    """The texts of a folder or of a .jsonl file."""
    if path.is_dir():
        for file in sorted([*path.rglob("*.md"), *path.rglob("*.txt")]):
            yield file.read_text("utf-8", errors="replace")
    else:
        yield from (record["text"] for record in read(path))


def speed(chain: DetectorChain, texts: Sequence[str], repeat: int) -> tuple[float, float]:
    """Megabytes (UTF-8) a second of processor time, the best of `repeat`: detection, and redaction with it."""
    megabytes = sum(len(text.encode("utf-8", "replace")) for text in texts) / 1e6
    best = [float("inf"), float("inf")]
    for _ in range(repeat):
        started = time.process_time()
        for text in texts:
            chain.detect(text)
        middle = time.process_time()
        vault = Vault(chain.types)
        for text in texts:
            redact(text, vault, chain)
        best = [min(best[0], middle - started), min(best[1], time.process_time() - middle)]
    return megabytes / best[0], megabytes / best[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH")
    parser.add_argument("--repeat", type=int, default=3, help="Times each text is looked at; the best counts.")
    parser.add_argument("--show", metavar="TYPE", help="Print what was found of this type.")
    given = parser.parse_args()
    chain = standard_chain()
    chain.detect("+49 30 901820 é")  # numbering plans and tables are loaded on first use
    for path in given.paths:
        texts = list(texts_of(path))
        words = sum(len(text.split()) for text in texts)
        detection, redaction = speed(chain, texts, given.repeat)
        heading(
            f"Personal data in {path.name}: {len(texts)} texts, {words} words",
            f"detection {detection:.1f} MB/s; {verdict(detection, LEAST_MB_PER_S, least=True)}",
            f"detection and redaction {redaction:.1f} MB/s; {verdict(redaction, LEAST_MB_PER_S, least=True)}",
            packages=("phonenumbers",),
        )
        counts: Counter[str] = Counter()
        for text in texts:
            for entity in chain.detect(text).entities:
                counts[entity.type] += 1
                if entity.type == given.show:
                    around = text[max(0, entity.start - CONTEXT) : entity.end + CONTEXT]
                    print(f"  {text[entity.start : entity.end]!r} in {around!r}")
        rows = [[kind, str(n), f"{10_000 * n / words:.2f}"] for kind, n in counts.most_common()]
        table(["type", "found", "per 10,000 words"], rows)


if __name__ == "__main__":
    main()
