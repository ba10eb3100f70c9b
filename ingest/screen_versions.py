"""Versions are screened once as they come in, and again when a better screener is there: nothing is encoded for that.

What a screener cannot do counts as a failure and is kept as one: the text of such a version stays out of answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from ingest.encoder import TokenVectors
from ingest.ledger.rows import StagedVersion
from ingest.ledger.store import Ledger
from ingest.screening import ChunkTokens, Screener, Screening, chunk_tokens

SCREENER_ITSELF: Final = "screener"  # in `Screening.failed` when none of its detectors is to blame
VECTORS: Final = "vectors"  # in it when some are not there, as before a reindex: half a screening is none
_PAGE: Final = 500  # versions that are looked up at once


@dataclass(kw_only=True)
class RescanReport:
    """What a new screening of old versions did."""

    screener: str
    versions: int = 0
    changed: int = 0  # their findings are others than before
    with_findings: int = 0
    failed: int = 0

    def as_json(self) -> dict[str, object]:
        """The report in the words of the command line."""
        return {
            "screener": self.screener,
            "versions": self.versions,
            "changed": self.changed,
            "with_findings": self.with_findings,
            "failed": self.failed,
        }


def screen_version(screener: Screener, staged: StagedVersion, tokens: Mapping[str, TokenVectors]) -> Screening:
    """Screen a version with those token vectors of its chunks that are at hand, by encoding hash. Never raises."""
    row = staged.version
    try:
        found = screener.screen(row.title, row.text, _chunk_tokens(staged, tokens))
    except Exception:  # noqa: BLE001 - whatever the text did to the screener must not let the text through
        return Screening(screener=screener.id, findings=(), failed=(SCREENER_ITSELF,))
    if all(0 <= finding.start < finding.end <= len(row.text) for finding in found.findings):
        return found
    return Screening(screener=screener.id, findings=(), failed=(*found.failed, SCREENER_ITSELF))


def rescan(
    ledger: Ledger,
    screener: Screener,
    *,
    everything: bool = False,
    progress: Callable[[RescanReport], None] = lambda _: None,
) -> RescanReport:
    """Screen every serving version that another screener saw, or none, from stored text and stored token vectors.

    With `everything` also those that this screener has seen. Each version is kept when it is done and is in force for
    readers from then on, so a run that was stopped goes on where it was. One version is in memory at a time.
    """
    report = RescanReport(screener=screener.id)
    encoder = ledger.fact("encoder") or ""
    for staged in _outdated(ledger, None if everything else screener.id):
        hashes = [chunk.encoding_hash for chunk in staged.chunks]
        known = ledger.known_encodings(staged.version.tags.tenant, encoder, hashes)
        found = screen_version(screener, staged, {digest: row.tokens for digest, row in known.items()})
        if not known.keys() >= set(hashes):
            found = replace(found, failed=(*found.failed, VECTORS))
        ledger.save_screening(staged, found)
        before = staged.version.screening
        report.versions += 1
        report.changed += before is None or (before.findings, before.failed) != (found.findings, found.failed)
        report.with_findings += bool(found.findings)
        report.failed += bool(found.failed)
        progress(report)
    return report


def _outdated(ledger: Ledger, screener: str | None) -> Iterator[StagedVersion]:
    after = ("", 0)
    while page := ledger.outdated_screenings(screener, after=after, limit=_PAGE):
        for key, number in page:
            try:
                yield ledger.version(key, number)
            except LookupError:  # removed meanwhile
                continue
        after = page[-1]


def _chunk_tokens(staged: StagedVersion, tokens: Mapping[str, TokenVectors]) -> Sequence[ChunkTokens]:
    row = staged.version
    return [
        chunk_tokens(row.title, c.headings, row.text[c.start : c.end], c.start, tokens[c.encoding_hash])
        for c in staged.chunks
        if c.encoding_hash in tokens
    ]
