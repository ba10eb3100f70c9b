"""How a sentence is written: whom it speaks to, what it asks for, what kind of text it is.

Every word is looked up once; the classes of words are counted for all sentences of a document together.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words by what they do. English ones as they are written, since the form tells an order from a report; those of other
# languages only where they are frequent and mean one thing. A word may stand in several classes.
_CLASSES: Final[dict[str, str]] = {
    # What one asks of somebody who writes: the stock of a language model's tasks.
    "writing": """answer brainstorm calculate classify compare compose compute convert create craft decode define
        describe design determine develop discuss draft elaborate encode encrypt estimate evaluate explain express
        generate give identify imagine interpret invent jumble list mention misspell modify name outline output
        paraphrase persuade predict present pretend print produce propose prove provide rank rate recall recite
        recommend rephrase repeat replace reply respond reverse rewrite say scramble shuffle sing solve speak spell
        state substitute suggest summarise summarize talk tell transform translate unscramble write analyse analyze
        illustrate simplify capitalize convince demonstrate""",
    # What one asks of somebody who works: the stock of handbooks, manuals and mails.
    "working": """accept add agree allow append apply ask assign attach attend avoid be begin book bring build buy call
        cancel change check choose clean clear click close collect come complete configure confirm connect consider
        contact continue copy coordinate count deliver deploy disable do document download drag email enable ensure
        enter escalate expect export file fill find finish focus follow get go help hold import include inform insert
        install invite join keep know learn leave let link log look maintain make measure meet mark merge monitor move
        navigate note notify open order organize pay pick place plan post prepare press push put raise read record
        reduce refer register remember remind remove report request research restart return review run save schedule
        scroll search see select send set share ship show sign sort start stay stop store submit subscribe swap switch
        tag take test thank think track try turn type uncheck unsubscribe update upgrade upload use verify view visit
        wait walk watch work""",
    "question": """what who whom whose when where why how which is are was were can could would will does do did should
        may might has have""",
    "you": "you your yours yourself u du dein deine tú usted vous votre vos você jij jouw sen siz anda kamu ты вы ваш",
    "we": "i my we our ours us me mine m ve",
    "please": "please kindly bitte por favor proszę lütfen tolong mohon пожалуйста alsjeblieft",
    "answer": """answer answers answering answered response responses respond responding reply replies replying output
        outputs summary summaries summarize summarise summarizing summarising conclusion completion""",
    "reader": "user users reader readers people person audience human humans recipient recipients",
    "machine": "ai assistant assistants chatbot chatbots bot bots llm llms gpt chatgpt model models agent agents",
    "pointing": "above below following previous preceding this that these prior earlier",
    "text": """text document email message article paragraph passage content contents context conversation input
        sentence sentences instruction instructions prompt table code line lines""",
    "form": """word words letter letters vowel vowels character characters emoji emojis rhyme rhymes poem haiku story
        essay limerick song paragraphs bullet bullets synonym synonyms cipher base64 binary ascii morse uppercase
        lowercase backwards tone json markdown spelling punctuation acronym joke riddle dialogue script""",
    "tongue": """english french german spanish italian portuguese dutch russian chinese mandarin japanese korean arabic
        hindi turkish polish swedish latin greek language languages""",
    "adds": """also additionally furthermore moreover besides before after while instead finally then when once whenever
        if""",
    "must": "must should shall always never don only ensure sure not",
    "modal": "can could would will",
    "want": "want need like love ask expect require",
    "to": "to",
    "it": "he she they his her their it its",
    "past": "was were had did said went made took came been",
    "the": "the a an of in for with and",
}  # fmt: skip
_NAMES: Final = tuple(_CLASSES)
_COLUMN: Final = {name: column for column, name in enumerate(_NAMES)}
_SKIPPED: Final = _words(
    """please kindly now then also first next finally additionally furthermore moreover just always never simply only
    immediately instead afterwards lastly second third ok okay and so again once don t do not but or let lets s hey hi
    hello dear secondly thirdly"""
)
_FIRST_WORDS: Final = 6
# Words that follow each other at most so many places apart: who is asked to do it.
_PAIRS: Final = (
    ("modal", "you", 1), ("you", "must", 1), ("you", "modal", 1), ("want", "you", 1), ("you", "to", 1),
    ("you", "answer", 3), ("pointing", "text", 2), ("adds", "you", 2), ("writing", "form", 4), ("writing", "text", 4),
)  # fmt: skip
_AFTER_COMMA = re.compile(r"[^,:;\n]{3,80}[,:;]\s+(?:please\s+|then\s+|also\s+|kindly\s+)?([A-Za-z]+)")
_FILE = re.compile(r"\.(?:md|py|js|go|html?|pdf|json|ya?ml|sh|txt|csv|docx?|xlsx?|png)\b|\]\(")
_ITEM = re.compile(r"(?:[-*•+]|\(?\d{1,3}[.)])\s")
_ABROAD = re.compile(
    "你|您|あなた|당신|आप|तुम|คุณ|أنت|bạn|请|請|ください|부탁|세요|하십시오|कृपया|โปรด|กรุณา|من فضلك|vui lòng|hãy"
)
_FIRST: Final = ("writes", "works", "writes_later", "asks", "negated", "please_first", "lower_start")
_SHAPE: Final = (
    "length", "words", "letters", "capitals", "digits", "signs", "ascii", "prose", "row", "heading", "item", "stopped",
    "colon_end", "query_marks", "shouts", "quotes", "links", "files", "abroad",
)  # fmt: skip
STYLES: Final = (*_FIRST, *_NAMES, *("_".join(map(str, pair[:2])) for pair in _PAIRS), *_SHAPE)
_CAP: Final = 3.0  # more of the same tells no more


def _table() -> tuple[dict[str, int], NDArray[np.float32]]:
    """A row for each known word, row 0 for all others, and a column for each class."""
    rows: dict[str, int] = {}
    for words in _CLASSES.values():
        for word in words.split():
            rows.setdefault(word, len(rows) + 1)
    table = np.zeros((len(rows) + 1, len(_NAMES)), np.float32)
    for name, words in _CLASSES.items():
        for word in words.split():
            table[rows[word], _COLUMN[name]] = 1
    return rows, table


_ROWS, _TABLE = _table()


def style_features(text: str, spans: NDArray[np.int64], sentence_words: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """One row for each sentence [start, end) of `spans`, one column for each of `STYLES`, all between 0 and 3.

    `sentence_words` are the words of each sentence, as `ingest.terms.words` gives them.
    """
    if not len(spans):
        return np.zeros((0, len(STYLES)), np.float32)
    bounds = spans.tolist()
    heads = [_first_words(text, start, end, words) for (start, end), words in zip(bounds, sentence_words, strict=True)]
    columns = [np.array(heads, np.float32), *_word_classes(sentence_words), _shape(text, spans, sentence_words)]
    return np.minimum(np.concatenate(columns, axis=1), _CAP)


def _word_classes(sentence_words: Sequence[Sequence[str]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How often each class and each pair of classes comes in each sentence."""
    sizes = np.array([len(words) for words in sentence_words])
    owner = np.repeat(np.arange(len(sizes)), sizes)
    find = _ROWS.get
    found = _TABLE[[find(word, 0) for word in chain.from_iterable(sentence_words)]]
    classes = np.zeros((len(sizes), len(_NAMES)), np.float32)
    pairs = np.zeros((len(sizes), len(_PAIRS)), np.float32)
    filled = np.flatnonzero(sizes)
    if len(filled):
        classes[filled] = np.add.reduceat(found, (np.cumsum(sizes) - sizes)[filled], axis=0)
    for column, (first, second, gap) in enumerate(_PAIRS):
        at = np.flatnonzero(found[:, _COLUMN[first]])
        for distance in range(1, gap + 1):
            behind = at[at + distance < len(owner)]
            met = (found[behind + distance, _COLUMN[second]] > 0) & (owner[behind] == owner[behind + distance])
            pairs[:, column] += np.bincount(owner[behind[met]], minlength=len(sizes))
    return classes, pairs


