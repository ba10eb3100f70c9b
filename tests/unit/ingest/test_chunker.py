from __future__ import annotations

import re

import numpy as np
import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.chunker import CanonicalText, Chunk, ChunkConfig, canonicalise, chunk, encoder_input
from ingest.elements import Element

WORDS = re.compile(r"[぀-ヿ一-鿿]|\w+|[^\w\s]")  # one token a word, a sign or a Han character, as BERT's tokeniser


def token_starts(text: str) -> np.ndarray:
    return np.array([match.start() for match in WORDS.finditer(text)], dtype=np.int64)


def chunks_of(canonical: CanonicalText, **config: int) -> tuple[Chunk, ...]:
    return chunk(canonical, token_starts(canonical.text), ChunkConfig(**config))


def paragraph(text: str, **fields: object) -> Element:
    return Element(text=text, **fields)  # type: ignore[arg-type]


def heading(text: str, level: int = 1) -> Element:
    return Element(text=text, kind="heading", level=level)


def sentences(count: int, word: str = "word") -> str:
    return " ".join(f"This is {word} number {at} of them." for at in range(count))


def texts(canonical: CanonicalText, chunks: tuple[Chunk, ...]) -> list[str]:
    return [canonical.text[part.start : part.end] for part in chunks]


ALPHABET = st.sampled_from(
    [
        "a",
        "b",
        "Word",
        " ",
        " ",
        ".",
        "! ",
        "\n",
        "。",
        "漢",
        "字",
        "ไทย",
        "ก็",
        "é",
        "e\u0301",
        "👩‍👩‍👧",
        "🇩🇪",
        "한",
        "नि",
        "x" * 30,
    ]
)
ELEMENTS = st.lists(
    st.builds(
        Element,
        text=st.lists(ALPHABET, min_size=1, max_size=60).map("".join),
        kind=st.sampled_from(["heading", "paragraph", "list_item", "table", "code", "caption", "header", "footer"]),
        level=st.integers(0, 4),
        page=st.none() | st.integers(1, 9),
    ),
    max_size=12,
)


@given(elements=ELEMENTS)
@settings(deadline=None)
def test_spans_are_the_elements(elements: list[Element]) -> None:
    """Every span of the canonical text is the text of its element, in order and without overlap."""
    canonical = canonicalise(elements)
    kept = [element for element in elements if element.text.strip() and element.kind not in ("header", "footer")]
    body = [span for span in canonical.spans if span.kind not in ("header", "footer")]
    assert [canonical.text[span.start : span.end] for span in body] == [
        element.text.rstrip().lstrip("\n") for element in kept
    ]
    assert all(left.end < right.start for left, right in zip(canonical.spans, canonical.spans[1:], strict=False))


@given(elements=ELEMENTS, most=st.integers(1, 40), least=st.integers(0, 20), characters=st.integers(20, 200))
@settings(max_examples=150, deadline=None)
def test_chunks_cover_everything_once(elements: list[Element], most: int, least: int, characters: int) -> None:
    """Chunks never overlap, leave out nothing but white space, and keep every limit of size and of pages."""
    canonical = canonicalise(elements)
    chunks = chunks_of(canonical, max_tokens=most, min_tokens=least, max_characters=characters)
    starts = token_starts(canonical.text)
    at = 0
    for part in chunks:
        assert at <= part.start < part.end
        assert not canonical.text[at : part.start].strip()
        assert np.count_nonzero((starts >= part.start) & (starts < part.end)) <= most
        assert part.end - part.start <= characters
        at = part.end
    assert not canonical.text[at:].strip()


@given(elements=ELEMENTS, characters=st.integers(40, 100))
@settings(max_examples=150, deadline=None)
def test_no_grapheme_cluster_is_cut(elements: list[Element], characters: int) -> None:
    """No chunk begins or ends inside what a person sees as one character."""
    canonical = canonicalise(elements)
    ends = {match.end() for match in regex.finditer(r"\X", canonical.text)} | {0}
    longest = max((len(cluster) for cluster in regex.findall(r"\X", canonical.text)), default=0)
    if longest < characters:
        for part in chunks_of(canonical, max_tokens=50, min_tokens=5, max_characters=characters):
            assert part.start in ends
            assert part.end in ends


def test_heading_goes_with_what_follows() -> None:
    """A heading opens the chunk of its section, and the chunk knows the path of headings above it."""
    canonical = canonicalise(
        [heading("Guide"), paragraph(sentences(5)), heading("Costs", 2), paragraph(sentences(5)), heading("End")]
    )
    chunks = chunks_of(canonical, max_tokens=60, min_tokens=20)
    assert [text.split("\n")[0] for text in texts(canonical, chunks)] == ["Guide", "Costs", "End"]
    assert [part.headings for part in chunks] == [("Guide",), ("Guide", "Costs"), ("End",)]


def test_waiting_heading_moves_on() -> None:
    """When the body behind a heading finds no room, the heading leaves the open chunk and goes with its body."""
    canonical = canonicalise([paragraph("Short one."), heading("Costs"), paragraph(sentences(7))])
    assert [text.split("\n")[0] for text in texts(canonical, chunks_of(canonical, max_tokens=58, min_tokens=30))] == [
        "Short one.",
        "Costs",
    ]


