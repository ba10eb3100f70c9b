"""What leaves for a model holds placeholders; every offset leads back, and a failing detector withholds the text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.citations import locate
from orchestrator.personal_data.chain import DetectorChain, standard_chain, without_overlaps
from orchestrator.personal_data.detection import Entity
from orchestrator.personal_data.offsets import OffsetMap, replaced
from orchestrator.personal_data.redaction import WITHHELD, Redacted, redact
from orchestrator.personal_data.vault import LOOK_ALIKE, Vault

CHAIN = standard_chain()
EVERYTHING = frozenset({"*"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Sigils:
    """A detector for tests: what stands between < and > is of type A, between { and } of type B."""

    name: str = "sigils"
    types: frozenset[str] = frozenset({"A", "B"})

    def detect(self, text: str) -> Iterator[Entity]:
        for kind, opening, closing in (("A", "<", ">"), ("B", "{", "}")):
            start = text.find(opening)
            while start >= 0 and (end := text.find(closing, start)) >= 0:
                yield Entity(type=kind, start=start, end=end + 1)
                start = text.find(opening, end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A detector that fails after its first find, or finds what is not in the text."""

    raises: bool
    name: str = "broken"
    types: frozenset[str] = frozenset({"A"})

    def detect(self, text: str) -> Iterable[Entity]:
        yield Entity(type="A", start=0, end=1 if self.raises else len(text) + 1)
        if self.raises:
            raise RuntimeError(f"could not read {text}")


SIGILS = DetectorChain([Sigils()])
PIECES = (
    *("<a>", "<b c>", "{d}", "{", ">", "[A_1]", "A_1", "[a 1]", "[TEXT_1]", "B_2"),
    *("[", "]", "x", " ", "é", "\u200b", "1", "_", "A", "[EMAIL_1"),
)
TEXTS = st.binary(max_size=12).map(lambda drawn: "".join(PIECES[byte % len(PIECES)] for byte in drawn))  # quick to draw


def test_only_the_gate_makes_a_redacted_text() -> None:
    """Nobody else can claim that a text is free of personal data."""
    with pytest.raises(TypeError, match="redact only"):
        Redacted(text="ann@example.com", offsets=OffsetMap(), found={}, seal=object())


def test_the_same_value_has_the_same_placeholder() -> None:
    """Within a vault spelling makes no difference, across texts too; another vault begins anew."""
    vault = Vault()
    first = redact("Ann@Example.com or +49 30 901820, DE89370400440532013000.", vault, CHAIN)
    second = redact("ann@example.com, 0049 (0)30-901820, de89 3704 0044 0532 0130 00, bo@example.com", vault, CHAIN)
    assert first.text == "[EMAIL_1] or [PHONE_1], [IBAN_1]."
    assert second.text == "[EMAIL_1], [PHONE_1], [IBAN_1], [EMAIL_2]"
    assert first.found == {"EMAIL_ADDRESS": 1, "PHONE_NUMBER": 1, "IBAN_CODE": 1}
    assert redact("bo@example.com", Vault(), CHAIN).text == "[EMAIL_1]"


def test_disguised_and_plain_addresses_are_one_value() -> None:
    """An e-mail address that is spelled out is the address that it spells."""
    text = redact("ann (at) example (dot) com, ann@example.com", Vault(), CHAIN).text
    assert text == "[EMAIL_1], [EMAIL_1]"


def test_dates_and_links_stay_unless_asked_for() -> None:
    """Dates and web addresses are about nobody by themselves; dates of birth are. Types can be chosen."""
    text = "Born on 5 May 1990, hired 2 June 2015; see https://example.com/?to=ann@example.com"
    redacted = redact(text, Vault(CHAIN.types), CHAIN)
    assert redacted.text == "Born on [DATEOFBIRTH_1], hired 2 June 2015; see https://example.com/?to=[EMAIL_1]"
    assert redact(text, Vault(), CHAIN, types={"DATE_TIME"}).text.count("[DATE_1]") == 1


def test_a_quote_of_redacted_text_is_cited_from_the_original() -> None:
    """What a model quotes with placeholders in it is located character for character in the stored text."""
    text = "Call Ann at (415) 555-2671 before noon, or write to ann@example.com."
    redacted = redact(text, Vault(), CHAIN)
    place = locate("at [PHONE_1] before noon", redacted.text)
    assert place is not None
    start, end = redacted.source_span(place.start, place.end)
    assert text[start:end] == "at (415) 555-2671 before noon"


@pytest.mark.parametrize("raises", [True, False])
def test_a_failing_detector_withholds_the_text(raises: bool) -> None:
    """Nothing of the text leaves, the failure is named without a word of the text, and nothing is raised."""
    chain = DetectorChain([Sigils(), Broken(raises=raises)])
    redacted = redact("secret <a>", Vault(), chain)
    assert redacted.text == WITHHELD
    assert redacted.withheld
    assert redacted.failed == (f"broken: {'RuntimeError' if raises else 'ValueError'}",)
    assert "secret" not in repr(redacted)
    assert redacted.source_span(0, len(WITHHELD)) == (0, len("secret <a>"))
    assert not redact("secret <a>", Vault(), chain, types={"B"}).withheld  # the broken one was not asked


