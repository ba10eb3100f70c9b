"""The one turn in which a model is told what was wrong with its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.egress.gate import repair_message
from orchestrator.gateway.port import Turn

if TYPE_CHECKING:
    from orchestrator.egress.gate import FieldError
    from orchestrator.gateway.outcomes import Produced


def repair_turns(produced: Produced, errors: Sequence[FieldError]) -> tuple[Turn, ...]:
    """The conversation so far and the request to mend it: prompt, output, and the errors with their places."""
    return (
        Turn(role="user", text=produced.prompted.user),
        Turn(role="assistant", text=produced.text.strip() or "(empty)"),
        Turn(role="user", text=repair_message(errors)),
    )
