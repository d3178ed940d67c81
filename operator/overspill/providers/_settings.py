"""Settings that every market with one key has, checked once: `spec.config` and the Secret.

A market's own settings extend `MarketSettings`. A wrong value is said in words, never echoed:
a mistaken one may be a key.
"""

from collections.abc import Mapping
from typing import TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from overspill.core.errors import AuthRejected, ProviderError
from overspill.core.snapshot import ProviderAccount
from overspill.providers._http import Limits, is_local

CREDENTIAL = "apiKey"
"""The key of the credentials Secret."""

Settings = TypeVar("Settings", bound="MarketSettings")


class MarketSettings(BaseModel):
    """How we speak with a market. Names in `spec.config` are camelCase."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    api_key: SecretStr = Field(min_length=1)
    endpoint: str
    requests_per_second: float = Field(default=2, gt=0, le=1000)
    request_timeout_seconds: float = Field(default=20, gt=0, le=120)
    list_lag_seconds: float = Field(default=30, ge=0, le=600)
    """For so long a fresh lease may be missing from the market's lists."""
    quarantine_seconds: float = Field(default=60, ge=0, le=3600)
    offers_every_seconds: float = Field(default=60, ge=5, le=3600)
    """How long a reading of what it offers is kept."""
    allow_plain_http: bool = False

    def limits(self) -> Limits:
        """Patience and pace of every request."""
        return Limits(
            request_timeout_s=self.request_timeout_seconds,
            requests_per_second=self.requests_per_second,
        )

    def bearer(self) -> dict[str, SecretStr]:
        """The key as most markets want it."""
        return {"authorization": SecretStr(f"Bearer {self.api_key.get_secret_value()}")}


def settings_of(
    kind: type[Settings],
    account: ProviderAccount,
    credentials: Mapping[str, str],
    default_endpoint: str,
) -> Settings:
    """The settings. Raises AuthRejected without a key, ProviderError for a wrong value."""
    if not credentials.get(CREDENTIAL, "").strip():
        raise AuthRejected(
            f"{account.name}: the credentials Secret has no value under {CREDENTIAL!r}",
            provider=account.name,
        )
    values: dict[str, object] = {
        **account.config,
        "apiKey": credentials[CREDENTIAL].strip(),
        "endpoint": (account.endpoint or default_endpoint).rstrip("/"),
    }
    try:
        settings = kind.model_validate(values)
    except ValidationError as wrong:
        raise ProviderError(_words(account, wrong), provider=account.name) from None
    _check_endpoint(account, settings)
    return settings


def words_of(raw: object) -> object:
    """A list written in one string, "a, b c", as the tuple that it means."""
    return tuple(raw.replace(",", " ").split()) if isinstance(raw, str) else raw


def _words(account: ProviderAccount, wrong: ValidationError) -> str:
    faults = [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        for fault in wrong.errors(include_url=False, include_context=False, include_input=False)
    ]
    return f"{account.name}: its config cannot be used: {'; '.join(faults)}"


def _check_endpoint(account: ProviderAccount, settings: MarketSettings) -> None:
    parts = urlsplit(settings.endpoint)
    is_safe = parts.scheme == "https" or (
        parts.scheme == "http" and (is_local(settings.endpoint) or settings.allow_plain_http)
    )
    if is_safe and parts.hostname and not parts.username:
        return
    raise ProviderError(
        f"{account.name}: the endpoint must be https (or set config.allowPlainHttp): "
        "the key would travel in the clear",
        provider=account.name,
    )
