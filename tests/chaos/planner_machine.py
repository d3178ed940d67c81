"""L1: what may happen to the pure planner and to leases, in any order, on a virtual clock.

    .venv/bin/python -m benchmarks.chaos planner SEED     # the same examples again

Hypothesis chooses the rules; `planner_world` lives them; `planner_checks` judges every plan and
every moment. At the end of each history all is well again, and every job must come to its end.
"""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from overspill.core import transition
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.observation import Observation
from overspill.core.offer import GpuRequirements
from overspill.core.outcome import outcome
from overspill.core.placement import plan
from overspill.core.reasons import Condition
from overspill.core.sla import Budget
from overspill.core.snapshot import ProviderHealth
from overspill.core.transition import OPEN_STATES
from overspill.core.vocabulary import Burst, ClosingReason, Fencing, LeaseState
from overspill.core.vocabulary import Phase as Said
from overspill.testing.placing import HOUR, make_checkpoint, make_job, usd

from .planner_checks import check_plan, check_world
from .planner_world import CLASSES, PERMIT, Node, World, told

MODELS = ("h100", "a100-80gb")
STEPS = 50
MANY = 6
SAYINGS = (Said.RUNNING, Said.LOST, Said.LOST, Said.SUCCEEDED, Said.FAILED, Said.UNKNOWN, None)
"""What a place may say; None: the market does not know it any more."""
rates = st.sampled_from(("0.2", "0.7", "1", "1.37", "5")).map(Decimal)
caps = st.sampled_from((usd(200), usd(200), usd(40), usd(3), None))
chances = st.integers(0, 1000)
facts = st.fixed_dictionaries(
    {
        "gpu_model": st.sampled_from(MODELS),
        "is_divisible": st.booleans(),
        "is_firm": st.booleans(),
        "node_count": st.sampled_from((1, 1, 2)),
        "provider": st.sampled_from(("akash", "akash", "spots")),
        "unavailable_reason": st.sampled_from(("", "", "", "reserved by somebody else")),
        "min_billable": st.sampled_from((timedelta(0), HOUR, 5 * HOUR)),
        "mtbf": st.sampled_from((None, 20 * HOUR)),
        "egress_usd_per_gib": st.sampled_from((usd(0), usd("0.05"))),
    }
)


edits = st.one_of(
    st.fixed_dictionaries({"suspend": st.booleans()}),
    st.fixed_dictionaries({"max_total_usd": caps}),
    st.fixed_dictionaries({"burst": st.sampled_from(Burst)}),
    st.fixed_dictionaries({"sla_class": st.sampled_from(("", *CLASSES, "nobody"))}),
    st.fixed_dictionaries({"managed_by": st.sampled_from(("", "kueue.x-k8s.io/multikueue"))}),
    st.fixed_dictionaries({"finish_by": st.sampled_from((-HOUR, HOUR, 30 * HOUR))}),
)
accounts = st.one_of(
    st.tuples(st.sampled_from(("home", "akash", "spots", "suspended")), st.booleans()),
    st.tuples(st.just("limit"), st.sampled_from((None, 0, 2))),
    st.tuples(st.just("budget"), st.sampled_from((5, 60, 250))),
    st.tuples(st.just("stop"), st.sampled_from(("", "", "many look lost"))),
)


def mostly(plain: object, *others: object) -> st.SearchStrategy[Any]:
    """The plain value in half of the cases."""
    return st.sampled_from((*[plain] * len(others), *others))


