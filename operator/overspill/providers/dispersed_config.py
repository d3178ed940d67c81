"""Settings of one Dispersed account: `spec.config` of its GPUProvider, beside the common ones."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

from pydantic import BeforeValidator, Field

from overspill.core.gpus import canonical_model
from overspill.providers._settings import MarketSettings, words_of

DEFAULT_ENDPOINT = "https://api.dispersed.com"
SECRET = "secretKey"  # noqa: S105 -- the name of an entry, not its value
"""The second key of the credentials Secret: it signs, and is never sent."""

Words = Annotated[tuple[str, ...], BeforeValidator(words_of)]


def _prices(raw: object) -> object:
    """`rtx5090=0.69, rtx4090=0.35` as a mapping by canonical model."""
    words = words_of(raw)
    if not isinstance(words, tuple):
        return raw
    found = {}
    for word in words:
        model, _, price = str(word).partition("=")
        try:
            found[canonical_model(model)] = Decimal(price)
        except InvalidOperation:
            raise ValueError("must look like rtx5090=0.69, rtx4090=0.35") from None
        if not 0 < found[canonical_model(model)] <= 1000:
            raise ValueError("a price must be more than 0 and at most 1000 USD")
    return found


PROPOSED = {"rtx5090": Decimal("0.69"), "rtx4090": Decimal("0.35"), "rtx3090": Decimal("0.31")}
"""USD per GPU and hour as RNP-019 proposes them; the API is not known to tell any."""


class Config(MarketSettings):
    """Defaults refuse: the adapter is an experiment, and no image is known to be ready."""

    experimental: bool = False
    prices_usd: Annotated[dict[str, Decimal], BeforeValidator(_prices)] = Field(
        default_factory=lambda: dict(PROPOSED)
    )
    """USD per GPU and hour by model; what has no price is not offered."""
    runner_images: Words = ()
    """Images whose entrypoint runs the shell text in OVERSPILL_RUN; `*` stands for anything."""
    max_gpus: int = Field(default=1, ge=1, le=8)
    """Of one lease."""
    assign_timeout_seconds: int = Field(default=300, ge=30, le=3600)
    start_timeout_seconds: int = Field(default=600, ge=30, le=3600)
