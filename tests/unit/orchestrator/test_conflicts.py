"""Sentences that contradict each other."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.conflicts import conflict


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        (
            "A parcel may be sent back within 30 days of delivery.",
            "A parcel may be sent back within 60 days of delivery.",
            "value",
        ),
        ("Hotels are paid up to EUR 140 a night with breakfast.", "Hotels are paid up to EUR 175 a night.", "value"),
        ("The Lyon branch opens on 3 May 2026.", "The Lyon branch opens on 1 September 2026.", "date"),
        ("Visitors may use the car park.", "Visitors may not use the car park.", "negation"),
        (
            "Der Umtausch ist innerhalb von 14 Tagen möglich.",
            "Der Umtausch ist innerhalb von 30 Tagen möglich.",
            "value",
        ),
    ],
)
def test_what_cannot_both_be_true_is_named(one: str, other: str, kind: str) -> None:
    """Another value of the same unit, another date, or a denial is a conflict, whichever comes first."""
    assert conflict(one, other) == conflict(other, one) == kind


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The warranty is 2 years.", "The warranty is 24 months."),
        ("The Lyon depot has 30 docks for lorries.", "The Porto depot has 20 docks for lorries."),
        ("Hotels are paid up to EUR 175 a night.", "Meals are paid up to EUR 60 a day."),
        ("A return is free within 30 days of delivery.", "A return is free."),
        ("The meeting begins at 9:30 am on Monday.", "The meeting begins at 09:30 on Monday."),
        ("One of the three vans is charged at night.", "One of the three vans is charged at noon."),
        ("", ""),
    ],
)
def test_what_can_both_be_true_is_no_conflict(one: str, other: str) -> None:
    """The same value in another unit, other things, other names, and what one side leaves open are no conflicts."""
    assert conflict(one, other) is None
    assert conflict(other, one) is None


@given(st.text(max_size=120))
def test_nothing_contradicts_itself(text: str) -> None:
    """Whatever a sentence says, it agrees with itself."""
    assert conflict(text, text) is None
