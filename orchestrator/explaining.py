"""Every decision that the system takes by itself, in plain words: rule, threshold, where it is set, who answers for it.

All figures, versions and rules are read from the objects that decide. Where a value changes, so does what is said here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from orchestrator.confidence import Judge
from orchestrator.context import ContextConfig
from orchestrator.egress.gate import EgressConfig
from orchestrator.egress.rules import RULES as BUSINESS_RULES
from orchestrator.egress.rules import RuleSet
from orchestrator.judging import OutputJudge, least_score
from orchestrator.kept_answers import KeptConfig
from orchestrator.personal_data.redaction import HARMLESS
from orchestrator.personal_data.vault import RestorePolicy
from orchestrator.routing import RULES as ROUTING_RULES
from orchestrator.workflows import RISKS
from retrieval.screening_policy import ScreeningPolicy

if TYPE_CHECKING:
    from orchestrator.gateway.gateway import GatewayConfig
    from orchestrator.gateway.routes import Routes
    from orchestrator.policy.engine import CedarPolicy, PolicyRule
    from orchestrator.settings import Settings
    from orchestrator.workflows import Workflow

Tier = Literal["ingress", "context", "prompt", "model", "egress", "confidence", "routing", "record"]
Value: TypeAlias = "str | int | float | bool | list[Value] | dict[str, Value] | None"

HOUSE: Final = "groundwire"  # owner of what comes with the product and that no file of a home's own sets


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """One decision that no person takes."""

    tier: Tier
    id: str  # stable; of a policy or a business rule its own
    rule: str  # in plain words
    values: Mapping[str, Value]  # thresholds and limits in force, by name
    version: str | None  # of the rule or of what holds it
    where: str  # where it is set: a setting, a file, a field
    owner: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What decides, as it is in force."""

    policy: CedarPolicy
    routes: Routes
    gateway: GatewayConfig
    screening: ScreeningPolicy = field(default_factory=ScreeningPolicy)
    evidence_k: int = 10
    context: ContextConfig = field(default_factory=ContextConfig)
    restore: RestorePolicy = field(default_factory=RestorePolicy)
    egress: EgressConfig = field(default_factory=EgressConfig)
    rules: RuleSet = BUSINESS_RULES
    judge: Judge = field(default_factory=Judge)
    output_judge: OutputJudge = field(default_factory=OutputJudge)
    kept: KeptConfig = field(default_factory=KeptConfig)


def parts_of(settings: Settings) -> Parts:
    """What decides in a home with these settings; needs neither encoder nor index. Raises BadInput as loading does."""
    from orchestrator.calibration import read_calibration
    from orchestrator.confidence import RULE
    from orchestrator.governance import gateway_config, model_files
    from orchestrator.policy.engine import PolicyConfig, load_policy
    from orchestrator.services import screening_policy

    calibration = read_calibration(settings.calibration_path)
    fits = calibration is not None and calibration.rule == RULE.version
    return Parts(
        policy=load_policy(PolicyConfig(folder=settings.policies_folder)),
        routes=model_files(settings)[0],
        screening=screening_policy(settings),
        evidence_k=settings.evidence_k,
        restore=RestorePolicy(
            everyone=frozenset(settings.personal_data_for_everyone), roles=settings.personal_data_for_roles
        ),
        gateway=gateway_config(settings),
        judge=Judge(calibration=calibration if fits else None),
    )


def explain(workflow: Workflow, parts: Parts) -> tuple[Explained, ...]:
    """Every decision on the way of a run of the workflow, in the order in which they are taken."""
    return (
        *_ingress(parts),
        *_context(workflow, parts),
        *_prompt(workflow, parts),
        *_model(workflow, parts),
        *_egress(workflow, parts),
        *_confidence(workflow, parts),
        *_routing(workflow, parts),
        *_record(parts),
    )


# Tier by tier


