"""`explain JOB`: where it runs, why there, what that costs line by line, and who lost and why.

Everything printed stands in the GPUJob's status; money that flows is taken from the ledger. With a
decision record (`cli/record`) the decision is made again here, as it was or with one wish changed.
"""

import argparse
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console

from overspill.cli import record, render, times
from overspill.cli.cluster import Cluster, Json, connect
from overspill.cli.money import Money, leases_of, reference_rates, tally
from overspill.cli.options import add_cluster_flags, add_output_flag, target
from overspill.cli.render import Column, usd
from overspill.kube.resources import Kind

_COSTS = (Column("WHAT IT COSTS"), Column("USD", "right"))
_LOSERS = (
    Column("PROVIDER"),
    Column("GPU"),
    Column("OFFERS", "right"),
    Column("FROM USD/H", "right"),
    Column("REASON"),
    Column("WHY", folds=True),
)
_ATTEMPTS = (
    Column("#", "right"),
    Column("PLACE"),
    Column("STARTED"),
    Column("ENDED"),
    Column("REASON"),
    Column("EXIT", "right"),
    Column("STEP", "right"),
    Column("USD", "right"),
)
_TROUBLES = (Column("CONDITION"), Column("REASON"), Column("MESSAGE", folds=True))
_SHOWN = ("phase", "placement", "decision", "conditions", "attempts", "cost", "progress", "sla")
_GOOD_WHEN_TRUE = ("Placed", "Running", "Ready", "Complete", "Suspended", "Reconciling")


def add(subparsers: Any) -> None:
    """Registers the verb."""
    parser = subparsers.add_parser(
        "explain",
        help="why a job runs where it runs, and what everything else would have cost",
        description="Prints the last decision about a GPUJob: what was chosen, its price line by "
        "line, every group of offers that lost with its reason, and all attempts so far.",
    )
    parser.add_argument("job", metavar="JOB", nargs="?")
    parser.set_defaults(refuse=parser.error)
    record.add_flags(parser)
    add_cluster_flags(parser)
    add_output_flag(parser)


def run(args: argparse.Namespace) -> int:
    """Reads the job and its leases once and prints; with a record, what comes out of it."""
    if args.replay:
        return replay(args.replay, what_if=args.what_if, now=times.now())
    if not args.job:
        args.refuse("name a GPUJob, or a file with --replay")
    cluster = connect(target(args))
    if args.record:
        found = record.fetch(args.operator, cluster.namespace, args.job)
        print(f"The decision about {args.job} is in {record.save(found, args.record)}.")
        return 0
    code = explain(cluster, args.job, as_json=args.output == "json", now=times.now())
    if args.what_if and args.output != "json":
        found = record.fetch(args.operator, cluster.namespace, args.job)
        record.print_changes(render.console(), record.read(found))
    return code


def replay(path: Path, *, what_if: bool, now: datetime) -> int:
    """Makes a recorded decision again and says whether it is the same."""
    found = record.load(path)
    again = record.read(found)
    out, decision = render.console(), record.again(again)
    _decision(out, decision, now)
    is_same = decision == found.get("decision")
    out.print(
        "\nThe same decision came out again."
        if is_same
        else "\nThis is not the recorded decision: another version of the rules made that one.",
        style="bold",
    )
    if what_if:
        record.print_changes(out, again)
    return 0 if is_same else 1


def explain(cluster: Cluster, name: str, *, as_json: bool, now: datetime) -> int:
    """The verb without the command line."""
    job = cluster.get(Kind.JOB, name)
    if as_json:
        status = job.get("status") or {}
        render.print_json({k: status[k] for k in _SHOWN if k in status})
        return 0
    out, leases = render.console(), leases_of(cluster, job)
    _headline(out, job, now)
    _money(out, tally(job, leases, reference_rates(cluster), now))
    _promise(out, (job.get("status") or {}).get("sla"), now)
    _decision(out, (job.get("status") or {}).get("decision"), now)
    _attempts(out, job, {v.name: v.cost_usd(now) for v in leases})
    _troubles(out, job)
    return 0


def _headline(out: Console, job: Json, now: datetime) -> None:
    meta, status = job["metadata"], job.get("status") or {}
    place = status.get("placement") or {}
    parts = [f"{meta['namespace']}/{meta['name']}", status.get("phase") or "Not seen yet"]
    is_over = status.get("phase") in ("Complete", "Failed")
    if place.get("place"):
        at = "ran at" if is_over else "at"
        parts.append(f"{at} {place['place']} ({place.get('gpus', '')})")
        parts.append(f"{usd(place.get('pricePerHourUSD'))} USD/h")
        parts += [] if is_over else [f"since {times.age(place.get('sinceTime'), now)}"]
        parts.append(f"attempt {place.get('attempt')}")
    out.print("  ".join(parts), style="bold")
    if not status:
        out.print("The operator has written nothing yet: is it running? See kubectl get pods -A.")
    _progress(out, status, now)


def _progress(out: Console, status: Mapping[str, Any], now: datetime) -> None:
    found, parts = status.get("progress") or {}, []
    if "percentage" in found:
        parts.append(f"{found['percentage']} % done")
    if "lastCheckpointURI" in found:
        when = times.age(found.get("lastCheckpointTime"), now)
        parts.append(f"durable checkpoint at step {found.get('lastCheckpointStep', '?')}")
        parts.append(f"{when} ago" if when else "")
    if status.get("finishByTime"):
        parts.append(f"finish by {times.clock(status['finishByTime'])}")
    if any(parts):
        out.print("  ".join(part for part in parts if part))


