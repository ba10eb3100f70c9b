"""`make demo`: real documents in, cited answers out, each for someone who may read them.

Runs the same commands as the README, and checks for each citation that the stored text has the quoted characters at the
cited place. Ends with a failure if one has not, or if somebody is told what they may not read.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
GROUNDWIRE = [sys.executable, "-c", "from api.cli import main; main()"]

QUESTIONS: list[tuple[str, str, list[str]]] = [
    (
        "A visitor of the web site",
        "Within how many days can I return a product?",
        ["--as", "visitor", "--clearance", "public"],
    ),
    (
        "Ines, head of support",
        "How many days of annual leave does full-time staff have?",
        ["--as", "ines", "--groups", "staff,support", "--clearance", "confidential"],
    ),
    (
        "Astrid, chief executive",
        "What did the board decide about the shop in Copenhagen?",
        ["--as", "astrid", "--groups", "staff,leadership", "--clearance", "confidential"],
    ),
    (
        "Lars, also a manager, and in the works council, which the minutes deny",
        "What did the board decide about the shop in Copenhagen?",
        ["--as", "lars", "--groups", "staff,leadership,works-council", "--clearance", "confidential"],
    ),
    (
        "Petra, warehouse, asks in German",
        "Wie oft werden die Feuerlöscher geprüft?",
        ["--as", "petra", "--groups", "staff,warehouse", "--clearance", "internal", "--regions", "de"],
    ),
]
MAY_NOT_KNOW = {"Lars, also a manager, and in the works council, which the minutes deny"}


def run(*arguments: str) -> Any:
    """Run a command of the console script and read its JSON."""
    done = subprocess.run([*GROUNDWIRE, *arguments, "--json"], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"groundwire {shlex.join(arguments)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)


def ingest() -> None:
    """Take the sample company's documents in."""
    report = run("ingest", str(HERE / "company"), "--tags", str(HERE / "tags.jsonl"))
    print(
        f"{report['documents']} documents, {report['chunks']} chunks written, {report['unchanged']} documents unchanged, "
        f"{report['quarantined']} pieces of hidden text kept out, {len(report['failed'])} failed, {report['seconds']} s"
    )
    for failure in report["failed"]:
        print(f"  {failure['path']}: {failure['reason']}")


def show(who: str, question: str, asker: list[str]) -> bool:
    """Ask, print the answer with its sources, and open each of them; whether everything is as it should be."""
    print(f"\n{who}: {question}")
    answer = run("ask", question, *asker)
    if answer["status"] != "answered":
        print("  No answer: nothing that they may read carries it.")
        return who in MAY_NOT_KNOW
    good = who not in MAY_NOT_KNOW
    for claim in answer["claims"]:
        print(f"  {claim['text']}")
        for citation in claim["citations"]:
            stored = run("documents", "text", citation["document_id"], *asker)["text"]
            same = stored[citation["start"] : citation["end"]] == citation["quote"]
            page = f", page {citation['page']}" if citation["page"] else ""
            place = f"{citation['document_id']}{page}, characters {citation['start']} to {citation['end']}"
            print(f"    from {place}: {'opens at the quoted characters' if same else 'DOES NOT OPEN'}")
            good = good and same
    return good


def main() -> None:
    """Run the demo."""
    ingest()
    good = [show(*question) for question in QUESTIONS]
    print('\nNow ask yourself: .venv/bin/groundwire ask "…", or open the page: .venv/bin/groundwire serve --open')
    sys.exit(0 if all(good) else 1)


if __name__ == "__main__":
    main()
