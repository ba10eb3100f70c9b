"""The gate between a model's draft and an answer: every quote is found in the stored text, or its claim is dropped.

`locate` finds a quote in a text that may spell it a little differently. `verify` is the gate: it makes the only
`Verified`, whose citations quote the stored text character for character.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import InitVar, dataclass
from functools import lru_cache
from itertools import islice
from typing import Final, Literal, cast

from orchestrator.contract import Citation, Claim, IntegrityName
from retrieval.evidence import Passage
from retrieval.sanitising import blanked, touches
from retrieval.sealed import Seal, Sealed

Match = Literal["exact", "normalised", "elided", "aligned"]
DropReason = Literal["no_quote", "not_readable", "quote_not_found", "withheld"]


@dataclass(frozen=True, slots=True, kw_only=True)
class QuoteLimits:
    """What `locate` accepts."""

    min_letters: int = 3  # letters and digits that a quote must have; with fewer it could be found anywhere
    max_characters: int = 2_000  # of a quote
    max_elided: int = 400  # characters of the source that "..." may stand for
    min_aligned: int = 24  # characters of a quote that may differ from the source in spelling
    max_window: int = 10_000  # characters of source within which a quote is looked for that is not there as it is
    max_occurrences: int = 1_000  # of the same words, looked at one by one
    max_aligned: int = 1_000  # the most of them; its cost grows with the product of quote and window
    min_ratio: float = 92.0  # similarity of such a quote to its place, 0 to 100 as rapidfuzz's `partial_ratio`


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where a quote stands: the characters [start, end) of the text, and how they were found."""

    start: int
    end: int
    match: Match


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a model says it read, and the passage it says it read it in."""

    passage: Passage
    text: str
    start: int | None = None  # offset in the stored text where the model says it begins


@dataclass(frozen=True, slots=True, kw_only=True)
class DraftClaim:
    """One statement of a draft with what is to carry it."""

    text: str
    quotes: tuple[Quote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a model produced. Nothing of it may leave before `verify`."""

    claims: tuple[DraftClaim, ...] = ()

    @property
    def documents(self) -> frozenset[tuple[str, int]]:
        """The (document_id, version) pairs whose stored text `verify` needs."""
        passages = (quote.passage for claim in self.claims for quote in claim.quotes)
        return frozenset((passage.document_id, passage.version) for passage in passages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A claim that could not be supported, and why; for the record and for a repair turn, never for the reader."""

    claim: DraftClaim
    reason: DropReason


_SEAL: Final = Seal("orchestrator.citations.verify")


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(Sealed):
    """Claims whose every citation was found in the stored text. Made by `verify` alone; without claims, abstain."""

    claims: tuple[Claim, ...]
    dropped: tuple[Dropped, ...]
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)

    @property
    def text(self) -> str:
        """The answer: what is left of the claims, and nothing besides."""
        return " ".join(claim.text for claim in self.claims)


def verify(draft: Draft, stored: Mapping[tuple[str, int], str], limits: QuoteLimits | None = None) -> Verified:
    """The claims of `draft` whose every quote stands in the stored text of the passage it names.

    `stored` holds, by (document_id, version), the canonical texts that the asker may read at this moment: the caller
    reads `draft.documents` within the asker's ReadScope just before. A document that is missing there is unreadable,
    and a claim that rests on it is dropped. A quote outside its passage, or one that touches what was withheld of it,
    is not what the model was shown: dropped too.
    """
    claims: list[Claim] = []
    dropped: list[Dropped] = []
    for claim in draft.claims:
        outcome = _verified_claim(claim, stored, limits or QuoteLimits())
        if isinstance(outcome, Claim):
            claims.append(outcome)
        else:
            dropped.append(Dropped(claim=claim, reason=outcome))
    return Verified(claims=tuple(claims), dropped=tuple(dropped), seal=_SEAL)


def _verified_claim(
    claim: DraftClaim, stored: Mapping[tuple[str, int], str], limits: QuoteLimits
) -> Claim | DropReason:
    if not claim.text.strip() or not claim.quotes:
        return "no_quote"
    citations: list[Citation] = []
    for quote in claim.quotes:
        text = stored.get((quote.passage.document_id, quote.passage.version))
        if text is None:
            return "not_readable"
        citation = _citation(quote, text, limits)
        if not isinstance(citation, Citation):
            return citation
        citations.append(citation)
    return Claim(text=claim.text, citations=tuple(dict.fromkeys(citations)))


def _citation(quote: Quote, text: str, limits: QuoteLimits) -> Citation | DropReason:
    passage = quote.passage
    window = text[passage.start : passage.end]
    hint = None if quote.start is None else quote.start - passage.start
    found = locate(quote.text, blanked(window, passage.withheld, passage.start), hint=hint, limits=limits)
    if found is None:
        there = passage.withheld and locate(quote.text, window, hint=hint, limits=limits)
        return "withheld" if there else "quote_not_found"
    if touches(passage.withheld, passage.start + found.start, passage.start + found.end):
        return "withheld"
    return Citation(
        document_id=passage.document_id,
        version=passage.version,
        chunk_id=passage.chunk_id,
        title=passage.title,
        source_uri=passage.source_uri,
        page=passage.page,
        start=passage.start + found.start,
        end=passage.start + found.end,
        quote=window[found.start : found.end],
        integrity=cast("IntegrityName", passage.integrity.name),
    )


def locate(quote: str, text: str, *, hint: int | None = None, limits: QuoteLimits | None = None) -> Located | None:
    """Where `quote` stands in `text`, or None.

    Tried in this order: as it is (at offset `hint` first); after folding case, compatibility forms, white space,
    quotation marks, dashes and hyphenation at line ends; with "..." standing for what was left out, which may hold no
    negation; with slips in spelling, the numbers being the same in the same order and the negations as many. No match
    begins or ends within a word or a number, or just after a negation.
    """
    limits = limits or QuoteLimits()
    quote = quote.strip()
    if len(quote) > limits.max_characters or sum(map(str.isalnum, quote)) < limits.min_letters:
        return None
    found = _exact(quote, text, hint, limits)
    return found or (_folded(quote, text, limits) if len(text) <= limits.max_window else None)


def _exact(quote: str, text: str, hint: int | None, limits: QuoteLimits) -> Located | None:
    starts = islice(_occurrences(quote, text), limits.max_occurrences)
    if hint is not None and hint >= 0 and text.startswith(quote, hint):
        starts = islice((hint,), 1)
    for start in starts:
        if _stands_alone(text, start, start + len(quote)):
            return Located(start=start, end=start + len(quote), match="exact")
    return None


def _occurrences(part: str, text: str) -> Iterator[int]:
    start = text.find(part)
    while start >= 0:
        yield start
        start = text.find(part, start + 1)


def _folded(quote: str, text: str, limits: QuoteLimits) -> Located | None:
    folded, offsets = fold(text)
    wanted = fold(quote)[0].strip()
    spans: Iterator[tuple[int, int, Match]] = iter(())
    if sum(map(str.isalnum, wanted)) >= limits.min_letters:
        spans = _folded_spans(wanted, folded, limits)
    for start, end, match in spans:
        first, last = offsets[start], offsets[end - 1] + 1
        while last < len(text) and unicodedata.combining(text[last]):
            last += 1
        if _stands_alone(text, first, last):
            return Located(start=first, end=last, match=match)
    return None


def _folded_spans(wanted: str, folded: str, limits: QuoteLimits) -> Iterator[tuple[int, int, Match]]:
    for start in islice(_occurrences(wanted, folded), limits.max_occurrences):
        yield start, start + len(wanted), "normalised"
    elided = _elided(wanted, folded, limits)
    if elided:
        yield *elided, "elided"
    aligned = _aligned(wanted, folded, limits)
    if aligned:
        yield *aligned, "aligned"


# Folding

_MARKS: Final = str.maketrans(dict.fromkeys("‘’‚‛′‹›`´", "'") | dict.fromkeys("“”„‟″«»「」『』", '"'))
_DASHES: Final = str.maketrans(dict.fromkeys("‐‑‒–—―−⁃", "-"))
_WRAPPED_HYPHEN: Final = re.compile(r"(?<=[^\W\d_])[-‐\u00ad][ \t]*\r?\n\s*(?=[^\W\d_])")
_WIDE: Final = re.compile(r"[\u0e00-\u0eff\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uff60]")


def fold(text: str) -> tuple[str, list[int]]:
    """`text` folded for comparison, and for each folded character the offset of the one it came from.

    Characters are decomposed, not composed, so that the result does not depend on which of the two forms was used;
    runs of white space become one space, and none between characters of scripts that write without spaces.
    """
    hyphens = {place for found in _WRAPPED_HYPHEN.finditer(text) for place in range(*found.span())}
    out: list[str] = []
    offsets: list[int] = []
    space = -1  # offset of the white space that was not written yet
    for offset, character in enumerate(text):
        if offset in hyphens:
            continue
        if character.isspace():
            space = offset if space < 0 else space
            continue
        pieces = _folded_character(character)
        if pieces and space >= 0:
            if out and not (_WIDE.match(out[-1]) and _WIDE.match(pieces)):
                out.append(" ")
                offsets.append(space)
            space = -1
        for piece in pieces:
            out.append(piece)
            offsets.append(offset)
    return "".join(out), offsets


@lru_cache(maxsize=4_096)
def _folded_character(character: str) -> str:
    if unicodedata.category(character) == "Cf":  # soft hyphens, zero-width and direction marks
        return ""
    character = character.translate(_MARKS).translate(_DASHES)
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", character).casefold())
    return folded.translate(_MARKS).translate(_DASHES).replace(" ", "")


# What a match may not do

_NUMBER: Final = re.compile(r"\d+(?:[.,:/]\d+)*")
_NEGATION: Final = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|neither|nor|without|unless|except|cannot|hardly|barely|"
    r"nicht|kein\w{0,2}|ohne|nie|niemals|weder|außer|ausser|ne|pas|jamais|sans|aucune?|sauf|nunca|jamás|sin|ni|ningun[oa]?|"
    r"non|mai|senza|nessun[oa]?|não|sem|nem|niet|geen|nooit|zonder|inte|ikke|nie|bez|не|нет|без|ни|никогда|кроме|"
    r"değil|yok|لا|لم|لن|ليس|ليست|غير|بدون)\b|n't\b|नहीं|नही|बिना|[不没沒无無未非勿]|ない|ません|ไม่|ห้าม|않|아니|없"
)
_WORD: Final = re.compile(r"[^\W_]+(?:[\u0300-\u036f]+[^\W_]*)*")
_CLAUSE_BREAK: Final = re.compile(r"[.!?;:,()|\t\n。！？；：、，]")
_BEFORE: Final = 24  # characters before a match in which a negation of it would stand


def negations(text: str) -> int:
    """How many negating words `text` has, in some twenty languages."""
    return len(_NEGATION.findall(unicodedata.normalize("NFC", text.casefold().translate(_MARKS))))


def numbers(text: str) -> list[str]:
    """The numbers of `text` in order, as written there but in plain digits."""
    return [unicodedata.normalize("NFKC", number) for number in _NUMBER.findall(text)]


def _stands_alone(text: str, start: int, end: int) -> bool:
    """Whether [start, end) cuts no word or number, and what it says is not negated by the words before it."""
    if _cuts(text, start) or _cuts(text, end):
        return False
    if start >= 1 and text[start].isdigit() and text[start - 1] in "-−" and not text[max(0, start - 2)].isalnum():
        return False
    before = _CLAUSE_BREAK.split(text[max(0, start - _BEFORE) : start])[-1]
    if before and _WIDE.match(before[-1]):
        return not negations(before[-4:])
    return not negations(" ".join(before.split()[-2:]))


def _cuts(text: str, position: int) -> bool:
    if not 0 < position < len(text):
        return False
    before, after = text[position - 1], text[position]
    if before.isdigit() and after in ".,":
        return text[position + 1 : position + 2].isdigit()
    if before in ".," and after.isdigit():
        return text[position - 2 : position - 1].isdigit()
    if _WIDE.match(before) or _WIDE.match(after):
        return False
    return before.isalnum() and after.isalnum()


# Looser matches, over folded text

_ELLIPSIS: Final = re.compile(r"\s*[\[(]?(?:\.\s?\.\s?\.)[\])]?\s*")  # "…" was folded to three full stops


def _elided(wanted: str, folded: str, limits: QuoteLimits) -> tuple[int, int] | None:
    """The span from the first to the last part of a quote with "..." in it; what was left out negates nothing."""
    parts = [part for part in _ELLIPSIS.split(wanted) if part]
    if len(parts) < 2 or any(sum(map(str.isalnum, part)) < 2 * limits.min_letters for part in parts):
        return None
    start = folded.find(parts[0])
    if start < 0:
        return None
    end = start + len(parts[0])
    for part in parts[1:]:
        found = folded.find(part, end, end + limits.max_elided + len(part))
        if found < 0 or negations(folded[end:found]) or _cuts(folded, end) or _cuts(folded, found):
            return None
        end = found + len(part)
    return start, end


def _aligned(wanted: str, folded: str, limits: QuoteLimits) -> tuple[int, int] | None:
    """The most similar span, when it differs from the quote by slips of spelling alone."""
    from rapidfuzz import fuzz

    if not limits.min_aligned <= len(wanted) <= min(limits.max_aligned, len(folded)):
        return None
    best = fuzz.partial_ratio_alignment(wanted, folded, score_cutoff=limits.min_ratio)
    if best is None or best.score < limits.min_ratio:
        return None
    start, end = _whole_words(folded, best.dest_start, best.dest_end)
    found = folded[start:end]
    if numbers(found) != numbers(wanted) or negations(found) != negations(wanted):
        return None
    return (start, end) if _same_but_for_slips(wanted, found) else None


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    while _cuts(text, start):
        start -= 1
    while _cuts(text, end):
        end += 1
    while start < end and text[start] == " ":
        start += 1
    while end > start and text[end - 1] == " ":
        end -= 1
    return start, end


def _same_but_for_slips(wanted: str, found: str) -> bool:
    """Whether each word of the quote is a word of the source, one slip of the pen apart at most."""
    from rapidfuzz.distance import OSA

    words = set(_WORD.findall(found))
    for word in _WORD.findall(wanted):
        slips = 1 if len(word) > 3 and word.isalpha() else 0
        if word not in words and all(OSA.distance(word, other, score_cutoff=slips) > slips for other in words):
            return False
    return True
