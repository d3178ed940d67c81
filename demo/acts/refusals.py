"""Act: jobs that cannot be served are refused with a sentence, and nothing is leased for them."""

from __future__ import annotations

from typing import Any

from demo import manifests
from demo.watch import condition
from demo.world import World

TITLE = "refusals"


def play(world: World) -> None:
    """Four impossible jobs."""
    world.view.act(TITLE, "what cannot be served is refused with a sentence, and costs nothing")
    jobs = _impossible()
    world.apply(*jobs.values())
    for name in jobs:
        _refused(world, name)


def _refused(world: World, name: str) -> None:
    world.watch.until(
        lambda: world.watch.status(name).get("phase") == "Refused", f"{name} to be refused"
    )
    placed = condition(world.watch.status(name), "Placed")
    world.view.note(f"{name}: {placed.get('message')}")
    world.check(
        f"{name} is refused and nothing was leased",
        placed.get("reason", ""),
        holds=placed.get("status") == "False"
        and bool(placed.get("message"))
        and not world.watch.leases(name),
    )


def _impossible() -> dict[str, manifests.Json]:
    budget = {"maxTotalUSD": "20"}
    only: dict[str, Any] = {"burst": "Only"}
    command = ["sh", "-c", "exit 0"]
    tied = manifests.batch("with-volume", command, budget=budget, placement=only)
    tied["spec"]["template"]["spec"]["volumes"] = [
        {"name": "data", "persistentVolumeClaim": {"claimName": "corpus"}}
    ]
    return {
        "too-cheap": manifests.batch(
            "too-cheap",
            command,
            model="a100-80gb",
            budget={"maxTotalUSD": "20", "maxHourlyUSD": "0.05"},
        ),
        "no-such-gpu": manifests.batch("no-such-gpu", command, model="b300", budget=budget),
        "with-volume": tied,
    }
