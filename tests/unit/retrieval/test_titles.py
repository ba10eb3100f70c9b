"""Documents that a question names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.terms import term_id
from retrieval.titles import MAX_QUESTION_WORDS, OTHER_YEAR_WEIGHT, name_weights, naming_weights


def share(question: str, title: str, source: str = "") -> float:
    """The share of a name's words in the question, each as telling as the next."""
    asked = dict(zip(*(column.tolist() for column in naming_weights(question)), strict=True))
    words = name_weights(title, source)[0].tolist()
    return float(sum(asked.get(word, 0.0) for word in words) / len(words))


@pytest.mark.parametrize(
    ("question", "title", "source"),
    [
        ("What did Polar Bay earn in FY22?", "", "/reports/POLARBAY_2022.pdf"),
        ("What was Polar Bay Star's margin in fiscal 2022?", "", "file:///r/POLARBAYSTAR_2022.pdf"),
        ("Sales in Q4 2023 at Norcap", "", "NORCAP_2023Q4.pdf"),
        ("Sales in 2023Q4 at Norcap", "Norcap 2023 Q4", ""),
        ("the FY2021 10-K of Norcap", "", "Norcap_2021_10K.pdf"),
        ("How long is parental leave?", "Parental leave", ""),
    ],
)
def test_a_name_is_found_however_it_is_written(question: str, title: str, source: str) -> None:
    """Words written as one, possessives, short fiscal years and quarters meet their plain forms."""
    assert share(question, title, source) == 1.0


def test_another_name_is_not_found() -> None:
    """A document of another company shares the year at most."""
    assert share("What did Polar Bay earn in 2022?", "Norcap annual report 2021") == 0.0


def test_of_several_years_the_latest_counts_most() -> None:
    """A question about three years names the report of the last one in full."""
    question = "Average growth from FY2019 to FY2021 at Norcap"
    assert share(question, "2021") == 1.0
    assert share(question, "2019") == pytest.approx(OTHER_YEAR_WEIGHT)


@pytest.mark.parametrize(
    "source", ["record:81723", "https://host.example/docs/README.md", "/a/b/_index.md", "http://[", ""]
)
def test_file_names_that_say_nothing_are_left_out(source: str) -> None:
    """Numbers and the usual names of start pages add no word."""
    assert name_weights("Leave", source)[0].tolist() == name_weights("Leave", "")[0].tolist()


def test_file_names_are_read_from_addresses() -> None:
    """The last part of the path counts, decoded, without its extension."""
    assert term_id("depot") in name_weights("", "https://host.example/a/north%20depot.html?x=parcel")[0].tolist()


def test_only_the_first_words_of_a_long_question_are_compared() -> None:
    """The cost of a question of 10,000 characters is bounded."""
    question = "van " * MAX_QUESTION_WORDS
    assert naming_weights(question + "depot")[0].tolist() == naming_weights(question)[0].tolist()


@given(st.text(), st.text())
def test_any_text_will_do(title: str, source: str) -> None:
    """No title, address or question raises."""
    for ids, weights in (name_weights(title, source), naming_weights(title)):
        assert len(ids) == len(weights)
        assert (weights > 0).all()
