"""Runs as the API and the command line show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.runs.lineage import Recalled
    from orchestrator.runs.reading import ShownRun
    from orchestrator.runs.replay import Replay
    from orchestrator.store.runs import RunRow
    from orchestrator.store.usage import CostPerGood


def row_json(row: RunRow) -> dict[str, Any]:
    """A run as the command line and the API show it."""
    return {
        "run_id": row.run_id,
        "subject": row.subject,
        "workflow": row.workflow,
        "status": row.status,
        "rule": row.rule,
        "model": row.route,
        "started_at": row.started_at.isoformat(),
        "finished_at": row.finished_at.isoformat() if row.finished_at else None,
        "cost_usd": float(row.cost_usd),
        "flags": list(row.flags),
        "recalled": row.recalled_because,
    }


def run_json(shown: ShownRun) -> dict[str, Any]:
    """A run with its story."""
    return {
        **row_json(shown.row),
        "used": [{"kind": use.kind, "id": use.id, "version": use.version, "cited": use.cited} for use in shown.uses],
        "story": [{"at": line.at, "tier": line.tier, "text": line.text} for line in shown.story],
        "events": [
            {"seq": event.seq, "step": event.step, "kind": event.kind, "at": event.at, "hash": event.hash.hex()}
            for event in shown.events
        ],
    }


def recalled_json(found: Recalled) -> dict[str, Any]:
    """What a recall did."""
    return {
        "runs": [row_json(row) for row in found.runs],
        "kept_answers": found.kept_answers,
        "sent_onward": [
            {"run_id": one.run_id, "receiver": one.receiver, "at": one.at.isoformat()} for one in found.onward
        ],
    }


def replay_json(done: Replay) -> dict[str, Any]:
    """What differs."""
    return {
        "run_id": done.run_id,
        "replay_id": done.replay_id,
        "same": done.same,
        "unread": list(done.unread),
        "differences": [{"aspect": one.aspect, "before": one.before, "after": one.after} for one in done.differences],
    }


def cost_json(one: CostPerGood) -> dict[str, Any]:
    """What good outputs cost, in US dollars."""
    return {
        "workflow": one.workflow,
        "model": one.route,
        "attempts": one.attempts,
        "good": one.good,
        "cost_usd": float(one.cost),
        "per_good_usd": float(one.per_good) if one.per_good is not None else None,
    }
