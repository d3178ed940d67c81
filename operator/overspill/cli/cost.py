"""`cost [JOB]`: dollars up to this second, against the cap and against the reference price."""

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Any

from rich.console import Console

from overspill.cli import render, times
from overspill.cli.cluster import Cluster, connect
from overspill.cli.money import Money, all_money, leases_of, reference_rates, tally
from overspill.cli.options import add_cluster_flags, add_output_flag, target
from overspill.cli.render import Column, usd
from overspill.kube.resources import Kind

_COLUMNS = (
    Column("NAMESPACE"),
    Column("JOB"),
    Column("STATUS"),
    Column("USD/H", "right"),
    Column("SPENT", "right"),
    Column("PROJECTED", "right"),
    Column("CAP", "right"),
    Column("REFERENCE", "right"),
    Column("SAVED", "right"),
)
_LEASES = (
    Column("#", "right"),
    Column("PLACE"),
    Column("GPUS"),
    Column("STATE"),
    Column("HOURS", "right"),
    Column("USD/H", "right"),
    Column("USD", "right"),
)


def add(subparsers: Any) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser(
        "cost",
        help="what jobs have cost up to now, and what was saved",
        description="Adds up the ledger: price times time for what runs, the bill for what is "
        "closed. SAVED is against the reference price of the same GPU-hours.",
    )
    parser.add_argument("job", metavar="JOB", nargs="?")
    add_cluster_flags(parser)
    add_output_flag(parser)


def run(args: argparse.Namespace) -> int:
    """Reads jobs, ledger and reference rates once and prints."""
    cluster = connect(target(args))
    now = times.now()
    if args.job:
        return one(cluster, args.job, as_json=args.output == "json", now=now)
    return several(cluster, as_json=args.output == "json", now=now)


def one(cluster: Cluster, name: str, *, as_json: bool, now: datetime) -> int:
    """One job, lease by lease."""
    job = cluster.get(Kind.JOB, name)
    leases = leases_of(cluster, job)
    money = tally(job, leases, reference_rates(cluster), now)
    if as_json:
        render.print_json(_document(money))
        return 0
    out = render.console()
    render.table(out, _COLUMNS, [_row(money)])
    if leases:
        out.print()
        rows = [
            (
                str(v.attempt),
                v.place or v.provider,
                f"{v.gpus}x{v.gpu_model}",
                v.state,
                f"{v.hours(now):.2f}",
                usd(v.usd_per_hour),
                usd(v.cost_usd(now)),
            )
            for v in leases
        ]
        render.table(out, _LEASES, rows)
    return 0


def several(cluster: Cluster, *, as_json: bool, now: datetime) -> int:
    """Every job, and the sum."""
    found = all_money(cluster, now)
    if as_json:
        render.print_json([_document(m) for m in found])
        return 0
    out = render.console()
    if not found:
        where = f"namespace {cluster.namespace}" if cluster.namespace else "this cluster"
        out.print(f"No GPUJob and no lease in {where}.")
        return 0
    _table(out, found, with_namespace=not cluster.namespace)
    return 0


def _table(out: Console, found: Sequence[Money], *, with_namespace: bool) -> None:
    rows = [_row(m, with_namespace=with_namespace) for m in found]
    if len(found) > 1:
        rows.append(_sum(found))
    render.table(out, _COLUMNS, rows)


def _row(m: Money, *, with_namespace: bool = False) -> tuple[str, ...]:
    return (
        m.namespace if with_namespace else "",
        m.job,
        m.phase,
        usd(m.usd_per_hour),
        usd(m.spent),
        usd(m.projected),
        usd(m.cap),
        usd(m.reference),
        usd(m.saved),
    )


def _sum(found: Iterable[Money]) -> tuple[str, ...]:
    """Sums stand only under columns where every addend is known or irrelevant."""
    rows = list(found)
    total = {
        name: sum((getattr(m, name) or Decimal(0) for m in rows), Decimal(0))
        for name in ("usd_per_hour", "spent", "reference", "saved")
    }
    known = any(m.reference is not None for m in rows)
    return (
        "",
        "TOTAL",
        "",
        usd(total["usd_per_hour"]),
        usd(total["spent"]),
        "",
        "",
        usd(total["reference"]) if known else "",
        usd(total["saved"]) if known else "",
    )


def _document(m: Money) -> dict[str, Any]:
    """Money as JSON: decimal strings, like everywhere in the API."""
    units = {
        "usd_per_hour": "usdPerHour",
        "spent": "spentUSD",
        "projected": "projectedUSD",
        "cap": "maxTotalUSD",
        "reference": "referenceUSD",
        "saved": "savedUSD",
    }
    return {
        units.get(k, k): str(v) if isinstance(v, Decimal) else v
        for k, v in asdict(m).items()
        if v is not None
    }
