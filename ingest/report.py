"""What a run of the ingest did, as people and scripts read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from ingest.sources import Failure


@dataclass(kw_only=True)
class IngestReport:
    """Counts of one run. `documents` is everything that is in the index as its source has it now."""

    documents: int = 0
    chunks: int = 0  # of the documents that were new or changed
    unchanged: int = 0
    updated: int = 0  # new content
    retagged: int = 0  # the same content, other access tags; nothing was encoded
    removed: int = 0  # their file is gone from a folder that was ingested
    encoded: int = 0  # chunks that the encoder had to see; the others were known
    quarantined: int = 0  # pieces of hidden text kept out of the index
    with_findings: int = 0  # documents, new or changed, in which something looks like an order
    unscreened: int = 0  # documents, new or changed, on which a detector failed: their text stays out of answers
    failed: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def as_json(self) -> dict[str, object]:
        """The report in the words of the command line's contract."""
        return {
            "documents": self.documents,
            "chunks": self.chunks,
            "unchanged": self.unchanged,
            "updated": self.updated,
            "retagged": self.retagged,
            "removed": self.removed,
            "encoded": self.encoded,
            "quarantined": self.quarantined,
            "with_findings": self.with_findings,
            "unscreened": self.unscreened,
            "failed": [{"path": f.path, "error": f.error.code, "reason": f.error.reason} for f in self.failed],
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }
