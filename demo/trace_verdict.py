"""Judges the replay: every job's end, every lease's dollars, the market's ledger against our books.

The oracle is the market's own append-only ledger. Called by `demo.trace`.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from demo.trace_play import ENDED, Story, phase_of
from demo.trace_world import MODELS, Json
from overspill.cli.ledger import LeaseView
from overspill.sandbox import ledger
from overspill.sandbox.ledger import Entry

SECONDS_PER_BLOCK = 6
RATES = {model.canonical: Decimal(model.reference_usd) for model in MODELS.values()}


@dataclass
class Verdict:
    """Figures by name, tables for people, and what is not as it should be."""

    figures: dict[str, Any] = field(default_factory=dict)
    tables: list[tuple[str, list[str]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def judge(story: Story, entries: list[Entry]) -> Verdict:
    """Everything that can be said at the end."""
    found = Verdict()
    _ends(story, found)
    _places(story, found)
    _money(story, found)
    _books(story, entries, found)
    return found


def reason_of(job: Json) -> tuple[str, str]:
    """Why a job is in its phase: reason and message of the condition that says it."""
    status = job.get("status") or {}
    kinds = {"Complete": "Complete", "Failed": "Failed", "Refused": "Stalled"}
    wanted = kinds.get(phase_of(job), "Placed")
    for condition in status.get("conditions") or []:
        if condition["type"] == wanted:
            return condition.get("reason", ""), condition.get("message", "")
    return "", ""


def _ends(story: Story, found: Verdict) -> None:
    ends = Counter((phase_of(job), reason_of(job)[0]) for job in story.jobs)
    rows = [f"{phase:10} {reason:28} {n:5d}" for (phase, reason), n in sorted(ends.items())]
    found.tables.append(("How the jobs ended", rows))
    found.figures["jobs"] = len(story.jobs)
    found.figures["ends"] = {f"{phase}/{reason}": n for (phase, reason), n in ends.items()}
    for job in story.jobs:
        name, phase = job["metadata"]["name"], phase_of(job)
        if phase not in ENDED:
            found.problems.append(f"{name} has not ended: {phase}, {reason_of(job)}")
        elif not all(reason_of(job)):
            found.problems.append(f"{name} is {phase} without a stated reason")


def _places(story: Story, found: Verdict) -> None:
    """Where attempts ran: by place's kind and model; and why they were left."""
    where = Counter(
        ("home" if v.is_home else "rented", v.gpu_model)
        for v in story.leases
        if v.active_since is not None
    )
    found.tables.append(
        ("Where attempts ran", [f"{k:8} {m:12} {n:5d}" for (k, m), n in sorted(where.items())])
    )
    why = Counter(("home" if v.is_home else "rented", v.reason) for v in story.leases)
    rows = [f"{kind:8} {reason:20} {n:5d}" for (kind, reason), n in sorted(why.items())]
    found.tables.append(("Why leases ended", rows))
    told = Counter(
        (v.reason, _without_names(story.messages.get(v.name, "")))
        for v in story.leases
        if v.reason != "Finished"
    )
    rows = [f"{n:4d} {reason:10} {message}" for (reason, message), n in told.most_common(12)]
    found.tables.append(("In the operator's words", rows))
    moves = sum((job.get("status") or {}).get("moves", 0) for job in story.jobs)
    overspilt = {v.job for v in story.leases if not v.is_home and v.active_since}
    failed_over = {v.job for v in story.leases if v.reason == "Lost"}
    found.figures |= {
        "leases_home": sum(1 for v in story.leases if v.is_home),
        "leases_rented": sum(1 for v in story.leases if not v.is_home),
        "jobs_overspilt": len(overspilt),
        "jobs_that_lost_a_place": len(failed_over),
        "moves": moves,
        "nodes_lost": story.lost,
    }
    if story.lost and not failed_over:
        found.problems.append(f"nodes {story.lost} were lost and no job noticed")
    if not overspilt:
        found.problems.append("nothing overspilt: home was not contended")


