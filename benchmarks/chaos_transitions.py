"""L5 on a real control plane: schema-driven edits of GPUJobs, node flaps and price moves.

    python -m benchmarks.chaos_transitions [--transitions N] [--seed S] [--lanes L]

Jobs are edited, broken, mended and made anew in several namespaces side by side, while a node
flaps and prices move. Oracles: statuses are true of leases and places (`tests/chaos/truths.py`),
two ways to one spec end in one state, a job comes back from any bad spec, a refused edit has no
effect, nothing is leaked or doubled by the market's ledger, and the operator neither restarts nor
logs a trace. A failure prints the edits that led to it; the same seed draws the same edits.
"""

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.chaos.lane import Cluster, Lane
from tests.chaos.specs import LEAVES

from benchmarks.chaos_lines import Line, print_lines
from overspill.sandbox.options import SandboxOptions
from overspill.testing import chart
from overspill.testing.bed import Bed, BedOptions
from overspill.testing.bed.flags import KWOK_LABEL
from overspill.testing.connection import connected
from overspill.testing.faultproxy.manifests import account, applied, sla_class
from overspill.testing.operator import OperatorProcess
from overspill.testing.sandbox import Sandbox

Show = Callable[[str], None]
MARKET = "vast"
NODES = ("acto-a", "acto-b")
GPUS = 64
FLAP_S = 14.0
"""Longer than a silent node stays believed."""
FEWEST = 500
"""Transitions that the goal of the lease protocol asks for."""
REPORT_URL = "http://127.0.0.1:9"
"""Nothing is executed here, so nobody reports; markets that restart what exits want a URL."""
SETTINGS = {
    "OVERSPILL_PERMIT_S": "3",
    "OVERSPILL_QUARANTINE_S": "2",
    "OVERSPILL_REQUEST_S": "2",
    "OVERSPILL_DRAIN_S": "0",
    "OVERSPILL_REPORT_URL": REPORT_URL,
    "OVERSPILL_REFUSED_OFFER_S": "900",
    "OVERSPILL_LEASE_DURATION_S": "60",
    "OVERSPILL_RENEW_DEADLINE_S": "40",
}
"""What was refused stays refused while a step lasts, so that there is a rest to be found; and a
machine that is busy with other things is no reason to give the lead away."""


@dataclass
class World:
    """What the lanes live in."""

    bed: Bed
    market: Sandbox
    operator: OperatorProcess


@dataclass(frozen=True)
class Walk:
    """How far it goes."""

    transitions: int
    seed: int = 1
    lanes: int = 8
    minutes: float = 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when every oracle was content."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--transitions", type=int, default=FEWEST)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lanes", type=int, default=8)
    parser.add_argument("--minutes", type=float, default=1e6)
    args = parser.parse_args(arguments)
    show = lambda text: print(text, flush=True)  # noqa: E731
    lines = run(args.transitions, args.seed, show, lanes=args.lanes, minutes=args.minutes)
    print_lines(lines)
    return 0 if all(line.is_met for line in lines) else 1


def run(
    transitions: int, seed: int, show: Show, *, lanes: int = 8, minutes: float = 1e6
) -> list[Line]:
    """So many transitions on a control plane of their own, or what fits in so many minutes."""
    with tempfile.TemporaryDirectory(prefix="overspill-acto-") as folder, ExitStack() as stack:
        bed = stack.enter_context(Bed.start(BedOptions(real_node="no"), show))
        world = stack.enter_context(opened(bed, Path(folder)))
        return transit(world, Walk(transitions, seed, lanes, minutes), show)


