from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.tags import Classification
from orchestrator.citations import Draft, Dropped, verify
from orchestrator.egress.contracts import (
    Classification as Triage,
)
from orchestrator.egress.contracts import (
    DraftedMessage,
    Extraction,
    GroundedAnswer,
    Summary,
)
from orchestrator.egress.gate import (
    MAX_REPAIR,
    Invalid,
    Parsed,
    Refused,
    Validated,
    read_output,
    repair_message,
    validate,
)
from orchestrator.egress.rules import RULES, RequiredDisclaimer, Rule, RuleSet
from orchestrator.support.gate import Unsupported, check_support
from tests.unit.orchestrator.egress.stand_ins import (
    LEAVE,
    NONCE,
    SYSTEM,
    FakeContext,
    answer,
    checked,
    context,
    kept,
    kinds,
    produced,
    refused,
    said,
    stored,
)

QUOTE = "Every full-time employee receives 25 days of paid leave a year."
GOOD = said("Full-time employees receive 25 days of paid leave a year.", QUOTE)
REFUND = said("Refunds are paid within 14 days.", "Refunds are paid within 14 days.", source=2)
INVENTED = said("Employees receive a car.", "Every employee receives a company car.")


def test_a_carried_claim_leaves_with_the_stored_words() -> None:
    """A claim that its quote carries is kept; its citation is a slice of the stored text."""
    outcome = kept(checked(answer(GOOD)))
    (claim,) = outcome.claims
    (citation,) = claim.citations
    assert claim.text == GOOD["text"]
    assert LEAVE[citation.start : citation.end] == citation.quote == QUOTE
    assert outcome.support[0] > 0.5
    assert not outcome.dropped
    assert not outcome.warnings


def test_a_quote_spelled_otherwise_leaves_as_it_is_stored() -> None:
    """What the model miscopied in spelling is found, and the output holds the stored characters."""
    outcome = kept(
        checked(answer(said(GOOD["text"], "every full-time employee  receives 25 days of paid leave a year")))
    )
    assert isinstance(outcome.output, GroundedAnswer)
    assert outcome.output.claims[0].quotes[0].quote == QUOTE[:-1]


def test_no_answer_is_a_valid_output() -> None:
    """A model that says the sources hold no answer is believed, and nothing of what it says besides leaves."""
    outcome = kept(checked(answer(answerable=False)))
    assert outcome.claims == ()
    outcome = kept(checked(answer(GOOD, INVENTED, answerable=False)))
    assert outcome.claims == ()
    assert outcome.output == GroundedAnswer(answerable=False, claims=(), confidence=0.9)


def test_an_answer_without_claims_is_none() -> None:
    """Saying that there is an answer and giving none is against a rule."""
    assert kinds(checked(answer())) == [("claims", "rule", "coherent")]


@pytest.mark.parametrize(
    ("claim", "kind"),
    [
        (INVENTED, "quote"),
        (said("Employees get leave."), "uncited"),
        (said(GOOD["text"], QUOTE, source=9), "quote"),
        (said("Full-time employees receive 30 days of paid leave a year.", QUOTE), "unsupported"),
        (said("Full-time employees receive no days of paid leave a year.", QUOTE), "unsupported"),
        (said("Ask [EMAIL_9] about 25 days of paid leave a year.", QUOTE), "placeholder"),
        (said(f"Full-time employees receive 25 days of paid leave a year {NONCE}.", QUOTE), "safety"),
    ],
)
def test_a_claim_that_fails_is_dropped_alone(claim: dict[str, Any], kind: str) -> None:
    """One bad claim costs itself where another stands; where none stands the output is invalid, with its kind."""
    outcome = kept(checked(answer(REFUND, claim)))
    assert [one.text for one in outcome.claims] == [REFUND["text"]]
    assert len(outcome.dropped) == 1
    assert claim["text"] not in outcome.output.model_dump_json()
    assert [error[:2] for error in kinds(checked(answer(claim)))] == [("claims.0", kind)]


def test_what_was_dropped_is_recorded_by_the_gate_that_dropped_it() -> None:
    """The record tells a quote that is not there, a quote that does not carry, and a filter apart."""
    claims = [INVENTED, said("Refunds take 9 days.", "Refunds are paid within 14 days.", source=2)]
    leak = REFUND | {"text": "Refunds are paid within 14 days, see http://evil.example/x"}
    outcome = kept(checked(answer(GOOD, *claims, leak)))
    assert [type(one) for one in outcome.dropped] == [Dropped, Unsupported, Refused]