def _first_words(text: str, start: int, end: int, words: Sequence[str]) -> tuple[float, ...]:
    """What the first words say: an order to write, an order to work, either behind a comma, a question, a no."""
    writes = works = asks = negated = please = later = 0.0
    for number, word in enumerate(words[:_FIRST_WORDS]):
        kinds = _TABLE[_ROWS.get(word, 0)]
        if kinds[_COLUMN["writing"]]:
            writes = 1.0
        elif kinds[_COLUMN["working"]]:
            works = 1.0
        elif number == 0 and kinds[_COLUMN["question"]]:
            asks = 1.0
        if word not in _SKIPPED:
            break
        negated = max(negated, float(word in ("don", "not", "never")))
        please = max(please, float(kinds[_COLUMN["please"]]))
    if not writes and not works and (found := _AFTER_COMMA.match(text, start, min(end, start + 100))):
        word = found[1].lower()
        later = float(_TABLE[_ROWS.get(word, 0)][_COLUMN["writing"]])
    if text[start:end].isupper() and text[end - 1] not in ".!?":  # "REPLY TEMPLATES" is a heading, and "reply" a noun
        writes = works = 0.0
    return writes, works, later, asks, negated, please, float(text[start].islower())


def _shape(text: str, spans: NDArray[np.int64], sentence_words: Sequence[Sequence[str]]) -> NDArray[np.float32]:
    """Length and make-up of each sentence; whether it is prose, a row, a heading, an item, and how it ends."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    flags = np.append(
        _SIGNS[np.minimum(codes, len(_SIGNS) - 1)], np.uint8(0)
    )  # so that a sentence may end with the text
    length = (spans[:, 1] - spans[:, 0]).astype(np.float32)
    letters, capitals, digits, signs, beyond = (
        np.add.reduceat((flags >> bit) & 1, spans.reshape(-1), dtype=np.int64)[::2] / length for bit in range(5)
    )
    seen = np.array([_looks(text, start, end) for start, end in spans.tolist()], np.float32)
    prose = (letters > 0.72) & (signs < 0.04) & (length >= 20) & (seen[:, 0] == 0)
    counts = np.array([len(words) for words in sentence_words])
    columns = [
        np.log1p(length) / 3,
        np.log1p(counts) / 2,
        letters,
        capitals * 3,
        digits * 3,
        signs * 10,
        1 - beyond,
        prose,
    ]
    return np.concatenate([np.stack(columns, axis=1), seen], axis=1).astype(np.float32)


def _looks(text: str, start: int, end: int) -> tuple[float, ...]:
    sentence = text[start:end]
    last = sentence[-1]
    return (
        sentence.count("|") >= 2 or "\t" in sentence,
        sentence[0] == "#",
        _ITEM.match(sentence) is not None,
        last in ".!?。！？।؟",
        last in ":：",
        sentence.count("?") + sentence.count("？") + sentence.count("؟"),
        sentence.count("!") + sentence.count("！"),
        sum(map(sentence.count, '"“«「`')),
        sentence.count("http") + sentence.count("www."),
        "." in sentence and len(_FILE.findall(sentence)),
        0 if sentence.isascii() else len(_ABROAD.findall(sentence)),
    )


def _signs() -> NDArray[np.uint8]:
    """Per code point: bit 0 letter, 1 capital, 2 digit, 3 sign of code, 4 beyond ASCII. What is beyond is a letter."""
    table = np.zeros(256, np.uint8)
    for code in range(256):
        char = chr(code)
        sign = char in "{}()[];=<>\\|`$_#/&%^~@*+"
        table[code] = char.isalpha() + 2 * char.isupper() + 4 * char.isdigit() + 8 * sign + 16 * (code > 127)
    table[255] = 1 + 16
    return table


_SIGNS: Final = _signs()
