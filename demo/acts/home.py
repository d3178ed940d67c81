"""Act: jobs at home, one on a simulated node, two as real processes with real exit codes."""

from __future__ import annotations

from demo import manifests
from demo.watch import Json
from demo.world import L40S_NODE, World

TITLE = "home"
BUSY, HELLO, BROKEN = "embed", "hello", "broken"
BUSY_SECONDS = 25


def play(world: World) -> None:
    """Places jobs at home. `embed` goes on holding the L40S node through the next act."""
    world.view.act(TITLE, "home is quoted like a market, and wins when it is free")
    world.apply(
        manifests.batch(
            BUSY,
            ["embed", "--all"],
            gpus=manifests.BATCH_GPUS,
            simulated_seconds=BUSY_SECONDS,
        )
    )
    if world.has_real_node:
        world.apply(
            manifests.batch(HELLO, ["sh", "-c", "echo hello from $HOSTNAME"], model="h100"),
            manifests.batch(BROKEN, ["sh", "-c", "echo oh; exit 3"], model="h100"),
        )
    status = world.watch.running(BUSY, 1)
    place = status["placement"]
    world.check(
        f"{BUSY} runs at home on a simulated node",
        f"{place['gpus']} at {place['place']}, {place['pricePerHourUSD']} USD/h",
        holds=place["provider"] == "home" and L40S_NODE in place["place"],
    )
    if world.has_real_node:
        _real_processes(world)
    else:
        world.skipped("jobs at home as real processes", world.bed.real_node_skipped)


def _real_processes(world: World) -> None:
    hello, broken = world.watch.ended(HELLO), world.watch.ended(BROKEN)
    world.check(
        f"{HELLO} ran as a real process and ended with its own exit code",
        "exit 0",
        holds=hello["phase"] == "Complete" and _exit_code(hello) == 0,
    )
    world.check(
        f"{BROKEN} is Failed, with the exit code of its command",
        "exit 3",
        holds=broken["phase"] == "Failed" and _exit_code(broken) == 3,
    )


def _exit_code(status: Json) -> int | None:
    code: int | None = status["attempts"][-1].get("exitCode")
    return code