def _ingress(parts: Parts) -> Iterator[Explained]:
    yield from _policies("ingress", parts.policy, "start")


def _context(workflow: Workflow, parts: Parts) -> Iterator[Explained]:
    yield Explained(
        tier="context",
        id="screening",
        rule="Text that looks like an order is withheld from a score of `act`, or as a rule below says for its kind, "
        "and flagged from a score of `flag`.",
        values=_of(parts.screening, "act", "flag", "rules"),
        version=parts.screening.screener,
        where="GROUNDWIRE_SCREENING_ACT, GROUNDWIRE_SCREENING_FLAG, GROUNDWIRE_SCREENING_RULES",
        owner=HOUSE,
    )
    yield Explained(
        tier="context",
        id="evidence-passages",
        rule="So many passages that the asker may read are looked at, the best first. Older editions of a document "
        "count only where the newer ones do not carry the question.",
        values={"passages": parts.evidence_k},
        version=None,
        where="GROUNDWIRE_EVIDENCE_K",
        owner=HOUSE,
    )
    yield Explained(
        tier="context",
        id="evidence-budget",
        rule="Evidence is shown to the model up to so many tokens, the most telling sentences first; what does not fit "
        "is left out and noted. The conversation before takes at most its share.",
        values={"evidence_tokens": workflow.evidence_tokens, **_of(parts.context, "near", "history_share")},
        version=workflow.version,
        where="evidence_tokens of the workflow; orchestrator.context.ContextConfig",
        owner=workflow.owner,
    )
    yield Explained(
        tier="context",
        id="redaction",
        rule="Personal data is replaced by placeholders before a model sees a text, but for the harmless types; where "
        "a detector fails the whole text is withheld. Readers see what their roles open.",
        values={"harmless": _json(HARMLESS), **_of(parts.restore)},
        version=None,
        where="GROUNDWIRE_PERSONAL_DATA_FOR_EVERYONE, GROUNDWIRE_PERSONAL_DATA_FOR_ROLES",
        owner="privacy",
    )


def _prompt(workflow: Workflow, parts: Parts) -> Iterator[Explained]:
    yield Explained(
        tier="prompt",
        id="prompt",
        rule="The version of the prompt that is live in the home's environment is used.",
        values={"prompt": workflow.prompt, "contract": workflow.contract},
        version=None,
        where="`groundwire prompts list`; GROUNDWIRE_PROMPT_ENVIRONMENT",
        owner=workflow.owner,
    )
    yield from _policies("prompt", parts.policy, "promote_prompt", "rollback_prompt")


def _model(workflow: Workflow, parts: Parts) -> Iterator[Explained]:
    gateway, where = parts.gateway, "orchestrator.gateway.gateway.GatewayConfig"
    yield from _policies("model", parts.policy, "route_model", "call_tool")
    yield Explained(
        tier="model",
        id="route-choice",
        rule="Of the routes that policy, region, task and capability leave, those of the level that the risk asks for "
        "come first; then the cheapest and the fastest. An escalation goes to a higher level.",
        values={
            **_of(gateway.routing, "levels"),
            "routes": [_json(_of(route, "name", "level", "region", "retains_data")) for route in parts.routes.routes],
        },
        version=parts.routes.version,
        where=f"{parts.routes.source}; GROUNDWIRE_ROUTES_FILE, GROUNDWIRE_MODEL",
        owner="operations",
    )
    yield Explained(
        tier="model",
        id="retries-and-fallback",
        rule="A route that fails for a passing reason is tried again after a random wait, then the next route is "
        "tried; the answer's flags say so.",
        values=_of(gateway.retries),
        version=None,
        where=where,
        owner="operations",
    )
    yield Explained(
        tier="model",
        id="breaker",
        rule="After so many failures in a row a route is left alone for the cooldown, then one call at a time probes.",
        values=_of(gateway.breaker),
        version=None,
        where=where,
        owner="operations",
    )
    yield Explained(
        tier="model",
        id="repair",
        rule="A model whose output is invalid is told once what is wrong with it; then another route is tried.",
        values={},
        version=None,
        where="orchestrator/interaction.py",
        owner=HOUSE,
    )
    yield Explained(
        tier="model",
        id="budget-and-deadline",
        rule="A run ends without an answer when the money for its next call could not be reserved, or its time is up.",
        values=_of(workflow, "max_cost_usd", "deadline_s"),
        version=workflow.version,
        where="max_cost_usd and deadline_s of the workflow",
        owner=workflow.owner,
    )
    yield Explained(
        tier="model",
        id="quotas",
        rule="A call that a limit of the team or the workflow does not leave room for is not made.",
        values={"limits": _json(gateway.limits)},
        version=None,
        where="`limits.yaml`; GROUNDWIRE_LIMITS_FILE",
        owner="operations",
    )