def test_small_sections_share_a_chunk() -> None:
    """Sections below the smallest size go together as long as they fit."""
    canonical = canonicalise([part for at in range(4) for part in (heading(f"H{at}", 2), paragraph("Few words."))])
    assert len(chunks_of(canonical, max_tokens=60, min_tokens=30)) == 1


def test_breaks_at_paragraphs_before_sentences() -> None:
    """A paragraph that fits into a chunk of its own is not cut to fill the one before."""
    canonical = canonicalise([paragraph(sentences(4, "first")), paragraph(sentences(4, "second"))])
    assert texts(canonical, chunks_of(canonical, max_tokens=40, min_tokens=20)) == [
        sentences(4, "first"),
        sentences(4, "second"),
    ]


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        (sentences(40), "."),
        ("これは一つの文です。" * 40, "。"),
        ("हम यहाँ रहते हैं। " * 40, "।"),
        ("สวัสดีครับ ยินดีต้อนรับ " * 40, "บ"),
    ],
)
def test_long_paragraph_breaks_at_sentences(text: str, ends: str) -> None:
    """A paragraph longer than a chunk is cut behind sentences, in every script; Thai has spaces between them."""
    canonical = canonicalise([paragraph(text)])
    parts = texts(canonical, chunks_of(canonical, max_tokens=60, min_tokens=10, max_characters=300))
    assert len(parts) > 2
    assert all(part.endswith(ends) for part in parts)


def test_leaves_no_crumb() -> None:
    """The last part of a cut paragraph is big enough to stand alone."""
    canonical = canonicalise([paragraph(sentences(9))])  # 72 tokens
    sizes = [len(WORDS.findall(text)) for text in texts(canonical, chunks_of(canonical, max_tokens=64, min_tokens=20))]
    assert min(sizes) >= 20


def test_table_is_not_cut_to_fill() -> None:
    """A table that fits into a chunk is kept whole even when the chunk before is small."""
    table = Element(text="\n".join(f"| row {at} | value |" for at in range(6)), kind="table")
    canonical = canonicalise([paragraph("An intro."), table])
    assert texts(canonical, chunks_of(canonical, max_tokens=38, min_tokens=20)) == ["An intro.", table.text]


def test_pages_of_a_chunk() -> None:
    """A chunk names the first and the last page that it stands on."""
    canonical = canonicalise([paragraph("One.", page=3), paragraph("Two.", page=4), paragraph("Three.", page=4)])
    (only,) = chunks_of(canonical)
    assert (only.page, only.page_end) == (3, 4)


def test_running_headers_appear_once() -> None:
    """A header that repeats with other page numbers stays once, a bare page number never."""
    pages = [
        Element(text=text, kind=kind, page=page)
        for page in (1, 2, 3)
        for text, kind in (
            (f"Annual report, page {page}", "header"),
            (f"Body {page}.", "paragraph"),
            (f"- {page} -", "footer"),
        )
    ]
    assert canonicalise(pages).text == "Annual report, page 1\n\nBody 1.\n\nBody 2.\n\nBody 3."


def test_one_edit_changes_few_chunks() -> None:
    """A sentence added in one section leaves the chunks of all other sections as they were."""
    sections = [part for at in range(20) for part in (heading(f"Part {at}"), paragraph(sentences(30, f"w{at}")))]
    before = canonicalise(sections)
    sections[21] = paragraph("A new sentence. " + sections[21].text)
    after = canonicalise(sections)
    old = set(texts(before, chunks_of(before, max_tokens=60, min_tokens=20)))
    new = texts(after, chunks_of(after, max_tokens=60, min_tokens=20))
    assert 0 < sum(text not in old for text in new) <= len(new) / 20 + 1


def test_nothing_gives_no_chunk() -> None:
    """An empty document has neither text nor chunks."""
    canonical = canonicalise([])
    assert (canonical.text, chunks_of(canonical)) == ("", ())


@given(
    title=st.text(max_size=300, alphabet=st.characters(exclude_categories=["Cs"])),
    headings=st.lists(st.text(max_size=100, alphabet=st.characters(exclude_categories=["Cs"])), max_size=5).map(tuple),
    text=st.text(max_size=99),
)
@settings(deadline=None)
def test_encoder_input_ends_with_the_text(title: str, headings: tuple[str, ...], text: str) -> None:
    """The chunk's own text stands at the offset that is given, behind at most 160 bytes of context."""
    seen, start = encoder_input(title, headings, text)
    assert seen[start:] == text
    assert len(seen[:start].encode()) <= 161


def test_encoder_input_says_what_the_text_does_not() -> None:
    """Title and headings go in front, but not the heading that the chunk itself begins with."""
    assert encoder_input("Guide", ("Costs", "Travel"), "Travel\n\nBy train.") == (
        "Guide > Costs\nTravel\n\nBy train.",
        len("Guide > Costs\n"),
    )
    assert encoder_input("", (), "Text") == ("Text", 0)
