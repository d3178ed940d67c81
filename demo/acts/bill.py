"""Act: the bill. The operator's books against the market's own ledger, to the cent."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from demo import manifests
from demo.acts import finetune, overspill
from demo.world import World
from overspill.cli import render
from overspill.cli.ledger import LeaseView
from overspill.cli.render import Column
from overspill.sandbox import ledger

TITLE = "the bill"
SECONDS_PER_BLOCK = 6
BLOCKS_APART = 3
"""The market bills whole blocks up to the close; we count on until it was first seen gone."""


def play(world: World) -> None:
    """Waits until everything is closed, compares, prints."""
    world.view.act(TITLE, "every dollar is in the operator's books and in the market's ledger")
    world.watch.until(
        lambda: all(not v.is_open for v in world.watch.leases()), "all leases to be closed"
    )
    _no_leak(world)
    _same_dollars(world)


def _no_leak(world: World) -> None:
    entries = world.market.ledger()
    known = {v.name for v in world.watch.leases()}
    open_, orphans = ledger.open_ids(entries), ledger.orphans(entries, known)
    doubles = {**ledger.doubles(entries), **ledger.double_creates(entries)}
    world.findings.figures |= {"orphans": len(orphans), "doubles": len(doubles)}
    world.check(
        "the market holds nothing of ours any more: no orphan, no double",
        f"{len(open_)} open, {len(orphans)} orphans, {len(doubles)} doubles",
        holds=not open_ and not orphans and not doubles,
    )


def _same_dollars(world: World) -> None:
    """Twice: the recorded bill against the ledger, and our own clock against it."""
    billed = ledger.billed(world.market.ledger())
    rented = [v for v in world.watch.leases() if not v.is_home]
    books = {v.name: v.billed_usd for v in rented}
    total = sum(billed.values(), Decimal(0))
    world.findings.figures |= {
        "billed_usd": str(total),
        "rented_usd": str(sum((usd or Decimal(0) for usd in books.values()), Decimal(0))),
    }
    world.check(
        f"the books of {len(rented)} rented leases equal the market's ledger, to the last digit",
        f"{total:.6f} USD",
        holds=bool(rented) and books == billed,
    )
    apart = max((_blocks_apart(v, billed[v.name]) for v in rented), default=Decimal(0))
    world.findings.figures["blocks_apart"] = str(apart)
    world.check(
        "price times time by the operator's own clock agrees with that bill",
        f"at most {apart:.1f} of the chain's 6-second blocks apart, per lease",
        holds=apart <= BLOCKS_APART,
    )


def _blocks_apart(lease: LeaseView, bill: Decimal) -> Decimal:
    hourly = lease.usd_per_hour or Decimal(0)
    ours = hourly * lease.hours(datetime.now(UTC))
    return abs(ours - bill) / (hourly * SECONDS_PER_BLOCK / 3600)


def show(world: World) -> None:
    """The tables that stay on the screen."""
    world.view.show("$ kubectl get gpj", world.kubectl("get", "gpj").rstrip())
    for job in (overspill.NAME, finetune.NAME):
        world.view.show(f"$ kubectl overspill explain {job}", _plugin(world, ["explain", job]))
    world.view.show("The bill", table(world))


def _plugin(world: World, argv: list[str]) -> str:
    """`kubectl overspill …`: what the plugin prints, run as kubectl would run it."""
    where = ["--kubeconfig", str(world.bed.kubeconfig), "-n", manifests.NAMESPACE]
    env = {**os.environ, "COLUMNS": "100"}
    program = Path(sys.executable).with_name("kubectl-overspill")
    done = subprocess.run(
        [program, *argv, *where], env=env, capture_output=True, text=True, check=True
    )
    return done.stdout.rstrip()


def table(world: World) -> str:
    """Attempts: where, for how much, for how long, what it cost; reference and saving."""
    now = datetime.now(UTC)
    rates = {k: Decimal(v) for k, v in manifests.home()["spec"]["referenceRatesUSD"].items()}
    columns = [Column("JOB"), Column("#", "right"), Column("WHERE"), Column("GPUS")]
    columns += [Column(t, "right") for t in ("USD/H", "SECONDS", "USD", "REFERENCE", "SAVED")]
    leases = world.watch.leases()
    rows = [_row(lease, rates, now) for lease in leases]
    spent = sum((v.cost_usd(now) for v in leases), Decimal(0))
    compared = sum((v.reference_usd(now, rates) or Decimal(0) for v in leases), Decimal(0))
    world.findings.figures |= {"spent_usd": str(spent), "reference_usd": str(compared)}
    money = (f"{spent:.4f}", f"{compared:.4f}", f"{compared - spent:.4f}")
    rows.append(("TOTAL", "", "", "", "", "", *money))
    console = render.console()
    console.file = io.StringIO()
    render.table(console, columns, rows)
    return console.file.getvalue().rstrip()


def _row(lease: LeaseView, rates: dict[str, Decimal], now: datetime) -> tuple[str, ...]:
    cost, compared = lease.cost_usd(now), lease.reference_usd(now, rates) or Decimal(0)
    return (
        lease.job,
        str(lease.attempt),
        lease.place,
        f"{lease.gpus}x{lease.gpu_model}",
        f"{lease.usd_per_hour or 0:.2f}",
        f"{lease.hours(now) * 3600:.0f}",
        f"{cost:.4f}",
        f"{compared:.4f}",
        f"{compared - cost:.4f}",
    )
