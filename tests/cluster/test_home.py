"""Home on the real control plane: real scheduler, Job controller, garbage collector; kwok nodes."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest

from overspill.core.errors import OfferRejected
from overspill.core.vocabulary import InterconnectClass, Phase
from overspill.providers import in_cluster_observe
from overspill.providers.in_cluster_child import child_job, gang_service
from overspill.testing.bed import Bed, KubectlError
from overspill.testing.home_bed import HomeBed, home_on

pytestmark = pytest.mark.cluster

STAGE = "pod-complete.stage.kwok.x-k8s.io"
FAIL = "pod-container-running-failed.stage.kwok.x-k8s.io"


@pytest.fixture
async def home(bed: Bed) -> AsyncIterator[HomeBed]:
    async with home_on(bed) as started:
        yield started


class Nodes:
    """Nodes of one test: a product of their own keeps other tests' pods away."""

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self.product = f"NVIDIA-Test-{secrets.token_hex(3)}"
        self.names: list[str] = []

    async def add(self, gpus: int = 8, **spec: Any) -> str:
        name = f"home-{secrets.token_hex(3)}"
        self.names.append(name)
        spec.setdefault("product", self.product)
        return await asyncio.to_thread(self._bed.nodes.add, name, gpus, **spec)


@pytest.fixture
def nodes(bed: Bed) -> Iterator[Nodes]:
    made = Nodes(bed)
    yield made
    for name in made.names:
        bed.kubectl("delete", "node", name, "--wait=false", "--ignore-not-found")


