"""`logs JOB`: the workload's output wherever it runs.

At home: the pods' logs, with the caller's right to read them. Rented: the market's own log, where
its adapter offers one, with the caller's right to read the provider's Secret.
"""

import argparse
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from overspill.cli.cluster import Cluster, Json, connect
from overspill.cli.errors import CliError
from overspill.cli.ledger import LeaseView, lease_view
from overspill.cli.market_logs import market_log
from overspill.cli.options import add_cluster_flags, target
from overspill.kube.resources import LEASE_LABEL, Kind


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which log, and how much of it."""

    job: str
    attempt: int | None = None
    follow: bool = False
    tail: int | None = None


def add(subparsers: Any) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser(
        "logs",
        help="the output of a job, wherever it runs",
        description="Prints what the newest attempt of a GPUJob wrote. Gangs print every line "
        "with the pod's name in front.",
    )
    parser.add_argument("job", metavar="JOB")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as lines are written")
    parser.add_argument("--tail", type=int, metavar="N", help="only the last N lines")
    parser.add_argument(
        "--attempt", type=int, metavar="N", help="an earlier attempt (default: newest)"
    )
    add_cluster_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Finds the place and streams."""
    return logs(connect(target(args)), Wanted(args.job, args.attempt, args.follow, args.tail))


def logs(cluster: Cluster, wanted: Wanted) -> int:
    """The verb without the command line."""
    job = cluster.get(Kind.JOB, wanted.job)
    lease = _lease(cluster, job, wanted)
    view = lease_view(lease)
    if view.is_home:
        _pods(cluster, view, wanted)
    else:
        for line in market_log(cluster, lease, follow=wanted.follow, tail=wanted.tail):
            _write(line + b"\n")
    return 0


def _lease(cluster: Cluster, job: Json, wanted: Wanted) -> Json:
    uid = job["metadata"]["uid"]
    ours = [le for le in cluster.list_all(Kind.LEASE) if lease_view(le).job_uid == uid]
    if wanted.attempt is not None:
        ours = [le for le in ours if lease_view(le).attempt == wanted.attempt]
        if not ours:
            raise CliError(f"The ledger holds no attempt {wanted.attempt} of {wanted.job}.")
    if not ours:
        decision = (job.get("status") or {}).get("decision") or {}
        why = f" ({decision['reason']}: {decision.get('message', '')})" if decision else ""
        raise CliError(f"{wanted.job} was not placed yet, so there is no log{why}.")
    return max(ours, key=lambda le: lease_view(le).attempt)


def _pods(cluster: Cluster, view: LeaseView, wanted: Wanted) -> None:
    pods = cluster.pods(view.namespace, f"{LEASE_LABEL}={view.name}")
    names = sorted(pod["metadata"]["name"] for pod in pods)
    if not names:
        state = "has no pod yet" if view.is_open else "is over and its pods are gone"
        raise CliError(f"Attempt {view.attempt} of {view.job} at {view.place} {state}.")
    if len(names) == 1:
        log = cluster.pod_log(view.namespace, names[0], follow=wanted.follow, tail=wanted.tail)
        for chunk in log:
            _write(chunk)
        return
    if wanted.follow:
        _side_by_side(cluster, view, names, wanted)
        return
    for name in names:
        log = cluster.pod_log(view.namespace, name, follow=False, tail=wanted.tail)
        _prefixed(name, log)


def _side_by_side(cluster: Cluster, view: LeaseView, names: Iterable[str], wanted: Wanted) -> None:
    """Follows every pod of a gang at once; the first refusal is told when all have ended."""
    refusals: list[CliError] = []

    def follow(name: str) -> None:
        try:
            _prefixed(name, cluster.pod_log(view.namespace, name, follow=True, tail=wanted.tail))
        except CliError as error:
            refusals.append(error)

    # Daemons: Ctrl-C ends the command although a stream never does.
    threads = [threading.Thread(target=follow, args=(n,), daemon=True) for n in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if refusals:
        raise refusals[0]


def _prefixed(name: str, log: Iterator[bytes]) -> None:
    for line in _lines(log):
        _write(f"[{name}] ".encode() + line)


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines out of a stream of chunks; an unfinished last one is finished."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        yield rest + b"\n"


def _write(content: bytes) -> None:
    """One write per piece: lines of several pods never mix within a line."""
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.flush()
