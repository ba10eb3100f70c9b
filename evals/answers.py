"""`groundwire eval answers`: how often answers are right, cited as claimed, and left out when they should be."""

from __future__ import annotations

import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import regex

from evals import metrics
from evals.golden import GoldenCase, read_golden
from evals.json_lines import spread
from evals.own_home import fingerprint, own_home
from ingest.errors import GroundwireError

if TYPE_CHECKING:
    from orchestrator.contract import Answer, Citation
    from orchestrator.services import Services
    from orchestrator.settings import Settings
    from retrieval.access import Principal, ReadScope

# Scripts without spaces are compared character by character, so that an answer is found inside a sentence.
_UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
_WORDS = regex.compile(rf"[{_UNSPACED}]|[[\p{{L}}\p{{M}}\p{{N}}]--[{_UNSPACED}]]+", regex.V1)

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What came out of one case. `--cases` writes one a line."""

    id: str
    answerable: bool
    has_reference: bool  # whether the case says what a right answer cites
    status: str  # of the answer, or "error"
    error: str | None = None  # code
    score: float | None = None  # confidence
    answer: str = ""
    cited: tuple[str, ...] = ()  # documents, in order, each once
    correct: bool | None = None  # whether cited text holds a reference; None where that cannot be told
    reference_cited: bool | None = None  # whether a document of reference_ids is cited
    must_cite_missing: tuple[str, ...] = ()
    must_not_cited: tuple[str, ...] = ()
    citations: int = 0
    mismatches: int = 0  # citations whose quote is not the stored slice
    milliseconds: float = 0.0

    @property
    def answered(self) -> bool:
        """Whether an answer was given out."""
        return self.status == "answered"

    @property
    def wrong(self) -> bool | None:
        """Whether the answer that was given out should not have been; None where that cannot be told."""
        return True if not self.answerable else None if self.correct is None else not self.correct


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
    from orchestrator.services import open_services

    started = time.monotonic()
    cases = spread(read_golden(golden), limit)
    if corpus:
        settings = own_home(settings, golden.stem, corpus)
    async with open_services(settings) as services:
        taken = await _ingest(services, corpus, tags, asker, progress) if corpus else {}
        results = []
        for number, case in enumerate(cases, start=1):
            results.append(await run_case(services, case, case.principal or asker, model))
            progress(f"{number} of {len(cases)} cases")
        encoder = services.encoder.id
    report = summarise(results) | {
        "set": golden.stem,
        "revision": fingerprint([golden, *corpus]),
        "not_taken": taken,
        "model": model,
        "encoder": encoder,
        "rule": RULE.version,
        "seconds": round(time.monotonic() - started, 1),
    }
    return report, results


async def run_case(services: Services, case: GoldenCase, principal: Principal, model: str) -> CaseResult:
    """Ask one question as its principal and judge what came out; whatever goes wrong becomes the result's error."""
    started = time.perf_counter()
    try:
        scope = services.scope(principal)
        answer = await services.ask(case.question, scope, model=model)
        elapsed = 1000 * (time.perf_counter() - started)
        citations = [citation for claim in answer.claims for citation in claim.citations]
        mismatches = await count_mismatches(services, scope, citations)
    except GroundwireError as error:
        return _failed(case, error.code)
    except Exception as error:  # noqa: BLE001 - a defect met by one case must not take the others' results with it
        return _failed(case, type(error).__name__)
    return judge(case, answer, mismatches=mismatches, milliseconds=round(elapsed, 1))


def _failed(case: GoldenCase, code: str) -> CaseResult:
    known = bool(case.reference)
    return CaseResult(id=case.id, answerable=case.answerable, has_reference=known, status="error", error=code)


def judge(case: GoldenCase, answer: Answer, *, mismatches: int, milliseconds: float) -> CaseResult:
    """The result of a case from its answer."""
    citations = [citation for claim in answer.claims for citation in claim.citations]
    cited = tuple(dict.fromkeys(citation.document_id for citation in citations))
    answered = answer.status == "answered"
    right = answered and case.answerable
    return CaseResult(
        id=case.id,
        answerable=case.answerable,
        has_reference=bool(case.reference),
        status=answer.status,
        score=answer.confidence.score,
        answer=answer.answer,
        cited=cited,
        correct=_holds_any(citations, case.reference) if right and case.reference else None,
        reference_cited=not set(case.reference_ids).isdisjoint(cited) if right and case.reference_ids else None,
        must_cite_missing=tuple(name for name in case.must_cite if name not in cited) if answered else (),
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


def summarise(results: Sequence[CaseResult]) -> dict[str, Any]:
    """The figures over all cases. An error counts as a question that was not answered, and not as an abstention."""
    answered = [r for r in results if r.answered]
    asked = [r for r in results if r.error is None]
    abstained = [r for r in asked if not r.answered]
    scores = {kind: [r.score for r in asked if r.answerable is kind and r.score is not None] for kind in (True, False)}
    figures = {
        "coverage": metrics.share(r.answered for r in results),
        "answered_correctly": metrics.share(r.correct for r in answered if r.correct is not None),
        "correct_of_answerable": metrics.share(r.correct is True for r in results if r.answerable and r.has_reference),
        "reference_cited": metrics.share(r.reference_cited for r in answered if r.reference_cited is not None),
        "abstention_recall": metrics.share(not r.answered for r in asked if not r.answerable),
        "abstention_precision": metrics.share(not r.answerable for r in abstained),
        "auroc": metrics.auroc_figure(scores[True], scores[False]),
        "wrong_at_full_coverage": metrics.share(r.wrong for r in answered if r.wrong is not None),
        "coverage_at_10_percent_wrong": _coverage_at(results, 0.1),
        "citations_equal": metrics.share(n >= r.mismatches for r in results for n in range(r.citations)),
    }
    return {
        "n": len(results),
        "answerable": sum(r.answerable for r in results),
        "answered": len(answered),
        "errors": dict(Counter(r.error for r in results if r.error is not None)),
        **{name: figure.as_json() for name, figure in figures.items()},
        "citations": {"checked": sum(r.citations for r in results), "mismatches": sum(r.mismatches for r in results)},
        "must_cite_violations": [r.id for r in results if r.must_cite_missing],
        "must_not_cite_violations": [r.id for r in results if r.must_not_cited],
        "latency_ms": metrics.percentiles([r.milliseconds for r in asked]),
    }


def case_json(result: CaseResult) -> dict[str, Any]:
    """One line of `--cases`."""
    return asdict(result)


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


def _coverage_at(results: Sequence[CaseResult], tolerated: float) -> metrics.Figure:
    """Share of all questions that the best-scored answers cover with at most `tolerated` of them wrong."""
    judged = np.array([r.answered and r.wrong is not None for r in results])
    scores = np.array([r.score or 0.0 for r in results])
    wrong = np.array([bool(r.wrong) for r in results])

    def covered(rows: metrics.Rows) -> float:
        kept = rows[judged[rows]]
        return metrics.accepted_at(scores[kept], wrong[kept], tolerated) / len(rows)

    return metrics.bootstrap(covered, [len(results)])
