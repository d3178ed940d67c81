"""Informers, home and heartbeats on the real API server, through its restarts and a dead node."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from overspill.clock import SystemClock
from overspill.kube.home import HomeOptions, KubeHome
from overspill.kube.informer import Informer, Source
from overspill.kube.verbs import Verbs
from overspill.ports import PodState
from overspill.testing.bed import Bed
from overspill.testing.connection import connected
from overspill.testing.kube_bed import until

pytestmark = pytest.mark.cluster


@pytest.fixture
async def verbs(bed: Bed) -> AsyncIterator[Verbs]:
    async with connected(bed.kubeconfig) as verbs:
        yield verbs


@pytest.fixture
def maps(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/configmaps"


@asynccontextmanager
async def followed(verbs: Verbs, source: Source) -> AsyncIterator[Informer[str]]:
    informer = Informer(verbs, SystemClock(), source, lambda obj: str(obj["metadata"]["name"]))
    task = asyncio.create_task(informer.run())
    await until(lambda: informer.synced)
    yield informer
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def names(verbs: Verbs, maps: str) -> AsyncIterator[Informer[str]]:
    source = Source(maps, {"labelSelector": "mine"}, watch_s=3, backoff_last_s=2)
    async with followed(verbs, source) as informer:
        yield informer


@pytest.fixture
async def by_events(verbs: Verbs, maps: str) -> AsyncIterator[Informer[str]]:
    """One whose next LIST is minutes away: what it learns, a watch told it."""
    async with followed(verbs, Source(maps, {"labelSelector": "mine"}, watch_s=600)) as informer:
        yield informer


@pytest.fixture
async def node(bed: Bed, namespace: str) -> AsyncIterator[str]:
    yield await asyncio.to_thread(bed.nodes.add, f"n-{namespace}", 8)
    await asyncio.to_thread(bed.nodes.delete, f"n-{namespace}")


def labelled(name: str) -> dict:
    return {"metadata": {"name": name, "labels": {"mine": "yes"}}}


async def test_an_event_is_seen_at_once(verbs: Verbs, maps: str, by_events: Informer[str]):
    await verbs.create(maps, labelled("a"))
    await until(lambda: by_events.items() == ["a"])
    await verbs.delete(f"{maps}/a")
    await until(lambda: by_events.items() == [])


async def test_losing_the_label_is_leaving(verbs: Verbs, maps: str, by_events: Informer[str]):
    await verbs.create(maps, labelled("a"))
    await until(lambda: by_events.items() == ["a"])
    await verbs.patch(f"{maps}/a", {"metadata": {"labels": {"mine": None}}})
    await until(lambda: by_events.items() == [])


async def test_watches_end_and_begin_without_a_loss(verbs: Verbs, maps: str, names: Informer[str]):
    for number in range(40):
        await verbs.create(maps, labelled(f"m-{number}"))
        await asyncio.sleep(0.2)
    await until(lambda: len(names.items()) == 40)
    await until(lambda: names.last_event_age_s < 3)


async def test_what_happens_while_the_server_restarts_is_seen(
    bed: Bed, verbs: Verbs, maps: str, names: Informer[str]
):
    await verbs.create(maps, labelled("before"))
    await verbs.create(maps, labelled("stays"))
    await until(lambda: len(names.items()) == 2)
    bed.apiserver.kill()
    await until(lambda: names.last_event_age_s > 1)
    bed.apiserver.start()
    await verbs.delete(f"{maps}/before")
    await verbs.create(maps, labelled("after"))
    await until(lambda: sorted(names.items()) == ["after", "stays"])


async def test_a_frozen_server_is_noticed_and_followed_again(
    bed: Bed, verbs: Verbs, maps: str, names: Informer[str]
):
    bed.apiserver.pause()
    await until(lambda: names.last_event_age_s > 5)
    bed.apiserver.resume()
    await verbs.create(maps, labelled("after"))
    await until(lambda: names.items() == ["after"])


async def test_a_version_the_server_has_forgotten_is_healed_by_a_list(
    bed: Bed, verbs: Verbs, maps: str, caplog: pytest.LogCaptureFixture
):
    """A restarted server tells the watch 410; what was deleted meanwhile must not stay a ghost."""
    await verbs.create(maps, labelled("ghost"))
    await verbs.create(maps, labelled("stays"))
    source = Source(maps, {"labelSelector": "mine"})
    informer = Informer(verbs, SystemClock(), source, lambda obj: str(obj["metadata"]["name"]))
    task = asyncio.create_task(informer.run())
    await until(lambda: len(informer.items()) == 2)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await verbs.delete(f"{maps}/ghost")
    await verbs.create(maps, labelled("new"))
    bed.apiserver.kill()
    bed.apiserver.start()
    with caplog.at_level("INFO", logger="overspill.kube.following"):
        again = asyncio.create_task(informer.run())
        await until(lambda: sorted(informer.items()) == ["new", "stays"])
    assert "too old resource version" in caplog.text
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)


@pytest.fixture
async def home(verbs: Verbs) -> AsyncIterator[KubeHome]:
    options = HomeOptions(heartbeat_poll_s=1, blind_after_s=3, silent_after_s=15, watch_s=5)
    home = KubeHome(verbs, SystemClock(), options)
    task = asyncio.create_task(home.run())
    await until(lambda: not home.is_stale())
    yield home
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def gpu_pod(name: str, namespace: str, **labels: str) -> str:
    limits = {"nvidia.com/gpu": "2", "cpu": "1500m"}
    container = {"name": "main", "image": "busybox", "resources": {"limits": limits}}
    meta = {"name": name, "namespace": namespace, "labels": labels}
    spec = {"containers": [container], "restartPolicy": "Never"}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})


async def test_home_sees_nodes_pods_and_a_silent_death(
    bed: Bed, home: KubeHome, namespace: str, node: str
):
    await until(lambda: any(n.name == node for n in home.nodes()))
    (seen,) = [n for n in home.nodes() if n.name == node]
    assert seen.allocatable["nvidia.com/gpu"] == "8"
    bed.kubectl("create", "-f", "-", input=gpu_pod("theirs", namespace))
    bed.kubectl(
        "create", "-f", "-", input=gpu_pod("ours", namespace, **{"overspill.dev/lease": "l"})
    )

    def pods() -> dict[str, PodState]:
        return {p.name: p for p in home.pods() if p.namespace == namespace}

    await until(lambda: all(p.node for p in pods().values()) and len(pods()) == 2)
    assert {p.gpus for p in pods().values()} == {2}
    assert pods()["ours"].requests["cpu"] == "1.5"
    assert pods()["ours"].bound_at is not None
    await until(lambda: home.heartbeat_age_s(node) is not None)
    await asyncio.to_thread(bed.nodes.lose, node)
    await until(lambda: (home.heartbeat_age_s(node) or 0) >= 20)
    assert not home.is_stale()
    await asyncio.to_thread(bed.nodes.delete, node)
    await until(lambda: all(n.name != node for n in home.nodes()))


async def test_an_outage_makes_the_view_stale_and_no_node_old(bed: Bed, home: KubeHome, node: str):
    await until(lambda: home.heartbeat_age_s(node) is not None)
    bed.apiserver.pause()
    await until(home.is_stale)
    await asyncio.sleep(5)
    bed.apiserver.resume()
    await until(lambda: not home.is_stale())
    age = home.heartbeat_age_s(node)
    assert age is not None
    assert age < 6, "the outage of more than eight seconds is not the node's"