def _without_names(message: str) -> str:
    """The same sentence for all: numbers and names of hosts and leases left out."""
    return re.sub(r"\bgl-\S+|\b\S*\d\S*", "N", message)[:110]


def _money(story: Story, found: Verdict) -> None:
    now = datetime.now(UTC)
    rows, sums = [], {}
    for kind, leases in (
        ("home", [v for v in story.leases if v.is_home]),
        ("rented", [v for v in story.leases if not v.is_home]),
    ):
        spent, compared = _spent(leases, now), _compared(leases, now)
        hours = sum((v.hours(now) * v.gpus for v in leases), Decimal(0))
        sums[kind] = (spent, compared)
        rows.append(
            f"{kind:8} {hours:8.3f} GPU-h   {spent:9.4f} USD   reference {compared:9.4f} USD"
        )
    spent = sum((pair[0] for pair in sums.values()), Decimal(0))
    compared = sum((pair[1] for pair in sums.values()), Decimal(0))
    saved = compared - spent
    share = 100 * saved / compared if compared else Decimal(0)
    rows.append(f"saved    {saved:.4f} USD, {share:.0f} % of the reference price")
    found.tables.append(("What it cost", rows))
    found.figures |= {
        "home_usd": str(sums["home"][0]),
        "rented_usd": str(sums["rented"][0]),
        "reference_usd": str(compared),
        "saved_usd": str(saved),
    }


def _spent(leases: list[LeaseView], now: datetime) -> Decimal:
    return sum((v.cost_usd(now) for v in leases), Decimal(0))


def _compared(leases: list[LeaseView], now: datetime) -> Decimal:
    return sum((v.reference_usd(now, RATES) or Decimal(0) for v in leases), Decimal(0))


def _books(story: Story, entries: list[Entry], found: Verdict) -> None:
    """No orphan, no double, and the same dollars for every key."""
    rented = {v.name: v for v in story.leases if not v.is_home}
    held, orphans = ledger.open_ids(entries), ledger.orphans(entries, set(rented))
    doubles = {**ledger.doubles(entries), **ledger.double_creates(entries)}
    billed = ledger.billed(entries)
    worst, wrong = Decimal(0), []
    for name in {*billed, *rented}:
        lease, theirs = rented.get(name), billed.get(name, Decimal(0))
        ours = (lease.billed_usd if lease else None) or Decimal(0)
        block = ((lease.usd_per_hour if lease else None) or Decimal(0)) * SECONDS_PER_BLOCK / 3600
        worst = max(worst, abs(ours - theirs))
        if lease is None or abs(ours - theirs) > block:
            wrong.append(f"{name}: {ours} USD in our books, {theirs} USD in the market's")
    open_leases = [v.name for v in story.leases if v.is_open]
    books = sum((v.billed_usd or Decimal(0) for v in rented.values()), Decimal(0))
    total = sum(billed.values(), Decimal(0))
    found.figures |= {
        "held_at_the_end": len(held),
        "orphans": len(orphans),
        "doubles": len(doubles),
        "recorded_usd": str(books),
        "billed_usd": str(total),
        "largest_difference_usd": str(worst),
    }
    rows = [
        f"{len(billed)} keys billed, {len(rented)} leases recorded",
        f"{len(held)} still held, {len(orphans)} orphans, {len(doubles)} doubles",
        f"{total:.6f} USD billed, {books:.6f} USD recorded, largest difference {worst:.6f} USD",
    ]
    found.tables.append(("The market's ledger against the operator's books", rows))
    found.problems += wrong
    found.problems += [f"{name} is still open" for name in open_leases]
    found.problems += [f"{key} is still held at the market" for key in held.values()]
    found.problems += [f"{key} is an orphan" for key in orphans.values()]
    found.problems += [f"{key} was doubled: {ids}" for key, ids in doubles.items()]
    if not story.settled:
        found.problems.append("the time was over before everything had ended and was let go")
