from __future__ import annotations

import unicodedata
from dataclasses import replace

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from ingest.tags import Integrity
from orchestrator.citations import (
    Draft,
    DraftClaim,
    Quote,
    QuoteLimits,
    Verified,
    fold,
    locate,
    negations,
    verify,
)
from retrieval.evidence import Passage
from retrieval.sanitising import blanked

POLICY = (
    "Section 4.\nFull-time em-\nployees receive 25\u00a0days of paid annual leave \u2014 unless their contract says "
    "otherwise. Unused days don\u2019t roll over past 31 March. Travel above 1,250.50 EUR is \u201cpre-approved\u201d "
    "by the ﬁnance team."
)


def found(quote: str, text: str = POLICY) -> str | None:
    located = locate(quote, text)
    return located and text[located.start : located.end]


def passage(text: str = POLICY, *, start: int = 0, end: int | None = None, document: str = "leave.md") -> Passage:
    end = len(text) if end is None else end
    return Passage(
        chunk_id="c1",
        document_id=document,
        version=2,
        title="Leave",
        source_uri=f"file:///{document}",
        text=text[start:end],
        start=start,
        end=end,
        page=3,
        page_end=3,
        headings=("Leave",),
    )


def one_claim(*quotes: Quote) -> Draft:
    return Draft(claims=(DraftClaim(text="You get 25 days.", quotes=quotes),))


# Offsets


@settings(max_examples=10_000, deadline=None)
@given(st.text())
@example("ﬁ e\u0301 \u00ad-\nx")
@example("a-\nb")
@example("\u1e9b\u0323")
def test_each_folded_character_knows_where_it_came_from(text: str) -> None:
    """The offset map is as long as the folded text, never goes back and points at the right character."""
    folded, offsets = fold(text)
    assert len(folded) == len(offsets)
    assert offsets == sorted(offsets)
    assert all(0 <= offset < len(text) for offset in offsets)
    for character, offset in zip(folded, offsets, strict=True):
        assert character == " " if text[offset].isspace() else character in fold(text[offset])[0]


@given(st.text(), st.text())
def test_folding_does_not_depend_on_composition(left: str, right: str) -> None:
    """Composed and decomposed spellings fold to the same, so a quote may use either."""
    assume(not any(unicodedata.combining(character) > 0 for character in left + right))
    text = left + "é ñ Å が 한 " + right
    assert fold(unicodedata.normalize("NFC", text))[0] == fold(unicodedata.normalize("NFD", text))[0]


@given(st.text(), st.text(max_size=200))
def test_locating_never_raises_and_stays_inside(quote: str, text: str) -> None:
    """Any quote in any text gives None or a non-empty span of the text."""
    located = locate(quote, text)
    assert located is None or 0 <= located.start < located.end <= len(text)


@settings(max_examples=10_000, deadline=None)
@given(st.text(), st.from_regex(r"[a-z]{3,9}( [a-z]{3,9}){0,5}", fullmatch=True), st.text())
def test_a_verbatim_quote_is_found_verbatim(before: str, quote: str, after: str) -> None:
    """What stands in the text as a sentence of its own is found there, character for character."""
    text = f"{before}\n{quote}. {after}"
    assert found(quote, text) == quote


@given(st.integers(0, 50), st.integers(51, 120))
def test_what_is_found_folds_to_the_quote(start: int, end: int) -> None:
    """A span cut from the source and respelt is found as it stands, or as the whole words that it was cut from."""
    quote = POLICY[start:end].upper().replace("\n", "  ")
    located = locate(quote, POLICY)
    if located is not None:
        source = fold(POLICY[located.start : located.end])[0]
        assert source == fold(quote)[0].strip() or located.match == "aligned"


# What is accepted


@pytest.mark.parametrize(
    ("quote", "match", "source"),
    [
        ("25\u00a0days of paid annual leave", "exact", "25\u00a0days of paid annual leave"),
        ("25 days of PAID annual leave - unless", "normalised", "25\u00a0days of paid annual leave \u2014 unless"),
        ("Full-time employees receive", "normalised", "Full-time em-\nployees receive"),
        ("don't roll over past 31 March", "normalised", "don\u2019t roll over past 31 March"),
        ('"pre-approved" by the finance team', "normalised", "\u201cpre-approved\u201d by the ﬁnance team"),
        ("25 days of … annual leave", "elided", "25\u00a0days of paid annual leave"),
        (
            "Full-time employes receive 25 days of paid anual leave",
            "aligned",
            "Full-time em-\nployees receive 25\u00a0days of paid annual leave",
        ),
    ],
)
def test_spelling_may_differ_and_the_source_is_what_is_cited(quote: str, match: str, source: str) -> None:
    """A quote that differs in spelling, quotation marks, spaces or hyphenation resolves to the source's characters."""
    located = locate(quote, POLICY)
    assert located is not None
    assert (located.match, POLICY[located.start : located.end]) == (match, source)


