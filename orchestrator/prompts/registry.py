"""The prompt registry: which versions there are, which is live in which environment, and who may change that.

Versions come from the folders that ship with Groundwire and from a folder of the home's own; which is live is state in
the database, where everything that may run is recorded by the hash of its content. So what ran can be shown for ever,
and what is live stays live, also when its files are gone. Blocking: async code calls it from a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ingest.errors import BadInput
from orchestrator.ingress import NotAllowed
from orchestrator.prompts.checking import refuse_bad
from orchestrator.prompts.definition import Contracts, Prompt, SchemaCheck, read_prompt, version_order
from orchestrator.prompts.folders import SHIPPED, read_library
from orchestrator.prompts.promotion import (
    PromotionRecord,
    PromotionRefused,
    Wish,
    decide_promotion,
    decide_rollback,
    read_evaluation,
)
from orchestrator.prompts.rendering import ENVIRONMENTS, Environment, PromptLimits
from orchestrator.store.prompts import Also, PromptStore, StoredPrompt, changed

if TYPE_CHECKING:
    from orchestrator.policy.decisions import Action, Decision, Policy
    from orchestrator.store.database import Database
    from retrieval.access import Principal

SEEDED_BY: Final = "groundwire"  # subject of the records of a first use
MAX_WHY: Final = 2_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptConfig:
    """Where prompts come from, and what promotion takes."""

    folder: Path | None = None  # of the home's own prompts; need not exist
    evaluation_required: bool = True  # for prod
    limits: PromptLimits = field(default_factory=PromptLimits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """One prompt with its versions, the oldest first, and what is live of it."""

    name: str
    newest: Prompt | None  # None: its files are gone, the record has it
    versions: tuple[str, ...]
    live: Mapping[Environment, PromotionRecord]


class PromptRegistry:
    """The prompts of a home. Made by `open_registry`; safe to use from several threads."""

    def __init__(
        self,
        prompts: Iterable[Prompt],
        store: PromptStore,
        policy: Policy,
        contracts: Contracts,
        config: PromptConfig,
        schema_check: SchemaCheck | None = None,
        on_change: Also | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._library = {(prompt.name, prompt.version): prompt for prompt in prompts}
        self._by_hash = {prompt.content_hash: prompt for prompt in self._library.values()}
        self._store = store
        self._policy = policy
        self._contracts = contracts
        self._config = config
        self._schema_check = schema_check
        self._on_change = on_change
        self._now = now

    def live(self, name: str, environment: Environment) -> Prompt:
        """The prompt that is live now. Raises BadInput where none is."""
        record = self._store.live(name, environment)
        if record is None:
            step = f"Promote a version with `groundwire prompts promote {name} VERSION --to …`."
            raise BadInput(name, "no_such_prompt", f"There is no prompt {name} live in {environment}.", step)
        return self._of_hash(record.content_hash)

    def find(self, name: str, which: str) -> Prompt:
        """A version, to look at, by its number or by the environment in which it is live. Raises BadInput."""
        for environment in ENVIRONMENTS:
            if which == environment:
                return self.live(name, environment)
        return self.version(name, which)

    def version(self, name: str, version: str) -> Prompt:
        """A version, to look at. Raises BadInput when there is none."""
        prompt = self._library.get((name, version))
        if prompt is not None:
            return prompt
        stored = self._store.version(name, version)
        if stored is None:
            raise _unknown(f"{name}/{version}", "There is no such version of a prompt.")
        return self._of_hash(stored.content_hash)

    def to_run(self, name: str, version: str) -> Prompt:
        """A version that need not be live, to run it: what it is is recorded first. Raises as `version` does."""
        prompt = self.version(name, version)
        self._store.keep([prompt], self._now())
        return prompt

    def stored(self, content_hash: str) -> StoredPrompt:
        """What ran under a hash, or under its first 8 characters or more, for ever. Raises BadInput."""
        stored = self._store.stored(content_hash) if len(content_hash) >= 8 else None
        if stored is None:
            raise _unknown(content_hash, "No prompt, or more than one, ran under a hash that begins so.")
        return stored

    def listed(self) -> tuple[Listed, ...]:
        """All prompts, sorted by name."""
        live = self._store.all_live()
        known = {*self._library, *self._store.recorded()}
        found = []
        for name in sorted({name for name, _ in known}):
            versions = sorted((version for other, version in known if other == name), key=version_order)
            files = [self._library[name, version] for version in versions if (name, version) in self._library]
            records = {record.environment: record for record in live if record.name == name}
            here = {place: records[place] for place in ENVIRONMENTS if place in records}
            found.append(Listed(name=name, newest=files[-1] if files else None, versions=tuple(versions), live=here))
        return tuple(found)

    def history(
        self, name: str, environment: Environment, *, before: int | None = None, limit: int = 100
    ) -> list[PromotionRecord]:
        """What was live of a prompt, the newest first; `before` is the revision that the last page ended with."""
        return self._store.history(name, environment, before=before, limit=limit)

    def promote(
        self,
        principal: Principal,
        name: str,
        version: str,
        to: Environment,
        *,
        why: str,
        evaluation: bytes | None = None,
    ) -> PromotionRecord:
        """Make a version live, in force at once in every process.

        `evaluation` is a report as `read_evaluation` wants it. Raises NotAllowed, PromotionRefused (also when another
        change came first), BadPrompt when it would fail in a run, and BadInput for what cannot be used.
        """
        wish = self._wish(principal, "promote_prompt", name, to, why)
        prompt = self.version(name, version)
        refuse_bad(prompt, schema_check=self._schema_check, limits=self._config.limits)
        report = read_evaluation(evaluation, prompt) if evaluation is not None else None
        live = {record.environment: record for record in self._store.all_live(name)}
        record = decide_promotion(live, prompt, to, wish, report, evaluation_required=self._config.evaluation_required)
        self._store.add(record, prompt, self._on_change)
        return record

    def rollback(self, principal: Principal, name: str, environment: Environment, *, why: str) -> PromotionRecord:
        """Go back to the version that was live before; raises as `promote` does."""
        wish = self._wish(principal, "rollback_prompt", name, environment, why)
        here = self._store.live(name, environment)
        before = self._store.entry(name, environment, here.parent) if here and here.parent else None
        if here is None or before is None:
            cause, step = f"No version was live in {environment} before.", "Promote another version."
            raise PromotionRefused(f"{name} in {environment}", "nothing_before", cause, step)
        record = decide_rollback(here, before, wish)
        self._store.add(record, self._of_hash(before.content_hash), self._on_change)
        return record

    def seed(self) -> None:
        """Make the newest version live everywhere of each prompt that has never been live, for a first use.

        A prompt of the home's own is not seeded: it goes the way that all changes go.
        """
        seen = {record.name for record in self._store.all_live()}
        newest: dict[str, Prompt] = {}
        for prompt in sorted(self._library.values(), key=lambda prompt: prompt.order):
            newest[prompt.name] = prompt
        fresh = [prompt for name, prompt in sorted(newest.items()) if name not in seen]
        now = self._now()
        if fresh:
            records = [_first(prompt, environment, now) for prompt in fresh for environment in ENVIRONMENTS]
            self._store.seed(fresh, records, now, self._on_change)

    def _of_hash(self, content_hash: str) -> Prompt:
        prompt = self._by_hash.get(content_hash)
        if prompt is None:
            stored = self.stored(content_hash)
            limits = self._config.limits
            prompt = read_prompt(stored.files, self._contracts, where=stored.name, limits=limits)
            refuse_bad(prompt, limits=limits)
            self._by_hash[content_hash] = prompt
        return prompt

    def _wish(self, principal: Principal, action: Action, name: str, environment: Environment, why: str) -> Wish:
        decision = self._policy.may(principal, action, {"name": name, "environment": environment})
        if not decision.allowed:
            raise _not_allowed(f"{name} in {environment}", decision)
        if not why.strip() or len(why) > MAX_WHY:
            cause = f"The reason of the change is missing, or longer than {MAX_WHY} characters."
            raise BadInput("why", "bad_reason", cause, "Say in a sentence why.")
        return Wish(principal=principal, why=why.strip(), at=self._now(), decision=decision)


def open_registry(
    database: Database,
    policy: Policy,
    config: PromptConfig | None = None,
    *,
    contracts: Contracts | None = None,
    schema_check: SchemaCheck | None = None,
    on_change: Also | None = None,
) -> PromptRegistry:
    """The registry of a home, with the shipped prompts live where none was.

    `on_change` writes in the transaction of each change of what is live, as the audit does; when it raises, nothing
    changes. `schema_check` says what the home's providers cannot take of a JSON schema. Raises BadPrompt, with file and
    line, when a prompt would fail in a run, or when a version has another content than it had.
    """
    from orchestrator.egress.contracts import CONTRACTS

    config, contracts = config or PromptConfig(), contracts or CONTRACTS
    store = PromptStore(database)
    shipped = read_library(SHIPPED, contracts, config.limits)
    own = read_library(config.folder, contracts, config.limits) if config.folder else ()
    _refuse_changed([*shipped, *own], store.recorded())
    PromptRegistry(shipped, store, policy, contracts, config, on_change=on_change).seed()
    return PromptRegistry([*shipped, *own], store, policy, contracts, config, schema_check, on_change)


def _refuse_changed(prompts: Iterable[Prompt], recorded: Mapping[tuple[str, str], str]) -> None:
    """A version never changes: not against the record, and not between two folders."""
    known = dict(recorded)
    for prompt in prompts:
        if known.setdefault((prompt.name, prompt.version), prompt.content_hash) != prompt.content_hash:
            raise changed(prompt)


def _first(prompt: Prompt, environment: Environment, now: datetime) -> PromotionRecord:
    return PromotionRecord(
        kind="seeded",
        name=prompt.name,
        environment=environment,
        revision=1,
        version=prompt.version,
        content_hash=prompt.content_hash,
        from_version=None,
        from_hash=None,
        parent=None,
        tenant="",
        subject=SEEDED_BY,
        why="First use of this home: the newest version that ships with Groundwire.",
        at=now,
    )


def _unknown(item: str, cause: str) -> BadInput:
    return BadInput(item, "no_such_prompt", cause, "See `groundwire prompts list`.")


def _not_allowed(item: str, decision: Decision) -> NotAllowed:
    step = "Ask whoever owns the policies for a role that may, or ask as somebody who has one."
    return NotAllowed(item, "not_allowed", decision.reason, step)
