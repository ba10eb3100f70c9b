"""The classes of words that orders to a model are made of."""

from __future__ import annotations

from enum import IntFlag, auto


class Word(IntFlag):
    """What a word can do in an order. A word may do several things."""

    OVERRIDE = auto()  # ignore, disregard
    DROP = auto()  # skip, delete: override only together with rules
    OBEY = auto()
    NEGATION = auto()
    INSTRUCTION = auto()
    PROMPT = auto()
    PRIOR = auto()  # previous, above: what came before
    VERBATIM = auto()
    EVERYTHING = auto()
    NEW = auto()
    TASK = auto()
    YOU = auto()
    YOUR = auto()
    BE = auto()
    NOW = auto()
    FROM = auto()
    INSTEAD = auto()
    AI = auto()
    GREETING = auto()  # what comes before the one who is addressed
    USER = auto()
    SAY = auto()
    REVEAL = auto()
    REPEAT = auto()
    ONLY = auto()
    NOTHING = auto()
    ELSE = auto()
    ANSWER = auto()  # response, summary: what a model writes
    ADD = auto()
    SECRET = auto()
    QUESTION = auto()
    ACT = auto()
    AS = auto()
    PERSONA = auto()
    MODE = auto()
    MODE_NAME = auto()
    ENABLE = auto()
    SELF = auto()  # I, this is
    ROLE = auto()  # developer, administrator
    ACCESS = auto()
    GRANTED = auto()
    WITHOUT = auto()
    SAFETY = auto()
    ENCODING = auto()
    DECODE = auto()
    SEND = auto()
    DATA = auto()
    ADDRESS = auto()  # a URL or a mail address
    LINK = auto()
    VISIT = auto()
    TELL = auto()
    RUN = auto()
    COMMAND = auto()
    TOOL = auto()
    USE = auto()
    PLAY = auto()
    GAME = auto()
    FICTION = auto()
    BOUNDARY = auto()
    CONTEXT = auto()
    URGENT = auto()
    MUST = auto()
    REFUSE = auto()
    HIDE = auto()
    PRAISE = auto()
    LETTERS = auto()
    JOIN = auto()
    CODE = auto()
    ATTACK = auto()  # speaks about attacks
    EXAMPLE = auto()
    DESCRIBED = auto()  # ignores, ignored: told, not ordered
    IF = auto()
    FOREIGN = auto()  # a word of another language than English