@pytest.mark.parametrize(
    ("quote", "text", "source"),
    [
        ("退款期限为30天。", "说明:退款期限\n为３０天。之后不退。", "退款期限\n为３０天。"),
        ("die Frist beträgt DREISSIG Tage", "Also: die Frist beträgt dreißig Tage.", "die Frist beträgt dreißig Tage"),
        ("مدة الإجازة ثلاثون يوما", "نعم، مدة الإجازة\u200f ثلاثون يوما.", "مدة الإجازة\u200f ثلاثون يوما"),
        ("cafe\u0301 au lait", "Un café au lait.", "café au lait"),
    ],
)
def test_other_languages_fold_too(quote: str, text: str, source: str) -> None:
    """Chinese, German, Arabic and accented quotes are found across their own variants of spelling."""
    assert found(quote, text) == source


# What is refused


@pytest.mark.parametrize(
    "quote",
    [
        "Full-time employees receive 26 days of paid annual leave",
        "Full-time employees receive 35 days of paid annual leave",
        "5 days of paid annual leave",
        "Travel above 1,250 EUR",
        "250.50 EUR is",
        "Unused days roll over past 31 March",
        "25 days of paid annual leave ... their contract says otherwise",  # leaves out "unless"
        "25 days of paid ... leave",  # one word is too little to place
        "roll over past 31 March",
        "Full-time employees never receive 25 days of paid annual leave",
        "employees receive unlimited sick pay every year",
        "ays of paid annual leave",
        "25",
        "",
        "   ",
        "...",
    ],
)
def test_a_changed_number_a_lost_negation_or_a_cut_word_is_not_found(quote: str) -> None:
    """Similar is not the same: numbers, negations and whole words have to agree with the source."""
    assert locate(quote, POLICY) is None


@given(
    st.sampled_from([at for at, character in enumerate(POLICY) if character.isdigit() and at > 11]),
    st.sampled_from("0123456789"),
)
def test_altering_any_digit_of_a_quote_loses_it(position: int, digit: str) -> None:
    """No quote with a digit changed resolves, wherever the digit stands."""
    assume(POLICY[position] != digit)
    sentence = POLICY[11:]
    assert locate(sentence, POLICY) is not None
    assert locate(sentence[: position - 11] + digit + sentence[position - 10 :], POLICY) is None


@pytest.mark.parametrize(
    ("with_negation", "without"),
    [
        ("Das Gerät darf nicht geöffnet werden.", "Das Gerät darf geöffnet werden."),
        ("L'accès n'est jamais partagé avec des tiers.", "L'accès est partagé avec des tiers."),
        ("本产品不支持退款。", "支持退款。"),
        ("لا يجوز مشاركة كلمة المرور", "يجوز مشاركة كلمة المرور"),
        ("ห้ามแบ่งปันรหัสผ่าน", "แบ่งปันรหัสผ่าน"),
        ("यह अनुमति नहीं है", "यह अनुमति है"),
    ],
)
def test_negation_is_seen_in_many_languages(with_negation: str, without: str) -> None:
    """A quote that drops the negation of its source is refused in each of these languages."""
    assert negations(with_negation) > negations(without)
    assert locate(without, with_negation) is None


# The gate


def test_every_citation_equals_the_stored_slice() -> None:
    """Whatever way a quote was found, the citation's quote is the stored text from start to end."""
    draft = one_claim(
        Quote(passage=passage(), text="full-time EMPLOYEES receive 25 days"),
        Quote(passage=passage(), text="Unused days don't roll over"),
    )
    verified = verify(draft, {("leave.md", 2): POLICY})
    citations = verified.claims[0].citations
    assert [citation.quote for citation in citations] == [POLICY[c.start : c.end] for c in citations]
    assert (citations[0].document_id, citations[0].version, citations[0].page) == ("leave.md", 2, 3)


@pytest.mark.parametrize("stored", [{}, {("leave.md", 1): POLICY}, {("other.md", 2): POLICY}])
def test_text_that_may_no_longer_be_read_supports_nothing(stored: dict[tuple[str, int], str]) -> None:
    """A claim on a document or version that the asker may not read now is dropped, its passage at hand or not."""
    verified = verify(one_claim(Quote(passage=passage(), text="31 March")), stored)
    assert verified.claims == ()
    assert [dropped.reason for dropped in verified.dropped] == ["not_readable"]
    assert verified.text == ""


def test_the_stored_text_decides_and_not_the_passage() -> None:
    """When the stored text says something else than the passage at hand, the quote is not found."""
    changed = POLICY.replace("25", "26")
    verified = verify(one_claim(Quote(passage=passage(), text="25\u00a0days of paid")), {("leave.md", 2): changed})
    assert verified.claims == ()
    assert verified.dropped[0].reason == "quote_not_found"


def test_a_quote_from_outside_its_passage_is_refused() -> None:
    """Text that the model was not shown cannot be cited, though the same document holds it."""
    shown = passage(start=0, end=60)
    assert verify(one_claim(Quote(passage=shown, text="31 March")), {("leave.md", 2): POLICY}).claims == ()


