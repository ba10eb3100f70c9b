"""Decides by Cedar policies. What is not permitted is denied, and so is whatever met an error.

Cedar skips a policy that fails while it decides, a `forbid` too, so any error denies. Decisions are kept by the value
of their question, which is sound because policies know neither a clock nor what came before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import cedarpy

from ingest.errors import BadInput
from ingest.tags import Classification
from orchestrator.policy import facts
from orchestrator.policy.decisions import Action, Approval, DataFacts, Decision, RetentionRule, RouteFacts
from orchestrator.policy.files import SHIPPED, PolicyFiles, Statement, read_files, statements
from orchestrator.policy.retention import Retention, read_retention
from retrieval.access import Principal

if TYPE_CHECKING:
    from orchestrator.workflows import Risk, Workflow

ANNOTATIONS: Final = ("id", "owner", "description")
LONGEST_ERROR: Final = 300  # characters; Cedar repeats all that it was given


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """Which policies count."""

    folder: Path | None = None  # with the whole set; None: the shipped one
    cached_decisions: int = 4_096  # about 4 MB


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """One policy as people read it."""

    id: str
    owner: str
    description: str
    effect: str  # permit or forbid
    actions: tuple[str, ...]  # that it speaks of; empty: all
    file: str
    line: int


class CedarPolicy:
    """A policy set in force, as `orchestrator.policy.decisions.Policy`. Safe to use from several threads."""

    def __init__(
        self,
        files: PolicyFiles,
        rules: Sequence[PolicyRule],
        retention: Mapping[Classification, Retention],
        parsed: tuple[cedarpy.PolicySet, cedarpy.Schema],
        cached_decisions: int,
    ) -> None:
        self.files = files
        self.rules = tuple(rules)
        self.retentions = retention
        self._descriptions = {rule.id: rule.description for rule in rules}
        self._roles = sorted(set(_ROLE.findall("\n".join(files.policies.values()))))
        self._policies, self._schema = parsed
        self.decide = lru_cache(maxsize=cached_decisions)(self._decide)

    @property
    def version(self) -> str:
        """Hash of the policy set in force."""
        return self.files.version

    def may_start(self, principal: Principal, workflow: Workflow) -> Decision:
        """Whether the principal may start the workflow."""
        resource = facts.workflow(workflow.name, workflow.risk)
        return self.decide(facts.Request(action="start", principal=facts.person(principal), resource=resource))

    def may_route(self, workflow: Workflow, route: RouteFacts, data: DataFacts) -> Decision:
        """Whether data like this may go to the route."""
        asker = facts.workflow(workflow.name, workflow.risk)
        resource, context = facts.model_route(route), facts.data(data)
        return self.decide(facts.Request(action="route_model", principal=asker, resource=resource, context=context))

    def may_call(self, principal: Principal, workflow: Workflow, tool: str) -> Decision:
        """Whether the principal's run of the workflow may call the tool."""
        context = (("workflow", facts.workflow(workflow.name, workflow.risk)),)
        person, resource = facts.person(principal), facts.tool(tool)
        return self.decide(facts.Request(action="call_tool", principal=person, resource=resource, context=context))

    def may(self, principal: Principal, action: Action, resource: Mapping[str, str]) -> Decision:
        """Whether the principal may do something with a prompt, a run or a person's data; see the port."""
        try:
            thing = _thing(action, resource)
        except (KeyError, ValueError) as error:
            what = f"it lacks {error}" if isinstance(error, KeyError) else str(error)
            return self._failed(action, f"the resource of {action} cannot be read: {what}")
        return self.decide(facts.Request(action=action, principal=facts.person(principal), resource=thing))

    def approval(self, workflow: Workflow, risk: Risk, facts_: Mapping[str, bool | int | str]) -> Approval:
        """Whether a person must see the result first, and in which roles; see the port."""
        asker = facts.workflow(workflow.name, workflow.risk)
        try:
            result = facts.result(asker, risk, facts_)
        except ValueError as error:
            return Approval(needed=True, decision=self._failed("go_on", str(error)))
        decision = self.decide(facts.Request(action="go_on", principal=asker, resource=result))
        needed = not decision.allowed
        return Approval(needed=needed, roles=self._approvers(result) if needed else frozenset(), decision=decision)

    def retention(self, classification: Classification) -> RetentionRule:
        """How long the artefacts of a run over data of this class are kept."""
        rule = self.retentions[classification]
        return RetentionRule(days=rule.days, policy=rule.id, keeps=rule.keeps)

    def _approvers(self, result: facts.Entity) -> frozenset[str]:
        """The roles of which the policies speak, each of which alone may decide about the result."""
        found = []
        for role in self._roles:
            holder = Principal(subject="", tenant="", roles=frozenset({role}), clearance=Classification.regulated)
            request = facts.Request(action="approve", principal=facts.person(holder), resource=result)
            found += [role] if self.decide(request).allowed else []
        return frozenset(found)

    def _decide(self, request: facts.Request) -> Decision:
        entities = json.dumps(request.entities())
        try:
            answer = cedarpy.is_authorized(request.as_json(), self._policies, entities, self._schema)
        except ValueError as error:  # a name that is no Unicode text
            return self._failed(request.action, f"the question cannot be put: {type(error).__name__}")
        if answer.diagnostics.errors:
            return self._failed(request.action, *answer.diagnostics.errors)
        by = tuple(sorted(answer.diagnostics.id_annotations_by_reason.values()))
        return Decision(
            allowed=answer.allowed,
            action=request.action,
            policies=by,
            version=self.version,
            reason=self._reason(request, answer.allowed, by),
        )

    def _reason(self, request: facts.Request, allowed: bool, by: Sequence[str]) -> str:
        if not by:
            what = f"{request.action} of {request.resource.type} {request.resource.id}"
            return f"Denied, since no policy permits {what} to {request.principal.type} {request.principal.id}."
        told = " and ".join(f"{self._descriptions[one]} ({one})" for one in by)
        return f"{'Allowed' if allowed else 'Denied'}, since {told}."

    def _failed(self, action: Action, *found: str) -> Decision:
        errors = tuple(one[:LONGEST_ERROR] for one in found)
        return Decision(
            allowed=False,
            action=action,
            policies=(),
            version=self.version,
            reason=f"Denied, since the policies could not be applied: {errors[0]}.",
            errors=errors,
        )


