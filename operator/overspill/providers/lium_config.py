"""Settings of one Lium account: `spec.config` of its GPUProvider, beside those of any market."""

from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr

from overspill.providers._settings import MarketSettings, words_of

DEFAULT_ENDPOINT = "https://lium.io/api"
NOBODY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE5vYm9keSBoYXMgdGhlIG90aGVyIGhhbGYgb2YgdGhp nobody"
"""A public key that nobody has the other half of: its 32 bytes are a sentence."""


def _lines_of(raw: object) -> object:
    return tuple(filter(None, map(str.strip, raw.splitlines()))) if isinstance(raw, str) else raw


class Config(MarketSettings):
    """Defaults: nodes that start reliably, and nobody's key for SSH."""

    ssh_public_keys: Annotated[tuple[str, ...], BeforeValidator(_lines_of)] = (NOBODY,)
    """One a line; the market lets nobody in without one."""
    reliable_only: bool = True
    min_reliability: float = Field(default=0, ge=0, le=1)
    countries: Annotated[tuple[str, ...], BeforeValidator(words_of)] = ()
    idempotency_keys: bool = True
    """Insist on a market that honours them; without them a lost order is only found by name."""
    quarantine_seconds: float = Field(default=300, ge=0, le=3600)
    """The market holds a rent under way for so long."""

    def key_header(self) -> dict[str, SecretStr]:
        """The key as this market wants it."""
        return {"x-api-key": self.api_key}
