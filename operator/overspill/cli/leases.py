"""`leases`: the ledger, with what every lease has cost up to now; `leases resolve` ends a doubt."""

import argparse
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Console

from overspill.cli import render, resolve, times
from overspill.cli.cluster import Cluster, connect
from overspill.cli.ledger import LeaseView, lease_view, newest_first
from overspill.cli.options import add_cluster_flags, add_output_flag, target
from overspill.cli.render import Column, usd
from overspill.kube.resources import Kind

_COLUMNS = (
    Column("NAMESPACE"),
    Column("LEASE"),
    Column("JOB", folds=True),
    Column("#", "right"),
    Column("PLACE", folds=True),
    Column("STATE", folds=True),
    Column("AGE"),
    Column("USD/H", "right"),
    Column("USD", "right"),
)


def add(subparsers: Any) -> None:
    """Registers the verb and its subverb."""
    parser = subparsers.add_parser(
        "leases",
        help="what is held, since when and for how much; resolve an uncertain lease",
        description="Lists GPULeases with what they have cost up to now. Closed ones, the bill "
        "included, are listed with --all.",
    )
    parser.add_argument("--all", action="store_true", help="closed leases too")
    add_cluster_flags(parser)
    add_output_flag(parser)
    resolve.add(parser.add_subparsers(dest="subverb", metavar="resolve"))


def run(args: argparse.Namespace) -> int:
    """Lists, or hands over to the subverb."""
    if args.subverb == "resolve":
        return resolve.run(args)
    cluster = connect(target(args))
    as_json = args.output == "json"
    return leases(cluster, with_closed=args.all, as_json=as_json, now=times.now())


def leases(cluster: Cluster, *, with_closed: bool, as_json: bool, now: datetime) -> int:
    """The verb without the command line."""
    objects = cluster.list_all(Kind.LEASE)
    views = newest_first(map(lease_view, objects))
    shown = [v for v in views if v.is_open or with_closed]
    if as_json:
        render.print_json([_document(v, now) for v in shown])
        return 0
    out = render.console()
    if shown:
        rows = [_row(v, now, with_namespace=not cluster.namespace) for v in shown]
        render.table(out, _COLUMNS, rows)
    _footer(out, views, len(views) - len(shown), now)
    return 0


def _row(v: LeaseView, now: datetime, *, with_namespace: bool) -> tuple[str, ...]:
    return (
        v.namespace if with_namespace else "",
        v.name,
        v.job,
        str(v.attempt),
        v.place or v.provider,
        f"{v.state} ({v.reason})" if v.reason else v.state,
        times.age(v.created, now),
        usd(v.usd_per_hour),
        usd(v.cost_usd(now)),
    )


def _footer(out: Console, views: Sequence[LeaseView], hidden: int, now: datetime) -> None:
    held = [v for v in views if v.is_open]
    burn = sum((v.usd_per_hour or Decimal(0) for v in held if v.is_charging), Decimal(0))
    words = [f"{len(held)} held at {usd(burn)} USD/h" if held else "Nothing is held"]
    if hidden:
        closed = sum((v.cost_usd(now) for v in views if not v.is_open), Decimal(0))
        words.append(f"{hidden} closed for {usd(closed)} USD (list them with --all)")
    out.print("; ".join(words) + ".")
    for v in views:
        if v.is_open and v.stranded:
            out.print(f"{v.name} is Stranded: {v.stranded}")
        if v.state == "Uncertain":
            out.print(
                f"{v.name} is Uncertain: look for it at {v.provider}, then say what you found:"
            )
            command = f"kubectl overspill leases resolve {v.name} -n {v.namespace}"
            # Whole, however narrow the window is: it is there to be copied.
            out.print(f"  {command} [--adopt ID | --absent]", soft_wrap=True)


def _document(v: LeaseView, now: datetime) -> dict[str, Any]:
    return {
        "namespace": v.namespace,
        "name": v.name,
        "job": v.job,
        "attempt": v.attempt,
        "provider": v.provider,
        "place": v.place,
        "home": v.is_home,
        "state": v.state,
        "reason": v.reason,
        "externalID": v.external_id,
        "createdTime": v.created,
        "usdPerHour": None if v.usd_per_hour is None else str(v.usd_per_hour),
        "costUSD": str(v.cost_usd(now)),
    }
