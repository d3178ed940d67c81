"""S5's history: a part of Philly's jobs, own nodes with real faults, places to rent.

Philly's jobs are thinned by a hash, and the cluster is sized at the median of what they then use;
faults are those of a GPU fleet of another year, deadlines have the slack of ElasticFlow's; sellers
are marketplace listings, the cloud is on demand. No public trace has all of these together, so
they are laid side by side. Tuned on one week, validated on the next. Called by `fleet`.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from benchmarks.placement import traces
from benchmarks.placement.suites import CHECKPOINT_GB, OWN_USD_PER_GPU_H, Split
from overspill.simulate.history import UNLIMITED, Fault, History, OwnNode, PastJob, Place, constant
from overspill.simulate.reading import changes

DAY_S = 86400
FIRST_DAY: dict[Split, int] = {"tune": 31, "validate": 38}
"""Days after Philly's first job; before day 31 its clusters are still filling."""
DAYS = 7
WARM_S = DAY_S
"""Jobs of the first day fill the cluster and teach the policy; they are not counted."""
COLD_S = 720.0
GPUS_PER_OFFER = 8
"""What one listed offer is taken to hold: a machine of eight."""
EGRESS_USD_PER_GB = 0.02
LEAST_SLACK = 1.05
MARGIN_S = 180.0
"""Two batches of decisions and a little."""
FAULTS_NODES = 200
"""Servers behind the part of the fault trace that is here: half of its 400."""


@dataclass(frozen=True)
class Fleet:
    """The history and the jobs of it that count."""

    history: History
    counted: frozenset[str]


def fleet(split: Split, size: int) -> Fleet:
    """About `size` jobs over a week."""
    began = traces.philly()[0][0] + timedelta(days=FIRST_DAY[split])
    rows = [
        (i, (at - began).total_seconds(), seconds, gpus)
        for i, (at, seconds, gpus) in enumerate(traces.philly())
        if seconds >= 60
    ]
    share = min(1.0, size / sum(1 for _, at, _, _ in rows if 0 <= at < DAYS * DAY_S))
    kept = [row for row in rows if _chance(row[0], "kept") < share]
    own = _own_gpus(kept)
    nodes = [OwnNode(f"own-{i}", 8, "h100") for i in range(max(1, -(-own // 8)))]
    jobs = [_job(*row) for row in kept if row[1] < DAYS * DAY_S and row[1] + row[2] > 0]
    names = frozenset(j.name for j in jobs if j.submit_s >= WARM_S)
    history = History(
        jobs=jobs,
        nodes=nodes,
        places=[*_sellers(split), _cloud()],
        faults=_faults(split, nodes),
        own_usd_per_gpu_h=OWN_USD_PER_GPU_H,
    )
    return Fleet(history, names)


def _job(index: int, at_s: float, work_s: float, gpus: int) -> PastJob:
    """What already ran when the week began goes on with what was left of it."""
    submit = max(0.0, at_s)
    left = work_s - (submit - at_s)
    slack = _slack(index)
    room_s = left * (slack - 1)
    promised = room_s >= COLD_S + 0.1 * (left + COLD_S) + MARGIN_S
    dice = _chance(index, "class")
    sla = "besteffort" if not promised else "guaranteed" if dice < 1 / 3 else "standard"
    return PastJob(
        name=f"philly-{index}",
        submit_s=submit,
        gpus=gpus,
        work_s=left,
        nodes=1 if gpus <= 8 else 2 if gpus == 12 else gpus // 8,
        deadline_s=submit + left * slack if promised else None,
        sla=sla,
        interval_s=1800.0,
        checkpoint_gib=CHECKPOINT_GB,
    )


def _slack(index: int) -> float:
    """Deadline over duration of one of ElasticFlow's jobs that an inelastic job can meet."""
    ratios = _ratios()
    return ratios[int(_chance(index, "slack") * len(ratios))]


def _ratios() -> Sequence[float]:
    path = traces.root() / "elasticflow" / "elasticVpollux_e.csv"
    with path.open(newline="") as file:
        found = [
            (float(r["ddl"]) - float(r["submit_time"])) / float(r["duration"])
            for r in csv.DictReader(file)
        ]
    return sorted(ratio for ratio in found if ratio >= LEAST_SLACK)


def _own_gpus(rows: Sequence[tuple[int, float, float, int]]) -> int:
    """The median of what these jobs use at once in the week."""
    used = [
        sum(gpus for _, at, seconds, gpus in rows if at <= t < at + seconds)
        for t in range(0, DAYS * DAY_S, 7200)
    ]
    return max(8, sorted(used)[len(used) // 2])


def _faults(split: Split, nodes: Sequence[OwnNode]) -> list[Fault]:
    """A sample of the fault trace's servers, in proportion; a week of it."""
    with gzip.open(traces.root() / "gpu-node-faults" / "fault_trace.json.gz", "rt") as file:
        events = sorted(json.load(file), key=lambda e: e["event_time"])
    faulty = sorted({e["node_id"] for e in events})
    servers = sorted(
        [*faulty, *(f"sound-{i}" for i in range(FAULTS_NODES - len(faulty)))], key=_mix
    )
    twin = dict(zip(servers, nodes, strict=False))
    low = FIRST_DAY[split] * 5.0
    begun: dict[str, float] = {}
    found = []
    for event in (e for e in events if e["node_id"] in twin):
        second = (event["event_time"] - low) * DAY_S
        if event["event_type"] == "fault_start":
            begun[event["node_id"]] = second
        elif event["node_id"] in begun:
            began = begun.pop(event["node_id"])
            if second > 0 and began < DAYS * DAY_S:
                found.append(Fault(twin[event["node_id"]].name, max(0.0, began), second))
    return found


def _sellers(split: Split) -> list[Place]:
    rows = traces.listings("H100_80GB_SXM5")
    times = [datetime.fromisoformat(row["timestamp"]) for row in rows]
    first = times[0] + timedelta(days=0 if split == "tune" else DAYS)
    names = sorted({name for row in rows for name in row["by_provider"]})
    kept = [i for i, t in enumerate(times) if first <= t < first + timedelta(days=2 * DAYS)]
    ticks = [max(0.0, (times[i] - first).total_seconds()) for i in kept]
    listed = [rows[i]["by_provider"] for i in kept]
    return [_seller(name, ticks, listed) for name in names]


def _seller(
    name: str, ticks: Sequence[float], listed: Sequence[dict[str, dict[str, float]]]
) -> Place:
    """Capacity type Spot: it may go at any time; its price while it is away is the last one."""
    gpus = [GPUS_PER_OFFER * float(row.get(name, {}).get("count", 0)) for row in listed]
    prices, last = [], next((row[name]["min"] for row in listed if name in row), 99.0)
    for row in listed:
        last = row[name]["min"] if name in row else last
        prices.append(last)
    return Place(
        name=name,
        kind="spot",
        model="h100",
        price=changes(ticks, prices, None),
        gpus=changes(ticks, gpus, None),
        cold_start_s=COLD_S,
        egress_usd_per_gib=EGRESS_USD_PER_GB,
    )


def _cloud() -> Place:
    price = constant(traces.h100_prices()["us-central1-a"][1] / 8)
    gpus = constant(UNLIMITED)
    return Place("cloud", "ondemand", "h100", price, gpus, 8, COLD_S, EGRESS_USD_PER_GB)


def _chance(index: int, what: str) -> float:
    return _mix(f"{what}/{index}") / 2**48


def _mix(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")
