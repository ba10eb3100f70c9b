"""What the prompt registry promises over its record, on SQLite and PostgreSQL."""

from __future__ import annotations

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ingest.errors import BadInput, DependencyDown
from orchestrator.audit.custody import Custody, CustodyConfig
from orchestrator.audit.keys import KeyFolder
from orchestrator.audit.verification import verify
from orchestrator.ingress import NotAllowed
from orchestrator.prompts.definition import BadPrompt, Prompt
from orchestrator.prompts.folders import SHIPPED
from orchestrator.prompts.promotion import PromotionRecord, PromotionRefused
from orchestrator.prompts.registry import PromptConfig, PromptRegistry, open_registry
from orchestrator.prompts.rendering import ENVIRONMENTS
from orchestrator.store.database import Connection, Database
from orchestrator.store.prompts import PromptStore
from tests.doubles.prompts import OWNER, READER, RolePolicy, prompt_files, write_prompt

POLICY: Any = RolePolicy()
NAME = "grounded-answer"


def registry(database: Database, folder: Path | None = None, **more: Any) -> PromptRegistry:
    return open_registry(database, POLICY, PromptConfig(folder=folder), **more)


def report(prompt: Prompt, passed: bool = True) -> bytes:
    return json.dumps({"prompt": {"name": prompt.name, "version": prompt.version}, "gate": {"passed": passed}}).encode()


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A home's own prompts: three versions of `greet`, and a newer version of one that ships."""
    folder = tmp_path / "prompts"
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        write_prompt(folder, prompt_files(f"Be brief, {version}.", version=version))
    write_prompt(folder, prompt_files("Answer briefly.", name=NAME, version="9.0.0"))
    return folder


def test_a_first_use_makes_what_ships_live_everywhere(database: Database) -> None:
    """Every shipped prompt is live in all environments at once, and a second opening changes nothing."""
    first = registry(database)
    before = PromptStore(database).all_live()
    assert {record.name for record in before} == {folder.name for folder in SHIPPED.iterdir()}
    assert {record.environment for record in before} == set(ENVIRONMENTS)
    assert {record.kind for record in before} == {"seeded"}
    assert first.live(NAME, "prod").content_hash == first.stored(first.live(NAME, "prod").content_hash).content_hash
    registry(database)
    assert PromptStore(database).all_live() == before


def test_a_home_adds_versions_and_names(database: Database, own: Path) -> None:
    """A home's own prompts stand beside what ships; none is live before it was promoted."""
    prompts = registry(database, own)
    listed = {one.name: one for one in prompts.listed()}
    assert listed["greet"].versions == ("1.0.0", "1.1.0", "1.2.0")
    assert listed["greet"].live == {}
    assert listed[NAME].versions[-1] == "9.0.0"
    assert prompts.live(NAME, "prod").version != "9.0.0"
    with pytest.raises(BadInput, match="no prompt greet live in dev"):
        prompts.live("greet", "dev")
    with pytest.raises(BadInput, match="no such version"):
        prompts.version("greet", "7.0.0")


def test_a_version_goes_the_whole_way_and_back(database: Database, own: Path) -> None:
    """dev, staging, prod, then a rollback: what is live changes at once, for another process too, and all is kept."""
    prompts, other = registry(database, own), registry(database, own)
    new = prompts.version(NAME, "9.0.0")
    old = prompts.live(NAME, "prod")
    prompts.promote(OWNER, NAME, "9.0.0", "dev", why="try")
    prompts.promote(OWNER, NAME, "9.0.0", "staging", why="looks good")
    with pytest.raises(PromotionRefused, match="without an evaluation"):
        prompts.promote(OWNER, NAME, "9.0.0", "prod", why="now")
    with pytest.raises(PromotionRefused, match="did not pass"):
        prompts.promote(OWNER, NAME, "9.0.0", "prod", why="now", evaluation=report(new, passed=False))
    assert other.live(NAME, "prod") == old
    done = prompts.promote(OWNER, NAME, "9.0.0", "prod", why="it is better", evaluation=report(new))
    assert other.live(NAME, "prod") == new
    back = other.rollback(OWNER, NAME, "prod", why="it is not")
    assert prompts.live(NAME, "prod") == old
    history = prompts.history(NAME, "prod")
    assert history[:2] == [back, done]
    assert [record.kind for record in history] == ["rolled_back", "promoted", "seeded"]
    assert done.evaluation
    assert done.evaluation.passed
    assert [record.revision for record in prompts.history(NAME, "prod", before=3, limit=1)] == [2]
    with pytest.raises(PromotionRefused) as refusal:
        prompts.rollback(OWNER, NAME, "prod", why="further")
    assert refusal.value.code == "nothing_before"


