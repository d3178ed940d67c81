"""Settings of one Shadeform account: `spec.config` of its GPUProvider, beside the common ones."""

from typing import Annotated

from pydantic import BeforeValidator, Field

from overspill.providers._entrypoint import PROGRAM_IMAGES
from overspill.providers._settings import MarketSettings, words_of

DEFAULT_ENDPOINT = "https://api.shadeform.ai"

Words = Annotated[tuple[str, ...], BeforeValidator(words_of)]


class Config(MarketSettings):
    """Defaults: every cloud that Shadeform resells, its own choice of the system image."""

    clouds: Words = ()
    """Rent from these only; none: from all."""
    os: str = ""
    """A system image that has Docker; empty: the market's choice, which has."""
    program_images: Words = PROGRAM_IMAGES
    """Refused: their entrypoint would not run our command."""
    auto_delete_slack_seconds: int = Field(default=900, ge=0, le=86_400)
    """How late the market may be with an automatic deletion; counts in the worst case."""
