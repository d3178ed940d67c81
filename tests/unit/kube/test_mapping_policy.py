"""GPUProvider, SLAClass and GPUBudget as administrators write them."""

from datetime import timedelta
from decimal import Decimal

import pytest

from overspill.api.budget import GPUBudget
from overspill.api.provider import GPUProvider
from overspill.api.sla_class import SLAClass
from overspill.core.sla import Reservation
from overspill.core.vocabulary import CapacityType, FailbackPolicy, ProviderType, TrustTier
from overspill.kube.mapping import Unreadable, read_account, read_budget, read_class
from overspill.testing.kube_samples import stored


def named(name: str, namespace: str = "", **spec: object) -> dict:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return stored({"metadata": meta, "spec": spec}, f"uid-{name}", 7)


def test_home_is_read_whole():
    account = read_account(
        named(
            "home",
            type="InCluster",
            capacityType="Own",
            trustTier="Own",
            ratesUSD={"h100": "1.20", "*": "0.5"},
            referenceRatesUSD={"*": "4"},
            limits={"maxLeases": 0, "maxHourlyUSD": "10"},
            priors={"coldStartSeconds": 0, "mtbfSeconds": 3600, "egressUSDPerGiB": "0.02"},
            nodeHealth={
                "conditions": [{"type": "GpuBroken", "unhealthyStatus": "True"}],
                "suspectSeconds": 5,
                "lostSeconds": 9,
            },
        )
    )
    assert account.type is ProviderType.IN_CLUSTER
    assert account.rates_usd == {"h100": Decimal("1.20"), "*": Decimal("0.5")}
    assert account.reference_rates_usd == {"*": Decimal(4)}
    assert (account.max_leases, account.max_hourly_usd) == (0, Decimal(10))
    assert (account.cold_start, account.mtbf) == (timedelta(0), timedelta(hours=1))
    assert account.unhealthy_conditions == (("GpuBroken", "True"),)
    assert (account.suspect_after, account.lost_after) == (
        timedelta(seconds=5),
        timedelta(seconds=9),
    )


def test_a_market_account_names_its_secret():
    ref = {"namespace": "overspill-system", "name": "akash"}
    account = read_account(named("akash", type="Akash", credentialsSecretRef=ref))
    assert account.credentials_secret == ("overspill-system", "akash")
    assert account.trust_tier is TrustTier.COMMUNITY


@pytest.mark.parametrize(
    ("model", "read", "obj"),
    [
        (GPUProvider, read_account, named("akash", type="Akash")),
        (SLAClass, read_class, named("standard", capacityTypes=["Own", "Spot"])),
        (GPUBudget, read_budget, named("team", "team-a", limitUSD="50")),
    ],
    ids=["provider", "class", "budget"],
)
def test_absent_fields_mean_what_the_api_server_would_fill_in(model, read, obj):
    filled = {**model.read(obj).to_json(), "metadata": obj["metadata"]}
    filled.pop("status")
    assert read(filled) == read(obj)


def test_a_class_is_read_whole():
    found = read_class(
        named(
            "guaranteed",
            isDefault=True,
            capacityTypes=["Own", "Reserved"],
            burstAfterSeconds=600,
            maxLossUSD="3",
            failback={"policy": "Never", "cooldownSeconds": 0},
            priority=100,
        )
    )
    assert found.capacity_types == (CapacityType.OWN, CapacityType.RESERVED)
    assert found.is_default
    assert found.burst_after == timedelta(minutes=10)
    assert found.failback_policy is FailbackPolicy.NEVER
    assert found.failback_cooldown == timedelta(0)
    assert found.max_loss_usd == Decimal(3)


def test_a_budget_counts_what_is_spoken_for():
    obj = named("team", "team-a", limitUSD="50")
    obj["status"] = {
        "spentUSD": "10",
        "committedUSD": "5",
        "forecastUSD": "1",
        "reservations": [{"leaseName": "gl-1", "jobUID": "j", "usd": "5"}],
    }
    budget = read_budget(obj)
    assert budget.free_usd == Decimal(34)
    assert budget.reservations == (Reservation("gl-1", "j", Decimal(5)),)


def test_a_market_that_is_not_shipped_keeps_its_word():
    assert read_account(named("x", type="Ebay")).type == "Ebay"
    assert read_account(named("x", type="Vast")).type is ProviderType.VAST


def test_a_market_without_a_word_is_unreadable():
    with pytest.raises(Unreadable, match=r"^spec\.type is missing"):
        read_account(named("x"))
