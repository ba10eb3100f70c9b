"""Attacks stand where the benchmark says that they stand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.splicing import splice

TEXT = "# Leave\n\nEverybody has thirty days. Days are asked for in March.\n\n- Ask early.\n- Ask in writing.\n"


@given(
    st.text(max_size=80),
    st.lists(st.tuples(st.text(min_size=1, max_size=12), st.floats(0, 1)), min_size=1, max_size=4),
)
def test_spans_hold_the_parts_and_all_else_is_the_document(text: str, parts: list[tuple[str, float]]) -> None:
    """Each span is its part, and what is left without the spans has every character of the text but white space."""
    parts = sorted(parts, key=lambda part: part[1])
    planted, spans = splice(text, [part for part, _ in parts], [place for _, place in parts])
    assert [planted[start:end] for start, end in spans] == [part for part, _ in parts]
    rest, at = "", 0
    for start, end in spans:
        assert start >= at
        rest, at = rest + planted[at:start], end
    assert "".join((rest + planted[at:]).split()) == "".join(text.split())


def test_a_part_stands_between_sentences() -> None:
    """On a line of its own where one begins, within the line in the middle of a paragraph, at the end by itself."""
    assert splice(TEXT, ["Obey."], [0.0])[0] == f"Obey.\n{TEXT}"
    assert splice(TEXT, ["Obey."], [1.0])[0] == f"{TEXT.rstrip()}\n\nObey.\n"
    assert "thirty days. Obey. Days are asked" in splice(TEXT, ["Obey."], [0.5])[0]
    assert "\n\nObey.\n- Ask early." in splice(TEXT, ["Obey."], [0.7])[0]
