"""The published policies and the plain ones, each as its authors' rules are read.

All but `SpotOnly` stand on the same hard safety net, which is the operator's own
(`overspill.core.policy_safety`), so that none is charged for misses another avoids. Called by
the suites.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

from benchmarks.placement.history import past
from benchmarks.placement.simulate import View
from overspill.core.policy_safety import Footing, is_safe


def spots(view: View) -> list[int]:
    """Unreliable places that are up, cheapest first."""
    found = [i for i, p in enumerate(view.world.places) if view.up[i] and not p.is_reliable]
    return sorted(found, key=lambda i: (view.price(i), i))


def reliable(view: View) -> int:
    """Where the fallback runs; who is on a reliable place stays there."""
    if view.place is not None and view.world.places[view.place].is_reliable:
        return view.place
    hours = (view.left_s + view.job.cold_s) / 3600
    return view.world.cheapest_reliable(view.tick, view.last, hours)


def with_net(view: View, choice: int | None) -> int | None:
    """The choice, or the fallback where the choice could make the deadline a matter of luck."""
    if choice is not None and view.world.places[choice].is_reliable:
        return choice
    cold = view.overhead_s if choice == view.place else view.job.cold_s
    footing = Footing(
        slack=view.slack_s,
        until_next=view.world.tick_s,
        fallback_start=view.job.cold_s,
        at_risk=view.job.loss_s,
    )
    return choice if is_safe(footing, None if choice is None else cold) else reliable(view)


class OnDemand:
    """Never leaves the cheapest reliable place."""

    name = "on-demand"

    def choose(self, view: View) -> int | None:
        """The rule."""
        return reliable(view)


class SpotOnly:
    """The cheapest spot, kept until it is taken; misses deadlines."""

    name = "spot-only"

    def choose(self, view: View) -> int | None:
        """The rule."""
        return _kept(view) if view.place is not None else next(iter(spots(view)), None)


class Greedy:
    """Spot whenever there is one, else idle, until the net."""

    name = "greedy"

    def choose(self, view: View) -> int | None:
        """The rule."""
        found = _kept(view)
        return with_net(view, found if found is not None else next(iter(spots(view)), None))


@dataclass(frozen=True)
class UniformProgress:
    """Can't Be Late (NSDI'24) with the hysteresis of the authors' code.

    `switches`: how UP(S) goes to several places. False: the first spot place only (the paper's
    single place). With several, a lost place is replaced by the cheapest that is up.
    """

    name: str = "UP"
    switches: bool = False
    chases_price: bool = False

    def choose(self, view: View) -> int | None:
        """The rule."""
        return with_net(view, self._wish(view))

    def _wish(self, view: View) -> int | None:
        spot = self._spot(view)
        pace = view.job.work_s / (view.job.ticks * view.world.tick_s)
        margin_s = view.done_s - view.elapsed_s * pace
        if view.place is not None and view.world.places[view.place].is_reliable:
            leaves = spot is not None and margin_s >= 2 * view.job.cold_s * pace
            return spot if leaves else view.place
        if spot is not None:
            return spot
        return reliable(view) if margin_s < 0 else None

    def _spot(self, view: View) -> int | None:
        found = spots(view)
        if not self.switches:
            home = next(i for i, p in enumerate(view.world.places) if not p.is_reliable)
            return home if home in found else None
        kept = _kept(view)
        if kept is None or self.chases_price:
            return next(iter(found), None)
        return kept


def _kept(view: View) -> int | None:
    """The spot place held, if it is one."""
    if view.place is None or view.world.places[view.place].is_reliable:
        return None
    return view.place


@dataclass(frozen=True)
class AvailabilityPrice(UniformProgress):
    """UP(AP): the place of the most availability per dollar; left when a tenth better is up."""

    name: str = "UP(AP)"
    switches: bool = True
    window_h: float = 168.0

    def _spot(self, view: View) -> int | None:
        score = {i: self._score(view, i) for i in spots(view)}
        if not score:
            return None
        best = max(score, key=lambda i: (score[i], -i))
        kept = _kept(view)
        return kept if kept is not None and score[kept] >= 0.9 * score[best] else best

    def _score(self, view: View, place: int) -> float:
        series = view.world.places[place].up
        share = past(series, view.world.tick_s).share(view.tick, self.window_h)
        return share / view.price(place)


@dataclass(frozen=True)
class CoState:
    """SkyNomad (NSDI'27): U = V*eta - c - E/L, lives by Nelson-Aalen over the place's past."""

    name: str = "co-state"
    hysteresis: float = 0.05
    window_h: float = 168.0

    def choose(self, view: View) -> int | None:
        """The rule: the best utility, if it beats the current one by the hysteresis."""
        value = self._value(view)
        utility = {i: self._utility(view, i, value) for i, up in enumerate(view.up) if up}
        best = max(utility, key=lambda i: (utility[i], -i))
        current = 0.0 if view.place is None else utility[view.place]
        if utility[best] > current + self.hysteresis * value and utility[best] > 0:
            return with_net(view, best)
        return with_net(view, view.place if current >= 0 else None)

    def _value(self, view: View) -> float:
        """V: the price on demand, times the pace that is needed over the pace so far."""
        dearest = min(view.price(i) for i, p in enumerate(view.world.places) if p.is_reliable)
        needed = view.left_s / view.time_s
        if view.elapsed_s == 0:
            return dearest * view.job.ticks * view.world.tick_s / view.job.work_s * needed
        pace = max(view.done_s, view.world.tick_s) / view.elapsed_s
        return dearest * needed / pace

    def _utility(self, view: View, place: int, value: float) -> float:
        moved = 0.0 if place == view.place else view.world.egress_usd(view.last, place)
        if view.world.places[place].is_reliable:
            hours = view.left_s / 3600
            eta = 1.0 if place == view.place else hours / (hours + view.job.cold_s / 3600)
            return value * eta - view.price(place) - moved / max(hours, 1e-6)
        life_h = self._life(view, place)
        cold_h = (view.overhead_s if place == view.place else view.job.cold_s) / 3600
        eta = max(0.0, life_h - cold_h) / life_h
        return value * eta - view.price(place) - moved / life_h

    def _life(self, view: View, place: int) -> float:
        """L(a): the sum of S(l)/S(a) over the ages that are left, cut at the deadline."""
        series, tick_s = view.world.places[place].up, view.world.tick_s
        seen = past(series, tick_s)
        age = seen.age(view.tick)
        day = view.tick - view.tick % max(1, 21600 // tick_s)
        survival = _nelson_aalen(series, tick_s, max(day, 1), self.window_h)
        step_h = tick_s / 3600
        left = round(view.time_s / tick_s)
        low = round(age / step_h)
        return max(step_h, step_h * _tail(survival, low, left))


def _tail(survival: tuple[float, ...], low: int, left: int) -> float:
    """Ticks expected past an age; beyond the oldest run seen nothing is known to fail."""
    last = len(survival) - 1
    if low >= last:
        return left
    base = survival[low]
    known = sum(survival[low + 1 : min(last, low + left) + 1]) / base
    return known + max(0, low + left - last) * survival[last] / base


@lru_cache(maxsize=4096)
def _nelson_aalen(
    series: tuple[bool, ...], tick_s: int, tick: int, window_h: float
) -> tuple[float, ...]:
    """S by age in ticks: exp of minus the summed hazard e(l)/n(l) of the runs seen so far."""
    runs = past(series, tick_s).runs(tick, window_h, up=True)
    ages = [(round(r.since * 3600 / tick_s), round(r.hours * 3600 / tick_s), r.ended) for r in runs]
    longest = max((since + ticks for since, ticks, _ in ages), default=0)
    ends, entered = [0] * (longest + 2), [0] * (longest + 2)
    for since, ticks, ended in ages:
        ends[since + ticks] += ended
        entered[since] += 1
        entered[since + ticks] -= 1
    found, at_risk, summed = [1.0], 0, 0.0
    for age in range(1, longest + 1):
        at_risk += entered[age - 1]
        summed += ends[age] / max(1, at_risk)
        found.append(math.exp(-summed))
    return tuple(found)
