"""How the training job loses its node while its old process still writes, and comes home again."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from demo import manifests
from demo.acts import finetune
from demo.acts.finetune import NAME
from demo.checks import DemoError
from demo.world import World
from overspill.cli.ledger import LeaseView
from overspill.testing.bed import RealNode

PROVIDERS = ["home", "akash", "home"]


@dataclass(frozen=True)
class Zombie:
    """The first attempt's container, alive on a node whose kubelet is dead."""

    pid: int
    prefix: str

    @property
    def is_alive(self) -> bool:
        """Whether the process is still there."""
        return Path(f"/proc/{self.pid}").exists()


def play(world: World, node: RealNode) -> None:
    """Home, lost, rented, home again; the last attempt goes on when this returns."""
    world.apply(manifests.training(NAME, world.store.url, world.store.bucket))
    _starts_at_home(world, node)
    zombie = _loses_kubelet(world, node)
    resumed = _fails_over(world, zombie)
    _zombie_writes(world, zombie, resumed)
    _comes_home(world, node, zombie)


def _starts_at_home(world: World, node: RealNode) -> None:
    placed = world.watch.running(NAME, 1)["placement"]
    world.check(
        f"{NAME} starts at home on the real node",
        f"{placed['gpus']} at {placed['place']}, {placed['pricePerHourUSD']} USD/h",
        holds=placed["provider"] == "home" and node.name in placed["place"],
    )
    world.watch.until(
        lambda: finetune.durable_step(world) >= 2 * manifests.CHECKPOINT_EVERY,
        f"{NAME} to have a durable checkpoint",
    )


def _loses_kubelet(world: World, node: RealNode) -> Zombie:
    lease = world.watch.leases(NAME)[0]
    pid = _container(world, node, lease)
    _cut_from_operator(world, pid)
    node.kubelet.kill()
    world.view.note(f"kubelet killed, its pod cut off from the operator; process {pid} lives on")
    return Zombie(pid, finetune.prefix_of(lease.name))


def _container(world: World, node: RealNode, lease: LeaseView) -> int:
    selector = f"overspill.dev/lease={lease.name}"
    path = "jsonpath={.items[0].metadata.name}"
    pod = world.kubectl("get", "pods", "-l", selector, "-o", path)
    found = node.containers(pod=pod)
    if len(found) != 1:
        raise DemoError(f"Pod {pod} has {len(found)} containers on the node, one was expected.")
    return found[0]


def _cut_from_operator(world: World, pid: int) -> None:
    """The worst zombie: its node lost the control plane but not the storage."""
    route = ["ip", "route", "add", "blackhole", f"{world.bed.bridge_address}/32"]
    subprocess.run(["nsenter", "-t", str(pid), "-n", *route], check=True, capture_output=True)


def _fails_over(world: World, zombie: Zombie) -> int:
    placed = world.watch.running(NAME, 2, timeout_s=120)["placement"]
    first = finetune.attempts(world)[0]
    world.check(
        "the node was declared lost by its silent heartbeat; the job went on at the market",
        f"attempt 2: {placed['gpus']} at {placed['place']}, {placed['pricePerHourUSD']} USD/h",
        holds=placed["provider"] == "akash" and first["reason"] == "Lost",
    )
    start = finetune.rented_start(world, placed["leaseName"])
    world.check(
        "attempt 2 resumed from the last durable checkpoint of attempt 1",
        f"step {finetune.step_of(start)}",
        holds=start == first.get("checkpointURI") and zombie.prefix in start,
    )
    return finetune.step_of(start)


def _zombie_writes(world: World, zombie: Zombie, resumed: int) -> None:
    newer = world.watch.until(
        lambda: [s for s in finetune.stored_steps(world, zombie.prefix) if s > resumed],
        "the zombie to write another checkpoint",
    )
    world.check(
        "the old process still trains and writes, below its own prefix only",
        f"its checkpoint {newer[-1]} is newer than the {resumed} that counts",
        holds=zombie.is_alive,
    )
    world.watch.until(
        lambda: finetune.durable_step(world) > resumed, "attempt 2 to have a checkpoint of its own"
    )


def _comes_home(world: World, node: RealNode, zombie: Zombie) -> None:
    written = finetune.stored_steps(world, zombie.prefix)
    node.kubelet.start()
    world.view.note("the kubelet is back, and with it the capacity of the node")
    placed = world.watch.running(NAME, 3, timeout_s=120)["placement"]
    second = finetune.attempts(world)[1]
    world.check(
        "failback: home saves money, so the job checkpoints at the market and comes home",
        f"attempt 3 at {placed['place']}, {placed['pricePerHourUSD']} USD/h",
        holds=placed["provider"] == "home" and second.get("checkpointStep") is not None,
    )
    start = world.watch.until(lambda: _home_start(world, placed["leaseName"]), "attempt 3 to start")
    world.check(
        "attempt 3 resumed from attempt 2, not from what the zombie wrote",
        f"step {finetune.step_of(start)}; the zombie had come to {written[-1]}",
        holds=finetune.prefix_of(second["leaseName"]) in start and not zombie.is_alive,
    )


def _home_start(world: World, lease: str) -> str:
    log = world.kubectl("logs", "-l", f"overspill.dev/lease={lease}", "--tail=-1")
    return finetune.started_from(log)
