"""Judging answers, and the figures over many of them."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evals.answer_report import CaseResult, summarise
from evals.answers import count_mismatches, evidence_overlap, holds, judged, run_case
from evals.golden import GoldenCase
from ingest.errors import BadInput
from orchestrator.contract import Answer, Citation, Claim, Confidence, Route
from retrieval.access import Principal


def case(**changes: Any) -> GoldenCase:
    plain: dict[str, Any] = {"id": "c", "question": "?", "answerable": True}
    return GoldenCase(**(plain | changes))


def answer(*quotes: tuple[str, str], status: str = "answered", score: float = 0.8) -> Answer:
    citations = tuple(
        Citation(
            document_id=document,
            version=1,
            chunk_id="k",
            title="T",
            source_uri="record:d",
            page=None,
            start=0,
            end=len(quote),
            quote=quote,
        )
        for document, quote in quotes
    )
    claims = (Claim(text="Said.", citations=citations),) if citations else ()
    confidence = Confidence(score=score, calibrated=False, signals={})
    return Answer.model_validate(
        {
            "run_id": "r",
            "status": status,
            "answer": "Said." if claims else "",
            "claims": claims,
            "confidence": confidence,
            "model": "extractive",
            "route": Route(decision="answer" if claims else "abstain"),
            "timings_ms": {},
        }
    )


def result(**changes: Any) -> CaseResult:
    plain: dict[str, Any] = {
        "id": "c",
        "answerable": True,
        "has_reference": True,
        "status": "answered",
        "score": 0.5,
        "correct": True,
    }
    return CaseResult(**(plain | changes))


RIGHT = result(citations=1)
WRONG = result(correct=False, score=0.2, citations=2)
INVENTED = result(answerable=False, has_reference=False, correct=None, score=0.3, citations=1)
MISSED = result(status="abstained", correct=None, score=0.1)
LEFT_OUT = result(status="abstained", answerable=False, has_reference=False, correct=None, score=0.0)
BROKEN = result(status="error", error="index_slow", correct=None, score=None)


@pytest.mark.parametrize(
    ("text", "reference", "held"),
    [
        ("It rose from US$3 to nearly $12.", "nearly $12", True),
        ("The limit is 25 days.", "5 days", False),
        ("Within 60\n  DAYS of delivery.", "within 60 days", True),
        ("Brew at 75 °C.", "75°C", True),
        ("ﬁne print", "fine print", True),
        ("北京大学位于海淀区。", "北京大学", True),
        ("第12次会议", "2次", False),
        ("返品は45日以内です。", "45日以内", True),
        ("anything", "…", False),
        ("", "x", False),
    ],
)
def test_a_text_holds_a_reference_as_whole_words(text: str, reference: str, held: bool) -> None:
    """Case, spaces, punctuation and compatibility forms do not matter; a part of a word or of a number is no match."""
    assert holds(text, reference) is held


@given(st.text(max_size=30), st.text(min_size=1, max_size=20), st.text(max_size=30))
def test_a_reference_between_spaces_is_held(before: str, reference: str, after: str) -> None:
    """Whatever surrounds it, a reference that has a letter or digit is found where it stands."""
    if holds(reference, reference):
        assert holds(f"{before} {reference} {after}", reference)


def test_an_answer_is_right_when_one_quote_holds_one_reference() -> None:
    """Several references are alternatives, one of several citations will do; the answer's own words do not count."""
    found = answer(("a", "nothing here"), ("b", "in October 1973"))
    assert judged(case(reference=["1974", "October 1973"]), found, mismatches=0, milliseconds=1).correct is True
    assert judged(case(reference="said"), found, mismatches=0, milliseconds=1).correct is False


def test_right_cannot_be_told_without_a_reference_or_an_answer() -> None:
    """No reference, an abstention or a question without answer: correct is None."""
    found = answer(("a", "text"))
    assert judged(case(), found, mismatches=0, milliseconds=1).correct is None
    assert judged(case(reference="text"), answer(status="abstained"), mismatches=0, milliseconds=1).correct is None
    unanswerable = judged(case(answerable=False, reference="text"), found, mismatches=0, milliseconds=1)
    assert unanswerable.correct is None
    assert unanswerable.wrong is True


