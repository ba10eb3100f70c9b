"""The gate between what a model wrote and anything that uses it: contract, rules, citations, support, safety.

    read_output   the text is strict JSON of the prompt's contract; says which stored texts are needed
    validate      each statement: placeholders known, quotes verified, carried by them, safe; then the rules

Between the two the caller reads the needed texts, as the asker may read them at that moment. What no statement holds
never leaves. A statement that fails is left out where the contract still holds without it and others stand; else the
output is invalid, with what a repair turn needs to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import InitVar, dataclass, field, replace
from typing import TYPE_CHECKING, Final

from orchestrator.citations import Draft, DraftClaim, Dropped, DropReason, QuoteLimits, Verified, verify
from orchestrator.contract import Citation, Claim
from orchestrator.egress.carrying import carries_value, is_courtesy, says_nothing_new
from orchestrator.egress.contracts import (
    CONTRACTS,
    Contract,
    DraftedMessage,
    Kept,
    OutputContract,
    SourceQuote,
    Statement,
)
from orchestrator.egress.parsing import FieldError as FieldError
from orchestrator.egress.parsing import InvalidKind as InvalidKind
from orchestrator.egress.parsing import ParseLimits, parse
from orchestrator.egress.rules import RULES, RuleFacts, RuleSet, values_at
from orchestrator.egress.safety import FILTERS, IN_QUOTES, LEAK, Leaks, SafetyConfig, violations
from orchestrator.support.gate import SupportConfig, Unsupported, UnsupportedReason, check_support, is_quote
from retrieval.sealed import Seal, Sealed

if TYPE_CHECKING:
    from ingest.encoder import Encoder
    from orchestrator.context import Context
    from orchestrator.gateway.outcomes import Produced
    from orchestrator.support.entailment import Entailment

Stored = Mapping[tuple[str, int], str]  # stored texts by (document_id, version), as the asker may read them now

_PARSED = Seal("orchestrator.egress.gate.read_output")
_SEAL = Seal("orchestrator.egress.gate.validate")


@dataclass(frozen=True, slots=True, kw_only=True)
class EgressConfig:
    """What the gate holds an output against, besides the rules."""

    parsing: ParseLimits = field(default_factory=ParseLimits)
    quotes: QuoteLimits = field(default_factory=QuoteLimits)
    support: SupportConfig = field(default_factory=SupportConfig)
    safety: SafetyConfig = field(default_factory=SafetyConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A statement with its quotes as they stand in the stored texts, not verified yet."""

    statement: Statement
    draft: DraftClaim
    unknown_source: bool  # whether a quote names a source that the model was not shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed(Sealed):
    """An output that has the form of its contract. Made by `read_output` alone; nothing of it may leave."""

    produced: Produced
    contract: Contract
    output: OutputContract = field(repr=False)
    said: tuple[Said, ...] = field(repr=False)
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _PARSED.check(self, seal)

    @property
    def needed(self) -> frozenset[tuple[str, int]]:
        """The (document_id, version) pairs whose stored text `validate` needs."""
        return Draft(claims=tuple(one.draft for one in self.said)).documents


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A statement that a filter stopped; for the record and for a repair turn, never for the reader."""

    claim: DraftClaim = field(repr=False)
    error: FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class Validated(Sealed):
    """An output that may leave once it is routed. Made by `validate` alone."""

    produced: Produced
    output: OutputContract = field(repr=False)  # as the contract says, with what is in `claims` and no other statement
    claims: tuple[Claim, ...] = field(repr=False)  # verified and supported, with the values behind placeholders
    support: tuple[float, ...]  # of the claims, 0 to 1
    dropped: tuple[Dropped | Unsupported | Refused, ...]  # statements that could not be kept; the rest stands
    warnings: tuple[FieldError, ...] = ()  # rules that are to be seen, and do not stop it
    rules: str = ""  # version of the rule set
    seal: InitVar[Seal]

    def __post_init__(self, seal: Seal) -> None:
        _SEAL.check(self, seal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalid:
    """An output that never leaves."""

    produced: Produced
    errors: tuple[FieldError, ...]
    repairable: bool  # whether telling the model what is wrong may help
    dropped: tuple[Dropped | Unsupported | Refused, ...] = ()  # the statements that failed, for the record


def read_output(produced: Produced, config: EgressConfig | None = None) -> Parsed | Invalid:
    """What the model wrote, as its prompt's contract has it. Never raises, whatever the text."""
    config = config or EgressConfig()
    contract = CONTRACTS[produced.prompted.contract]
    output = parse(produced.text, contract, config.parsing)
    if not isinstance(output, OutputContract):
        return Invalid(produced=produced, errors=output, repairable=True)
    context = produced.prompted.context
    said = tuple(_said(statement, context) for statement in output.statements())
    return Parsed(produced=produced, contract=contract, output=output, said=said, seal=_PARSED)


