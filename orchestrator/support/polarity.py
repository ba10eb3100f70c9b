"""What a text denies: the words that stand in the scope of a negation, and how strongly it speaks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ingest.terms import terms
from orchestrator.citations import negations
from orchestrator.support.evidence import term_set

MAX_CHARACTERS: Final = 20_000  # of a text that are read, as in `values`
MOST: Final = 0.6  # of a claim's terms, from which on a sentence is taken to be about the same
SCOPE: Final = 3  # telling words behind a negation that it denies, up to the end of its clause
REACH: Final = 8  # words behind a negation among which those are

_CLAUSE: Final = re.compile(r"[.!?;:,()|\t\n。！？；：、，]|\b(?:but|while|whereas|although|sondern|aber|mais|pero)\b")
_TOKEN: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_NO_NEGATION: Final = re.compile(r"\b(?:not (?:only|just|merely|least)|nicht nur|no\.(?= ?\d))", re.IGNORECASE)
# Words that deny without being counted as negations: what they say may be said with "not" as well.
_DENYING: Final = re.compile(
    r"\b(?:lack(?:s|ed|ing)?|fail(?:s|ed|ing)?|refus(?:e|es|ed|ing)|declin(?:e|es|ed|ing)|prohibit(?:s|ed)?|forbid\w*"
    r"|bann?(?:ed|s)?|den(?:y|ies|ied)|reject(?:s|ed)?|absen(?:t|ce)|avoid(?:s|ed)?|prevent(?:s|ed)?|exclud\w+|stop\w*"
    r"|only|few|little|rather|instead|unable|un\w{4,}|in(?:eligible|valid|active|correct|sufficient|dependent)\w*"
    r"|impossible|inability|illegal|non-?\w{3,}|\w{3,}less|zero|none|void|expire[ds]?|lapse[ds]?|verboten|unter?sagt|fehl\w+"
    r"|interdi\w+|prohib\w+)\b",
    re.IGNORECASE,
)
_STRONG: Final = re.compile(
    r"\b(?:all|every|each|always|must|shall|required|entire|any|everyone|everything|alle|jede[rsnm]?|immer|muss|müssen"
    r"|tous|toutes|chaque|toujours|doit|todos|todas|cada|siempre|debe)\b|[每都必]",
    re.IGNORECASE,
)
_WEAK: Final = re.compile(
    r"\b(?:some|several|many|most|few|partly|often|usually|sometimes|may|might|can|could|should|optional(?:ly)?|possibl[ey]"
    r"|perhaps|likely|probably|reportedly|allegedly|about|around|approximately|nearly|almost|einige|manche|viele|kann"
    r"|können|vielleicht|quelques|certains|peut|parfois|algunos|puede|quizás)\b|[些可或]",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Polarity:
    """How a text speaks of its words."""

    negations: int  # negating words
    denying: frozenset[str]  # words that deny in another way: "lacks", "unable", "only"
    affirmed: frozenset[str]  # terms outside of every negation's scope
    denied: frozenset[str]  # terms within one
    strong: bool  # says all, always, must
    weak: bool  # says some, often, may


@lru_cache(maxsize=1_024)
def read_polarity(text: str) -> Polarity:
    """The polarity of the first `MAX_CHARACTERS` of `text`; any string will do."""
    text = _NO_NEGATION.sub(" ", text[:MAX_CHARACTERS])
    count = negations(text)
    affirmed, denied = _by_clause(text) if count else (term_set(text), frozenset[str]())
    return Polarity(
        negations=count,
        denying=frozenset(word.casefold() for word in _DENYING.findall(text)),
        affirmed=affirmed,
        denied=denied,
        strong=_STRONG.search(text) is not None,
        weak=_WEAK.search(text) is not None,
    )


def negation_differs(claim: Polarity, evidence: Iterable[Polarity]) -> bool:
    """Whether claim and evidence deny different things.

    Either the claim denies, and of the sentences that are about the same none does; or a sentence that says most of
    what the claim says denies a word that the claim and no other sentence affirms. Denying in other words counts,
    unless both sides use the same ones.
    """
    held = list(evidence)
    shares = [_share(claim, one) for one in held]
    if claim.negations:
        near = [one for one, share in zip(held, shares, strict=True) if share >= max(shares) / 2]
        return not any(one.negations or one.denying - claim.denying for one in near)
    if claim.denying - frozenset[str]().union(*(one.denying for one in held)):
        return False
    affirmed = frozenset[str]().union(*(one.affirmed for one in held))
    same = (one for one, share in zip(held, shares, strict=True) if one.denied and share >= MOST)
    return any((claim.affirmed & one.denied) - affirmed for one in same)


def _by_clause(text: str) -> tuple[frozenset[str], frozenset[str]]:
    """The terms that some clause affirms, and those that some clause denies."""
    affirmed: set[str] = set()
    denied: set[str] = set()
    for clause in _CLAUSE.split(text):
        within = _scope(clause) if negations(clause) else frozenset[str]()
        denied |= within
        affirmed |= term_set(clause) - within
    return frozenset(affirmed), frozenset(denied)


def _share(claim: Polarity, held: Polarity) -> float:
    """Of the claim's terms, those that the other text has as well."""
    wanted = claim.affirmed | claim.denied
    return len(wanted & (held.affirmed | held.denied)) / max(1, len(wanted))


def _scope(clause: str) -> frozenset[str]:
    """Terms of a clause that a negation in it denies: the next ones; in other languages than English also the last."""
    found: list[str] = []
    words = list(_TOKEN.finditer(clause))
    for number, word in enumerate(words):
        if not negations(word[0]):
            continue
        after = [term for other in words[number + 1 : number + 1 + REACH] for term in terms(other[0])]
        found += after[:SCOPE]
        if word[0].casefold() in ("nicht", "pas", "değil", "niet", "ikke", "inte"):
            found += [term for other in words[max(0, number - 3) : number] for term in terms(other[0])]
    return frozenset(found)