@contextmanager
def opened(bed: Bed, workdir: Path) -> Iterator[World]:
    """Two home nodes, one market that executes nothing, one operator."""
    chart.install(bed, chart.ChartOptions(values={"rbac.providerSecrets": [MARKET]}))
    with ExitStack() as closing:
        for name in NODES:
            bed.nodes.add(name, gpus=GPUS, labels={"topology.kubernetes.io/region": "eu"})
            closing.callback(bed.nodes.delete, name)
        options = SandboxOptions(markets=(MARKET,), supply=_supply(workdir))
        market = Sandbox.start(options, log=workdir / "sandbox.log")
        closing.callback(market.stop)
        closing.callback(chart.forget_accounts, bed)
        applied(bed, [*account(MARKET, market.urls[MARKET], market.api_key), _class()])
        token = bed.token_kubeconfig("overspill-system", "overspill")
        operator = OperatorProcess.start(token, workdir, SETTINGS)
        closing.callback(operator.stop)
        operator.wait_ready(180)
        yield World(bed, market, operator)


def transit(world: World, walk: Walk, show: Show) -> list[Line]:
    """The lines of the table, after so many transitions."""
    began, pid = time.monotonic(), world.operator.pid
    with ExitStack() as stack:
        spaces = [stack.enter_context(world.bed.namespace("acto")) for _ in range(walk.lanes)]
        lived = asyncio.run(_live(world, spaces, walk, show))
    return _lines(world, lived, pid, time.monotonic() - began)


async def _live(world: World, spaces: Sequence[str], walk: Walk, show: Show) -> Cluster:
    async with connected(world.bed.kubeconfig, deadline_s=60) as verbs:
        shared = Cluster(verbs, _ledger(world), _idle(world))
        made = [
            Lane(shared, space, random.Random(walk.seed * 100 + n))  # noqa: S311  (reproducible)
            for n, space in enumerate(spaces)
        ]
        dice = random.Random(walk.seed)  # noqa: S311  (as above)
        weather = asyncio.create_task(_weather(world, shared, dice))
        async with asyncio.TaskGroup() as group:
            for lane in made:
                group.create_task(_go(lane, walk, show))
        weather.cancel()
        await asyncio.gather(weather, return_exceptions=True)
        await verbs.patch(f"/api/v1/nodes/{NODES[1]}", _simulated("true"))
        shared.wrong += await _after_all(world, shared, spaces)
        return shared


async def _go(lane: Lane, walk: Walk, show: Show) -> None:
    end = time.monotonic() + walk.minutes * 60
    await lane.begin()
    while lane.cluster.transitions < walk.transitions and time.monotonic() < end:
        await lane.step()
        for wrong in lane.cluster.untold():
            show(f"  L5     {wrong}")
        if lane.cluster.transitions % 25 == 0:
            show(f"  L5     {lane.cluster.transitions} of {walk.transitions} transitions")


async def _weather(world: World, shared: Cluster, dice: random.Random) -> None:
    """A node that dies in silence and comes back; prices that move."""
    while True:
        await asyncio.sleep(dice.uniform(4, 10))
        price = Decimal(dice.randint(20, 400)) / 100
        await asyncio.to_thread(world.market.price, f"host-{dice.randint(0, 3)}", price)
        shared.transitions += 1
        if dice.random() < 0.25:
            await shared.verbs.patch(f"/api/v1/nodes/{NODES[1]}", _simulated(None))
            await asyncio.sleep(FLAP_S)
            await shared.verbs.patch(f"/api/v1/nodes/{NODES[1]}", _simulated("true"))
            shared.transitions += 1


async def _after_all(world: World, shared: Cluster, spaces: Sequence[str]) -> list[str]:
    """Every job is deleted: nothing may be left anywhere, and the books agree."""
    for space in spaces:
        for job in await shared.verbs.list_all(_jobs(space)):
            await shared.verbs.delete(f"{_jobs(space)}/{job['metadata']['name']}")
    end = time.monotonic() + 90
    while (held := await shared.held()) and time.monotonic() < end:  # noqa: ASYNC110  (another process)
        await asyncio.sleep(0.5)
    summary = await asyncio.to_thread(world.market.summary)
    found = [f"orphan at the market: {key}" for key in held.values()]
    found += [f"double: {key}" for key in (*summary["doubles"], *summary["double_creates"])]
    for space in spaces:
        for lease in await shared.verbs.list_all(_jobs(space).replace("gpujobs", "gpuleases")):
            found += _books(lease, summary["by_key"])
    return found


