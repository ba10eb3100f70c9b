"""The turn in which a model is told what was wrong."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from orchestrator.egress.gate import repair_message
from orchestrator.egress.parsing import FieldError
from orchestrator.gateway.outcomes import Produced
from orchestrator.gateway.repair import repair_turns

ERRORS = (FieldError(place="claims.0.text", kind="schema", message="Field required."),)


def produced(text: str) -> Produced:
    return cast("Produced", SimpleNamespace(prompted=SimpleNamespace(user="How many days?"), text=text))


def test_a_repair_shows_prompt_output_and_errors() -> None:
    """The model reads what it was asked, what it wrote, and what is wrong with that, in this order."""
    output = produced('  {"claims": [{}]}\n')
    first, second, third = repair_turns(output, ERRORS)
    assert (first.role, first.text) == ("user", "How many days?")
    assert (second.role, second.text) == ("assistant", '{"claims": [{}]}')
    assert (third.role, third.text) == ("user", repair_message(ERRORS))
    assert "claims.0.text: Field required." in third.text


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_output_is_told_as_empty(text: str) -> None:
    """Providers refuse a turn without text."""
    assert repair_turns(produced(text), ERRORS)[1].text == "(empty)"
