"""Secrets from several places: the first that has one gives it. A secret that was rotated is met without a restart."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ingest.errors import GroundwireError
from orchestrator.secrets.port import Secret, SecretMissing, SecretSource, check_name


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretConfig:
    """How long what was read counts."""

    fresh_s: float = 60.0  # then it is read again
    stale_s: float = 3_600.0  # for which the last value stands in while no source can be read
    retry_s: float = 5.0  # between two tries of a source that failed


class SecretMapping:
    """Secrets that the settings hand over, as the environment has them."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = dict(values)

    @property
    def name(self) -> str:
        """As errors call it."""
        return "settings"

    def get(self, name: str) -> Secret | None:
        """The value under this name."""
        return Secret(value) if (value := self._values.get(name)) else None


@dataclass(slots=True)
class _Read:
    secret: Secret | None
    at: float  # when a source said so
    due: float  # when it is to be read again
    failure: GroundwireError | None = None  # of the last try, if that failed


class Secrets:
    """All sources as one. A workflow's own secret, `NAME.WORKFLOW`, goes before the one for all. Thread-safe.

    A source that cannot be asked is not passed over, since the next one may hold an older key or one for other uses:
    the value that was read last stands in, marked as stale, until it expires.
    """

    def __init__(
        self,
        sources: Sequence[SecretSource],
        config: SecretConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sources = tuple(sources)
        self._config = config or SecretConfig()
        self._clock = clock
        self._read: dict[str, _Read] = {}
        self._lock = threading.Lock()
        self._reading: dict[str, threading.Lock] = {}

    def find(self, name: str, workflow: str | None = None) -> Secret | None:
        """The secret, None when no source has it. Raises GroundwireError when none can be read or stands in."""
        own = self._get(f"{name}.{workflow}") if workflow else None
        return own or self._get(name)

    def get(self, name: str, workflow: str | None = None) -> Secret:
        """The secret; raises SecretMissing, naming it and where it was sought, when no source has it."""
        found = self.find(name, workflow)
        if found is None:
            sought = ", ".join(source.name for source in self._sources) or "no source is configured"
            step = f"Put it into a file named {name} of the folder for secrets, readable by its owner alone."
            raise SecretMissing(name, "no_such_secret", f"There is no secret of this name ({sought}).", step)
        return found

    def has(self, name: str, workflow: str | None = None) -> bool:
        """Whether there is one; no where no source can be read."""
        try:
            return self.find(name, workflow) is not None
        except GroundwireError:
            return False

    def refresh(self, name: str) -> None:
        """Read it anew when it is next asked for: it was turned down, or is known to be new."""
        with self._lock:
            for known in [key for key in self._read if key == name or key.startswith(f"{name}.")]:
                self._read[known].due = self._clock()

    def failures(self) -> dict[str, GroundwireError]:
        """The names whose last reading failed, and why: their last value stands in, or they cannot be used."""
        with self._lock:
            return {name: read.failure for name, read in self._read.items() if read.failure is not None}

    def _get(self, name: str) -> Secret | None:
        with self._lock:
            known = self._read.get(name)
            reading = self._reading.setdefault(check_name(name), threading.Lock())
        if known is None or self._clock() >= known.due:
            with reading:
                again = self._read.get(name)
                known = again if again is not None and again is not known else self._ask(name, known)
        return self._usable(known)

    def _ask(self, name: str, before: _Read | None) -> _Read:
        now = self._clock()
        try:
            secret = next((found for source in self._sources if (found := source.get(name)) is not None), None)
            read = _Read(secret=secret, at=now, due=now + self._config.fresh_s)
        except GroundwireError as failure:
            if before is None:
                raise
            read = _Read(secret=before.secret, at=before.at, due=now + self._config.retry_s, failure=failure)
        with self._lock:
            self._read[name] = read
        return read

    def _usable(self, read: _Read) -> Secret | None:
        if read.failure is None:
            return read.secret
        if self._clock() - read.at >= self._config.stale_s:
            raise read.failure
        return Secret(read.secret.reveal(), version=read.secret.version, stale=True) if read.secret else None