def _egress(workflow: Workflow, parts: Parts) -> Iterator[Explained]:
    config, where = parts.egress, "orchestrator.egress.gate.EgressConfig"
    yield Explained(
        tier="egress",
        id="contract",
        rule="An output that has not the form of its contract never leaves.",
        values={"contract": workflow.contract, **_of(config.parsing)},
        version=None,
        where=where,
        owner=HOUSE,
    )
    yield Explained(
        tier="egress",
        id="quotes",
        rule="A claim whose quotes do not stand, as they are or but for slips, in the stored text that the asker may "
        "read is dropped.",
        values=_of(config.quotes),
        version=None,
        where=where,
        owner=HOUSE,
    )
    yield Explained(
        tier="egress",
        id="support",
        rule="A claim that its quotes carry with less than the threshold, or that names a number, date or name that "
        "they do not have, or denies what they affirm, is dropped.",
        values=_of(config.support, "threshold", "max_claims", "max_characters"),
        version=config.support.rule.version,
        where=where,
        owner=HOUSE,
    )
    yield Explained(
        tier="egress",
        id="safety",
        rule="An output that repeats the instructions, holds a secret or speaks to the machine never leaves.",
        values=_of(config.safety),
        version=None,
        where=where,
        owner=HOUSE,
    )
    for rule in parts.rules.rules:
        if not rule.contracts or workflow.contract in rule.contracts:
            yield Explained(
                tier="egress",
                id=rule.id,
                rule=f"{rule.text} {'Else the output is invalid.' if rule.severity == 'stop' else 'Else a warning.'}",
                values={"severity": rule.severity},
                version=parts.rules.version,
                where="orchestrator/egress/rules.py",
                owner=rule.owner,
            )


def _confidence(workflow: Workflow, parts: Parts) -> Iterator[Explained]:
    judge, rule = parts.judge, parts.output_judge.rule
    learned = judge.calibration
    yield Explained(
        tier="confidence",
        id="evidence",
        rule="The evidence carries the question from the threshold on, which labels set where there are some for the "
        "encoder in use. What the extractive model quotes is judged by this alone.",
        values={
            "threshold": least_score(judge),
            "weights": _json(judge.rule.weights),
            "calibration": _json(learned.model_dump(mode="json", exclude={"curve"})) if learned else None,
        },
        version=judge.rule.version,
        where="orchestrator/confidence.py; `groundwire eval calibrate`",
        owner=HOUSE,
    )
    yield Explained(
        tier="confidence",
        id="output",
        rule="What another model wrote is scored by evidence, support, its own report, warnings, words of doubt, "
        "contradictions, dropped claims, repair and second looks. The weights are a judgement; nothing was fitted.",
        values={"weights": _json(rule.weights), "neutral": _json(rule.neutral)},
        version=rule.version,
        where="orchestrator/judging.py",
        owner=HOUSE,
    )
    yield Explained(
        tier="confidence",
        id="second-looks",
        rule="At these risks the model looks at its claims again (critique), and a second model answers too "
        "(agreement). What is due and did not run is flagged.",
        values={"due": _json(rule.due), "risk": workflow.risk},
        version=rule.version,
        where="orchestrator/judging.py",
        owner=HOUSE,
    )


