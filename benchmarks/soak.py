"""`python -m benchmarks.soak`: many GPUJobs, nodes that come and go, and rented leases.

Real API server, controllers, scheduler and operator with its default settings; simulated nodes, a
market sandbox that executes nothing. Prints what was measured beside the lease protocol's figures
(section 4): memory, CPU, writes while nothing happens, event to reconcile, time to be in sync.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from benchmarks import load, process, soak_table, storm, writes
from benchmarks.chaos_lines import Line, print_lines
from benchmarks.follow import Follower
from benchmarks.soak_table import Soak
from overspill.kube.verbs import Verbs, connect
from overspill.sandbox.options import SandboxOptions
from overspill.testing import chart
from overspill.testing.bed import Bed, BedOptions, NodeSpec
from overspill.testing.bed.progress import to_stderr
from overspill.testing.markets import account_of
from overspill.testing.operator import OperatorProcess
from overspill.testing.sandbox import Sandbox
from overspill.testing.stack import NAMESPACE as SYSTEM
from overspill.testing.stack import apply

HOME, RENTED, PROBES = "soak-home", "soak-rented", "soak-probes"
MARKET = "vast"
HOST_GPUS = 8
GPUS_PER_NODE = 8
LASTING_S = 86_400
DOWN_S = 90.0
"""Longer than it takes to give a node up (40 s), so that each loss is a real one."""
SETTLED_LOOKS = 23
"""Longer than it takes to give a node up."""
LIMIT_S = 900.0
LOOK_S = 20.0
"""Between two counts: to list thousands of leases takes the API server a second of CPU."""


@dataclass(frozen=True)
class Size:
    """How much, and for how long."""

    jobs: int = 5000
    nodes: int = 500
    leases: int = 200
    minutes: float = 30
    churn_percent: float = 1.0
    """Of the nodes, lost in each minute."""
    probes_per_s: float = 1.0


@dataclass
class Place:
    """The running parts."""

    bed: Bed
    operator: OperatorProcess
    verbs: Verbs
    follower: Follower
    restarts: int = 0
    dice: random.Random = field(default_factory=lambda: random.Random(1))  # noqa: S311 -- repeatable


def main(argv: list[str] | None = None) -> int:
    """0 when every figure that was measured is met."""
    lines = run(_parsed(argv))
    print_lines(lines)
    return 0 if all(line.is_met for line in lines) else 1


def run(size: Size) -> list[Line]:
    """The lines of one soak."""
    with _bed(size) as (bed, environment):
        return soak_table.lines(asyncio.run(_soaked(bed, size, environment)))


@contextlib.contextmanager
def _bed(size: Size) -> Iterator[tuple[Bed, dict[str, str]]]:
    with contextlib.ExitStack() as closing:
        options = BedOptions(real_node="no", fast_node_loss=False)
        bed = closing.enter_context(Bed.start(options, to_stderr))
        names = [f"gpu-{n:03d}" for n in range(size.nodes)]
        to_stderr(f"soak: adding {size.nodes} nodes")
        bed.nodes.add_many([NodeSpec(name, GPUS_PER_NODE) for name in names], timeout=600)
        chart.install(bed, chart.ChartOptions(values={"rbac.providerSecrets": [MARKET]}))
        supply = bed.workdir / "supply.json"
        supply.write_text(json.dumps({"hosts": [_host(n) for n in range(size.leases + 40)]}))
        options_of_market = SandboxOptions(markets=(MARKET,), supply=supply)
        market = closing.enter_context(Sandbox.start(options_of_market))
        for manifest in account_of(MARKET, market):
            apply(bed, manifest)
        bed.kubectl("create", "-f", "-", input=json.dumps(load.storm_class()))
        for name in (HOME, RENTED, PROBES):
            bed.kubectl("create", "namespace", name)
        yield bed, storm.default_settings()


def _host(number: int) -> dict[str, object]:
    gpu = {"model": "h100", "ram": "80Gi", "interface": "sxm"}
    return {"name": f"host-{number}", "gpu": gpu, "gpus": HOST_GPUS, "usd_per_gpu_hour": "1.5"}


async def _soaked(bed: Bed, size: Size, environment: dict[str, str]) -> Soak:
    verbs = await connect(bed.kubeconfig, deadline_s=30)
    token = bed.token_kubeconfig(SYSTEM, "overspill", expiration_seconds=6 * 3600)
    operator = OperatorProcess.start(token, bed.workdir, environment)
    place = Place(bed, operator, verbs, Follower(verbs, PROBES))
    try:
        await asyncio.to_thread(operator.wait_ready)
        soak = Soak(size.jobs, size.nodes, size.leases)
        alive = asyncio.create_task(_keep_alive(place, time.monotonic() + LIMIT_S))
        await _fill(place, size, soak)
        alive.cancel()
        await asyncio.gather(alive, return_exceptions=True)
        await _idle(place, soak)
        await place.follower.start()
        await _churn(place, size, soak)
        await _restart(place, soak)
        await place.follower.stop()
        return soak
    finally:
        operator.stop()
        await verbs.close()


async def _fill(place: Place, size: Size, soak: Soak) -> None:
    to_stderr(f"soak: {size.leases} rented jobs, then {size.jobs - size.leases} at home")
    rented = [_rented(f"far-{n:04d}") for n in range(size.leases)]
    await load.create_all(place.verbs, load.jobs_path(RENTED), rented)
    home = [
        load.storm_job(f"near-{n:05d}", HOME, LASTING_S) for n in range(size.jobs - size.leases)
    ]
    await load.create_all(place.verbs, load.jobs_path(HOME), home)
    room = min(size.jobs - size.leases, size.nodes * GPUS_PER_NODE)
    began = time.monotonic()
    while time.monotonic() - began < LIMIT_S:
        soak.active, soak.running_home = await _counts(place)
        to_stderr(f"soak: {soak.active} leases Active, {soak.running_home} jobs at home run")
        if soak.active >= size.leases and soak.running_home >= room:
            break
        await asyncio.sleep(LOOK_S)
    soak.filled_s = time.monotonic() - began
    await storm.quiet(place.bed, place.operator)


async def _counts(place: Place) -> tuple[int, int]:
    """(leases Active at the market, leases Active at home)."""
    found = []
    for namespace in (RENTED, HOME):
        path = f"/apis/{load.API}/namespaces/{namespace}/gpuleases"
        leases = await place.verbs.list_all(path)
        found.append(sum(1 for x in leases if x.get("status", {}).get("state") == "Active"))
    return found[0], found[1]


async def _idle(place: Place, soak: Soak) -> None:
    """A minute in which nothing happens: who writes all the same?"""
    to_stderr("soak: a minute of nothing")
    before = writes.scrape(await asyncio.to_thread(place.bed.metrics))
    used = process.usage(place.operator.pid)
    await asyncio.sleep(60)
    later = writes.scrape(await asyncio.to_thread(place.bed.metrics))
    soak.idle_writes = writes.between(before, later)
    soak.idle_cpu_s = process.usage(place.operator.pid).cpu_s - used.cpu_s
    soak.finds_idle = soak_table.finds(place.operator.metrics_text())


async def _idle_again(place: Place, soak: Soak) -> None:
    """What a start costs when nothing has changed; the one new job is over by then."""
    to_stderr("soak: what the start made it write")
    await asyncio.sleep(20)
    said = await _statuses(place)
    before = writes.scrape(await asyncio.to_thread(place.bed.metrics))
    await asyncio.sleep(40)
    later = writes.scrape(await asyncio.to_thread(place.bed.metrics))
    soak.writes_after_start = writes.between(before, later)
    for name, (version, words) in (await _statuses(place)).items():
        if name in said and said[name][0] != version:
            to_stderr(f"soak: written after the start: {name}: {said[name][1]} -> {words}")


async def _statuses(place: Place) -> dict[str, tuple[str, str]]:
    """By job: its resourceVersion, and what its status says in short."""
    jobs = await place.verbs.list_kept(f"/apis/{load.API}/gpujobs", _said)
    return {name: (version, words) for name, version, words in jobs}


def _said(job: load.Json) -> tuple[str, str, str]:
    meta, status = job["metadata"], job.get("status") or {}
    true = [f"{c['type']}={c['reason']}" for c in status.get("conditions") or []]
    decision = {k: (status.get("decision") or {}).get(k) for k in ("action", "reason", "provider")}
    words = f"{status.get('phase')} {len(status.get('attempts') or [])} attempts {decision} {true}"
    return f"{meta['namespace']}/{meta['name']}", meta["resourceVersion"], words


async def _churn(place: Place, size: Size, soak: Soak) -> None:
    """Nodes die silently and come back; probes ask how soon a new job is seen to."""
    end = time.monotonic() + 60 * size.minutes
    used, restarts = process.usage(place.operator.pid), place.restarts
    async with asyncio.TaskGroup() as group:
        group.create_task(_probe(place, size, soak, end))
        group.create_task(_lose_nodes(place, size, soak, end))
        group.create_task(_keep_alive(place, end))
    soak.minutes = size.minutes
    soak.restarts = place.restarts
    soak.usage = process.usage(place.operator.pid)
    if place.restarts == restarts:
        soak.cpu_s = soak.usage.cpu_s - used.cpu_s
    soak.seen = place.follower.seen
    soak.active_at_end, _ = await _counts(place)


async def _probe(place: Place, size: Size, soak: Soak, end: float) -> None:
    number = 0
    while time.monotonic() < end:
        body = load.storm_job(f"probe-{number:05d}", PROBES, 5)
        made = await load.create_all(place.verbs, load.jobs_path(PROBES), [body])
        soak.probes.update(made.at)
        number += 1
        await asyncio.sleep(1 / size.probes_per_s)


async def _lose_nodes(place: Place, size: Size, soak: Soak, end: float) -> None:
    per_minute = max(1, round(size.nodes * size.churn_percent / 100))
    names = [f"gpu-{n:03d}" for n in range(size.nodes)]
    down: list[tuple[float, str]] = []
    while time.monotonic() < end:
        for at, name in [entry for entry in down if time.monotonic() - entry[0] > DOWN_S]:
            down.remove((at, name))
            await asyncio.to_thread(place.bed.nodes.restore, name)
        name = place.dice.choice([n for n in names if n not in {d for _, d in down}])
        await asyncio.to_thread(place.bed.nodes.lose, name)
        down.append((time.monotonic(), name))
        soak.nodes_lost += 1
        to_stderr(f"soak: {end - time.monotonic():4.0f} s left, {soak.nodes_lost} nodes lost")
        await asyncio.sleep(60 / per_minute)
    for _, name in down:
        await asyncio.to_thread(place.bed.nodes.restore, name)


async def _keep_alive(place: Place, end: float) -> None:
    while time.monotonic() < end:
        await asyncio.sleep(1)
        if not place.operator.running:
            place.restarts += 1
            to_stderr(f"soak: the operator ended with {place.operator.exit_code}; starting it")
            await asyncio.to_thread(place.operator.restart)


async def _restart(place: Place, soak: Soak) -> None:
    """A cold start with everything there: how soon in sync, how soon the first reconcile?

    Before it, what the last nodes to come back make possible is done: else that would be counted
    as what the start made the operator write.
    """
    await storm.quiet(place.bed, place.operator, SETTLED_LOOKS)
    await asyncio.to_thread(place.operator.stop)
    body = load.storm_job("probe-cold", PROBES, 5)
    await load.create_all(place.verbs, load.jobs_path(PROBES), [body])
    began = time.monotonic()
    place.operator.restart()
    await asyncio.to_thread(place.operator.wait_ready, 300)
    soak.synced_s = time.monotonic() - began
    told = place.follower.seen.told
    while "probe-cold" not in told and time.monotonic() - began < LIMIT_S:  # noqa: ASYNC110 -- a table
        await asyncio.sleep(0.05)
    soak.first_s = told.get("probe-cold", time.monotonic()) - began
    await _idle_again(place, soak)
    soak.peak_rss_mib = process.usage(place.operator.pid).peak_rss_mib


def _rented(name: str) -> load.Json:
    """A service that rents: it needs no reports, so nothing has to run."""
    container = {"name": "main", "image": "busybox:1", "command": ["sleep", "86400"]}
    spec = {
        "workload": "Inference",
        "gpu": {"count": 1},
        "budget": {"maxTotalUSD": "500"},
        "placement": {"burst": "Only", "burstAfterSeconds": 0},
        "template": {"spec": {"containers": [container]}},
    }
    meta = {"name": name, "namespace": RENTED}
    return {"apiVersion": load.API, "kind": "GPUJob", "metadata": meta, "spec": spec}


def _parsed(argv: list[str] | None) -> Size:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--nodes", type=int, default=500)
    parser.add_argument("--leases", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--churn-percent", type=float, default=1.0, help="nodes lost per minute")
    args = parser.parse_args(argv)
    return Size(args.jobs, args.nodes, args.leases, args.minutes, args.churn_percent)


if __name__ == "__main__":
    sys.exit(main())
