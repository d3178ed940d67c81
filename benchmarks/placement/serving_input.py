"""S6's input: services with the copies they need over time, and zones that come and go.

A service is an app of the DLRM trace: its GPU instances alive at a tick are the copies it needs.
Zones are the four V100 zones of 2023 with their real prices; a zone that is up holds as many
copies as are asked for, and loses them all together. The two traces are of different years and are
laid side by side. Called by `serving`.
"""

from __future__ import annotations

import csv
import gzip
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from benchmarks.placement import traces
from benchmarks.placement.suites import Split

TICK_S = 195
ON_DEMAND_USD = 3.06
LEAST_COPIES = 4
HISTORY_TICKS = 24 * 3600 // TICK_S
WINDOW_TICKS = 3 * 24 * 3600 // TICK_S
_ZONES = ("us-east-1c", "us-east-2a", "us-west-2a", "us-west-2b")


@dataclass(frozen=True)
class Zone:
    """One zone: up and price at every tick."""

    name: str
    up: tuple[bool, ...]
    price: tuple[float, ...]


@dataclass(frozen=True)
class Window:
    """Three days of one service. `needed[i]` copies at tick `first + i` of the zones."""

    app: str
    first: int
    needed: tuple[int, ...]

    @property
    def group(self) -> str:
        """What the bootstrap draws."""
        return f"{self.app}:{self.first}"


@cache
def zones() -> tuple[Zone, ...]:
    """The four zones."""
    prices = {name.split("_")[0]: found for name, found in traces.v100_prices().items()}
    found = []
    for name in _ZONES:
        path = f"availability/1-node/aws-02-15-2023/{name}_v100_1.json"
        _, counts = traces.single(path)
        found.append(Zone(name, tuple(n >= 1 for n in counts), tuple(prices[name])))
    return tuple(found)


def windows(split: Split, size: int) -> list[Window]:
    """`size` windows: tune takes every other app and the first half of the time."""
    apps = [a for i, a in enumerate(sorted(_lives())) if i % 2 == (split == "validate")]
    ticks = min(len(z.up) for z in zones())
    half = (ticks - HISTORY_TICKS - WINDOW_TICKS) // 2
    low = HISTORY_TICKS + (half if split == "validate" else 0)
    found = []
    for index in range(size):
        app = apps[index % len(apps)]
        first = low + (index * 7919 * 13) % half
        found.append(Window(app, first, _needed(app, index)))
    return found


def _needed(app: str, index: int) -> tuple[int, ...]:
    """Copies over a window of the app's own clock, one after the other."""
    starts, ends = _lives()[app]
    last = max(starts[-1], ends[-1] if ends else 0.0)
    room = max(1.0, last - starts[0] - WINDOW_TICKS * TICK_S)
    begin = starts[0] + (index * 104729.0 * 17) % room
    times = (begin + tick * TICK_S for tick in range(WINDOW_TICKS))
    return tuple(max(LEAST_COPIES, bisect_right(starts, t) - bisect_right(ends, t)) for t in times)


@cache
def _lives() -> dict[str, tuple[Sequence[float], Sequence[float]]]:
    """Per app when its GPU instances came and went; apps that never had a few are left out."""
    path = traces.root() / "alibaba-dlrm-v2025" / "disaggregated_DLRM_trace.csv.gz"
    starts: dict[str, list[float]] = defaultdict(list)
    ends: dict[str, list[float]] = defaultdict(list)
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            if row["role"] == "HN" and int(row["gpu_request"] or 0):
                starts[row["app_name"]].append(float(row["creation_time"] or 0))
                if row["deletion_time"]:
                    ends[row["app_name"]].append(float(row["deletion_time"]))
    return {
        app: (sorted(found), sorted(ends[app]))
        for app, found in starts.items()
        if len(found) >= 2 * LEAST_COPIES
    }
