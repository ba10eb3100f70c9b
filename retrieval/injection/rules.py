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
from itertools import accumulate, pairwise
from operator import or_
from typing import Final

import numpy as np
from numpy.typing import NDArray

from retrieval.injection import delimiters, exfiltration
from retrieval.injection.lexicon import INSIDE_TERMS, LEXICON
from retrieval.injection.lexicon_classes import Word
from retrieval.injection.readings import plain

WINDOW: Final = 2_000  # characters that are looked at together; a longer sentence is read in windows
OVERLAP: Final = 200  # characters that one window shares with the next: no order is cut in two


@dataclass(frozen=True, slots=True)
class _Order:
    """Classes of words that follow each other, each at most so many words behind the one before."""

    column: int
    steps: tuple[int, ...]
    gaps: tuple[int, ...]  # one less than steps


_ORDERS: Final[dict[str, tuple[tuple[Word | int, ...], ...]]] = {
    "override": (
        (Word.OVERRIDE, 6, Word.INSTRUCTION),
        (Word.OVERRIDE, 5, Word.PRIOR, 4, Word.CONTEXT),
        (Word.DROP, 3, Word.PRIOR, 3, Word.INSTRUCTION),
        (Word.DROP, 2, Word.OBEY, 4, Word.INSTRUCTION | Word.PRIOR),
    ),
    "override_prior": ((Word.OVERRIDE, 4, Word.PRIOR),),
    "override_all": ((Word.OVERRIDE, 2, Word.EVERYTHING),),
    "disobey": ((Word.NEGATION, 2, Word.OBEY, 6, Word.INSTRUCTION | Word.PRIOR), (Word.INSTEAD, 3, Word.OBEY)),
    "instead": ((Word.INSTEAD, 3, Word.SAY), (Word.INSTEAD, 3, Word.OBEY)),
    "new_task": ((Word.YOUR, 2, Word.NEW, 2, Word.TASK), (Word.NEW, 1, Word.TASK, 3, Word.BE)),
    "new_instructions": ((Word.NEW, 1, Word.INSTRUCTION),),
    "you_are_now": (
        (Word.YOU, 1, Word.BE, 2, Word.NOW),
        (Word.FROM, 2, Word.NOW, 8, Word.YOU),
        (Word.NOW, 2, Word.YOU, 1, Word.BE),
    ),
    "persona": (
        (Word.ACT, 1, Word.AS, 3, Word.YOU | Word.AI | Word.PERSONA),
        (Word.ACT, 3, Word.YOU),
        (Word.YOU, 1, Word.BE, 3, Word.PERSONA | Word.AI),
        (Word.ACT, 3, Word.AS),
    ),
    "mode": ((Word.MODE_NAME, 1, Word.MODE), (Word.ENABLE, 4, Word.MODE), (Word.MODE, 3, Word.ENABLE)),
    "ai_addressed": (
        (Word.GREETING, 3, Word.AI),
        (Word.IF, 1, Word.YOU, 1, Word.BE, 3, Word.AI),
        (Word.AS, 2, Word.AI),
    ),
    "ai_named": ((Word.AI,),),
    "secret": ((Word.REVEAL, 6, Word.SECRET),),
    "own_prompt": ((Word.REVEAL, 4, Word.PRIOR | Word.YOUR, 3, Word.PROMPT), (Word.REVEAL, 3, Word.PROMPT)),
    "question_secret": (
        (Word.QUESTION, 3, Word.YOUR | Word.PRIOR, 3, Word.SECRET | Word.PROMPT),
        (Word.QUESTION, 4, Word.SECRET),
    ),
    "repeat_prior": ((Word.REPEAT, 6, Word.PRIOR), (Word.REPEAT, 5, Word.VERBATIM)),
    "only_output": ((Word.SAY, 4, Word.ONLY), (Word.ONLY, 2, Word.SAY), (Word.NOTHING, 1, Word.ELSE)),
    "not_say": ((Word.NEGATION, 1, Word.SAY | Word.REVEAL),),
    "own_answer": ((Word.YOUR, 2, Word.ANSWER), (Word.ADD | Word.BOUNDARY, 6, Word.ANSWER)),
    "answer_named": ((Word.ANSWER,),),
    "no_safety": ((Word.WITHOUT, 4, Word.SAFETY), (Word.OVERRIDE | Word.DROP, 4, Word.SAFETY)),
    "decode": (
        (Word.ENCODING, 10, Word.DECODE),
        (Word.DECODE, 10, Word.ENCODING),
        (Word.ENCODING, 6, Word.RUN | Word.OBEY),
    ),
    "send_data": ((Word.SEND, 8, Word.DATA, 10, Word.ADDRESS | Word.LINK), (Word.SEND, 5, Word.ADDRESS, 8, Word.DATA)),
    "send": ((Word.SEND, 5, Word.DATA),),
    "add_link": ((Word.ADD, 6, Word.LINK | Word.ADDRESS), (Word.LINK, 8, Word.YOUR, 2, Word.ANSWER)),
    "visit": ((Word.VISIT, 4, Word.LINK), (Word.VISIT, 5, Word.ADDRESS)),
    "tell_user": ((Word.TELL, 3, Word.USER),),
    "run": ((Word.RUN, 4, Word.COMMAND),),
    "call_tool": ((Word.USE, 3, Word.TOOL),),
    "game": ((Word.PLAY, 4, Word.GAME), (Word.FICTION, 10, Word.YOU)),
    "authority": ((Word.SELF, 4, Word.ROLE), (Word.ACCESS, 2, Word.GRANTED), (Word.FROM, 4, Word.ROLE)),
    "boundary": ((Word.BOUNDARY, 3, Word.CONTEXT),),
    "must": (
        (Word.YOU, 1, Word.MUST, 3, Word.SAY | Word.REVEAL | Word.RUN | Word.SEND | Word.ADD),
        (Word.YOUR, 2, Word.ANSWER, 1, Word.MUST),
    ),
    "refuse": ((Word.REFUSE, 4, Word.SAY | Word.ANSWER), (Word.SAY, 3, Word.REFUSE)),
    "covert": ((Word.HIDE,), (Word.NEGATION | Word.WITHOUT, 2, Word.TELL, 3, Word.USER)),
    "praise": ((Word.PRAISE, 5, Word.AS), (Word.MUST | Word.ONLY, 4, Word.PRAISE)),
    "urgent": ((Word.URGENT,),),
    "letters": ((Word.JOIN, 5, Word.LETTERS), (Word.LETTERS, 4, Word.JOIN)),
    "code": ((Word.CODE,),),
    "attack_named": ((Word.ATTACK,),),
    "example": ((Word.EXAMPLE,),),
    "described": ((Word.DESCRIBED,),),
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


def _columns_of(names: str) -> tuple[int, ...]:
    return tuple(_COLUMN[name] for name in names.split())


# Columns that alone make a text look like an order to a model, and those of which two do.
STRONG: Final = _columns_of("override override_all disobey own_prompt delimiter")
WEAK: Final = _columns_of(
    "override_prior new_task new_instructions you_are_now persona mode ai_addressed secret question_secret repeat_prior"
    " only_output not_say own_answer no_safety decode send send_data add_link visit tell_user run call_tool authority"
    " covert exfiltration"
)

# Classes of words that stand in every second sentence: no order is looked for because of them alone.
# fmt: off
_COMMON: Final = (
    Word.YOU | Word.YOUR | Word.BE | Word.NOW | Word.FROM | Word.INSTEAD | Word.AS | Word.IF | Word.MUST | Word.SELF
    | Word.NEGATION | Word.NOTHING | Word.ELSE | Word.ONLY | Word.USE | Word.PRIOR | Word.NEW | Word.GREETING | Word.SAY
    | Word.REVEAL | Word.EVERYTHING | Word.QUESTION | Word.ADD | Word.USER
)
# fmt: on


def _by_class() -> dict[int, tuple[_Order, ...]]:
    """The orders of more than one step by the classes of their rarest step."""
    found: dict[int, list[_Order]] = {}
    for name, patterns in _ORDERS.items():
        for pattern in patterns:
            steps = tuple(int(step) for step in pattern[::2])
            if len(steps) > 1:
                order = _Order(_COLUMN[name], steps, tuple(int(gap) for gap in pattern[1::2]))
                rarest = next((step for step in reversed(steps) if not step & _COMMON), steps[0])
                for single in Word:
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
_FOREIGN: Final = int(Word.FOREIGN)
# fmt: off
_ORDERLY: Final = int(
    Word.OVERRIDE | Word.INSTRUCTION | Word.PROMPT | Word.PRIOR | Word.SAY | Word.REVEAL | Word.REPEAT | Word.ONLY
    | Word.SECRET | Word.ACT | Word.MODE | Word.MODE_NAME | Word.AI | Word.ANSWER | Word.TASK | Word.NOW | Word.DECODE
    | Word.SEND | Word.FICTION | Word.LETTERS
)
# fmt: on
_LETTERS_PER_WORD: Final = 3  # of a script without spaces
_REPEATS: Final = 8  # times in a row that a word is no longer language


def rule_features(sentences: Sequence[str]) -> NDArray[np.float32]:
    """How far each rule holds for each sentence: [sentences, RULES], 0 to 1. Never raises; time is linear."""
    table = np.zeros((len(sentences), len(RULES)), np.float32)
    text = "\n".join(sentences)
    reading = plain(text)
    disguised = _rows(sentences, [(start, end, 1.0) for start, end in reading.words])
    unseen = _rows(sentences, [(run.start, run.end, 1.0) for run in reading.stripped.removed])
    for row, sentence in enumerate(sentences):
        for column in _columns(plain(sentence).text if row in disguised or row in unseen else sentence):
            table[row, column] = 1.0
    delimited, carried = (
        _rows(sentences, [(found.start, found.end, found.score) for found in find(text)])
        for find in (delimiters.find, exfiltration.find)
    )
    for name, scores in (("disguised", disguised), ("delimiter", delimited), ("exfiltration", carried)):
        for row, score in scores.items():
            table[row, _COLUMN[name]] = score
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
    return bool((found[list(STRONG)] >= 0.5).any() or (found[list(WEAK)] >= 0.5).sum() >= 2)


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
    for word, following in pairwise(words):
        run = run + 1 if word == following else 1
        if run >= _REPEATS:
            return True
    return False