def test_what_must_and_must_not_be_cited_is_checked() -> None:
    """Each must_cite document that an answer lacks is named, and each must_not_cite document that it has."""
    given = case(must_cite=["a", "b"], must_not_cite=["x", "y"], reference_ids=["a", "z"])
    found = judged(given, answer(("a", "1"), ("x", "2")), mismatches=0, milliseconds=1)
    assert (found.must_cite_missing, found.must_not_cited) == (("b",), ("x",))
    assert found.reference_cited is True
    assert judged(given, answer(status="abstained"), mismatches=0, milliseconds=1).must_cite_missing == ()


def test_figures_of_a_known_set() -> None:
    """Four answers of seven cases: two right, one wrong, one to a question that has none."""
    report = summarise([RIGHT, RIGHT, WRONG, INVENTED, MISSED, LEFT_OUT, BROKEN])
    value = {name: figure["value"] for name, figure in report.items() if isinstance(figure, dict) and "low" in figure}
    assert value == {
        "coverage": 0.5714,  # 4 of 7
        "answered_correctly": 0.6667,  # 2 of 3
        "correct_of_answerable": 0.4,  # 2 of 5, the error among them
        "reference_cited": None,
        "evidence_precision": None,
        "evidence_recall": None,
        "abstention_recall": 0.5,  # 1 of 2 unanswerable ones
        "abstention_precision": 0.5,  # 1 of 2 abstentions
        "auroc": 0.75,  # 6 of 8 pairs in order
        "auroc_right": 1.0,  # two right above three wrong
        "wrong_at_full_coverage": 0.5,  # 2 of 4
        "coverage_at_10_percent_wrong": 0.2857,  # the two at 0.5
        "coverage_at_5_percent_wrong": 0.2857,
        "calibration_error": None,
        "must_not_cited": None,
        "citations_equal": 1.0,
    }
    assert report["errors"] == {"index_slow": 1}
    assert report["citations"] == {"checked": 5, "mismatches": 0}


def test_an_answer_without_a_reference_text_is_right_by_its_documents() -> None:
    """Where only reference_ids say what is right, an answer that cites none of them is wrong."""
    outcomes = [
        judged(case(reference_ids=["a"]), answer((name, "1")), mismatches=0, milliseconds=1) for name in ("a", "b")
    ]
    assert [(one.correct, one.wrong) for one in outcomes] == [(None, False), (None, True)]


GOLD = ["The ferry leaves at noon every day.", "It does not run in a storm, of course."]


@pytest.mark.parametrize(
    ("quotes", "overlap"),
    [
        (["The ferry leaves at noon every day."], (1.0, 0.5)),
        (["the ferry leaves at noon, every day. The pier is old and made of wood."], (0.5, 0.5)),
        (GOLD, (1.0, 1.0)),
        (["It does not run in a storm"], (1.0, 0.5)),
        (["The pier is old."], (0.0, 0.0)),
        ([], None),
    ],
)
def test_cited_sentences_are_held_against_selected_ones(quotes: list[str], overlap: tuple[float, float] | None) -> None:
    """Precision counts cited sentences, recall selected ones; a part of a sentence stands for it."""
    assert evidence_overlap(quotes, GOLD) == overlap


def test_short_answers_are_no_selected_sentences() -> None:
    """Nothing can be said of sentences where a reference is a name or a number, alone or beside a sentence."""
    assert evidence_overlap(GOLD, ["noon"]) is None
    assert evidence_overlap(GOLD, [GOLD[0], "noon"]) is None
    assert evidence_overlap(GOLD, []) is None


def test_kinds_have_figures_of_their_own() -> None:
    """Each kind, and what stands before the stroke, against the answerable cases; of cases without one, nothing."""
    results = [
        result(kind="plain", score=0.9),
        result(kind="plain", score=0.5),
        INVENTED,
        result(kind="twisted/name", answerable=False, correct=None, score=0.7),
        result(kind="twisted/number", answerable=False, correct=None, score=0.1, status="abstained"),
    ]
    by_kind = summarise(results)["by_kind"]
    assert list(by_kind) == ["plain", "twisted", "twisted/name", "twisted/number"]
    assert {kind: figures["auroc"]["value"] for kind, figures in by_kind.items()} == {
        "plain": 0.8333,
        "twisted": 0.75,
        "twisted/name": 0.5,
        "twisted/number": 1.0,
    }
    assert (by_kind["twisted"]["n"], by_kind["twisted"]["answerable"]) == (2, 0)
    assert by_kind["twisted"]["coverage"]["value"] == 0.5
    assert by_kind["twisted"]["wrong"]["value"] == 1.0


