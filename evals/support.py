"""`groundwire eval support`: whether the support check tells carried claims from others, and finds what carries them.

Also `evidence_overlap`, which holds the sentences that an answer cites against those that people selected.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evals import metrics
from evals.json_lines import read_json_lines, spread
from evals.own_home import fingerprint, own_home
from ingest.errors import BadInput
from ingest.terms import words
from orchestrator.support.evidence import Statement
from orchestrator.support.score import RULE, Support, support

if TYPE_CHECKING:
    from ingest.encoder import Encoder
    from orchestrator.settings import Settings

Label = Literal["supported", "partial", "not_supported"]
Progress = Callable[[str], None]

SAME: Final = 0.8  # share of the shorter text's words that the longer must have for the two to be one sentence


class SupportCase(BaseModel):
    """One claim with its evidence. Fields that are not named here are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    id: str = Field(min_length=1)
    claim: str
    evidence: tuple[str, ...]  # sentences, in order
    label: Label
    supporting: tuple[tuple[int, ...], ...] = ()  # sets of sentences, each of which carries what can be carried
    context: str = ""  # what the evidence stands under

    @model_validator(mode="after")
    def _sentences_are_there(self) -> SupportCase:
        if any(not 0 <= index < len(self.evidence) for one in self.supporting for index in one):
            raise ValueError("a supporting sentence is not in the evidence")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """How far cited sentences are the selected ones; each 0 to 1."""

    precision: float
    recall: float

    @property
    def f1(self) -> float:
        """Harmonic mean of the two."""
        total = self.precision + self.recall
        return 2 * self.precision * self.recall / total if total else 0.0


def evidence_overlap(cited_texts: Sequence[str], gold_texts: Sequence[str]) -> Overlap:
    """Share of the cited texts that are a gold one, and of the gold ones that are cited.

    Two texts are one sentence when `SAME` of the words of the shorter stand in the longer: spacing, punctuation and
    where a sentence ends differ between sets. Both shares are 0 where either side is empty.
    """
    cited, gold = [Counter(words(text)) for text in cited_texts], [Counter(words(text)) for text in gold_texts]
    if not cited or not gold:
        return Overlap(precision=0.0, recall=0.0)
    return Overlap(
        precision=sum(any(_same(one, other) for other in gold) for one in cited) / len(cited),
        recall=sum(any(_same(one, other) for one in cited) for other in gold) / len(gold),
    )


