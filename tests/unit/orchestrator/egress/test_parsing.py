from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.egress.contracts import CONTRACTS, GroundedAnswer, OutputContract
from orchestrator.egress.parsing import FieldError, ParseLimits, parse
from tests.unit.orchestrator.egress.stand_ins import answer, said

CONTRACT = CONTRACTS["grounded_answer"]
GOOD = answer(said("It is so.", "It is so."))
TEXT = json.dumps(GOOD)


def errors(text: str, limits: ParseLimits | None = None) -> tuple[FieldError, ...]:
    found = parse(text, CONTRACT, limits)
    assert isinstance(found, tuple), found
    return found


@pytest.mark.parametrize(
    "text", [TEXT, f"\n {TEXT}\t\n", f"```json\n{TEXT}\n```", f"```\n{TEXT}\n```", f" ```JSON \n{TEXT}\n``` "]
)
def test_what_carries_nothing_is_taken_off(text: str) -> None:
    """White space around the output and one code fence are no mistake."""
    found = parse(text, CONTRACT)
    assert isinstance(found, GroundedAnswer)
    assert found.claims[0].text == "It is so."


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"Here it is: {TEXT}",
        f"{TEXT} I hope this helps.",
        f"{TEXT}{TEXT}",
        f"```json\n```json\n{TEXT}\n```\n```",
        TEXT[:-1],
        TEXT.replace('"', "'"),
        TEXT.replace("true", "True"),
        TEXT[:-1] + ",}",
        TEXT.replace("0.9", "NaN"),
        TEXT.replace("0.9", "-Infinity"),
        TEXT[:-1] + ', "answerable": true}',
        TEXT.replace('"source": 1', '"source": 1, "source": 2'),
        "[" * 100_000,
        '{"a":' * 20_000 + "1" + "}" * 20_000,
        TEXT.replace("0.9", "1" * 5_000),
        f"// a comment\n{TEXT}",
        "\ufeff" + TEXT,
    ],
)
def test_what_is_not_strict_json_is_malformed(text: str) -> None:
    """Prose around it, two objects, keys that stand twice, NaN, depth: none is put right, each is one error."""
    (error,) = errors(text)
    assert (error.place, error.kind) == ("", "malformed")
    assert error.message.endswith(".")


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"answerable": "true"}, "answerable"),
        ({"answerable": 1}, "answerable"),
        ({"confidence": "0.9"}, "confidence"),
        ({"confidence": 1.5}, "confidence"),
        ({"confidence": None}, "confidence"),
        ({"confidence": 1e999}, "confidence"),
        ({"claims": {}}, "claims"),
        ({"claims": [["x"]]}, "claims.0"),
        ({"claims": [said("", "x")]}, "claims.0.text"),
        ({"claims": [said("x", "")]}, "claims.0.quotes.0.quote"),
        ({"claims": [said("x", "y", source=0)]}, "claims.0.quotes.0.source"),
        ({"claims": [{"text": "x", "quotes": [{"source": "1", "quote": "y"}]}]}, "claims.0.quotes.0.source"),
        ({"claims": [{"text": "x", "quotes": [{"source": 1.5, "quote": "y"}]}]}, "claims.0.quotes.0.source"),
        ({"claims": [{"text": "x"}]}, "claims.0.quotes"),
        ({"SECRET": "x"}, ""),
    ],
)
def test_a_field_that_is_not_as_told_is_named(change: dict[str, Any], place: str) -> None:
    """Nothing is converted; the error has the place, and neither the value nor a name that the model made up."""
    text = json.dumps(GOOD | change) if change != {"confidence": 1e999} else TEXT.replace("0.9", "1e999")
    (error,) = errors(text)
    assert (error.place, error.kind) == (place, "schema")
    assert "SECRET" not in repr(error)


def test_errors_repeat_nothing_that_was_written() -> None:
    """Neither a value, nor a key, nor a piece of a broken text is in an error: it may be somebody's data."""
    secret = "Anna Secret"
    wrong = [{secret: secret}, [secret], GOOD | {"claims": [secret, {secret: 1}], "confidence": secret}]
    for text in [secret, f'{{"{secret}', *map(json.dumps, wrong)]:
        assert "Secret" not in repr(errors(text))


def test_a_claim_without_quotes_is_left_for_the_gate() -> None:
    """So that it costs itself and not the whole answer."""
    assert isinstance(parse(json.dumps(answer(said("It is so."))), CONTRACT), GroundedAnswer)


def test_lone_surrogates_are_refused() -> None:
    """A text that no store could hold is no output, escaped or not."""
    for text in (TEXT.replace("It is so", "\\ud800"), TEXT.replace("It is so", "\ud800")):
        assert [error.kind for error in errors(text)] == ["schema"]


def test_what_is_too_much_is_not_read() -> None:
    """Length, statements and quotes are bounded."""
    assert errors(TEXT, ParseLimits(max_characters=len(TEXT) - 1))[0].kind == "malformed"
    many = json.dumps(answer(*[said("x", "y")] * 3))
    assert "more than 2 statements" in errors(many, ParseLimits(max_statements=2))[0].message
    quotes = json.dumps(answer(said("x", "a", "b", "c")))
    assert errors(quotes, ParseLimits(max_quotes=2))[0].place == "claims.0"
    wrong = json.dumps(GOOD | {"claims": [{}] * 50})
    assert len(errors(wrong, ParseLimits(max_errors=3))) == 3


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(_JSON | st.text().map(str), st.sampled_from(sorted(CONTRACTS)))
def test_any_json_is_an_output_or_errors(value: Any, name: str) -> None:
    """Never an exception, whatever was written."""
    text = json.dumps(value)
    found = parse(text, CONTRACTS[name])
    if not isinstance(found, OutputContract):
        assert found
        for error in found:
            assert error.kind in ("malformed", "schema")


@settings(max_examples=200, deadline=None)
@given(
    st.floats(0, 1), st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1), st.integers(1, 10**6)), max_size=4)
)
def test_what_is_well_formed_comes_through_unchanged(confidence: float, claims: list[tuple[str, str, int]]) -> None:
    """Parsing changes no character and no number."""
    output = answer(*(said(text, quote, source=source) for text, quote, source in claims)) | {"confidence": confidence}
    found = parse(json.dumps(output), CONTRACT)
    assert isinstance(found, GroundedAnswer)
    assert math.isclose(found.confidence, confidence, rel_tol=0, abs_tol=0)
    assert [(c.text, c.quotes[0].quote, c.quotes[0].source) for c in found.claims] == claims
