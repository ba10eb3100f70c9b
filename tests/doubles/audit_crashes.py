"""Lets processes die at one line after another of the record's code: `python -m tests.doubles.audit_crashes HOME`.

Each is a fork that records a run, signs a checkpoint and erases somebody, and ends without warning at its line. After
each, the record must verify and hold what was acknowledged. Prints how many died and how many came to their end.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from orchestrator.audit import crypto
from tests.doubles.audit_records import ask, check, custody_at

CODE = ("/orchestrator/audit/", "/orchestrator/store/audit.py")
STRIDE = 31  # lines between two deaths; a prime, so that loops are left at other lines each time
DIED = 9


def die_at(line: int) -> Any:
    """A tracer that counts lines of the record's code and ends the process at one of them."""
    left = line

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if not any(part in frame.f_code.co_filename for part in CODE):
            return None
        if event == "line":
            left -= 1
            if left <= 0:
                os._exit(DIED)
        return trace

    return trace


def live(home: Path, line: int, acknowledged: int) -> None:
    """One life: what is acknowledged is told through a pipe at once."""
    trace = die_at(line)
    threading.settrace(trace)
    sys.settrace(trace)
    with custody_at(home, every=3) as custody:
        for number in range(2):
            run = f"{line}-{number}"
            ask(custody, run, subject=f"s{line}")
            os.write(acknowledged, f"{run}\n".encode())
        custody.erase("default", f"s{line}")
        custody.checkpoint()


def main(home: Path) -> None:
    """Die at later and later lines until a life comes to its end."""
    with custody_at(home, every=3) as custody:  # tables, and imports that a fork need not repeat
        ask(custody, "first")
    crypto.public_key(crypto.new_key())
    line, finished, crashes, told = 1, 0, 0, ["first"]
    while not finished:
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            live(home, line, write)
            os._exit(0)
        os.close(write)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with os.fdopen(read) as pipe:
            told += pipe.read().split()
        if status not in (0, DIED):
            sys.exit(f"A life ended with {status} at line {line}.")
        finished, crashes, line = finished + (status == 0), crashes + (status == DIED), line + STRIDE
        with custody_at(home) as custody:
            found = check(custody)
            if not found.ok:
                sys.exit(f"After a death at line {line - STRIDE}: {found.first}")
            short = [run for run in told if len(custody.events("default", run)) != 4]
            if short:
                sys.exit(f"After a death at line {line - STRIDE} events are missing of {short}.")
        told = told[-2:]
    sys.stdout.write(f"{crashes} {finished}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
