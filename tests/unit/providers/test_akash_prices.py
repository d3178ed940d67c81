"""Akash's units and its price list in our words."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import CapacityType, InterconnectClass, ProviderType, TrustTier
from overspill.providers.akash_prices import (
    Catalogue,
    Rates,
    interface_of,
    memory_gib,
    usd_per_hour_to_block,
)
from overspill.providers.akash_wire import Price
from overspill.providers.akash_wire_market import GpuPrices, Host

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = ProviderAccount(
    "market",
    ProviderType.AKASH,
    capacity_type=CapacityType.SPOT,
    cold_start=timedelta(minutes=3),
    egress_usd_per_gib=Decimal("0.01"),
)


def line(**changes: Any) -> dict[str, Any]:
    return {
        "vendor": "nvidia",
        "model": "a100",
        "ram": "80Gi",
        "interface": "SXM4",
        "availability": {"total": 9, "available": 5},
        "price": {"currency": "USD", "med": Decimal("1.10")},
        **changes,
    }


def catalogue(*lines: dict[str, Any], hosts: tuple[Host, ...] = ()) -> Catalogue:
    prices = GpuPrices.model_validate({"models": list(lines)})
    return Catalogue(ACCOUNT, prices, hosts, NOW)


def test_blocks_become_hours_and_back() -> None:
    price = Price(denom="uact", amount=Decimal("4166.6"))
    assert Rates().usd_per_hour(price) == Decimal("2.49996")
    assert usd_per_hour_to_block(Decimal("2.49996")) == Decimal("4166.6")
    assert Rates().usd_per_hour(Price(denom="uakt", amount=Decimal(1))) is None


@pytest.mark.parametrize(
    ("raw", "gib"),
    [("80Gi", 80), ("80gb", 80), ("16", 16), ("", None), ("eighty", None), ("-1Gi", None)],
)
def test_memory(raw: str, gib: int | None) -> None:
    assert memory_gib(raw) == gib


@pytest.mark.parametrize(
    ("raw", "word"), [("SXM5", "sxm"), ("sxm", "sxm"), ("PCIe", "pcie"), ("OAM", ""), ("", "")]
)
def test_interface(raw: str, word: str) -> None:
    assert interface_of(raw) == word


def test_a_line_becomes_a_divisible_offer_that_is_not_firm() -> None:
    (offer,) = catalogue(line()).offers()
    assert offer.gpu_model == "a100-80gb"
    assert offer.gpu_count == 5
    assert offer.price_usd_per_hour == Decimal("5.50")
    assert offer.price_per_gpu_hour == Decimal("1.10")
    assert offer.is_divisible
    assert not offer.is_firm
    assert offer.node_count == 1
    assert offer.trust_tier is TrustTier.AUDITED
    assert offer.capacity_type is CapacityType.SPOT
    assert offer.interconnect is InterconnectClass.NVLINK
    assert offer.gpu_memory_gib == 80
    assert offer.cold_start == timedelta(minutes=3)
    assert offer.as_of == NOW
    assert not offer.unavailable_reason
    assert dict(offer.attributes) == {
        "model": "a100",
        "ram": "80Gi",
        "interface": "sxm",
        "available": "5",
    }


def test_never_more_gpus_than_a_machine_has() -> None:
    (offer,) = catalogue(line(availability={"total": 90, "available": 60})).offers()
    assert (offer.gpu_count, offer.price_usd_per_hour) == (8, Decimal("8.80"))


def test_what_is_taken_is_marked_and_what_nobody_prices_is_no_offer() -> None:
    taken, *rest = catalogue(
        line(availability={"total": 9, "available": 0}), line(price=None), line(vendor="amd")
    ).offers()
    assert taken.unavailable_reason
    assert taken.gpu_count == 1
    assert rest == []


def test_reliability_is_the_middle_uptime_of_those_who_could_bid() -> None:
    def host(uptime: str | None, **changes: Any) -> Host:
        gpu = [{"model": "a100", "ram": "80Gi"}]
        base = {"owner": "o", "uptime7d": uptime, "isOnline": True, "isAudited": True}
        return Host.model_validate({**base, "gpuModels": gpu, **changes})

    hosts = (
        host("0.90"),
        host("0.98"),
        host("0.99"),
        host("0.1", isAudited=False),
        host("0.2", isOnline=False),
        host("0.3", gpuModels=[]),
        host(None),
    )
    (offer,) = catalogue(line(), hosts=hosts).offers()
    assert offer.reliability == Decimal("0.98")
    (unknown,) = replace(catalogue(line()), hosts=()).offers()
    assert unknown.reliability is None
