from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.support.values import missing_values, read_values


def missing(claim: str, *evidence: str) -> tuple[str, ...]:
    return missing_values(read_values(claim), map(read_values, evidence))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.2 million people", "1,200,000 people"),
        ("1.2 Millionen", "1.200.000"),
        ("EUR 4.6 million", "4,600,000 euros"),
        ("$5M", "5 million dollars"),
        ("40k users", "40,000 users"),
        ("30万元", "300,000 yuan"),
        ("50 %", "fifty percent"),
        ("50 per cent", "50%"),
        ("12,5 Prozent", "12.5 %"),
        ("1 200,50 €", "EUR 1,200.50"),
        ("1'200 CHF", "CHF 1200"),
        ("14 days", "two weeks"),
        ("24 hours", "1 day"),
        ("12 months", "1 year"),
        ("1.5 km", "1500 m"),
        ("2 kg", "2,000 g"),
        ("21st century", "twenty-first century"),
        ("the 3rd place", "the third place"),
        ("250,000", "two hundred and fifty thousand"),
        ("30天", "三十天"),
        ("٣٠ days", "30 days"),
        ("３０日間", "30 days"),
        ("9:30 am", "09:30"),
        ("5 pm", "17:00"),
        ("−5 °C", "-5 °C"),
        ("3 May 2024", "2024-05-03"),
        ("May 3rd, 2024", "3.5.2024"),
        ("3. Mai 2024", "on 3 May 2024"),
        ("5/3/2024", "3 May 2024"),
        ("5/3/2024", "5 March 2024"),
        ("2024年5月3日", "May 3, 2024"),
        ("3 de mayo de 2024", "03/05/2024"),
        ("3 мая 2024", "3 May 2024"),
        ("May 2024", "2024-05-03"),
        ("in 2024", "on 3 May 2024"),
        ("in 2019", "2018-19"),
        ("the 1990s", "in 1994"),
        ("in October", "on 5 October 2026"),
        ("10 kg", "10-15 kg"),
    ],
)
def test_one_value_is_found_in_another_way_of_writing(one: str, other: str) -> None:
    """Magnitudes, units, currencies, ordinals, number words, digits of other scripts and dates have one form."""
    values = read_values(one)
    assert values.quantities or values.dates
    assert missing(one, other) == ()


@pytest.mark.parametrize(
    ("claim", "evidence"),
    [
        ("30 days", "25 days"),
        ("25 days", "25 EUR"),
        ("1.2 million", "1.2 billion"),
        ("5 million", "5 trees and 7 million"),
        ("50 %", "50 km"),
        ("3 May 2024", "3 May 2023"),
        ("3 May 2024", "4 May 2024"),
        ("May 2024", "in 2024"),
        ("5.3.2024", "5 April 2024"),
        ("version 1.2.3", "version 1.2.4"),
        ("-5 °C", "5 °C"),
        ("5 °C", "5 °F"),
        ("the 3rd place", "the 4th place"),
        ("at 9:30 pm", "at 9:30"),
        ("in 2025", "2000 km"),
        ("5000", "5"),
    ],
)
def test_another_value_is_missing(claim: str, evidence: str) -> None:
    """Another number, unit, magnitude, sign or day is not what the claim says."""
    assert missing(claim, evidence)


def test_parts_of_a_date_may_stand_apart() -> None:
    """Day and month in one sentence and the year in the next make the date."""
    assert missing("It opened on 3 May 2024.", "Season 2024", "It opened on May 3.") == ()
    assert missing("It opened on 3 May 2024.", "It opened on May 3.") == ("3 May 2024",)


def test_words_that_may_be_no_number_are_not_looked_for() -> None:
    """ "One" and "second" are also other words: a claim may use them freely, while digits find them."""
    assert missing("One of them came second.", "They came.") == ()
    assert missing("2 plans", "two plans") == ()


@given(st.integers(0, 10**12), st.sampled_from(["{:,}", "{}", "{:_}"]))
def test_separators_do_not_change_a_number(number: int, form: str) -> None:
    """A whole number is the same with commas, points, spaces, apostrophes or none."""
    for mark in (",", ".", " ", "'"):
        written = form.replace("_", ",").format(number).replace(",", mark)
        assert missing(f"about {written} parts", f"there are {number} parts") == ()


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_different_whole_numbers_never_meet(one: int, other: int) -> None:
    """Two numbers are taken for one only when they are."""
    found = missing(f"exactly {one:,} parts", f"exactly {other:,} parts")
    assert bool(found) == (one != other)


@given(st.dates(date(1600, 1, 1), date(2099, 12, 31)), st.integers(1, 3_000))
def test_forms_of_a_date_meet_and_other_days_do_not(day: date, apart: int) -> None:
    """Each way of writing a day is found in each other, and never on another day."""
    forms = [
        day.isoformat(),
        f"{day.day} {day:%B} {day.year}",
        f"{day:%B} {day.day}, {day.year}",
        f"{day.day}.{day.month}.{day.year}",
        f"{day.year}年{day.month}月{day.day}日",
    ]
    for written in forms:
        assert missing(f"on {written}", f"It was {forms[0]} then") == ()
        assert missing(f"on {forms[0]}", f"It was {written} then") == ()
        try:
            other = day + timedelta(days=apart)
        except OverflowError:
            continue
        assert missing(f"on {written}", f"It was {other.isoformat()} then")


@given(st.integers(1, 999), st.sampled_from([("km", "m", 1_000), ("kg", "g", 1_000), ("hours", "minutes", 60)]))
def test_units_of_one_dimension_are_compared_by_value(number: int, units: tuple[str, str, int]) -> None:
    """A change of unit does not change the quantity; the same digits in the other unit are another one."""
    large, small, factor = units
    assert missing(f"it takes {number} {large}", f"it takes {number * factor} {small}") == ()
    assert missing(f"it takes {number} {large}", f"it takes {number} {small}")


@given(st.text(max_size=300))
def test_any_text_holds_its_own_values(text: str) -> None:
    """Whatever stands in a text, the same text says it too."""
    assert missing(text, text) == ()


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "unit", ["1", "1,", "1.", "9 ", "$", "one ", "two hundred ", "3 May ", "三", "1/", "12:30 ", "\ud800"]
)
def test_a_huge_text_is_read_in_part(unit: str) -> None:
    """5 MB of anything that looks like values take no longer than their first part."""
    read_values(unit * (5_000_000 // len(unit)))
