"""What somebody asked before, and what they were told, for follow-up questions and for models.

Claims are kept with the places that carry them, never with the words of documents around. They are told again only as
far as their asker may read every one of those places at that moment. Whatever is kept is encrypted under the subject's
key; a conversation is named by its subject's own id, so that another subject's is like one that was never begun.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from ingest.errors import BadInput, DependencyDown
from orchestrator.context import History
from orchestrator.selection import estimated_tokens
from orchestrator.store.conversations import ConversationKey, ConversationStore
from retrieval.sanitising import touches
from retrieval.search import Found

if TYPE_CHECKING:
    from collections.abc import Callable

    from orchestrator.audit.port import SubjectCipher, Write
    from orchestrator.contract import Answer
    from orchestrator.store.conversations import TurnRow
    from orchestrator.store.database import Connection
    from retrieval.access import ReadScope
    from retrieval.evidence import Passage
    from retrieval.sanitising import Sanitised


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationConfig:
    """How much is kept, and for how long."""

    days: int = 30  # after which a turn is forgotten
    max_turns: int = 50  # of one conversation, the latest; follow-up questions look at eight
    max_conversations: int = 200  # of one subject, the latest
    max_id_characters: int = 200
    max_question_characters: int = 500  # of one question in a summary


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place in a stored text, without its words."""

    document_id: str
    version: int
    chunk_id: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One claim of an answer with the places that carry it."""

    text: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One question with what was answered."""

    number: int  # within the conversation, counts from 1; the first ones may be gone
    said_at: datetime  # UTC
    run_id: str
    question: str  # as it was put
    asked: str  # as it was put to the documents
    claims: tuple[Said, ...]  # empty where nothing was answered


class Rereader(Protocol):
    """The part of `retrieval.search.Retriever` that reads hits of an earlier search again."""

    async def reread(self, found: Sequence[Found], scope: ReadScope) -> Sanitised:
        """The hits as far as the scope may read them at this moment, screened as of now."""
        ...


