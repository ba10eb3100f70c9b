"""Who asks, and what they may read: the only place where a ReadScope is made.

A ReadScope states the same rule twice: as `permits`, over the ledger's tags (the truth), and as `conditions`, over the
payload that the index keeps of them (so that hidden documents never enter a candidate list or a corpus statistic).
`index_payload` is the bridge between the two; a property test holds them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Final

from ingest.tags import AccessTags, Classification
from retrieval.sealed import Seal, Sealed

if TYPE_CHECKING:
    from qdrant_client import models

ALWAYS_FROM: Final = 0  # day number of a document that has no first day
ALWAYS_TO: Final = 9_999_999  # day number of a document that has no last day
ANYWHERE: Final = "*"  # region of a document that has none
ACCESS_KEYS: Final = ("readers", "tenant", "deny", "classification", "region", "valid_from", "valid_to")


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks, as ingress established it."""

    subject: str  # the user's name, as `user:…` tokens have it
    tenant: str = "default"
    groups: frozenset[str] = frozenset()  # direct memberships; nested ones are added when the scope is made
    roles: frozenset[str] = frozenset()
    clearance: Classification = Classification.public  # the highest classification that may be read
    regions: frozenset[str] = frozenset()  # regions whose documents may be read, besides documents of no region


_SEAL: Final = Seal("retrieval.access.read_scope")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadScope(Sealed):
    """What one principal may read on one day. Made by `read_scope` alone; every read takes one."""

    tenant: str
    tokens: frozenset[str]
    clearance: Classification
    regions: frozenset[str]
    today: date
    principal: Principal = field(compare=False)  # whose it is: for policies and records, never for what may be read
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)

    def permits(self, tags: AccessTags) -> bool:
        """Whether a document with these tags may be read; deny by default, deny wins."""
        return (
            tags.tenant == self.tenant
            and not self.tokens.isdisjoint(tags.readers)
            and self.tokens.isdisjoint(tags.deny)
            and tags.classification <= self.clearance
            and (tags.region is None or tags.region in self.regions)
            and (tags.valid_from is None or tags.valid_from <= self.today)
            and (tags.valid_to is None or self.today <= tags.valid_to)
        )

    def conditions(self) -> models.Filter:
        """The same rule over `index_payload`. Never empty, so it can never match everything."""
        from qdrant_client import models as m

        day = self.today.toordinal()
        return m.Filter(
            must=[
                m.FieldCondition(key="tenant", match=m.MatchValue(value=self.tenant)),
                m.FieldCondition(key="readers", match=m.MatchAny(any=sorted(self.tokens))),
                m.FieldCondition(key="region", match=m.MatchAny(any=[ANYWHERE, *sorted(self.regions)])),
                m.FieldCondition(key="classification", range=m.Range(lte=int(self.clearance))),
                m.FieldCondition(key="valid_from", range=m.Range(lte=day)),
                m.FieldCondition(key="valid_to", range=m.Range(gte=day)),
            ],
            must_not=[m.FieldCondition(key="deny", match=m.MatchAny(any=sorted(self.tokens)))],
        )


def read_scope(
    principal: Principal, *, parents: Mapping[str, frozenset[str]] | None = None, today: date | None = None
) -> ReadScope:
    """The scope of `principal`.

    `parents` maps a group to the groups that contain it; memberships are followed to the end, cycles included.
    `today` is the day (UTC) on which validity is judged, by default the present one.
    """
    groups = expand_groups(principal.groups, parents or {})
    tokens = {"public", f"user:{principal.subject}"}
    tokens |= {f"group:{name}" for name in groups} | {f"role:{name}" for name in principal.roles}
    return ReadScope(
        tenant=principal.tenant,
        tokens=frozenset(tokens),
        clearance=principal.clearance,
        regions=principal.regions,
        today=today or datetime.now(UTC).date(),
        principal=principal,
        seal=_SEAL,
    )


def expand_groups(direct: frozenset[str], parents: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """`direct` with every group that contains one of them, however deep."""
    found = set(direct)
    frontier = list(direct)
    while frontier:
        fresh = parents.get(frontier.pop(), frozenset()) - found
        found |= fresh
        frontier.extend(fresh)
    return frozenset(found)


def index_payload(tags: AccessTags) -> dict[str, object]:
    """What the index keeps of `tags`: flat, typed, with no missing value, so that each condition is one look-up."""
    return {
        "tenant": tags.tenant,
        "readers": sorted(tags.readers),
        "deny": sorted(tags.deny),
        "classification": int(tags.classification),
        "region": tags.region or ANYWHERE,
        "valid_from": tags.valid_from.toordinal() if tags.valid_from else ALWAYS_FROM,
        "valid_to": tags.valid_to.toordinal() if tags.valid_to else ALWAYS_TO,
    }