def test_placeholders_written_in_a_source_are_masked() -> None:
    """A document cannot name a placeholder of ours: restoring gives its own words back, never a value there."""
    vault = Vault()
    mine = redact("ann@example.com", vault, CHAIN)
    theirs = redact("Reveal [EMAIL_1], [email 1] and EMAIL_1!", vault, CHAIN)
    assert mine.text == "[EMAIL_1]"
    assert "EMAIL" not in theirs.text.upper()
    assert theirs.found == {}
    assert vault.restore(theirs.text, EVERYTHING).text == "Reveal [EMAIL_1], [email 1] and EMAIL_1!"


def test_values_are_never_read_as_placeholders() -> None:
    """A value that is itself written like a placeholder is put in once and left alone."""
    vault = Vault({"A", "B"})
    redacted = redact("{x} <[B_1]>", vault, SIGILS)
    assert vault.restore(redacted.text, EVERYTHING).text == "{x} <[B_1]>"


@settings(max_examples=10_000, deadline=None)
@given(TEXTS)
def test_redacting_and_restoring_gives_the_text_back(text: str) -> None:
    """For a reader who may see everything the text is as it was, whatever placeholders it pretended to hold."""
    vault = Vault(SIGILS.types)
    redacted = redact(text, vault, SIGILS)
    restored = vault.restore(redacted.text, EVERYTHING)
    assert restored.text == text
    assert restored.unknown == ()


@settings(max_examples=10_000, deadline=None)
@given(TEXTS)
def test_every_span_of_a_redacted_text_leads_back(text: str) -> None:
    """A span's source holds all of what it shows, pieces as a whole, and leads forth to a span around it."""
    vault = Vault(SIGILS.types)
    redacted = redact(text, vault, SIGILS)
    for start in range(0, len(redacted.text), 3):
        end = min(start + 1 + start % 7, len(redacted.text))
        a, b = redacted.source_span(start, end)
        assert 0 <= a < b <= len(text)
        c, d = redacted.offsets.to_result(a, b)
        assert c <= start < end <= d
        assert vault.restore(redacted.text[c:d], EVERYTHING).text == text[a:b]


@settings(max_examples=1_000, deadline=None)
@given(TEXTS)
def test_a_reader_without_a_role_sees_no_value(text: str) -> None:
    """What was replaced appears nowhere in the text restored for nobody, and its placeholders stay as they were."""
    vault = Vault(SIGILS.types)
    redacted = redact(text, vault, SIGILS)
    restored = vault.restore(redacted.text, ())
    spans = zip(redacted.offsets.sources, redacted.offsets.results, strict=True)
    for (a, b), (c, d) in spans:
        again = restored.text[slice(*restored.offsets.to_result(c, d))]
        assert again == (text[a:b] if redacted.text[c:d].startswith("[TEXT_") else redacted.text[c:d])


@settings(max_examples=1_000)
@given(
    st.lists(
        st.tuples(st.sampled_from(["A", "EMAIL_ADDRESS", "US_SSN"]), st.integers(0, 30), st.integers(1, 12)), max_size=8
    )
)
def test_overlaps_give_up_no_character(spans: list[tuple[str, int, int]]) -> None:
    """Entities end up in order and apart, cover exactly what was found, and do not depend on the order of detectors."""
    entities = [Entity(type=kind, start=start, end=start + length) for kind, start, length in spans]
    kept = without_overlaps(entities)
    assert all(a.end <= b.start for a, b in pairwise(kept))
    covered = [at for entity in kept for at in range(entity.start, entity.end)]
    assert len(covered) == len(set(covered))
    assert set(covered) == {at for entity in entities for at in range(entity.start, entity.end)}
    assert without_overlaps(reversed(entities)) == kept


def test_the_longer_wins_then_the_more_certain_type() -> None:
    """A card inside an IBAN is the IBAN's; of two equally long ones a checked number wins over a telephone number."""
    found = CHAIN.detect("DE89370400440532013000 and SSN 536-22-1234").entities
    assert [entity.type for entity in found] == ["IBAN_CODE", "US_SSN"]


@settings(max_examples=10_000, deadline=None)
@given(st.binary(max_size=8))
def test_offsets_map_both_ways(drawn: bytes) -> None:
    """Outside of replaced pieces each character has one place on both sides; inside, all of the piece."""
    text, edits = "", []
    for byte in drawn:
        text += "." * (byte % 4)
        edits.append((len(text), len(text) + 1 + byte // 4 % 3, "@" * (1 + byte // 16 % 4)))
        text += "#" * (1 + byte // 4 % 3)
    text += "."
    result, offsets = replaced(text, edits)
    assert result.replace("@", "") == text.replace("#", "")
    for place, character in enumerate(result):
        a, b = offsets.to_source(place, place + 1)
        if character == ".":
            assert text[a:b] == "."
            assert offsets.to_result(a, b) == (place, place + 1)
        else:
            assert (a, b) in [(start, end) for start, end, _ in edits]
    assert offsets.to_source(0, len(result)) == (0, len(text))
    assert offsets.to_result(0, len(text)) == (0, len(result))


@pytest.mark.parametrize(
    "text", ["", "\ud800 ann@example.com \udfff", "\u202eann@example.com\u202c", "1" * 200_000, "\u200b" * 50_000]
)
def test_bad_text_is_redacted_all_the_same(text: str) -> None:
    """Lone surrogates, overrides, digits without end and nothing at all: no exception, and no address left."""
    redacted = redact(text, Vault(), CHAIN)
    assert not redacted.failed
    assert "ann@" not in redacted.text


def test_look_alikes_have_a_type_of_their_own() -> None:
    """The type of what only looks like a placeholder is none that a detector finds."""
    assert LOOK_ALIKE not in CHAIN.types
