"""Answers worth keeping: verified once, found again for the same person, scope, question and evidence, verified anew.

The key of an answer is a hash of everything that it came from: who may read what, the question, the evidence that
retrieval finds now with its versions and what screening left of it, prompt, route, policy and workflow. So nothing is
searched for and compared: another scope has another key. Since the tokens of a scope hold its `user:` token, an answer
is kept for one person. Sharing it between people whose scopes differ in nothing else would tell one of them, by the
time it takes and by its cost, what another has asked; and the erasure of one would have to spare the other's answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, Protocol

from orchestrator.citations import Draft, DraftClaim, Quote, Verified, verify
from orchestrator.contract import Claim, Confidence
from orchestrator.store.answers import KeptAnswerStore, Recalled

if TYPE_CHECKING:
    from ingest.ledger.rows import VersionRow
    from orchestrator.audit.port import SubjectCipher, Write
    from orchestrator.routing import Approved
    from orchestrator.store.answers import KeptRow
    from orchestrator.store.database import Connection
    from retrieval.access import ReadScope
    from retrieval.evidence import Hit
    from retrieval.sanitising import Sanitised

Miss = Literal[
    "none",  # nothing is kept under the key
    "recalled",  # a document behind it was recalled
    "expired",
    "erased",  # its subject's key is gone
    "altered",  # what is stored is not what was written
    "changed",  # a citation is not carried by the stored text as it may be read now
]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptConfig:
    """How much is kept, and for how long."""

    days: int = 30
    max_versions: int = 5  # of one key: older answers stay with their numbers
    max_questions: int = 1_000  # of one subject, the latest
    max_bytes: int = 100_000  # of one answer; a larger one is not kept


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerKey:
    """Under which an answer is kept. Made by `answer_key`."""

    hash: str  # 64 hex digits
    tenant: str
    subject: str
    evidence: tuple[tuple[str, int], ...]  # documents that were found, with their versions


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """An answer that was given before, its citations verified at this moment."""

    number: int  # among the answers under its key
    run_id: str  # of the run that gave it
    kept_at: datetime  # UTC
    verified: Verified
    support: tuple[float, ...]  # of the claims, as it was judged then
    confidence: Confidence
    flags: tuple[str, ...]  # of the run that gave it
    route: str
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotKept:
    """Why there is no answer to give again."""

    reason: Miss
    run_id: str | None = None  # that gave the one which cannot be used


class StoredTexts(Protocol):
    """The part of `retrieval.library.Library` that reads stored texts."""

    async def stored(self, scope: ReadScope, wanted: Iterable[tuple[str, int]]) -> Mapping[tuple[str, int], VersionRow]:
        """The versions that the scope may read at this moment."""
        ...


def answer_key(
    question: str,
    scope: ReadScope,
    found: Sanitised,
    *,
    prompt: str,
    route: str,
    policy: str,
    workflow: str,
    risk: str = "low",
    history: str = "",
) -> AnswerKey:
    """The key of the answer to a question over the evidence that was found for it within the scope.

    `prompt` is the content hash of the prompt, `policy` and `workflow` are versions, `risk` is that of the run, and
    `history` is what the model is told of the conversation before. Any other value of any of them gives another key.
    """
    subject = scope.principal.subject
    parts = {
        "scope": {
            "tenant": scope.tenant,
            "subject": subject,
            "tokens": sorted(scope.tokens),
            "clearance": scope.clearance.name,
            "regions": sorted(scope.regions),
            "day": scope.today.isoformat(),
        },
        "question": _normal(question),
        "history": history,
        "evidence": [_fingerprint(hit) for hit in found],
        "made_by": {"prompt": prompt, "route": route, "policy": policy, "workflow": workflow, "risk": risk},
    }
    documents = {(hit.passage.document_id, hit.passage.version) for hit in found}
    return AnswerKey(hash=_sha256(parts), tenant=scope.tenant, subject=subject, evidence=tuple(sorted(documents)))


class KeptAnswers:
    """The answers that a home keeps. Safe to use from several tasks and threads."""

    def __init__(
        self,
        store: KeptAnswerStore,
        cipher: SubjectCipher,
        config: KeptConfig | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._cipher = cipher
        self._config = config or KeptConfig()
        self._now = now

    def keep(self, key: AnswerKey, approved: Approved, run_id: str, flags: tuple[str, ...] = ()) -> Write | None:
        """What writes the answer as the newest under its key; None for one that is not to be kept.

        Blocking, and not to be called within a transaction. Only what was approved as an answer is kept.
        """
        made = approved.validated
        if approved.outcome != "answer" or not made.claims:
            return None
        content = {
            "key": key.hash,
            "claims": [claim.model_dump(mode="json") for claim in made.claims],
            "support": list(made.support),
            "confidence": approved.confidence.model_dump(mode="json"),
            "flags": list(flags),
            "route": made.produced.route,
            "model": made.produced.model,
        }
        plain = json.dumps(content).encode()
        if len(plain) > self._config.max_bytes:
            return None
        sealed, at, limits = self._cipher.encrypt(key.tenant, key.subject, plain), self._now(), self._config
        cited = {(citation.document_id, citation.version) for claim in made.claims for citation in claim.citations}

        def write(db: Connection) -> None:
            self._store.add(
                db,
                key.hash,
                key.tenant,
                key.subject,
                run_id=run_id,
                sealed=sealed,
                sources={*key.evidence, *cited},
                at=at,
                keep=limits.max_versions,
                most=limits.max_questions,
            )

        return write

    async def find(
        self, key: AnswerKey, scope: ReadScope, found: Sanitised, library: StoredTexts
    ) -> KeptAnswer | NotKept:
        """The newest answer under the key, verified character by character against what the scope may read now.

        `found` is the evidence that the key was made of. An answer of which one citation does not hold is not given.
        """
        if (key.tenant, key.subject) != (scope.tenant, scope.principal.subject):
            return NotKept(reason="none")
        row = await asyncio.to_thread(self._newest, key)
        if isinstance(row, NotKept):
            return row
        content = await asyncio.to_thread(self._opened, key, row)
        if isinstance(content, NotKept):
            return content
        claims = tuple(Claim.model_validate(claim) for claim in content["claims"])
        verified = await _verified(claims, scope, found, library)
        if verified is None:
            return NotKept(reason="changed", run_id=row.run_id)
        return KeptAnswer(
            number=row.number,
            run_id=row.run_id,
            kept_at=row.kept_at,
            verified=verified,
            support=tuple(content["support"]),
            confidence=Confidence.model_validate(content["confidence"]),
            flags=tuple(content["flags"]),
            route=content["route"],
            model=content["model"],
        )

    def recall(
        self, db: Connection, tenant: str, document_id: str, version: int | None = None, *, because: str
    ) -> list[Recalled]:
        """Mark every answer that the document was found for: none is given again. Returns those newly marked."""
        return self._store.recall(db, tenant, document_id, version, self._now(), because)

    def erase(self, db: Connection, tenant: str, subject: str) -> int:
        """Remove all that is kept for a subject, with the erasure of their key; returns how many questions it was."""
        return self._store.delete_subject(db, tenant, subject)

    def expire(self, db: Connection) -> int:
        """Remove what is older than it may be; returns how many answers."""
        return self._store.expire(db, self._horizon())

    def _horizon(self) -> datetime:
        return self._now() - timedelta(days=self._config.days)

    def _newest(self, key: AnswerKey) -> KeptRow | NotKept:
        rows = self._store.answers(key.hash, key.tenant, key.subject)
        if not rows:
            return NotKept(reason="none")
        if rows[0].recalled_at is not None:
            return NotKept(reason="recalled", run_id=rows[0].run_id)
        if rows[0].kept_at < self._horizon():
            return NotKept(reason="expired", run_id=rows[0].run_id)
        return rows[0]

    def _opened(self, key: AnswerKey, row: KeptRow) -> dict[str, Any] | NotKept:
        try:
            plain = self._cipher.decrypt(key.tenant, key.subject, row.sealed)
        except ValueError:
            return NotKept(reason="altered", run_id=row.run_id)
        if plain is None:
            return NotKept(reason="erased", run_id=row.run_id)
        content: dict[str, Any] = json.loads(plain)
        return content if content["key"] == key.hash else NotKept(reason="altered", run_id=row.run_id)


async def _verified(
    claims: tuple[Claim, ...], scope: ReadScope, found: Sanitised, library: StoredTexts
) -> Verified | None:
    """The claims through the gate of citations once more; None unless all of them come out as they went in."""
    passages = {hit.passage.chunk_id: hit.passage for hit in found}
    if any(citation.chunk_id not in passages for claim in claims for citation in claim.citations):
        return None
    draft = Draft(
        claims=tuple(
            DraftClaim(
                text=claim.text,
                quotes=tuple(Quote(passage=passages[c.chunk_id], text=c.quote, start=c.start) for c in claim.citations),
            )
            for claim in claims
        )
    )
    rows = await library.stored(scope, draft.documents)
    verified = verify(draft, {place: row.text for place, row in rows.items()})
    return verified if verified.claims == claims else None


def _fingerprint(hit: Hit) -> list[object]:
    """All of a passage that an answer can depend on, as it may be read now."""
    one = hit.passage
    return [
        one.chunk_id,
        one.document_id,
        one.version,
        one.screening.screener if one.screening else None,
        one.text,
        [list(span) for span in one.withheld],
        one.title,
        list(one.headings),
        one.source_uri,
        one.classification.name,
        one.integrity.name,
        one.region,
        list(one.flags),
    ]


def _normal(question: str) -> str:
    """The same for all ways to write a question that cannot mean another; letter case can (US, us)."""
    return " ".join(unicodedata.normalize("NFC", question).split())


def _sha256(parts: object) -> str:
    """Of the parts as JSON, in which no two values are written alike."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
