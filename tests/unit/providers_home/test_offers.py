"""What home offers: free GPUs of each node, and why some may not be had."""

from datetime import timedelta
from decimal import Decimal

import pytest

from overspill.core.offer import Beside, Offer
from overspill.core.vocabulary import CapacityType, InterconnectClass, TrustTier
from overspill.ports import NodeState, PodState
from overspill.providers.in_cluster import InCluster
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

PRODUCT = "nvidia.com/gpu.product"


async def offers_of(home: FakeHome, **account: object) -> dict[str, Offer]:
    provider = InCluster(home_account(**account), FakeApi(), home, ManualClock(), CLUSTER_ID)
    return {offer.offer_id: offer for offer in await provider.offers(None)}


async def test_a_free_node_is_one_divisible_offer() -> None:
    found = await offers_of(
        FakeHome([gpu_node()]), cold_start=timedelta(seconds=30), mtbf=timedelta(days=30)
    )

    offer = found["n1"]
    assert (offer.provider, offer.place, offer.region) == ("home", "home/n1", "eu")
    assert (offer.gpu_model, offer.gpu_count, offer.is_divisible) == ("h100", 8, True)
    assert offer.price_usd_per_hour == Decimal(16)
    assert offer.gpu_memory_gib == Decimal(80), "79.6 GiB measured is the 80 GiB card"
    assert offer.compute_capability == (9, 0)
    assert offer.interconnect is InterconnectClass.NVLINK
    assert (offer.capacity_type, offer.trust_tier) == (CapacityType.OWN, TrustTier.OWN)
    assert (offer.cold_start, offer.mtbf) == (timedelta(seconds=30), timedelta(days=30))
    assert offer.unavailable_reason == ""
    assert offer.attribute("gpusTotal") == "8"


async def test_the_rest_rate_prices_unlisted_models() -> None:
    node = gpu_node(labels={PRODUCT: "Tesla-T4", "nvidia.com/gpu.memory": "15360"})

    offer = (await offers_of(FakeHome([node])))["n1"]

    assert (offer.gpu_model, offer.price_usd_per_hour) == ("t4", Decimal(8))
    assert offer.gpu_memory_gib == Decimal(15), "7 % less than a T4 is not a T4's memory"


@pytest.mark.parametrize(
    ("pods", "free"),
    [
        pytest.param([pod_of(gpus=3)], 5, id="a bound pod holds its GPUs"),
        pytest.param([pod_of(gpus=3, phase="Pending")], 5, id="so does one that is starting"),
        pytest.param([pod_of(gpus=3, phase="Succeeded")], 8, id="an ended one holds nothing"),
        pytest.param([pod_of(gpus=3, phase="Failed")], 8, id="nor does a failed one"),
        pytest.param([pod_of(gpus=3, deletion_requested=True)], 5, id="an ending one still does"),
        pytest.param([pod_of(gpus=3, node="n2")], 8, id="other nodes do not matter"),
        pytest.param([pod_of(gpus=3, node="")], 8, id="a stranger's waiting pod has no place yet"),
        pytest.param(
            [pod_of("gl-1", gpus=3, node="", labels={"overspill.dev/planned-node": "n1"})],
            5,
            id="our waiting pod holds its planned node",
        ),
        pytest.param([pod_of(gpus=2, name="a"), pod_of(gpus=2, name="b")], 4, id="they add up"),
    ],
)
async def test_counts_what_pods_hold(pods: list[PodState], free: int) -> None:
    offer = (await offers_of(FakeHome([gpu_node()], pods)))["n1"]

    assert offer.gpu_count == free
    assert offer.price_usd_per_hour == Decimal(2) * free


async def test_a_gangs_waiting_pods_count_on_the_tightest_nodes_of_their_kind() -> None:
    labels = {"overspill.dev/gpu-product": "NVIDIA-H100-80GB-HBM3"}
    pods = [pod_of("gl-1", n, gpus=4, node="", labels=labels) for n in ("a", "b")]
    nodes = [
        gpu_node("big"),
        gpu_node("small", 4),
        gpu_node("other", 4, labels={PRODUCT: "Tesla-T4"}),
    ]

    found = await offers_of(FakeHome(nodes, pods))

    assert "taken" in found["small"].unavailable_reason
    assert (found["big"].gpu_count, found["other"].gpu_count) == (4, 4)
    assert found["big"].attribute("leases") == found["small"].attribute("leases") == "gl-1"
    assert found["other"].attribute("leases") == ""


@pytest.mark.parametrize(
    ("node", "word"),
    [
        pytest.param(gpu_node(unschedulable=True), "cordoned", id="cordoned"),
        pytest.param(gpu_node(conditions={"Ready": "False"}), "not Ready", id="not ready"),
        pytest.param(
            gpu_node(labels={PRODUCT: "A100-SXM4-40GB-MIG-1g.5gb"}), "MIG", id="MIG slices"
        ),
        pytest.param(
            gpu_node(labels={"nvidia.com/gpu.sharing-strategy": "time-slicing"}),
            "shares",
            id="time-sliced",
        ),
        pytest.param(gpu_node(labels={PRODUCT: "Tesla-T4-SHARED"}), "shares", id="shared by name"),
        pytest.param(gpu_node(gpus=0), "no allocatable", id="its device plugin offers none"),
    ],
)
async def test_marks_what_cannot_be_had(node: NodeState, word: str) -> None:
    offer = (await offers_of(FakeHome([node])))["n1"]

    assert word in offer.unavailable_reason
    assert offer.gpu_count == 8, "how many there would be"


