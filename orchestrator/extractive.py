"""The `extractive` model: answers with sentences of the evidence. It needs no key, costs nothing and is deterministic.

Every sentence of the passages that were found is scored by BM25 over this pool alone, by late interaction with the
question (`Hit.tokens`), by how much of the question it covers, and by whether it has the kind of thing that is asked
for. The scores are those of a conditional logit, so that their softmax over the pool is the chance that a sentence is
the one that answers.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.chunker import encoder_input
from ingest.encoder import QueryEncoding
from ingest.terms import terms
from orchestrator.citations import Draft, DraftClaim, Quote
from orchestrator.question import Question, holds_answer_kind
from retrieval.evidence import Hit, Passage
from retrieval.late_interaction import max_sim_segments
from retrieval.sanitising import touches
from retrieval.sentences import sentence_spans

NAME: Final = "extractive"
UNREADABLE: Final = 0.2  # `QueryEncoding.familiarity` up to which late interaction says nothing (Thai, Russian: < .03)
READABLE: Final = 0.85  # from which on it counts in full (Turkish: .5, German: .69, English: .91)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractiveConfig:
    """How much evidence is read and how much of it is quoted."""

    max_hits: int = 6  # passages read, from the best down; ten quote the answer no more often
    max_characters: int = 4_000  # of one passage
    max_sentences: int = 200  # of all passages together
    min_letters: int = 3  # letters and digits of a sentence that says something
    max_claims: int = 4
    # Chance of a further sentence, as a share of the best one's: the greater the lead of the best, the shorter the
    # answer. On CLAP NQ (answers of two to four sentences) 3.0 are quoted, on SQuAD 2.0 (short answers) 1.7; what
    # further features of a sentence add (place, same passage, kind of question) is within the noise.
    min_share: float = 0.08


# Weights of a sentence's features, in the order of `FEATURES`: a conditional logit fitted on the answerable questions
# of half the articles of SQuAD 2.0's development set and rounded; on the other half its best sentence holds the answer
# to 85 of 100 questions (BM25 80), over nine languages of XQuAD to 72.
# The last two are set by hand: those sets have neither tables nor headings.
FEATURES: Final = ("late_interaction", "bm25", "coverage", "kind", "hit", "row_key", "heading")
WEIGHTS: Final = (0.7, 0.5, 1.9, 1.3, 1.2, 1.5, -1.0)
LONGEST_HEADING: Final = 100  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence of a passage."""

    passage: Passage
    rank: int  # of its passage among the hits, 0 is the best
    start: int  # in the stored text
    end: int
    text: str
    terms: tuple[str, ...]  # in order, repetitions kept
    context: frozenset[str]  # terms of title, headings and, for a row of a table, its header


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The sentences of the evidence with what speaks for each."""

    sentences: tuple[Sentence, ...]
    similarity: NDArray[np.float32]  # [sentences], late interaction with the question, -1 to 1
    familiar: float  # 0 to 1, how far the encoder can read the question, so how far its similarity counts
    idf: dict[str, float]  # of the question's terms, within the pool
    features: NDArray[np.float64]  # [sentences, FEATURES]
    chances: NDArray[np.float64]  # [sentences], sum 1

    @property
    def order(self) -> list[int]:
        """Indices of the sentences from the best down; equals by rank of the passage, then by place."""
        return [int(index) for index in np.argsort(-self.chances, kind="stable")]


def pool(
    question: Question,
    encoding: QueryEncoding,
    hits: Sequence[Hit],
    config: ExtractiveConfig | None = None,
) -> Pool:
    """The sentences of `hits`, scored for `question`, whose encoding the retriever has made already."""
    config = config or ExtractiveConfig()
    hits = hits[: config.max_hits]
    sentences = _sentences(hits, config)
    similarity = _similarity(encoding, hits, sentences)
    idf = _pool_idf(question.terms, sentences)
    familiar = min(1.0, max(0.0, (encoding.familiarity - UNREADABLE) / (READABLE - UNREADABLE)))
    features = _features(question, hits, sentences, familiar * _standardised(similarity), idf)
    logits = features @ np.array(WEIGHTS)
    chances = np.exp(logits - logits.max(initial=0.0))
    return Pool(
        sentences=sentences,
        similarity=similarity,
        familiar=familiar,
        idf=idf,
        features=features,
        chances=chances / max(float(chances.sum()), 1e-12),
    )


def choose(pool: Pool, config: ExtractiveConfig | None = None) -> list[Sentence]:
    """One to `max_claims` sentences of the pool, the best first; none when it is empty."""
    config = config or ExtractiveConfig()
    chosen: list[int] = []
    for index in pool.order:
        if len(chosen) == config.max_claims:
            break
        if chosen and pool.chances[index] < config.min_share * pool.chances[chosen[0]]:
            break
        if all(pool.sentences[index].terms != pool.sentences[other].terms for other in chosen):
            chosen.append(index)
    return [pool.sentences[index] for index in chosen]


def draft(pool: Pool, config: ExtractiveConfig | None = None) -> Draft:
    """A claim for each chosen sentence."""
    return Draft(claims=tuple(claim_of(sentence) for sentence in choose(pool, config)))


# Sentences


def _sentences(hits: Sequence[Hit], config: ExtractiveConfig) -> tuple[Sentence, ...]:
    found: list[Sentence] = []
    seen: set[tuple[str, int, int]] = set()
    for rank, hit in enumerate(hits):
        for sentence in _passage_sentences(rank, hit.passage, config):
            place = (sentence.passage.document_id, sentence.start, sentence.end)
            if place not in seen and len(found) < config.max_sentences:
                seen.add(place)
                found.append(sentence)
    return tuple(found)


def _passage_sentences(rank: int, passage: Passage, config: ExtractiveConfig) -> list[Sentence]:
    text = passage.text[: config.max_characters]
    spans = sentence_spans(text)
    if len(text) < len(passage.text):
        spans = spans[:-1] or spans  # the last one is likely to be cut
    frame = frozenset(terms(" ".join((passage.title, *passage.headings))))
    header = table_header(passage)
    header_terms = frozenset(terms(header)) if header else frozenset()
    found: list[Sentence] = []
    for start, end in spans:
        words = text[start:end]
        if sum(map(str.isalnum, words)) < config.min_letters or words in passage.headings or words == header:
            continue
        if touches(passage.withheld, passage.start + start, passage.start + end):
            continue  # what is left of it may say something else
        found.append(
            Sentence(
                passage=passage,
                rank=rank,
                start=passage.start + start,
                end=passage.start + end,
                text=words,
                terms=tuple(terms(words)),
                context=frame | header_terms if is_row(words) else frame,
            )
        )
    return found


def is_row(text: str) -> bool:
    """Whether a line is a row of a table, as the parsers write them."""
    return " | " in text or "\t" in text


def _cells(row: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"\t| \| ", row.strip("| "))]


def table_header(passage: Passage) -> str:
    """The first row of a passage that has further rows of as many cells, else nothing."""
    rows = [line.strip() for line in passage.text[:2_000].split("\n") if is_row(line)]
    return rows[0] if len(rows) > 1 and len(_cells(rows[0])) == len(_cells(rows[1])) else ""


# Features


def _similarity(encoding: QueryEncoding, hits: Sequence[Hit], sentences: Sequence[Sentence]) -> NDArray[np.float32]:
    """Late interaction of the question with each sentence [sentences]; 0 for one that the encoder did not see."""
    out = np.zeros(len(sentences), np.float32)
    for rank, hit in enumerate(hits):
        if hit.tokens is None or not len(hit.tokens.bits):
            continue
        starts = token_places(hit)
        columns = [column for column, sentence in enumerate(sentences) if sentence.rank == rank]
        bounds = np.array([(sentences[column].start, sentences[column].end) for column in columns], np.int64)
        out[columns] = max_sim_segments(encoding, hit.tokens.bits, np.searchsorted(starts, bounds.reshape(-1, 2)))
    return out


def token_places(hit: Hit) -> NDArray[np.int64]:
    """Where in the stored text each token of the hit begins [tokens]; those of title and headings lie before it."""
    if hit.tokens is None:
        return np.zeros(0, np.int64)
    _, offset = encoder_input(hit.passage.title, hit.passage.headings, hit.passage.text)
    return hit.tokens.starts.astype(np.int64) + (hit.passage.start - offset)


def _pool_idf(question_terms: Sequence[str], sentences: Sequence[Sentence]) -> dict[str, float]:
    count = len(sentences)
    frequency = {term: sum(term in sentence.terms for sentence in sentences) for term in question_terms}
    return {term: float(np.log1p((count - df + 0.5) / (df + 0.5))) for term, df in frequency.items()}


def _bm25(question_terms: Sequence[str], sentences: Sequence[Sentence]) -> NDArray[np.float64]:
    from rank_bm25 import BM25Plus

    corpus = [sentence.terms for sentence in sentences]
    if not any(corpus):
        return np.zeros(len(sentences))
    return np.asarray(BM25Plus(corpus).get_scores(list(question_terms)), np.float64)


def coverage(idf: dict[str, float], own: Collection[str], context: frozenset[str]) -> float:
    """Share of the question's idf mass that a sentence has; what only its context has counts half."""
    total = sum(idf.values())
    held = sum(weight for term, weight in idf.items() if term in own)
    framed = sum(weight for term, weight in idf.items() if term in context and term not in own)
    return (held + 0.5 * framed) / total if total else 0.0


