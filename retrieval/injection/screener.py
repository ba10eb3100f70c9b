"""The screener that stands behind the port `ingest.screening`: every detector over one document, failures named.

readings.py         characters that hide or imitate, words split by signs
decoders.py         what says something else once it is decoded
delimiters.py       made-up turns of a chat, ends of documents that are none
exfiltration.py     links and images that carry data out
rules.py, style.py, context.py, vectors.py, features.py, heads.py
                    the learned heads over each sentence, and growth.py from sentences to whole orders

Detection is one layer. What it finds is kept beside the document; policy decides what becomes of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.screening import ChunkTokens, Finding, Kind, Screening
from retrieval.injection import decoders, delimiters, exfiltration, readings
from retrieval.injection.features import SentenceFeatures, sentence_features
from retrieval.injection.growth import grow
from retrieval.injection.heads import MODEL_FILE, Model, alone_rows, inside_rows, load_model, overt_rows

_REASONS: Final[dict[Kind, str]] = {
    "override": "It orders whoever reads it to leave their rules, take another part or give away what they keep.",
    "task": "It asks whoever reads it for something that the rest of the document is not about.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ScreenerConfig:
    """What is reported. A score is about the share of clean documents that have none as high."""

    # Least score of a finding. Policy acts on higher ones; the rest is there to choose thresholds by.
    keep: float = 0.8
    context_sentences: int = 2  # of a text at least: in a shorter one nothing can be strange to the rest


class InjectionScreener:
    """Implements `ingest.screening.Screener`. Holds no state between documents, so threads may share it."""

    def __init__(self, config: ScreenerConfig = ScreenerConfig(), model_file: Path = MODEL_FILE) -> None:
        self._config = config
        self._model = load_model(model_file)
        self._id = f"injection-{_version(config, self._model)}"
        self._signs: dict[str, Callable[[str], list[Finding]]] = {
            "readings": readings.find,
            "decoders": decoders.find,
            "delimiters": delimiters.find,
            "exfiltration": exfiltration.find,
        }

    @property
    def id(self) -> str:
        """See `Screener.id`: changes with any rule, weight or threshold."""
        return self._id

    def screen(self, title: str, text: str, chunks: Sequence[ChunkTokens]) -> Screening:
        """See `Screener.screen`. Vectors of another encoder than the heads were trained with are left unused."""
        findings: list[Finding] = []
        failed: list[str] = []
        detectors = {name: _applied(find, text) for name, find in self._signs.items()}
        detectors["heads"] = lambda: self._learned(title, text, chunks)
        for name, detect in detectors.items():
            try:
                findings += [finding for finding in detect() if finding.score >= self._config.keep]
            except Exception:  # noqa: BLE001 - whatever the text did to it, the document counts as not screened
                failed.append(name)
        findings.sort(key=lambda finding: (finding.start, finding.end, finding.kind))
        return Screening(screener=self._id, findings=tuple(findings), failed=tuple(failed))

    def _learned(self, title: str, text: str, chunks: Sequence[ChunkTokens]) -> list[Finding]:
        mean = self._model.mean
        known = [chunk for chunk in chunks if chunk.tokens.shape[1] * 8 == len(mean)]
        features = sentence_features(title, text, known, mean)
        if not len(features.spans):
            return []
        model = self._model
        if features.vectors is None:
            logits, tail = model.alone.network.logits(alone_rows(features)), model.alone.tail
            return self._findings(features, tail.score(logits, len(logits)), logits >= tail.soil, None)
        overt = model.overt.network.logits(overt_rows(features))
        if len(overt) < self._config.context_sentences:
            tail = model.overt.tail
            return self._findings(features, tail.score(overt, len(overt)), overt >= tail.soil, None)
        inside = model.inside.network.logits(inside_rows(features))
        return self._in_document(features, overt, inside)

    def _in_document(
        self, features: SentenceFeatures, overt: NDArray[np.float32], inside: NDArray[np.float32]
    ) -> list[Finding]:
        """An overt order counts only where it is strange to its document: so a page about attacks is left whole."""
        model = self._model
        scores = model.inside.tail.score(inside, len(inside))
        overt_scores = np.where(inside > model.inside.tail.knee, model.overt.tail.score(overt, len(overt)), 0.0)
        is_overt = overt > model.overt.tail.knee
        return self._findings(features, np.maximum(scores, overt_scores), inside >= model.inside.tail.soil, is_overt)

    def _findings(
        self,
        features: SentenceFeatures,
        scores: NDArray[np.float64],
        soil: NDArray[np.bool_],
        overt: NDArray[np.bool_] | None,
    ) -> list[Finding]:
        """Whole orders: the runs of sentences around those that stand out."""
        found: list[Finding] = []
        for first, last in grow(scores >= self._config.keep, soil):
            best = first + int(scores[first:last].argmax())
            kind: Kind = "override" if overt is None or overt[best] else "task"
            found.append(
                Finding(
                    kind=kind,
                    score=float(scores[best]),
                    start=int(features.spans[first, 0]),
                    end=int(features.spans[last - 1, 1]),
                    reason=_REASONS[kind],
                )
            )
        return found


def _applied(find: Callable[[str], list[Finding]], text: str) -> Callable[[], list[Finding]]:
    return lambda: find(text)


def _version(config: ScreenerConfig, model: Model) -> str:
    """Of the code of all detectors, the model and the thresholds: no one can forget to raise it."""
    digest = hashlib.sha256(f"{config!r}\0{model.id}\0".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
