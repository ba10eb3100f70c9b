"""The one turn in which a model is told what was wrong with its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from orchestrator.gateway.port import Turn

if TYPE_CHECKING:
    from orchestrator.egress.gate import FieldError
    from orchestrator.gateway.outcomes import Produced

_MOST_ERRORS: Final = 20  # a model that made more mistakes will not mend them one by one
_REQUEST: Final = (
    "Your answer cannot be used. Write the whole answer again, in the same format, with these mistakes put right and "
    "nothing else changed:"
)


def repair_turns(produced: Produced, errors: Sequence[FieldError]) -> tuple[Turn, ...]:
    """The conversation so far and the request to mend it: prompt, output, and the errors with their places."""
    told = [f"- {error.place or 'the answer'}: {error.message}" for error in errors[:_MOST_ERRORS]]
    return (
        Turn(role="user", text=produced.prompted.user),
        Turn(role="assistant", text=produced.text.strip() or "(empty)"),
        Turn(role="user", text="\n".join([_REQUEST, *told])),
    )
