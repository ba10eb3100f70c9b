"""What Cedar is told of people, workflows, models, results and records: entities by value, as the schema has them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from ingest.tags import Classification, Integrity

if TYPE_CHECKING:
    from orchestrator.policy.decisions import Action, DataFacts, RouteFacts
    from retrieval.access import Principal

Value: TypeAlias = "str | int | bool | frozenset[str] | Entity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """A thing that policies speak of."""

    type: str
    id: str
    attributes: tuple[tuple[str, Value], ...] = ()
    roles: frozenset[str] = frozenset()  # that a person is in

    @property
    def uid(self) -> dict[str, str]:
        """As Cedar's JSON names it."""
        return {"type": self.type, "id": self.id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One question to the policies. Equal questions have equal answers: policies know no clock and no history."""

    action: Action
    principal: Entity
    resource: Entity
    context: tuple[tuple[str, Value], ...] = ()

    def as_json(self) -> dict[str, object]:
        """The request as Cedar takes it."""
        return {
            "principal": self.principal.uid,
            "action": {"type": "Action", "id": self.action},
            "resource": self.resource.uid,
            "context": {name: _json(value) for name, value in self.context},
        }

    def entities(self) -> list[dict[str, object]]:
        """Every entity that the request speaks of, each once."""
        found = {(one.type, one.id): one for one in _all(self.principal, self.resource, *_values(self.context))}
        return [
            {
                "uid": one.uid,
                "attrs": {name: _json(value) for name, value in one.attributes},
                "parents": [{"type": "Role", "id": role} for role in sorted(one.roles)],
            }
            for one in found.values()
        ]


def person(principal: Principal) -> Entity:
    """Who asks."""
    return Entity(
        type="Person",
        id=_owned(principal.tenant, principal.subject),
        attributes=(
            ("tenant", principal.tenant),
            ("subject", principal.subject),
            ("clearance", int(principal.clearance)),
            ("regions", principal.regions),
        ),
        roles=principal.roles,
    )


def workflow(name: str, risk: str) -> Entity:
    """A workflow by its name."""
    return Entity(type="Workflow", id=name, attributes=(("risk", risk),))


def model_route(route: RouteFacts) -> Entity:
    """A way to a model."""
    return Entity(
        type="ModelRoute",
        id=route.name,
        attributes=(
            ("provider", route.provider),
            ("model", route.model),
            ("region", route.region),
            ("in_process", route.in_process),
            ("retains_data", route.retains_data),
        ),
    )


def data(facts: DataFacts) -> tuple[tuple[str, Value], ...]:
    """The context of a question about a model: what it would be sent."""
    return (
        ("classification", int(facts.classification)),
        ("regions", facts.regions),
        ("personal_data", facts.personal_data),
    )


def tool(name: str) -> Entity:
    """A tool by its name."""
    return Entity(type="Tool", id=name)


# Of what nobody said: the worst.
_WORST: Final[Mapping[str, bool | int | str]] = {
    "acts": True,
    "classification": int(Classification.regulated),
    "lowest_integrity": int(Integrity.external),
    "cost_cents": 0,
}


def result(of: Entity, risk: str, facts: Mapping[str, bool | int | str]) -> Entity:
    """What a workflow is about to give out or do. Raises ValueError for a fact that there is not, or is none."""
    unknown = facts.keys() - _WORST.keys()
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))} is no fact of a result")
    known = {**_WORST, **facts}
    return Entity(
        type="Result",
        id=of.id,
        attributes=(
            ("workflow", of),
            ("risk", risk),
            ("classification", int(Classification.parse(_number(known["classification"])))),
            ("lowest_integrity", int(Integrity.parse(_number(known["lowest_integrity"])))),
            ("cost_cents", int(known["cost_cents"])),
            ("acts", known["acts"] in (True, "true", "True")),
        ),
    )


def record(tenant: str, subject: str) -> Entity:
    """What is kept of a person's runs."""
    return Entity(type="Record", id=_owned(tenant, subject), attributes=(("tenant", tenant), ("subject", subject)))


def prompt(name: str, environment: str) -> Entity:
    """A prompt in an environment."""
    return Entity(type="Prompt", id=name, attributes=(("environment", environment),))


def _owned(tenant: str, subject: str) -> str:
    """An id that no other tenant and subject have."""
    return f"{tenant.replace('%', '%25').replace('/', '%2F')}/{subject}"


def _number(value: bool | int | str) -> int | str:
    return int(value) if isinstance(value, int) or value.isdigit() else value


def _json(value: Value) -> object:
    match value:
        case Entity():
            return {"__entity": value.uid}
        case frozenset():
            return sorted(value)
        case _:
            return value


def _values(pairs: Iterable[tuple[str, Value]]) -> list[Value]:
    return [value for _, value in pairs]


def _all(*values: Value) -> Iterator[Entity]:
    """The entities among the values, and those that they speak of."""
    for value in values:
        if isinstance(value, Entity):
            yield value
            yield from _all(*_values(value.attributes))
