"""Which document is a newer edition of which."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.editions import edition, is_newer, superseded
from retrieval.evidence import Passage

TODAY = date(2026, 6, 1)


def passage(title: str, folder: str = "policies", document_id: str = "") -> Passage:
    return Passage(
        chunk_id=title,
        document_id=document_id or title,
        version=1,
        title=title,
        source_uri=f"file:///{folder}/{title}",
        text="text",
        start=0,
        end=4,
        page=None,
        page_end=None,
        headings=(),
    )


@pytest.mark.parametrize(
    ("newer", "older"),
    [
        ("Travel expenses 2025", "TRAVEL EXPENSES 2023"),
        ("price-list_2026-04", "price-list_2026-01"),
        ("Backup runbook v2.10", "Backup runbook v2.9"),
        ("Backup runbook (3rd edition)", "Backup runbook, 2nd edition"),
        ("Dress code", "Dress code (old)"),
        ("Reisekosten 2025", "Reisekosten 2024"),
    ],
)
def test_a_later_mark_is_a_newer_edition(newer: str, older: str) -> None:
    """Years, dates, versions and words of disuse order the editions of one work, one way only."""
    assert is_newer(edition(newer), edition(older), TODAY)
    assert not is_newer(edition(older), edition(newer), TODAY)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Travel expenses 2025", "Meal expenses 2023"),
        ("Travel expenses 2027", "Travel expenses 2025"),
        ("Travel expenses", "Travel expenses 2023"),
        ("Form 12", "Form 11"),
        ("2025", "2024"),
        ("Model K3", "Model K2"),
    ],
)
def test_what_the_marks_do_not_tell_is_not_claimed(one: str, other: str) -> None:
    """Other works, editions to come, one mark alone and bare numbers supersede nothing."""
    assert not is_newer(edition(one), edition(other), TODAY)
    assert not is_newer(edition(other), edition(one), TODAY)


def test_the_older_edition_is_superseded() -> None:
    """Only the older edition of the two that were found is named, whatever else was found."""
    found = [passage("Password policy 2022"), passage("Password policy 2025"), passage("Visitors")]
    assert superseded("How long is a password?", found, TODAY) == {"Password policy 2022"}
    assert superseded("How long is a password?", found[:1], TODAY) == frozenset()


@pytest.mark.parametrize(
    "question", ["How long was a password in 2022?", "What did version 2 say?", "What did the previous policy ask for?"]
)
def test_a_question_about_the_past_keeps_every_edition(question: str) -> None:
    """Who names an edition or asks for the past gets it."""
    found = [passage("Password policy 2022"), passage("Password policy 2025")]
    assert superseded(question, found, TODAY) == frozenset()


def test_a_one_word_title_needs_the_same_folder() -> None:
    """`Report 2024` of one team is no older edition of another team's `Report 2025`."""
    here, there = passage("Report 2024", "sales", "a"), passage("Report 2025", "legal", "b")
    assert superseded("What was sold?", [here, there], TODAY) == frozenset()
    assert superseded("What was sold?", [here, passage("Report 2025", "sales", "b")], TODAY) == {"a"}


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_two_editions_supersede_each_other(one: str, other: str) -> None:
    """Whatever the titles, at most one of two is the newer, and none is newer than itself."""
    first, second = edition(one), edition(other)
    assert not (is_newer(first, second, TODAY) and is_newer(second, first, TODAY))
    assert not is_newer(first, first, TODAY)
