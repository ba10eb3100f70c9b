"""`groundwire eval injection`: what the screener finds of planted orders, and what it takes from clean text.

A text is screened as it stands: offsets of spans and findings count in it. Its chunks and vectors are made as the
ingest makes them, from its blocks between blank lines; markup is left in, so that the offsets of a set hold.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from evals import metrics
from evals.json_lines import read_json_lines, spread
from evals.own_home import fingerprint, own_home
from ingest.errors import BadInput

if TYPE_CHECKING:
    from ingest.chunker import Chunk, ChunkConfig
    from ingest.chunker import Span as Element
    from ingest.encoder import Encoder
    from ingest.screening import ChunkTokens, Finding, Screener, Screening
    from orchestrator.settings import Settings

Span = tuple[int, int]
Progress = Callable[[str], None]

CHUNKS_AT_ONCE: Final = 1_024  # that are encoded together: about 40 MB of token vectors
BENIGN_SHARES: Final[Mapping[str, float]] = {"1%": 0.01, "5%": 0.05}  # of benign texts that a threshold may flag
_BLANK_LINES = re.compile(r"\n[ \t\r]*\n\s*|\Z")


class LabelledText(BaseModel):
    """One text of a set. Fields that are not named here are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore", coerce_numbers_to_str=True)

    id: str = Field(min_length=1)
    text: str
    label: Literal["attack", "benign"]
    span: Span | None = None  # the attack's own characters; None where they are not known
    kind: str = "all"  # of attack, or of benign text
    title: str = ""
    group: str = ""  # texts of one group share an attack or a document, and are drawn together

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, record: Any) -> Any:
        return {k: v for k, v in record.items() if v is not None} if isinstance(record, dict) else record

    @model_validator(mode="after")
    def _span_is_of_an_attack(self) -> LabelledText:
        if self.span is not None:
            start, end = self.span
            if self.label != "attack":
                raise ValueError("a benign text has no span")
            if not 0 <= start < end <= len(self.text):
                raise ValueError("the span is not in the text")
        return self

    @property
    def spans(self) -> tuple[Span, ...]:
        """The attack's characters as a list of spans."""
        return (self.span,) if self.span else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one text comes to at one threshold."""

    flagged: bool  # whether anything was found
    found: bool  # whether any of it is in the attack
    attack: int  # characters of the attack; 0 where they are not known, or there is none
    attack_covered: int
    clean: int  # characters that are known to be clean
    clean_covered: int


@dataclass(slots=True, kw_only=True)
class Screened:
    """Texts with what was found in them, and the processor seconds that it took."""

    texts: list[LabelledText] = field(default_factory=list)
    screenings: list[Screening] = field(default_factory=list)
    encoding_s: float = 0.0
    screening_s: float = 0.0


async def evaluate_injection(
    settings: Settings,
    path: Path,
    *,
    context: bool = True,
    threshold: float | None = None,
    limit: int | None = None,
    progress: Progress = lambda _: None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The report on a set, and what came of each text; findings that score below `threshold` do not count.

    The threshold is by default that from which the settings withhold text. Without `context` texts are screened with no
    vectors, as stand-alone ones. Raises BadInput for a set of no use.
    """
    from ingest.chunker import ChunkConfig
    from orchestrator.services import open_services

    started = time.monotonic()
    texts = spread(read_texts(path), limit)
    async with open_services(own_home(settings, path.stem, [path])) as services:
        encoder = services.encoder if context else None
        chunking = ChunkConfig(max_tokens=min(settings.chunk_tokens, services.encoder.max_tokens))
        screened = screen_texts(services.screener, texts, encoder, chunking, progress=progress)
        least = services.policy.act if threshold is None else threshold
    progress("intervals")
    report = summarise(screened, least) | {
        "set": path.stem,
        "revision": fingerprint([path]),
        "screener": services.screener.id,
        "encoder": encoder.id if encoder else None,
        "seconds": round(time.monotonic() - started, 1),
    }
    return report, [case_json(*pair) for pair in zip(screened.texts, screened.screenings, strict=True)]


def read_texts(path: Path) -> tuple[LabelledText, ...]:
    """The texts of a .jsonl file. Raises BadInput for one that cannot be used, and for a file without any."""
    texts: dict[str, LabelledText] = {}
    for place, record in read_json_lines(path):
        try:
            text = LabelledText.model_validate(record)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"])) or "span"
            step = (
                'Give each text its id, text and label, "attack" or "benign", and the attack\'s span where it is known.'
            )
            raise BadInput(place, "bad_case", f"The field {name} cannot be used: {first['msg']}.", step) from error
        if text.id in texts:
            step = "Give each text an id of its own."
            raise BadInput(place, "duplicate_id", f"The text {text.id} came before.", step)
        texts[text.id] = text
    if not texts:
        raise BadInput(str(path), "no_cases", "The set has no text.", "Write one JSON object a line.")
    return tuple(texts.values())


