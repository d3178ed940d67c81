"""Settings of one SaladCloud project: `spec.config` of its GPUProvider, beside any market's."""

from typing import Literal

from pydantic import Field, SecretStr

from overspill.providers._settings import MarketSettings

DEFAULT_ENDPOINT = "https://api.salad.com/api/public"
_NAME = r"^[a-z][a-z0-9-]{0,61}[a-z0-9]$"

Priority = Literal["high", "medium", "low", "batch"]


class Config(MarketSettings):
    """Defaults: the highest priority, which no other tenant's work pushes out."""

    organization: str = Field(pattern=_NAME)
    project: str = Field(pattern=_NAME)
    """One of our own: other controllers may delete what they did not make."""
    priority: Priority = "high"
    secure_only: bool = False
    """Only classes in data centres; the others are people's own machines."""
    availability_checks: int = Field(default=6, ge=0, le=100)
    """How many classes are asked for free machines per reading of the catalogue, in turn."""
    requests_per_second: float = Field(default=3, gt=0, le=1000)
    """The market allows 240 requests a minute and key."""

    def key_header(self) -> dict[str, SecretStr]:
        """The key as this market wants it."""
        return {"salad-api-key": self.api_key}
