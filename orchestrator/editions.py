"""Which of the documents that were found is a newer edition of which other.

Policies, price lists and contracts come out anew every year, and the old one stays in the folder. Two documents are
editions of one work when their titles differ in nothing but the mark of the edition: a year, a date, a version, or a
word such as "old". Only documents of the asker's own hits are compared, so that nothing hidden decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from ingest.terms import terms
from retrieval.evidence import Passage

_DATE: Final = re.compile(r"(?<!\d)((?:19|20)\d\d)(?:([-_.])(0[1-9]|1[0-2])(?:\2(0[1-9]|[12]\d|3[01]))?)?(?!\d)")
_VERSION: Final = re.compile(
    r"(?<![^\W\d_])(?:version|ver|rev(?:ision)?|edition|auflage|ausgabe|v)[\s._-]*(\d{1,4}(?:\.\d{1,4}){0,3})(?!\w)"
    r"|(?<!\w)(\d{1,2})(?:st|nd|rd|th|\.)[\s_-]+(?:edition|revision|version|auflage|ausgabe)",
    re.IGNORECASE,
)
_OUT_OF_USE: Final = re.compile(
    r"(?<![^\W_])(?:old|outdated|obsolete|superseded|deprecated|archived?|expired|veraltet|alt|obsol[eè]te|obsoleto)"
    r"(?![^\W_])",
    re.IGNORECASE,
)
_ABOUT_THE_PAST: Final = re.compile(
    r"\b(?:previous(?:ly)?|former(?:ly)?|earlier|older?|used to|in the past|back then|at the time|history|histories"
    r"|früher\w*|ehemal\w*|vorherig\w*|damals|avant|ancien\w*|précédent\w*|anterior\w*|antigu\w*)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    """What the title says about the edition of a work."""

    work: tuple[str, ...]  # terms of the title without the marks
    issued: tuple[int, ...]  # year, month, day as far as stated
    version: tuple[int, ...]
    out_of_use: bool


def edition(title: str) -> Edition:
    """The work that a title names, and the marks of its edition."""
    issued = [tuple(int(part) for part in match.group(1, 3, 4) if part) for match in _DATE.finditer(title)]
    rest = _DATE.sub(" ", title)
    version = [next(filter(None, match.groups())) for match in _VERSION.finditer(rest)]
    rest = _VERSION.sub(" ", rest)
    return Edition(
        work=tuple(terms(_OUT_OF_USE.sub(" ", rest))),
        issued=max(issued, default=()),
        version=tuple(int(part) for part in version[-1].split(".")) if version else (),
        out_of_use=bool(_OUT_OF_USE.search(rest)),
    )


def is_newer(one: Edition, other: Edition, today: date) -> bool:
    """Whether `one` is in force in place of `other`. False where the marks do not tell, or `one` is still to come."""
    if not one.work or one.work != other.work or one.out_of_use:
        return False
    if one.issued > (today.year, today.month, today.day):
        return False
    if other.out_of_use:
        return True
    if one.issued and other.issued and one.issued != other.issued:
        return one.issued > other.issued
    return bool(one.version and other.version) and one.issued == other.issued and one.version > other.version


def superseded(question: str, passages: Sequence[Passage], today: date) -> frozenset[str]:
    """Ids of the documents that another of `passages` is a newer edition of, unless the question asks for the past.

    A question that names a year, a date or a version asks for an edition of its own choice, and all of them stay.
    """
    if _DATE.search(question) or _VERSION.search(question) or _ABOUT_THE_PAST.search(question):
        return frozenset()
    known = {passage.document_id: (edition(passage.title), _folder(passage)) for passage in passages}
    return frozenset(older for older, mine in known.items() if _has_newer(mine, known.values(), today))


def _has_newer(mine: tuple[Edition, str], others: Iterable[tuple[Edition, str]], today: date) -> bool:
    """One word ("Report") is a name for many things: then the folder has to be the same as well."""
    own, folder = mine
    return any(is_newer(one, own, today) and (len(own.work) > 1 or place == folder) for one, place in others)


def _folder(passage: Passage) -> str:
    return passage.source_uri.rpartition("/")[0]
