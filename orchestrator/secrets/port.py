"""Where credentials come from: one small port, and a value that does not show itself.

Names are plain words joined by single dots, dashes or underscores, as `anthropic` or `anthropic.ask`; a credential of
one workflow is called `<credential>.<workflow>`.
"""

from __future__ import annotations

import hmac
import re
from typing import Final, NoReturn, Protocol

from ingest.errors import BadInput, DependencyDown

_NAME: Final = re.compile(r"[a-z0-9]+([._-][a-z0-9]+)*")


class Secret:
    """One credential as its source holds it. No repr, format, log, pickle or JSON shows it; `reveal` alone gives it."""

    __slots__ = ("_value", "stale", "version")

    def __init__(self, value: str, *, version: str = "1", stale: bool = False) -> None:
        self._value = value
        self.version = version  # changes with the value, and tells nothing of it
        self.stale = stale  # the source could not be asked again: this is what it said last

    def reveal(self) -> str:
        """The text itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret(…, version={self.version!r})"

    __str__ = __repr__

    def __format__(self, _: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]  # a key of a mapping would be compared in other than constant time

    def __reduce__(self) -> NoReturn:
        raise TypeError("A secret is not written anywhere.")


class SecretSource(Protocol):
    """A place where credentials are kept. Blocking, so call it from a thread; safe to use from several."""

    @property
    def name(self) -> str:
        """What people call it, as `folder /run/secrets`."""
        ...

    def get(self, name: str) -> Secret | None:
        """The credential as it is now, None when there is none of that name.

        Raises SecretRefused when it may not be used as it is kept, SecretSourceDown when the source cannot be asked.
        """
        ...


class SecretMissing(BadInput):
    """No source has the credential."""


class SecretRefused(BadInput):
    """The credential is there and may not be used as it is kept, or may not be read."""


class SecretSourceDown(DependencyDown):
    """A source of credentials cannot be asked now."""


def check_name(name: str) -> str:
    """The name of a secret; raises BadInput for one that could lead out of a folder or a path."""
    if len(name) > 100 or not _NAME.fullmatch(name):
        cause = "The name of a credential is made of small letters and digits, with single dots, dashes or underscores."
        raise BadInput("credential", "bad_secret_name", cause, "Rename it where it is kept and where it is used.")
    return name


def source_down(source: str, name: str, error: BaseException) -> SecretSourceDown:
    """The error for a source that failed; tells the type of what went wrong and nothing that it said."""
    cause = f"{source} could not be asked ({type(error).__name__})."
    return SecretSourceDown(name, "secret_source_down", cause, "Check that it runs and that this machine may reach it.")


def extra_missing(extra: str) -> BadInput:
    """The error for a source whose library is not installed."""
    cause = f"The library for this source of credentials is not installed (extra `{extra}`)."
    return BadInput(extra, "extra_missing", cause, f"pip install 'groundwire[{extra}]'")
