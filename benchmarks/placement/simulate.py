"""Runs one job under one policy on a world, tick by tick, and keeps the bill.

A policy sees what the information model allows and nothing else: the trace up to this tick, all
of it (`visible`), or what it holds and what it paid to probe (`probed`). Called by the suites.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.placement.world import Job, World

PROBE_H = 1 / 60
"""A successful probe is billed one minute."""


@dataclass
class View:
    """What a policy may know when it decides at the start of a tick."""

    world: World
    job: Job
    tick: int
    """Of the trace; `world` may be read up to here and no further."""
    done_s: int = 0
    place: int | None = None
    """Where the job is now; None: idle, or just lost."""
    overhead_s: int = 0
    """Of the cold start, still to come."""
    last: int | None = None
    """Where the checkpoint lies: the place held last."""
    unsaved_s: int = 0
    """Work since the last checkpoint."""
    up: list[bool] = field(default_factory=list)
    """Per place; in probed mode what was not looked at counts as down."""
    seen: list[list[tuple[int, bool]]] | None = None
    """Probed mode: per place what was seen when. None: everything up to `tick` is known."""

    @property
    def left_s(self) -> int:
        """Work that is left."""
        return self.job.work_s - self.done_s

    @property
    def time_s(self) -> int:
        """Time until the deadline."""
        return (self.job.start + self.job.ticks - self.tick) * self.world.tick_s

    @property
    def slack_s(self) -> int:
        """Time that may pass without work."""
        return self.time_s - self.left_s

    @property
    def elapsed_s(self) -> int:
        """Time since the job came."""
        return (self.tick - self.job.start) * self.world.tick_s

    def price(self, place: int) -> float:
        """USD per hour now."""
        return self.world.places[place].price[self.tick]


class Policy(Protocol):
    """Chooses a place (or None: idle) from what was observed; holds nothing it did not observe."""

    name: str

    def choose(self, view: View) -> int | None:
        """Only places with `view.up` may be chosen."""
        ...


@dataclass
class Outcome:
    """What one run cost."""

    cost: float = 0.0
    moves: int = 0
    losses: int = 0
    egress: float = 0.0
    probes: float = 0.0
    wasted_s: int = 0
    """Billed and without lasting use: cold starts, work done again."""
    finished_s: int = 0
    last: int | None = None
    """Where the job finished."""
    missed: bool = False


Prober = Callable[[View], Iterable[int]]
"""Names places to look at now, one by one; what each look shows is in the view before the next."""


def run(world: World, job: Job, policy: Policy, prober: Prober | None = None) -> Outcome:
    """One job from its start to its end. With a prober the mode is `probed`."""
    view, out = View(world, job, job.start), Outcome()
    if prober is not None:
        view.seen = [[] for _ in world.places]
    while view.left_s > 0:
        _observe(view, out, prober)
        if view.time_s <= 0:
            _finish_late(view, out)
            break
        choice = policy.choose(view)
        if choice is not None and not view.up[choice]:
            raise ValueError(f"{policy.name} chose {world.places[choice].name}, which is not up")
        _enter(view, out, choice)
        if choice is not None:
            _work(view, out, choice)
        view.tick += 1
    out.last = view.last
    return out


def _observe(view: View, out: Outcome, prober: Prober | None) -> None:
    """What is up now, and whether the place held is gone."""
    world, tick = view.world, min(view.tick, view.world.ticks - 1)
    truth = [place.up[tick] for place in world.places]
    looked = range(len(truth))
    if prober is not None:
        looked = [i for i, p in enumerate(world.places) if p.is_reliable or i == view.place]
    view.up = [i in looked and is_up for i, is_up in enumerate(truth)]
    if view.seen is not None:
        for i in looked:
            view.seen[i].append((view.tick, truth[i]))
    _lose(view, out, truth)
    if prober is not None:
        _probe(view, out, prober, truth)


def _lose(view: View, out: Outcome, truth: Sequence[bool]) -> None:
    if view.place is None or truth[view.place]:
        return
    lost_s = min(view.unsaved_s, view.job.loss_s)
    view.done_s -= lost_s
    out.wasted_s += lost_s
    out.losses += 1
    view.place, view.overhead_s, view.unsaved_s = None, 0, 0


def _probe(view: View, out: Outcome, prober: Prober, truth: Sequence[bool]) -> None:
    """One after the other: each may be chosen by what the one before showed."""
    assert view.seen is not None  # noqa: S101  (probed mode; narrows the type)
    for i in prober(view):
        if view.seen[i] and view.seen[i][-1][0] == view.tick:
            continue
        view.seen[i].append((view.tick, truth[i]))
        view.up[i] = truth[i]
        if truth[i]:
            usd = view.price(i) * PROBE_H
            out.probes += usd
            out.cost += usd


def _enter(view: View, out: Outcome, choice: int | None) -> None:
    if choice == view.place:
        return
    if choice is not None:
        moved = view.world.egress_usd(view.last, choice)
        out.cost += moved
        out.egress += moved
        out.moves += view.last is not None
        view.last = choice
    view.place, view.unsaved_s = choice, 0
    view.overhead_s = view.job.cold_s if choice is not None else 0


def _work(view: View, out: Outcome, place: int) -> None:
    tick_s = view.world.tick_s
    idle_s = min(view.overhead_s, tick_s)
    worked_s = min(tick_s - idle_s, view.left_s)
    out.cost += view.price(place) * (idle_s + worked_s) / 3600
    out.wasted_s += idle_s
    view.overhead_s -= idle_s
    view.done_s += worked_s
    if view.job.loss_s:
        view.unsaved_s = (view.unsaved_s + worked_s) % view.job.loss_s
    out.finished_s = view.elapsed_s + idle_s + worked_s


def _finish_late(view: View, out: Outcome) -> None:
    """Unfinished at the deadline: goes on at the cheapest reliable place, and is a miss."""
    tick = min(view.tick, view.world.ticks - 1)
    hours = (view.left_s + view.job.cold_s) / 3600
    there = view.place if view.place is not None and _reliable(view) else None
    if there is not None:
        hours = (view.left_s + view.overhead_s) / 3600
    else:
        there = view.world.cheapest_reliable(tick, view.last, hours)
        out.egress += view.world.egress_usd(view.last, there)
        out.cost += view.world.egress_usd(view.last, there)
    out.cost += view.world.places[there].price[tick] * hours
    out.missed = True
    out.finished_s = view.elapsed_s + round(hours * 3600)


def _reliable(view: View) -> bool:
    return view.place is not None and view.world.places[view.place].is_reliable
