"""What a seed decides: the market, its lies, what goes wrong beside, and what people do.

`history` lives a plan; `seeded_bugs` uses the directed ones below, each for a kind of trouble that
random plans rarely meet.
"""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from overspill.kube.resources import Kind
from overspill.ports import IdempotencyClass
from overspill.testing.market import Lies
from overspill.testing.simfaults import Wrongs

A, B, C, D = IdempotencyClass
STORM_S = 240.0
ACTIONS = ("another", "delete", "suspend", "resume", "delete-lease", "vanish", "touch", "touch")


@dataclass
class Plan:
    """Everything that a seed decides."""

    seed: int
    klass: IdempotencyClass
    lies: Lies
    wrongs: Wrongs
    leaders: tuple[str, ...]
    crashes: frozenset[int]
    moment: str
    jobs: int
    actions: list[tuple[float, str]]
    settings: dict[str, Any]
    beyond: bool = False
    """The network, a list or a process goes beyond what the class assumes."""


def planned(seed: int) -> Plan:
    """The history of a seed. Two in three seeds are mild in most ways, so that causes show."""
    dice = random.Random(seed)  # noqa: S311  (reproducible on purpose)
    klass = dice.choice([A, A, B, B, B, C, C, D])
    leaders = ("a", "b") if dice.random() < 0.35 else ("a",)
    wrongs = _wrongs(dice, leaders)
    plan = Plan(
        seed=seed,
        klass=klass,
        lies=_lies(dice),
        wrongs=wrongs,
        leaders=leaders,
        crashes=frozenset(dice.randint(1, 60) for _ in range(dice.choice([0, 0, 1, 1, 2, 2, 3]))),
        moment=dice.choice(["before", "after"]),
        jobs=dice.choice([1, 1, 2, 3]),
        actions=[
            (dice.uniform(2, STORM_S - 20), dice.choice(ACTIONS))
            for _ in range(dice.choice([0, 0, 1, 2, 4, 12]))
        ],
        settings={"sweep_period_s": dice.choice([30, 60])},
        beyond=bool(wrongs.pauses),
    )
    if dice.random() < 0.2:
        _lists_lie(plan, dice)
    return plan


def _lists_lie(plan: Plan, dice: random.Random) -> None:
    """F9: lists that say 200 and hold nothing, or not all. No class has assumed that: what is
    closed or doubled by it is put right by the sweep, and nothing that is wanted may be ended."""
    plan.lies.empty_list = dice.choice([0, 0.2, 0.6, 1.0])
    plan.lies.partial_list = dice.choice([0, 0.2, 0.5])
    plan.beyond = plan.beyond or plan.lies.empty_list + plan.lies.partial_list > 0


def provoking(seed: int) -> Plan:
    """As `planned`, but every history is rough: for showing that a seeded bug is caught."""
    dice = random.Random(seed)  # noqa: S311  (reproducible on purpose)
    plan = planned(seed)
    plan.klass = [B, A, C, D, B][seed % 5]
    plan.beyond = False
    plan.leaders = ("a", "b") if seed % 2 else ("a",)
    plan.lies = Lies(
        lose_answer=dice.choice([0.3, 0.6]),
        late=dice.choice([0.3, 0.6]),
        late_s=dice.choice([15, 30, 50]),
        hang_s=dice.choice([0, 8]),
        list_lag_s=dice.choice([0, 5]),
        fail_read=dice.choice([0, 0.3]),
        fail_after=dice.choice([0, 0.3]),
    )
    skew = timedelta(seconds=dice.choice([0, 0, 3000]))
    plan.wrongs = Wrongs(
        api_lose=dice.choice([0, 0.1]),
        ear_lag_s=dice.choice([0.0, 5.0, 20.0]),
        ear_misses=dice.choice([0, 0.3]),
        stale_s=dice.choice([0, 60]),
        skews={x: skew for x in plan.leaders} if skew else {},
    )
    plan.jobs = dice.choice([1, 3, 6])
    plan.actions = [(dice.uniform(1, STORM_S / 2), dice.choice(ACTIONS)) for _ in range(6)]
    if seed % 6 == 5:
        plan.actions.append((dice.uniform(20, 40), "lose-records"))
    return plan


def deaf(seed: int) -> Plan:
    """Two leaders, of which one hears late of leases, or of jobs."""
    plan = planned(seed)
    kind = [Kind.JOB, Kind.LEASE][seed % 2]
    plan.klass, plan.leaders, plan.crashes, plan.beyond = A, ("a", "b"), frozenset(), False
    plan.lies, plan.actions = Lies(), [(20.0, "another")]
    plan.wrongs = Wrongs(deaf={"b": frozenset({kind.value})})
    return plan


def unheard(seed: int) -> Plan:
    """One of two leaders hears late that jobs were deleted."""
    plan = deaf(2 * seed)
    plan.actions = [(30.0 + seed % 7, "delete"), (60.0, "delete")]
    return plan


