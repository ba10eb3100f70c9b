"""An append-only file beside the database that remembers every signed head and checkpoint.

Whoever puts an older copy of the whole database back leaves a file that knows better. It is worth most on another
machine, or where the system lets nobody rewrite it (`chattr +a`).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ingest.errors import BadInput, DependencyDown
from orchestrator.audit.chain import Statement, read_line


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A line of a witness file."""

    file: str
    line: int  # from 1
    statement: Statement | None  # None: the line is none of ours


class Witness:
    """The file. Several processes may append to it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append(self, statements: Iterable[Statement], *, durable: bool = False) -> None:
        """Add lines in one write; `durable`: they are on disk when this returns. Raises DependencyDown."""
        lines = b"".join(statement.line() for statement in statements)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                os.write(descriptor, self._mend(descriptor) + lines)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            cause = f"Signed heads cannot be noted outside the database ({error.strerror})."
            step = "Correct the permissions of the file, or free space."
            raise DependencyDown(str(self._path), "witness_not_writable", cause, step) from error

    def _mend(self, descriptor: int) -> bytes:
        """The end of a line that a dying process could not finish."""
        size = os.fstat(descriptor).st_size
        if not size:
            return b""
        with self._path.open("rb") as file:
            file.seek(size - 1)
            return b"" if file.read(1) == b"\n" else b"\n"


def read_witness(path: Path, *, must_exist: bool = True) -> Iterator[Remembered]:
    """The lines of a file. A last line that was cut short by a crash is left out. Raises BadInput for no file."""
    try:
        content = path.read_bytes()
    except OSError as error:
        if not must_exist and isinstance(error, FileNotFoundError):
            return
        cause = f"The file of checkpoints cannot be read ({error.strerror})."
        raise BadInput(
            str(path), "unreadable_checkpoints", cause, "Name a file that `groundwire audit` wrote."
        ) from error
    lines = content.split(b"\n")[:-1]  # what follows the last line end was cut short
    for number, line in enumerate(lines, start=1):
        try:
            statement = read_line(line)
        except ValueError:
            statement = None
        yield Remembered(file=str(path), line=number, statement=statement)
