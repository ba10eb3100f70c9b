"""Structured logs: ids, codes, places and numbers. No message of a library and none of an exception is written.

What a library says may quote what it was given: a question, an answer, a key. So a line holds the logger, the place in
the code, the type of an exception with its places, and the code of our own errors; our own loggers may add an event
word and the fields of `FIELDS`.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import threading
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import PurePath
from types import TracebackType
from typing import Any, Final, Literal

from ingest.errors import GroundwireError

LogFormat = Literal["json", "text"]
OWN: Final = ("ingest", "retrieval", "orchestrator", "api", "evals")  # loggers whose event words are written
FIELDS: Final = ("workflow", "route", "code", "status", "outcome", "seconds", "count", "seq")  # that a line may hold
# Loggers that speak of every request; their warnings are enough.
NOISY: Final = ("anthropic", "openai", "httpx", "httpx2", "httpcore", "httpcore2", "urllib3", "botocore", "asyncio")
_WORD: Final = re.compile(r"[a-z][a-z0-9]*([_.:-][a-z0-9]+){0,7}")  # an event, a code, a name of a route
_KEYLIKE: Final = re.compile(r"(sk|pk|gw|key|hvs)[_-]|.*(\d{5}|[a-z0-9]{24})")  # that could be part of a credential
_MOST_WORD: Final = 48
_MOST_FRAMES: Final = 12

RUN: ContextVar[str] = ContextVar("groundwire_run", default="")  # id of the run that this task works on
TIER: ContextVar[str] = ContextVar("groundwire_tier", default="")


def configure_logs(log_format: LogFormat = "json", level: str = "WARNING") -> None:
    """Send all logging to stderr, a line each; uncaught exceptions and warnings too.

    Servers that bring a logging configuration must be told to leave it (`uvicorn.Config(log_config=None)`).
    """
    handler = _Handler(sys.stderr)
    handler.setFormatter(_Formatter(log_format))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    logging.captureWarnings(True)
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)
    sys.unraisablehook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def log_facts(record: logging.LogRecord) -> dict[str, Any]:
    """All that a line says of a record."""
    when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    facts: dict[str, Any] = {"at": when, "level": record.levelname.lower(), "logger": record.name}
    if record.name.split(".")[0] in OWN and isinstance(record.msg, str) and _is_word(record.msg):
        facts["event"] = record.msg
    facts["place"] = f"{PurePath(record.pathname).name}:{record.lineno}"
    if run := RUN.get():
        facts |= {"run_id": run, "tier": TIER.get()} if TIER.get() else {"run_id": run}
    facts |= {name: value for name in FIELDS if (value := _safe(getattr(record, name, None))) is not None}
    if record.exc_info and record.exc_info[1] is not None:
        facts |= _exception_facts(record.exc_info[1])
    return facts


def _exception_facts(error: BaseException) -> dict[str, Any]:
    facts: dict[str, Any] = {"errors": list(_types(error)), "trace": list(_frames(error.__traceback__))[-_MOST_FRAMES:]}
    codes = [one.code for one in _chain(error) if isinstance(one, GroundwireError) and _is_word(one.code)]
    return facts | ({"error_code": codes[0]} if codes else {})


def _chain(error: BaseException) -> Iterator[BaseException]:
    current: BaseException | None = error
    for _ in range(8):
        if current is None:
            return
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def _types(error: BaseException) -> Iterator[str]:
    for one in _chain(error):
        yield f"{type(one).__module__}.{type(one).__qualname__}"


def _frames(trace: TracebackType | None) -> Iterator[str]:
    while trace is not None:
        code = trace.tb_frame.f_code
        yield f"{PurePath(code.co_filename).name}:{trace.tb_lineno} {code.co_name}"
        trace = trace.tb_next


def _is_word(text: str) -> bool:
    return len(text) <= _MOST_WORD and _WORD.fullmatch(text) is not None and _KEYLIKE.match(text) is None


def _safe(value: object) -> str | int | float | None:
    if isinstance(value, int | float):
        return value
    return value if isinstance(value, str) and _is_word(value) else None


class _Formatter(logging.Formatter):
    def __init__(self, log_format: LogFormat) -> None:
        super().__init__()
        self._json = log_format == "json"

    def format(self, record: logging.LogRecord) -> str:
        facts = log_facts(record)
        if self._json:
            return json.dumps(facts)
        return " ".join(f"{name}={value}" for name, value in facts.items())


class _Handler(logging.StreamHandler[Any]):
    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the library's name
        """A line that cannot be written is dropped: the usual way prints the message."""


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        return
    info = (kind, error, trace) if error is not None else None
    logging.getLogger("orchestrator.telemetry").critical("uncaught", exc_info=info)