def withheld(*parts: str) -> Passage:
    """The policy with these parts of it taken out, as `sanitise` does it."""
    spans = tuple((POLICY.index(part), POLICY.index(part) + len(part)) for part in parts)
    return replace(passage(blanked(POLICY, spans)), withheld=spans)


@pytest.mark.parametrize(
    "quote",
    [
        "Unused days don\u2019t roll over past 31 March.",
        "Unused days don't roll over past 31 March",
        "roll over past 31 March. Travel above 1,250.50 EUR",
        "says otherwise. ... Travel above 1,250.50 EUR",
        "Unused days don't rol over past 31 March. Travel above",
    ],
)
def test_what_was_withheld_cannot_be_quoted(quote: str) -> None:
    """Not as it stands, not in another spelling, not across it, though the stored text has it and the draft asks."""
    shown = withheld("Unused days don\u2019t roll over past 31 March.")
    verified = verify(one_claim(Quote(passage=shown, text=quote)), {("leave.md", 2): POLICY})
    assert verified.claims == ()
    assert len(verified.dropped) == 1


def test_a_quote_of_what_was_withheld_is_named_as_such() -> None:
    """The record tells it from a quote that was made up."""
    shown = withheld("Travel above 1,250.50 EUR")
    reasons = []
    for text in ("Travel above 1,250.50 EUR", "Travel above 9,999.99 EUR"):
        verified = verify(one_claim(Quote(passage=shown, text=text)), {("leave.md", 2): POLICY})
        reasons.append(verified.dropped[0].reason)
    assert reasons == ["withheld", "quote_not_found"]


def test_the_same_words_elsewhere_may_be_quoted() -> None:
    """What was withheld at one place is cited at the other."""
    text = "Send the form.\nNow: Send the form.\n"
    shown = replace(passage(blanked(text, ((0, 14),))), withheld=((0, 14),))
    (claim,) = verify(one_claim(Quote(passage=shown, text="Send the form.")), {("leave.md", 2): text}).claims
    assert claim.citations[0].start == 20


def test_a_citation_says_who_could_write_its_source() -> None:
    """So that a later gate can ask for a person."""
    found = {}
    for integrity in Integrity:
        quote = Quote(passage=replace(passage(), integrity=integrity), text="25\u00a0days of paid annual leave")
        found[integrity.name] = verify(one_claim(quote), {("leave.md", 2): POLICY}).claims[0].citations[0].integrity
    assert found == {name: name for name in ("external", "internal", "reviewed")}


def test_one_bad_quote_drops_its_claim_and_no_other() -> None:
    """A claim needs all of its quotes; its neighbours do not suffer."""
    good = DraftClaim(text="Until March.", quotes=(Quote(passage=passage(), text="31 March"),))
    bad = DraftClaim(text="Both.", quotes=(*good.quotes, Quote(passage=passage(), text="32 March")))
    bare = DraftClaim(text="Trust me.", quotes=())
    verified = verify(Draft(claims=(bad, good, bare)), {("leave.md", 2): POLICY})
    assert verified.text == "Until March."
    assert [(dropped.claim.text, dropped.reason) for dropped in verified.dropped] == [
        ("Both.", "quote_not_found"),
        ("Trust me.", "no_quote"),
    ]


def test_a_hint_picks_among_equal_places_and_a_wrong_one_does_no_harm() -> None:
    """The same words at two places resolve to the one that the model named; a hint that is wrong is ignored."""
    text = "Fee: 10 EUR. Late. Fee: 10 EUR."
    stored = {("leave.md", 2): text}
    starts = []
    for hint in (0, 19, 7, -5, 999):
        verified = verify(one_claim(Quote(passage=passage(text), text="Fee: 10 EUR.", start=hint)), stored)
        starts.append(verified.claims[0].citations[0].start)
    assert starts == [0, 19, 0, 0, 0]


def test_only_the_gate_makes_a_verified() -> None:
    """The type that leaves the gate cannot be made elsewhere."""
    with pytest.raises(TypeError, match=r"citations\.verify only"):
        Verified(claims=(), dropped=(), seal=object())


def test_a_draft_names_the_documents_it_needs() -> None:
    """The caller learns which stored texts to read again within the asker's scope."""
    other = Quote(passage=passage(document="b.md"), text="31 March")
    assert one_claim(Quote(passage=passage(), text="x"), other).documents == {("leave.md", 2), ("b.md", 2)}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("unit", ["a", "ab ", "1", ".", "e\u0301", "- \n", "no "])
def test_huge_sources_and_quotes_stay_bounded(unit: str) -> None:
    """A source of 5 MB and quotes of any length are answered within the time limit."""
    text = unit * (5_000_000 // len(unit))
    limits = QuoteLimits()
    for length in (10, limits.max_characters, 100_000):
        located = locate(unit * (length // len(unit)), text, limits=limits)
        assert located is None or located.end <= len(text)
    window = text[: limits.max_window]
    assert locate("zzz " + window[: limits.max_aligned - 4], window) is None
