"""Words that contradict each other: likeness sees hardly a difference between them."""

from __future__ import annotations

import re
from typing import Final

# Words of which a text that has the one does not carry a text that has the other.
_OPPOSITES: Final = """
    before after | first last | more less fewer | most least fewest | largest biggest smallest | larger bigger smaller
    highest lowest | higher lower | increase decrease reduce decline | increased decreased reduced declined | rise fall
    north south | northern southern | east west | eastern western | early late | earlier later | earliest latest
    older newer younger | oldest newest youngest | begin end | began ended | start stop | started stopped
    inside outside | internal external | male female | men women | better worse | best worst | success failure
    succeed fail | accept reject | accepted rejected | approve reject decline | approved rejected declined
    allow forbid prohibit ban | allowed permitted forbidden prohibited banned | support oppose | supported opposed
    win lose | won lost | buy sell | bought sold | import export | public private | minimum maximum | always never
    upper lower | open close | opened closed | major minor | majority minority | shorter longer | shortest longest
    cheapest dearest | easy difficult | simple complex | common rare | same different | enable disable
    enabled disabled | add remove | added removed | include exclude | included excluded | gain lose
    positive negative | create destroy | created destroyed | join leave | joined left | hire dismiss
    vor nach | mehr weniger | erste letzte | größte kleinste | höchste niedrigste | mindestens höchstens
    erlaubt verboten | innerhalb außerhalb | avant après | plus moins | premier dernier | antes después | más menos
    primero último | mayor menor
"""
_SAME_MEANING: Final = """
    forbid prohibit ban | forbidden prohibited banned | allowed permitted | decrease reduce decline
    decreased reduced declined | less fewer | least fewest | largest biggest | larger bigger | newer younger
    newest youngest | reject decline | rejected declined
"""
_NEGATING_PREFIXES: Final = ("un", "in", "im", "il", "ir", "non", "dis", "anti")


def _groups(lines: str) -> list[frozenset[str]]:
    return [frozenset(group.split()) for group in re.split(r"[|\n]", lines) if group.strip()]


def _opposites() -> dict[str, frozenset[str]]:
    same = {word: group for group in _groups(_SAME_MEANING) for word in group}
    found: dict[str, frozenset[str]] = {}
    for group in _groups(_OPPOSITES):
        for word in group:
            found[word] = found.get(word, frozenset()) | (group - same.get(word, frozenset({word})))
    return found


_OPPOSITE_OF: Final = _opposites()
_WORD: Final = re.compile(r"[^\W\d_]+")


def has_opposite(one: str, other: str) -> bool:
    """Whether `other` has the opposite of a word of `one`, and not the word itself. Any strings will do."""
    asked = set(_WORD.findall(one.casefold()))
    said = set(_WORD.findall(other.casefold()))
    return any(_opposite_in(word, asked, said) for word in asked - said)


def _opposite_in(word: str, asked: set[str], said: set[str]) -> bool:
    if (_OPPOSITE_OF.get(word, frozenset()) & said) - asked:
        return True
    if len(word) < 4:
        return False
    without = (word[len(prefix) :] for prefix in _NEGATING_PREFIXES if word.startswith(prefix))
    return any(prefix + word in said for prefix in _NEGATING_PREFIXES) or any(
        bare in said for bare in without if len(bare) > 3
    )
