"""The operator is killed for good with a lease on every market, and 30 days go by.

What the ledger then says is held against the worst case that the operator had declared in the
status of each GPUProvider. Part of `markets_faults`.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from benchmarks import markets_world as worlds
from benchmarks.markets_world import Json, NotSo, World

NAMESPACE = "abandoned"
DAYS = 30
STEP_S = 6 * 3600
SIGNS = "dispersed"
"""The market whose requests carry a time."""


@dataclass
class Left:
    """One market's account, left alone."""

    market: str
    bill_end: str = ""
    ends_at: str = ""
    rate: str = ""
    declared_usd: Decimal = Decimal(0)
    billed_usd: Decimal = Decimal(0)
    is_held: bool = False
    problems: list[str] = field(default_factory=list)


def played(world: World, names: Sequence[str]) -> list[Left]:
    """Leases open, operator dead, 30 days later."""
    world.bed.kubectl("create", "namespace", NAMESPACE)
    for market in names:
        job = worlds.spec(market, "sleep 100000", activeDeadlineSeconds=7200)
        world.stack.apply_job(NAMESPACE, market, job)
    found = {market: Left(market) for market in names}
    leases = {}
    for market, left in found.items():
        try:
            world.until_phase(NAMESPACE, market, "Running")
            leases[market] = _running(world, market)
            _declare(world, left, leases[market])
            world.view.check(f"{market} may bill at most {left.declared_usd} USD", left.bill_end)
        except NotSo as error:
            left.problems.append(str(error))
    world.stack.operator.kill()
    world.view.note(f"the operator is dead; {DAYS} days go by")
    for _ in range(DAYS * 86_400 // STEP_S):
        world.stack.market.advance(STEP_S)
    time.sleep(1)
    summary = world.stack.market.summary()
    for market, lease in leases.items():
        held_against(found[market], lease, summary)
    _come_back(world, found, leases)
    return list(found.values())


def _come_back(world: World, found: Mapping[str, Left], leases: Mapping[str, Json]) -> None:
    """The operator returns to a market that still holds something: it is ended; nothing is left.

    The markets' clock is 30 days ahead of ours by now, so a market that signs with a time refuses
    us; its GPUProvider must say that it is the clock.
    """
    world.bed.kubectl("delete", "gpj", "--all", "-n", NAMESPACE, "--wait=false")
    world.stack.operator.restart()
    world.stack.operator.wait_ready()
    world.view.note("the operator is back")
    keys = {lease["metadata"]["name"]: market for market, lease in leases.items()}

    def none_held() -> bool:
        return not set(keys) & set(world.stack.market.summary()["held"].values())

    try:
        world.until(none_held, "everything to be closed", 120)
        if SIGNS in found:
            world.until(lambda: _blames_the_clock(world.account(SIGNS)), "a word on the clock", 60)
    except NotSo as error:
        held = set(world.stack.market.summary()["held"].values())
        for name in held & set(keys):
            found[keys[name]].problems.append(f"still held: {error}")
        if not held & set(keys):
            found[SIGNS].problems.append(str(error))


def _blames_the_clock(account: Json) -> bool:
    conditions = account.get("status", {}).get("conditions", [])
    ready = next((c for c in conditions if c["type"] == "Ready"), {})
    return ready.get("status") == "False" and "clock" in ready.get("message", "")


def _running(world: World, market: str) -> Json:
    leases = world.leases(NAMESPACE, market)
    return next(x for x in leases if x["status"]["state"] == "Active")


def _declare(world: World, left: Left, lease: Json) -> None:
    """The bound as the operator shows it, once it counts this lease."""
    name = lease["metadata"]["name"]

    def seen() -> Json | None:
        told: Json = world.account(left.market).get("status", {}).get("worstCase") or {}
        return told if name in {x["leaseName"] for x in told.get("leases", [])} else None

    told = world.until(seen, f"{left.market} to declare its worst case", 60)
    left.bill_end, left.ends_at = told["billEnd"], told.get("endsTime", "")
    left.declared_usd = Decimal(told["within30DaysUSD"])
    left.rate = lease["status"]["pricePerHourUSD"]


def held_against(left: Left, lease: Json, summary: Json) -> None:
    """Adds what the ledger says of the lease, and whether that is more than was declared."""
    name = lease["metadata"]["name"]
    left.billed_usd = Decimal(summary["by_key"][name]["usd"])
    left.is_held = name in summary["held"].values()
    if left.billed_usd > left.declared_usd:
        left.problems.append(f"billed {left.billed_usd} USD, declared {left.declared_usd}")
    if name in {**summary["doubles"], **summary["double_creates"]}:
        left.problems.append("it is there twice")


def table(found: Sequence[Left]) -> str:
    """Declared and billed, at most 100 columns wide; USD."""
    lines = [f"\nafter {DAYS} days without an operator (one lease each, hard deadline 2 hours)"]
    head = f"{'MARKET':10} {'BILL ENDS BY':13} {'USD/H':>8} {'WORST CASE':>11} {'BILLED':>10}"
    lines.append(f"{head}  {'STILL HELD':11}VERDICT")
    for left in found:
        rate = f"{Decimal(left.rate):.4f}" if left.rate else "-"
        money = f"{left.declared_usd:>11.4f} {left.billed_usd:>10.4f}"
        held = "yes" if left.is_held else "no"
        verdict = "NOT SO" if left.problems else "ok"
        lines.append(f"{left.market:10} {left.bill_end:13} {rate:>8} {money}  {held:11}{verdict}")
    lines += [f"{left.market}: {problem}" for left in found for problem in left.problems]
    return "\n".join(lines)
