"""Settings of one Akash account: `spec.config` of its GPUProvider and its Secret.

Read by `akash.create`. Values are checked here once; a wrong one is said in words, never echoed.
"""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic.alias_generators import to_camel

from overspill.core.errors import AuthRejected, ProviderError
from overspill.core.offer import BesideRates
from overspill.core.snapshot import ProviderAccount
from overspill.providers._http import is_local

DEFAULT_ENDPOINT = "https://console-api.akash.network"
DEFAULT_CHAIN = "https://api.akashnet.net"
"""A public node of the chain; asked for nothing but providers' certificates."""
HOURS_PER_MONTH = Decimal(730)
CREDENTIAL = "apiKey"
"""The key of the credentials Secret."""


class Config(BaseModel):
    """How we speak with the Console API. Names in `spec.config` are camelCase."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    api_key: SecretStr = Field(min_length=1)
    endpoint: str = DEFAULT_ENDPOINT
    denom: Literal["uact"] = "uact"
    """The platform's coin, a millionth of a dollar. The console rewrites any other to it."""
    bid_window_seconds: float = Field(default=45, gt=0, le=540)
    """Longest wait for bids; the market closes a deployment without a lease after ten minutes."""
    bid_settle_seconds: float = Field(default=8, ge=0, le=300)
    """How long a first fitting bid waits for a better one."""
    min_reliability: Decimal | None = Field(default=None, ge=0, le=1)
    auditors: tuple[str, ...] = ()
    min_deposit_usd: Decimal = Field(default=Decimal("0.5"), gt=0)
    auto_top_up: bool = True
    """Have an escrow refilled that would not last to the lease's ceiling."""
    cpu_usd_per_month: Decimal = Field(default=Decimal("1.60"), ge=0)
    """What hosts charge for a CPU beside the GPUs; this and the next two are the defaults of the
    pricing script that Akash hands to its providers."""
    memory_usd_per_gib_month: Decimal = Field(default=Decimal("0.80"), ge=0)
    storage_usd_per_gib_month: Decimal = Field(default=Decimal("0.02"), ge=0)
    max_gpus_per_lease: int = Field(default=8, ge=1, le=64)
    chain_api_version: str = Field(default="v1beta4", pattern=r"^v\d+(?:(?:alpha|beta)\d+)?$")
    chain_endpoint: str = DEFAULT_CHAIN
    """Whose word counts for the certificate of a provider that no authority vouches for."""
    requests_per_second: float = Field(default=20, gt=0, le=1000)
    request_timeout_seconds: float = Field(default=20, gt=0, le=120)
    list_lag_seconds: float = Field(default=12, ge=0, le=600)
    """Two blocks of the chain: a fresh deployment may be missing from lists for so long."""
    quarantine_seconds: float = Field(default=60, ge=0, le=3600)
    allow_plain_http: bool = False

    @property
    def beside_rates(self) -> BesideRates:
        """What a lease's CPU, memory and disk are expected to cost beside its GPUs."""
        monthly = (
            self.cpu_usd_per_month,
            self.memory_usd_per_gib_month,
            self.storage_usd_per_gib_month,
        )
        return BesideRates(*(usd / HOURS_PER_MONTH for usd in monthly))

    @property
    def patience(self) -> timedelta:
        """How long a deployment that cannot be read is not taken for gone."""
        return max(timedelta(seconds=2 * self.list_lag_seconds), timedelta(seconds=60))


def config_of(account: ProviderAccount, credentials: Mapping[str, str]) -> Config:
    """The settings. Raises AuthRejected without a key, ProviderError for a wrong value."""
    if not credentials.get(CREDENTIAL, "").strip():
        raise AuthRejected(
            f"{account.name}: the credentials Secret has no value under {CREDENTIAL!r}",
            provider=account.name,
        )
    values: dict[str, object] = dict(account.config)
    if "auditors" in account.config:
        values["auditors"] = tuple(account.config["auditors"].replace(",", " ").split())
    values["apiKey"] = credentials[CREDENTIAL].strip()
    values["endpoint"] = (account.endpoint or DEFAULT_ENDPOINT).rstrip("/")
    try:
        config = Config.model_validate(values)
    except ValidationError as wrong:
        raise ProviderError(_words(account, wrong), provider=account.name) from None
    _check_endpoint(account, config)
    return config


def _words(account: ProviderAccount, wrong: ValidationError) -> str:
    # without the input and the URL: a mistaken value may be a key
    faults = [
        f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        for fault in wrong.errors(include_url=False, include_context=False, include_input=False)
    ]
    return f"{account.name}: its config cannot be used: {'; '.join(faults)}"


def _check_endpoint(account: ProviderAccount, config: Config) -> None:
    if not _is_safe(config.endpoint, config.allow_plain_http):
        raise ProviderError(
            f"{account.name}: the endpoint must be https (or set config.allowPlainHttp): "
            "the key would travel in the clear",
            provider=account.name,
        )
    if not _is_safe(config.chain_endpoint):
        raise ProviderError(
            f"{account.name}: config.chainEndpoint must be https: what it says of certificates "
            "could be changed on the way",
            provider=account.name,
        )


def _is_safe(endpoint: str, allow_plain_http: bool = False) -> bool:
    parts = urlsplit(endpoint)
    is_plain_allowed = parts.scheme == "http" and (is_local(endpoint) or allow_plain_http)
    is_known = parts.scheme == "https" or is_plain_allowed
    return is_known and bool(parts.hostname) and not parts.username