_ROLE: Final = re.compile(r'\bRole::"([^"\\]+)"')


def _thing(action: Action, given: Mapping[str, str]) -> facts.Entity:
    """What an action is done with. Raises KeyError for a fact that lacks, ValueError for what is none."""
    match action:
        case "see_run" | "see_audit" | "recall" | "erase":
            return facts.record(given["tenant"], given["subject"])
        case "promote_prompt" | "rollback_prompt":
            return facts.prompt(given["name"], given["environment"])
        case "approve":
            more = {name: value for name, value in given.items() if name not in ("workflow", "risk")}
            return facts.result(facts.workflow(given["workflow"], given["risk"]), given["risk"], more)
        case _:
            raise ValueError(f"{action} has a question of its own")


# Loading


def load_policy(config: PolicyConfig | None = None) -> CedarPolicy:
    """The policy set of a folder, checked as a whole.

    Raises BadInput with file, line and reason: for what is no Cedar, for an action or attribute that the schema does
    not have, for a policy without id, owner or description, for an id that stands twice, and for a schema that does not
    take what the product asks.
    """
    config = config or PolicyConfig()
    files = read_files(config.folder or SHIPPED)
    schema = _schema(files)
    found = files.statements
    rules = [_rule(files, one) for one in found]
    _check_ids(files, rules)
    _check_schema(files, schema, found, rules)
    parsed = cedarpy.PolicySet.from_str("\n".join(one.text for one in found)), schema
    policy = CedarPolicy(files, rules, read_retention(files), parsed, config.cached_decisions)
    _check_questions(policy)
    return policy


def _refused(files: PolicyFiles, file: str, line: int, code: str, cause: str, step: str) -> BadInput:
    return BadInput(f"{files.folder / file}:{line}", code, cause, step)


def _schema(files: PolicyFiles) -> cedarpy.Schema:
    name, text = files.schema
    try:
        return cedarpy.Schema.from_str(text)
    except ValueError as error:
        line = next(_bad_declarations(name, text), None) or _line_of(str(error).split()[-1].strip("`"), text)
        raise _refused(files, name, line, "bad_policy_schema", f"{error}.", "Correct the declaration.") from error


def _bad_declarations(name: str, text: str) -> Iterator[int]:
    """Lines of declarations that are no Cedar even when they stand alone."""
    for one in statements(name, text):
        try:
            cedarpy.Schema.from_str(one.text)
        except ValueError as error:
            if str(error).startswith("error parsing schema"):
                yield one.line