async def test_a_full_node_is_shown_with_its_whole_size() -> None:
    offer = (await offers_of(FakeHome([gpu_node()], [pod_of(gpus=8)])))["n1"]

    assert offer.unavailable_reason == "all 8 GPUs of node n1 are taken"
    assert (offer.gpu_count, offer.price_usd_per_hour) == (8, Decimal(16))


async def test_a_suspect_node_gets_nothing_new() -> None:
    offer = (await offers_of(FakeHome([gpu_node()], ages={"n1": 21.0})))["n1"]

    assert "no heartbeat for 21 s" in offer.unavailable_reason


async def test_nodes_without_gpus_are_not_offered() -> None:
    plain = NodeState("cpu", {}, (), False, {"cpu": "8"}, {"Ready": "True"})

    assert await offers_of(FakeHome([plain])) == {}


async def test_a_child_just_opened_counts_until_its_pods_are_seen() -> None:
    home, clock = FakeHome([gpu_node()]), ManualClock()
    provider = InCluster(home_account(), FakeApi(), home, clock, CLUSTER_ID)
    request = home_request(asked={"gpu_count": 3})

    await provider.open(request)

    [offer] = await provider.offers(None)
    assert (offer.gpu_count, offer.attribute("leases")) == (5, request.key)

    home.pod_list = [pod_of(request.key, gpus=3)]
    [offer] = await provider.offers(None)
    assert offer.gpu_count == 5, "once, not twice"

    home.pod_list = []
    [offer] = await provider.offers(None)
    assert offer.gpu_count == 8, "what was seen and went holds nothing"


async def test_a_child_whose_pods_never_come_is_not_counted_for_ever() -> None:
    home, clock = FakeHome([gpu_node()]), ManualClock()
    provider = InCluster(home_account(), FakeApi(), home, clock, CLUSTER_ID)
    await provider.open(home_request())

    clock.advance(61)

    [offer] = await provider.offers(None)
    assert offer.gpu_count == 8


async def test_closing_frees_what_was_reserved() -> None:
    provider = InCluster(
        home_account(), FakeApi(), FakeHome([gpu_node()]), ManualClock(), CLUSTER_ID
    )
    step = await provider.open(home_request())

    await provider.close(step.handle)

    [offer] = await provider.offers(None)
    assert offer.gpu_count == 8


ALLOCATABLE = {"nvidia.com/gpu": "8", "cpu": "63500m", "memory": "256Gi"}


def asking(cpu: str, gib: int, **changes: object) -> PodState:
    requests = {"cpu": cpu, "memory": str(gib * 2**30)}
    return pod_of(requests=requests, **{"gpus": 0, **changes})


@pytest.mark.parametrize(
    ("pods", "room"),
    [
        pytest.param([], ("63.5", 256), id="an empty node"),
        pytest.param([asking("3.5", 16)], ("60", 240), id="a pod without GPUs takes of it"),
        pytest.param([asking("4", 6, phase="Succeeded")], ("63.5", 256), id="an ended one not"),
        pytest.param(
            [asking("1", 1, name="a"), asking("2", 2, name="b", gpus=1)],
            ("60.5", 253),
            id="they add up",
        ),
        pytest.param(
            [asking("4", 8, node="", labels={"overspill.dev/planned-node": "n1"})],
            ("59.5", 248),
            id="our waiting pod takes of its planned node",
        ),
    ],
)
async def test_tells_the_cpu_and_memory_that_are_left(
    pods: list[PodState], room: tuple[str, int]
) -> None:
    found = await offers_of(FakeHome([gpu_node(allocatable=ALLOCATABLE)], pods))
    offer = found["n1"]
    assert offer.beside_total == Beside(Decimal("63.5"), Decimal(256))
    assert offer.beside_free == Beside(Decimal(room[0]), Decimal(room[1]))


async def test_a_child_just_opened_takes_its_cpu_and_memory_at_once() -> None:
    home = FakeHome([gpu_node(allocatable=ALLOCATABLE)])
    provider = InCluster(home_account(), FakeApi(), home, ManualClock(), CLUSTER_ID)
    resources = {"requests": {"cpu": "13500m", "memory": "56Gi"}}
    template = {"spec": {"containers": [{"name": "c", "image": "x", "resources": resources}]}}

    await provider.open(home_request(template=template))

    [offer] = await provider.offers(None)
    assert offer.beside_free == Beside(Decimal(50), Decimal(200))


async def test_a_node_that_does_not_tell_what_it_has_limits_nobody() -> None:
    offer = (await offers_of(FakeHome([gpu_node()], [asking("4", 8)])))["n1"]
    assert (offer.beside_free, offer.beside_total) == (None, None)
