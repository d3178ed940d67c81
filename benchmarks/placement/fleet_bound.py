"""A bound for S5: what the counted jobs cost at least, whatever decides and whatever it knows.

The relaxation: jobs may be cut into any pieces, run at home on any number of GPUs at once, start
for nothing, lose nothing, and every rented hour is paid at the least price that any place their
class allows asks between submission and deadline. Own GPUs are shared. What own GPUs can do for a
set of jobs is then found by serving the nearest deadline first, and since that is a polymatroid,
taking the jobs in order of what an own hour saves gives the optimum of the relaxation. Called by
`fleet`.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping, Sequence

from overspill.core.sla import SlaClass
from overspill.core.vocabulary import CapacityType
from overspill.simulate.history import History, PastJob

_KIND = {"ondemand": CapacityType.ON_DEMAND, "spot": CapacityType.SPOT}
GRID = 1.01
"""Savings are rounded up to powers of this, which keeps the bound a bound."""


def bound_usd(history: History, jobs: Sequence[PastJob], classes: Mapping[str, SlaClass]) -> float:
    """USD that the jobs cost at least. Jobs without a promise have until a month later."""
    horizon = max(j.submit_s for j in history.jobs) + 30 * 86400
    windows = [(j, _end(j, horizon)) for j in jobs]
    least = {j.name: _least_price(history, j, end, classes) for j, end in windows}
    gpus = sum(node.gpus for node in history.nodes)
    saves = {n: _rounded_up(max(0.0, p - history.own_usd_per_gpu_h)) for n, p in least.items()}
    saved, above = 0.0, sorted({*saves.values()}, reverse=True)
    for level, below in zip(above, [*above[1:], 0.0], strict=True):
        chosen = [(j, end) for j, end in windows if saves[j.name] >= level]
        saved += own_hours(chosen, gpus) * (level - below)
    return sum(least[j.name] * j.work_s * j.gpus / 3600 for j in jobs) - saved


def own_hours(windows: Sequence[tuple[PastJob, float]], gpus: int) -> float:
    """The most GPU-hours that so many own GPUs can do for jobs within their windows."""
    coming = sorted(windows, key=lambda w: w[0].submit_s)
    waiting: list[tuple[float, str, float]] = []
    now, index, done = 0.0, 0, 0.0
    while waiting or index < len(coming):
        if not waiting:
            now = max(now, coming[index][0].submit_s)
        while index < len(coming) and coming[index][0].submit_s <= now:
            job, end = coming[index]
            heapq.heappush(waiting, (end, job.name, job.work_s * job.gpus))
            index += 1
        end, name, left = heapq.heappop(waiting)
        until = min(end, now + left / gpus)
        until = min(until, coming[index][0].submit_s) if index < len(coming) else until
        worked = max(0.0, until - now) * gpus
        done, now = done + worked, max(now, until)
        if left - worked > 1e-6 and now < end:
            heapq.heappush(waiting, (end, name, left - worked))
    return done / 3600


def _rounded_up(usd: float) -> float:
    return GRID ** math.ceil(math.log(usd, GRID) - 1e-9) if usd > 0 else 0.0


def _end(job: PastJob, horizon: float) -> float:
    return horizon if job.deadline_s is None else job.deadline_s


def _least_price(
    history: History, job: PastJob, end: float, classes: Mapping[str, SlaClass]
) -> float:
    allowed = classes[job.sla].capacity_types
    return min(
        place.price.least(job.submit_s, end)
        for place in history.places
        if _KIND.get(place.kind) in allowed
    )
