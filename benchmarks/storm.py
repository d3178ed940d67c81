"""`python -m benchmarks.storm` (`make bench-storm`): two thousand GPUJobs at once.

Everything is real but the nodes: API server, controllers, scheduler, and the operator as a
process with the chart's ServiceAccount and default settings. Ends with 0 only when every job is
Complete and a home job cost no more API writes than the lease protocol allows (section 4).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks import load, process, report, writes
from benchmarks.follow import Follower
from benchmarks.report import Result
from overspill.kube.verbs import Verbs, connect
from overspill.testing import chart
from overspill.testing.bed import Bed, BedOptions, NodeSpec
from overspill.testing.bed.progress import to_stderr
from overspill.testing.operator import FAST, OperatorProcess

NAMESPACE = "storm"
RAW_NAMESPACE = "raw"
RAW_OBJECTS = 1000
GPUS_PER_NODE = 8
POD_SECONDS = 5
EVENTS = "/apis/events.k8s.io/v1/namespaces/storm/events"
CONTROLLER = "overspill.dev/operator"


@dataclass(frozen=True)
class Size:
    """How much is thrown at what."""

    jobs: int
    nodes: int
    limit_s: float


def main(argv: list[str] | None = None) -> int:
    """The command line."""
    args = _parser().parse_args(argv)
    size = Size(args.jobs, args.nodes, args.limit)
    with _bed(size, args.keep) as (bed, workdir):
        result = asyncio.run(_measure(bed, size, workdir))
    print(report.text(result))
    if args.summary:
        args.summary.write_text(report.as_json(result))
    problems = report.problems(result)
    for problem in problems:
        print(f"Not as it should be: {problem}", file=sys.stderr)
    return 1 if problems else 0


@contextlib.contextmanager
def _bed(size: Size, keep: bool) -> Iterator[tuple[Bed, Path]]:
    """A control plane with the nodes and the chart."""
    with Bed.start(_options(keep), to_stderr) as bed:
        to_stderr(f"storm: adding {size.nodes} nodes of {GPUS_PER_NODE} GPUs")
        names = [f"gpu-{n:03d}" for n in range(size.nodes)]
        bed.nodes.add_many([NodeSpec(name, GPUS_PER_NODE) for name in names], timeout=300)
        chart.install(bed)
        bed.kubectl("create", "-f", "-", input=json.dumps(load.storm_class()))
        for name in (NAMESPACE, RAW_NAMESPACE):
            bed.kubectl("create", "namespace", name)
        yield bed, bed.workdir


def _options(keep: bool) -> BedOptions:
    """Nodes are given up as in an ordinary cluster: a busy machine must not look like a loss."""
    return BedOptions(real_node="no", keep=keep, fast_node_loss=False)


async def _measure(bed: Bed, size: Size, workdir: Path) -> Result:
    verbs = await connect(bed.kubeconfig, deadline_s=30)
    try:
        result = Result(jobs=size.jobs, nodes=size.nodes)
        await _raw(verbs, result)
        token = bed.token_kubeconfig("overspill-system", "overspill")
        operator = OperatorProcess.start(token, workdir, default_settings())
        try:
            await asyncio.to_thread(operator.wait_ready)
            await _storm(bed, verbs, operator, size, result)
        finally:
            operator.stop()
    finally:
        await verbs.close()
    return result


def default_settings() -> dict[str, str]:
    """Tests compress the intervals; here the product's own defaults are measured."""
    from overspill.settings import Settings  # noqa: PLC0415  (only names and defaults)

    defaults = Settings.model_construct()
    found = {name: getattr(defaults, name.removeprefix("OVERSPILL_").lower()) for name in FAST}
    return {name: str(value) for name, value in found.items() if value is not None}


