"""The published policies and the plain ones, each as its authors' rules are read.

All but `SpotOnly` stand on the same hard safety net, which is the operator's own
(`overspill.core.policy_safety`), so that none is charged for misses another avoids. Called by
the suites.
"""

from __future__ import annotations

from dataclasses import dataclass

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