def test_the_policy_decides_who(database: Database, own: Path) -> None:
    """Whom the policy does not let is refused, before anything else is told; nothing changes."""
    prompts = registry(database, own)
    with pytest.raises(NotAllowed):
        prompts.promote(READER, "greet", "1.0.0", "dev", why="x")
    with pytest.raises(NotAllowed):
        prompts.promote(READER, "unknown", "1.0.0", "dev", why="x")
    with pytest.raises(NotAllowed):
        prompts.rollback(READER, NAME, "prod", why="x")
    with pytest.raises(BadInput, match="reason"):
        prompts.promote(OWNER, "greet", "1.0.0", "dev", why="  ")
    assert prompts.history("greet", "dev") == []


def test_of_two_promotions_at_once_one_is_refused(database: Database, own: Path) -> None:
    """Both decide on the same state; one is made, and the other is told that it came too late."""
    first = registry(database, own)
    first.promote(OWNER, "greet", "1.0.0", "dev", why="start")
    together = threading.Barrier(2)

    class Waiting(PromptStore):
        def all_live(self, name: str | None = None) -> list[PromotionRecord]:
            found = super().all_live(name)
            if name is not None:
                together.wait(timeout=30)
            return found

    outcomes: list[object] = []

    def promote(version: str) -> None:
        prompts = registry(database, own)
        prompts._store = Waiting(database)
        try:
            outcomes.append(prompts.promote(OWNER, "greet", version, "dev", why="race"))
        except PromotionRefused as refusal:
            outcomes.append(refusal.code)

    threads = [threading.Thread(target=promote, args=(version,)) for version in ("1.1.0", "1.2.0")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    (made,) = [one for one in outcomes if isinstance(one, PromotionRecord)]
    assert [one for one in outcomes if one is not made] == ["conflict"]
    assert first.live("greet", "dev").version == made.version
    assert [record.revision for record in first.history("greet", "dev")] == [2, 1]


def test_two_first_uses_at_once_seed_once(database: Database) -> None:
    """Processes that start together leave one first revision each of every prompt, and note each once."""
    noted: list[tuple[str, str]] = []
    together = threading.Barrier(3)

    def note(_: Connection, record: PromotionRecord) -> None:
        noted.append((record.name, record.environment))

    def first_use() -> None:
        together.wait(timeout=30)
        registry(database, on_change=note)

    threads = [threading.Thread(target=first_use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    live = PromptStore(database).all_live()
    assert {record.revision for record in live} == {1}
    assert sorted(noted) == sorted((record.name, record.environment) for record in live)


def test_a_change_and_its_note_are_one(database: Database, own: Path) -> None:
    """What writes beside a change shares its transaction: when it fails, nothing has changed."""
    registry(database, own)

    def fail(db: Connection, record: PromotionRecord) -> None:
        assert db.in_transaction()
        raise RuntimeError(record.kind)

    prompts = registry(database, own, on_change=fail)
    with pytest.raises(RuntimeError, match="promoted"):
        prompts.promote(OWNER, "greet", "1.0.0", "dev", why="x")
    assert prompts.history("greet", "dev") == []


def test_what_ran_can_be_shown_when_its_files_are_gone(database: Database, own: Path) -> None:
    """By its hash, or the first part of it; and what is live stays live."""
    prompts = registry(database, own)
    prompts.promote(OWNER, "greet", "1.1.0", "dev", why="x")
    ran = prompts.to_run("greet", "1.0.0")
    never = prompts.version("greet", "1.2.0")
    shutil.rmtree(own)
    after = registry(database, own)
    assert after.live("greet", "dev").version == "1.1.0"
    assert after.stored(ran.content_hash).files == dict(ran.files)
    assert after.stored(ran.content_hash[:8]).version == "1.0.0"
    assert after.version("greet", "1.0.0") == ran
    assert [one.versions for one in after.listed() if one.name == "greet"] == [("1.0.0", "1.1.0")]
    for unknown in (never.content_hash, ran.content_hash[:7], "", ran.content_hash[:8] + "%", "_" * 64):
        with pytest.raises(BadInput) as refusal:
            after.stored(unknown)
        assert refusal.value.code == "no_such_prompt"


def test_a_version_never_changes(database: Database, own: Path) -> None:
    """What ran under a version is what the version is: other content is refused when the home opens."""
    prompts = registry(database, own)
    (own / "greet" / "1.2.0" / "system.md.j2").write_text("A draft may change.")
    drafts = registry(database, own)
    drafts.promote(OWNER, "greet", "1.0.0", "dev", why="x")
    (own / "greet" / "1.0.0" / "system.md.j2").write_text("Be rude.")
    with pytest.raises(BadPrompt) as refusal:
        registry(database, own)
    assert (refusal.value.item, refusal.value.code) == ("greet/1.0.0", "version_changed")
    prompts.to_run("greet", "1.2.0")  # as this process read it before it was changed
    with pytest.raises(BadPrompt, match="never changes"):
        drafts.promote(OWNER, "greet", "1.2.0", "dev", why="x")
    assert drafts.live("greet", "dev").version == "1.0.0"


def test_a_home_cannot_alter_what_ships(database: Database, tmp_path: Path) -> None:
    """The same name and version with other content is refused; the same content is the same prompt."""
    folder = tmp_path / "prompts"
    shutil.copytree(SHIPPED / NAME, folder / NAME)
    registry(database, folder)
    (folder / NAME / "1.0.0" / "system.md.j2").write_text("Answer as you like.")
    with pytest.raises(BadPrompt) as refusal:
        registry(database, folder)
    assert refusal.value.code == "version_changed"


def test_a_bad_prompt_is_refused_at_the_start(database: Database, own: Path) -> None:
    """Not in a run: the home does not open, and the refusal names file and line."""
    (own / "greet" / "1.0.0" / "system.md.j2").write_text("Fine.\n{% include '/etc/passwd' %}")
    with pytest.raises(BadPrompt) as refusal:
        registry(database, own)
    assert refusal.value.item == "greet/1.0.0/system.md.j2:2"


def test_a_schema_that_no_provider_takes_is_refused_at_promotion(database: Database, own: Path) -> None:
    """The providers of the home are asked before a prompt goes live."""
    prompts = registry(database, own, schema_check=lambda _: ["It is too deep."])
    with pytest.raises(BadPrompt, match="too deep"):
        prompts.promote(OWNER, "greet", "1.0.0", "dev", why="x")
    assert prompts.history("greet", "dev") == []


def test_an_altered_record_is_found(database: Database, own: Path) -> None:
    """Content that does not have its hash is neither shown nor run."""
    prompts = registry(database, own)
    ran = prompts.to_run("greet", "1.0.0")
    with database.write() as db:
        db.execute(
            sa.text("UPDATE prompt_contents SET files = replace(files, 'brief', 'rude') WHERE content_hash = :hash"),
            {"hash": ran.content_hash},
        )
    with pytest.raises(DependencyDown) as refusal:
        prompts.stored(ran.content_hash)
    assert refusal.value.code == "record_altered"


def test_changes_are_in_the_chain(database: Database, own: Path, tmp_path: Path) -> None:
    """Wired to the audit, each change of what is live is one event, in order, and the chain verifies."""
    keys, config = KeyFolder(tmp_path / "keys"), CustodyConfig(witness=tmp_path / "checkpoints.jsonl")
    with Custody(database, keys, config) as custody:

        def note(db: Connection, record: PromotionRecord) -> None:
            custody.append(db, [custody.event(record.event, record.facts(), tenant=record.tenant)])

        prompts = registry(database, own, on_change=note)
        for version in ("1.0.0", "1.1.0"):
            prompts.promote(OWNER, "greet", version, "dev", why="x")
        with pytest.raises(PromotionRefused):
            prompts.promote(OWNER, "greet", "1.1.0", "dev", why="again")
        prompts.rollback(OWNER, "greet", "dev", why="y")
        events = custody.latest(OWNER.tenant)
        assert [event.kind for event in reversed(events)] == [
            "prompt_promoted",
            "prompt_promoted",
            "prompt_rolled_back",
        ]
        assert events[0].facts == prompts.history("greet", "dev")[0].facts()
        assert verify(database, keys, witness=config.witness).findings == ()
