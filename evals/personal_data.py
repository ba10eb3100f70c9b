"""`groundwire eval pii`: what the detectors find of labelled personal data, by type."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evals import metrics
from evals.json_lines import read_json_lines, spread
from evals.own_home import fingerprint
from ingest.errors import BadInput

if TYPE_CHECKING:
    from orchestrator.personal_data.chain import Detected, DetectorChain

Progress = Callable[[str], None]

# Older names and finer types, by the name that Presidio has for them: sets and detections are compared under these.
NAMES: Final[Mapping[str, str]] = {
    "ADDRESS": "STREET_ADDRESS",
    "DOMAIN_NAME": "URL",
    "DATE_OF_BIRTH": "DATE_TIME",
}
_YEAR: Final = re.compile(r"\d{4}")


class Span(BaseModel):
    """One labelled span: the characters [start, end) of its text."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str = Field(min_length=1)
    start: int
    end: int


class AnnotatedText(BaseModel):
    """One text of a set, with all the personal data in it. Fields that are not named here are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    id: str = Field(min_length=1)
    text: str
    spans: tuple[Span, ...] = ()

    @model_validator(mode="after")
    def _spans_are_in_the_text(self) -> AnnotatedText:
        if not all(0 <= span.start < span.end <= len(self.text) for span in self.spans):
            raise ValueError("a span is not in the text")
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One span under the name that is compared."""

    type: str
    start: int
    end: int

    def overlaps(self, other: Labelled) -> bool:
        """Whether the two share a character."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came of one text."""

    id: str
    gold: tuple[Labelled, ...]
    years: tuple[Labelled, ...]  # gold dates that are a year alone: judged apart, since a year is nobody's
    found: tuple[Labelled, ...]
    failed: tuple[str, ...]


def evaluate_personal_data(
    path: Path, chain: DetectorChain | None = None, *, limit: int | None = None, progress: Progress = lambda _: None
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The report on a set and what came of each text, of the standard detectors by default.

    Raises BadInput for a set that cannot be used.
    """
    from orchestrator.personal_data.chain import standard_chain

    chain = chain or standard_chain()
    texts = spread(read_texts(path), limit)
    chain.detect("+49 30 901820 é")  # numbering plans and tables are loaded on first use
    results = []
    seconds = 0.0
    for number, text in enumerate(texts, start=1):
        started = time.process_time()
        detected = chain.detect(text.text)
        seconds += time.process_time() - started
        results.append(judge(text, detected))
        if number % 100 == 0:
            progress(f"{number} of {len(texts)} texts")
    megabytes = sum(len(text.text.encode("utf-8", "replace")) for text in texts) / 1e6
    report = summarise(results, chain.types) | {
        "set": path.stem,
        "revision": fingerprint([path]),
        "words": (words := sum(len(text.text.split()) for text in texts)),
        "not_labelled": _per_words(results, words),
        "mb_per_s": round(megabytes / max(seconds, 1e-9), 2),
    }
    return report, [case_json(result) for result in results]


def read_texts(path: Path) -> tuple[AnnotatedText, ...]:
    """The texts of a .jsonl file. Raises BadInput for one that cannot be used, and for a file without any."""
    texts: list[AnnotatedText] = []
    for place, record in read_json_lines(path):
        try:
            texts.append(AnnotatedText.model_validate(record))
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            name = ".".join(map(str, first["loc"])) or "spans"
            step = "Give each text its id, text and spans, each with type, start and end."
            raise BadInput(place, "bad_case", f"The field {name} cannot be used: {first['msg']}.", step) from error
    if not texts:
        raise BadInput(str(path), "no_cases", "The set has no text.", "Write one JSON object a line.")
    return tuple(texts)


def judge(text: AnnotatedText, detected: Detected) -> CaseResult:
    """What was found in one text, beside what is labelled there."""
    labelled = [_named(span.type, span.start, span.end) for span in text.spans]
    years = [s for s in labelled if s.type == "DATE_TIME" and _YEAR.fullmatch(text.text[s.start : s.end])]
    return CaseResult(
        id=text.id,
        gold=tuple(span for span in labelled if span not in years),
        years=tuple(years),
        found=tuple(_named(entity.type, entity.start, entity.end) for entity in detected.entities),
        failed=detected.failed,
    )


def summarise(results: Sequence[CaseResult], looked_for: frozenset[str]) -> dict[str, Any]:
    """The figures by type: for exact spans, and beside them how much of the labelled data was at least touched."""
    labelled = Counter(span.type for result in results for span in result.gold)
    covered = {NAMES.get(kind, kind) for kind in looked_for}
    return {
        "n": len(results),
        "by_type": {kind: _figures(results, kind) for kind in sorted(labelled) if kind in covered},
        "not_covered": {kind: count for kind, count in sorted(labelled.items()) if kind not in covered},
        "bare_years": sum(len(result.years) for result in results),
        "failed": dict(Counter(name for result in results for name in result.failed)),
    }


def case_json(result: CaseResult) -> dict[str, Any]:
    """One line of `--cases`: offsets only, none of the text."""
    found, gold = set(result.found), set(result.gold)
    return {
        "id": result.id,
        "missed": [_span_json(span) for span in result.gold if span not in found],
        "false": [_span_json(span) for span in result.found if span not in gold and not _is_year(span, result)],
        "failed": list(result.failed),
    }


def _figures(results: Sequence[CaseResult], kind: str) -> dict[str, Any]:
    """Figures of one type. Intervals are Wilson's, which hold near 1 too.

    That of F1 comes from tp / (tp + fp + fn), the share J of which it is the function 2 J / (1 + J) (Jaccard, Dice).
    """
    right: list[bool] = []  # of what was found
    hit: list[bool] = []  # of what is labelled
    touched: list[bool] = []
    for result in results:
        gold = {span for span in result.gold if span.type == kind}
        found = {span for span in result.found if span.type == kind and not _is_year(span, result)}
        right += (span in gold for span in found)
        hit += (span in found for span in gold)
        touched += (any(span.overlaps(other) for other in found) for span in gold)
    misses = len(hit) - sum(hit)
    shared = metrics.share([*right, *[False] * misses])
    return {
        "precision": metrics.share(right).as_json(),
        "recall": metrics.share(hit).as_json(),
        "f1": metrics.Figure(value=_f1(shared.value), low=_f1(shared.low), high=_f1(shared.high)).as_json(),
        "touched": metrics.share(touched).as_json(),
        "n": len(hit),
    }


def _f1(shared: float | None) -> float | None:
    return None if shared is None else 2 * shared / (1 + shared)


def _per_words(results: Sequence[CaseResult], words: int) -> dict[str, dict[str, float]]:
    """What was found of types that the set labels nowhere, which is all of it where a set holds none."""
    labelled = {span.type for result in results for span in result.gold}
    counts = Counter(span.type for result in results for span in result.found if span.type not in labelled)
    return {
        kind: {"n": count, "per_10000_words": round(10_000 * count / max(words, 1), 2)}
        for kind, count in sorted(counts.items())
    }


def _is_year(span: Labelled, result: CaseResult) -> bool:
    return any(span.overlaps(year) for year in result.years)


def _named(kind: str, start: int, end: int) -> Labelled:
    return Labelled(type=NAMES.get(kind, kind), start=start, end=end)


def _span_json(span: Labelled) -> dict[str, Any]:
    return {"type": span.type, "start": span.start, "end": span.end}