async def _raw(verbs: Verbs, result: Result) -> None:
    """The server's own pace, before the operator runs, so that nobody else takes part."""
    to_stderr(f"storm: {RAW_OBJECTS} small objects, for the raw rate")
    path = f"/apis/{load.API}/namespaces/{RAW_NAMESPACE}/gpubudgets"
    bodies = [load.small_object(f"raw-{n:05d}", RAW_NAMESPACE) for n in range(RAW_OBJECTS)]
    result.raw_per_s = (await load.create_all(verbs, path, bodies)).rate
    await verbs.delete(path)


async def _storm(
    bed: Bed, verbs: Verbs, operator: OperatorProcess, size: Size, result: Result
) -> None:
    follower = Follower(verbs, NAMESPACE)
    await follower.start()
    parts = _parts(bed, operator)
    before = {name: process.usage(pid) for name, pid in parts.items()}
    scraped = await asyncio.to_thread(bed.metrics)
    to_stderr(f"storm: {size.jobs} GPUJobs")
    bodies = [load.storm_job(f"storm-{n:05d}", NAMESPACE, POD_SECONDS) for n in range(size.jobs)]
    result.created = await load.create_all(verbs, load.jobs_path(NAMESPACE), bodies)
    result.seen = follower.seen
    result.restarts = await _until_ended(follower, operator, size)
    await quiet(bed, operator)
    later = await asyncio.to_thread(bed.metrics)
    result.written = writes.between(writes.scrape(scraped), writes.scrape(later))
    reads = (writes.scrape(each, writes.READS) for each in (scraped, later))
    result.read = writes.between(*reads)
    if result.restarts:
        del parts["operator"]
    result.usage = {name: (before[name].cpu_s, process.usage(pid)) for name, pid in parts.items()}
    events = await verbs.list_all(EVENTS)
    result.own_events = sum(1 for e in events if e.get("reportingController") == CONTROLLER)
    await follower.stop()


def _parts(bed: Bed, operator: OperatorProcess) -> dict[str, int]:
    return {
        "operator": operator.pid,
        "kube-apiserver": bed.apiserver.pid,
        "etcd": bed.etcd.pid,
        "controller-manager": bed.controller_manager.pid,
        "scheduler": bed.scheduler.pid,
        "kwok": bed.kwok.pid,
    }


def _told(follower: Follower) -> str:
    seen = follower.seen
    return f"{len(seen.leased)} placed, {len(seen.bound)} bound, {len(seen.ended)} ended"


async def _until_ended(follower: Follower, operator: OperatorProcess, size: Size) -> int:
    """Waits for the last job's end; returns how often the operator had to be started again.

    It ends itself when it cannot renew its leadership in time; the kubelet would start it anew.
    """
    began = said = time.monotonic()
    starts = 0
    while len(follower.seen.ended) < size.jobs and time.monotonic() - began < size.limit_s:
        await asyncio.sleep(0.25)
        if not operator.running:
            starts += 1
            to_stderr(f"storm: the operator ended with {operator.exit_code}; starting it again")
            await asyncio.to_thread(operator.restart)
        if time.monotonic() - said > 5:
            said = time.monotonic()
            to_stderr(f"storm: {said - began:4.0f} s: {_told(follower)}")
    to_stderr(f"storm: {time.monotonic() - began:4.0f} s: {_told(follower)}")
    return starts


async def quiet(bed: Bed, operator: OperatorProcess, looks: int = 3) -> None:
    """Waits until the operator writes nothing more: what follows a job's end counts too.

    `looks` are two seconds apart, and all in a row must find nothing.
    """
    before, same = -1.0, 0
    while same < looks:
        await asyncio.sleep(2)
        scraped = writes.scrape(await asyncio.to_thread(bed.metrics))
        now = sum(n for what, n in scraped.items() if writes.owner(what) == "operator")
        same = same + 1 if now == before else 0
        before = now
    to_stderr(f"storm: the operator (pid {operator.pid}) writes nothing more")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.storm", description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--nodes", type=int, default=200)
    parser.add_argument("--limit", type=float, default=900, help="give up after so many seconds")
    parser.add_argument("--summary", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--keep", action="store_true", help="keep the bed's logs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
