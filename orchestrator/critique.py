"""Second looks at an output: the model's own, and that of another model. What to ask and how to read it; no effects.

    statements_to_check, variables   what the prompt `critique` is filled with
    supported_share                  what its answer comes to: the signal `critique`
    agreement                        how far the claims of a second answer say the same: the signal `agreement`

The critic is shown the statements as the model wrote them, with placeholders where personal data stood: never the
validated claims, in which the values are back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from orchestrator.citations import fold
from orchestrator.support.evidence import Statement as Sentence
from orchestrator.support.score import support

if TYPE_CHECKING:
    from orchestrator.contract import Claim
    from orchestrator.egress.contracts import Critique, Statement
    from orchestrator.egress.gate import Parsed, Validated

PROMPT: Final = "critique"  # name in the prompt registry; its contract is `critique`
MOST_CLAIMS: Final = 20  # that one critique looks at: beyond, verdicts become careless and the call dear


def statements_to_check(parsed: Parsed, validated: Validated) -> tuple[Statement, ...]:
    """The statements of an output that passed egress, in the words of the model; at most `MOST_CLAIMS`.

    `parsed` is what `validated` was made from.
    """
    context = parsed.produced.prompted.context
    held = [claim.text for claim in validated.claims]
    found = (one for one in parsed.output.statements() if one.check != "frame")
    kept = [one for one in found if any(text.endswith(context.restore(one.text)[0]) for text in held)]
    return tuple(kept[:MOST_CLAIMS])


def variables(statements: Sequence[Statement]) -> dict[str, tuple[str, ...]]:
    """What the prompt is filled with: `claims`, numbered from 1 by their order, each with its quotes."""
    return {
        "claims": tuple(
            "\n".join([one.text, *(f"Source {quote.source}: “{quote.quote}”" for quote in one.quotes)])
            for one in statements
        )
    }


def supported_share(critique: Critique, claims: int) -> float | None:
    """The share of the claims 1 … `claims` that the critic holds to be supported.

    A claim without a verdict, or with two that differ, is not. None where no verdict is about any of them: then nobody
    looked.
    """
    verdicts = [one for one in critique.verdicts if one.claim <= claims]
    if not verdicts:
        return None
    supported = {one.claim for one in verdicts if one.supported} - {one.claim for one in verdicts if not one.supported}
    return len(supported) / claims


def agreement(first: Sequence[Claim], second: Sequence[Claim]) -> float:
    """How far a second answer says what the first one says, 0 to 1; 0 where either says nothing.

    For each claim of the first: how well the second's claims carry it by their words, and 0 where they have another
    number, date or name, or deny what it affirms (`orchestrator.support`). What only the second says does not count.
    """
    if not first or not second:
        return 0.0
    others = [Sentence(text=claim.text) for claim in second]
    same = {fold(claim.text)[0] for claim in second}
    return sum(1.0 if fold(claim.text)[0] in same else _carried(claim, others) for claim in first) / len(first)


def _carried(claim: Claim, others: Sequence[Sentence]) -> float:
    found = support(claim.text, others)
    return 0.0 if found.contradictions else found.score
