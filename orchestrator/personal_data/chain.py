"""All detectors of personal data as one: what they find, without overlaps, and which of them failed."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from orchestrator.personal_data.account_numbers import CardDetector, IbanDetector, SsnDetector
from orchestrator.personal_data.addresses import AddressDetector
from orchestrator.personal_data.dates import DateDetector
from orchestrator.personal_data.detection import Detector, Entity, Folded, fold
from orchestrator.personal_data.internet import EmailDetector, IpDetector, UrlDetector
from orchestrator.personal_data.phones import REGIONS, PhoneDetector
from orchestrator.personal_data.word_lists import WordListDetector

# Who wins among equally long entities: what a check digit proved first, then what has a sign of its own.
PRIORITY: Final = (
    "EMAIL_ADDRESS",
    "IBAN_CODE",
    "CREDIT_CARD",
    "US_SSN",
    "IP_ADDRESS",
    "DATE_OF_BIRTH",
    "DATE_TIME",
    "PHONE_NUMBER",
    "STREET_ADDRESS",
    "URL",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionConfig:
    """What counts as personal data. Every field has a default that needs no thought."""

    regions: tuple[str, ...] = REGIONS  # ISO 3166-1 codes of the countries whose own telephone numbers count
    disguised_emails: bool = True  # whether "name (at) host (dot) com" counts
    private_ips: bool = True  # whether addresses count that name a machine within one network only, as 10.1.2.3
    version_like_ips: bool = False  # whether four numbers after "version" count
    weekdays: bool = True  # whether the name of a day of the week is a date
    own_words: Mapping[str, str] = field(default_factory=dict)  # a tenant's phrases with their types


@dataclass(frozen=True, slots=True, kw_only=True)
class Detected:
    """What stands in one text: entities in order, none overlapping; they say nothing where a detector failed."""

    entities: tuple[Entity, ...]
    failed: tuple[str, ...] = ()  # "detector: kind of exception"; its message could quote the text


class DetectorChain:
    """Runs every detector over a text. Never raises for any text; safe to call from several threads."""

    def __init__(self, detectors: Sequence[Detector]) -> None:
        self._detectors = tuple(detectors)

    @property
    def types(self) -> frozenset[str]:
        """All that it looks for."""
        return frozenset().union(*(detector.types for detector in self._detectors))

    def detect(self, text: str, types: Collection[str] | None = None) -> Detected:
        """The entities of `text` that are of one of `types`, by default of any.

        Types that are not asked for take no part, so that they cannot cover what is.
        """
        wanted = self.types if types is None else frozenset(types)
        folded = fold(text)
        found: list[Entity] = []
        failed: list[str] = []
        for detector in self._detectors:
            if wanted.isdisjoint(detector.types):
                continue
            try:
                found += _in_source(detector.detect(folded.text), folded, wanted)
            except Exception as error:  # noqa: BLE001 - whatever a detector does, the text must not leave unseen
                failed.append(f"{detector.name}: {type(error).__name__}")
        return Detected(entities=tuple(without_overlaps(found)), failed=tuple(failed))


def standard_chain(config: DetectionConfig | None = None, *more: Detector) -> DetectorChain:
    """The detectors that need no model, as `config` says, and `more`: names by a model, for example."""
    config = config or DetectionConfig()
    detectors: list[Detector] = [
        EmailDetector(disguised=config.disguised_emails),
        UrlDetector(),
        IpDetector(private=config.private_ips, versions=config.version_like_ips),
        CardDetector(),
        IbanDetector(),
        SsnDetector(),
        PhoneDetector(regions=config.regions),
        DateDetector(weekdays=config.weekdays),
        AddressDetector(),
    ]
    if config.own_words:
        detectors.append(WordListDetector(config.own_words))
    return DetectorChain([*detectors, *more])


def _in_source(found: Iterable[Entity], folded: Folded, wanted: frozenset[str]) -> list[Entity]:
    """The entities that are wanted, with offsets of the source. Raises ValueError for a span outside of the text."""
    entities = []
    for entity in found:
        if not 0 <= entity.start < entity.end <= len(folded.text):
            raise ValueError(f"{entity.type} has no place in the text")
        if entity.type in wanted:
            start, end = folded.source_span(entity.start, entity.end)
            entities.append(Entity(type=entity.type, start=start, end=end, score=entity.score))
    return entities


def without_overlaps(entities: Iterable[Entity]) -> list[Entity]:
    """The same characters in entities that do not overlap, in order.

    The longer wins, then the more certain type (`PRIORITY`), then the earlier. Of one that loses, what the winners
    leave uncovered remains as an entity of its type: nothing that any detector found is given up.
    """
    ranks = {kind: rank for rank, kind in enumerate(PRIORITY)}
    ordered = sorted(
        set(entities), key=lambda e: (e.start - e.end, ranks.get(e.type, len(ranks)), e.start, e.type, -e.score)
    )
    if not _overlap(ordered):
        return sorted(ordered, key=lambda entity: entity.start)
    kept: list[Entity] = []
    starts: list[int] = []
    for entity in ordered:
        for start, end in _uncovered(entity, kept, starts):
            place = bisect_left(starts, start)
            starts.insert(place, start)
            kept.insert(place, Entity(type=entity.type, start=start, end=end, score=entity.score))
    return kept


def _overlap(entities: Iterable[Entity]) -> bool:
    spans = sorted((entity.start, entity.end) for entity in entities)
    return any(end > start for (_, end), (start, _) in pairwise(spans))


def _uncovered(entity: Entity, kept: Sequence[Entity], starts: Sequence[int]) -> list[tuple[int, int]]:
    """The parts of `entity` that none of `kept`, which are in order, covers."""
    parts: list[tuple[int, int]] = []
    start = entity.start
    place = max(0, bisect_left(starts, start) - 1)
    while start < entity.end:
        while place < len(kept) and kept[place].end <= start:
            place += 1
        if place == len(kept) or kept[place].start >= entity.end:
            parts.append((start, entity.end))
            break
        if kept[place].start > start:
            parts.append((start, kept[place].start))
        start = kept[place].end
    return parts
