"""Second looks at an output where the risk asks for them: the model's own critique, and another model's answer.

A look that cannot be had (no route, no money, no time, an answer that says nothing) leaves its signal out, and the
judgement flags that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from orchestrator import critique
from orchestrator.egress.contracts import Critique
from orchestrator.egress.gate import Invalid, Parsed, Validated, read_output
from orchestrator.extractive import NAME as EXTRACTIVE
from orchestrator.gateway.outcomes import NotProduced, Produced, Purpose

if TYPE_CHECKING:
    from orchestrator.audit.port import Json
    from orchestrator.gateway.gateway import Gateway
    from orchestrator.gateway.routes import Demand
    from orchestrator.judging import OutputRule
    from orchestrator.prompts.rendering import Prompted
    from orchestrator.run_notes import RunNotes

Render = Callable[[str, Validated, tuple[str, ...]], "Prompted"]  # name of the prompt, output, its claims
Check = Callable[["RunNotes", Produced], Awaitable[Validated | Invalid]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """What second looks came to, 0 to 1; None where nobody looked."""

    critique: float | None = None
    agreement: float | None = None


class SecondLooks:
    """Takes the looks that are due. Stateless."""

    def __init__(self, gateway: Gateway, render: Render, rule: OutputRule) -> None:
        self._gateway = gateway
        self._render = render
        self._rule = rule

    async def take(self, notes: RunNotes, validated: Validated, demand: Demand, check: Check) -> Looks:
        """The looks that `demand.risk` asks for; `check` is the egress that a second answer passes too."""
        due = self._rule.due[demand.risk]
        if not validated.claims:
            return Looks()
        return Looks(
            critique=await self._critique(notes, validated, demand) if "critique" in due else None,
            agreement=await self._agreement(notes, validated, demand, check) if "agreement" in due else None,
        )

    async def _critique(self, notes: RunNotes, validated: Validated, demand: Demand) -> float | None:
        parsed = read_output(validated.produced)
        statements = critique.statements_to_check(parsed, validated) if isinstance(parsed, Parsed) else ()
        if not statements:
            return None
        prompted = self._render(critique.PROMPT, validated, critique.variables(statements)["claims"])
        own = replace(demand, route=validated.produced.route, task="critique", above_level=-1, without=frozenset())
        produced = await self._produced(notes, prompted, own, "critique")
        answer = read_output(produced) if produced else None
        if not isinstance(answer, Parsed) or not isinstance(answer.output, Critique):
            return None
        return critique.supported_share(answer.output, len(statements))

    async def _agreement(self, notes: RunNotes, validated: Validated, demand: Demand, check: Check) -> float | None:
        first = validated.produced
        another = replace(demand, route=None, above_level=-1, without=frozenset({first.route, EXTRACTIVE}))
        produced = await self._produced(notes, first.prompted, another, "second_opinion")
        second = await check(notes, produced) if produced else None
        return critique.agreement(validated.claims, second.claims) if isinstance(second, Validated) else None

    async def _produced(self, notes: RunNotes, prompted: Prompted, demand: Demand, purpose: Purpose) -> Produced | None:
        with notes.tier("model"):
            produced = await self._gateway.produce(
                prompted,
                demand,
                ends=notes.ends,
                budget=notes.budget,
                number_from=notes.next_attempt,
                purpose=purpose,
                before_send=notes.keep,
            )
            output: dict[str, Json] = {purpose: produced.text} if isinstance(produced, Produced) else {}
            notes.attempted(produced.attempts, output)
        return None if isinstance(produced, NotProduced) else produced
