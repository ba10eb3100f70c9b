"""A small prompt whose parts a test may change, and a policy that is told what to say."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from orchestrator.egress.contracts import CONTRACTS
from orchestrator.policy.decisions import Action, Decision
from orchestrator.prompts.definition import Prompt, read_prompt
from retrieval.access import Principal

USER = "{{ evidence }}\n\n{{ question }}\n"


def header(**changes: Any) -> dict[str, Any]:
    """The content of prompt.yaml; a change to None leaves a field out."""
    values = {
        "name": "greet",
        "version": "1.0.0",
        "title": "Greet",
        "owner": "ann",
        "locale": "en",
        "contract": "summary",
        "model": {"max_output_tokens": 100},
        "variables": [],
        "changelog": [{"version": changes.get("version", "1.0.0"), "date": "2026-11-20", "text": "First."}],
    } | changes
    return {name: value for name, value in values.items() if value is not None}


def variable(name: str, kind: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "about": "For a test.", **more}


def prompt_files(system: str = "Be brief.", user: str = USER, **changes: Any) -> dict[str, str]:
    """Name to text of the files."""
    return {"prompt.yaml": yaml.safe_dump(header(**changes)), "system.md.j2": system, "user.md.j2": user}


def make_prompt(system: str = "Be brief.", user: str = USER, **changes: Any) -> Prompt:
    return read_prompt(prompt_files(system, user, **changes), CONTRACTS)


def write_prompt(library: Path, files: Mapping[str, str]) -> Path:
    """Put the files where they belong below a library."""
    head = yaml.safe_load(files["prompt.yaml"])
    folder = library / head["name"] / head["version"]
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    return folder


class RolePolicy:
    """Lets the holders of the role `owner` do everything; of the port, what the registry asks."""

    version = "policy-1"

    def may(self, principal: Principal, action: Action, resource: Mapping[str, str]) -> Decision:
        allowed = "owner" in principal.roles
        by = (f"owners-{resource['environment']}",) if allowed else ()
        return Decision(allowed=allowed, action=action, policies=by, version=self.version, reason="As the role says.")


OWNER = Principal(subject="ann", roles=frozenset({"owner"}))
READER = Principal(subject="rita")
