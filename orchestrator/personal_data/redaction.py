"""The gate between text and a model: what leaves holds placeholders where personal data stood.

`redact` makes the only `Redacted`. Where a detector fails nothing is known of the text, so all of it is withheld.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import InitVar, dataclass
from typing import Final

from orchestrator.personal_data.chain import DetectorChain, without_overlaps
from orchestrator.personal_data.detection import Entity
from orchestrator.personal_data.offsets import OffsetMap, Span, replaced
from orchestrator.personal_data.vault import LOOK_ALIKE, Vault
from retrieval.sealed import Seal, Sealed

WITHHELD: Final = "[WITHHELD]"
HARMLESS: Final = frozenset({"DATE_TIME", "URL"})  # found, and by themselves about nobody: kept unless asked for

_SEAL: Final = Seal("orchestrator.personal_data.redaction.redact")


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted(Sealed):
    """A text that a model may read. Made by `redact` alone."""

    text: str
    offsets: OffsetMap  # from the text as it was (source) to this one (result)
    found: Mapping[str, int]  # how many pieces of each type were replaced
    failed: tuple[str, ...] = ()  # detectors that failed, with the kind of exception; the text is then `WITHHELD`
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)

    @property
    def withheld(self) -> bool:
        """Whether nothing of the text is here."""
        return bool(self.failed)

    def source_span(self, start: int, end: int) -> Span:
        """Where the characters [start, end) stood before: what a citation of this text quotes."""
        return self.offsets.to_source(start, end)


def redact(text: str, vault: Vault, chain: DetectorChain, *, types: Collection[str] | None = None) -> Redacted:
    """`text` with the vault's placeholders in place of personal data of `types`, by default all but `HARMLESS`.

    Never raises for any text: where a detector fails the whole text is withheld, and `failed` names the detector.
    """
    detected = chain.detect(text, chain.types - HARMLESS if types is None else types)
    if detected.failed:
        _, offsets = replaced(text, [(0, len(text), WITHHELD)])
        return Redacted(text=WITHHELD, offsets=offsets, found={}, failed=detected.failed, seal=_SEAL)
    look_alikes = (Entity(type=LOOK_ALIKE, start=start, end=end) for start, end in vault.look_alikes(text))
    entities = without_overlaps([*detected.entities, *look_alikes])
    redacted, offsets = replaced(
        text, [(e.start, e.end, vault.placeholder(e.type, text[e.start : e.end])) for e in entities]
    )
    found = Counter(entity.type for entity in entities if entity.type != LOOK_ALIKE)
    return Redacted(text=redacted, offsets=offsets, found=dict(found), seal=_SEAL)
