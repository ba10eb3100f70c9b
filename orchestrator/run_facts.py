"""What the events of a run say: ids, versions, counts and decisions. Contents lie beside them, encrypted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from orchestrator.interaction import KEPT_RULE
from retrieval.sanitising import Sanitised

if TYPE_CHECKING:
    from ingest.encoder import QueryEncoding
    from orchestrator.audit.port import Json
    from orchestrator.context import Context
    from orchestrator.contract import Answer
    from orchestrator.ingress import Admitted
    from orchestrator.kept_answers import KeptAnswer
    from orchestrator.prompts.rendering import Prompted
    from orchestrator.run_notes import RunNotes
    from orchestrator.weighing import Weighed


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """What was found for a question: all that comes after begins with it, a replay too."""

    question: str  # as the asker put it
    asked: str  # as it is put to the documents
    encoding: QueryEncoding
    found: Sanitised


def started_facts(admitted: Admitted, model: str, code: str, encoder: str) -> dict[str, Json]:
    """Who was let in by what. Not their name: facts are for ever, and names may have to be erased."""
    principal, decision = admitted.principal, admitted.decision
    return {
        "workflow": admitted.workflow.name,
        "workflow_version": admitted.workflow.version,
        "roles": sorted(principal.roles),
        "clearance": principal.clearance.name,
        "policies": [*decision.policies],
        "policy_version": decision.version,
        "model_wanted": model,
        "code": code,
        "encoder": encoder,
    }


def retrieved_facts(retrieved: Retrieved) -> dict[str, Json]:
    """What retrieval found, by place and score."""
    return {
        "completed": retrieved.asked != retrieved.question,
        "flags": [*retrieved.found.flags],
        "hits": [
            {
                "chunk_id": hit.passage.chunk_id,
                "document_id": hit.passage.document_id,
                "version": hit.passage.version,
                "score": round(hit.score, 6),
                "legs": {name: round(float(score), 6) for name, score in hit.legs.items()},
                "screener": hit.passage.screening.screener if hit.passage.screening else None,
                "withheld": sum(end - start for start, end in hit.passage.withheld),
            }
            for hit in retrieved.found.hits
        ],
    }


def context_facts(weighed: Weighed, context: Context) -> dict[str, Json]:
    """What a model may be shown, and what was left out."""
    return {
        "sources": [hit.passage.chunk_id for hit in context.sources],
        "left_out": [
            {
                "document_id": one.document_id,
                "version": one.version,
                "start": one.start,
                "end": one.end,
                "why": one.reason,
            }
            for one in context.left_out
        ],
        "older_editions_left_out": sorted(weighed.left_out),
        "tokens": context.tokens,
        "classification": context.classification.name,
        "regions": sorted(context.regions),
        "placeholders": len(context.vault),
        "evidence_score": weighed.judged.confidence.score,
    }


def prompted_facts(prompted: Prompted) -> dict[str, Json]:
    """Which prompt was filled in."""
    return {
        "name": prompted.name,
        "version": prompted.version,
        "environment": prompted.environment,
        "hash": prompted.content_hash,
        "locale": prompted.locale,
        "contract": prompted.contract,
    }


def finished_facts(notes: RunNotes, answer: Answer) -> dict[str, Json]:
    """How the run ended."""
    return {
        "status": answer.status,
        "flags": [*answer.flags],
        "claims": len(answer.claims),
        "citations": [
            {"document_id": c.document_id, "version": c.version, "chunk_id": c.chunk_id, "start": c.start, "end": c.end}
            for claim in answer.claims
            for c in claim.citations
        ],
        "attempts": len(notes.attempts),
        "cost_usd": str(notes.cost),
        "tokens": answer.usage.input_tokens + answer.usage.output_tokens,
        "ms": notes.timings_ms(),
    }


def kept_facts(kept: KeptAnswer) -> dict[str, Json]:
    """That an answer was given again."""
    return {
        "outcome": "answer",
        "rule": KEPT_RULE,
        "threshold": None,
        "reason": f"Run {kept.run_id} answered the same over the same evidence, and every citation of it still holds.",
        "queue": None,
        "policies": [],
    }
