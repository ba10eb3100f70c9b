from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.support.names import missing_names, read_names


def missing(claim: str, *evidence: str) -> tuple[str, ...]:
    return missing_names(read_names(claim), map(read_names, evidence))


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("The trip was approved by Ines Roth.", "Ines Roth approves trips."),
        ("The letter is Roth's.", "It was Ines Roth who wrote."),
        ("They met in Canada.", "The Canadian team met."),
        ("He speaks German.", "He grew up in Germany."),
        ("She is French.", "She was born in France."),
        ("The work of Damáso Díaz", "by Damaso Diaz"),
        ("It is run by the ILO.", "It is run by the International Labour Organization."),
        ("It is run by the International Labour Organization.", "It is run by the ILO."),
        ("Заявку одобрил Иванов.", "Иванов одобряет заявки."),
        ("Το έγραψε ο Παπαδόπουλος.", "Ο Παπαδόπουλος το έγραψε."),
        ("担当はスミスです。", "スミスが担当します。"),
        ("It was on President Obama's desk.", "Obama had it."),
    ],
)
def test_a_name_is_found_in_another_form(claim: str, evidence: str) -> None:
    """Possessives, inhabitants, marks over letters, initials and other scripts do not hide a name."""
    assert read_names(claim).named
    assert missing(claim, evidence) == ()


@pytest.mark.parametrize(
    ("claim", "evidence", "lost"),
    [
        ("Trips are approved by Omar Diaz.", "Trips are approved by Ines Roth.", ("omar", "diaz")),
        ("It was Johnson.", "It was Johnston.", ("johnson",)),
        ("Заявку одобрил Петров.", "Заявку одобрил Иванов.", ("петров",)),
        ("担当はスミスです。", "担当はブラウンです。", ("スミス",)),
        ("Anna Weber left.", "She left.", ("anna", "weber")),
        ("It ships with an iPhone.", "It ships with a phone.", ("iphone",)),
    ],
)
def test_another_name_is_missing(claim: str, evidence: str, lost: tuple[str, ...]) -> None:
    """A name that no evidence has in any form is named."""
    assert missing(claim, evidence) == lost


@pytest.mark.parametrize(
    "text",
    [
        "Employees get leave.",
        "However, leave lapses.",
        "Die Mitarbeiter bekommen Urlaub und einen Laptop.",
        "HOW TO RESET A PASSWORD",
        "It starts in May.",
    ],
)
def test_a_capital_letter_alone_is_no_name(text: str) -> None:
    """What begins a sentence, a German noun, a title in capitals and a month are no names."""
    assert read_names(text).named == ()


@given(st.text(max_size=300))
def test_any_text_holds_its_own_names(text: str) -> None:
    """Whatever stands in a text, the same text names it too."""
    assert missing(text, text) == ()


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", ["A", "A ", "Ab.", "Ab Cd ", "ア", "a'", "\ud800"])
def test_a_huge_text_is_read_in_part(unit: str) -> None:
    """5 MB of anything that looks like names take no longer than their first part."""
    text = unit * (5_000_000 // len(unit))
    assert missing(text, text) == ()
