"""Text to token ids, offsets and token weights. The sole importer of `tokenizers`."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ingest.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PASSAGE_TOKENS = 220  # a passage of usual length, for the share of passages that hold a token
_SINGLE_CHARACTER_RANK = 100  # beside common words such as "many"; digits and letters are many in every text
_READABLE_LENGTH = 3
_READABLE_LENGTH_EAST_ASIAN = 2  # words of Chinese, Japanese and Korean are about half as long


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenized:
    """One text as the model sees it."""

    ids: NDArray[np.int64]  # [length], special tokens and prefix included
    rows: NDArray[np.int64]  # [tokens], which of `ids` belong to the text itself
    spans: NDArray[np.int64]  # [tokens, 2], character offsets in the text, row for row with `rows`


class TextTokenizer:
    """The model's own tokeniser, cut at `max_tokens` (special tokens and prefix included), never padded."""

    def __init__(self, file: Path, *, max_tokens: int) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(file))
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._max_tokens = max_tokens
        self._closing = _closing_tokens(self._tokenizer.encode("a").special_tokens_mask)
        self._unknown = _unknown_id(json.loads(self._tokenizer.to_str())["model"])
        self._idf: NDArray[np.float32] | None = None

    def room(self, prefix: str) -> int:
        """Tokens left for a text beside the special tokens and `prefix`. Raises `BadInput` when there is none."""
        room = self._max_tokens - len(self._tokenizer.encode(prefix).ids)
        if room < 1:
            raise BadInput(
                "encoder",
                "encoder_no_room",
                f"A limit of {self._max_tokens} tokens leaves no room for a text beside the prefix {prefix!r}.",
                "Raise max_tokens or shorten the prefix.",
            )
        return room

    def tokenize(self, texts: Sequence[str], prefix: str = "") -> list[Tokenized]:
        """Tokenises each of `texts` behind `prefix`, cut at the limit."""
        encodings = self._tokenizer.encode_batch([prefix + _readable(text) for text in texts])
        return [self._cut(encoding, len(prefix)) for encoding in encodings]

    def starts(self, text: str) -> NDArray[np.int64]:
        """Where the tokens of a whole text begin, ascending: several at one place where one character is cut up."""
        offsets = self._tokenizer.encode(_readable(text), add_special_tokens=False).offsets
        return np.sort(np.array([start for start, _ in offsets], np.int64))

    def weights(self, text: str, tokenized: Tokenized) -> NDArray[np.float32]:
        """How telling each token of `text` is: [tokens], 0 for punctuation, near 0 for stop words, about 7 at most.

        The weight is the inverse document frequency that the vocabulary alone suggests, so that no statistic of the
        indexed documents can leak through it: -ln(1 - exp(-n p)) is the negative logarithm of the share of passages of
        n = 220 tokens which hold a token of probability p at least once (Poisson). Unigram vocabularies state p. Those
        of WordPiece and BPE are ordered by frequency, so that Zipf's law (Zipf, 1949) gives p = 1 / (rank * H) with the
        harmonic number H of the vocabulary's size. Single characters are listed in code order instead and all count as
        rank 100. A piece that the vocabulary does not know tells nothing.
        """
        if self._idf is None:
            self._idf = _vocabulary_idf(json.loads(self._tokenizer.to_str()))
        weights = self._idf[tokenized.ids[tokenized.rows]]
        silent = [not any(map(str.isalnum, text[start:end])) for start, end in tokenized.spans]
        weights[silent] = 0
        weights[tokenized.ids[tokenized.rows] == self._unknown] = 0
        return weights

    def _cut(self, encoding: Any, prefix_length: int) -> Tokenized:
        """The encoding within the limit, with its closing tokens, and which of its rows are the text's own."""
        over = max(0, len(encoding.ids) - self._max_tokens)
        last = len(encoding.ids) - self._closing
        kept = np.r_[0 : last - over, last : len(encoding.ids)]
        ids = np.array(encoding.ids, np.int64)[kept]
        offsets = np.array(encoding.offsets, np.int64).reshape(-1, 2)[kept] - prefix_length
        own = np.array(encoding.special_tokens_mask)[kept] == 0
        if prefix_length:
            own &= offsets[:, 1] > 0
        rows = np.flatnonzero(own)
        return Tokenized(ids=ids, rows=rows, spans=offsets[rows].clip(min=0))

    def familiarity(self, text: str, tokenized: Tokenized) -> float:
        """Share of the letters of `text` in pieces of at least 3 characters (2 in East Asian scripts), 1.0 without any.

        A tokeniser breaks words of a language that it has hardly seen into crumbs, and where the tokeniser has not seen
        a language, neither has the model. Unknown pieces count as unread; the mark of a continuation is no character.
        """
        letters = read = 0
        for token, (start, end) in zip(tokenized.ids[tokenized.rows], tokenized.spans, strict=True):
            piece = text[start:end].strip()
            count = sum(map(str.isalpha, piece))
            letters += count
            if token != self._unknown and len(piece) >= _readable_length(piece):
                read += count
        return read / letters if letters else 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Texts of like length that go through the model together."""

    texts: list[int]  # [b], positions of the texts in the call
    ids: NDArray[np.int64]  # [b, length], padded with zeros
    mask: NDArray[np.int64]  # [b, length], 1 for tokens, 0 for padding


def batches(tokenized: Sequence[Tokenized], *, batch_tokens: int) -> Iterator[Batch]:
    """Cuts texts into batches of at most `batch_tokens` with padding, longest first, so that little is padded."""
    order = sorted(range(len(tokenized)), key=lambda text: -len(tokenized[text].ids))
    start = 0
    while start < len(order):
        length = len(tokenized[order[start]].ids)
        texts = order[start : start + max(1, batch_tokens // length)]
        yield _padded(texts, [tokenized[text].ids for text in texts], length)
        start += len(texts)


def _padded(texts: list[int], rows: list[NDArray[np.int64]], length: int) -> Batch:
    ids = np.zeros((len(rows), length), np.int64)
    mask = np.zeros_like(ids)
    for row, tokens in enumerate(rows):
        ids[row, : len(tokens)] = tokens
        mask[row, : len(tokens)] = 1
    return Batch(texts=texts, ids=ids, mask=mask)


def _readable(text: str) -> str:
    """`text` with every lone surrogate, which no tokeniser takes, as one "?", so that offsets stay."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _closing_tokens(special_tokens_mask: Sequence[int]) -> int:
    """How many special tokens stand behind a text."""
    return special_tokens_mask[::-1].index(0)


