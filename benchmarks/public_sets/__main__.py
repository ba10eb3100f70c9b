"""Public data sets as collections and golden sets: python -m benchmarks.public_sets NAME DATA_DIR OUT_DIR.

DATA_DIR holds the set's .jsonl files; OUT_DIR gets what `groundwire ingest` and `groundwire eval` take.

    squad2        collection over the passages, queries that have an answer; golden.jsonl: all questions
    xquad         the same for each language, in OUT_DIR/LANGUAGE; the golden set has no unanswerable questions
    financebench  OUT_DIR/pages: each page is a document; OUT_DIR/pdfs: the PDF files, for --level page
    clapnq        collection over the passages, and golden.jsonl
    sourcegraph   records.jsonl, each department's documents readable for its group
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.public_sets import reading

_SETS = {**reading.SETS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=_SETS)
    parser.add_argument("data", type=Path, metavar="DATA_DIR")
    parser.add_argument("out", type=Path, metavar="OUT_DIR")
    given = parser.parse_args()
    _SETS[given.name](given.data, given.out)


if __name__ == "__main__":
    main()
