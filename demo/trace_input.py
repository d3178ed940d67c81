"""Reads the real GPU trace and takes the part of it that is replayed. Pure after reading.

The trace is Alibaba's openb (cluster-trace-gpu-v2023); it is data to run on and never shipped.
What is changed on the way into the replay is said by `Sample.notes`.
"""

from __future__ import annotations

import csv
import gzip
import os
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

TRACE = Path("traces") / "alibaba-openb-v2023"
NODES = "openb_node_list_gpu_node.csv.gz"
PODS = "openb_pod_list_gpuspec10.csv.gz"

SHORTEST_S, LONGEST_S = 15, 90
SLOWDOWN = 40.0
"""Seconds of the trace that make one second of a job's work, within the two bounds."""


class TraceMissingError(Exception):
    """The trace is not on this machine. The message says where it was looked for."""


@dataclass(frozen=True)
class TraceNode:
    """One node of the trace."""

    name: str
    model: str
    gpus: int
    cpu_milli: int
    memory_mib: int


@dataclass(frozen=True)
class TraceJob:
    """One GPU pod of the trace. `models` empty: any will do."""

    name: str
    gpus: int
    models: tuple[str, ...]
    cpu_milli: int
    memory_mib: int
    created_s: int
    lasted_s: int
    is_shared: bool
    """It asked for a part of one GPU."""

    @property
    def seconds(self) -> int:
        """How long it works in the replay."""
        return round(min(LONGEST_S, max(SHORTEST_S, self.lasted_s / SLOWDOWN)))


@dataclass(frozen=True)
class Sample:
    """What is replayed: jobs with the second at which each is applied, on these nodes."""

    nodes: tuple[TraceNode, ...]
    jobs: tuple[tuple[float, TraceJob], ...]
    notes: tuple[str, ...]

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    @property
    def offered(self) -> float:
        """GPUs that the jobs would keep busy, on average, while they arrive."""
        work = sum(job.gpus * job.seconds for _, job in self.jobs)
        return work / max(1.0, self.jobs[-1][0])


def folder() -> Path:
    """Where the trace lies: below OVERSPILL_SHARED, else beside the checkout."""
    told = os.environ.get("OVERSPILL_SHARED")
    shared = Path(told) if told else Path(__file__).resolve().parents[2] / "shared"
    found = shared / TRACE
    if not (found / PODS).is_file() or not (found / NODES).is_file():
        raise TraceMissingError(
            f"The trace is not at {found}; set OVERSPILL_SHARED to the directory that has "
            f"{TRACE}, with {NODES} and {PODS} of github alibaba/clusterdata in it."
        )
    return found


def sample(jobs: int, nodes: int, seed: int, arrivals_s: float) -> Sample:
    """Reads the trace and takes the part that this seed means."""
    source, dice = folder(), random.Random(seed)  # noqa: S311  (a repeatable sample)
    chosen, first = _window(_jobs(source), jobs, seed, dice)
    real_s = max(1, chosen[-1].created_s - chosen[0].created_s)
    timed = [((j.created_s - chosen[0].created_s) * arrivals_s / real_s, j) for j in chosen]
    shared = sum(job.is_shared for job in chosen)
    factor = real_s / arrivals_s
    notes = (
        f"{jobs} GPU jobs in a row of the trace, from its {first + 1}th on "
        f"({'the row with the most multi-GPU jobs' if seed == 0 else f'drawn by seed {seed}'})",
        f"{real_s / 3600:.1f} h of arrivals in {arrivals_s:.0f} s ({factor:.0f} times faster); "
        f"work {SLOWDOWN:.0f} times faster, at least {SHORTEST_S} s, at most {LONGEST_S} s",
        f"{shared} jobs that asked for a part of a GPU get a whole one: shares are not sold",
        f"{sum(1 for job in chosen if job.models)} jobs name models, "
        f"{sum(1 for job in chosen if job.gpus > 1)} want several GPUs on one node",
    )
    return Sample(_nodes(source, nodes, dice), tuple(timed), notes)


def _jobs(source: Path) -> list[TraceJob]:
    rows = [row for row in _rows(source / PODS) if int(row["num_gpu"]) > 0]
    found = [_job(row) for row in rows]
    return sorted(found, key=lambda job: (job.created_s, job.name))


def _job(row: dict[str, str]) -> TraceJob:
    created = int(row["creation_time"])
    return TraceJob(
        name=row["name"].removeprefix("openb-"),
        gpus=int(row["num_gpu"]),
        models=tuple(dict.fromkeys(word for word in row["gpu_spec"].split("|") if word)),
        cpu_milli=int(row["cpu_milli"]),
        memory_mib=int(row["memory_mib"]),
        created_s=created,
        lasted_s=max(0, int(row["deletion_time"]) - created),
        is_shared=int(row["gpu_milli"]) < 1000,
    )


def _window(
    jobs: Sequence[TraceJob], count: int, seed: int, dice: random.Random
) -> tuple[list[TraceJob], int]:
    """A row of arrivals: for seed 0 the one with the most multi-GPU jobs, else a random one."""
    last = len(jobs) - count
    if last < 0:
        raise ValueError(f"the trace has {len(jobs)} GPU jobs, {count} are wanted")
    start = dice.randint(0, last) if seed else _richest(jobs, count)
    return list(jobs[start : start + count]), start


def _richest(jobs: Sequence[TraceJob], count: int) -> int:
    several = [int(job.gpus > 1) for job in jobs]
    now = sum(several[:count])
    best, start = now, 0
    for first in range(1, len(jobs) - count + 1):
        now += several[first + count - 1] - several[first - 1]
        if now > best:
            best, start = now, first
    return start


def _nodes(source: Path, count: int, dice: random.Random) -> tuple[TraceNode, ...]:
    """A share of every shape as in the trace, at least one node of each model."""
    everything = [
        TraceNode(
            row["sn"].removeprefix("openb-"),
            row["model"],
            int(row["gpu"]),
            int(row["cpu_milli"]),
            int(row["memory_mib"]),
        )
        for row in _rows(source / NODES)
    ]
    one_each = {model: [n for n in everything if n.model == model] for model in _models(everything)}
    kept = [dice.choice(nodes) for nodes in one_each.values()][:count]
    others = [node for node in everything if node not in kept]
    kept += dice.sample(others, count - len(kept))
    return tuple(sorted(kept, key=lambda node: node.name))


def _models(nodes: Iterable[TraceNode]) -> list[str]:
    """Most frequent first, so that a very small sample still looks like the trace."""
    return [model for model, _ in Counter(node.model for node in nodes).most_common()]


def _rows(path: Path) -> list[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
