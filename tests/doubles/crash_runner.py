"""Runs the ingest of a home in forks of itself and ends each at the line of code that it is told to.

`python -m tests.doubles.crash_runner` imports everything once, then obeys one JSON command a line on stdin:

    {"home": …, "docs": …, "allow": …, "die_at": 1234}     ingest; kill -9 at that line event, null: to the end
    {"home": …, "rescan": "name", "die_at": 1234}          screen it again, by a screener of that name
    {"home": …, "dump": true}                              open the home and print its whole state

and answers each with one line: {"killed": bool, "lines": n, …} or the state. Line events count in every thread of the
process that ingests, in our own packages alone. The index's and the parsers' processes are not traced: they die with
their parent.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[2]
TRACED = tuple(str(ROOT / package) + os.sep for package in ("ingest", "retrieval", "orchestrator"))


class LineCounter:
    """Counts line events of our code and kills the process at one of them."""

    def __init__(self, die_at: int | None) -> None:
        self.lines = 0
        self._die_at = die_at

    def install(self) -> None:
        """From here on, in this thread and in new ones."""
        threading.settrace(self._trace)
        sys.settrace(self._trace)

    def _trace(self, frame: FrameType, event: str, argument: Any) -> Any:
        if not frame.f_code.co_filename.startswith(TRACED):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self._die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self._trace


async def ingest(command: dict[str, Any]) -> dict[str, Any]:
    """One run of the ingest, as the command line does it."""
    from orchestrator.services import open_services
    from orchestrator.settings import Settings

    settings = Settings(home=Path(command["home"]), workers=1, batch_chunks=8)
    async with open_services(settings) as services:
        report = await services.ingest([Path(command["docs"])], {"owner": "ann", "allow": command["allow"]})
    return report.as_json()


def rescan(command: dict[str, Any]) -> dict[str, Any]:
    """A new screening by a screener of another name."""
    import orchestrator.services
    from orchestrator.settings import Settings
    from tests.doubles.screener import MarkScreener

    orchestrator.services._open_screener = lambda: MarkScreener(command["rescan"])
    return orchestrator.services.rescan(Settings(home=Path(command["home"]))).as_json()


async def dump(home: Path) -> dict[str, Any]:
    """Everything that a home holds, in a fixed order and without times."""
    import sqlalchemy as sa
    from qdrant_client import models as m

    from ingest.ledger.schema import metadata
    from ingest.terms import query_weights
    from orchestrator.services import open_services
    from orchestrator.settings import Settings
    from retrieval.chunk_index import TERMS, everything
    from retrieval.index import DENSE

    async with open_services(Settings(home=home, workers=1)) as services:
        services.ledger.sweep(older_than_s=0)
        query = services.encoder.encode_query("section word").dense.tolist()
        indices, values = query_weights("section word1 record short")
        lexical = m.QueryRequest(
            query=m.SparseVector(indices=indices.tolist(), values=values.tolist()),
            using=TERMS,
            filter=everything(),
            limit=10_000,
            with_payload=False,
            params=m.SearchParams(idf=m.IdfCorpusParams(corpus=everything())),
        )
        dense = m.QueryRequest(query=query, using=DENSE, filter=everything(), limit=10_000, with_payload=True)
        points, terms = await services.index.query([dense, lexical])
        index = sorted([p.id, round(p.score, 4), sorted(p.payload.items())] for p in points)
        tables: dict[str, Any] = {}
        with sa.create_engine(services.settings.ledger_url).connect() as db:
            for table in metadata.sorted_tables:
                columns = [c for c in table.c if c.name not in ("created_at", "superseded_at")]
                tables[table.name] = sorted(repr(tuple(row)) for row in db.execute(sa.select(*columns)))
    return {"index": index, "lexical": [[p.id, round(p.score, 4)] for p in terms], **tables}


def obey(command: dict[str, Any]) -> dict[str, Any]:
    """Run a command in a fork and return what it answers."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _in_fork(command, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        text = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return {"killed": True}
    return json.loads(text) | {"killed": False}


def _in_fork(command: dict[str, Any], writing: int) -> None:
    counter = LineCounter(command.get("die_at"))
    try:
        if command.get("dump"):
            answer = asyncio.run(dump(Path(command["home"])))
        else:
            counter.install()
            answer = rescan(command) if "rescan" in command else asyncio.run(ingest(command))
            sys.settrace(None)
        answer["lines"] = counter.lines
    except BaseException as error:  # noqa: BLE001 - the fork ends here, and says why
        answer = {"error": f"{type(error).__name__}: {error}"}
    with os.fdopen(writing, "wb") as out:
        out.write(json.dumps(answer).encode())
    os._exit(0)


def main() -> None:
    """Obey until stdin ends."""
    for module in ("orchestrator.asking", "qdrant_client.models", "retrieval.edge", "ingest.pipeline"):
        importlib.import_module(module)  # once, for every fork
    services = importlib.import_module("orchestrator.services")
    encoder = importlib.import_module("tests.doubles.encoder").HashEncoder()
    services._open_encoder = lambda _: encoder  # the model's weights are not what dies here
    screener = importlib.import_module("tests.doubles.screener").MarkScreener()
    services._open_screener = lambda: screener
    for line in sys.stdin:
        sys.stdout.write(json.dumps(obey(json.loads(line))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
