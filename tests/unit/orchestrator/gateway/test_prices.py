"""What tokens cost."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.errors import BadInput
from orchestrator.gateway.port import TokenUsage
from orchestrator.gateway.prices import BILLIONTH, Band, Price, read_prices

PER_MILLION = st.decimals(0, 1_000, places=4)
TOKENS = st.integers(0, 400_000)
HAIKU = Price(
    provider="p",
    model="m",
    batch_share=Decimal("0.5"),
    bands=(
        Band(
            up_to=100,
            input=Decimal(1),
            output=Decimal(2),
            cache_read=Decimal("0.1"),
            cache_write=Decimal("1.25"),
            cache_write_long=Decimal("1.5"),
        ),
        Band(
            input=Decimal(10),
            output=Decimal(20),
            cache_read=Decimal(1),
            cache_write=Decimal("12.5"),
            cache_write_long=Decimal(15),
        ),
    ),
)


@st.composite
def prices(draw: st.DrawFn) -> Price:
    ends: list[int | None] = [*sorted(draw(st.sets(st.integers(1, 500_000), max_size=3))), None]
    rates = st.fixed_dictionaries(
        dict.fromkeys(("input", "output", "cache_read", "cache_write", "cache_write_long"), PER_MILLION)
    )
    bands = tuple(Band(up_to=end, **draw(rates)) for end in ends)
    return Price(provider="p", model="m", bands=bands, batch_share=draw(st.decimals("0.1", 1, places=2)))


@pytest.mark.parametrize(
    ("usage", "dollars"),
    [
        (TokenUsage(), "0"),
        (TokenUsage(input=100, output=10), "0.000120"),
        (TokenUsage(input=101, output=10), "0.001210"),  # one token more: every token of the next band
        (TokenUsage(input=20, cache_read=30, cache_write=25, cache_write_long=25), "0.00009175"),
        (TokenUsage(input=1, cache_read=50, cache_write=50, output=10), "0.000885"),  # caches count for the length
        (TokenUsage(output=1_000), "0.002"),  # outputs do not
    ],
)
def test_a_cost_follows_the_band_of_the_whole_prompt(usage: TokenUsage, dollars: str) -> None:
    """Inputs, outputs, and reads and writes of caches each have their price, after the band of the prompt's length."""
    assert HAIKU.cost(usage) == Decimal(dollars)


def test_a_batch_costs_its_share() -> None:
    """Half here."""
    usage = TokenUsage(input=100, output=10)
    assert HAIKU.cost(usage, batch=True) == Decimal("0.000060")


def test_a_cost_is_rounded_up_to_billionths() -> None:
    """A token of a ten-thousandth of a dollar a million costs a billionth, not nothing."""
    rates: dict[str, Any] = dict.fromkeys(
        ("input", "output", "cache_read", "cache_write", "cache_write_long"), Decimal("0.0001")
    )
    cheap = Price(provider="p", model="m", bands=(Band(**rates),))
    assert cheap.cost(TokenUsage(input=1)) == cheap.most(1, 0) == BILLIONTH


@given(data=st.data(), price=prices(), prompt=TOKENS, output=TOKENS, cached=TOKENS)
def test_no_call_within_its_bounds_costs_more_than_the_most(
    data: st.DataObject, price: Price, prompt: int, output: int, cached: int
) -> None:
    """Shorter prompts of dearer bands, reads and writes of caches, batches: never above what is reserved."""
    written = data.draw(st.integers(0, min(cached, prompt)))
    long = data.draw(st.integers(0, written))
    read = data.draw(st.integers(0, prompt - written))
    usage = TokenUsage(
        input=data.draw(st.integers(0, prompt - written - read)),
        cache_read=read,
        cache_write=written - long,
        cache_write_long=long,
        output=data.draw(st.integers(0, output)),
    )
    most = price.most(prompt, output, cached_tokens=cached)
    assert price.cost(usage) <= most
    assert price.cost(usage, batch=True) <= most
    assert most == most.quantize(BILLIONTH)


def test_the_most_covers_shorter_prompts_of_dearer_bands() -> None:
    """Of a table in which long prompts are cheaper, each rate that is reachable counts, and no other."""
    dear, cheap = HAIKU.bands[1], HAIKU.bands[0]
    price = Price(provider="p", model="m", bands=(replace(dear, up_to=100), replace(cheap, up_to=None)))
    assert price.most(101, 10) == Decimal("0.001210")
    assert price.most(101, 10, cached_tokens=1_000) == Decimal("0.001715")
    assert HAIKU.most(100, 10) == Decimal("0.000120")


