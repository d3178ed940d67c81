"""S6's simulator: copies of one service on zones that come and go, and the policies it runs.

At the start of a tick lost copies are seen and the policy says how many it wants where; new ones
are ready after `START_S`, billed from the start. A tick's time with fewer ready copies than needed
is unavailable, to the second. What demand adds counts as needed once a copy could have started.
Ours is in `serving_ours`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.placement.serving_input import ON_DEMAND_USD, TICK_S, Window, Zone

START_S = 180
FIRM = "on demand"


@dataclass
class State:
    """A service at the start of a tick. Per place the seconds until each copy is ready."""

    zones: Sequence[Zone]
    tick: int = 0
    needed: int = 0
    copies: dict[str, list[int]] = field(default_factory=dict)
    elapsed_s: int = 0
    missed_s: int = 0

    def up(self, zone: Zone) -> bool:
        """Whether copies can stand there now."""
        return zone.up[self.tick]

    def ready(self, name: str) -> int:
        """Copies that serve there."""
        return sum(left <= 0 for left in self.copies.get(name, ()))

    def held(self, name: str) -> int:
        """Copies there in all."""
        return len(self.copies.get(name, ()))


class Policy(Protocol):
    """Says how many copies should stand where; places that are down may not be named."""

    name: str

    def wanted(self, state: State) -> Mapping[str, int]:
        """Copies per place."""
        ...


@dataclass
class Result:
    """One window under one policy."""

    usd: float = 0.0
    missed_s: int = 0
    elapsed_s: int = 0
    losses: int = 0


def run(window: Window, zones: Sequence[Zone], policy: Policy) -> Result:
    """The window from its first tick; the copies of the first tick are ready at once."""
    state, out = State(zones), Result()
    for index, needed in enumerate(window.needed):
        state.tick, state.needed = window.first + index, needed
        before = window.needed[max(0, index - 1)]
        for zone in zones:
            if state.held(zone.name) and not state.up(zone):
                out.losses += state.held(zone.name)
                state.copies[zone.name] = []
        _change(state, policy.wanted(state), at_once=index == 0)
        _pass(state, min(before, needed), out)
    out.elapsed_s, out.missed_s = state.elapsed_s, state.missed_s
    return out


def _change(state: State, wanted: Mapping[str, int], *, at_once: bool) -> None:
    for name in {*state.copies, *wanted}:
        zone = next((z for z in state.zones if z.name == name), None)
        if wanted.get(name) and zone is not None and not state.up(zone):
            raise ValueError(f"{name} is not up")
        held = sorted(state.copies.get(name, ()))[: wanted.get(name, 0)]
        more = wanted.get(name, 0) - len(held)
        state.copies[name] = held + [0 if at_once else START_S] * max(0, more)


def _pass(state: State, needed: int, out: Result) -> None:
    """A tick goes by: the bill, and the seconds until enough copies are ready."""
    price = {z.name: z.price[state.tick] for z in state.zones} | {FIRM: ON_DEMAND_USD}
    out.usd += sum(len(c) * price[n] for n, c in state.copies.items()) * TICK_S / 3600
    waits = sorted(left for copies in state.copies.values() for left in copies)
    short_s = TICK_S if len(waits) < needed else max(0, waits[needed - 1]) if needed else 0
    state.elapsed_s += TICK_S
    state.missed_s += min(TICK_S, short_s)
    for copies in state.copies.values():
        copies[:] = [max(0, left - TICK_S) for left in copies]


@dataclass
class OnDemand:
    """Never on spot."""

    name: str = "on-demand"

    def wanted(self, state: State) -> Mapping[str, int]:
        """As many as needed."""
        return {FIRM: state.needed}


class SpotHedge:
    """SkyServe's rules: N + extra on spot over active zones, on demand for what is short."""

    def __init__(self, extra: float) -> None:
        """`extra` copies as a share of what is needed, one at least."""
        self.name = f"spothedge+{extra:.0%}"
        self._extra = extra
        self._preempted: set[str] = set()
        self._seen: dict[str, int] = {}

    def wanted(self, state: State) -> Mapping[str, int]:
        """The zones' lists, then the counts."""
        self._note(state)
        extra = max(1, round(self._extra * state.needed))
        total = state.needed + extra
        found = {z.name: min(total, state.held(z.name)) for z in state.zones if state.up(z)}
        while sum(found.values()) > total:
            dearest = max((n for n in found if found[n]), key=lambda n: (self._price(state, n), n))
            found[dearest] -= 1
        while sum(found.values()) < total and found:
            active = [n for n in found if n not in self._preempted] or list(found)
            found[min(active, key=lambda n: (found[n], self._price(state, n), n))] += 1
        ready = sum(min(state.ready(n), found[n]) for n in found)
        self._seen = dict(found)
        return {**found, FIRM: min(state.needed, max(0, total - ready))}

    def _note(self, state: State) -> None:
        """A loss or a failed launch takes a zone off the active list, success puts it back."""
        for zone in state.zones:
            if not state.up(zone):
                self._preempted.add(zone.name)
            elif state.ready(zone.name):
                self._preempted.discard(zone.name)
        if len(state.zones) - len(self._preempted) < 2:
            self._preempted.clear()

    def _price(self, state: State, name: str) -> float:
        return next(z.price[state.tick] for z in state.zones if z.name == name)
