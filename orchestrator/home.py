"""The folder that holds all state, owned by one process at a time."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO, Self

from ingest.errors import DependencyDown, HomeBusy


class Home:
    """An owned home: `with Home(folder): …`. The system lets go of it when the process dies, however it dies.

    Raises HomeBusy when another process owns it and DependencyDown when the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            lock = (self.folder / "owner.lock").open("a+", encoding="utf-8")
        except OSError as error:
            cause = f"The folder cannot be written ({error.strerror})."
            step = "Choose another with --home, or correct its permissions."
            raise DependencyDown(str(self.folder), "home_not_writable", cause, step) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.seek(0)
            owner = lock.read().strip() or "another process"
            lock.close()
            cause = f"The home is in use by {owner}."
            raise HomeBusy(
                str(self.folder), "home_busy", cause, "Wait until it ends, stop it, or ask it over HTTP if it serves."
            ) from error
        lock.truncate(0)
        lock.write(f"process {os.getpid()}")
        lock.flush()
        self._lock = lock
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None