def _money(out: Console, money: Money) -> None:
    parts = [f"spent {usd(money.spent)} USD"]
    if money.cap is not None:
        parts.append(f"of at most {usd(money.cap)}")
    if money.saved is not None and money.spent:
        parts.append(f"(reference {usd(money.reference)}, saved {usd(money.saved)})")
    out.print(" ".join(parts))


def _promise(out: Console, sla: Mapping[str, Any] | None, now: datetime) -> None:
    """Attained against promised; figures of a service as of the last write."""
    if not sla or not sla.get("promised"):
        return
    word = sla.get("attained") or str(sla.get("outcome", "")).lower()
    if word or sla["promised"] != sla.get("className"):  # a class's bare name promises nothing
        parts = [f"promised {sla['promised']}", *([f"attained {word}"] if word else [])]
        out.print("  ".join(parts))
    lasts = [b for b in (sla.get("service") or {}).get("breaks") or [] if not b.get("endTime")]
    parts = [f"{b['standing'].lower()} for {times.age(b['startTime'], now)}" for b in lasts]
    parts += [f"left {sla['budgetRemaining']}"] if sla.get("budgetRemaining") else []
    if sla.get("asOfTime"):
        parts.append(f"as of {times.age(sla['asOfTime'], now)} ago")
    if parts:
        out.print("  ".join(parts))


def _decision(out: Console, decision: Mapping[str, Any] | None, now: datetime) -> None:
    if not decision:
        return
    when = times.clock(decision.get("time"))
    ago = times.age(decision.get("time"), now)
    out.print(f"\n{decision['action']}: {decision['reason']}  {when} ({ago} ago)", style="bold")
    if decision.get("message"):
        out.print(f"{decision['message']}")
    if decision.get("provider"):
        model, price = decision.get("gpuModel", ""), usd(decision.get("pricePerHourUSD"))
        out.print(
            f"Chosen: {decision['provider']}, offer {decision.get('offerID', '?')}, "
            f"{model} at {price} USD/h"
        )
    if decision.get("waitUntilTime"):
        out.print(f"Decides again at {times.clock(decision['waitUntilTime'])} at the latest.")
    _lines(out, decision)
    _losers(out, decision)


def _lines(out: Console, decision: Mapping[str, Any]) -> None:
    rows = [(_words(line["name"]), usd(line["usd"])) for line in decision.get("lines") or []]
    if not rows:
        return
    if decision.get("totalUSD"):
        rows.append(("all in", usd(decision["totalUSD"])))
    if decision.get("usefulHourUSD"):
        rows.append(("per useful hour", usd(decision["usefulHourUSD"])))
    if decision.get("savingUSD"):
        rows.append(("saving by this move", usd(decision["savingUSD"])))
    out.print()
    render.table(out, _COSTS, rows)


def _words(name: str) -> str:
    """`coldStart` as people write it; the API's names are fixed, ours may read well."""
    return re.sub(r"(?<=[a-z])([A-Z])(?=[a-z]{2})", lambda m: " " + m[1].lower(), name)


def _losers(out: Console, decision: Mapping[str, Any]) -> None:
    rejected = decision.get("rejected") or []
    if not rejected:
        return
    out.print("\nRejected, the cheapest first", style="bold")
    rows = [
        (
            r["provider"],
            r.get("gpuModel") or "any",
            str(r.get("offers", 1)),
            usd(r.get("cheapestPerHourUSD")),
            r["reason"],
            r.get("message", ""),
        )
        for r in sorted(rejected, key=_cheapest_first)
    ]
    render.table(out, _LOSERS, rows)


def _cheapest_first(rejection: Mapping[str, Any]) -> tuple[bool, Decimal, str]:
    price = render.amount(rejection.get("cheapestPerHourUSD"))
    return price is None, price or Decimal(0), rejection["provider"]


def _attempts(out: Console, job: Json, live: Mapping[str, Decimal]) -> None:
    attempts = (job.get("status") or {}).get("attempts") or []
    if not attempts:
        return
    out.print("\nAttempts", style="bold")
    rows = [
        (
            str(a["number"]),
            a.get("place") or a.get("provider", ""),
            times.clock(a.get("startTime")),
            times.clock(a.get("endTime")),
            a.get("reason", ""),
            "" if a.get("exitCode") is None else str(a["exitCode"]),
            "" if a.get("checkpointStep") is None else str(a["checkpointStep"]),
            usd(live.get(a["leaseName"], a.get("costUSD"))),
        )
        for a in attempts
    ]
    render.table(out, _ATTEMPTS, rows)


def _troubles(out: Console, job: Json) -> None:
    conditions = (job.get("status") or {}).get("conditions") or []
    rows = [
        (c["type"], c["reason"], c.get("message", ""))
        for c in conditions
        if c["status"] == "True" and c["type"] not in _GOOD_WHEN_TRUE
    ]
    if rows:
        out.print("\nNeeds attention", style="bold")
        render.table(out, _TROUBLES, rows)