def _books(lease: dict[str, Any], sold: dict[str, dict[str, Any]]) -> list[str]:
    """I4, and cost truth: what was sent had its permit, what was billed is recorded."""
    key, status = lease["metadata"]["name"], lease.get("status") or {}
    if key not in sold:
        return []
    sent, permits = sold[key]["creates_received"], int((status.get("permit") or {}).get("seq") or 0)
    found = [f"I4: {sent} creates of {key}, {permits} permits"] if sent > permits else []
    if status.get("state") == "Closed":
        billed, recorded = float(sold[key]["usd"]), float(status.get("billedUSD") or 0)
        if recorded < billed - 0.01:
            found.append(f"cost: {key} was billed {billed}, {recorded} is recorded")
    return found


def _lines(world: World, lived: Cluster, pid: int, took_s: float) -> list[Line]:
    log = world.operator.log.read_text(errors="replace")
    traces = len(re.findall(r"^Traceback ", log, re.M)) + log.count("unexpected error")
    healthy = world.operator.running and world.operator.pid == pid and traces == 0
    share = sum(1 for path in LEAVES if lived.accepted[path]) / len(LEAVES)
    tried = sum(1 for path in LEAVES if lived.sent[path]) / len(LEAVES)
    done = f"{lived.transitions} in {took_s:.0f} s, {lived.refused} of them refused edits"
    return [
        Line(f"L5 >= {FEWEST} transitions", done, lived.transitions >= FEWEST),
        Line("L5 all oracles clean", f"{len(lived.wrong)} wrong", not lived.wrong),
        Line(
            "L5 >= 95 % of spec leaves mutated",
            f"{share:.0%} of {len(LEAVES)} accepted with another value, {tried:.0%} tried",
            share >= 0.95,
        ),
        Line(
            "L5 two ways to one spec are equal: 100 %",
            f"{lived.pairs} pairs compared, {lived.mended} jobs mended",
            not any("two ways" in x for x in lived.wrong),
        ),
        Line("L5 no trace, no restart", f"{traces} traces, operator {pid} lives", healthy),
    ]


def _ledger(world: World) -> Callable[[], Any]:
    async def held() -> dict[str, str]:
        found: dict[str, str] = (await asyncio.to_thread(world.market.summary))["held"]
        return found

    return held


def _idle(world: World) -> Callable[[], Any]:
    async def is_idle() -> bool:
        try:
            text = await asyncio.to_thread(world.operator.metrics_text)
        except OSError:  # it does not answer in time: that is not idle
            return False
        return "overspill_queue_depth 0.0" in text

    return is_idle


def _jobs(namespace: str) -> str:
    return f"/apis/overspill.dev/v1alpha1/namespaces/{namespace}/gpujobs"


def _simulated(value: str | None) -> dict[str, Any]:
    return {"metadata": {"labels": {KWOK_LABEL: value}}}


def _class() -> dict[str, Any]:
    made = sla_class()
    made["spec"] |= {"pendingPatienceSeconds": 4, "heartbeatGraceSeconds": 3600}
    return made


def _supply(workdir: Path) -> Path:
    hosts = [
        {
            "name": f"host-{n}",
            "gpu": {"model": "h100", "ram": "80Gi", "interface": "sxm"},
            "gpus": 16,
            "usd_per_gpu_hour": f"{1.4 + n / 10:.2f}",
            "region": "us-west",
            "country": "US",
            "uptime": 0.999,
            "boot_s": 0.3,
        }
        for n in range(8)
    ]
    path = workdir / "supply.json"
    path.write_text(json.dumps({"hosts": hosts}))
    return path


if __name__ == "__main__":
    sys.exit(main())