def test_the_shipped_prices_are_read() -> None:
    """The version is the day; a model that is not in the table has no price."""
    table = read_prices()
    assert table.version == "2026-11-20"
    assert table.price("anthropic", "claude-nothing") is None
    assert table.price("openai", "claude-haiku-5-5") is None
    haiku = table.price("anthropic", "claude-haiku-5-5")
    assert haiku is not None
    assert haiku.cost(TokenUsage(input=90_000, cache_read=10_000, output=1_000)) == Decimal("0.0096")


@pytest.mark.parametrize("prompt", [1_000, 99_999, 100_001, 150_000, 250_000])
def test_the_shipped_prices_are_those_that_others_know(prompt: int) -> None:
    """A second table, kept by others, gives the same costs for every model that it knows: ours is no older."""
    others = pytest.importorskip("genai_prices")
    compared = 0
    for price in read_prices().prices:
        parts = {"cache_read_tokens": prompt // 4, "cache_write_tokens": prompt // 8, "output_tokens": 1_000}
        try:
            said = others.calc_price(
                others.Usage(input_tokens=prompt, **parts), price.model, provider_id=price.provider
            ).total_price
        except LookupError:
            continue
        read, written = parts["cache_read_tokens"], parts["cache_write_tokens"]
        usage = TokenUsage(input=prompt - read - written, cache_read=read, cache_write=written, output=1_000)
        assert abs(price.cost(usage) - said) <= BILLIONTH, price.model
        compared += 1
    assert compared, "The other table knows none of our models."


RATES = "input: 1, output: 2, cache_read: 0.1, cache_write: 1.25, cache_write_long: 2"
ONE = f"{{provider: p, model: m, bands: [{{{RATES}}}]}}"


def banded(*ends: str) -> str:
    bands = ", ".join(f"{{{f'up_to: {end}, ' if end else ''}{RATES}}}" for end in ends)
    return f"{{provider: p, model: m, bands: [{bands}]}}"


@pytest.mark.parametrize(
    ("entries", "version", "place", "code", "cause"),
    [
        ([ONE, ONE], "2026-11-20", "prices.1 (p m)", "duplicate_price", "has a price already"),
        ([banded("100")], "2026-11-20", "prices.0 (p m)", "bad_band", "ends at 100 tokens"),
        (
            [ONE.replace("m,", "n,"), banded("200", "100", "")],
            "2026-11-20",
            "prices.1 (p m)",
            "bad_band",
            "above that of the band before",
        ),
        ([banded("100", "100", "")], "2026-11-20", "prices.0 (p m)", "bad_band", "above that"),
        ([banded("0", "")], "2026-11-20", "prices.0 (p m)", "bad_band", "above 0"),
        ([banded("", "")], "2026-11-20", "prices.0 (p m)", "bad_band", "need an `up_to`"),
        (["{provider: p, model: m, bands: []}"], "2026-11-20", "prices.0.bands", "bad_entry", "at least 1"),
        ([banded("").replace("input: 1", "input: -1")], "2026-11-20", "prices.0.bands.0.input", "bad_entry", "0"),
        (
            [banded("").replace("input: 1", "input: .nan")],
            "2026-11-20",
            "prices.0.bands.0.input",
            "bad_entry",
            "finite",
        ),
        ([banded("").replace("input: 1, ", "")], "2026-11-20", "prices.0.bands.0.input", "bad_entry", "missing"),
        ([ONE.replace("model: m,", "model: m, till: x,")], "2026-11-20", "prices.0.till", "bad_entry", "not known"),
        ([ONE], "soon", "version", "bad_entry", "date"),
        ([ONE], "2026-02-30", "", "bad_yaml", "day is out of range"),
    ],
)
def test_a_table_that_cannot_hold_is_refused_with_its_place(
    tmp_path: Path, entries: list[str], version: str, place: str, code: str, cause: str
) -> None:
    """Models given twice, bands that leave prompts without a price, values that are none."""
    file = tmp_path / "prices.yaml"
    file.write_text(f"version: {version}\nprices:\n" + "".join(f"  - {entry}\n" for entry in entries))
    with pytest.raises(BadInput) as refusal:
        read_prices(file)
    assert (refusal.value.item, refusal.value.code) == (f"{file}: {place}" if place else str(file), code)
    assert cause in refusal.value.cause


def test_a_written_price_is_taken_to_the_last_digit(tmp_path: Path) -> None:
    """0.1 in the file is a tenth, not the nearest binary fraction."""
    file = tmp_path / "prices.yaml"
    file.write_text(f"version: 2026-11-20\nprices:\n  - {ONE}\n")
    price = read_prices(file).price("p", "m")
    assert price is not None
    assert price.bands[0].cache_read == Decimal("0.1")
