"""S4's rules and input: a cluster packed until it is full, with jobs of the openb trace.

Jobs come in random order, are drawn again until they ask for 130 % of the cluster, and none leaves.
Ours is `overspill.core.packing`; beside it FGD and best-fit after the rules of their paper. How
ours breaks ties was chosen on one order of the workload `default`; the others are the validation.
Called by `packing_suite`.
"""

from __future__ import annotations

import csv
import gzip
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

from benchmarks.placement import traces
from overspill.core.packing import WHOLE, Demand, Packer, Room, fits, fragment, mix_of, taken

WORKLOADS = ("default", "multigpu20", "gpushare40", "gpuspec10", "cpu050")
ASKED = 1.3

Chooser = Callable[[Iterable[Room], Demand], tuple[Room, Room] | None]


def pack(rooms: Sequence[Room], demands: Iterable[Demand], choose: Chooser) -> float:
    """The share of all GPUs that is allocated in the end."""
    free = Counter(rooms)
    total = sum(room.free for room in rooms)
    for demand in demands:
        found = choose(free, demand)
        if found is None:
            continue
        room, left = found
        free[room] -= 1
        if not free[room]:
            del free[room]
        free[left] += 1
    return 1 - sum(room.free * count for room, count in free.items()) / total


def stream(workload: str, seed: int) -> tuple[list[Room], list[Demand]]:
    """The cluster, and jobs in random order until they ask for 130 % of it."""
    rooms, listed = _nodes(), list(_demands(workload))
    dice = random.Random(f"{workload}:{seed}")  # noqa: S311  (an order of jobs, no secret)
    dice.shuffle(listed)
    capacity = sum(room.free for room in rooms)
    found, asked = [], 0
    while asked < ASKED * capacity:
        demand = listed[len(found)] if len(found) < len(listed) else dice.choice(listed)
        found.append(demand)
        asked += demand.gpus * demand.milli
    return rooms, found


def ours(demands: Sequence[Demand]) -> Chooser:
    """The operator's own."""
    return Packer(mix_of(demands)).choose


def fgd(demands: Sequence[Demand]) -> Chooser:
    """The paper's rule; it does not say how ties are broken: here the first node has it."""
    mix = mix_of(demands)
    known: dict[tuple[Room, Demand], tuple[float, Room] | None] = {}

    def grows(room: Room, demand: Demand) -> tuple[float, Room] | None:
        if not fits(room, demand):
            return None
        before = fragment(room, mix)
        ways = [(fragment(left, mix) - before, left) for left in taken(room, demand)]
        return min(ways, key=lambda way: way[0])

    def choose(rooms: Iterable[Room], demand: Demand) -> tuple[Room, Room] | None:
        best: tuple[float, Room, Room] | None = None
        for room in rooms:
            key = (room, demand)
            if key not in known:
                known[key] = grows(room, demand)
            found = known[key]
            if found is not None and (best is None or found[0] < best[0]):
                best = (found[0], room, found[1])
        return None if best is None else best[1:]

    return choose


def best_fit(_demands: Sequence[Demand]) -> Chooser:
    """The node with the least left, CPU and GPU each by the largest node's; the fullest GPU."""
    most_cpu = max(room.cpu for room in _nodes())
    most_gpu = max(room.free for room in _nodes())

    def rest(room: Room) -> float:
        return room.cpu / most_cpu + room.free / most_gpu

    def choose(rooms: Iterable[Room], demand: Demand) -> tuple[Room, Room] | None:
        room = min((r for r in rooms if fits(r, demand)), key=rest, default=None)
        return None if room is None else (room, next(taken(room, demand)))

    return choose


CHOOSERS: Mapping[str, Callable[[Sequence[Demand]], Chooser]] = {
    "overspill": ours,
    "FGD": fgd,
    "best-fit": best_fit,
}


def allocated(workload: str, seed: int, name: str) -> float:
    """The share that one of `CHOOSERS` allocates of one order of jobs."""
    rooms, demands = stream(workload, seed)
    return pack(rooms, demands, CHOOSERS[name](list(_demands(workload))))


def published(workload: str) -> Mapping[str, float]:
    """Allocated percent at 130 % demand by policy, of the paper's authors."""
    path = _folder() / "published_results" / "fgd_allocation_percent.csv"
    with path.open(newline="") as file:
        return {
            r["sc_policy"]: float(r["130"])
            for r in csv.DictReader(file)
            if r["workload"] == f"openb_pod_list_{workload}"
        }


@cache
def _nodes() -> list[Room]:
    with gzip.open(_folder() / "openb_node_list_gpu_node.csv.gz", "rt", newline="") as file:
        return [
            Room(int(r["cpu_milli"]), int(r["memory_mib"]), (WHOLE,) * int(r["gpu"]), r["model"])
            for r in csv.DictReader(file)
        ]


@cache
def _demands(workload: str) -> tuple[Demand, ...]:
    path = _folder() / f"openb_pod_list_{workload}.csv.gz"
    with gzip.open(path, "rt", newline="") as file:
        return tuple(_demand(row) for row in csv.DictReader(file))


def _demand(row: Mapping[str, str]) -> Demand:
    gpus = int(row["num_gpu"] or 0)
    spec = row.get("gpu_spec") or ""
    demand = Demand(int(row["cpu_milli"]), int(row["memory_mib"]), gpus)
    if gpus == 1:
        demand = replace(demand, milli=int(row["gpu_milli"]))
    return replace(demand, models=frozenset(filter(None, spec.split("|"))))


def _folder() -> Path:
    return traces.root() / "alibaba-openb-v2023"
