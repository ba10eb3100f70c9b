"""Secrets as files of a folder, one each: what containers and systemd hand to a service."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from orchestrator.secrets.port import Secret, SecretRefused, check_name, source_down

MAX_BYTES: Final = 64_000  # no key is longer


class SecretFiles:
    """The files of a folder. A file that others may read is refused; surrounding white space is no part of a value."""

    def __init__(self, folder: Path, *, group_may_read: bool = False) -> None:
        """`group_may_read` as Kubernetes mounts them for a pod that is not root (`fsGroup`)."""
        self._folder = folder
        self._others = stat.S_IRWXO | (0 if group_may_read else stat.S_IRWXG)

    @property
    def name(self) -> str:
        """As errors call it."""
        return f"folder {self._folder}"

    def get(self, name: str) -> Secret | None:
        """The content of the file with this name, read anew. Raises SecretRefused for one that others may read."""
        path = self._folder / check_name(name)
        try:
            with path.open("rb") as file:
                facts = os.fstat(file.fileno())
                if facts.st_mode & self._others:
                    cause = "Others than its owner may read the file of this secret."
                    step = f"Run `chmod 600 {path}`, and renew the secret."
                    raise SecretRefused(str(path), "secret_exposed", cause, step)
                value = file.read(MAX_BYTES + 1).decode("utf-8").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise source_down(self.name, name, error) from None
        if not value or len(value) > MAX_BYTES:
            cause = "The file of this secret is empty, or too long for a key."
            raise SecretRefused(str(path), "secret_unusable", cause, "Write the key into it, and nothing else.")
        return Secret(value, version=f"{facts.st_mtime_ns}-{facts.st_ino}")
