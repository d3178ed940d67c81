"""What a deployment's answer means in our words."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from overspill.core.observation import Endpoint
from overspill.core.vocabulary import Phase
from overspill.providers.akash_observe import billed_usd, created_at, ended, observation
from overspill.providers.akash_prices import Rates
from overspill.providers.akash_wire import Held

UP = {"services": {"job": {"available": 1, "total": 1, "uris": ["a.example"]}}}
DOWN = {"services": {"job": {"available": 0, "total": 1}}}


def lease(state: str = "active", **changes: Any) -> dict[str, Any]:
    return {
        "id": {"dseq": "1", "gseq": 1, "oseq": 1, "provider": "akash1p"},
        "state": state,
        "price": {"denom": "uact", "amount": "4166.666667"},
        "status": None,
        **changes,
    }


def held(*leases: dict[str, Any], transferred: list[dict[str, str]] | None = None) -> Held:
    paid = [{"denom": "uact", "amount": "1250000.5"}] if transferred is None else transferred
    return Held.model_validate(
        {
            "deployment": {"id": {"owner": "o", "dseq": "1"}, "state": "active", "hash": ""},
            "leases": list(leases),
            "escrow_account": {"state": {"transferred": paid}},
        }
    )


@pytest.mark.parametrize(
    ("leases", "phase", "reason"),
    [
        ([], Phase.PENDING, "NoLease"),
        ([lease(status=None)], Phase.UNKNOWN, "ProviderUnreachable"),
        ([lease(status={})], Phase.STARTING, "Starting"),
        ([lease(status=DOWN)], Phase.STARTING, "Starting"),
        ([lease(status=UP)], Phase.RUNNING, "Running"),
        ([lease("reclaiming", status=UP)], Phase.RUNNING, "Reclaiming"),
        ([lease("reclaiming")], Phase.UNKNOWN, "ProviderUnreachable"),
        ([lease("insufficient_funds")], Phase.FAILED, "InsufficientFunds"),
        ([lease("closed")], Phase.LOST, "LeaseClosed"),
        ([lease("closed", reason="lease_closed_reason_unstable")], Phase.LOST, "ProviderUnstable"),
        ([lease("closed", reason=10001)], Phase.LOST, "ProviderDecommissioned"),
        ([lease("closed", reason="10002")], Phase.LOST, "ProviderClosed"),
        ([lease("closed", reason=10003)], Phase.FAILED, "ManifestTimeout"),
        ([lease("closed", reason="20000")], Phase.FAILED, "InsufficientFunds"),
        ([lease("closed", reason="lease_closed_owner")], Phase.TERMINATED, "ClosedByOwner"),
        ([lease("closed", reason=1)], Phase.TERMINATED, "ClosedByOwner"),
        ([lease("closed", reason=10000), lease(status=UP)], Phase.RUNNING, "Running"),
    ],
)
def test_phase_and_reason(leases: list[dict[str, Any]], phase: Phase, reason: str) -> None:
    seen = observation(held(*leases), Rates())
    assert (seen.phase, seen.reason) == (phase, reason)


def test_an_unreachable_provider_is_never_an_end() -> None:
    assert ended(held(lease()), Rates()) is None
    assert ended(held(), Rates()) is None
    assert ended(held(lease("closed")), Rates()) is not None


def test_price_host_and_bill_are_in_usd() -> None:
    seen = observation(held(lease(status=UP)), Rates())
    assert seen.price_usd_per_hour == Decimal("2.5000000002")
    assert seen.billed_usd == Decimal("1.2500005")
    assert seen.host_id == "akash1p"


def test_a_coin_without_a_rate_has_no_price_and_no_bill() -> None:
    unknown = held(
        lease(price={"denom": "uakt", "amount": "5"}),
        transferred=[{"denom": "uact", "amount": "1"}, {"denom": "uakt", "amount": "1"}],
    )
    assert observation(unknown, Rates()).price_usd_per_hour is None
    assert billed_usd(unknown, Rates()) is None
    rated = Rates({"uact": Decimal(1), "uakt": Decimal(3)})
    assert billed_usd(unknown, rated) == Decimal("0.000004")


def test_every_way_in_is_an_endpoint() -> None:
    status = {
        **UP,
        "forwarded_ports": {
            "job": [{"port": 22, "externalPort": 31022, "host": "p.example", "proto": "TCP"}]
        },
        "ips": {"job": [{"IP": "192.0.2.1", "Port": 53, "ExternalPort": 53, "Protocol": "UDP"}]},
    }
    assert observation(held(lease(status=status)), Rates()).endpoints == (
        Endpoint(22, "p.example", 31022),
        Endpoint(53, "192.0.2.1", 53, "udp"),
        Endpoint(80, "a.example", 80, "http"),
    )


def test_a_console_number_is_a_time_and_a_chain_height_is_not() -> None:
    assert created_at("1780000000123") == datetime(2026, 5, 28, 20, 26, 40, 123000, tzinfo=UTC)
    assert created_at("21000000") is None
