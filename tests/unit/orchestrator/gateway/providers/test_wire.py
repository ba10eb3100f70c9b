"""What the wires have in common, as pure functions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput
from orchestrator.gateway.port import TokenUsage
from orchestrator.gateway.providers.wire import (
    at_least,
    estimated_tokens,
    failure_kind,
    retry_after_s,
    token_count,
    usable_key,
    word,
)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, "bad_request"),
        (400, "bad_request"),
        (401, "bad_credential"),
        (402, "spend_limit"),
        (403, "bad_credential"),
        (404, "bad_request"),
        (408, "timeout"),
        (409, "server_error"),
        (413, "bad_request"),
        (422, "bad_request"),
        (429, "rate_limited"),
        (500, "server_error"),
        (502, "server_error"),
        (503, "overloaded"),
        (504, "timeout"),
        (529, "overloaded"),
        (599, "server_error"),
    ],
)
def test_a_status_says_whether_to_come_back(status: int, kind: str) -> None:
    """Each status has one meaning; a redirect, which is never followed, is no reason to come back."""
    assert failure_kind(status) == kind


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "3"}, 0.25),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Fri, 20 Nov 2026 13:00:00 GMT", "date": "Fri, 20 Nov 2026 12:00:00 GMT"}, 3600.0),
        ({"retry-after": "Fri, 20 Nov 2026 11:00:00 GMT", "date": "Fri, 20 Nov 2026 12:00:00 GMT"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 1970 11:00:00 GMT"}, 0.0),
    ],
)
def test_waiting_times_come_in_three_forms(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds, or a date held against the answer's own; nonsense is no waiting time."""
    assert retry_after_s(headers) == seconds


@given(st.text())
def test_any_header_gives_a_waiting_time_or_none(text: str) -> None:
    """Whatever a server sends, it is a finite number of seconds from 0 on, or nothing."""
    seconds = retry_after_s({"retry-after": text, "date": text})
    assert seconds is None or 0 <= seconds < float("inf")


@given(st.integers(min_value=0, max_value=10**6))
def test_a_date_is_the_time_between_it_and_the_answer(wait: int) -> None:
    """To the second, whatever this machine's clock says."""
    now = datetime(2031, 5, 6, 7, 8, 9, tzinfo=UTC)
    headers = {"retry-after": format_datetime(now + timedelta(seconds=wait)), "date": format_datetime(now)}
    assert retry_after_s(headers) == wait


@given(st.text())
def test_an_estimate_is_never_below_four_characters_a_token(text: str) -> None:
    """It rounds up and grows with scripts that need more bytes, so that budgets err to the safe side."""
    assert len(text) <= 4 * estimated_tokens(text)
    assert (estimated_tokens(text) == 0) == (text == "")


@given(st.integers(min_value=0, max_value=100), st.text(max_size=200))
def test_a_broken_stream_costs_at_least_what_came(told: int, text: str) -> None:
    """The larger of what was told and what came; the rest of the usage stands."""
    usage = TokenUsage(input=7, output=told, cache_read=1, cache_write=2, cache_write_long=3)
    assert at_least(usage, text).output == max(told, estimated_tokens(text))
    assert at_least(usage, text).prompt == usage.prompt


@pytest.mark.parametrize("key", ["", "secret-key\n", " secret-key", "secret key", "secret\u2011key", "secret\tkey"])
def test_a_key_with_something_else_in_it_is_refused_unseen(key: str) -> None:
    """At start-up, with what to do, and without repeating it."""
    with pytest.raises(BadInput) as caught:
        usable_key(key)
    assert "secret" not in str(caught.value)
    assert usable_key("sk-ant-api03_A.b=") == "sk-ant-api03_A.b="


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("rate_limit_error", "rate_limit_error"),
        ("the prompt was: my secret", ""),
        ("x" * 129, ""),
        ("meta-llama/Llama-4:8b@q4", "meta-llama/Llama-4:8b@q4"),
        (None, ""),
        (7, ""),
    ],
)
def test_only_a_machines_word_is_kept_of_an_error(value: object, kept: str) -> None:
    """Sentences may repeat the prompt, so they are dropped."""
    assert word(value) == kept


def test_a_count_of_tokens_is_one_that_the_ledger_can_hold() -> None:
    """A server may tell any number; what no call can have used is no count, else it would fail others' entries too."""
    assert [token_count(0), token_count(10**9), token_count(None, 7)] == [0, 10**9, 7]
    for told in (-1, 10**9 + 1, 10**30, 1.5, "1", True, None):
        with pytest.raises(ValueError, match="no count of tokens"):
            token_count(told)