@st.composite
def jobs(draw: st.DrawFn, number: int, now: datetime) -> Job:
    """Most of them fit somewhere, so that they compete."""
    finish = draw(mostly(None, 2 * HOUR, 30 * HOUR, -HOUR))
    job = make_job(f"j{number}", draw(st.sampled_from((1, 2, 4, 8))))
    return replace(
        job,
        gpu=GpuRequirements(job.gpu.count, draw(mostly((), ("h100",), MODELS))),
        num_nodes=draw(mostly(1, 2, 3)),
        sla_class=draw(mostly("", *CLASSES, "nobody")),
        burst=draw(mostly(Burst.ALLOWED, Burst.ONLY, Burst.NEVER)),
        max_total_usd=draw(caps),
        max_hourly_usd=draw(mostly(None, usd(6), usd(20))),
        work=draw(st.sampled_from((None, timedelta(0), HOUR, 3 * HOUR, 20 * HOUR))),
        finish_by=None if finish is None else now + finish,
        active_deadline=draw(mostly(None, 2 * HOUR)),
        checkpoint=draw(st.sampled_from((None, make_checkpoint()))),
        backoff_limit=draw(st.sampled_from((0, 2, 6))),
        max_moves=draw(mostly(20, 0, 2)),
        fencing=draw(mostly(Fencing.IMMEDIATE, Fencing.WAIT_FOR_POD)),
        retry_exit_codes=draw(st.sampled_from(((), (42,)))),
    )