def work(seconds: int | None = 600, **labels: str) -> dict[str, Any]:
    """A pod template whose simulated container runs so long."""
    delay = {f"{STAGE}/delay": f"{seconds}s", f"{STAGE}/jitter-delay": f"{seconds}s"}
    container = {"name": "train", "image": "team/train:1", "command": ["train"]}
    return {
        "metadata": {"annotations": delay, "labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
    }


async def kubectl(bed: Bed, *args: str, **given: Any) -> str:
    return await asyncio.to_thread(bed.kubectl, *args, **given)


async def test_offers_what_feature_discovery_and_pods_say(
    bed: Bed, namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    name = await nodes.add(
        8,
        product="NVIDIA-H100-80GB-HBM3",
        labels={"topology.kubernetes.io/region": "eu"},
        taints=[{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
    )
    mig = await nodes.add(7, product="NVIDIA-A100-SXM4-40GB-MIG-1g.5gb")

    offer = await home.offer(name)
    assert (offer.gpu_model, offer.gpu_count, offer.region) == ("h100", 8, "eu")
    assert (offer.compute_capability, str(offer.gpu_memory_gib)) == ((9, 0), "80")
    assert (offer.interconnect, offer.unavailable_reason) == (InterconnectClass.NVLINK, "")
    assert "MIG" in (await home.offer(mig)).unavailable_reason

    stranger = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "stranger", "namespace": namespace},
        "spec": {
            "nodeName": name,
            "containers": [
                {"name": "c", "image": "x", "resources": {"limits": {"nvidia.com/gpu": 3}}}
            ],
        },
    }
    await kubectl(bed, "create", "-f", "-", input=json.dumps(stranger))

    async def shrinks() -> bool:
        return (await home.offer(name)).gpu_count == 5

    await home.eventually("three GPUs fewer", shrinks)
    await kubectl(bed, "cordon", name)

    async def is_cordoned() -> bool:
        return "cordoned" in (await home.offer(name)).unavailable_reason

    await home.eventually("the cordon", is_cordoned)


async def test_a_job_runs_on_its_planned_node_and_completes(
    namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    await nodes.add(8)
    planned = await nodes.add(8)
    request = await home.request(namespace, planned, work(2))

    handle = (await home.provider.open(request)).handle
    running = await home.reaches(handle, Phase.RUNNING)
    assert running.node == planned
    assert running.bound_at is not None
    [held] = [h for h in await home.provider.leases() if h.handle == handle]
    assert held.is_live

    done = await home.reaches(handle, Phase.SUCCEEDED)
    assert done.exit_code == 0
    assert done.ends_at is not None
    assert (await home.offer(planned)).gpu_count == 8, "an ended pod holds nothing"

    await home.provider.close(handle)
    await home.is_gone(handle)
    assert handle.key not in {h.handle.key for h in await home.provider.leases()}


async def test_a_failing_command_is_told_with_its_exit_code(
    namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    template = work(**{FAIL: "true"})
    template["metadata"]["annotations"].update(
        {f"{FAIL}/exit-code": "42", f"{FAIL}/container-name": "train", f"{FAIL}/delay": "1s"}
    )
    request = await home.request(namespace, await nodes.add(), template)

    handle = (await home.provider.open(request)).handle
    failed = await home.reaches(handle, Phase.FAILED)

    assert failed.exit_code == 42
    path = f"/apis/batch/v1/namespaces/{namespace}/jobs/{handle.key}"

    async def is_counted() -> bool:
        return "failed" in (await home.verbs.get(path))["status"]

    await home.eventually("the Job's own count of it", is_counted)
    job = await home.verbs.get(path)
    assert job["status"]["failed"] == 1, "it was not tried again by the Job"


async def test_a_child_that_fits_nowhere_says_why(
    namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    request = await home.request(namespace, await nodes.add(2), work(), gpu_count=4)

    handle = (await home.provider.open(request)).handle

    async def explained() -> bool:
        seen = await home.provider.observe(handle)
        return seen.phase is Phase.PENDING and "nodes are available" in seen.message

    await home.eventually("the scheduler's reason", explained)


async def test_waiting_children_are_not_offered_again(
    namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    node = await nodes.add(4)
    for _ in range(2):
        await home.provider.open(await home.request(namespace, node, work(), gpu_count=2))
        # Counted from the open on: by reservation, then by the waiting, then by the bound pod.
    offer = await home.offer(node)

    assert "taken" in offer.unavailable_reason
    assert set(offer.attribute("leases").split(",")) == set(home.requests)


async def test_opening_twice_adopts(namespace: str, home: HomeBed, nodes: Nodes) -> None:
    request = await home.request(namespace, await nodes.add(), work())

    first, second = await home.provider.open(request), await home.provider.open(request)

    assert first.handle == second.handle


async def test_a_full_quota_is_a_refusal_in_the_servers_words(
    bed: Bed, namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    request = await home.request(namespace, await nodes.add(), work())
    quota = ("create", "quota", "none", "--hard=count/jobs.batch=0", "--namespace", namespace)
    await kubectl(bed, *quota)

    async def refused() -> bool:
        try:
            opened = await home.provider.open(request)
        except OfferRejected as error:
            return "exceeded quota" in str(error)
        await home.provider.close(opened.handle)
        await home.is_gone(opened.handle)
        return False

    await home.eventually("the quota is enforced", refused)


async def test_an_invalid_template_is_a_refusal_that_names_the_field(
    namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    template = work()
    template["spec"]["containers"][0]["image"] = ""
    request = await home.request(namespace, await nodes.add(), template)

    with pytest.raises(OfferRejected, match=r"containers\[0\].image"):
        await home.provider.open(request)


async def test_a_silent_node_is_lost_and_its_pod_blocks_the_end_until_it_returns(
    bed: Bed, namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    node = await nodes.add()
    handle = (await home.provider.open(await home.request(namespace, node, work()))).handle
    await home.reaches(handle, Phase.RUNNING)

    await asyncio.to_thread(bed.nodes.lose, node)
    lost = await home.reaches(handle, Phase.LOST, 30)
    assert (lost.reason, lost.node) == ("NodeHeartbeatStopped", node)
    assert (await home.offer(node)).unavailable_reason != ""

    await home.provider.close(handle)

    async def is_stuck() -> bool:
        seen = await home.provider.observe(handle)
        return (seen.phase, seen.reason) == (Phase.TERMINATING, "NodeLost")

    await home.eventually("the pod that cannot be proven stopped", is_stuck)
    assert handle.key in {h.handle.key for h in await home.provider.leases()}

    await asyncio.to_thread(bed.nodes.restore, node)
    await home.is_gone(handle)


async def test_a_deleted_node_is_a_loss(
    bed: Bed, namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    await nodes.add()
    node = await nodes.add()
    handle = (await home.provider.open(await home.request(namespace, node, work()))).handle
    await home.reaches(handle, Phase.RUNNING)

    await asyncio.to_thread(bed.nodes.delete, node)

    lost = await home.reaches(handle, Phase.LOST)
    assert lost.reason in ("NodeGone", "PodReplaced")


async def test_an_evicted_pod_is_a_loss_of_the_place_not_a_failure(
    bed: Bed, namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    node = await nodes.add()
    handle = (await home.provider.open(await home.request(namespace, node, work()))).handle
    await home.reaches(handle, Phase.RUNNING)

    pods = f"/api/v1/namespaces/{namespace}/pods"
    [pod] = await home.verbs.list_all(pods)
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    await home.verbs.create(f"{pods}/{name}/eviction", eviction)
    await home.reaches(handle, Phase.TERMINATING)
    # What a kubelet writes when the container has ended; kwok only waits for the finalizer.
    await home.verbs.patch(f"{pods}/{name}/status", {"status": {"phase": "Failed"}})

    assert (await home.reaches(handle, Phase.LOST)).reason == "PodReplaced"


async def test_a_pod_that_its_node_does_not_end_is_a_lost_place_and_closes(
    bed: Bed, namespace: str, home: HomeBed, nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a hung kubelet: kwok waits for the finalizer, the Job controller for the end."""
    monkeypatch.setattr(in_cluster_observe, "STUCK_AFTER", timedelta(seconds=2))
    node = await nodes.add()
    handle = (await home.provider.open(await home.request(namespace, node, work()))).handle
    await home.reaches(handle, Phase.RUNNING)

    await kubectl(bed, "delete", "pods", "--all", "-n", namespace, "--wait=false")
    await home.reaches(handle, Phase.TERMINATING)
    assert (await home.reaches(handle, Phase.LOST)).reason == "PodStuck"

    await home.provider.close(handle)
    await home.is_gone(handle)


async def test_a_gang_runs_as_one_and_its_service_goes_with_it(
    bed: Bed, namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    first, second = await nodes.add(), await nodes.add()
    asked = {"gpu_count": 8, "num_nodes": 2, "home_node": ""}
    request = await home.request(namespace, first, work(3), **asked)

    handle = (await home.provider.open(request)).handle
    running = await home.reaches(handle, Phase.RUNNING)
    assert set(running.node.split(",")) == {first, second}
    service = await home.verbs.get(f"/api/v1/namespaces/{namespace}/services/{handle.key}")
    assert service["spec"]["clusterIP"] == "None"
    pods = await home.verbs.list_all(f"/api/v1/namespaces/{namespace}/pods")
    assert {p["spec"]["hostname"] for p in pods} == {f"{handle.key}-0", f"{handle.key}-1"}
    assert {p["spec"]["subdomain"] for p in pods} == {handle.key}

    await home.reaches(handle, Phase.SUCCEEDED)
    await home.provider.close(handle)
    await home.is_gone(handle)

    async def service_went() -> bool:
        try:
            await kubectl(bed, "get", f"service/{handle.key}", "--namespace", namespace)
        except KubectlError:
            return True
        return False

    await home.eventually("the Service's end", service_went)


async def test_children_hold_no_field_that_the_api_server_does_not_know(
    namespace: str, home: HomeBed, nodes: Nodes
) -> None:
    request = await home.request(namespace, await nodes.add(), work(), num_nodes=2)
    strict = "?dryRun=All&fieldValidation=Strict"
    job = child_job(request, frozenset({"nvidia.com/gpu"}))

    made = await home.verbs.create(f"/apis/batch/v1/namespaces/{namespace}/jobs{strict}", job)
    service = gang_service(request, made["metadata"]["uid"])
    await home.verbs.create(f"/api/v1/namespaces/{namespace}/services{strict}", service)
