"""Act: home is full, so a batch job rents; it completes once although the market restarts it."""

from __future__ import annotations

from demo import manifests
from demo.acts.home import BUSY
from demo.world import World
from overspill.sandbox.ledger import Event

TITLE = "overspill"
NAME = "render"
MARK = "render: frames done on"


def play(world: World) -> None:
    """Rents for one batch job and follows it to its one end."""
    world.view.act(TITLE, "home is full, so the next job rents the cheapest fitting offer")
    command = f"nvidia-smi -L; sleep 3; echo {MARK} $(nvidia-smi -L | wc -l) GPUs"
    world.apply(
        manifests.batch(
            NAME,
            ["sh", "-c", command],
            gpus=manifests.BATCH_GPUS,
            budget={"maxTotalUSD": "20", "maxHourlyUSD": "5"},
        )
    )
    placed = world.watch.running(NAME, 1)["placement"]
    world.check(
        f"{NAME} overspilt to the market while {BUSY} holds home",
        f"{placed['gpus']} at {placed['place']}, {placed['pricePerHourUSD']} USD/h",
        holds=placed["provider"] == "akash" and world.watch.status(BUSY)["phase"] == "Running",
    )
    _completes_once(world, placed["leaseName"])


def _completes_once(world: World, key: str) -> None:
    """The market is slow to close and, meanwhile, starts the container again on an empty disk."""
    world.market.fault("close_sticks", key=key)
    status = world.watch.ended(NAME)
    world.check(
        f"{NAME} is Complete with the exit code its process reported",
        f"exit {status['attempts'][-1].get('exitCode')}",
        holds=status["phase"] == "Complete" and status["attempts"][-1].get("exitCode") == 0,
    )
    world.market.finish(key, 137)
    starts = world.watch.until(lambda: _restarts(world, key), "the market to restart the container")
    log = "".join(world.market.logs(key).values())
    world.check(
        "its command ran once, although the market started its container again",
        f"{starts} starts, 1 run",
        holds=log.count(MARK) == 1 and len(status["attempts"]) == 1,
    )
    world.market.clear_faults()


def _restarts(world: World, key: str) -> int:
    """How often the container was started, once that is more than once and it stays up."""
    mine = [e.event for e in world.market.ledger() if e.key == key]
    starts, exits = mine.count(Event.STARTED), mine.count(Event.EXITED)
    return starts if starts > 1 and starts > exits else 0