class Planner(RuleBasedStateMachine):
    """One cluster, three accounts, and everything that may happen to them."""

    steps = 0
    """Rules lived through by all examples of this process."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.dice = random.Random(7)  # noqa: S311  (only shuffles; the same in every run)
        self.number = 0
        self.ends: dict[str, Condition] = {}

    @initialize(
        data=st.data(),
        nodes=st.sampled_from((0, 0, 1, 3)),
        offers=st.integers(1, 3),
        rate=rates,
        budget=st.sampled_from((None, None, 60, 250)),
    )
    def there_is_something(
        self, data: st.DataObject, nodes: int, offers: int, rate: Decimal, budget: int | None
    ) -> None:
        if budget is not None:
            self._budget(budget)
        for _ in range(2):
            self.a_job_comes(data, same_name=False)
        for n in range(nodes):
            self.world.nodes[f"n{n}"] = Node(8, MODELS[n % 2], rate)
        for n in range(offers):
            self.world.refresh(f"a{n}", rate, (8, 16, 4)[n], gpu_model=MODELS[n % 2])

    # what people do

    @precondition(lambda self: len(self.world.jobs) < MANY)
    @rule(data=st.data(), same_name=st.booleans())
    def a_job_comes(self, data: st.DataObject, same_name: bool) -> None:
        self.number += 1
        job = data.draw(jobs(self.number, self.world.now))
        ref = replace(job.ref, name="same" if same_name else job.ref.name)
        self.world.jobs[job.ref.uid] = replace(job, ref=ref, created_at=self.world.now)

    @precondition(lambda self: len(self.world.jobs) == MANY)
    @rule(which=chances)
    def a_job_goes(self, which: int) -> None:
        del self.world.jobs[self._job(which).ref.uid]

    @precondition(lambda self: self.world.jobs)
    @rule(which=chances, change=edits)
    def a_job_is_edited(self, which: int, change: dict[str, object]) -> None:
        job = self._job(which)
        if "finish_by" in change:
            change = {"finish_by": self.world.now + change["finish_by"]}  # type: ignore[operator]  # a span until here
        self.world.jobs[job.ref.uid] = replace(job, generation=job.generation + 1, **change)  # type: ignore[arg-type]  # fields of Job

    # what becomes of the places to choose from

    @rule(which=st.integers(0, 1), price=rates, size=st.sampled_from((1, 4, 8, 16)), facts=facts)
    def an_offer_appears_or_changes(
        self, which: int, price: Decimal, size: int, facts: dict[str, object]
    ) -> None:
        # What an id stands for never changes its shape, only its price and whether it is free.
        shape = f"{facts['provider']}-{size}-{'shared' if facts['is_divisible'] else 'whole'}"
        self.world.refresh(f"{shape}-{which}", price, size, **facts)

    @precondition(lambda self: self.world.offers)
    @rule(which=chances)
    def an_offer_vanishes(self, which: int) -> None:
        del self.world.offers[sorted(self.world.offers)[which % len(self.world.offers)]]

    @rule(change=accounts)
    def an_account_or_a_limit_changes(self, change: tuple[str, object]) -> None:
        word, value = change
        world = self.world
        if word == "stop":
            world.stop_failover = str(value)
        elif word == "budget":
            self._budget(int(str(value)))
        elif word == "limit":
            world.accounts["akash"] = replace(world.accounts["akash"], max_leases=value)  # type: ignore[arg-type]  # a count
        elif word == "suspended":
            world.accounts["akash"] = replace(world.accounts["akash"], suspended=bool(value))
        else:
            world.health[word] = ProviderHealth(bool(value), "CircuitOpen", "it does not answer")

    @rule(which=st.integers(0, 3), word=st.sampled_from(("lost", "back", "comes")), rate=rates)
    def a_node_is_lost_or_back(self, which: int, word: str, rate: Decimal) -> None:
        name = f"n{which}"
        node = self.world.nodes.setdefault(name, Node(8, MODELS[which % 2], rate))
        node.is_healthy = word != "lost"
        if word != "lost":
            return
        for lease in self.world.on_node(name):
            if lease.state is LeaseState.ACTIVE:
                self.world.judge(lease, Observation(Said.LOST))

    # what the operator does

    @rule(share=st.sampled_from((100, 100, 100, 50)))
    def it_acts(self, share: int) -> None:
        """And dies after a part of what it decided."""
        found = self.world.planned()
        for decision in found[: (len(found) * share + 99) // 100]:
            self.world.apply(decision)

    @rule()
    def it_acts_and_places_open(self) -> None:
        self.it_acts(100)
        for lease in self.world.in_state(*OPEN_STATES):
            self.world.open(lease, None)

    @rule(tells=st.booleans())
    def it_looks_after_leases(self, tells: bool) -> None:
        self.world.look_after()
        if tells:
            self.it_tells()

    @rule(span=st.sampled_from((1, 20, 90, 90, 300, 1800, 7200)))
    def time_passes(self, span: int) -> None:
        self.world.pass_time(timedelta(seconds=span))

    # what places do

    @precondition(lambda self: self.world.in_state(*OPEN_STATES))
    @rule(which=chances, above=st.sampled_from(("1", "0.9", "1.01", "1.2")))
    def a_lease_opens(self, which: int, above: str) -> None:
        lease = self._lease(which, *OPEN_STATES)
        price = lease.max_usd_per_hour * Decimal(above)
        self.world.open(lease, None if lease.is_home else price)

    @precondition(lambda self: self.world.in_state(*OPEN_STATES))
    @rule(which=chances, word=st.sampled_from(("asked", "refused", "doubtful")))
    def a_lease_does_not_open(self, which: int, word: str) -> None:
        lease = self._lease(which, *OPEN_STATES)
        if word == "refused":
            self.world.exclude(lease)
            self.world.close(lease, ClosingReason.REJECTED)
        elif not lease.is_home:
            asked = transition.permitted(lease, ("a", 1), self.world.now, PERMIT, None)
            self.world.put(asked if word == "asked" else transition.uncertain(asked, "?"))

    @precondition(lambda self: self.world.in_state(LeaseState.UNCERTAIN))
    @rule(which=chances, is_there=st.booleans())
    def a_person_resolves(self, which: int, is_there: bool) -> None:
        lease = self._lease(which, LeaseState.UNCERTAIN)
        if is_there:
            self.world.open(lease, None)
        else:
            self.world.close(lease, ClosingReason.REJECTED)

    @precondition(lambda self: self.world.in_state(LeaseState.ACTIVE))
    @rule(which=chances, phase=st.sampled_from(SAYINGS), code=st.sampled_from((1, 42)))
    def a_place_says(self, which: int, phase: Said | None, code: int) -> None:
        lease = self._lease(which, LeaseState.ACTIVE)
        if phase is None:
            self.world.judge(lease, None, missing=True)
            return
        exit_code = {Said.SUCCEEDED: 0, Said.FAILED: code}.get(phase)
        self.world.judge(lease, Observation(phase, exit_code=exit_code))

    # what must hold

    @invariant()
    def the_world_is_sound(self) -> None:
        type(self).steps += 1
        check_world(self.world)
        for uid, job in self.world.jobs.items():
            end = outcome(job, self.world.of(job))
            before = self.ends.get(uid)
            if before is not None:
                assert end is not None, f"{uid} had ended as {before} and goes on"
                assert end.condition is before, f"{uid} ended twice"
            elif end is not None:
                self.ends[uid] = end.condition

    @invariant()
    def a_plan_keeps_its_promises(self) -> None:
        found = self.world.planned()
        check_plan(self.world, found)
        if self.steps % 4 == 0:
            again = plan(self.world.shuffled(self.dice), self.world.now)
            answers = {d.job.uid: d for d in again}
            assert {d.job.uid: d for d in found} == answers, "the order of what is seen matters"

    def teardown(self) -> None:
        """All is well from here on: every job must come to an end, or wait for a person."""
        world = self.world
        world.health, world.stop_failover, world.excluded = {}, "", {}
        world.budget = None
        for name, account in world.accounts.items():
            world.accounts[name] = replace(account, suspended=False, max_leases=None)
        for lease in world.in_state(LeaseState.UNCERTAIN):
            world.close(lease, ClosingReason.REJECTED)
        for uid, job in world.jobs.items():
            world.jobs[uid] = replace(job, suspend=False, managed_by="")
        self._plenty()
        for _ in range(12):
            self._one_calm_hour()
        left = [job for job in world.jobs.values() if outcome(job, world.of(job)) is None]
        found = {d.job.uid: d for d in world.planned()}
        for job in left:
            decision = found[job.ref.uid]
            assert decision.action.value == "Refuse", f"neither ended nor refused: {decision}"
            assert not world.wanted(job), "refused beside an attempt that runs"

    def _plenty(self) -> None:
        for n in range(3):
            for model in MODELS:
                self.world.nodes[f"rich-{model}-{n}"] = Node(64, model, Decimal("0.1"))
                self.world.refresh(f"rich-{model}-{n}", Decimal("0.1"), 24, gpu_model=model,
                                   node_count=3, is_divisible=True)  # fmt: skip

    def _one_calm_hour(self) -> None:
        world = self.world
        world.look_after()
        for decision in world.planned():
            world.apply(decision)
        for lease in world.in_state(LeaseState.PLANNED, LeaseState.OPENING):
            world.open(lease, None)
        for lease in world.in_state(LeaseState.ACTIVE):
            world.judge(lease, Observation(Said.SUCCEEDED, exit_code=0))
        self.it_tells()
        world.pass_time(HOUR)
        self.the_world_is_sound()

    def it_tells(self) -> None:
        """Statuses are written, later than the ledger knows."""
        for uid, job in self.world.jobs.items():
            self.world.jobs[uid] = told(job, self.world.of(job))

    def _job(self, which: int) -> Job:
        return list(self.world.jobs.values())[which % len(self.world.jobs)]

    def _lease(self, which: int, *states: LeaseState) -> Lease:
        found = self.world.in_state(*states)
        return found[which % len(found)]

    def _budget(self, limit: int) -> None:
        """A budget that comes later than leases would not know of their dollars."""
        if self.world.budget is not None:
            self.world.budget = replace(self.world.budget, limit_usd=usd(limit))
        elif all(le.is_home for le in self.world.leases.values()):
            self.world.budget = Budget("team", "month", usd(limit))


def lived(number: int, examples: int = 40, *, shrinks: bool = True) -> tuple[int, str]:
    """So many histories from one seed: (steps, "" or what was violated)."""
    Planner.steps = 0
    machine = seed(number)(type(f"Planner{number}", (Planner,), {}))
    try:
        run_state_machine_as_test(machine, settings=profile(examples, shrinks=shrinks))
    except Exception as error:  # noqa: BLE001  (whatever a history shows is to be told)
        notes = "\n".join(getattr(error, "__notes__", ()))
        return machine.steps, f"{type(error).__name__}: {error}\n{notes}"
    return machine.steps, ""


def profile(examples: int, *, shrinks: bool = True) -> settings:
    """Reproducible by its seed alone: no example database, no wall-clock limits."""
    last = (Phase.shrink,) if shrinks else ()
    return settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=(Phase.generate, *last),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