def _line_of(word: str, text: str) -> int:
    """The first line that has a word; the first of all where none has."""
    return next((n for n, line in enumerate(text.splitlines(), start=1) if word in line), 1)


def _rule(files: PolicyFiles, one: Statement) -> PolicyRule:
    """A policy with its annotations; BadInput where it is none, or lacks one."""
    try:
        parsed = cedarpy.policies_to_pst(one.text)
    except ValueError as error:
        cause, step = f"The policy that begins here cannot be read: {error}.", "Correct it; a policy ends with `;`."
        raise _refused(files, one.file, one.line, "bad_policy", cause, step) from error
    if parsed.templates:
        cause, step = "A policy with slots permits nothing by itself.", "Name principal and resource."
        raise _refused(files, one.file, one.line, "policy_template", cause, step)
    [policy] = parsed.static_policies.values()
    missing = [name for name in ANNOTATIONS if not policy.annotations.get(name, "").strip()]
    if missing:
        cause = f"The policy has no {', '.join(f'@{name}' for name in missing)}."
        step = "Say what it is called, who answers for it, and what it does in plain words."
        raise _refused(files, one.file, one.line, "missing_annotation", cause, step)
    return PolicyRule(
        id=policy.annotations["id"],
        owner=policy.annotations["owner"],
        description=policy.annotations["description"].strip().rstrip("."),
        effect=policy.effect,
        actions=_actions(policy.action),
        file=one.file,
        line=one.line,
    )


def _actions(constraint: object) -> tuple[str, ...]:
    match constraint:
        case cedarpy.pst.ActionEq(entity=entity):
            return (entity.id,)
        case cedarpy.pst.ActionIn(entities=entities):
            return tuple(entity.id for entity in entities)
        case _:
            return ()


def _check_ids(files: PolicyFiles, rules: Sequence[PolicyRule]) -> None:
    seen: dict[str, PolicyRule] = {}
    for rule in rules:
        first = seen.setdefault(rule.id, rule)
        if first is not rule:
            cause = f"The id {rule.id} stands already at {first.file}:{first.line}."
            raise _refused(files, rule.file, rule.line, "duplicate_policy", cause, "Give each policy an id of its own.")


def _check_schema(
    files: PolicyFiles, schema: cedarpy.Schema, found: Sequence[Statement], rules: Sequence[PolicyRule]
) -> None:
    """Validate policy by policy, so that an error has its place."""
    for one, rule in zip(found, rules, strict=True):
        for error in cedarpy.validate_policies(one.text, schema).errors:
            cause = f"{error.error.removeprefix('for policy `policy0`, ')} (policy {rule.id})."
            step = f"Compare with {files.schema[0]}, or correct the schema."
            raise _refused(files, one.file, one.line, "policy_against_schema", cause, step)


def _check_questions(policy: CedarPolicy) -> None:
    """Ask one question of each kind, so that a schema that cannot take them is refused now and not in a run."""
    for request in _questions():
        decision = policy.decide(request)
        if decision.errors:
            files = policy.files
            cause = f"The question whether one may {request.action} meets an error: {decision.errors[0]}."
            step = f"Keep what {SHIPPED / 'groundwire.cedarschema'} declares, and add beside it."
            raise _refused(files, files.schema[0], 1, "schema_does_not_fit", cause, step)


def _questions() -> Iterator[facts.Request]:
    asker, flow = facts.person(Principal(subject="nobody", tenant="none")), facts.workflow("none", "low")
    route = RouteFacts(name="none", provider="none", model="none", region="none", in_process=False, retains_data=True)
    sent = facts.data(DataFacts(classification=Classification.regulated))
    result = facts.result(flow, "high", {})
    yield facts.Request(action="start", principal=asker, resource=flow)
    yield facts.Request(action="route_model", principal=flow, resource=facts.model_route(route), context=sent)
    yield facts.Request(action="call_tool", principal=asker, resource=facts.tool("none"), context=(("workflow", flow),))
    yield facts.Request(action="go_on", principal=flow, resource=result)
    yield facts.Request(action="approve", principal=asker, resource=result)
    for action in _ON_RECORDS:
        yield facts.Request(action=action, principal=asker, resource=facts.record("none", "nobody"))
    for action in _ON_PROMPTS:
        yield facts.Request(action=action, principal=asker, resource=facts.prompt("none", "dev"))


_ON_RECORDS: Final[tuple[Action, ...]] = ("see_run", "see_audit", "recall", "erase")
_ON_PROMPTS: Final[tuple[Action, ...]] = ("promote_prompt", "rollback_prompt")