def _features(
    question: Question,
    hits: Sequence[Hit],
    sentences: Sequence[Sentence],
    late: NDArray[np.float64],
    idf: dict[str, float],
) -> NDArray[np.float64]:
    scores = _standardised(np.array([hit.score for hit in hits], np.float64))
    rows = [
        (
            coverage(idf, sentence.terms, sentence.context),
            float(holds_answer_kind(sentence.text, question)),
            float(scores[sentence.rank]),
            float(_is_asked_row(sentence, question)),
            float(_is_like_heading(sentence.text)),
        )
        for sentence in sentences
    ]
    rest = np.array(rows, np.float64).reshape(len(sentences), 5)
    return np.column_stack((late, _standardised(_bm25(question.terms, sentences)), rest))


def _is_asked_row(sentence: Sentence, question: Question) -> bool:
    """Whether a sentence is a row of a table whose first cell the question names."""
    key = terms(_cells(sentence.text)[0]) if is_row(sentence.text) else []
    return bool(key) and set(question.terms).issuperset(key)


_CLOSED: Final = re.compile(r"[.!?:;。！？।॥۔؟…|\t]|\d|^\s*[-*•◦▪‣–·]\s", re.MULTILINE)


def _is_like_heading(text: str) -> bool:
    """Whether `text` is a short line with no mark of a sentence, a list, a row or a number in it."""
    return len(text) <= LONGEST_HEADING and text.isascii() and _CLOSED.search(text) is None


