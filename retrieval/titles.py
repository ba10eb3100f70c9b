"""Documents that a question names: "the FY22 report of Best Buy" against a file BESTBUY_2022_10K.pdf.

The first chunk of a document carries the words of its title and file name as a sparse vector of their own. The question
brings its words and its runs of two and three words written as one. How much of a name a question holds is the IDF mass
that both share over the IDF mass of the name, with the IDF over what the asker may read.
"""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Final
from urllib.parse import unquote

import numpy as np
import regex

from ingest.terms import Weights, word_ids, words

MAX_QUESTION_WORDS: Final = 200  # of a question that are compared with names
LONGEST_RUN: Final = 3  # words of a question that a name may write as one
OTHER_YEAR_WEIGHT: Final = 0.7  # a question about 2020 to 2022 is answered by the report of 2022, which holds all three

_POSSESSIVE = regex.compile(r"['’]s\b")
_SHORT_FISCAL_YEAR = re.compile(r"\bfy\s?['’]?(\d\d)\b")
_YEAR_AND_PERIOD = re.compile(r"(?:\bfy\s?)?(?<!\d)((?:19|20)\d\d)\s?([qh][1-4])?(?![\da-z])")
_PERIOD_AND_YEAR = re.compile(r"\b([qh][1-4])\s?((?:19|20)\d\d)(?!\d)")
_YEAR = re.compile(r"(?:19|20)\d\d")
_AFTER_PATH = re.compile(r"[?#].*", re.DOTALL)
_WORDLESS_NAMES: Final = frozenset({"index", "readme", "default", "document", "untitled"})


def name_weights(title: str, source_uri: str) -> Weights:
    """Term ids (unique, ascending) of a document's title and file name, each with weight 1."""
    found = sorted({number for word in _normalised(f"{title} {_file_name(source_uri)}") for number in word_ids(word)})
    return np.array(found, np.uint32), np.ones(len(found), np.float32)


def naming_weights(question: str) -> Weights:
    """Term ids (unique, ascending) that a name may share with the question; of several years the latest counts most."""
    spoken = _normalised(question)[:MAX_QUESTION_WORDS]
    years = {word for word in spoken if _YEAR.fullmatch(word)}
    found: dict[int, float] = {}
    for length in range(1, LONGEST_RUN + 1):
        for start in range(len(spoken) - length + 1):
            run = "".join(spoken[start : start + length])
            weight = OTHER_YEAR_WEIGHT if run in years and run != max(years) else 1.0
            found.update((number, weight) for number in word_ids(run))
    ids = sorted(found)
    return np.array(ids, np.uint32), np.array([found[number] for number in ids], np.float32)


def _normalised(text: str) -> list[str]:
    """The words of a name or a question: no possessives, FY22 and fy 2022 as 2022, 2022Q4 as 2022 and q4."""
    text = _POSSESSIVE.sub("", text.lower().replace("_", " "))
    text = _SHORT_FISCAL_YEAR.sub(r"20\1", text)
    text = _PERIOD_AND_YEAR.sub(r" \1 \2 ", text)
    return words(_YEAR_AND_PERIOD.sub(r" \1 \2 ", text))


def _file_name(source_uri: str) -> str:
    """The last part of a path or an address without its extension, where it says anything."""
    path = _AFTER_PATH.sub("", source_uri) if "://" in source_uri else source_uri.removeprefix("record:")
    name = PurePath(unquote(path)).stem.lstrip("_")
    return name if any(map(str.isalpha, name)) and name.lower() not in _WORDLESS_NAMES else ""