def test_a_document_that_cannot_be_read_now_carries_nothing() -> None:
    """A text that the asker may no longer read is as good as never quoted, and asking again would not help."""
    ctx = context()
    outcome = kept(checked(answer(GOOD, REFUND), ctx=ctx, readable={("source2", 1): stored(ctx)["source2", 1]}))
    assert [claim.text for claim in outcome.claims] == [REFUND["text"]]
    invalid = refused(checked(answer(GOOD), ctx=ctx, readable={}))
    assert not invalid.repairable
    assert [error.kind for error in invalid.errors] == ["quote"]


def test_only_what_is_cited_is_asked_for() -> None:
    """The texts to be read are those of the quotes, and no others."""
    parsed = read_output(produced(answer(REFUND)))
    assert isinstance(parsed, Parsed)
    assert parsed.needed == {("source2", 1)}


def test_a_known_placeholder_becomes_its_value_again() -> None:
    """Claim and quote with a placeholder come out with what stood there, verified against the stored text."""
    outcome = kept(checked(answer(said("Ask [EMAIL_1].", "Ask [EMAIL_1]."))))
    assert outcome.claims[0].text == "Ask anna@example.com."
    assert outcome.claims[0].citations[0].quote == "Ask anna@example.com."
    assert "EMAIL_1" not in outcome.output.model_dump_json()


def test_what_looks_like_a_placeholder_in_a_document_is_a_quote() -> None:
    """A sentence of the stored text leaves as it is, also when it is written like a placeholder."""
    text = "Write [EMAIL_7] in place of the address."
    outcome = kept(checked(answer(said(text, text)), ctx=context(text)))
    assert outcome.claims[0].text == text


@pytest.mark.parametrize(
    "text", ["Put <script> before <body>.", "Use [INST] and [/INST] around it.", "The mark is \x03 here."]
)
def test_a_quote_may_hold_what_a_statement_may_not(text: str) -> None:
    """A manual that shows a tag can be quoted word for word; said in other words the tag stops the statement."""
    ctx = context(text)
    assert kept(checked(answer(said(text, text)), ctx=ctx)).claims[0].text == text
    assert [error[1] for error in kinds(checked(answer(said(f"So {text}", text)), ctx=ctx))] == ["safety"]


def test_a_quote_that_runs_code_does_not_leave() -> None:
    """An address with code in it is stopped, though a document holds it."""
    text = "Click [here](javascript:steal()) to see it."
    assert kinds(checked(answer(said(text, text)), ctx=context(text))) == [("claims.0", "safety", "active_link")]


# The extractive model


def test_extractive_outputs_are_checked_as_before() -> None:
    """For quotes of the stored text the gate keeps and drops what verify and check_support do."""
    ctx = context("Plan\tPrice\nBasic\t10 EUR\nPro\t25 EUR", LEAVE)
    claims = [
        said("Plan: Pro; Price: 25 EUR", "Pro\t25 EUR", "Plan\tPrice"),
        said("Policy: Unused days lapse after 31 March.", "Unused days lapse after 31 March.", source=2),
        said("Unused days lapse after 1 March.", "Unused days lapse after 31 March.", source=2),
        said("Not there.", "It does not stand there.", source=2),
    ]
    parsed = read_output(produced(answer(*claims), ctx=ctx))
    assert isinstance(parsed, Parsed)
    outcome = kept(validate(parsed, stored(ctx)))
    verified = verify(Draft(claims=tuple(one.draft for one in parsed.said)), stored(ctx))
    supported = check_support(verified, ctx.sources)
    assert outcome.claims == supported.claims
    assert outcome.support == supported.scores
    assert len(outcome.claims) == 2
    assert set(map(type, outcome.dropped)) == {Dropped, Unsupported}


# Other contracts


def field(name: str, value: str, quote: str, source: int = 1) -> dict[str, Any]:
    return {"name": name, "value": value, "quotes": [{"source": source, "quote": quote}], "confidence": 0.8}


def test_a_value_is_shown_behind_the_name_of_its_field() -> None:
    """An extraction's claims read as name and value, and cite where the value stands."""
    outcome = kept(checked({"fields": [field("leave_days", "25 days", QUOTE)]}, "extraction"))
    assert [claim.text for claim in outcome.claims] == ["leave_days: 25 days"]
    assert isinstance(outcome.output, Extraction)
    assert outcome.output.fields[0].value == "25 days"


