"""How much a sentence reads like an order to a model: one column per rule, from the classes of its words.

A sentence is read once: each word becomes a bit mask of classes (`lexicon`). For each class the places of its words
are the bits of one integer, so that "a word of A and at most n words later one of B" is a shift and an `and`.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from operator import or_
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.injection import delimiters, exfiltration
from retrieval.injection.lexicon import INSIDE_TERMS, LEXICON
from retrieval.injection.lexicon_classes import Word as W
from retrieval.injection.readings import plain

WINDOW: Final = 2_000  # characters that are looked at together; a longer sentence is read in windows
OVERLAP: Final = 200  # characters that one window shares with the next: no order is cut in two


@dataclass(frozen=True, slots=True)
class _Order:
    """Classes of words that follow each other, each at most so many words behind the one before."""

    column: int
    steps: tuple[int, ...]
    gaps: tuple[int, ...]  # one less than steps


_ORDERS: Final[dict[str, tuple[tuple[W | int, ...], ...]]] = {
    "override": (
        (W.OVERRIDE, 6, W.INSTRUCTION),
        (W.OVERRIDE, 5, W.PRIOR, 4, W.CONTEXT),
        (W.DROP, 3, W.PRIOR, 3, W.INSTRUCTION),
        (W.DROP, 2, W.OBEY, 4, W.INSTRUCTION | W.PRIOR),
    ),
    "override_prior": ((W.OVERRIDE, 4, W.PRIOR),),
    "override_all": ((W.OVERRIDE, 2, W.EVERYTHING),),
    "disobey": ((W.NEGATION, 2, W.OBEY, 6, W.INSTRUCTION | W.PRIOR), (W.INSTEAD, 3, W.OBEY)),
    "instead": ((W.INSTEAD, 3, W.SAY), (W.INSTEAD, 3, W.OBEY)),
    "new_task": ((W.YOUR, 2, W.NEW, 2, W.TASK), (W.NEW, 1, W.TASK, 3, W.BE)),
    "new_instructions": ((W.NEW, 1, W.INSTRUCTION),),
    "you_are_now": ((W.YOU, 1, W.BE, 2, W.NOW), (W.FROM, 2, W.NOW, 8, W.YOU), (W.NOW, 2, W.YOU, 1, W.BE)),
    "persona": (
        (W.ACT, 1, W.AS, 3, W.YOU | W.AI | W.PERSONA),
        (W.ACT, 3, W.YOU),
        (W.YOU, 1, W.BE, 3, W.PERSONA | W.AI),
        (W.ACT, 3, W.AS),
    ),
    "mode": ((W.MODE_NAME, 1, W.MODE), (W.ENABLE, 4, W.MODE), (W.MODE, 3, W.ENABLE)),
    "ai_addressed": ((W.GREETING, 3, W.AI), (W.IF, 1, W.YOU, 1, W.BE, 3, W.AI), (W.AS, 2, W.AI)),
    "ai_named": ((W.AI,),),
    "secret": ((W.REVEAL, 6, W.SECRET),),
    "own_prompt": ((W.REVEAL, 4, W.PRIOR | W.YOUR, 3, W.PROMPT), (W.REVEAL, 3, W.PROMPT)),
    "question_secret": ((W.QUESTION, 3, W.YOUR | W.PRIOR, 3, W.SECRET | W.PROMPT), (W.QUESTION, 4, W.SECRET)),
    "repeat_prior": ((W.REPEAT, 6, W.PRIOR), (W.REPEAT, 5, W.VERBATIM)),
    "only_output": ((W.SAY, 4, W.ONLY), (W.ONLY, 2, W.SAY), (W.NOTHING, 1, W.ELSE)),
    "not_say": ((W.NEGATION, 1, W.SAY | W.REVEAL),),
    "own_answer": ((W.YOUR, 2, W.ANSWER), (W.ADD, 6, W.ANSWER)),
    "answer_named": ((W.ANSWER,),),
    "no_safety": ((W.WITHOUT, 4, W.SAFETY), (W.OVERRIDE | W.DROP, 4, W.SAFETY)),
    "decode": ((W.ENCODING, 10, W.DECODE), (W.DECODE, 10, W.ENCODING), (W.ENCODING, 6, W.RUN | W.OBEY)),
    "send_data": ((W.SEND, 8, W.DATA, 10, W.ADDRESS | W.LINK), (W.SEND, 5, W.ADDRESS, 8, W.DATA)),
    "send": ((W.SEND, 5, W.DATA),),
    "add_link": ((W.ADD, 6, W.LINK | W.ADDRESS), (W.LINK, 8, W.YOUR, 2, W.ANSWER)),
    "visit": ((W.VISIT, 4, W.LINK), (W.VISIT, 5, W.ADDRESS)),
    "tell_user": ((W.TELL, 3, W.USER),),
    "run": ((W.RUN, 4, W.COMMAND),),
    "call_tool": ((W.USE, 3, W.TOOL),),
    "game": ((W.PLAY, 4, W.GAME), (W.FICTION, 10, W.YOU)),
    "authority": ((W.SELF, 4, W.ROLE), (W.ACCESS, 2, W.GRANTED), (W.FROM, 4, W.ROLE)),
    "boundary": ((W.BOUNDARY, 3, W.CONTEXT),),
    "must": ((W.YOU, 1, W.MUST, 3, W.SAY | W.REVEAL | W.RUN | W.SEND | W.ADD), (W.YOUR, 2, W.ANSWER, 1, W.MUST)),
    "refuse": ((W.REFUSE, 4, W.SAY | W.ANSWER), (W.SAY, 3, W.REFUSE)),
    "covert": ((W.HIDE,), (W.NEGATION | W.WITHOUT, 2, W.TELL, 3, W.USER)),
    "praise": ((W.PRAISE, 5, W.AS), (W.MUST | W.ONLY, 4, W.PRAISE)),
    "urgent": ((W.URGENT,),),
    "letters": ((W.JOIN, 5, W.LETTERS), (W.LETTERS, 4, W.JOIN)),
    "code": ((W.CODE,),),
    "attack_named": ((W.ATTACK,),),
    "example": ((W.EXAMPLE,),),
    "described": ((W.DESCRIBED,),),
}

RULES: Final[tuple[str, ...]] = (
    *_ORDERS,
    "foreign",
    "foreign_many",
    "repeated",
    "quoted",
    "disguised",
    "delimiter",
    "exfiltration",
)
_COLUMN: Final = {name: column for column, name in enumerate(RULES)}

# Columns that alone make a text look like an order to a model, and those of which two do.
STRONG: Final = tuple(_COLUMN[name] for name in ("override", "override_all", "disobey", "own_prompt", "delimiter"))
WEAK: Final = tuple(
    _COLUMN[name]
    for name in (
        "override_prior new_task new_instructions you_are_now persona mode ai_addressed secret question_secret"
        " repeat_prior only_output not_say own_answer no_safety decode send send_data add_link visit tell_user run"
        " call_tool authority covert exfiltration"
    ).split()
)

# Classes of words that stand in every second sentence: no order is looked for because of them alone.
_COMMON: Final = (
    W.YOU
    | W.YOUR
    | W.BE
    | W.NOW
    | W.FROM
    | W.INSTEAD
    | W.AS
    | W.IF
    | W.MUST
    | W.SELF
    | W.NEGATION
    | W.NOTHING
    | W.ELSE
    | W.ONLY
    | W.USE
    | W.PRIOR
    | W.NEW
    | W.GREETING
    | W.SAY
    | W.REVEAL
    | W.EVERYTHING
    | W.QUESTION
    | W.ADD
    | W.USER
)


def _by_class() -> dict[int, tuple[_Order, ...]]:
    """The orders of more than one step by the classes of their rarest step."""
    found: dict[int, list[_Order]] = {}
    for name, patterns in _ORDERS.items():
        for pattern in patterns:
            steps = tuple(int(step) for step in pattern[::2])
            if len(steps) > 1:
                order = _Order(_COLUMN[name], steps, tuple(int(gap) for gap in pattern[1::2]))
                rarest = next((step for step in reversed(steps) if not step & _COMMON), steps[0])
                for single in W:
                    if rarest & single:
                        found.setdefault(int(single), []).append(order)
    return {single: tuple(orders) for single, orders in found.items()}


_BY_CLASS: Final = _by_class()
_ORDERING: Final = sum(_BY_CLASS)
_BY_NAME: Final = {int(patterns[0][0]): _COLUMN[name] for name, patterns in _ORDERS.items() if len(patterns[0]) == 1}
_NAMING: Final = sum(_BY_NAME)
_WORD = re.compile(r"[\w'’@]+")
_ASCII_WORD = re.compile(r"[a-z0-9_'@]+")
_URL = re.compile(r"https?://[^\s<>\"')\]]+")
_INSIDE = re.compile("|".join(map(re.escape, sorted(INSIDE_TERMS, key=len, reverse=True))))
_UNSPACED = re.compile(
    "[\u0600-\u06ff\u0900-\u097f\u0e00-\u0e7f\u1ea0-\u1ef9ăđơưığş\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]"
)
_QUOTED = re.compile(
    r"\"[^\"\n]{2,400}\"|“[^“”\n]{2,400}”|«[^«»\n]{2,400}»|„[^„“”\n]{2,400}[“”]|「[^「」\n]{2,400}」|`[^`\n]{2,400}`"
)
_FOREIGN: Final = int(W.FOREIGN)
_ORDERLY: Final = int(
    W.OVERRIDE
    | W.INSTRUCTION
    | W.PROMPT
    | W.PRIOR
    | W.SAY
    | W.REVEAL
    | W.REPEAT
    | W.ONLY
    | W.SECRET
    | W.ACT
    | W.MODE
    | W.MODE_NAME
    | W.AI
    | W.ANSWER
    | W.TASK
    | W.NOW
    | W.DECODE
    | W.SEND
    | W.FICTION
    | W.LETTERS
)
_LETTERS_PER_WORD: Final = 3  # of a script without spaces
_REPEATS: Final = 8  # times in a row that a word is no longer language


def rule_features(sentences: Sequence[str]) -> NDArray[np.float32]:
    """How far each rule holds for each sentence: [sentences, RULES], 0 to 1. Never raises; time is linear."""
    table = np.zeros((len(sentences), len(RULES)), np.float32)
    text = "\n".join(sentences)
    disguised = _rows(sentences, [(start, end, 1.0) for start, end in plain(text).words])
    for row, sentence in enumerate(sentences):
        for column in _columns(plain(sentence).text if row in disguised else sentence):
            table[row, column] = 1.0
    for column, spans in (
        ("disguised", disguised),
        ("delimiter", _rows(sentences, [(found.start, found.end, found.score) for found in delimiters.find(text)])),
        (
            "exfiltration",
            _rows(sentences, [(found.start, found.end, found.score) for found in exfiltration.find(text)]),
        ),
    ):
        for row, score in spans.items():
            table[row, _COLUMN[column]] = score
    return table


def _rows(sentences: Sequence[str], spans: list[tuple[int, int, float]]) -> dict[int, float]:
    """The highest score of the spans that touch each sentence. `spans` count in the sentences joined by line ends."""
    if not spans:
        return {}
    starts = list(accumulate((len(sentence) + 1 for sentence in sentences), initial=0))
    scores: dict[int, float] = {}
    for start, end, score in spans:
        for row in range(bisect_right(starts, start) - 1, bisect_left(starts, max(end, start + 1))):
            scores[row] = max(scores.get(row, 0.0), score)
    return scores


def looks_like_order(text: str) -> bool:
    """Whether `text` alone reads like an order to a model: one strong rule or two others."""
    found = rule_features([text])[0]
    return bool(found[list(STRONG)].any() or np.count_nonzero(found[list(WEAK)]) >= 2)


def _columns(sentence: str) -> Iterable[int]:
    """The columns that hold for one sentence."""
    if len(sentence) <= WINDOW:
        return _window_columns(sentence)
    starts = range(0, len(sentence), WINDOW - OVERLAP)
    return set().union(*(_window_columns(sentence[start : start + WINDOW]) for start in starts))


def _window_columns(window: str) -> set[int]:
    masks, words = _masks(window)
    columns = _orders(masks)
    foreign = len({mask for mask in masks if mask & _FOREIGN and mask & _ORDERLY})
    columns |= {_COLUMN[name] for name, least in (("foreign", 2), ("foreign_many", 4)) if foreign >= least}
    if len(words) > _REPEATS and _repeats(words):
        columns.add(_COLUMN["repeated"])
    if columns and _QUOTED.search(window) and len(_orders(_masks(_QUOTED.sub(" ", window))[0])) * 2 < len(columns):
        columns.add(_COLUMN["quoted"])
    return columns


def _masks(text: str) -> tuple[list[int], list[str]]:
    """The classes of each word of `text`, and the words. A URL counts as the one word "https"."""
    if "://" in text:
        text = _URL.sub(" https ", text)
    folded = text.casefold()
    if folded.isascii():
        words = _ASCII_WORD.findall(folded)
    elif _UNSPACED.search(folded):
        return _inside_masks(folded)
    else:
        words = _WORD.findall(folded)
    return list(map(LEXICON.__getitem__, words)), words


def _inside_masks(folded: str) -> tuple[list[int], list[str]]:
    """The same where words are not divided by spaces: terms are found anywhere, what lies between counts as words."""
    masks: list[int] = []
    words: list[str] = []
    done = 0
    folded = folded.replace("i\u0307", "i")  # the Turkish dotted capital
    for term in [*_INSIDE.finditer(folded), None]:
        between = folded[done : term.start() if term else len(folded)]
        for word in _WORD.findall(between):
            words.append(word)
            masks += [0] * (len(word) // _LETTERS_PER_WORD) if _UNSPACED.search(word) else []
            masks.append(LEXICON[word])
        if term:
            words.append(term[0])
            masks.append(INSIDE_TERMS[term[0]])
            done = term.end()
    return masks, words


def _orders(masks: list[int]) -> set[int]:
    """The columns of the orders that the words spell."""
    present = reduce(or_, masks, 0)
    columns = {_BY_NAME[single] for single in _bits(present & _NAMING)}
    candidates = [
        order
        for single in _bits(present & _ORDERING)
        for order in _BY_CLASS[single]
        if all(map(present.__and__, order.steps))
    ]
    if not candidates:
        return columns
    places: dict[int, int] = {}
    for at, mask in enumerate(masks):
        if mask:
            places[mask] = places.get(mask, 0) | 1 << at
    for order in candidates:
        if order.column not in columns and _holds(order, places, present):
            columns.add(order.column)
    return columns


def _bits(mask: int) -> Iterator[int]:
    while mask:
        yield mask & -mask
        mask &= mask - 1


def _holds(order: _Order, places: dict[int, int], present: int) -> bool:
    """Whether the steps follow each other; in other languages than English also in reverse."""
    steps = [_where(step, places) for step in order.steps]
    if _follow(steps, order.gaps):
        return True
    if len(steps) != 2 or not present & _FOREIGN:
        return False
    foreign = _where(_FOREIGN, places)
    return _follow([steps[1] & foreign, steps[0] & foreign], order.gaps)


def _where(step: int, places: dict[int, int]) -> int:
    """The places of the words of a class, as bits."""
    found = 0
    for mask, at in places.items():
        if mask & step:
            found |= at
    return found


def _follow(steps: list[int], gaps: tuple[int, ...]) -> bool:
    """Whether a place of each step has one of the next step behind it, within its gap."""
    reached = steps[0]
    for step, gap in zip(steps[1:], gaps, strict=True):
        within = 0
        for distance in range(1, gap + 1):
            within |= reached << distance
        reached = within & step
        if not reached:
            return False
    return reached > 0


def _repeats(words: list[str]) -> bool:
    """Whether one word or sign stands many times in a row."""
    if len(set(words)) * 3 > len(words) * 2:
        return False
    run = 1
    for word, following in zip(words, words[1:], strict=False):
        run = run + 1 if word == following else 1
        if run >= _REPEATS:
            return True
    return False