def validate(
    parsed: Parsed,
    stored: Stored,
    *,
    encoder: Encoder | None = None,
    entailment: Entailment | None = None,
    rules: RuleSet = RULES,
    config: EgressConfig | None = None,
) -> Validated | Invalid:
    """The output with all that holds, or why it may not leave.

    `stored` holds the texts of `parsed.needed` that the asker may read now; what is missing there cannot be cited.
    Encoder and entailment are those of `check_support`. The same input gives the same outcome; nothing raises for what
    a model wrote.
    """
    gate = _Gate(parsed, stored, encoder, entailment, rules, config or EgressConfig())
    return gate.outcome()


def _said(statement: Statement, context: Context) -> Said:
    found = [context.quote(quote.source, quote.quote, quote.start) for quote in statement.quotes]
    quotes = tuple(quote for quote in found if quote is not None)
    return Said(
        statement=statement,
        draft=DraftClaim(text=statement.text, quotes=quotes),
        unknown_source=len(quotes) < len(found),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A statement that holds, as it may leave."""

    text: str  # with the values behind placeholders
    claim: Claim | None = None  # None for a title or a greeting, which cite nothing
    score: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failed:
    """A statement that does not, and why."""

    error: FieldError
    record: Dropped | Unsupported | Refused


_NO_SOURCE: Final = "A quote names a source that does not exist."
_MISQUOTED: Final = "A quote of this statement does not stand in the source that it names. Copy its words exactly."
_UNQUOTED: Final[Mapping[DropReason, tuple[InvalidKind, str]]] = {
    "no_quote": ("uncited", "No quote is given for this statement."),
    "not_readable": ("quote", _MISQUOTED),
    "quote_not_found": ("quote", _MISQUOTED),
    "withheld": ("quote", _MISQUOTED),
}
_UNSUPPORTED: Final[Mapping[UnsupportedReason, str]] = {
    "value_missing": "A number or a date of this statement is in none of its quotes.",
    "name_missing": "A name of this statement is in none of its quotes.",
    "negation_differs": "This statement affirms what its quotes deny, or denies what they affirm.",
    "weak_evidence": "The quotes of this statement do not say it. Say no more than they do, or quote what does.",
}
_NOT_CARRIED: Final = "The value does not stand in its quotes. Give it as it is written there."
_NEW_WORDS: Final = "It says more than the quotes do. Use their words."
_PLACEHOLDER: Final = "There is a placeholder that the sources do not have. Copy placeholders as they are."
_DISCLAIMER: Final = "This is none of the disclaimers that were asked for. Copy them word for word, and add none."
_LABELS: Final = ("fields.*.name", "category", "priority", "suggested_team")


class _Gate:
    """One output on its way through."""

    def __init__(
        self,
        parsed: Parsed,
        stored: Stored,
        encoder: Encoder | None,
        entailment: Entailment | None,
        rules: RuleSet,
        config: EgressConfig,
    ) -> None:
        self._parsed = parsed
        self._stored = stored
        self._encoder = encoder
        self._entailment = entailment
        self._rules = rules
        self._config = config
        self._context = parsed.produced.prompted.context
        self._shown = {hit.passage.chunk_id: hit for hit in self._context.sources}
        self._leaks = Leaks.of(parsed.produced.prompted, config.safety)

    def outcome(self) -> Validated | Invalid:
        """Statements, then what is left of the output, then its rules."""
        found = self._statements()
        held = {place: one for place, one in found.items() if isinstance(one, _Held)}
        failed = [one for one in found.values() if isinstance(one, _Failed)]
        claims = {place: (one.claim, one.score) for place, one in held.items() if one.claim}
        if failed and not (self._parsed.output.droppable and claims):
            return self._invalid([one.error for one in failed], failed)
        output = self._parsed.output.keeping({place: self._kept(place, one) for place, one in held.items()})
        facts = RuleFacts(
            question=self._question(),
            classification=self._context.classification,
            quotes=tuple(citation.quote for claim, _ in claims.values() for citation in claim.citations),
        )
        stops, warnings = self._rules.check(self._parsed.contract.name, output, facts)
        stops += self._unstated(output)
        if stops:
            return self._invalid(stops, failed)
        return Validated(
            produced=self._parsed.produced,
            output=output,
            claims=tuple(self._labelled(place, claim) for place, (claim, _) in claims.items()),
            support=tuple(score for _, score in claims.values()),
            dropped=tuple(one.record for one in failed),
            warnings=tuple(warnings),
            rules=self._rules.version,
            seal=_SEAL,
        )

    def _invalid(self, errors: Sequence[FieldError], failed: Sequence[_Failed]) -> Invalid:
        """Not repairable where no other words would help: what is unreadable now stays so, and so does an injection."""
        unreadable = [isinstance(one.record, Dropped) and one.record.reason == "not_readable" for one in failed]
        leaked = any(error.rule == LEAK for error in errors)
        return Invalid(
            produced=self._parsed.produced,
            errors=tuple(errors[: self._config.parsing.max_errors]),
            repairable=not leaked and not (unreadable and all(unreadable)),
            dropped=tuple(one.record for one in failed),
        )

    # Statements

    def _statements(self) -> dict[str, _Held | _Failed]:
        """What comes of each statement, by place and in their order."""
        found: dict[str, _Held | _Failed] = {}
        drafts: dict[str, DraftClaim] = {}
        for said in self._parsed.said:
            place, check = said.statement.place, said.statement.check
            text = self._restored(said)
            if isinstance(text, _Failed):
                found[place] = text
            elif said.unknown_source and check != "frame":
                found[place] = self._refused(said, FieldError(place=place, kind="quote", message=_NO_SOURCE))
            elif check == "sentence" and is_courtesy(text, self._known()):
                found[place] = self._stopped(said, text, ()) or _Held(text=text)
            elif check != "frame":
                drafts[place] = said.draft if text == said.draft.text else replace(said.draft, text=text)
        found |= self._carried(drafts)
        held = [one.claim for one in found.values() if isinstance(one, _Held) and one.claim]
        for said in self._parsed.said:
            if said.statement.check == "frame" and said.statement.place not in found:
                found[said.statement.place] = self._framed(said, held)
        return {said.statement.place: found[said.statement.place] for said in self._parsed.said}

    def _restored(self, said: Said) -> str | _Failed:
        """The statement with the values behind its placeholders.

        What is word for word a quote is left as it is: what looks like a placeholder in it is part of the stored text.
        """
        text = said.draft.text
        restored, unknown = self._context.restore(text)
        if restored == text and not unknown:
            return text
        verbatim = verify(Draft(claims=(said.draft,)), self._stored, self._config.quotes).claims
        if verbatim and is_quote(verbatim[0], self._shown):
            return text
        if unknown:
            error = FieldError(place=said.statement.place, kind="placeholder", message=_PLACEHOLDER)
            return self._refused(said, error)
        return restored

    def _carried(self, drafts: Mapping[str, DraftClaim]) -> dict[str, _Held | _Failed]:
        """The statements whose quotes are verified, carry them and are safe, and those of which one is not true.

        That a statement is unsafe goes before whatever else is wrong with it.
        """
        verified = verify(Draft(claims=tuple(drafts.values())), self._stored, self._config.quotes)
        lost = {id(one.claim): one for one in verified.dropped}
        claims = iter(verified.claims)
        cited = {place: next(claims) for place, draft in drafts.items() if id(draft) not in lost}
        found = self._valued(cited) if self._holds_values() else self._supported(cited, verified)
        for said in self._parsed.said:
            place = said.statement.place
            if place in drafts:
                dropped = lost.get(id(drafts[place]))
                verdict = found[place] if dropped is None else self._misquoted(place, dropped)
                own = [cited[place]] if place in cited else []
                found[place] = self._stopped(said, drafts[place].text, own) or verdict
        return found

    def _misquoted(self, place: str, dropped: Dropped) -> _Failed:
        kind, message = _UNQUOTED[dropped.reason]
        return _Failed(error=FieldError(place=place, kind=kind, message=message), record=dropped)

    def _supported(self, cited: Mapping[str, Claim], verified: Verified) -> dict[str, _Held | _Failed]:
        """Statements that their quotes carry. `cited` are the claims of `verified`, in its order."""
        supported = check_support(
            verified,
            self._context.sources,
            encoder=self._encoder,
            entailment=self._entailment,
            config=self._config.support,
        )
        lost = {id(one.claim): one for one in supported.dropped}
        scores = iter(supported.scores)
        found: dict[str, _Held | _Failed] = {}
        for place, claim in cited.items():
            if unsupported := lost.get(id(claim)):
                error = FieldError(place=place, kind="unsupported", message=_UNSUPPORTED[unsupported.reason])
                found[place] = _Failed(error=error, record=unsupported)
            else:
                found[place] = _Held(text=claim.text, claim=claim, score=next(scores))
        return found

    def _valued(self, cited: Mapping[str, Claim]) -> dict[str, _Held | _Failed]:
        """Values that stand in their quotes."""
        found: dict[str, _Held | _Failed] = {}
        for place, claim in cited.items():
            if carries_value(claim.text, [citation.quote for citation in claim.citations]):
                found[place] = _Held(text=claim.text, claim=claim)
            else:
                error = FieldError(place=place, kind="unsupported", message=_NOT_CARRIED)
                record = Unsupported(claim=claim, reason="value_missing", words=(claim.text,), score=0.0)
                found[place] = _Failed(error=error, record=record)
        return found

    def _framed(self, said: Said, claims: Sequence[Claim]) -> _Held | _Failed:
        """A title or subject that says no more than the quotes of the claims and the names of their documents."""
        text = self._context.restore(said.draft.text)[0]
        quotes, _ = self._grounds(claims)
        names = [name for claim in claims for citation in claim.citations for name in self._names(citation)]
        if not says_nothing_new(text, list(dict.fromkeys([*quotes, *names]))):
            error = FieldError(place=said.statement.place, kind="unsupported", message=_NEW_WORDS)
            return self._refused(said, error)
        return self._stopped(said, text, claims) or _Held(text=text)

    def _stopped(self, said: Said, text: str, claims: Sequence[Claim]) -> _Failed | None:
        """The filter that stops a text, where one does. `claims` are those whose sources it may draw on."""
        quotes, sources = self._grounds(claims)
        failed = violations(text, quotes, sources, self._leaks, self._config.safety)
        if failed and len(claims) == 1 and claims[0].text == text and is_quote(claims[0], self._shown):
            failed = tuple(name for name in failed if name in IN_QUOTES)
        if not failed:
            return None
        name = LEAK if LEAK in failed else failed[0]
        place = said.statement.place
        return self._refused(said, FieldError(place=place, kind="safety", message=FILTERS[name], rule=name))

    def _refused(self, said: Said, error: FieldError) -> _Failed:
        return _Failed(error=error, record=Refused(claim=said.draft, error=error))

    # What the checks rest on

    def _grounds(self, claims: Iterable[Claim]) -> tuple[list[str], list[str]]:
        """The stored words that claims cite, and the texts that these stand in, with the addresses of the documents."""
        citations = [citation for claim in claims for citation in claim.citations]
        quotes = [citation.quote for citation in citations]
        hits = [self._shown.get(citation.chunk_id) for citation in citations]
        around = [hit.passage.text for hit in hits if hit]
        return quotes, list(dict.fromkeys([*quotes, *around, *(citation.source_uri for citation in citations)]))

    def _names(self, citation: Citation) -> tuple[str, ...]:
        hit = self._shown.get(citation.chunk_id)
        return (citation.title, *hit.passage.headings) if hit else (citation.title,)

    def _question(self) -> str:
        return self._context.restore(self._context.question.text)[0]

    def _known(self) -> list[str]:
        """Where the name of somebody who is greeted may stand."""
        output = self._parsed.output
        return [self._question(), output.subject] if isinstance(output, DraftedMessage) else [self._question()]

    def _holds_values(self) -> bool:
        return any(said.statement.check == "value" for said in self._parsed.said)

    # What leaves

    def _kept(self, place: str, held: _Held) -> Kept:
        """A statement with its quotes in the stored words, each by the number of its source."""
        said = next(one for one in self._parsed.said if one.statement.place == place)
        numbers = {
            quote.passage.chunk_id: named.source
            for quote, named in zip(said.draft.quotes, said.statement.quotes, strict=False)
        }
        citations = held.claim.citations if held.claim else ()
        return Kept(
            text=held.text,
            quotes=tuple(
                SourceQuote(source=numbers[citation.chunk_id], quote=citation.quote, start=citation.start)
                for citation in citations
            ),
        )

    def _labelled(self, place: str, claim: Claim) -> Claim:
        """The claim as it is shown: the value of a field behind its name."""
        label = next(one.statement.label for one in self._parsed.said if one.statement.place == place)
        return Claim(text=f"{label}: {claim.text}", citations=claim.citations) if label else claim

    def _unstated(self, output: OutputContract) -> Iterator[FieldError]:
        """What is wrong with the words that are in no statement: labels, and disclaimers, which the rules give."""
        for path in _LABELS:
            for place, label in values_at(output, path):
                if self._context.restore(label) != (label, ()):
                    yield FieldError(place=place, kind="placeholder", message=_PLACEHOLDER)
                for name in violations(label, (), (), self._leaks, self._config.safety):
                    yield FieldError(place=place, kind="safety", message=FILTERS[name], rule=name)
        for place, disclaimer in values_at(output, "disclaimers.*"):
            if disclaimer not in self._rules.disclaimers():
                yield FieldError(place=place, kind="rule", message=_DISCLAIMER, rule="known-disclaimers")


MAX_REPAIR: Final = 4_000  # characters of the message that asks for another output


def repair_message(errors: Sequence[FieldError]) -> str:
    """What the repair turn says: field by field what is wrong. It holds no stored text and nothing of what was hidden.

    Bounded by `MAX_REPAIR` characters.
    """
    lines = [f"- {error.place or 'the output'}: {error.message}" for error in errors]
    head = "Your last output cannot be used. What is wrong with it, by place, where items count from 0:"
    tail = (
        "Write the whole output again as one JSON object of the same form, with these places corrected. "
        "Leave out what no quote carries."
    )
    room = MAX_REPAIR - len(head) - len(tail) - 2
    kept: list[str] = []
    for line in dict.fromkeys(lines):
        room -= len(line) + 1
        if room < 0:
            break
        kept.append(line)
    return "\n".join([head, *kept, tail])
