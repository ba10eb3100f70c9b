"""`groundwire eval answers`: how often answers are right, cited as claimed, and left out when they should be."""

from __future__ import annotations

import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import regex

from evals.answer_report import CaseResult, summarise
from evals.golden import GoldenCase, read_golden
from evals.json_lines import spread
from evals.own_home import fingerprint, own_home
from ingest.errors import GroundwireError
from retrieval.sentences import sentence_spans

if TYPE_CHECKING:
    from orchestrator.confidence import Judge
    from orchestrator.contract import Answer, Citation
    from orchestrator.services import Services
    from orchestrator.settings import Settings
    from retrieval.access import Principal, ReadScope

# Scripts without spaces are compared character by character, so that an answer is found inside a sentence.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORDS = regex.compile(rf"[{_UNSPACED}]|[[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]+", regex.V1)

Progress = Callable[[str], None]


# Words from which on a reference is a sentence that was selected, not a short answer that stands inside of one.
SENTENCE_WORDS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A golden set that was asked."""

    results: list[CaseResult]
    not_taken: dict[str, int]  # sources of the corpus, by error code
    encoder: str  # id


async def evaluate_answers(
    settings: Settings,
    golden: Path,
    asker: Principal,
    *,
    corpus: Sequence[Path] = (),
    tags: Path | None = None,
    model: str = "extractive",
    limit: int | None = None,
    progress: Progress = lambda _: None,
) -> tuple[dict[str, Any], list[CaseResult]]:
    """The report on a golden set and the result of each case.

    Asked is the home of the settings or, with `corpus`, a home of its own that holds the corpus, owned by `asker`, with
    the tags of `tags`. `asker` also asks the cases that name nobody. Raises BadInput for a set that cannot be used.
    """
    from orchestrator.confidence import RULE

    started = time.monotonic()
    work = ask_all(settings, golden, asker, corpus=corpus, tags=tags, model=model, limit=limit, progress=progress)
    asked = await work
    report = summarise(asked.results) | {
        "set": golden.stem,
        "revision": fingerprint([golden, *corpus]),
        "not_taken": asked.not_taken,
        "model": model,
        "encoder": asked.encoder,
        "rule": RULE.version,
        "seconds": round(time.monotonic() - started, 1),
    }
    return report, asked.results


async def ask_all(
    settings: Settings,
    golden: Path,
    asker: Principal,
    *,
    corpus: Sequence[Path] = (),
    tags: Path | None = None,
    model: str = "extractive",
    limit: int | None = None,
    judge: Judge | None = None,
    progress: Progress = lambda _: None,
) -> Asked:
    """Ask the cases as `evaluate_answers` does; `judge` decides on answers in place of that of the installation."""
    from orchestrator.services import open_services

    cases = spread(read_golden(golden), limit)
    if corpus:
        own = own_home(settings, golden.stem, corpus)
        settings = own.model_copy(update={"calibration_file": settings.calibration_path})
    async with open_services(settings) as services:
        taken = await _ingest(services, corpus, tags, asker, progress) if corpus else {}
        results = []
        for number, case in enumerate(cases, start=1):
            results.append(await run_case(services, case, case.principal or asker, model, judge))
            progress(f"{number} of {len(cases)} cases")
        return Asked(results=results, not_taken=taken, encoder=services.encoder.id)


async def run_case(
    services: Services, case: GoldenCase, principal: Principal, model: str, judge: Judge | None = None
) -> CaseResult:
    """Ask one question as its principal and judge what came out; whatever goes wrong becomes the result's error."""
    started = time.perf_counter()
    try:
        scope = services.scope(principal)
        answer = await services.ask(case.question, scope, model=model, judge=judge)
        elapsed = 1000 * (time.perf_counter() - started)
        citations = [citation for claim in answer.claims for citation in claim.citations]
        mismatches = await count_mismatches(services, scope, citations)
    except GroundwireError as error:
        return _failed(case, error.code)
    except Exception as error:  # noqa: BLE001 - a defect met by one case must not take the others' results with it
        return _failed(case, type(error).__name__)
    return judged(case, answer, mismatches=mismatches, milliseconds=round(elapsed, 1))


