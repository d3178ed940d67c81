"""An account's settings: what is taken, what is refused, and that no value is echoed."""

from dataclasses import replace
from decimal import Decimal

import pytest

from overspill.core.errors import AuthRejected, ProviderError
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.providers import adapters
from overspill.providers.akash import Akash
from overspill.providers.akash_config import DEFAULT_ENDPOINT, config_of
from overspill.testing.clock import ManualClock

ACCOUNT = ProviderAccount("market", ProviderType.AKASH)
KEY = {"apiKey": " the-key\n"}


def test_defaults_need_only_a_key() -> None:
    config = config_of(ACCOUNT, KEY)
    assert config.endpoint == DEFAULT_ENDPOINT
    assert config.api_key.get_secret_value() == "the-key"
    assert "the-key" not in repr(config)


def test_settings_come_as_text() -> None:
    settings = {"bidWindowSeconds": "30", "minReliability": "0.95", "auditors": "akash1a, akash1b"}
    config = config_of(replace(ACCOUNT, config=settings), KEY)
    assert config.bid_window_seconds == 30
    assert config.min_reliability == Decimal("0.95")
    assert config.auditors == ("akash1a", "akash1b")


@pytest.mark.parametrize("credentials", [{}, {"apiKey": ""}, {"apiKey": "  "}, {"token": "x"}])
def test_without_a_key_the_credentials_must_be_mended(credentials: dict[str, str]) -> None:
    with pytest.raises(AuthRejected, match="apiKey"):
        config_of(ACCOUNT, credentials)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bidWindowSeconds", "soon"),
        ("bidWindowSeconds", "0"),
        ("bidWindowSeconds", "600"),
        ("denom", "uakt"),
        ("minReliability", "1.5"),
        ("chainApiVersion", "../../evil"),
        ("nonsense", "1"),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not(name: str, value: str) -> None:
    with pytest.raises(ProviderError) as wrong:
        config_of(replace(ACCOUNT, config={name: value}), KEY)
    assert name in str(wrong.value)
    assert "the-key" not in str(wrong.value)
    assert len(value) < 2 or value not in str(wrong.value)


@pytest.mark.parametrize(
    "endpoint",
    ["http://market.example", "ftp://market.example", "https://", "https://me:pw@market.example"],
)
def test_an_endpoint_that_would_show_the_key_is_refused(endpoint: str) -> None:
    with pytest.raises(ProviderError, match="https"):
        config_of(replace(ACCOUNT, endpoint=endpoint), KEY)


@pytest.mark.parametrize(
    "endpoint", ["https://market.example/", "http://127.0.0.1:99", "http://localhost:1"]
)
def test_https_and_this_machine_are_fine(endpoint: str) -> None:
    assert config_of(replace(ACCOUNT, endpoint=endpoint), KEY).endpoint == endpoint.rstrip("/")


def test_plain_http_may_be_allowed_in_words() -> None:
    plain = replace(ACCOUNT, endpoint="http://sandbox.svc", config={"allowPlainHttp": "true"})
    assert config_of(plain, KEY).endpoint == "http://sandbox.svc"


async def test_the_adapter_is_found_by_looking() -> None:
    create = adapters()[ProviderType.AKASH]
    made = create(ACCOUNT, KEY, ManualClock())
    assert isinstance(made, Akash)
    assert made.name == "market"
    await made.aclose()


def test_home_is_not_among_the_markets() -> None:
    assert ProviderType.IN_CLUSTER not in adapters()