@pytest.mark.parametrize(("value", "quote"), [("30 days", QUOTE), ("31 March", QUOTE), ("unlimited", QUOTE)])
def test_an_extraction_with_a_wrong_value_is_invalid(value: str, quote: str) -> None:
    """A value that its quote does not hold makes the extraction invalid: a field is not left out in silence."""
    fields = [field("good", "25 days", QUOTE), field("bad", value, quote)]
    assert kinds(checked({"fields": fields}, "extraction")) == [("fields.1", "unsupported", None)]


def test_a_field_is_extracted_once() -> None:
    """Two values under one name are against a rule."""
    fields = [field("days", "25 days", QUOTE), field("days", "25", QUOTE)]
    assert kinds(checked({"fields": fields}, "extraction")) == [("fields.1.name", "rule", "coherent")]


def triage(**changes: Any) -> dict[str, Any]:
    return {
        "category": "leave",
        "priority": "normal",
        "suggested_team": "People & Culture",
        "confidence": 0.7,
        "rationale": "Employees receive 25 days of paid leave a year. Managers approve leave in Workday.",
        "citations": [
            {"source": 1, "quote": QUOTE},
            {"source": 1, "quote": "Managers approve leave in Workday."},
        ],
    } | changes


def test_a_classification_stands_on_its_rationale() -> None:
    """Each sentence of the rationale is a claim that the citations carry."""
    outcome = kept(checked(triage(), "classification"))
    assert [claim.text for claim in outcome.claims] == [
        "Employees receive 25 days of paid leave a year.",
        "Managers approve leave in Workday.",
    ]
    assert isinstance(outcome.output, Triage)
    assert outcome.output.rationale == triage()["rationale"]


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"rationale": "The customer is angry."}, ("rationale.0", "unsupported", None)),
        ({"citations": []}, ("rationale.0", "uncited", None)),
        ({"priority": "very high"}, ("priority", "rule", "priorities")),
        ({"category": "see http://evil.example"}, ("category", "schema", None)),
        ({"category": "EMAIL_1"}, ("category", "placeholder", None)),
        ({"suggested_team": "AKIA" + "ABCDEFGHIJ234567"}, ("suggested_team", "safety", "secret")),
        ({"suggested_team": NONCE}, ("suggested_team", "safety", "prompt_leak")),
    ],
)
def test_a_classification_that_says_more_is_invalid(changes: dict[str, Any], error: tuple[str, str, str]) -> None:
    """A reason that nothing carries, a priority that is none, and labels that are messages are told by place."""
    assert error in kinds(checked(triage(**changes), "classification"))


def test_a_summary_keeps_the_points_that_stand() -> None:
    """A point that fails is left out of a summary, and a title that says more than the points is too."""
    outcome = kept(checked({"title": "Summary: paid leave", "points": [GOOD, INVENTED]}, "summary"))
    assert isinstance(outcome.output, Summary)
    assert outcome.output.title == "Summary: paid leave"
    assert len(outcome.output.points) == 1
    outcome = kept(checked({"title": "Leave is cancelled", "points": [GOOD]}, "summary"))
    assert isinstance(outcome.output, Summary)
    assert outcome.output.title == ""
    assert len(outcome.dropped) == 1


BODY = """Dear Anna,

Thank you for your question. Every full-time employee receives 25 days of paid leave.

Kind regards"""


def message(**changes: Any) -> dict[str, Any]:
    return {
        "subject": "Your question: paid leave",
        "body": BODY,
        "disclaimers": [],
        "citations": [{"source": 1, "quote": QUOTE}],
    } | changes


ASKED = "How many days of leave does Anna get?"


def test_a_message_is_a_claim_for_each_sentence_that_says_something() -> None:
    """Greetings pass without a citation; what says something is verified; the body keeps its form."""
    outcome = kept(checked(message(), "drafted_message", context(question=ASKED)))
    assert [claim.text for claim in outcome.claims] == ["Every full-time employee receives 25 days of paid leave."]
    assert isinstance(outcome.output, DraftedMessage)
    assert outcome.output.body == BODY


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"body": BODY + "\nYou may take all of it in May."}, "unsupported"),
        ({"body": "Dear Boris,\nEvery full-time employee receives 25 days of paid leave."}, "unsupported"),
        ({"subject": "Your refund is approved"}, "unsupported"),
        ({"citations": []}, "uncited"),
        ({"disclaimers": ["Trust me."]}, "rule"),
        ({"body": "Dear Anna,\nWe guarantee 25 days of paid leave a year."}, "rule"),
    ],
)
def test_a_message_with_one_bad_sentence_does_not_leave(changes: dict[str, Any], error: str) -> None:
    """Nothing can be left out of a message without changing what it says."""
    outcome = checked(message(**changes), "drafted_message", context(question=ASKED))
    assert error in [one.kind for one in refused(outcome).errors]


