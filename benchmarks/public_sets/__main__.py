"""Public data sets as files for `groundwire ingest` and `groundwire eval`.

    python -m benchmarks.public_sets NAME DATA OUT

DATA is the folder of the set's .jsonl files. What a set becomes, and for which command, is said by the functions of

    reading.py         collections and golden sets: eval retrieval, eval answers
    abstention.py      golden sets with questions that have no answer: eval answers, eval calibrate
    evidence.py        claims with their evidence: eval support
    injection.py       texts with and without injected orders: eval injection
    personal_data.py   texts with labelled personal data: eval pii
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.public_sets import abstention, evidence, injection, personal_data, reading

_SETS = {**reading.SETS, **abstention.SETS, **evidence.SETS, **injection.SETS, **personal_data.SETS}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=_SETS)
    parser.add_argument("data", type=Path, metavar="DATA")
    parser.add_argument("out", type=Path, metavar="OUT")
    given = parser.parse_args()
    _SETS[given.name](given.data, given.out)


if __name__ == "__main__":
    main()
