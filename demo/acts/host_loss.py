"""The shorter story where no real node can run: a rented host dies, another one takes over."""

from __future__ import annotations

from demo import manifests
from demo.acts import finetune
from demo.acts.finetune import NAME
from demo.world import World
from overspill.sandbox.ledger import Event

PROVIDERS = ["akash", "akash"]


def play(world: World) -> None:
    """Rented, lost, rented elsewhere; the last attempt goes on when this returns."""
    only = {"burst": "Only"}
    world.apply(manifests.training(NAME, world.store.url, world.store.bucket, placement=only))
    key = world.watch.running(NAME, 1)["placement"]["leaseName"]
    world.watch.until(
        lambda: finetune.durable_step(world) >= 2 * manifests.CHECKPOINT_EVERY,
        f"{NAME} to have a durable checkpoint",
    )
    lost = _host_of(world, key)
    world.market.kill_host(lost, close_after_s=2)
    world.view.note(f"the rented host {lost} is dead")
    placed = world.watch.running(NAME, 2, timeout_s=120)["placement"]
    first = finetune.attempts(world)[0]
    world.check(
        "the lease was lost with its host; the job went on at another one",
        f"attempt 2: {placed['gpus']}, {placed['pricePerHourUSD']} USD/h",
        holds=first["reason"] == "Lost" and _host_of(world, placed["leaseName"]) != lost,
    )
    start = finetune.rented_start(world, placed["leaseName"])
    world.check(
        "attempt 2 resumed from the last durable checkpoint of attempt 1",
        f"step {finetune.step_of(start)}",
        holds=start == first.get("checkpointURI") and finetune.prefix_of(key) in start,
    )


def _host_of(world: World, key: str) -> str:
    entries = world.market.ledger()
    return next(e.provider for e in entries if e.key == key and e.event == Event.LEASED)