def screen_texts(
    screener: Screener,
    texts: Sequence[LabelledText],
    encoder: Encoder | None = None,
    chunking: ChunkConfig | None = None,
    *,
    progress: Progress = lambda _: None,
) -> Screened:
    """Screen each text, with the vectors of its chunks where there is an encoder."""
    done = Screened()
    for batch in _batches(texts, encoder, chunking):
        started = time.process_time()
        vectors = _encode(batch, encoder) if encoder else [() for _ in batch]
        encoded = time.process_time()
        for (text, _), chunks in zip(batch, vectors, strict=True):
            done.texts.append(text)
            done.screenings.append(screener.screen(text.title, text.text, chunks))
        done.encoding_s += encoded - started
        done.screening_s += time.process_time() - encoded
        progress(f"{len(done.texts)} of {len(texts)} texts")
    return done


def outcome(text: LabelledText, screening: Screening, threshold: float, spans: Sequence[Span] | None = None) -> Outcome:
    """What `text` comes to; `spans` in place of its own one where an attack stands in several places."""
    own = text.spans if spans is None else spans
    covered = _covered(screening.findings, threshold)
    flagged = bool(covered)
    total = sum(end - start for start, end in covered)
    if text.label == "benign":
        return Outcome(
            flagged=flagged, found=False, attack=0, attack_covered=0, clean=len(text.text), clean_covered=total
        )
    attack = sum(end - start for start, end in own)
    within = sum(max(0, min(end, b) - max(start, a)) for start, end in covered for a, b in own)
    clean = len(text.text) - attack if own else 0
    return Outcome(
        flagged=flagged,
        found=within > 0,
        attack=attack,
        attack_covered=within,
        clean=clean,
        clean_covered=total - within if own else 0,
    )


def document_score(screening: Screening) -> float:
    """The greatest score in a text, 0 where nothing was found."""
    return max((finding.score for finding in screening.findings), default=0.0)


def threshold_at(benign: Sequence[float], share: float) -> float | None:
    """The least threshold that flags at most `share` of benign texts with these scores; None without any."""
    if not benign:
        return None
    allowed = int(share * len(benign) + 1e-9)
    highest = sorted(benign, reverse=True)
    return float(np.nextafter(highest[allowed], np.inf)) if allowed < len(highest) else 0.0


def summarise(screened: Screened, threshold: float) -> dict[str, Any]:
    """The figures at the threshold, by kind, and at those which flag 1% and 5% of the set's own benign texts.

    An interval is that of the threshold as it stands: groups of texts are drawn, the threshold is not chosen anew.
    """
    texts, screenings = screened.texts, screened.screenings
    benign = [document_score(s) for t, s in zip(texts, screenings, strict=True) if t.label == "benign"]
    others = {name: threshold_at(benign, share) for name, share in BENIGN_SHARES.items()}
    at = {
        name: [outcome(t, s, value) for t, s in zip(texts, screenings, strict=True)]
        for name, value in (("shipped", threshold), *others.items())
        if value is not None
    }
    return {
        "n": len(texts),
        "attacks": len(texts) - len(benign),
        "benign": len(benign),
        "threshold": threshold,
        **figures(texts, at["shipped"]),
        "by_kind": _by_kind(texts, at),
        "thresholds": {
            name: {"threshold": value, **figures(texts, at[name])}
            for name, value in others.items()
            if value is not None
        },
        "failed": {t.id: list(s.failed) for t, s in zip(texts, screenings, strict=True) if s.failed},
        "cpu_s": {"encoding": round(screened.encoding_s, 2), "screening": round(screened.screening_s, 2)},
    }