def _standardised(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Mean 0 and deviation 1; all 0 when the values are equal."""
    deviation = float(values.std()) if len(values) else 0.0
    if deviation < 1e-9:
        return np.zeros(len(values))
    return np.asarray((values - values.mean()) / deviation, np.float64)


# Claims


def rendered_row(header: str, row: str) -> str:
    """A row of a table with the names of its columns, "Name: cell; ..."; empty when they are not of one table."""
    names, cells = _cells(header), _cells(row)
    if not is_row(row) or len(names) != len(cells):
        return ""
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(names, cells, strict=True) if cell)


_NEEDS_SUBJECT: Final = re.compile(
    r"(?:it|its|they|their|them|he|his|she|her|this|these|those|that|such|both|es|sie|er|diese[rsmn]?|il|elle|ils|elles"
    r"|ce|cette|ces|ello|ellos|ellas|esta?o?s?)\b",
    re.IGNORECASE,
)


def claim_of(sentence: Sentence) -> DraftClaim:
    """The sentence as a claim that quotes it; a row of a table with the names of its columns."""
    passage = sentence.passage
    quotes = [Quote(passage=passage, text=sentence.text, start=sentence.start)]
    text = sentence.text
    if is_row(text) and (header := table_header(passage)):
        if row := rendered_row(header, text):
            text = row
            quotes.append(Quote(passage=passage, text=header))
    elif _NEEDS_SUBJECT.match(text):
        subject = passage.headings[-1] if passage.headings else passage.title
        text = f"{subject}: {text}" if subject else text
    return DraftClaim(text=text, quotes=tuple(quotes))
