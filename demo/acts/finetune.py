"""The demo's training job: its name, what is read of it, and the proof that no byte was lost."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from demo import manifests
from demo.watch import Json
from demo.world import World

NAME = "finetune"


def attempts(world: World) -> list[Json]:
    """`status.attempts`, oldest first."""
    found: list[Json] = world.watch.status(NAME).get("attempts") or []
    return found


def durable_step(world: World) -> int:
    """The step of the newest checkpoint the operator knows to be durable; 0 before the first."""
    progress = world.watch.status(NAME).get("progress") or {}
    return int(progress.get("lastCheckpointStep") or 0)


def stored_steps(world: World, prefix: str) -> list[int]:
    """The steps of all checkpoints in the store below a prefix."""
    keys = [key for key in world.store.objects() if key.startswith(f"{prefix}step-")]
    return sorted(int(key.rsplit("-", 1)[1]) for key in keys)


def prefix_of(lease: str) -> str:
    """Where an attempt writes, and nobody else."""
    return f"{NAME}/{lease}/"


def started_from(log: str) -> str:
    """The URI an attempt said it starts from; empty while its log does not say."""
    for line in log.splitlines():
        if " starts from: " in line:
            return line.split()[-1]
    return ""


def rented_start(world: World, key: str) -> str:
    """The URI that a rented attempt started from, by its log at the market."""
    return world.watch.until(
        lambda: started_from("".join(world.market.logs(key).values())),
        "the rented attempt to start its command",
    )


def step_of(uri: str) -> int:
    """The step of a checkpoint, by its URI."""
    return int(uri.rpartition("/step-")[2] or 0)


def ends(world: World, providers: list[str]) -> None:
    """The job is Complete after attempts at these providers, and its artefact is the right one."""
    status = world.watch.ended(NAME, timeout_s=180)
    known: list[Json] = status["attempts"]
    went = [attempt["provider"] for attempt in known]
    world.check(
        f"{NAME} is Complete after {len(providers)} attempts",
        " -> ".join(went),
        holds=status["phase"] == "Complete" and went == providers,
    )
    final = world.store.objects()[f"{prefix_of(known[-1]['leaseName'])}final"].read_bytes()
    digest = hashlib.sha256(final).hexdigest()
    world.findings.figures["artefact_sha256"] = digest
    world.check(
        "its artefact equals that of an uninterrupted run, byte for byte",
        f"{len(final)} bytes, sha256 {digest[:16]}…",
        holds=final == uninterrupted(),
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
