"""Operator and benchmark decide alike: the snapshot the engine gathers gets the benchmark's answer.

The engine's side is real: it looks at offers tick after tick, remembers, and gathers. The
benchmark's side is what its suites run. One job lives through a small world of places that come
and go; at every tick both are asked.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace

from benchmarks.placement.ours import CLASS, Overspill, now_of, past_of, place_in
from benchmarks.placement.simulate import View, run
from benchmarks.placement.world import Job, Place, World
from tests.unit.engine.world import World as EngineWorld

from overspill.core.decision import Decision
from overspill.core.placement import plan
from overspill.core.policy_knowledge import Tuning
from overspill.core.policy_looks import look
from overspill.core.policy_past import Past
from overspill.core.snapshot import Snapshot
from overspill.engine.accounts import Account
from overspill.engine.circuit import Circuit
from overspill.engine.gather import snapshot
from overspill.testing.clock import ManualClock

TICKS, TICK_S, START = 600, 600, 144


def _world() -> World:
    dice = random.Random(4)  # noqa: S311  (a small world, no secret)

    def flapping(stay: float) -> tuple[bool, ...]:
        state, found = True, []
        for _ in range(TICKS):
            state = state if dice.random() < stay else not state
            found.append(state)
        return tuple(found)

    places = (
        Place("own", "own", "home", flapping(0.9), (0.8,) * TICKS),
        Place("seller", "p2p", "market", flapping(0.97), (6.0,) * TICKS),
        Place("cloud", "ondemand", "cloud", (True,) * TICKS, (20.0,) * TICKS),
    )
    egress = {("cloud", "home"): 4.5, ("market", "home"): 1.0, ("home", "market"): 1.0}
    return World("small tiers", TICK_S, places, egress)


class _Both:
    """Asks both ways at every tick and keeps the answers."""

    name = "both"

    def __init__(self, world: World) -> None:
        self.ours, self.answers = Overspill(), list[tuple[Decision, Decision]]()
        self.engine = EngineWorld()
        self.engine.put(CLASS)
        for tick in range(START):
            self._watch(View(world, Job(0, 1, 1, 720), tick, up=[p.up[tick] for p in world.places]))

    def choose(self, view: View) -> int | None:
        mine = self.ours.snapshot(view)
        theirs = self._gathered(view, mine)
        pair = plan(mine, now_of(view))[0], plan(theirs, now_of(view))[0]
        self.answers.append(pair)
        return place_in(view, pair[0])

    def _watch(self, view: View) -> None:
        """Before the job came the operator looked at the same offers."""
        seen, engine = self.ours.snapshot(view), self.engine.engine
        before = engine.memory.past
        engine.memory.past = look(before, seen.offers, (), frozenset(), now_of(view))

    def _gathered(self, view: View, shown: Snapshot) -> Snapshot:
        world, engine = self.engine, self.engine.engine
        engine.clock = ManualClock(now_of(view))
        world.cluster.leases.clear()
        world.put(*shown.jobs, *shown.leases)
        for offer in shown.offers:
            spec = shown.accounts[offer.provider]
            account = Account(spec, None, Circuit(spec.name), offers=(offer,))
            engine.accounts.by_name[spec.name] = account
        found = asyncio.run(snapshot(engine))
        # The traces have no ledger of earlier leases, and a move checkpoints first there.
        return replace(found, facts=shown.facts, past=replace(found.past, lives={}))


def test_operator_and_benchmark_decide_alike_through_a_whole_job() -> None:
    both = _Both(_world())
    outcome = run(_world(), Job(START, 216, 24 * 3600, 720), both)
    assert not outcome.missed
    assert outcome.moves > 1
    assert len(both.answers) > 100
    assert len({(mine.action, mine.offer and mine.offer.provider) for mine, _ in both.answers}) > 4
    for mine, theirs in both.answers:
        assert mine == theirs


def test_what_the_operator_remembers_is_what_the_benchmark_reads() -> None:
    world, past = _world(), Past()
    both = Overspill()
    for tick in range(300):
        view = View(world, Job(0, 1, 1, 720), tick, up=[p.up[tick] for p in world.places])
        past = look(past, both.snapshot(view).offers, (), frozenset(), now_of(view))
    assert past == past_of(world, 299, Tuning())
