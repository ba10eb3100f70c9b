"""A request as the prompt tier makes it, and what nobody but the model may ever see of it."""

from __future__ import annotations

from typing import Any

from orchestrator.egress.contracts import GroundedAnswer
from orchestrator.gateway.port import ModelRequest, Turn
from orchestrator.spotlighting import Datum, spotlight

KEY = "test-key"
SENTENCE = "Staff get 25 days of leave a year."
SECRET = "Quarterly-Secret-4711"  # stands in the system text, in the source, and so in an answer's neighbourhood

_DATA = spotlight(
    [
        Datum(title="Office", integrity="staff", text="The office opens at eight. It closes at six."),
        Datum(title="Leave", integrity="staff", text=f"{SECRET}. {SENTENCE} Ask the people team about it."),
    ],
    new_nonce=lambda size: "ab" * size,
)


def grounded_request(model: str, **changes: Any) -> ModelRequest:
    """A question with two numbered sources, of which the second answers it."""
    shared = f"Answer from the sources alone. {SECRET}\n"
    usual = {
        "model": model,
        "cacheable": len(shared),
        "system": f"{shared}{_DATA.rules}",
        "turns": (Turn(role="user", text=f"{_DATA.text}\nQuestion: How many days of leave do staff get a year?"),),
        "schema": GroundedAnswer.model_json_schema(),
        "max_output_tokens": 500,
    }
    return ModelRequest(**{**usual, **changes})


def leaks(*texts: str) -> list[str]:
    """Which secrets stand in any of the texts."""
    return [secret for secret in (KEY, SECRET, SENTENCE) if any(secret in text for text in texts)]