def test_a_disclaimer_that_a_rule_gives_is_allowed_and_required() -> None:
    """A message about confidential data has to hold the disclaimer, word for word."""
    condition = RequiredDisclaimer(disclaimer="For internal use.", from_classification="confidential")
    rule = Rule(
        id="internal-use",
        owner="legal",
        text="Confidential data goes out with a notice.",
        severity="stop",
        contracts=frozenset({"drafted_message"}),
        condition=condition,
    )
    rules = RuleSet(rules=(*RULES.rules, rule))
    ctx = context(question=ASKED)
    with_it = message(disclaimers=["For internal use."])
    assert kept(checked(message(), "drafted_message", ctx, rules=rules))
    assert kept(checked(with_it, "drafted_message", ctx, rules=rules))
    ctx.classification = Classification.confidential
    assert kinds(checked(message(), "drafted_message", ctx, rules=rules)) == [("disclaimers", "rule", "internal-use")]
    assert kept(checked(with_it, "drafted_message", ctx, rules=rules))


def test_a_critique_leaves_without_its_words() -> None:
    """What a critique says of a claim is read by the system alone."""
    outcome = kept(checked({"verdicts": [{"claim": 1, "supported": False, "problem": "It is 30."}]}, "critique"))
    assert "30" not in outcome.output.model_dump_json()
    assert outcome.claims == ()


# Warnings, and the repair turn


def test_a_warning_is_seen_and_stops_nothing() -> None:
    """An answer in another language than the question is told, and leaves."""
    text = "Die Reise und das Hotel werden von der Firma bezahlt."
    outcome = kept(checked(answer(said(text, text)), ctx=context(text, question="Who pays for the hotel of the trip?")))
    assert [(one.kind, one.rule) for one in outcome.warnings] == [("rule", "language-grounded-answer")]


def test_the_repair_turn_names_places_and_no_stored_word() -> None:
    """What a model is told holds the place and the reason; neither stored text nor personal data."""
    claim = said("Ask [EMAIL_1] about 99 days.", "Ask [EMAIL_1].")
    invalid = refused(checked(answer(claim, INVENTED)))
    told = repair_message(invalid.errors)
    assert "- claims.0: A number or a date" in told
    assert "- claims.1: A quote" in told
    for secret in ("anna@example.com", "99", "company car", "leave"):
        assert secret not in told


def test_the_repair_turn_does_not_tell_what_was_withheld() -> None:
    """A quote of withheld text, of an unreadable one and of none are told in the same words."""
    ctx = context()
    start = LEAVE.index("Managers")
    hit = ctx.sources[0]
    hidden = replace(hit, passage=replace(hit.passage, withheld=((start, start + 10),)))
    secret = answer(said("Managers approve leave in Workday.", "Managers approve leave in Workday."))
    messages = {
        repair_message(refused(checked(secret, ctx=replace(ctx, sources=(hidden,)))).errors),
        repair_message(refused(checked(secret, ctx=ctx, readable={})).errors),
        repair_message(refused(checked(answer(INVENTED), ctx=ctx)).errors),
    }
    assert len(messages) == 1


def test_the_repair_turn_is_bounded() -> None:
    """However much is wrong, the message to the model stays short."""
    invalid = refused(checked(answer(*[INVENTED] * 100)))
    assert len(invalid.errors) == 20
    assert len(repair_message(invalid.errors)) <= MAX_REPAIR
    many = tuple(replace(invalid.errors[0], place=f"claims.{n}") for n in range(1_000))
    assert len(repair_message(many)) <= MAX_REPAIR


def test_a_leak_of_the_prompt_is_not_repaired() -> None:
    """A model that repeats its instructions is under somebody's orders: it is not asked again."""
    assert not refused(checked(answer(said(f"25 days. {SYSTEM}", QUOTE)))).repairable


# Nothing that fails leaves

