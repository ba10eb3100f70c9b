"""A screener that finds what a text is marked with, as `{{override .995: leave your rules}}`; it counts its work."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import cast

from ingest.screening import ChunkTokens, Finding, Kind, Screening

_MARK = re.compile(r"\{\{(?P<kind>[a-z_]+) (?P<score>[\d.]+):[^{}]*\}\}")
_FAILING = "{{fail}}"  # makes a detector fail
_RAISING = "{{raise}}"  # makes the screener break its promise


def mark(words: str, kind: Kind = "override", score: float = 0.995) -> str:
    """A phrase that the screener finds."""
    return f"{{{{{kind} {score}: {words}}}}}"


class MarkScreener:
    """Finds marks, each as a finding with its kind and score. `screened` counts documents, `tokens` their vectors."""

    def __init__(self, name: str = "marks", *, blind: bool = False) -> None:
        self._name = name
        self._blind = blind
        self.screened = 0
        self.tokens = 0

    @property
    def id(self) -> str:
        """Its name."""
        return self._name

    def screen(self, title: str, text: str, chunks: Sequence[ChunkTokens]) -> Screening:
        """Every mark of the text, none for a blind screener."""
        self.screened += 1
        for chunk in chunks:
            self.tokens += len(chunk.starts)
            assert len(chunk.starts) == len(chunk.tokens)
            assert all(chunk.start <= start < max(chunk.end, chunk.start + 1) for start in chunk.starts)
        if _RAISING in text:
            raise RuntimeError("broken")
        found = () if self._blind else tuple(_finding(match) for match in _MARK.finditer(text))
        return Screening(screener=self._name, findings=found, failed=("marks",) if _FAILING in text else ())


def _finding(match: re.Match[str]) -> Finding:
    return Finding(
        kind=cast("Kind", match["kind"]),
        score=float(match["score"]),
        start=match.start(),
        end=match.end(),
        reason="It is marked.",
    )
