"""Second looks at an output."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.contract import Citation, Claim
from orchestrator.critique import MOST_CLAIMS, agreement, statements_to_check, supported_share, variables
from orchestrator.egress.contracts import Critique, Verdict
from orchestrator.egress.gate import Parsed, Validated, read_output, validate
from tests.unit.orchestrator.egress.stand_ins import FakeContext, context, kept, produced, said, stored

SENTENCE = "Every full-time employee receives 25 days of paid leave a year."


def looked_at(*claims: dict[str, Any], ctx: FakeContext | None = None) -> tuple[Parsed, Validated]:
    """An answer before and behind the real gate."""
    ctx = ctx or context()
    parsed = read_output(produced({"answerable": True, "claims": [*claims], "confidence": 0.9}, ctx=ctx))
    assert isinstance(parsed, Parsed), parsed
    return parsed, kept(validate(parsed, stored(ctx)))


# What is asked


def test_the_critic_sees_claims_with_their_quotes() -> None:
    """Each claim that was kept is shown with the source and the words that it quotes."""
    [one] = variables(statements_to_check(*looked_at(said("Staff receive 25 days of paid leave a year.", SENTENCE))))[
        "claims"
    ]
    assert one == f"Staff receive 25 days of paid leave a year.\nSource 1: “{SENTENCE}”"


def test_the_critic_sees_no_dropped_claim() -> None:
    """A claim that egress did not keep is not asked about: it leaves in no case."""
    found = statements_to_check(*looked_at(said("The form is blue.", SENTENCE), said(SENTENCE, SENTENCE)))
    assert [one.text for one in found] == [SENTENCE]


def test_the_critic_sees_no_personal_data() -> None:
    """What stood behind a placeholder is back in the validated claim, and is not shown to the critic."""
    parsed, validated = looked_at(said("Ask [EMAIL_1].", "Ask [EMAIL_1]."))
    assert "anna@example.com" in validated.claims[0].text
    [shown] = variables(statements_to_check(parsed, validated))["claims"]
    assert "anna@example.com" not in shown
    assert "[EMAIL_1]" in shown


def test_a_critique_is_bounded() -> None:
    """No more than so many claims are asked about."""
    many = [said(SENTENCE, SENTENCE) for _ in range(MOST_CLAIMS + 5)]
    assert len(statements_to_check(*looked_at(*many))) == MOST_CLAIMS


# How the answer is read


def verdicts(*given: tuple[int, bool]) -> Critique:
    return Critique(verdicts=tuple(Verdict(claim=claim, supported=ok, problem="") for claim, ok in given))


@pytest.mark.parametrize(
    ("given_verdicts", "claims", "share"),
    [
        ([(1, True), (2, True)], 2, 1.0),
        ([(1, True), (2, False)], 2, 0.5),
        ([(1, True)], 2, 0.5),  # no verdict is no support
        ([(1, True), (1, False)], 1, 0.0),  # two that differ are none
        ([(1, True), (7, False)], 1, 1.0),  # there is no claim 7
        ([(7, True)], 1, None),
        ([], 2, None),
    ],
)
def test_verdicts_become_a_share(given_verdicts: list[tuple[int, bool]], claims: int, share: float | None) -> None:
    """The share of claims that the critic holds to be supported; None where it looked at none of them."""
    assert supported_share(verdicts(*given_verdicts), claims) == share


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans())), st.integers(1, 6))
def test_no_verdict_makes_more_than_all(given_verdicts: list[tuple[int, bool]], claims: int) -> None:
    """Whatever a critic writes, the share is between none and all, and one more doubt never raises it."""
    share = supported_share(verdicts(*given_verdicts), claims)
    assert share is None or 0 <= share <= 1
    doubted = supported_share(verdicts(*given_verdicts, (1, False)), claims)
    assert doubted is not None
    assert doubted <= (1 if share is None else share)


# A second opinion


def claim(text: str) -> Claim:
    place = Citation(
        document_id="d", version=1, chunk_id="c", title="t", source_uri="s", page=None, start=0, end=1, quote="q"
    )
    return Claim(text=text, citations=(place,))


def agreed(first: list[str], second: list[str]) -> float:
    return agreement([claim(text) for text in first], [claim(text) for text in second])


SAID = "Refunds are paid within 14 days."


@pytest.mark.parametrize(
    ("other", "least", "most"),
    [
        (SAID, 1.0, 1.0),
        ("refunds are  paid within 14 days.", 1.0, 1.0),
        ("A refund is paid within 14 days after the return.", 0.5, 1.0),
        ("Refunds are paid within 40 days.", 0.0, 0.0),
        ("Refunds are not paid within 14 days.", 0.0, 0.0),
        ("The canteen opens at noon.", 0.0, 0.4),
    ],
)
def test_agreement_looks_at_what_is_said(other: str, least: float, most: float) -> None:
    """The same in other words agrees; another number or a denial does not at all, however alike the words are."""
    assert least <= agreed([SAID], [other]) <= most


def test_another_name_disagrees() -> None:
    """Two answers that name different people do not agree."""
    assert agreed(["The head of finance is Anna Berg."], ["The head of finance is Otto Kern."]) == 0.0


def test_only_what_the_first_says_counts() -> None:
    """A second answer that says more agrees; one that says half agrees by half."""
    assert agreed([SAID], ["The canteen opens at noon.", SAID]) == 1.0
    assert agreed([SAID, "The canteen opens at noon."], [SAID]) <= 0.75


@pytest.mark.parametrize(("first", "second"), [([], [SAID]), ([SAID], []), ([], [])])
def test_silence_is_no_agreement(first: list[str], second: list[str]) -> None:
    """An answer and none do not agree."""
    assert agreed(first, second) == 0.0


@given(
    st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=3),
    st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=3),
)
def test_agreement_is_a_share(first: list[str], second: list[str]) -> None:
    """Any texts can be compared, and a text agrees with itself."""
    assert 0 <= agreed(first, second) <= 1
    assert agreed(first, first) == 1.0
