"""Reads the shared traces. They lie beside the checkout (`OVERSPILL_TRACES`, else ../shared/traces)
and are never copied into it; several licences allow research use only. Called by `suites`.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

TICK_H100_S = 600
_OUTAGE = (746, 10)
"""The H100 prober was down: after so many rounds, so many are missing."""
_PUBLISHED_FILL = (696, 60)
"""SkyNomad's own trace holds the last state from here for so long, measured rounds included."""


def root() -> Path:
    """Where the traces are."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "traces"
    return Path(os.environ.get("OVERSPILL_TRACES", beside))


def present() -> bool:
    """Whether there is anything to replay."""
    return (root() / "spot-traces").is_dir()


@cache
def single(path: str) -> tuple[int, tuple[int, ...]]:
    """Tick in seconds and instances per tick of one spot series; here 1 means available."""
    loaded = json.loads((root() / "spot-traces" / path).read_text())
    return int(loaded["metadata"]["gap_seconds"]), tuple(int(n) for n in loaded["data"])


@cache
def h100_counts() -> dict[str, tuple[int, ...]]:
    """Per zone the H100 VMs launched of 16 asked for, one round every ten minutes.

    What the prober missed while it was down holds the last state.
    """
    return _h100(*_OUTAGE, resumes=_OUTAGE[0])


@cache
def h100_counts_as_published() -> dict[str, tuple[int, ...]]:
    """The same, filled the way the published results were computed."""
    return _h100(*_PUBLISHED_FILL, resumes=_OUTAGE[0])


@cache
def h100_prices() -> dict[str, tuple[float, float]]:
    """Per zone USD/h of eight H100: spot, on demand."""
    with (root() / "skynomad-h100" / "price_per_zone_8xH100_usd_per_h.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {r["zone"]: (float(r["spot_price"]), float(r["on_demand_price"])) for r in rows}


@cache
def egress_usd_per_gb() -> dict[tuple[str, str], float]:
    """USD per GB between two AWS regions."""
    with (root() / "skynomad-h100" / "aws_egress_usd_per_gb.csv").open() as file:
        rows = list(csv.DictReader(file))
    return {(r["from_region"], r["to_region"]): float(r["price_usd_per_gb"]) for r in rows}


@cache
def v100_prices() -> dict[str, tuple[float, ...]]:
    """Per zone the real spot price at every tick of the aws-02-15-2023 series."""
    path = root() / "skynomad-v100-prices" / "v100_spot_prices_195s.json.gz"
    with gzip.open(path, "rt") as file:
        loaded: dict[str, list[float]] = json.load(file)
    return {zone: tuple(prices) for zone, prices in loaded.items()}


@cache
def published_windows() -> list[dict[str, str]]:
    """SkyNomad's own simulated cost of every job window."""
    return _csv_gz("skynomad-h100/published_results/deadline_sensitivity_per_window.csv.gz")


@cache
def listings(gpu: str) -> list[dict[str, Any]]:
    """Half-hourly marketplace listings of one GPU model."""
    with gzip.open(root() / "gpu-marketplace-prices" / f"{gpu}.jsonl.gz", "rt") as file:
        return [json.loads(line) for line in file]


@cache
def philly() -> list[tuple[datetime, float, int]]:
    """Submit time, run time in seconds and GPUs of every job, in order."""
    return [
        (
            datetime.strptime(row["timestamp"], "%Y-%m-%d %H:%M:%S"),  # noqa: DTZ007  (local time)
            float(row["duration"]),
            int(row["num_gpus"]),
        )
        for row in _csv_gz("philly/philly_2017-09_to_2017-10.csv.gz")
    ]


def _h100(held: int, ticks: int, resumes: int) -> dict[str, tuple[int, ...]]:
    rows = _csv_gz("skynomad-h100/h100_16_created.csv.gz")
    found = {}
    for zone in (name for name in rows[0] if name != "scheduled_at"):
        raw = tuple(int(row[zone]) for row in rows)
        found[zone] = raw[:held] + (raw[held - 1],) * ticks + raw[resumes:]
    return found


def _csv_gz(path: str) -> list[dict[str, str]]:
    with gzip.open(root() / path, "rt", newline="") as file:
        return list(csv.DictReader(file))