def test_calibrated_scores_are_held_against_what_came_of_them() -> None:
    """Half of the answers at .9 are right: the error is .4; one score that is not calibrated, and there is none."""
    half = [result(score=0.9, calibrated=True, correct=right) for right in (True, False)] * 10
    assert summarise(half)["calibration_error"]["value"] == 0.4
    assert summarise([*half, RIGHT])["calibration_error"]["value"] is None


def test_superseded_documents_and_flags_are_counted() -> None:
    """Answers to cases that name what must not be cited, and how many cite it; and how often each flag was raised."""
    report = summarise(
        [
            result(must_not_cite=("old",), must_not_cited=("old",), flags=("conflict",)),
            result(must_not_cite=("old",), flags=("conflict", "stale")),
            RIGHT,
        ]
    )
    assert report["must_not_cited"]["value"] == 0.5
    assert report["flags"] == {"conflict": 2, "stale": 1}


def test_one_citation_that_is_not_as_stored_shows() -> None:
    """A mismatch lowers citations_equal below 1."""
    report = summarise([RIGHT, result(citations=3, mismatches=1)])
    assert report["citations"] == {"checked": 4, "mismatches": 1}
    assert report["citations_equal"]["value"] == 0.75


def test_violations_name_their_cases() -> None:
    """The report lists which cases cited what they must not, or lacked what they must."""
    report = summarise([result(id="a", must_cite_missing=("d",)), result(id="b", must_not_cited=("e",)), RIGHT])
    assert (report["must_cite_violations"], report["must_not_cite_violations"]) == (["a"], ["b"])


RESULTS = st.lists(
    st.sampled_from([RIGHT, WRONG, INVENTED, MISSED, LEFT_OUT, BROKEN, result(correct=None, has_reference=False)]),
    max_size=8,
)


@settings(deadline=None, max_examples=25)
@given(RESULTS)
def test_every_set_has_a_report(results: list[CaseResult]) -> None:
    """However few cases of a kind there are, figures are null or within [0, 1], and counts add up."""
    report = summarise(results)
    assert report["n"] == len(results) >= report["answered"] + sum(report["errors"].values())
    for figure in report.values():
        if isinstance(figure, dict) and "low" in figure:
            assert figure["value"] is None or 0 <= figure["low"] <= figure["value"] <= figure["high"] <= 1


class _Stored:
    """Services that have stored one document, and give it out under its own id and version alone."""

    library: _Stored

    def __init__(self, text: str) -> None:
        self.library = self
        self._text = text

    async def stored(self, scope: object, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], Any]:
        return {place: SimpleNamespace(text=self._text) for place in wanted if place == ("a", 1)}


def test_a_citation_counts_only_when_it_is_the_stored_slice() -> None:
    """A quote that differs from its slice in one character, and one of a document one cannot read, are mismatches."""
    services: Any = _Stored("The ferry leaves.")
    quotes = [("a", "The ferry"), ("a", "The Ferry"), ("b", "The ferry")]
    citations = answer(*quotes).claims[0].citations
    scope: Any = None
    assert asyncio.run(count_mismatches(services, scope, citations)) == 2


class _Failing:
    """Services whose question fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def scope(self, principal: Principal) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "code"),
    [(BadInput("q", "empty_question", "It is empty.", "Ask."), "empty_question"), (KeyError("x"), "KeyError")],
)
def test_a_case_that_fails_is_a_result(error: Exception, code: str) -> None:
    """An error of the product, expected or not, becomes the case's code and nothing is raised."""
    services: Any = _Failing(error)
    failed = asyncio.run(run_case(services, case(), Principal(subject="x"), "extractive"))
    assert (failed.status, failed.error) == ("error", code)