def doubtful(seed: int) -> Plan:
    """Class D: every answer is lost, and the job is deleted while it is waited for."""
    plan = planned(seed)
    plan.klass, plan.leaders, plan.crashes, plan.beyond = D, ("a",), frozenset(), False
    plan.lies = Lies(late=1.0, late_s=30, hang_s=9)
    plan.wrongs, plan.actions = Wrongs(), [(3.0 + seed % 3, "delete")]
    plan.jobs = 1
    return plan


def adopting(seed: int) -> Plan:
    """Answers to creates are lost; what is adopted then runs longer than a permit is waited out,
    so that no quarantine covers what was not counted at its beginning."""
    plan = provoking(62 + seed % 8)
    plan.klass, plan.leaders, plan.crashes = B, ("a",), frozenset()
    plan.lies, plan.wrongs, plan.actions = Lies(lose_answer=0.6), Wrongs(), []
    return plan


def losing(seed: int) -> Plan:
    """All records are lost while leases run."""
    plan = provoking(seed)
    plan.klass, plan.leaders, plan.lies, plan.wrongs = B, ("a",), Lies(), Wrongs()
    plan.crashes, plan.jobs, plan.actions = frozenset(), 3, [(15.0, "lose-records")]
    return plan


def emptied(seed: int) -> Plan:
    """Leases run while every list is empty, or half of it, with 200; some end, some are lost."""
    plan = planned(seed)
    plan.klass = [A, B, C, D][seed % 4]
    plan.leaders, plan.beyond, plan.wrongs = ("a",), True, Wrongs()
    half = bool(seed % 3 == 0)
    plan.lies = Lies(empty_list=0.0 if half else 1.0, partial_list=0.5 if half else 0.0)
    plan.crashes, plan.jobs = frozenset({10 + seed}), 3
    plan.actions = [(30.0, "another"), (60.0, "vanish"), (90.0, "suspend"), (150.0, "resume")]
    return plan


def skewed(seed: int) -> Plan:
    """A wall clock that is wrong by 50 minutes."""
    plan = losing(seed)
    plan.actions, plan.wrongs = [], Wrongs(skews={"a": timedelta(seconds=3000)})
    return plan


def sweeping(seed: int) -> Plan:
    """Sweeps without end, and questions that take their time."""
    plan = provoking(seed)
    plan.jobs, plan.klass = 6, B
    plan.wrongs = Wrongs(market_s=2)
    plan.settings = {"sweep_period_s": 0.5}
    return plan


def _maybe(dice: random.Random, top: float, chance: float = 0.4) -> float:
    return dice.uniform(0, top) if dice.random() < chance else 0.0


def _lies(dice: random.Random) -> Lies:
    """A late create and a lagging list together stay within the class's quarantine."""
    lag = _maybe(dice, 20)
    return Lies(
        lose_answer=_maybe(dice, 0.5),
        fail_before=_maybe(dice, 0.3),
        fail_read=_maybe(dice, 0.3),
        late=_maybe(dice, 0.6),
        late_s=dice.uniform(5, 55 - lag),
        list_lag_s=lag,
        fail_after=_maybe(dice, 0.4),
        refuse=_maybe(dice, 0.3, 0.2),
        throttle=_maybe(dice, 0.3, 0.2),
        hang_s=_maybe(dice, 12),
    )


def _wrongs(dice: random.Random, leaders: tuple[str, ...]) -> Wrongs:
    skewed = dice.random() < 0.3
    windows = []
    if dice.random() < 0.25:
        start = dice.uniform(3, 120)
        windows.append((start, start + dice.uniform(5, 90)))
    pauses = {}
    if len(leaders) > 1 and dice.random() < 0.4:
        start = dice.uniform(1, 40)
        pauses["a"] = (start, start + dice.uniform(20, 150))
    return Wrongs(
        api_fail=_maybe(dice, 0.15, 0.25),
        api_lose=_maybe(dice, 0.2, 0.3),
        api_late_s=_maybe(dice, 30),
        api_down=windows,
        ear_lag_s=_maybe(dice, 5),
        ear_misses=_maybe(dice, 0.2, 0.2),
        stale_s=_maybe(dice, 60, 0.3),
        skews={x: timedelta(seconds=dice.uniform(-3600, 3600)) for x in leaders if skewed},
        pauses=pauses,
        deaf=_deaf(dice, leaders),
        market_s=_maybe(dice, 3),
    )


def _deaf(dice: random.Random, leaders: tuple[str, ...]) -> dict[str, frozenset[str]]:
    """One of two leaders does not hear of one kind of our objects for a while."""
    if len(leaders) < 2 or dice.random() < 0.7:
        return {}
    return {"b": frozenset({dice.choice([Kind.JOB.value, Kind.LEASE.value])})}
