"""Settings of one Vast.ai account: `spec.config` of its GPUProvider, beside those of any market."""

from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field

from overspill.providers._settings import MarketSettings, words_of

DEFAULT_ENDPOINT = "https://console.vast.ai"

Words = Annotated[tuple[str, ...], BeforeValidator(words_of)]


class Config(MarketSettings):
    """Defaults suit one cluster: few searches (there is a daily quota), verified hosts only."""

    requests_per_second: float = Field(default=1, gt=0, le=100)
    verified_only: bool = True
    datacenter_only: bool = False
    min_reliability: Decimal = Field(default=Decimal("0.95"), ge=0, le=1)
    disk_gib: int = Field(default=40, ge=1, le=100_000)
    """The disk that offers are priced with; a job that asks for more may find its cap too low."""
    offer_limit: int = Field(default=500, ge=1, le=5000)
    bid_margin: Decimal = Field(default=Decimal("0.05"), ge=0, le=10)
    """Spot: bid so much above the lowest bid that would win now."""
    countries: Words = ()
    """ISO 3166 codes to search in; none: everywhere."""
    offers_every_seconds: float = Field(default=120, ge=10, le=3600)