def _unknown_id(model: dict[str, Any]) -> int:
    if model["type"] == "Unigram":
        return -1 if model.get("unk_id") is None else int(model["unk_id"])
    return int(model["vocab"].get(model.get("unk_token"), -1))


def _readable_length(piece: str) -> int:
    east_asian = any("\u3040" <= character <= "\u9fff" or "\uac00" <= character <= "\ud7a3" for character in piece)
    return _READABLE_LENGTH_EAST_ASIAN if east_asian else _READABLE_LENGTH


def _vocabulary_idf(tokenizer: dict[str, Any]) -> NDArray[np.float32]:
    """`TextTokenizer.weights` for every id of the vocabulary."""
    model = tokenizer["model"]
    size = 1 + max([len(model["vocab"]) - 1, *(added["id"] for added in tokenizer["added_tokens"])])
    special = [added["id"] for added in tokenizer["added_tokens"]]
    if model["type"] == "Unigram":
        probability = np.full(size, 1e-9)
        probability[: len(model["vocab"])] = [math.exp(score) for _, score in model["vocab"]]
    else:
        probability = _zipf(_ranks(model, special, size))
    probability[special] = probability.min()
    idf: NDArray[np.float64] = -np.log(-np.expm1(-_PASSAGE_TOKENS * probability))
    return idf.astype(np.float32)


def _ranks(model: dict[str, Any], special: list[int], size: int) -> NDArray[np.float64]:
    """The place of each piece among those that are ordered by frequency, counted from 1."""
    ordered = np.zeros(size, bool)
    single = np.ones(size, bool)
    marker = model.get("continuing_subword_prefix") or ""
    for piece, token in model["vocab"].items():
        plain = piece.removeprefix(marker).lstrip("\u0120\u2581")  # the marks of a word's start: Ġ and ▁
        single[token] = len(plain) <= 1
        ordered[token] = not (single[token] or piece.startswith("[unused"))
    ordered[special] = False
    ranks = np.cumsum(ordered).clip(min=1).astype(np.float64)
    ranks[single] = min(_SINGLE_CHARACTER_RANK, ranks[-1])
    return ranks


def _zipf(ranks: NDArray[np.float64]) -> NDArray[np.float64]:
    harmonic = math.log(ranks.max()) + 0.5772  # Euler and Mascheroni
    return 1 / (ranks * harmonic)
