"""From a question to an answer, through its tiers: ingress, context, prompt, model, egress and routing.

Each tier takes what only the one before can make, so none can be skipped. The way is the same with every model.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from ingest.errors import BadInput, GroundwireError
from orchestrator.citations import Draft, verify
from orchestrator.context import Context, ContextConfig, History, assemble
from orchestrator.contract import Answer, Claim, Conflict, PromptVersion, Route
from orchestrator.conversations import Turn, earlier_questions, summary
from orchestrator.extractive import NAME as EXTRACTIVE
from orchestrator.extractive import claim_of
from orchestrator.follow_up import stand_alone
from orchestrator.gateway.routes import Demand
from orchestrator.ingress import Admitted, NotAllowed, admit
from orchestrator.interaction import Concluded, Interaction
from orchestrator.kept_answers import AnswerKey, KeptAnswers, NotKept, answer_key
from orchestrator.prompts.rendering import Environment, Prompted, render
from orchestrator.run_facts import (
    Retrieved,
    context_facts,
    finished_facts,
    kept_facts,
    prompted_facts,
    retrieved_facts,
    started_facts,
)
from orchestrator.run_notes import KEPT, RunNotes, now
from orchestrator.runs.replay import Replay, compare, recorded_inputs
from orchestrator.store.runs import Use
from orchestrator.weighing import Weighed, weigh
from orchestrator.workflows import ASK, RISKS, Risk, Workflow
from retrieval.sanitising import REVIEW

if TYPE_CHECKING:
    from ingest.encoder import Encoder
    from orchestrator.audit.port import Json, RunLog, Write
    from orchestrator.confidence import Judge
    from orchestrator.conversations import Conversations
    from orchestrator.gateway.gateway import Gateway
    from orchestrator.personal_data.chain import DetectorChain
    from orchestrator.personal_data.presenting import Presenter
    from orchestrator.policy.decisions import Policy
    from orchestrator.prompts.definition import Prompt
    from orchestrator.prompts.registry import PromptRegistry
    from orchestrator.runs.reading import ShownRun
    from retrieval.access import ReadScope
    from retrieval.library import Library
    from retrieval.search import Retriever

LOW_INTEGRITY: Final = "low_integrity_source"  # a claim rests on text that outsiders could write
CLAIMS_DROPPED: Final = "claims_dropped"  # a quote was not found, or does not carry its claim
FOLLOW_UP: Final = "question_completed"  # `Answer.asked` is what was asked
CONFLICT: Final = "sources_disagree"  # see `Answer.conflicts`
KEPT_BACK: Final = "personal_data_kept_back"  # placeholders stand for what the reader's roles do not open
DETECTOR_FAILED: Final = "personal_data_unchecked"  # a detector failed: what it should have seen is withheld
AUTO: Final = "auto"  # in place of a route: the routing decides
DELIMITERS: Final = 30  # tokens that stand around the history of a conversation
CODE: Final = version("groundwire")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the asker wants besides an answer."""

    model: str  # route, or AUTO
    judge: Judge
    conversation: str | None = None  # id of one that is kept
    risk: Risk = ASK.risk  # how much care is asked for; never less than the workflow's
    prompt_version: str | None = None  # in place of the live one
    again: bool = False  # a replay: nothing kept is given


