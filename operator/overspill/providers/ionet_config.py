"""Settings of one io.net account: `spec.config` of its GPUProvider, beside those of any market."""

from decimal import Decimal
from typing import Literal

from pydantic import Field

from overspill.providers._settings import MarketSettings

DEFAULT_ENDPOINT = "https://api.io.solutions"


class Config(MarketSettings):
    """Defaults keep well below the market's 300 requests per minute."""

    requests_per_second: float = Field(default=4, gt=0, le=100)
    quarantine_seconds: float = Field(default=180, ge=0, le=3600)
    """Long: a duplicate is paid for at least an hour."""
    max_prepaid_hours: int = Field(default=24, ge=1, le=8760)
    """At most so many hours are bought at once; nothing is refunded."""
    fee_percent: Decimal = Field(default=Decimal(5), ge=0, le=100)
    """Added to list prices until the market's own quote has told its fees."""
    payment_source: Literal["credits", "payment"] = "credits"
