"""Act: training that loses its place goes on from its checkpoint and loses no byte."""

from __future__ import annotations

from demo.acts import finetune, host_loss, node_loss
from demo.world import World

TITLE = "node loss"
TITLE_END = "same bytes"


def play(world: World) -> None:
    """Starts the job and takes its place away; its last attempt still runs afterwards."""
    if world.bed.real_node is not None:
        world.view.act(TITLE, "a training job loses its node while its old process still writes")
        node_loss.play(world, world.bed.real_node)
        return
    world.view.act(TITLE, "a training job loses its rented host")
    world.skipped("a node lost while its pod lives on; failback", world.bed.real_node_skipped)
    host_loss.play(world)


def play_end(world: World) -> None:
    """Waits for the job's end and compares the artefact."""
    world.view.act(TITLE_END, "interrupted or not, the training gives the same bytes")
    has_node = world.bed.real_node is not None
    finetune.ends(world, node_loss.PROVIDERS if has_node else host_loss.PROVIDERS)