class Conversations:
    """The conversations of a home. Blocking, so to be called from a thread; safe to use from several."""

    def __init__(
        self,
        store: ConversationStore,
        cipher: SubjectCipher,
        config: ConversationConfig | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._cipher = cipher
        self._config = config or ConversationConfig()
        self._now = now

    def check(self, conversation: str) -> None:
        """Raises BadInput for an id that cannot be used."""
        if not conversation.strip() or len(conversation) > self._config.max_id_characters or "\0" in conversation:
            cause = f"The id of a conversation has 1 to {self._config.max_id_characters} characters."
            raise BadInput("conversation", "bad_conversation", cause, "Use another id, such as a UUID.")

    def turn(self, tenant: str, subject: str, conversation: str, question: str, answer: Answer) -> Write:
        """What writes the next turn, to share a transaction; not to be called within one. Raises BadInput for the id.

        `answer` is what its reader got.
        """
        self.check(conversation)
        key = ConversationKey(tenant=tenant, subject=subject, id=conversation)
        claims = [{"text": claim.text, "places": [_place(c) for c in claim.citations]} for claim in answer.claims]
        said = {"run_id": answer.run_id, "question": question, "asked": answer.asked or question, "claims": claims}
        bound = {"conversation": conversation, "turn": said}
        sealed = self._cipher.encrypt(tenant, subject, json.dumps(bound).encode())
        limits, at = self._config, self._now()

        def write(db: Connection) -> None:
            self._store.add(db, key, sealed, at, keep=limits.max_turns, most=limits.max_conversations)

        return write

    def read(self, tenant: str, subject: str, conversation: str, *, latest: int | None = None) -> tuple[Turn, ...]:
        """The turns, or the latest of them, oldest first; empty for one not known, or whose subject was erased.

        Raises DependencyDown when what is stored was altered.
        """
        key = ConversationKey(tenant=tenant, subject=subject, id=conversation)
        rows = self._store.turns(key, since=self._horizon(), latest=latest)
        turns = (self._opened(key, row) for row in rows)
        return tuple(turn for turn in turns if turn is not None)

    def listed(self, tenant: str, subject: str) -> list[tuple[str, datetime]]:
        """Ids of the subject's conversations, the latest first, with the time of their last turn."""
        return self._store.listed(tenant, subject, since=self._horizon())

    def delete(self, db: Connection, tenant: str, subject: str, conversation: str) -> bool:
        """Remove a conversation; whether there was one."""
        return self._store.delete(db, ConversationKey(tenant=tenant, subject=subject, id=conversation))

    def erase(self, db: Connection, tenant: str, subject: str) -> int:
        """Remove all that a subject said, with the erasure of their key; returns how many conversations it was."""
        return self._store.delete_subject(db, tenant, subject)

    def expire(self, db: Connection) -> int:
        """Remove what is older than it may be; returns how many turns."""
        return self._store.expire(db, self._horizon())

    def _horizon(self) -> datetime:
        return self._now() - timedelta(days=self._config.days)

    def _opened(self, key: ConversationKey, row: TurnRow) -> Turn | None:
        try:
            plain = self._cipher.decrypt(key.tenant, key.subject, row.sealed)
        except ValueError as error:
            raise _altered(key) from error
        if plain is None:
            return None
        bound = json.loads(plain)
        if bound["conversation"] != key.id:  # the row was moved
            raise _altered(key)
        return _turn(row, bound["turn"])


def earlier_questions(turns: Sequence[Turn]) -> tuple[str, ...]:
    """What the asker put, oldest first: all that a follow-up question is completed from."""
    return tuple(turn.question for turn in turns)


async def summary(
    turns: Sequence[Turn],
    scope: ReadScope,
    retriever: Rereader,
    *,
    budget_tokens: int,
    config: ConversationConfig | None = None,
) -> History | None:
    """The latest turns that fit, oldest first; None when there are none. Claims keep their citations, as [H1].

    A claim is told only when every place that carries it may be read now and is not withheld. The text is for
    `orchestrator.context.assemble`, which takes personal data out of it with the vault of the run.
    """
    config = config or ConversationConfig()
    wanted = dict.fromkeys(place.chunk_id for turn in turns for said in turn.claims for place in said.places)
    found = await retriever.reread([Found(chunk_id=chunk, score=0.0, legs={}) for chunk in wanted], scope)
    passages = {hit.passage.chunk_id: hit.passage for hit in found}
    kept: list[tuple[Turn, list[Said]]] = []
    best: History | None = None
    for turn in reversed(turns):
        told = [said for said in turn.claims if said.places and all(_readable(p, passages) for p in said.places)]
        kept.insert(0, (turn, told))
        history = _history(kept, passages, config)
        if estimated_tokens(history.text) > budget_tokens:
            break
        best = history
    return best


def _readable(place: Place, passages: dict[str, Passage]) -> bool:
    passage = passages.get(place.chunk_id)
    if passage is None or (passage.document_id, passage.version) != (place.document_id, place.version):
        return False
    inside = passage.start <= place.start < place.end <= passage.end
    return inside and not touches(passage.withheld, place.start, place.end)


def _history(
    kept: Sequence[tuple[Turn, list[Said]]], passages: dict[str, Passage], config: ConversationConfig
) -> History:
    lines: list[str] = []
    documents: dict[tuple[str, int], str] = {}
    drawn: list[Passage] = []
    for turn, told in kept:
        lines.append(f"Asked: {' '.join(turn.question.split())[: config.max_question_characters]}")
        for said in told:
            cited = [passages[place.chunk_id] for place in said.places]
            drawn += cited
            marks = [documents.setdefault((p.document_id, p.version), f"[H{len(documents) + 1}]") for p in cited]
            lines.append(f"Answered: {' '.join(said.text.split())} {' '.join(dict.fromkeys(marks))}")
    titles = {(p.document_id, p.version): " ".join(p.title.split()) for p in drawn}
    lines += [f"{mark} {titles[document]}" for document, mark in documents.items()]
    levels = [passage.classification for passage in drawn]
    regions = frozenset(passage.region for passage in drawn if passage.region)
    text = "\n".join(lines)
    return History(text=text, classification=max(levels), regions=regions) if levels else History(text=text)


def _place(citation: Any) -> dict[str, Any]:
    return {name: getattr(citation, name) for name in ("document_id", "version", "chunk_id", "start", "end")}


def _turn(row: TurnRow, said: dict[str, Any]) -> Turn:
    claims = tuple(
        Said(text=claim["text"], places=tuple(Place(**place) for place in claim["places"])) for claim in said["claims"]
    )
    return Turn(
        number=row.number,
        said_at=row.said_at,
        run_id=said["run_id"],
        question=said["question"],
        asked=said["asked"],
        claims=claims,
    )


def _altered(key: ConversationKey) -> DependencyDown:
    cause = "What is stored of it was altered."
    return DependencyDown(f"conversation {key.id}", "conversation_altered", cause, "Begin another conversation.")
