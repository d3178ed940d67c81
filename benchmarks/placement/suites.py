"""The suites: which worlds, which jobs, and which of them were used for tuning.

Jobs are sampled with a fixed seed. S1 is split by zone, S2 and S3 by period: every parameter of
ours was chosen on `tune` alone, and `validate` is what the table prints. Called by `__main__`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from benchmarks.placement import traces
from benchmarks.placement.world import Job, Place, World

Split = Literal["tune", "validate"]
WORK_S = 48 * 3600
RATIOS = (1.1, 1.25, 1.5, 2.0)
COLDS_H = (0.05, 0.2, 0.5)
OWN_USD_PER_GPU_H = 0.10
CHECKPOINT_GB = 50
HISTORY_S = 24 * 3600
"""No job starts before a day of past is there to learn from."""


@dataclass(frozen=True)
class Case:
    """One job on one world."""

    suite: str
    world: World
    job: Job
    group: str
    """Place and start: what the bootstrap draws."""

    @property
    def ratio(self) -> float:
        """Deadline over work."""
        return self.job.ticks * self.world.tick_s / self.job.work_s

    @property
    def key(self) -> str:
        """Names the case in the file of results."""
        return f"{self.group}:{self.job.ticks}:{self.job.cold_s}:{self.job.loss_s}"


def cases(suite: str, split: Split, size: int, seed: int = 1) -> list[Case]:
    """`size` jobs (about) of a suite."""
    maker = {
        "s1-2022": lambda: _single(AWS_2022, split),
        "s1-2023": lambda: _single(AWS_2023, split),
        "h100": lambda: [_h100(1)],
        "h100x8": lambda: [_h100(8)],
        "v100": lambda: [_v100()],
        "tiers": lambda: [_tiers(0.5)],
        "tiers80": lambda: [_tiers(0.8)],
    }[suite]
    worlds = maker()
    dice = random.Random(f"{seed}:{suite}:{split}")  # noqa: S311  (sampling jobs, no secret)
    by_period = suite not in ("s1-2022", "s1-2023")
    return [
        c
        for w in worlds
        for c in _sampled(suite, w, split if by_period else None, dice, size, len(worlds))
    ]


SUITES = ("s1-2022", "s1-2023", "h100", "h100x8", "v100", "tiers", "tiers80")
_2022 = "availability/1-node/aws-10-26-2022/"
_2023 = "availability/1-node/aws-02-15-2023/"
AWS_2022: dict[Split, tuple[str, ...]] = {
    "tune": tuple(f"{_2022}us-west-2a_{m}.json" for m in ("k80_1", "k80_8", "v100_1", "v100_8")),
    "validate": tuple(
        f"{_2022}us-west-2b_{m}.json" for m in ("k80_1", "k80_8", "v100_1", "v100_8")
    ),
}
AWS_2023: dict[Split, tuple[str, ...]] = {
    "tune": (f"{_2023}us-east-1c_v100_1.json", f"{_2023}us-west-2a_v100_1.json"),
    "validate": (f"{_2023}us-east-2a_v100_1.json", f"{_2023}us-west-2b_v100_1.json"),
}


def _sampled(
    suite: str, world: World, split: Split | None, dice: random.Random, size: int, worlds: int
) -> Iterator[Case]:
    """Starts are drawn; every start is run with every deadline and changeover."""
    colds = COLDS_H if suite.startswith("s1") else (0.2,)
    starts = max(1, round(size / worlds / len(RATIOS) / len(colds)))
    longest = round(max(RATIOS) * WORK_S / world.tick_s)
    low, high = round(HISTORY_S / world.tick_s), world.ticks - longest
    middle = (low + high) // 2
    if split == "tune":
        high = middle
    elif split == "validate":
        low = middle
    for _ in range(starts):
        start = dice.randrange(low, high)
        for ratio in RATIOS:
            for cold_h in colds:
                ticks = int(ratio * WORK_S / world.tick_s)
                job = Job(start, ticks, WORK_S, round(cold_h * 3600))
                yield Case(suite, world, job, f"{world.name}:{start}")


def _single(paths: dict[Split, tuple[str, ...]], split: Split) -> list[World]:
    """One place at a third of the price on demand."""
    found = []
    for path in paths[split]:
        tick_s, counts = traces.single(path)
        name = path.rsplit("/", 1)[1].removesuffix(".json")
        up = tuple(n >= 1 for n in counts)
        spot = Place(name, "spot", name, up, (1.0,) * len(up))
        found.append(World(name, tick_s, (spot, _always("on demand", name, 3.0, len(up)))))
    return found


def _h100(gang: int) -> World:
    """Seven zones; up when `gang` of 16 VMs launched; prices are of eight GPUs, as published."""
    places, always = [], []
    for zone, counts in traces.h100_counts().items():
        spot, on_demand = traces.h100_prices()[zone]
        region = zone.rsplit("-", 1)[0]
        up = tuple(n >= gang for n in counts)
        places.append(Place(zone, "spot", region, up, (spot,) * len(up)))
        always.append(_always(f"{zone} on demand", region, on_demand, len(up)))
    regions = {p.region for p in places}
    return World(
        f"h100x{gang}", traces.TICK_H100_S, (*places, *always), _egress(regions, _AWS_NEAR)
    )


def _v100() -> World:
    """Four zones with their real prices of 2023."""
    places, always = [], []
    for zone, prices in traces.v100_prices().items():
        tick_s, counts = traces.single(f"{_2023}{zone}.json")
        region = zone.split("_")[0][:-1]
        name = zone.split("_")[0]
        places.append(Place(name, "spot", region, tuple(n >= 1 for n in counts), prices))
        always.append(_always(f"{name} on demand", region, 3.06, len(counts)))
    return World("v100", tick_s, (*places, *always), _egress({p.region for p in places}, {}))


def _tiers(quantile: float) -> World:
    """Own nodes that a real cluster's users take, sellers of a marketplace, and a cloud.

    Own capacity is what Philly's jobs leave free on a cluster sized at a quantile of their demand;
    a seller is up while it lists H100 SXM; the cloud is on demand only.
    """
    tick_s, ticks = 600, 2016
    own = _own(quantile, tick_s, ticks)
    sellers = _sellers(tick_s, ticks)
    cloud = _always("cloud", "cloud", traces.h100_prices()["us-central1-a"][1], ticks)
    regions = ["home", "cloud", *(p.region for p in sellers)]
    egress = {(a, b): 0.09 * CHECKPOINT_GB for a in ("cloud",) for b in regions if a != b}
    return World(f"tiers{round(quantile * 100)}", tick_s, (own, *sellers, cloud), egress)


def _own(quantile: float, tick_s: int, ticks: int) -> Place:
    jobs = traces.philly()
    steady = jobs[0][0] + timedelta(days=30)
    changes: list[tuple[datetime, int]] = []
    for at, seconds, gpus in jobs:
        changes += [(at, gpus), (at + timedelta(seconds=seconds), -gpus)]
    changes.sort()
    demand, used, index = [], 0, 0
    for tick in range(ticks):
        now = steady + timedelta(seconds=tick * tick_s)
        while index < len(changes) and changes[index][0] <= now:
            used += changes[index][1]
            index += 1
        demand.append(used)
    size = sorted(demand)[int(quantile * (len(demand) - 1))] + 8
    up = tuple(size - used >= 8 for used in demand)
    return Place("own", "own", "home", up, (8 * OWN_USD_PER_GPU_H,) * ticks)


def _sellers(tick_s: int, ticks: int) -> list[Place]:
    rows = traces.listings("H100_80GB_SXM5")
    times = [datetime.fromisoformat(row["timestamp"]) for row in rows]
    current, index = [], 0
    for tick in range(ticks):
        now = times[0] + timedelta(seconds=tick * tick_s)
        while index + 1 < len(rows) and times[index + 1] <= now:
            index += 1
        current.append(rows[index]["by_provider"])
    names = sorted({name for listed in current for name in listed})
    return [_seller(name, current) for name in names]


def _seller(name: str, listed: list[dict[str, dict[str, float]]]) -> Place:
    """Its price while it is away is the last one, which nobody pays."""
    prices, last = [], next(row[name]["min"] for row in listed if name in row)
    for row in listed:
        last = row[name]["min"] if name in row else last
        prices.append(8 * last)
    return Place(name, "p2p", name, tuple(name in row for row in listed), tuple(prices))


def _always(name: str, region: str, price: float, ticks: int) -> Place:
    return Place(name, "ondemand", region, (True,) * ticks, (price,) * ticks)


_AWS_NEAR = {
    "asia-south2": "ap-south-1",
    "asia-southeast1": "ap-southeast-1",
    "europe-west1": "eu-west-1",
    "us-central1": "us-east-2",
    "us-east4": "us-east-1",
    "us-west1": "us-west-2",
}
"""Egress is priced by the AWS region nearest to the GCP one, as SkyNomad does."""


def _egress(regions: set[str], near: dict[str, str]) -> dict[tuple[str, str], float]:
    table = traces.egress_usd_per_gb()
    return {
        (a, b): CHECKPOINT_GB * table.get((near.get(a, a), near.get(b, b)), 0.02)
        for a in regions
        for b in regions
        if a != b
    }


def with_losses(case: Case, interval_s: int) -> Case:
    """The same case where a loss destroys the work since the last checkpoint."""
    return replace(case, job=replace(case.job, loss_s=interval_s))
