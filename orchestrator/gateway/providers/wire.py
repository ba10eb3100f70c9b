"""What the wires of model providers have in common: statuses, waiting times, and tokens that nobody counted."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

from ingest.errors import BadInput
from orchestrator.gateway.port import FailureKind, TokenUsage

PROMPT_TOO_LONG: Final = "prompt_too_long"  # detail of a failure that is no failure: the context is full
USAGE_ESTIMATED: Final = "usage_estimated"  # detail of a reply whose usage the provider did not get to report

MOST_CHARACTERS_PER_TOKEN: Final = 128  # a run of spaces; a server that sends more than was asked for is cut off
_MOST_TOKENS: Final = 1_000_000_000  # that a server may tell of one call: what they cost fits the ledger's integers
_BYTES_PER_TOKEN: Final = 4  # rule of thumb of both providers for English; other scripts have more bytes a letter
_WORD: Final = re.compile(r"[A-Za-z0-9_.:/@+-]{1,128}")  # as names of models and ids of requests are written too


def usable_key(key: str) -> str:
    """`key`, if it can stand in a header. Raises BadInput, which does not hold it; else every call would fail."""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        cause = "It is empty, or holds a space, a line end or a letter beyond ASCII."
        raise BadInput("API key", "bad_api_key", cause, "Store the key again, without what is not part of it.")
    return key


def failure_kind(status: int) -> FailureKind:
    """What an HTTP status says, where the body says no more."""
    match status:
        case 401 | 403:
            return "bad_credential"
        case 402:
            return "spend_limit"
        case 408 | 504:
            return "timeout"
        case 429:
            return "rate_limited"
        case 503 | 529:
            return "overloaded"
        case 409:
            return "server_error"  # a conflict that passes; both SDKs would retry it
        case _ if status >= 500:
            return "server_error"
        case _:
            return "bad_request"


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait as `retry-after-ms` or `retry-after` say; None where neither does.

    The latter holds seconds or a date (RFC 9110, 10.2.3). A date is held against the answer's own `date`, so that a
    clock that is off does not matter.
    """
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        seconds = _number(headers.get(name))
        if seconds is not None:
            return seconds / scale
    until = _date(headers.get("retry-after"))
    if until is None:
        return None
    return max(0.0, (until - (_date(headers.get("date")) or datetime.now(UTC))).total_seconds())


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _date(text: str | None) -> datetime | None:
    try:
        date = parsedate_to_datetime(text or "")
    except ValueError:
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)


def token_count(value: object, default: int | None = None) -> int:
    """A count of tokens as a server tells it, `default` where it tells none. Raises ValueError for what is no count."""
    if value is None and default is not None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_TOKENS:
        raise ValueError("what came back was no count of tokens")
    return value


def estimated_tokens(text: str) -> int:
    """About how many tokens a text has, rounded up: for what the provider did not get to report."""
    return -(-len(text.encode()) // _BYTES_PER_TOKEN)


def at_least(usage: TokenUsage, text: str) -> TokenUsage:
    """`usage` with at least the output that was received as `text`: a broken stream never reports its end."""
    return TokenUsage(
        input=usage.input,
        output=max(usage.output, estimated_tokens(text)),
        cache_read=usage.cache_read,
        cache_write=usage.cache_write,
        cache_write_long=usage.cache_write_long,
    )


def word(value: object) -> str:
    """`value` if it is a machine's word and so no content; else empty. A server may write what it likes anywhere."""
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""
