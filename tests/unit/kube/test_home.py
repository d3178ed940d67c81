"""GPU nodes, our pods in every phase, other people's pods while they hold a node."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from overspill.kube.home import SOON_S, HomeOptions, KubeHome
from overspill.kube.resources import NODE_LEASES
from overspill.ports import NodeState, PodState
from overspill.testing.fakeapi import FakeApi
from overspill.testing.fakeclock import FakeClock

PODS = "/api/v1/namespaces/team-a/pods"


@pytest.fixture
async def home(api: FakeApi, clock: FakeClock) -> AsyncIterator[KubeHome]:
    home = KubeHome(api, clock, HomeOptions(node_selector="pool=gpu"))
    task = asyncio.create_task(home.run())
    await clock.settle()
    await clock.advance(SOON_S)  # other people's pods are listed after the nodes
    await clock.settle()
    yield home
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def node(gpus: str = "8", **more: object) -> dict:
    return {
        "metadata": {"labels": {"pool": "gpu"}},
        "spec": {"taints": [{"key": "k", "effect": "NoSchedule"}], "unschedulable": True},
        "status": {
            "capacity": {"cpu": "64", "nvidia.com/gpu": "8"},
            "allocatable": {"cpu": "63500m", "nvidia.com/gpu": gpus},
            "conditions": [{"type": "Ready", "status": "False"}],
        },
    } | more


def pod(gpus: int, phase: str = "Running", node: str = "n1", lease: str = "") -> dict:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {
        "metadata": {"labels": {"overspill.dev/lease": lease} if lease else {}},
        "spec": {"nodeName": node, "containers": [{"name": "c", "resources": {"limits": limits}}]},
        "status": {"phase": phase},
    }


async def test_a_gpu_node_is_kept_as_it_is(api: FakeApi, clock: FakeClock, home: KubeHome):
    await api.put("/api/v1/nodes/n1", node())
    await clock.settle()
    (found,) = home.nodes()
    assert found.allocatable["cpu"] == "63500m"
    assert found.conditions == {"Ready": "False"}
    assert found.unschedulable
    assert found.taints == [{"key": "k", "effect": "NoSchedule"}]


async def test_a_node_whose_device_plugin_is_down_is_still_a_gpu_node(
    api: FakeApi, clock: FakeClock, home: KubeHome
):
    await api.put("/api/v1/nodes/n1", node("0"))
    await clock.settle()
    assert [n.name for n in home.nodes()] == ["n1"]


async def test_nodes_without_gpus_or_outside_the_selector_are_not_home(
    api: FakeApi, clock: FakeClock, home: KubeHome
):
    await api.put("/api/v1/nodes/cpu", {"metadata": {"labels": {"pool": "gpu"}}, "status": {}})
    await api.put("/api/v1/nodes/other", node(metadata={"labels": {"pool": "other"}}))
    await clock.settle()
    assert home.nodes() == []


async def test_which_pods_are_kept(api: FakeApi, clock: FakeClock, home: KubeHome):
    await api.put(f"{PODS}/theirs-on-gpu", pod(2))
    await api.put(f"{PODS}/theirs-on-cpu", pod(0))
    await api.put(f"{PODS}/theirs-unbound", pod(2, "Pending", node=""))
    await api.put(f"{PODS}/theirs-done", pod(2, "Succeeded"))
    await api.put(f"{PODS}/ours-unbound", pod(1, "Pending", node="", lease="gl-1"))
    await api.put(f"{PODS}/ours-done", pod(1, "Succeeded", lease="gl-2"))
    await clock.settle()
    kept = sorted(p.name for p in home.pods())
    assert kept == ["ours-done", "ours-unbound", "theirs-on-gpu"]


async def test_what_takes_cpu_and_memory_of_a_gpu_node_is_kept_too(
    api: FakeApi, clock: FakeClock, home: KubeHome
):
    await api.put("/api/v1/nodes/n1", node())
    await clock.settle()
    plain = pod(0)
    plain["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "3", "memory": "1Gi"}}
    await api.put(f"{PODS}/collector", plain)
    await api.put(f"{PODS}/elsewhere", pod(0, node="cpu-7"))
    await clock.settle()
    (found,) = home.pods()
    assert (found.name, found.node, found.gpus) == ("collector", "n1", 0)
    assert found.requests == {"cpu": "3", "memory": "1073741824"}
    await api.remove(f"{PODS}/collector")
    await clock.settle()
    assert home.pods() == []


async def test_pods_of_a_node_that_is_heard_of_late_come_with_the_next_list(
    api: FakeApi, clock: FakeClock, home: KubeHome
):
    await api.put(f"{PODS}/collector", pod(0))
    await clock.settle()
    await api.put("/api/v1/nodes/n1", node())
    await clock.settle()
    assert home.pods() == []
    await clock.advance(70)
    await api.end_watches()
    await clock.settle()
    assert [p.name for p in home.pods()] == ["collector"]


async def test_a_foreign_pod_that_ends_gives_its_gpus_back(
    api: FakeApi, clock: FakeClock, home: KubeHome
):
    await api.put(f"{PODS}/p", pod(2))
    await clock.settle()
    assert [p.gpus for p in home.pods()] == [2]
    await api.put(f"{PODS}/p", pod(2, "Failed"))
    await clock.settle()
    assert home.pods() == []


async def test_changes_are_told(api: FakeApi, clock: FakeClock, home: KubeHome):
    heard: list[NodeState | PodState] = []
    home.listen(heard.append)
    await api.put("/api/v1/nodes/n1", node())
    await api.put(f"{PODS}/p", pod(1, lease="gl-1"))
    await clock.settle()
    assert {type(h) for h in heard} == {NodeState, PodState}


async def test_stale_when_heartbeats_or_watches_fall_silent(
    api: FakeApi, clock: FakeClock, home: KubeHome
):
    assert not home.is_stale()
    assert home.heartbeat_age_s("n1") is None
    await api.put(f"{NODE_LEASES}/n1", {"spec": {"renewTime": "a"}})
    await clock.advance(80)
    assert not home.is_stale()
    await clock.advance(11)
    assert home.is_stale()
    await api.end_watches()
    await clock.settle()
    assert not home.is_stale()


def test_nothing_is_judged_before_the_first_look(api: FakeApi, clock: FakeClock):
    assert KubeHome(api, clock).is_stale()


async def test_a_pod_tells_how_its_workload_ended(api: FakeApi, clock: FakeClock, home: KubeHome):
    ended = pod(1, "Failed", lease="gl-1")
    ended["status"] |= {
        "conditions": [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-01T00:00:01Z"}
        ],
        "containerStatuses": [
            {
                "state": {
                    "terminated": {
                        "exitCode": 3,
                        "reason": "Error",
                        "startedAt": "2026-01-01T00:00:02Z",
                        "finishedAt": "2026-01-01T00:01:00Z",
                    }
                }
            }
        ],
    }
    await api.put(f"{PODS}/p", ended)
    await clock.settle()
    (found,) = home.pods()
    assert (found.exit_code, found.reason) == (3, "Error")
    assert found.bound_at == datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert found.started_at == datetime(2026, 1, 1, 0, 0, 2, tzinfo=UTC)
    assert found.finished_at == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ({"reason": "Evicted", "message": "disk"}, "Evicted"),
        (
            {"containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff"}}}]},
            "ImagePullBackOff",
        ),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                ]
            },
            "Unschedulable",
        ),
        ({"containerStatuses": [{"state": {"running": {}}}]}, ""),
    ],
)
async def test_a_pod_tells_why_it_does_not_run(
    api: FakeApi, clock: FakeClock, home: KubeHome, status: dict, reason: str
):
    waiting = pod(1, "Pending", lease="gl-1")
    waiting["status"] |= status
    await api.put(f"{PODS}/p", waiting)
    await clock.settle()
    assert home.pods()[0].reason == reason


async def test_requests_are_what_the_scheduler_counts(
    api: FakeApi, clock: FakeClock, home: KubeHome
):
    def container(cpu: str, gpus: str = "0", **more: str) -> dict:
        return {"resources": {"requests": {"cpu": cpu, "nvidia.com/gpu": gpus}}, **more}

    wanted = pod(0, lease="gl-1")
    wanted["spec"] |= {
        "containers": [container("500m", "1"), container("0.25", "1")],
        "initContainers": [container("4"), container("100m", restartPolicy="Always")],
    }
    await api.put(f"{PODS}/p", wanted)
    await clock.settle()
    (found,) = home.pods()
    assert found.gpus == 2
    assert found.requests == {"cpu": "4", "nvidia.com/gpu": "2"}


async def test_the_pods_of_a_lease_are_found_by_its_name_alone(
    api: FakeApi, clock: FakeClock, home: KubeHome
):
    await api.put(f"{PODS}/a", pod(1, lease="gl-1"))
    await api.put(f"{PODS}/b", pod(1, lease="gl-1"))
    await api.put(f"{PODS}/c", pod(1, lease="gl-2"))
    await clock.settle()
    assert {p.name for p in home.pods_of("gl-1")} == {"a", "b"}
    await api.put(f"{PODS}/a", pod(1, "Succeeded", lease="gl-1"))
    await api.put(f"{PODS}/b", pod(1, lease="gl-2"))
    await api.remove(f"{PODS}/c")
    await clock.settle()
    assert [(p.name, p.phase) for p in home.pods_of("gl-1")] == [("a", "Succeeded")]
    assert [p.name for p in home.pods_of("gl-2")] == ["b"]
    await api.remove(f"{PODS}/a")
    await clock.settle()
    assert home.pods_of("gl-1") == []
    assert home.pods_of("gl-nobody") == []


async def test_a_pod_that_is_deleted_says_by_when_it_ends(
    api: FakeApi, clock: FakeClock, home: KubeHome
):
    leaving = pod(1)
    leaving["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:30Z", "finalizers": ["f"]}
    await api.put(f"{PODS}/p1", leaving)
    await clock.settle()

    (found,) = home.pods()

    assert found.deletion_requested
    assert found.ends_by == datetime(2026, 1, 1, 0, 0, 30, tzinfo=UTC)
