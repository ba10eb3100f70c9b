"""The tests that stand beside the policies: who asks for what, and which policy must say what about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.policy import facts
from orchestrator.policy.decisions import Action, DataFacts, Decision, RouteFacts
from orchestrator.policy.files import CASES, MAX_FILE_BYTES
from retrieval.access import Principal

if TYPE_CHECKING:
    from orchestrator.policy.engine import CedarPolicy

Class = Annotated[Classification, BeforeValidator(Classification.parse)]


class _Given(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Person(_Given):
    subject: str = "somebody"
    tenant: str = "default"
    roles: frozenset[str] = frozenset()
    clearance: Class = Classification.public
    regions: frozenset[str] = frozenset()

    def entity(self) -> facts.Entity:
        return facts.person(Principal(**self.model_dump()))


class _Workflow(_Given):
    name: str
    risk: Literal["low", "medium", "high"] = "low"

    def entity(self) -> facts.Entity:
        return facts.workflow(self.name, self.risk)


class _ModelRoute(_Given):
    name: str = "some-route"
    provider: str = "some-provider"
    model: str = "some-model"
    region: str = "local"
    in_process: bool = False
    retains_data: bool

    def entity(self) -> facts.Entity:
        return facts.model_route(RouteFacts(**self.model_dump()))


class _Data(_Given):
    classification: Class
    regions: frozenset[str] = frozenset()
    personal_data: frozenset[str] = frozenset()


class _Tool(_Given):
    name: str

    def entity(self) -> facts.Entity:
        return facts.tool(self.name)


class _Result(_Given):
    workflow: str = "some-workflow"
    risk: Literal["low", "medium", "high"] = "low"
    acts: bool
    classification: str = "internal"
    lowest_integrity: str = "internal"
    cost_cents: int = 0

    def entity(self) -> facts.Entity:
        known = self.model_dump(exclude={"workflow", "risk"})
        return facts.result(facts.workflow(self.workflow, self.risk), self.risk, known)


class _Record(_Given):
    tenant: str = "default"
    subject: str = "somebody-else"

    def entity(self) -> facts.Entity:
        return facts.record(self.tenant, self.subject)


class _Prompt(_Given):
    name: str = "some-prompt"
    environment: Literal["dev", "staging", "prod"]

    def entity(self) -> facts.Entity:
        return facts.prompt(self.name, self.environment)


_Thing = _Person | _Workflow | _ModelRoute | _Tool | _Result | _Record | _Prompt
# Of each action: who asks, and for what.
_KINDS: Final[Mapping[Action, tuple[type[_Thing], type[_Thing]]]] = {
    "start": (_Person, _Workflow),
    "route_model": (_Workflow, _ModelRoute),
    "call_tool": (_Person, _Tool),
    "go_on": (_Workflow, _Result),
    "approve": (_Person, _Result),
    "see_run": (_Person, _Record),
    "see_audit": (_Person, _Record),
    "recall": (_Person, _Record),
    "erase": (_Person, _Record),
    "promote_prompt": (_Person, _Prompt),
    "rollback_prompt": (_Person, _Prompt),
}


class Case(_Given):
    """One test, as `tests.yaml` has it."""

    name: str = Field(min_length=1)
    principal: Mapping[str, object] = {}
    action: Action
    resource: Mapping[str, object] = {}
    context: Mapping[str, object] = {}
    expect: Literal["allow", "deny"]
    by: str | None = None  # id of a policy that must be among those that decide; none: a deny for lack of a permit


class _Cases(_Given):
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a test came to."""

    case: Case
    decision: Decision

    @property
    def passed(self) -> bool:
        """Whether the policies say what was expected, by the policy that was expected, without an error."""
        by = self.decision.policies
        named = self.case.by in by if self.case.by else not by
        return not self.decision.errors and named and self.decision.allowed == (self.case.expect == "allow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What the tests of a policy set came to."""

    outcomes: tuple[Outcome, ...]
    untested: tuple[str, ...]  # ids of policies that decided in no test that passed, sorted

    @property
    def passed(self) -> bool:
        """Whether no test failed."""
        return all(one.passed for one in self.outcomes)


def check(policy: CedarPolicy, cases: tuple[Case, ...]) -> Report:
    """Put every case to the policies. Raises BadInput for one that cannot be put."""
    place = policy.files.folder / CASES
    outcomes = tuple(Outcome(case=case, decision=policy.decide(_request(place, case))) for case in cases)
    exercised = {by for one in outcomes if one.passed for by in one.decision.policies}
    return Report(outcomes=outcomes, untested=tuple(sorted({rule.id for rule in policy.rules} - exercised)))


def read_cases(folder: Path) -> tuple[Case, ...]:
    """The tests of the set in a folder; none where there is no `tests.yaml`. Raises BadInput with the place."""
    path = folder / CASES
    if not path.exists():
        return ()
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise BadInput(str(path), "file_too_large", f"It is larger than {MAX_FILE_BYTES} bytes.", "Split the set.")
        return _Cases.model_validate(yaml.safe_load(path.read_text("utf-8"))).cases
    except (yaml.YAMLError, RecursionError) as error:
        line = getattr(getattr(error, "problem_mark", None), "line", 0) + 1
        raise BadInput(f"{path}:{line}", "bad_policy_test", "The file is no YAML.", "Correct the line.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(str(path), "bad_policy_test", "The file cannot be read.", "Make it readable.") from error
    except ValidationError as error:
        raise _bad_case(path, "the tests", error) from error


Kind = TypeVar("Kind", bound=_Given)


def _request(place: Path, case: Case) -> facts.Request:
    principal, resource = _KINDS[case.action]
    try:
        return facts.Request(
            action=case.action,
            principal=principal.model_validate(case.principal).entity(),
            resource=resource.model_validate(case.resource).entity(),
            context=_context(case),
        )
    except ValidationError as error:
        raise _bad_case(place, f"the test `{case.name}`", error) from error
    except ValueError as error:
        cause = f"In the test `{case.name}`: {error}."
        raise BadInput(str(place), "bad_policy_test", cause, "Correct the test.") from error


def _context(case: Case) -> tuple[tuple[str, facts.Value], ...]:
    if case.action == "route_model":
        return facts.data(DataFacts(**_Data.model_validate(case.context).model_dump()))
    if case.action == "call_tool":
        return (("workflow", _Workflow.model_validate(case.context.get("workflow")).entity()),)
    if case.context:
        raise ValueError(f"{case.action} has no context")
    return ()


def _bad_case(place: Path, what: str, error: ValidationError) -> BadInput:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the top"
    cause = f"In {what}, at {where}: {first['msg']}."
    return BadInput(str(place), "bad_policy_test", cause, "Correct the test.")
