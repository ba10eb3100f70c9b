from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.support.polarity import negation_differs, read_polarity


def differs(claim: str, *evidence: str) -> bool:
    return negation_differs(read_polarity(claim), map(read_polarity, evidence))


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("Unused days roll over.", "Unused days do not roll over."),
        ("Unused days do not roll over.", "Unused days roll over."),
        ("Laptops are never encrypted.", "All laptops are encrypted."),
        ("Agents may refund without approval.", "Agents may refund with approval."),
        ("Resturlaub verfällt nicht.", "Resturlaub verfällt am 31. März."),
        ("Resturlaub verfällt am Jahresende.", "Resturlaub verfällt am Jahresende nicht."),
        ("费用不予退还。", "费用予以退还。"),
    ],
)
def test_a_negation_more_or_less_is_seen(claim: str, evidence: str) -> None:
    """A claim that denies what its evidence says, or says what it denies, differs."""
    assert differs(claim, evidence)


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("Unused days do not roll over.", "Unused days do not roll over."),
        ("Unused days cannot be kept.", "Unused days lapse."),
        ("Refunds are not allowed.", "Refunds are prohibited."),
        ("His wife attended.", "He did not come, but his wife attended."),
        ("It is not only fast but cheap.", "It is fast and cheap."),
        ("The plan includes support.", "The plan includes support. It has no setup fee."),
    ],
)
def test_what_is_said_the_same_way_does_not_differ(claim: str, evidence: str) -> None:
    """Denying in other words, and negations that are about something else, are no contradiction."""
    assert not differs(claim, evidence)


@given(st.text(max_size=300))
def test_no_text_contradicts_itself(text: str) -> None:
    """A claim that is its evidence never differs from it."""
    assert not differs(text, text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", ["not ", "un", "n't", "不", "no, ", "\ud800", "nicht kein "])
def test_a_huge_text_is_read_in_part(unit: str) -> None:
    """5 MB of negations take no longer than their first part."""
    assert read_polarity(unit * (5_000_000 // len(unit))).negations <= 20_000
