"""Act: training that loses its node, goes on at the market, comes home, and loses no byte."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from demo import manifests
from demo.checks import DemoError
from demo.watch import Json
from demo.world import World
from overspill.cli.ledger import LeaseView

TITLE = "node loss"
NAME = "finetune"


@dataclass(frozen=True)
class Zombie:
    """The first attempt's container, alive on a node whose kubelet is dead."""

    pid: int
    prefix: str


def play(world: World) -> None:
    """Loses the node, fails over, fails back, compares the bytes."""
    world.view.act(TITLE, "a training job loses its node while its process still writes")
    world.apply(manifests.training(NAME, world.store.url, world.store.bucket))
    _at_home(world)
    zombie = _lose_kubelet(world)
    resumed = _fails_over(world, zombie)
    _zombie_writes(world, zombie, resumed)
    _comes_home(world)
    _same_bytes(world, zombie)


def _at_home(world: World) -> None:
    placed = world.watch.running(NAME, 1)["placement"]
    world.check(
        f"{NAME} starts at home on the real node",
        f"{placed['gpus']} at {placed['place']}",
        holds=placed["provider"] == "home" and "real-1" in placed["place"],
    )
    world.watch.until(lambda: _step(world) >= 10, f"{NAME} to have a durable checkpoint")


def _lose_kubelet(world: World) -> Zombie:
    node = world.bed.real_node
    assert node is not None  # noqa: S101 -- this act is played with a real node only
    lease = world.watch.leases(NAME)[0]
    pid = _container(world, lease)
    _cut_from_operator(world, pid)
    node.kubelet.kill()
    world.view.note(f"kubelet killed, the node's link to the operator cut; process {pid} lives on")
    return Zombie(pid, f"{NAME}/{lease.name}/")


def _container(world: World, lease: LeaseView) -> int:
    node = world.bed.real_node
    assert node is not None  # noqa: S101 -- as above
    selector = f"overspill.dev/lease={lease.name}"
    pod = world.bed.kubectl(
        "get", "pods", "-n", manifests.NAMESPACE, "-l", selector,
        "-o", "jsonpath={.items[0].metadata.name}",
    )  # fmt: skip
    found = node.containers(pod=pod)
    if len(found) != 1:
        raise DemoError(f"Pod {pod} has {len(found)} containers on the node, one was expected.")
    return found[0]


def _cut_from_operator(world: World, pid: int) -> None:
    """A node that is cut off from the control plane, not from storage: the worst zombie."""
    route = ["ip", "route", "add", "blackhole", f"{world.bed.bridge_address}/32"]
    subprocess.run(["nsenter", "-t", str(pid), "-n", *route], check=True, capture_output=True)


def _fails_over(world: World, zombie: Zombie) -> int:
    """The step that the second attempt resumed from."""
    placed = world.watch.running(NAME, 2, timeout_s=120)["placement"]
    first = _attempts(world)[0]
    world.check(
        "the node was declared lost by its silent heartbeat, the job moved to the market",
        f"attempt 2: {placed['gpus']} at {placed['place']}, {placed['pricePerHourUSD']} USD/h",
        holds=placed["provider"] == "akash" and first["reason"] == "Lost",
    )
    key = placed["leaseName"]
    start = world.watch.until(lambda: _started_at(world, key), "attempt 2 to start its command")
    step = first.get("checkpointStep")
    world.check(
        "attempt 2 resumed from the last durable checkpoint of attempt 1",
        f"step {start[0]}",
        holds=start[0] == step and start[0] > 0 and _is_alive(zombie.pid),
    )
    return start[0]


def _started_at(world: World, key: str) -> tuple[int] | None:
    for line in "".join(world.market.logs(key).values()).splitlines():
        if "starts at step" in line:
            return (int(line.split()[-1]),)
    return None


def _zombie_writes(world: World, zombie: Zombie, resumed: int) -> None:
    newer = world.watch.until(
        lambda: [step for step in _steps_below(world, zombie.prefix) if step > resumed],
        "the zombie to write another checkpoint",
    )
    world.check(
        "the old process still trains and writes, below its own prefix only",
        f"its checkpoint {max(newer)} is newer than the {resumed} that counts",
        holds=_is_alive(zombie.pid),
    )
    world.watch.until(lambda: _step(world) > resumed, "attempt 2 to have a checkpoint of its own")


def _comes_home(world: World) -> None:
    node = world.bed.real_node
    assert node is not None  # noqa: S101 -- as above
    node.kubelet.start()
    world.view.note("the kubelet is back, and with it the capacity of the node")
    placed = world.watch.running(NAME, 3, timeout_s=120)["placement"]
    reasons = [a.get("reason") for a in _attempts(world)]
    world.check(
        "failback: home saves money, so the job checkpoints and comes home",
        f"attempt 3 at {placed['place']}, {placed['pricePerHourUSD']} USD/h",
        holds=placed["provider"] == "home" and reasons[1] in ("", None, "Superseded"),
    )


def _same_bytes(world: World, zombie: Zombie) -> None:
    status = world.watch.ended(NAME, timeout_s=150)
    attempts: list[Json] = status["attempts"]
    world.check(
        f"{NAME} is Complete after three attempts",
        " -> ".join(a["provider"] for a in attempts),
        holds=status["phase"] == "Complete"
        and [a["provider"] for a in attempts] == ["home", "akash", "home"],
    )
    final = world.store.objects()[f"{NAME}/{attempts[-1]['leaseName']}/final"].read_bytes()
    expected = uninterrupted()
    digest = hashlib.sha256(final).hexdigest()
    world.findings.figures["artefact_sha256"] = digest
    world.check(
        "the artefact equals that of an uninterrupted run, byte for byte",
        f"{len(final)} bytes, sha256 {digest[:16]}…",
        holds=final == expected,
    )
    world.check(
        "nothing the zombie wrote later was ever resumed from",
        holds=not any(zombie.prefix in (a.get("checkpointURI") or "") for a in attempts[1:]),
    )


def uninterrupted() -> bytes:
    """The artefact of the same program, run here from start to end without a break."""
    program = Path(__file__).parents[1] / "train.py"
    with tempfile.TemporaryDirectory() as folder:
        env = {
            "PATH": os.environ["PATH"],
            "OVERSPILL_CHECKPOINT_URI": f"file://{folder}",
            "TRAIN_STEPS": str(manifests.STEPS),
            "TRAIN_CHECKPOINT_EVERY": str(manifests.CHECKPOINT_EVERY),
        }
        subprocess.run([sys.executable, program], env=env, check=True, capture_output=True)
        return Path(folder, "final").read_bytes()


def _attempts(world: World) -> list[Json]:
    found: list[Json] = world.watch.status(NAME).get("attempts") or []
    return found


def _step(world: World) -> int:
    progress = world.watch.status(NAME).get("progress") or {}
    return int(progress.get("lastCheckpointStep") or 0)


def _steps_below(world: World, prefix: str) -> list[int]:
    keys = [key for key in world.store.objects() if key.startswith(f"{prefix}step-")]
    return [int(key.rsplit("-", 1)[1]) for key in keys]


def _is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()