def _failed(case: GoldenCase, code: str) -> CaseResult:
    known = bool(case.reference)
    return CaseResult(
        id=case.id, answerable=case.answerable, has_reference=known, status="error", kind=case.kind, error=code
    )


def judged(case: GoldenCase, answer: Answer, *, mismatches: int, milliseconds: float) -> CaseResult:
    """The result of a case from its answer."""
    citations = [citation for claim in answer.claims for citation in claim.citations]
    cited = tuple(dict.fromkeys(citation.document_id for citation in citations))
    answered = answer.status == "answered"
    right = answered and case.answerable
    overlap = evidence_overlap([citation.quote for citation in citations], case.reference) if right else None
    return CaseResult(
        id=case.id,
        answerable=case.answerable,
        has_reference=bool(case.reference),
        status=answer.status,
        kind=case.kind,
        score=answer.confidence.score,
        calibrated=answer.confidence.calibrated,
        answer=answer.answer,
        flags=answer.flags,
        cited=cited,
        correct=_holds_any(citations, case.reference) if right and case.reference else None,
        reference_cited=not set(case.reference_ids).isdisjoint(cited) if right and case.reference_ids else None,
        evidence_precision=overlap[0] if overlap else None,
        evidence_recall=overlap[1] if overlap else None,
        must_cite_missing=tuple(name for name in case.must_cite if name not in cited) if answered else (),
        must_not_cite=case.must_not_cite,
        must_not_cited=tuple(name for name in case.must_not_cite if name in cited),
        citations=len(citations),
        mismatches=mismatches,
        milliseconds=milliseconds,
    )


async def count_mismatches(services: Services, scope: ReadScope, citations: Sequence[Citation]) -> int:
    """How many citations differ from the slice of the stored text that the asker may read now."""
    stored = await services.library.stored(scope, {(c.document_id, c.version) for c in citations})
    wrong = 0
    for citation in citations:
        version = stored.get((citation.document_id, citation.version))
        wrong += version is None or version.text[citation.start : citation.end] != citation.quote
    return wrong


def holds(text: str, reference: str) -> bool:
    """Whether the words of `reference` stand in `text` one after the other, case and punctuation aside."""
    words = _words(reference)
    return bool(words) and f" {' '.join(words)} " in f" {' '.join(_words(text))} "


def evidence_overlap(quotes: Sequence[str], references: Sequence[str]) -> tuple[float, float] | None:
    """Share of the cited sentences that are references, and of the references that are cited.

    Two sentences are the same when one holds the other. None where the references are not sentences.
    """
    if not references or any(len(_words(reference)) < SENTENCE_WORDS for reference in references):
        return None
    cited = [quote[start:end] for quote in quotes for start, end in sentence_spans(quote)]
    if not cited:
        return None
    same = np.array([[holds(one, gold) or holds(gold, one) for gold in references] for one in cited])
    return float(same.any(axis=1).mean()), float(same.any(axis=0).mean())


async def _ingest(
    services: Services, corpus: Sequence[Path], tags: Path | None, asker: Principal, progress: Progress
) -> dict[str, int]:
    """Take the corpus in; how many sources were not taken, by error code."""
    report = await services.ingest(
        corpus,
        {"owner": asker.subject, "tenant": asker.tenant},
        tags,
        progress=lambda report: progress(f"{report.documents} documents, {report.chunks} chunks"),
    )
    return dict(Counter(failure.error.code for failure in report.failed))


def _holds_any(citations: Sequence[Citation], references: Sequence[str]) -> bool:
    return any(holds(citation.quote, reference) for citation in citations for reference in references)


def _words(text: str) -> list[str]:
    found: list[str] = _WORDS.findall(unicodedata.normalize("NFKC", text).casefold())
    return found
