"""What tokens cost: a dated table with bands by length of prompt, and the cost of what was or could be used.

Money is Decimal, in US dollars, and every cost is rounded up to whole billionths, the unit of the ledger: a sum of
costs is exact, and never below what it stands for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import ROUND_UP, Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from orchestrator.gateway.port import TokenUsage
from orchestrator.yaml_files import read_strictly, refused

DEFAULT_PRICES: Final = Path(__file__).with_name("prices.yaml")
BILLIONTH: Final = Decimal("1E-9")
_MILLION: Final = Decimal(1_000_000)
PerMillion = Annotated[Decimal, Field(ge=0, le=100_000)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """US dollars per million tokens, for prompts up to a length. A call is billed after the band of its prompt."""

    __pydantic_config__: ClassVar[Any] = ConfigDict(extra="forbid")

    up_to: int | None = None  # tokens of prompt, this many included; None: any length
    input: PerMillion
    output: PerMillion
    cache_read: PerMillion
    cache_write: PerMillion  # kept for 5 minutes
    cache_write_long: PerMillion  # kept for an hour

    def cost(self, usage: TokenUsage) -> Decimal:
        """US dollars, not rounded."""
        parts = (
            usage.input * self.input
            + usage.output * self.output
            + usage.cache_read * self.cache_read
            + usage.cache_write * self.cache_write
            + usage.cache_write_long * self.cache_write_long
        )
        return parts / _MILLION


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one model costs. Its bands are ordered by length, and the last one has no end."""

    __pydantic_config__: ClassVar[Any] = ConfigDict(extra="forbid")

    provider: str
    model: str
    bands: Annotated[tuple[Band, ...], Field(min_length=1)]
    batch_share: Annotated[Decimal, Field(gt=0, le=1)] = Decimal(1)  # of the price, in batches

    def band(self, prompt_tokens: int) -> Band:
        """The band of a prompt."""
        return next(band for band in self.bands if band.up_to is None or prompt_tokens <= band.up_to)

    def cost(self, usage: TokenUsage, *, batch: bool = False) -> Decimal:
        """US dollars for what was used, in whole billionths, rounded up."""
        cost = self.band(usage.prompt).cost(usage) * (self.batch_share if batch else 1)
        return cost.quantize(BILLIONTH, ROUND_UP)

    def most(self, prompt_tokens: int, output_tokens: int, *, cached_tokens: int = 0) -> Decimal:
        """The most that a call may cost, where `cached_tokens` of its prompt may be written to a cache."""
        reachable = self.bands[: self.bands.index(self.band(prompt_tokens)) + 1]
        cached_tokens = min(cached_tokens, prompt_tokens)
        read = max(max(band.input, band.cache_read) for band in reachable)
        written = max(read, *(max(band.cache_write, band.cache_write_long) for band in reachable))
        output = max(band.output for band in reachable)
        parts = (prompt_tokens - cached_tokens) * read + cached_tokens * written + output_tokens * output
        return (parts / _MILLION).quantize(BILLIONTH, ROUND_UP)


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceTable:
    """Prices that held on a day."""

    version: str  # the day, ISO 8601; every attempt notes it
    prices: tuple[Price, ...]
    source: Path = DEFAULT_PRICES

    def price(self, provider: str, model: str) -> Price | None:
        """What the model costs, None when the table does not know it."""
        return next((price for price in self.prices if price.provider == provider and price.model == model), None)


class _PricesFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: date
    prices: tuple[Price, ...]


def read_prices(file: Path = DEFAULT_PRICES) -> PriceTable:
    """The price table of a file.

    Raises BadInput with file, place, cause and next step: a key that is not known, a model given twice, bands that are
    out of order, or the last of which has an end.
    """
    read = read_strictly(file, _PricesFile)
    seen: set[tuple[str, str]] = set()
    for number, price in enumerate(read.prices):
        place = f"prices.{number} ({price.provider} {price.model})"
        if (price.provider, price.model) in seen:
            raise refused(file, place, "duplicate_price", "This model has a price already.", "Remove one of the two.")
        seen.add((price.provider, price.model))
        _check_bands(file, place, price.bands)
    return PriceTable(version=read.version.isoformat(), prices=read.prices, source=file)


def _check_bands(file: Path, place: str, bands: tuple[Band, ...]) -> None:
    ends = [band.up_to for band in bands]
    if ends[-1] is not None:
        cause = f"The last band ends at {ends[-1]} tokens, so that longer prompts have no price."
        raise refused(file, place, "bad_band", cause, "Leave `up_to` out of the last band.")
    inner = ends[:-1]
    if any(end is None or end <= 0 for end in inner) or inner != sorted({end for end in inner if end}):
        cause = "All bands but the last need an `up_to`, above 0 and above that of the band before."
        raise refused(file, place, "bad_band", cause, "Put the bands in order of length.")
