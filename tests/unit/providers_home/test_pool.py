"""A pool that an autoscaler grows: quoted at zero nodes, priced by a list, its labels demanded."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from overspill.core.offer import Offer
from overspill.core.snapshot import GrownPool, ProviderAccount
from overspill.core.vocabulary import CapacityType
from overspill.ports import NodeState, PodState
from overspill.providers._catalog import Catalog
from overspill.providers.in_cluster import Beside, InCluster
from overspill.providers.in_cluster_child import child_job
from overspill.testing.clock import ManualClock
from overspill.testing.fakeapi import FakeApi
from overspill.testing.home import (
    CLUSTER_ID,
    FakeHome,
    gpu_node,
    home_account,
    home_request,
    pod_of,
)

LABELS = {"karpenter.sh/nodepool": "gpu-l4"}
POOL = GrownPool(
    node_selector=tuple(LABELS.items()),
    gpu_model="l4",
    max_nodes=3,
    boot=timedelta(seconds=240),
    instance_type="g6.xlarge",
    usd_per_node_hour=Decimal("0.80"),
)
CATALOG = """\
instance_type,gpu_name,gpu_count,region,usd_per_hour,spot_usd_per_hour
g6.xlarge,L4,1,us-east-1,0.8048,0.32
g6.12xlarge,L4,4,us-east-1,4.60,
p5.48xlarge,H100,8,us-east-1,55.04,
"""


def account(pool: GrownPool = POOL, **changes: object) -> ProviderAccount:
    made = home_account(
        name="burst", capacity_type=CapacityType.ON_DEMAND, pool=pool, cold_start=timedelta(0)
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def catalog(folder: Path, text: str = CATALOG) -> Catalog:
    (folder / "aws.csv").write_text(text)
    return Catalog(folder)


async def offered(
    given: ProviderAccount,
    nodes: Sequence[NodeState] = (),
    pods: Sequence[PodState] = (),
    beside: Beside | None = None,
) -> list[Offer]:
    home = FakeHome(list(nodes), list(pods))
    provider = InCluster(given, FakeApi(), home, ManualClock(), CLUSTER_ID, beside)
    return list(await provider.offers(None))


def grown(name: str = "ip-10-0-0-1", **labels: str) -> NodeState:
    """A node that came, before feature discovery has told its GPU."""
    node = gpu_node(name, 1)
    plain = {k: v for k, v in node.labels.items() if not k.startswith("nvidia.com")}
    return replace(node, labels={**plain, **LABELS, **labels})


async def test_a_pool_without_a_node_is_quoted_with_price_and_boot_time() -> None:
    offers = await offered(account(regions=("us-east-1",)))
    assert [o.offer_id for o in offers] == ["burst-new-1", "burst-new-2", "burst-new-3"]
    first = offers[0]
    assert (first.gpu_model, first.gpu_count) == ("l4", 1)
    assert first.price_usd_per_hour == Decimal("0.80")
    assert first.cold_start == timedelta(seconds=240)
    assert (first.capacity_type, first.region) == (CapacityType.ON_DEMAND, "us-east-1")
    assert first.unavailable_reason == ""


async def test_nodes_that_came_take_the_place_of_those_that_could() -> None:
    offers = await offered(account(), [grown(), gpu_node("own")])
    assert [o.offer_id for o in offers] == ["burst-new-1", "burst-new-2", "ip-10-0-0-1"]
    came = offers[-1]
    assert (came.gpu_model, came.cold_start) == ("l4", timedelta(0))
    assert came.price_usd_per_hour == Decimal("0.80")


async def test_a_full_pool_offers_nothing_new() -> None:
    offers = await offered(account(replace(POOL, max_nodes=1)), [grown()])
    assert [o.offer_id for o in offers] == ["ip-10-0-0-1"]


async def test_home_does_not_sell_the_nodes_of_a_pool() -> None:
    beside = Beside(lambda: (home_account(), account()))
    offers = await offered(home_account(), [grown(), gpu_node("own")], beside=beside)
    assert [o.offer_id for o in offers] == ["own"]


def waiting(lease: str, provider: str = "burst") -> PodState:
    labels = {"overspill.dev/provider": provider, "overspill.dev/planned-node": "burst-new-1"}
    return pod_of(lease, lease, node="", phase="Pending", labels=labels)


async def test_a_child_that_waits_is_counted_where_it_will_land() -> None:
    (one, *_) = await offered(account(), [], [waiting("gl-1")])
    assert (one.offer_id, one.unavailable_reason) == (
        "burst-new-1",
        "all 1 GPUs of node burst-new-1 are taken",
    )
    # Its node came, and it is not bound yet: that node is its own, not the next one's.
    offers = await offered(account(), [grown()], [waiting("gl-1")])
    free = [o.offer_id for o in offers if not o.unavailable_reason]
    assert free == ["burst-new-1", "burst-new-2"]


async def test_children_of_other_accounts_wait_for_other_nodes() -> None:
    (one, *_) = await offered(account(), [], [waiting("gl-1", provider="other")])
    assert one.unavailable_reason == ""


@pytest.mark.parametrize(
    ("capacity", "price"), [(CapacityType.ON_DEMAND, "0.8048"), (CapacityType.SPOT, "0.32")]
)
async def test_the_price_stands_in_the_mounted_list(
    tmp_path: Path, capacity: CapacityType, price: str
) -> None:
    listed = account(
        replace(POOL, usd_per_node_hour=None), regions=("us-east-1",), capacity_type=capacity
    )
    (one, *_) = await offered(listed, beside=Beside(catalog=catalog(tmp_path)))
    assert one.price_usd_per_hour == Decimal(price)


async def test_without_a_price_nothing_is_sold_and_it_says_what_to_do(tmp_path: Path) -> None:
    listed = account(replace(POOL, usd_per_node_hour=None), regions=("eu-west-1",))
    (one, *_) = await offered(listed, beside=Beside(catalog=catalog(tmp_path)))
    assert one.unavailable_reason.startswith("nobody knows what g6.xlarge costs in eu-west-1: set")


async def test_a_list_that_changes_is_read_again(tmp_path: Path) -> None:
    listed = catalog(tmp_path)
    assert listed.price("g6.xlarge", "us-east-1", spot=False) == Decimal("0.8048")
    catalog(tmp_path, CATALOG.replace("0.8048", "0.9001"))
    assert listed.price("g6.xlarge", "us-east-1", spot=False) == Decimal("0.9001")


def test_the_reference_of_a_model_is_its_cheapest_hour_on_demand(tmp_path: Path) -> None:
    assert catalog(tmp_path).reference() == {"l4": Decimal("0.8048"), "h100": Decimal("6.88")}


@pytest.mark.parametrize(
    "row",
    [
        "g6.xlarge,L4,1,us-east-1,0,", "g6.xlarge,L4,0,us-east-1,1,", ",L4,1,us-east-1,1,",
        "g6.xlarge,,1,us-east-1,1,", "g6.xlarge,L4,many,us-east-1,1,", "g6.xlarge,L4,1", "\x00",
        "g6.xlarge,L4,1,us-east-1,NaN,", "g6.xlarge,L4,1,us-east-1,-3,",
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_sold_is_left_out(tmp_path: Path, row: str) -> None:
    listed = catalog(tmp_path, f"{CATALOG.splitlines()[0]}\n{row}\n")
    assert listed.reference() == {}


def test_no_list_is_an_empty_one(tmp_path: Path) -> None:
    assert Catalog().reference() == {}
    assert Catalog(tmp_path / "none").price("x", "", spot=False) is None


def test_a_child_demands_the_labels_that_make_the_node_come() -> None:
    attributes = (("selector", "karpenter.sh/nodepool=gpu-l4"), ("bootSeconds", "240"))
    request = home_request(asked={"home_node": "burst-new-1"})
    request = replace(request, offer=replace(request.offer, attributes=attributes))
    spec = child_job(request, frozenset())["spec"]["template"]["spec"]
    affinity = spec["affinity"]["nodeAffinity"]
    (term,) = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    demanded = {e["key"]: e["values"] for e in term["matchExpressions"] if e["operator"] == "In"}
    assert demanded == {"karpenter.sh/nodepool": ["gpu-l4"]}, "no label that only discovery writes"
    assert affinity["preferredDuringSchedulingIgnoredDuringExecution"] == []


SHARED = Path(os.environ.get("OVERSPILL_SHARED", Path(__file__).parents[4] / "shared"))


@pytest.mark.parametrize(
    ("file", "machine", "region", "spot", "price", "model", "least"),
    [
        ("aws-ondemand-gpu.csv", "g4dn.2xlarge", "us-east-1", False, "0.752", "a100-80gb", "3.43"),
        ("azure-spot-gpu.csv", "Standard_NC12s_v3", "brazilsouth", True, "2.261952", "t4", "0.53"),
        ("gcp-gpu.csv", "a3-highgpu-8g", "", True, None, "l4", "0.70"),
        ("lambda-gpu.csv", "gpu_8x_v100_n", "asia-south-1", False, "6.32", "v100-16gb", "0.79"),
    ],
)
def test_published_lists_are_understood(
    file: str, machine: str, region: str, spot: bool, price: str | None, model: str, least: str
) -> None:
    path = SHARED / "price-catalogs" / file
    if not path.is_file():
        pytest.skip("no price lists beside the checkout; set OVERSPILL_SHARED")
    listed = Catalog(path)
    found = listed.price(machine, region, spot=spot)
    assert found is not None
    assert price is None or found == Decimal(price)
    assert listed.reference()[model].quantize(Decimal("0.01")) == Decimal(least)