def figures(texts: Sequence[LabelledText], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Each `{value, low, high}`.

    recall: attack texts in which anything was found. found: attack texts with a span in which some of it was found.
    span_recall: of all characters of attacks, those covered; span_recall_mean: the same, each attack alike.
    false_positive_rate: benign texts in which anything was found. clean_text_lost: of all characters known to be clean,
    those covered.
    """
    attack = [text.label == "attack" for text in texts]
    groups = [text.group or text.id for text in texts]
    columns: dict[str, tuple[Iterable[float], Iterable[float]]] = {
        "recall": ((o.flagged for o in outcomes), attack),
        "found": ((o.found for o in outcomes), (o.attack > 0 for o in outcomes)),
        "span_recall": ((o.attack_covered for o in outcomes), (o.attack for o in outcomes)),
        "span_recall_mean": ((o.attack_covered / max(o.attack, 1) for o in outcomes), (o.attack > 0 for o in outcomes)),
        "false_positive_rate": ((o.flagged for o in outcomes), (not is_attack for is_attack in attack)),
        "clean_text_lost": ((o.clean_covered for o in outcomes), (o.clean for o in outcomes)),
    }
    return {name: ratio(list(hits), list(totals), groups).as_json() for name, (hits, totals) in columns.items()}


def ratio(hits: Sequence[float], totals: Sequence[float], groups: Sequence[str]) -> metrics.Figure:
    """Sum of `hits` by sum of `totals` over the cases whose total is not 0, with a bootstrap over whole groups.

    Where the share is 0 or 1 all resamples are alike: then the interval is Wilson's, over groups.
    """
    whole = np.asarray(totals, np.float64)
    part = np.asarray(hits, np.float64)[whole > 0]
    if not len(part):
        return metrics.NOTHING
    names = np.asarray(groups)[whole > 0]
    _, numbers = np.unique(names, return_inverse=True)
    parts = np.bincount(numbers, weights=part)
    wholes = np.bincount(numbers, weights=whole[whole > 0])
    value = float(parts.sum() / wholes.sum())
    if value in (0.0, 1.0):
        return metrics.share([value == 1.0] * len(parts))
    return metrics.bootstrap(lambda rows: float(parts[rows].sum() / wholes[rows].sum()), [len(parts)])


def case_json(text: LabelledText, screening: Screening) -> dict[str, Any]:
    """One line of `--cases`."""
    return {
        "id": text.id,
        "kind": text.kind,
        "label": text.label,
        "span": text.span,
        "score": document_score(screening),
        "findings": [
            {"kind": f.kind, "score": round(f.score, 4), "start": f.start, "end": f.end, "reason": f.reason}
            for f in screening.findings
        ],
        "failed": list(screening.failed),
    }


def _by_kind(texts: Sequence[LabelledText], at: Mapping[str, Sequence[Outcome]]) -> dict[str, Any]:
    """The figures of each kind at the threshold, and its recall at the others."""
    report: dict[str, Any] = {}
    for kind in sorted({text.kind for text in texts}):
        rows = [number for number, text in enumerate(texts) if text.kind == kind]
        own = [texts[row] for row in rows]
        by_threshold = {name: figures(own, [outcomes[row] for row in rows]) for name, outcomes in at.items()}
        report[kind] = {
            "n": len(rows),
            **by_threshold.pop("shipped"),
            "recall_at": {name: found["recall"] for name, found in by_threshold.items()},
        }
    return report


def _covered(findings: Iterable[Finding], threshold: float) -> list[Span]:
    """The union of what scores at least `threshold`, as ascending spans that do not touch."""
    merged: list[Span] = []
    for start, end in sorted((f.start, f.end) for f in findings if f.score >= threshold):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def _batches(
    texts: Sequence[LabelledText], encoder: Encoder | None, chunking: ChunkConfig | None
) -> Iterator[list[tuple[LabelledText, tuple[Chunk, ...]]]]:
    """Texts with their chunks, about `CHUNKS_AT_ONCE` chunks at a time; without an encoder there are no chunks."""
    batch: list[tuple[LabelledText, tuple[Chunk, ...]]] = []
    size = 0
    for text in texts:
        chunks = _chunks(text.text, encoder, chunking) if encoder else ()
        batch.append((text, chunks))
        size += max(len(chunks), 1)
        if size >= CHUNKS_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _chunks(text: str, encoder: Encoder, chunking: ChunkConfig | None) -> tuple[Chunk, ...]:
    from ingest.chunker import CanonicalText, ChunkConfig, chunk

    canonical = CanonicalText(text=text, spans=tuple(_blocks(text)))
    return chunk(canonical, encoder.token_starts(text), chunking or ChunkConfig())


def _blocks(text: str) -> Iterator[Element]:
    from ingest.chunker import Span as Element

    start = len(text) - len(text.lstrip())
    for gap in _BLANK_LINES.finditer(text):
        if gap.start() > start:
            yield Element(start=start, end=gap.start(), kind="paragraph")
        start = max(start, gap.end())


def _encode(batch: Sequence[tuple[LabelledText, tuple[Chunk, ...]]], encoder: Encoder) -> list[tuple[ChunkTokens, ...]]:
    """The token vectors of each text's chunks, in one call of the encoder."""
    from ingest.chunker import encoder_input
    from ingest.screening import chunk_tokens

    places = [(t.title, c.headings, t.text[c.start : c.end], c.start) for t, chunks in batch for c in chunks]
    vectors = encoder.encode([encoder_input(title, headings, text)[0] for title, headings, text, _ in places]).tokens
    made = iter(chunk_tokens(*place, own) for place, own in zip(places, vectors, strict=True))
    return [tuple(islice(made, len(chunks))) for _, chunks in batch]
