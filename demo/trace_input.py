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
from itertools import accumulate
from pathlib import Path

TRACE = Path("traces") / "alibaba-openb-v2023"
NODES = "openb_node_list_gpu_node.csv.gz"
PODS = "openb_pod_list_gpuspec10.csv.gz"

SHORTEST_S = 15
SPEEDUP = 40.0
"""Seconds of the trace that make one second of a job's work, within two bounds."""


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

    def seconds(self, longest_s: int) -> int:
        """How long it works in the replay."""
        return round(min(longest_s, max(SHORTEST_S, self.lasted_s / SPEEDUP)))


@dataclass(frozen=True)
class Replayed:
    """A job of the trace, when it is applied, and how long it works."""

    at_s: float
    seconds: int
    job: TraceJob


@dataclass(frozen=True)
class Wish:
    """How much of the trace, and how fast."""

    jobs: int
    nodes: int
    seed: int
    arrivals_s: float
    longest_s: int


@dataclass(frozen=True)
class Sample:
    """What is replayed, in the order of arrival, on these nodes."""

    nodes: tuple[TraceNode, ...]
    jobs: tuple[Replayed, ...]
    notes: tuple[str, ...]

    @property
    def gpus(self) -> int:
        """GPUs of all nodes."""
        return sum(node.gpus for node in self.nodes)

    @property
    def peak(self) -> int:
        """GPUs that the jobs would use at once, at most, if none ever had to wait."""
        begins = [(r.at_s, r.job.gpus) for r in self.jobs]
        ends = [(r.at_s + r.seconds, -r.job.gpus) for r in self.jobs]
        return max(accumulate(gpus for _, gpus in sorted([*begins, *ends])))


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


def sample(wish: Wish) -> Sample:
    """Reads the trace and takes the part that this seed means."""
    source, dice = folder(), random.Random(wish.seed)  # noqa: S311  (a repeatable sample)
    chosen, first = _window(_jobs(source), wish, dice)
    begin = chosen[0].created_s
    factor = max(1, chosen[-1].created_s - begin) / wish.arrivals_s
    timed = tuple(
        Replayed((job.created_s - begin) / factor, job.seconds(wish.longest_s), job)
        for job in chosen
    )
    return Sample(_nodes(source, wish.nodes, dice), timed, _notes(wish, chosen, first, factor))


def _notes(wish: Wish, chosen: Sequence[TraceJob], first: int, factor: float) -> tuple[str, ...]:
    how = f"drawn by seed {wish.seed}" if wish.seed else "the row with the most multi-GPU jobs"
    hours = factor * wish.arrivals_s / 3600
    return (
        f"{len(chosen)} GPU jobs in a row of the trace, from its {first + 1}th on ({how})",
        f"{hours:.1f} h of arrivals in {wish.arrivals_s:.0f} s ({factor:.0f} times faster); work "
        f"{SPEEDUP:.0f} times faster, at least {SHORTEST_S} s, at most {wish.longest_s} s",
        f"{sum(job.is_shared for job in chosen)} jobs that asked for a part of a GPU get a whole "
        "one: shares are not sold",
        f"{sum(1 for job in chosen if job.models)} jobs name models, "
        f"{sum(1 for job in chosen if job.gpus > 1)} want several GPUs on one node",
    )


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
    jobs: Sequence[TraceJob], wish: Wish, dice: random.Random
) -> tuple[list[TraceJob], int]:
    """A row of arrivals: for seed 0 the one with the most multi-GPU jobs, else a random one."""
    last = len(jobs) - wish.jobs
    if last < 0:
        raise ValueError(f"the trace has {len(jobs)} GPU jobs, {wish.jobs} are wanted")
    start = dice.randint(0, last) if wish.seed else _richest(jobs, wish.jobs)
    return list(jobs[start : start + wish.jobs]), start


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
