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
    """A line of a witness file, by its place: there may be millions."""

    file: Path
    line: int  # from 1
    offset: int  # in bytes
    hash: bytes  # that it gives the event

    def statement(self) -> Statement:
        """What the line says, read again."""
        with self.file.open("rb") as file:
            file.seek(self.offset)
            return read_line(file.readline())

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}"


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
                lines = self._mend(descriptor) + lines
                while lines:  # a full disk takes a part, and fails at the next
                    lines = lines[os.write(descriptor, lines) :]
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


def size(path: Path, *, must_exist: bool) -> int:
    """Bytes of a file; 0 where it is missing and may be. Raises BadInput."""
    try:
        return path.stat().st_size
    except OSError as error:
        if not must_exist and isinstance(error, FileNotFoundError):
            return 0
        raise _unreadable(path, error) from error


def read_witness(path: Path, upto: int) -> Iterator[tuple[Remembered, Statement | None]]:
    """The whole lines among the first `upto` bytes of a file; None for one that is none of ours.

    A line that a crash cut short is such a one. Raises BadInput when the file cannot be read.
    """
    offset = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file if upto else (), start=1):
                if offset + len(line) > upto or not line.endswith(b"\n"):
                    return
                try:
                    statement = read_line(line)
                except ValueError:
                    statement = None
                found = statement.hash if statement else b""
                yield Remembered(file=path, line=number, offset=offset, hash=found), statement
                offset += len(line)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> BadInput:
    cause = f"The file of checkpoints cannot be read ({error.strerror})."
    return BadInput(str(path), "unreadable_checkpoints", cause, "Name a file that `groundwire audit` wrote.")