async def evaluate_support(
    settings: Settings,
    path: Path,
    *,
    vectors: bool = True,
    limit: int | None = None,
    progress: Progress = lambda _: None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The report on a set, and what came of each claim. Without `vectors` claims are judged by their words alone.

    Raises BadInput for a set that cannot be used.
    """
    from orchestrator.services import open_services

    started = time.monotonic()
    cases = spread(read_cases(path), limit)
    encoder_id = None
    if vectors:
        async with open_services(own_home(settings, path.stem, [path])) as services:
            encoder_id = services.encoder.id
            judged, cpu_s = judge_cases(cases, services.encoder, progress=progress)
    else:
        judged, cpu_s = judge_cases(cases, progress=progress)
    progress("intervals")
    report = summarise(cases, judged) | {
        "cpu_ms_per_claim": round(1000 * cpu_s / len(cases), 2),
        "set": path.stem,
        "revision": fingerprint([path]),
        "rule": RULE.version,
        "encoder": encoder_id,
        "seconds": round(time.monotonic() - started, 1),
    }
    return report, [case_json(*pair) for pair in zip(cases, judged, strict=True)]


def read_cases(path: Path) -> tuple[SupportCase, ...]:
    """The cases of a .jsonl file. Raises BadInput for one that cannot be used, and for a file without any."""
    cases: dict[str, SupportCase] = {}
    for place, record in read_json_lines(path):
        try:
            case = SupportCase.model_validate(record)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "supporting"
            step = "Give each case its id, claim, evidence and label: supported, partial or not_supported."
            raise BadInput(place, "bad_case", f"The field {name} cannot be used: {first['msg']}.", step) from error
        if case.id in cases:
            raise BadInput(
                place, "duplicate_id", f"The case {case.id} came before.", "Give each case an id of its own."
            )
        cases[case.id] = case
    if not cases:
        raise BadInput(str(path), "no_cases", "The set has no case.", "Write one JSON object a line.")
    return tuple(cases.values())


def judge_cases(
    cases: Sequence[SupportCase], encoder: Encoder | None = None, *, progress: Progress = lambda _: None
) -> tuple[list[Support], float]:
    """What the check says of each case, and the processor seconds of the check, without those of the encoder."""
    judged: list[Support] = []
    seconds = 0.0
    for number, case in enumerate(cases, start=1):
        statements = encoded(case.evidence, encoder) if encoder else [Statement(text=text) for text in case.evidence]
        encoding = encoder.encode_query(case.claim) if encoder else None
        began = time.process_time()
        judged.append(support(case.claim, statements, encoding=encoding, context=case.context))
        seconds += time.process_time() - began
        progress(f"{number} of {len(cases)} claims")
    return judged, seconds


def encoded(sentences: Sequence[str], encoder: Encoder) -> list[Statement]:
    """The sentences with their token vectors, encoded with what stands around them, as a document's chunks are."""
    statements: list[Statement] = []
    windows = list(_windows(sentences, encoder))
    for window, tokens in zip(windows, encoder.encode([" ".join(window) for window in windows]).tokens, strict=True):
        start = 0
        for text in window:
            first, last = np.searchsorted(tokens.starts, (start, start + len(text)))
            statements.append(Statement(text=text, tokens=tokens.bits[first:last]))
            start += len(text) + 1
    return statements


def summarise(cases: Sequence[SupportCase], judged: Sequence[Support]) -> dict[str, Any]:
    """The figures over all cases, each `{value, low, high}`.

    auroc: supported against not supported, partly supported claims left out; with them as supported, and as not.
    average_precision: of ranking the supported ones first, with the same readings. sentence_*: the selected sentences
    against the best of the sets that carry the claim, over the claims that are carried at least in part. contradicted:
    share of each label's claims that the check rejects by name, whatever the score.
    """
    scores: dict[Label, list[float]] = {"supported": [], "partial": [], "not_supported": []}
    rejected: dict[Label, list[bool]] = {"supported": [], "partial": [], "not_supported": []}
    for case, one in zip(cases, judged, strict=True):
        scores[case.label].append(one.score)
        rejected[case.label].append(bool(one.contradictions))
    yes, part, no = scores["supported"], scores["partial"], scores["not_supported"]
    readings = {"": (yes, no), "_partial_as_supported": (yes + part, no), "_partial_as_not": (yes, part + no)}
    overlaps = [_best_overlap(case, one) for case, one in zip(cases, judged, strict=True) if any(case.supporting)]
    return {
        "n": len(cases),
        "labels": {label: len(found) for label, found in scores.items()},
        **{f"auroc{name}": metrics.auroc_figure(*pair).as_json() for name, pair in readings.items()},
        **{f"average_precision{name}": _average_precision(*pair).as_json() for name, pair in readings.items()},
        "sentence_precision": _mean([one.precision for one in overlaps]),
        "sentence_recall": _mean([one.recall for one in overlaps]),
        "sentence_f1": _mean([one.f1 for one in overlaps]),
        "sentences_selected": metrics.rounded(float(np.mean([len(one.selected) for one in judged]))),
        "contradicted": {label: metrics.share(found).as_json() for label, found in rejected.items()},
    }


def average_precision(scores: ArrayLike, positive: ArrayLike) -> float:
    """Area under the curve of precision over recall, as the mean of the precision at each positive; ties come together.

    0 without a positive. As in Manning, Raghavan and Schütze, "Introduction to Information Retrieval", 2008, ch. 8.
    """
    values, hits = np.asarray(scores, np.float64), np.asarray(positive, np.float64)
    order = np.argsort(-values, kind="stable")
    values, hits = values[order], hits[order]
    last = np.searchsorted(-values, -values, side="right")  # how many score at least as much
    return float((hits * (np.cumsum(hits)[last - 1] / last)).sum() / max(1.0, hits.sum()))


def case_json(case: SupportCase, judged: Support) -> dict[str, Any]:
    """One line of `--cases`."""
    return {
        "id": case.id,
        "label": case.label,
        "score": judged.score,
        "signals": dict(judged.signals),
        "selected": list(judged.selected),
        "contradictions": [{"kind": one.kind, "words": list(one.words)} for one in judged.contradictions],
    }


def _same(one: Counter[str], other: Counter[str]) -> bool:
    shorter = min(one.total(), other.total())
    return shorter > 0 and (one & other).total() >= SAME * shorter


def _windows(sentences: Sequence[str], encoder: Encoder) -> Iterator[list[str]]:
    """Runs of sentences that the encoder sees whole; one that is too long for it stands alone and is cut."""
    window: list[str] = []
    size = 0
    for text in sentences:
        tokens = len(encoder.token_starts(text))
        if window and size + tokens > encoder.max_tokens:
            yield window
            window, size = [], 0
        window.append(text)
        size += tokens
    if window:
        yield window


def _best_overlap(case: SupportCase, judged: Support) -> Overlap:
    found = set(judged.selected)
    overlaps = [
        Overlap(precision=len(found & set(one)) / max(1, len(found)), recall=len(found & set(one)) / len(set(one)))
        for one in case.supporting
        if one
    ]
    return max(overlaps, key=lambda one: one.f1)


def _average_precision(positive: Sequence[float], negative: Sequence[float]) -> metrics.Figure:
    above, below = np.asarray(positive, np.float64), np.asarray(negative, np.float64)
    labels = np.repeat([1.0, 0.0], [len(above), len(below)])
    return metrics.bootstrap(
        lambda a, b: average_precision(np.concatenate([above[a], below[b]]), labels), [len(above), len(below)]
    )


def _mean(values: Sequence[float]) -> dict[str, float | None]:
    return (metrics.mean(values) if values else metrics.NOTHING).as_json()
