"""Prompts as the API and the command line show them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from orchestrator.prompts.definition import Problem, Prompt
    from orchestrator.prompts.promotion import PromotionRecord
    from orchestrator.prompts.registry import Listed
    from orchestrator.store.prompts import StoredPrompt


def listed_json(listed: Listed) -> dict[str, Any]:
    """A prompt in a list."""
    newest = listed.newest
    return {
        "name": listed.name,
        "title": newest.title if newest else None,
        "owner": newest.owner if newest else None,
        "contract": newest.contract if newest else None,
        "versions": list(listed.versions),
        "live": {place: record.version for place, record in listed.live.items()},
    }


def prompt_json(prompt: Prompt) -> dict[str, Any]:
    """A version with its files."""
    return {
        "name": prompt.name,
        "version": prompt.version,
        "content_hash": prompt.content_hash,
        "title": prompt.title,
        "owner": prompt.owner,
        "locale": prompt.locale,
        "contract": prompt.contract,
        "model": {"max_output_tokens": prompt.settings.max_output_tokens, "effort": prompt.settings.effort},
        "variables": [variable.model_dump() | {"required": variable.required} for variable in prompt.variables],
        "changelog": [change.model_dump(mode="json") for change in prompt.changelog],
        "files": dict(prompt.files),
    }


def stored_json(stored: StoredPrompt) -> dict[str, Any]:
    """What ran under a hash."""
    return {
        "name": stored.name,
        "version": stored.version,
        "content_hash": stored.content_hash,
        "recorded_at": stored.recorded_at,
        "files": stored.files,
    }


def promotion_json(record: PromotionRecord) -> dict[str, Any]:
    """A change of what is live."""
    return dict(record.facts())


def problem_json(problem: Problem) -> dict[str, str]:
    """One thing that is wrong with a prompt."""
    return {
        "place": problem.place,
        "code": problem.code,
        "reason": problem.reason,
        "next_step": problem.next_step,
    }
