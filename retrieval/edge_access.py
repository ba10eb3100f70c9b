"""A whole access rule as one look-up of the Edge engine. Runs in the child only.

An access filter asks for one of the reader's tokens and for half a dozen things more: tenant, denials, clearance, days.
The engine checks each of them on each point, which costs far more than the search. So every point carries marks: for
each token that may read it, the hash of this token together with everything else that the rule looks at, its guard. A
filter turns into "has one of these marks": of every token of the reader with every guard that lets the reader pass.
Nothing about the rule changes. Which guards there are is known for certain, as points get in through `marked` alone.
"""

from __future__ import annotations

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final

MARKS: Final = "_marks"
GUARD: Final = "_guard"
MOST_GUARDS: Final = 1_000  # with more of them (a day of expiry on each document, say) a filter stays as it is
RULES_KEPT: Final = 512
MOST_MARKS: Final = 4_000  # in one filter; more are slower than the conditions that they stand for
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}
Plain = Mapping[str, Any]  # a filter or a condition as `retrieval/edge.py` flattens it


class AccessMarks:
    """The guards of one index, and filters rewritten to marks.

    `keys` are `IndexConfig.access`: first the key of the tokens, then those that make a guard. With none, nothing is
    marked and no filter is an access rule.
    """

    def __init__(self, keys: Sequence[str], guards: Iterable[str]) -> None:
        self._tokens = keys[0] if keys else ""
        self._others = sorted(keys[1:])
        self._keys = frozenset(keys)
        self._guards: dict[str, Plain] = {guard: json.loads(guard) for guard in guards}
        self._rules: dict[str, Plain | None] = {}  # of the guards above

    def marked(self, payload: Plain) -> Plain:
        """The payload with its marks; its guard is known from now on."""
        if not self._keys:
            return payload
        values = {key: payload[key] for key in self._others if key in payload}
        guard = json.dumps(values, separators=(",", ":"))
        if guard not in self._guards:
            self._guards[guard] = values
            self._rules.clear()
        return {**payload, GUARD: guard, MARKS: [_mark(token, guard) for token in _listed(payload.get(self._tokens))]}

    def concerns(self, payload: Plain) -> bool:
        """Whether a change of this payload changes marks; `index_checks` sees that it brings all the keys then."""
        return not self._keys.isdisjoint(payload)

    def rewritten(self, where: Plain) -> dict[str, list[Any]]:
        """The same filter without nested parts that need not be nested, and over marks where it is an access rule."""
        flat = _flattened(where)
        rule = {part: [c for c in flat[part] if c.get("key") in self._keys] for part in ("must", "must_not")}
        text = json.dumps(rule)
        if text not in self._rules:
            if len(self._rules) >= RULES_KEPT:
                self._rules.clear()
            self._rules[text] = self._as_marks(**rule)
        marks = self._rules[text]
        if marks is None:
            return _without_empty(flat)
        other = {part: [c for c in flat[part] if c.get("key") not in self._keys] for part in ("must", "must_not")}
        return _without_empty({**flat, "must": [marks, *other["must"]], "must_not": other["must_not"]})

    def _as_marks(self, must: Sequence[Plain], must_not: Sequence[Plain]) -> Plain | None:
        """The one condition that stands for these; None where there is none, or where it would not be quicker."""
        tokens = [c for c in must if c["key"] == self._tokens]
        is_rule = len(tokens) == 1 and "range" not in tokens[0] and all(c["key"] != self._tokens for c in must_not)
        if not is_rule or len(self._guards) > MOST_GUARDS:
            return None
        guarding = [c for c in must if c["key"] != self._tokens]
        passing = [guard for guard, values in self._guards.items() if _passes(values, guarding, must_not)]
        marks = [_mark(token, guard) for token in _values(tokens[0]) for guard in passing]
        return {"key": MARKS, "any": marks} if len(marks) <= MOST_MARKS else None


def _flattened(where: Plain) -> dict[str, list[Any]]:
    """`where` with every part, and with the filters that it must meet dissolved in it."""
    flat: dict[str, list[Any]] = {part: list(where.get(part, ())) for part in ("must", "should", "must_not")}
    flat["must"] = []
    for condition in where.get("must", ()):
        if "key" in condition or "ids" in condition or condition.get("should"):
            flat["must"].append(condition)
            continue
        inner = _flattened(condition)
        flat["must"] += inner["must"]
        flat["must_not"] += inner["must_not"]
    return flat


def _without_empty(parts: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    return {part: conditions for part, conditions in parts.items() if conditions}


def _passes(values: Plain, must: Iterable[Plain], must_not: Iterable[Plain]) -> bool:
    return all(_meets(values, c) for c in must) and not any(_meets(values, c) for c in must_not)


def _meets(values: Plain, condition: Plain) -> bool:
    return any(_matches(value, condition) for value in _listed(values.get(condition["key"])))


def _matches(value: Any, condition: Plain) -> bool:
    if "range" in condition:
        return isinstance(value, (int, float)) and all(
            _COMPARE[name](value, bound) for name, bound in condition["range"].items()
        )
    return value in _values(condition)


def _values(condition: Plain) -> Sequence[Any]:
    values: Sequence[Any] = condition["any"] if "any" in condition else [condition["value"]]
    return values


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


@lru_cache(maxsize=16_384)
def _mark(token: str, guard: str) -> int:
    """63 bits: to hit upon the mark of a given pair takes 2^62 trials, and the ledger's tags have the last word."""
    return int.from_bytes(blake2b(f"{token}\0{guard}".encode(), digest_size=8).digest()) >> 1