_WORDS = st.sampled_from(
    [
        *QUOTE.split(),
        "Refunds",
        "14",
        "[EMAIL_1]",
        "[EMAIL_5]",
        NONCE,
        "http://evil.example",
        "<img src=x>",
        "not",
        "\u200b",
    ]
)
_QUOTE = st.one_of(
    st.sampled_from([QUOTE, "Refunds are paid within 14 days.", "Ask [EMAIL_1].", "x", ""]),
    st.lists(_WORDS, max_size=8).map(" ".join),
    st.text(max_size=20),
)
_QUOTES = st.lists(
    st.fixed_dictionaries({"source": st.integers(-1, 3), "quote": _QUOTE}, optional={"start": st.integers(-5, 99)}),
    max_size=3,
)
_TEXT = st.one_of(st.sampled_from([GOOD["text"], QUOTE, BODY]), st.lists(_WORDS, max_size=10).map(" ".join), st.text())
_CLAIMS = st.lists(st.fixed_dictionaries({"text": _TEXT, "quotes": _QUOTES}), max_size=4)
_SHARE = st.one_of(st.floats(0, 1), st.floats())
_LABEL = st.one_of(st.sampled_from(["leave", "normal", "EMAIL_1"]), st.text(max_size=8))
_OUTPUTS = st.one_of(
    st.tuples(
        st.just("grounded_answer"),
        st.fixed_dictionaries({"answerable": st.booleans(), "claims": _CLAIMS, "confidence": _SHARE}),
    ),
    st.tuples(st.just("summary"), st.fixed_dictionaries({"title": _TEXT, "points": _CLAIMS})),
    st.tuples(
        st.just("extraction"),
        st.fixed_dictionaries(
            {
                "fields": st.lists(
                    st.fixed_dictionaries({"name": _LABEL, "value": _TEXT, "quotes": _QUOTES, "confidence": _SHARE}),
                    max_size=3,
                )
            }
        ),
    ),
    st.tuples(
        st.just("classification"),
        st.fixed_dictionaries(
            {
                "category": _LABEL,
                "priority": _LABEL,
                "suggested_team": _LABEL,
                "confidence": _SHARE,
                "rationale": _TEXT,
                "citations": _QUOTES,
            }
        ),
    ),
    st.tuples(
        st.just("drafted_message"),
        st.fixed_dictionaries(
            {"subject": _TEXT, "body": _TEXT, "disclaimers": st.lists(_TEXT, max_size=1), "citations": _QUOTES}
        ),
    ),
)
_CTX = context()


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from strings(one)


def holds(outcome: Validated, ctx: FakeContext) -> None:
    """All that is promised of a validated output."""
    texts = stored(ctx)
    for claim in outcome.claims:
        assert claim.citations
        for citation in claim.citations:
            assert texts[citation.document_id, citation.version][citation.start : citation.end] == citation.quote
    assert len(outcome.support) == len(outcome.claims)
    for text in strings(outcome.output.model_dump(mode="json")):
        for bad in ("[EMAIL_", NONCE, "evil.example", "<img", "\u200b"):
            assert bad not in text


@settings(max_examples=400, deadline=None)
@given(_OUTPUTS)
def test_whatever_leaves_is_cited_and_clean(made: tuple[str, Any]) -> None:
    """For any output of any contract: what is validated cites stored slices, and no filter's finding is in it."""
    contract, output = made
    outcome = checked(json.dumps(output), contract, _CTX)
    if isinstance(outcome, Validated):
        holds(outcome, _CTX)
    again = checked(json.dumps(output), contract, _CTX)
    assert type(again) is type(outcome)
    if isinstance(again, Validated) and isinstance(outcome, Validated):
        assert (again.output, again.claims, again.support) == (outcome.output, outcome.claims, outcome.support)
    if isinstance(again, Invalid) and isinstance(outcome, Invalid):
        assert again.errors == outcome.errors
        assert outcome.errors


@settings(max_examples=300, deadline=None)
@given(
    st.one_of(st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape")), st.text()),
    st.sampled_from(["grounded_answer", "extraction", "classification", "summary", "drafted_message", "critique"]),
)
def test_no_text_raises(text: str, contract: str) -> None:
    """Bytes that are no JSON, or JSON that is no output, are invalid, with a message for the model."""
    invalid = refused(checked(text, contract, _CTX))
    assert invalid.errors
    assert repair_message(invalid.errors)
