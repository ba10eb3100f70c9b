"""How long a prompt is before anyone has counted it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.gateway.port import ModelRequest, Turn
from orchestrator.gateway.sizes import PromptSize, prompt_size

texts = st.text(max_size=60)
requests = st.builds(
    ModelRequest,
    model=st.just("m"),
    system=texts,
    turns=st.lists(st.builds(Turn, role=st.just("user"), text=texts), max_size=3).map(tuple),
    schema=st.one_of(st.none(), st.dictionaries(texts, texts, max_size=3)),
    max_output_tokens=st.just(100),
    cacheable=st.integers(0, 80),
    documents=st.lists(st.tuples(texts, texts), max_size=2).map(tuple),
)


@given(requests)
def test_no_tokeniser_over_bytes_makes_more(request: ModelRequest) -> None:
    """The bound is above the bytes of all that is sent; the likely figure and the part for a cache are within it."""
    size = prompt_size(request)
    sent = [
        request.system,
        *(turn.text for turn in request.turns),
        *(part for pair in request.documents for part in pair),
    ]
    sent += [part for pair in (request.schema or {}).items() for part in pair]
    assert size.most >= sum(len(text.encode()) for text in sent) + 1_000
    assert 1 <= size.likely <= size.most
    assert 0 <= size.cacheable <= size.most
    assert (size.cacheable > 0) == (request.cacheable > 0)


def test_bytes_count_and_not_characters() -> None:
    """Three bytes of a Chinese character may be three tokens; 3.5 bytes of prose are likely one."""

    def size(text: str, cacheable: int = 0) -> PromptSize:
        turns = (Turn(role="user", text="x" * 10),)
        return prompt_size(
            ModelRequest(model="m", system=text, turns=turns, schema=None, max_output_tokens=1, cacheable=cacheable)
        )

    assert size("假" * 20) == PromptSize(likely=21, most=1_070, cacheable=0)
    assert size("假" * 20, cacheable=10).cacheable == 1_030


@given(size=requests.map(prompt_size), tokens=st.integers(0, 5_000))
def test_a_count_narrows_the_bound_and_never_widens_it(size: PromptSize, tokens: int) -> None:
    """The provider's count is the likely figure; the bound is at most 5% and one token above it."""
    counted = size.counted(tokens)
    assert counted.likely == tokens
    assert counted.most == min(size.most, tokens + tokens // 20 + 1)
    assert counted.cacheable <= min(counted.most, size.cacheable)