_OF_ABSTAIN: Final = frozenset({"route-floor", "route-band-review", "route-band-abstain", "route-escalate"})
_OF_ANSWER: Final = frozenset({"route-act", "route-answer"}) | (_OF_ABSTAIN - {"route-floor"})


def _routing(workflow: Workflow, parts: Parts) -> Iterator[Explained]:
    for id_, rule in ROUTING_RULES.items():
        held = {
            **({"abstain": {risk: workflow.threshold(risk).abstain for risk in RISKS}} if id_ in _OF_ABSTAIN else {}),
            **({"answer": {risk: workflow.threshold(risk).answer for risk in RISKS}} if id_ in _OF_ANSWER else {}),
            **({"review": {risk: workflow.threshold(risk).review for risk in RISKS}} if "band" in id_ else {}),
        }
        yield Explained(
            tier="routing",
            id=id_,
            rule=rule,
            values={name: _json(value) for name, value in held.items()} | {"risk": workflow.risk},
            version=workflow.version,
            where="thresholds of the workflow",
            owner=workflow.owner,
        )
    yield from _policies("routing", parts.policy, "go_on", "approve")


def _record(parts: Parts) -> Iterator[Explained]:
    yield from _policies("record", parts.policy, "see_run", "see_audit", "recall", "erase")
    for classification, rule in parts.policy.retentions.items():
        what = rule.description if rule.keeps == "contents" else f"of {rule.description} the facts alone"
        yield Explained(
            tier="record",
            id=rule.id,
            rule=_sentence(f"{what} are kept for {rule.days} days"),
            values={"classification": classification.name, "days": rule.days, "keeps": rule.keeps},
            version=parts.policy.version,
            where=str(parts.policy.files.folder / "retention.yaml"),
            owner=rule.owner,
        )
    yield Explained(
        tier="record",
        id="kept-answers",
        rule="A verified answer is given again to the same person for the same question, scope and evidence, after its "
        "citations were verified anew, for so many days.",
        values=_of(parts.kept),
        version=None,
        where="orchestrator.kept_answers.KeptConfig",
        owner=HOUSE,
    )


def _policies(tier: Tier, policy: CedarPolicy, *actions: str) -> Iterator[Explained]:
    """The policies that speak of these actions, permits first."""
    found = [rule for rule in policy.rules if not rule.actions or set(rule.actions) & set(actions)]
    for rule in sorted(found, key=lambda rule: rule.effect == "forbid"):
        yield _policy(tier, policy, rule)


def _policy(tier: Tier, policy: CedarPolicy, rule: PolicyRule) -> Explained:
    return Explained(
        tier=tier,
        id=rule.id,
        rule=_sentence(rule.description),
        values={"effect": rule.effect, "actions": list(rule.actions)},
        version=policy.version,
        where=f"{policy.files.folder / rule.file}:{rule.line}",
        owner=rule.owner,
    )


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


# Values as JSON


def _of(source: object, *names: str) -> dict[str, Value]:
    """These fields of a dataclass object, by default all."""
    wanted = names or tuple(one.name for one in fields(source))  # type: ignore[arg-type]
    return {name: _json(getattr(source, name)) for name in wanted}


def _json(value: object) -> Value:
    match value:
        case Enum():
            return value.name
        case None | bool() | int() | float() | str():
            return value
        case Decimal() | Path():
            return str(value)
        case Mapping():
            return {str(key): _json(one) for key, one in value.items()}
        case frozenset() | set():
            return [_json(one) for one in sorted(value)]
        case list() | tuple():
            return [_json(one) for one in value]
        case _ if is_dataclass(value):
            return dict(_of(value))
        case _:
            return str(value)