@dataclass(frozen=True, slots=True, kw_only=True)
class AskConfig:
    """What holds for every question of an installation."""

    k: int = 10  # passages that an answer may draw on
    environment: Environment = "prod"  # of the prompt registry
    model: str = AUTO  # the route where the asker names none
    turns: int = 8  # of a conversation, the latest, that a question may rest on


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an Asker is put together from."""

    retriever: Retriever
    library: Library
    encoder: Encoder
    presenter: Presenter
    judge: Judge
    policy: Policy
    prompts: PromptRegistry
    gateway: Gateway
    interaction: Interaction
    conversations: Conversations
    kept: KeptAnswers
    open_notes: Callable[[Admitted], RunNotes]
    open_log: Callable[[str, str, str], RunLog]  # run id, tenant, subject
    open_chain: Callable[[], DetectorChain]


class Asker:
    """Answers questions. Stateless: nothing of one asker is there for the next."""

    def __init__(self, parts: Parts, config: AskConfig | None = None) -> None:
        self._parts = parts
        self._config = config or AskConfig()

    async def ask(
        self,
        question: str,
        scope: ReadScope,
        *,
        earlier: Sequence[str] = (),
        model: str | None = None,
        conversation: str | None = None,
        risk: Risk | None = None,
        judge: Judge | None = None,
    ) -> Answer:
        """Answer from what the scope may read, or abstain. Raises BadInput for a question that cannot be asked.

        `earlier` are the asker's own questions before this one, oldest first: a follow-up question takes its topic
        from them, and from those of `conversation`, the id of one that is kept. `model` is the route that is to
        answer, and no other; `risk` asks for more care than the workflow does by itself. `judge` decides in place of
        that of the installation. Raises NotAllowed, an error of bad input, where the policy says no.
        """
        self._parts.retriever.check(question)
        wish = Wish(
            model=self._route(model), judge=judge or self._parts.judge, conversation=conversation, risk=risk or ASK.risk
        )
        notes = await self._begin(scope, wish, question, earlier)
        async with _recorded(notes):
            turns = await self._turns(scope, conversation)
            retrieved = await self._retrieve(notes, question, [*earlier_questions(turns), *earlier])
            history = await self._history(notes, turns, wish)
            return await self._answer(notes, retrieved, wish, history)

    async def replay(
        self, shown: ShownRun, scope: ReadScope, *, model: str | None = None, prompt_version: str | None = None
    ) -> Replay:
        """Answer again from what a run found, with its model or another one, and compare.

        Doing it again is a run of its own, with what the scope may read of that at this moment. Raises BadInput for a
        run whose contents were erased or may not be read, or that never got to an answer.
        """
        recorded = recorded_inputs(shown)
        route = self._route(model or recorded.model)
        wish = Wish(model=route, judge=self._parts.judge, prompt_version=prompt_version, again=True)
        notes = await self._begin(scope, wish, recorded.question, recorded.earlier)
        async with _recorded(notes):
            with notes.tier("encode"):
                encoding = await asyncio.to_thread(self._parts.encoder.encode_query, recorded.asked)
            with notes.tier("retrieve"):
                found = await self._parts.retriever.reread(recorded.found, scope)
            retrieved = Retrieved(question=recorded.question, asked=recorded.asked, encoding=encoding, found=found)
            answer = await self._answer(notes, retrieved, wish, None)
        there = {hit.passage.chunk_id for hit in found}
        return Replay(
            run_id=shown.row.run_id,
            replay_id=answer.run_id,
            unread=tuple(one.chunk_id for one in recorded.found if one.chunk_id not in there),
            differences=compare(recorded.answer, answer.model_dump(mode="json")),
        )

    def _route(self, model: str | None) -> str:
        route = model or self._config.model
        if route != AUTO and not self._parts.gateway.known(route):
            step = "Name one of the routes file, or `auto`."
            raise BadInput(route, "unknown_model", "There is no such model route.", step)
        return route

    async def _begin(self, scope: ReadScope, wish: Wish, question: str, earlier: Sequence[str]) -> RunNotes:
        """Ingress: let the run begin, or record that it may not."""
        try:
            admitted = admit(scope.principal, scope, ASK, self._parts.policy)
        except NotAllowed as error:
            principal = scope.principal
            log = self._parts.open_log(error.run_id, principal.tenant, principal.subject)
            log.add("refused", {"workflow": ASK.name, "reason": error.cause, "policy": self._parts.policy.version})
            await log.flush()
            raise
        notes = self._parts.open_notes(admitted)
        facts = started_facts(admitted, wish.model, CODE, self._parts.encoder.id)
        notes.note("run_started", facts, {"question": question, "earlier": [*earlier]})
        return notes

    async def _turns(self, scope: ReadScope, conversation: str | None) -> tuple[Turn, ...]:
        if conversation is None:
            return ()
        self._parts.conversations.check(conversation)
        subject = scope.principal.subject
        read, latest = self._parts.conversations.read, self._config.turns
        return await asyncio.to_thread(read, scope.tenant, subject, conversation, latest=latest)

    async def _history(self, notes: RunNotes, turns: Sequence[Turn], wish: Wish) -> History | None:
        """What a model outside is told of the conversation; the one within this process only quotes."""
        if not turns or self._stays_here(wish):
            return None
        places = {(place.document_id, place.version) for turn in turns for said in turn.claims for place in said.places}
        notes.used(*(Use(kind="document", id=name, version=str(number)) for name, number in sorted(places)))
        budget = int(notes.admitted.workflow.evidence_tokens * ContextConfig().history_share) - DELIMITERS
        return await summary(turns, notes.admitted.scope, self._parts.retriever, budget_tokens=budget)

    def _stays_here(self, wish: Wish) -> bool:
        return self._parts.gateway.stays_here(None if wish.model == AUTO else wish.model)

    async def _retrieve(self, notes: RunNotes, question: str, earlier: Sequence[str]) -> Retrieved:
        asked = stand_alone(question, earlier).text
        with notes.tier("encode"):
            encoding = await asyncio.to_thread(self._parts.encoder.encode_query, asked)
        with notes.tier("retrieve"):
            scope = notes.admitted.scope
            found = await self._parts.retriever.search(asked, scope, k=self._config.k, encoding=encoding)
        return Retrieved(question=question, asked=asked, encoding=encoding, found=found)

    async def _answer(self, notes: RunNotes, retrieved: Retrieved, wish: Wish, history: History | None) -> Answer:
        """The tiers after retrieval."""
        notes.note("retrieved", retrieved_facts(retrieved), {"asked": retrieved.asked})
        weighed, context = await asyncio.to_thread(self._context, notes, retrieved, wish, history)
        notes.note("context_assembled", context_facts(weighed, context))
        notes.flag(*context.flags)
        with notes.tier("prompt"):
            prompted = render(self._prompt(notes.admitted.workflow, wish), self._config.environment, context)
        notes.note("prompted", prompted_facts(prompted), _sent(prompted))
        wanted = None if wish.model == AUTO else wish.model
        notes.demand = _demand(notes.admitted, context, EXTRACTIVE if context.question.withheld else wanted, wish.risk)
        notes.ends = self._parts.gateway.until(notes.admitted.workflow.deadline_s)
        key = None if wish.again or not context.redacted else self._key(notes, retrieved, wish, prompted)
        concluded = await self._kept(notes, key, retrieved) or await self._parts.interaction.conclude(
            notes, prompted, weighed, judge=wish.judge, withheld=REVIEW in retrieved.found.flags
        )
        with notes.tier("routing"):
            answer = self._presented(await self._made(notes, retrieved, weighed, concluded), notes)
        with notes.tier("record"):
            await self._finish(notes, retrieved, weighed, context, concluded, answer, wish, key)
        return answer.model_copy(update={"timings_ms": notes.timings_ms()})

    def _context(
        self, notes: RunNotes, retrieved: Retrieved, wish: Wish, history: History | None
    ) -> tuple[Weighed, Context]:
        """Where only the model within this process may be asked, personal data stays as it is: nothing leaves."""
        readable, today = retrieved.found.readable, notes.admitted.scope.today
        with notes.tier("weigh"):
            weighed = weigh(retrieved.asked, retrieved.encoding, readable, today, wish.judge)
        with notes.tier("context"):
            context = assemble(
                retrieved.asked,
                retrieved.found,
                weighed.pool,
                budget_tokens=notes.admitted.workflow.evidence_tokens,
                open_chain=self._parts.open_chain,
                redact_types=() if self._stays_here(wish) else None,
                history=history,
            )
        return weighed, context

    def _prompt(self, workflow: Workflow, wish: Wish) -> Prompt:
        if wish.prompt_version is not None:
            return self._parts.prompts.to_run(workflow.prompt, wish.prompt_version)
        return self._parts.prompts.live(workflow.prompt, self._config.environment)

    def _key(self, notes: RunNotes, retrieved: Retrieved, wish: Wish, prompted: Prompted) -> AnswerKey:
        history = prompted.context.history
        return answer_key(
            retrieved.asked,
            notes.admitted.scope,
            retrieved.found,
            prompt=prompted.content_hash,
            route=wish.model,
            policy=notes.admitted.decision.version,
            workflow=notes.admitted.workflow.version,
            risk=wish.risk,
            history=history.text if history else "",
        )

    async def _kept(self, notes: RunNotes, key: AnswerKey | None, retrieved: Retrieved) -> Concluded | None:
        """The answer that was given to the same before, when every citation of it still holds."""
        if key is None:
            return None
        with notes.tier("kept"):
            found = await self._parts.kept.find(key, notes.admitted.scope, retrieved.found, self._parts.library)
        if isinstance(found, NotKept):
            return None
        notes.flag(*found.flags, KEPT)
        notes.note("routed", kept_facts(found))
        return Concluded(status="answered", model=found.route, routed=Route(decision="answer"), kept=found)

    async def _made(self, notes: RunNotes, retrieved: Retrieved, weighed: Weighed, concluded: Concluded) -> Answer:
        """The answer as it stands, before it is made fit for its reader."""
        claims = concluded.claims
        conflicts = await self._conflicts(notes.admitted.scope, weighed, claims)
        prompt = concluded.prompt
        return Answer(
            run_id=notes.admitted.run_id,
            status=concluded.status,
            answer="",
            claims=claims,
            conflicts=conflicts,
            asked=retrieved.asked if retrieved.asked != retrieved.question else None,
            confidence=concluded.confidence or weighed.judged.confidence,
            flags=tuple(_flags(retrieved, weighed, claims, conflicts, concluded, notes)),
            model=concluded.model,
            prompt=PromptVersion(name=prompt.name, version=prompt.version) if prompt else None,
            usage=notes.usage,
            route=concluded.routed,
            timings_ms=notes.timings_ms(),
        )

    async def _conflicts(self, scope: ReadScope, weighed: Weighed, claims: Sequence[Claim]) -> tuple[Conflict, ...]:
        """What other sources say otherwise, as far as it can be quoted at this moment."""
        contrary = weighed.disagreements(claims)
        if not contrary:
            return ()
        drafts = [Draft(claims=(claim_of(one.other),)) for one in contrary]
        wanted = {place for draft in drafts for place in draft.documents}
        stored = {place: row.text for place, row in (await self._parts.library.stored(scope, wanted)).items()}
        found: list[Conflict] = []
        for one, draft in zip(contrary, drafts, strict=True):
            number = _quoting(claims, one.chosen.passage.document_id, one.chosen.start, one.chosen.end)
            others = verify(draft, stored).claims
            if others:
                found.append(Conflict(claim=number, kind=one.kind, text=others[0].text, citations=others[0].citations))
        return tuple(found)

    def _presented(self, answer: Answer, notes: RunNotes) -> Answer:
        """The answer with what its reader may see of personal data."""
        others = [Claim(text=conflict.text, citations=conflict.citations) for conflict in answer.conflicts]
        shown = self._parts.presenter.present([*answer.claims, *others], notes.admitted.principal.roles)
        claims, contrary = shown.claims[: len(answer.claims)], shown.claims[len(answer.claims) :]
        flags = [*answer.flags]
        flags += [KEPT_BACK] if shown.kept_back else []
        flags += [DETECTOR_FAILED] if shown.failed else []
        return answer.model_copy(
            update={
                "answer": " ".join(claim.text for claim in claims),
                "claims": claims,
                "conflicts": tuple(
                    one.model_copy(update={"text": other.text, "citations": other.citations})
                    for one, other in zip(answer.conflicts, contrary, strict=True)
                ),
                "flags": tuple(flags),
            }
        )

    async def _finish(
        self,
        notes: RunNotes,
        retrieved: Retrieved,
        weighed: Weighed,
        context: Context,
        concluded: Concluded,
        answer: Answer,
        wish: Wish,
        key: AnswerKey | None,
    ) -> None:
        """All of it is on disk before the answer is given out."""
        notes.used(*_uses(notes, weighed, answer, self._parts.encoder.id))
        said = answer.model_dump(mode="json", exclude={"timings_ms"})
        notes.note("run_finished", finished_facts(notes, answer), {"answer": said})
        row = replace(
            notes.row,
            status=answer.status,
            rule=concluded.rule,
            route=answer.model,
            finished_at=now(),
            classification=context.classification.name,
            flags=answer.flags,
        )
        writes: list[Write] = []
        if wish.conversation is not None or key is not None:
            writes = await asyncio.to_thread(self._also, notes, retrieved, concluded, answer, wish, key)
        await notes.finish(row, *writes)

    def _also(
        self,
        notes: RunNotes,
        retrieved: Retrieved,
        concluded: Concluded,
        answer: Answer,
        wish: Wish,
        key: AnswerKey | None,
    ) -> list[Write]:
        """What else is written with the end of the run: the turn of a conversation, an answer worth keeping."""
        writes: list[Write] = []
        principal = notes.admitted.principal
        if wish.conversation is not None:
            turn = self._parts.conversations.turn(
                principal.tenant, principal.subject, wish.conversation, retrieved.question, answer
            )
            writes.append(turn)
        if key is not None and concluded.approved is not None and concluded.model != EXTRACTIVE:
            kept = self._parts.kept.keep(key, concluded.approved, notes.admitted.run_id, tuple(notes.flags))
            writes += [kept] if kept else []
        return writes


@asynccontextmanager
async def _recorded(notes: RunNotes) -> AsyncIterator[None]:
    """What goes wrong in the block is on record too: a run never ends without an outcome."""
    try:
        with notes.tracing.run(notes.admitted.run_id, notes.admitted.workflow.name) as notes.span:
            yield
    except BaseException as error:
        await asyncio.shield(_failed(notes, error))
        raise


def _uses(notes: RunNotes, weighed: Weighed, answer: Answer, encoder: str) -> list[Use]:
    cited = {(c.document_id, c.version) for claim in answer.claims for c in claim.citations}
    places = [(hit.passage.document_id, hit.passage.version) for hit in weighed.hits]
    uses = [Use(kind="document", id=name, version=str(n), cited=(name, n) in cited) for name, n in places]
    uses += [
        Use(kind="policy", id="policies", version=notes.admitted.decision.version),
        Use(kind="code", id="groundwire", version=CODE),
        Use(kind="encoder", id="encoder", version=encoder),
    ]
    if answer.prompt is not None:
        uses.append(Use(kind="prompt", id=answer.prompt.name, version=answer.prompt.version))
    return uses


def _sent(prompted: Prompted) -> dict[str, Json]:
    """The prompt as it may be sent. One that stays in this process is not: its evidence is on record by place."""
    return {"system": prompted.system, "user": prompted.user} if prompted.context.redacted else {}


def _demand(admitted: Admitted, context: Context, route: str | None, risk: Risk) -> Demand:
    return Demand(
        run_id=admitted.run_id,
        tenant=admitted.principal.tenant,
        workflow=admitted.workflow.name,
        task=admitted.workflow.task,
        risk=max(risk, admitted.workflow.risk, key=RISKS.index),
        classification=context.classification,
        regions=context.regions,
        needs=frozenset({"structured_output"}),
        route=route,
    )


def _quoting(claims: Sequence[Claim], document: str, start: int, end: int) -> int:
    """Number of the first claim that quotes something of these characters."""
    for number, claim in enumerate(claims):
        if any(c.document_id == document and c.start < end and start < c.end for c in claim.citations):
            return number
    raise LookupError("no claim quotes this place")


def _flags(
    retrieved: Retrieved,
    weighed: Weighed,
    claims: Sequence[Claim],
    conflicts: Sequence[Conflict],
    concluded: Concluded,
    notes: RunNotes,
) -> Sequence[str]:
    """What a reader should know, from the evidence on to the way that the answer took."""
    flags = [*retrieved.found.flags]
    if claims:
        edition = weighed.flag(claims)
        flags += [edition] if edition else []
        flags += [CONFLICT] if conflicts else []
        cited = [citation for claim in claims for citation in claim.citations]
        flags += [LOW_INTEGRITY] if any(citation.integrity == "external" for citation in cited) else []
    flags += [*notes.flags]
    flags += [CLAIMS_DROPPED] if concluded.dropped else []
    flags += [FOLLOW_UP] if retrieved.asked != retrieved.question else []
    return list(dict.fromkeys(flags))


async def _failed(notes: RunNotes, error: BaseException) -> None:
    """The run ended without an outcome that anybody chose: that is on record as well."""
    code = error.code if isinstance(error, GroundwireError) else type(error).__name__
    notes.note("run_finished", {"status": "failed", "error": code, "attempts": len(notes.attempts)})
    try:
        await notes.finish(replace(notes.row, status="failed", finished_at=now()))
    except GroundwireError:
        return  # the record's own failure must not hide what went wrong before it
