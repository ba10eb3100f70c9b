"""What can go wrong with an item, named so that a person knows what to do next.

GroundwireError                 item, cause, next step; `code` is the machine's word for the cause
├── BadInput                    what was handed in cannot be used (exit 2, HTTP 4xx)
│   ├── FileRefused             a file that the guard or a parser will not take
│   └── RecordRefused           a record or a tag line that is incomplete or contradicts itself
└── DependencyDown              an engine, a folder or a service is not usable now (exit 3, HTTP 503)
    └── HomeBusy                another process owns the home
"""

from __future__ import annotations


class GroundwireError(Exception):
    """An item could not be handled.

    `item` names what failed (a path, a record id, a setting), `code` is a stable snake_case word for the cause,
    `cause` says what is wrong and `next_step` what the reader can do about it; both are whole sentences.
    """

    def __init__(self, item: str, code: str, cause: str, next_step: str) -> None:
        super().__init__(f"{item}: {cause} {next_step}")
        self.item = item
        self.code = code
        self.cause = cause
        self.next_step = next_step

    def __reduce__(self) -> tuple[object, ...]:
        """Travels between processes with its four parts."""
        return type(self), (self.item, self.code, self.cause, self.next_step)

    @property
    def reason(self) -> str:
        """Cause and next step in one line, as reports print them."""
        return f"{self.cause} {self.next_step}"


class BadInput(GroundwireError):
    """What was handed in cannot be used."""


class FileRefused(BadInput):
    """A file that the guard or a parser will not take."""


class RecordRefused(BadInput):
    """A record or a tag line that is incomplete or contradicts itself."""


class DependencyDown(GroundwireError):
    """An engine, a folder or a service is not usable now."""


class HomeBusy(DependencyDown):
    """Another process owns the home."""
