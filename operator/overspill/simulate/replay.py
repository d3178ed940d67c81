"""Runs a history under one scenario: events of the past in, decisions of `plan()` out, bills kept.

The operator decides in batches, so does this: every `step_s` of the history's clock at most, and
only when something happened. What happens in between (a job that ends, a node that fails) happens
at its own second. Called by `overspill simulate` and by the benchmark's fleet suite.
"""

import hashlib
import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from typing import Any

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.placement import plan
from overspill.core.policy_looks import look
from overspill.core.policy_past import Past
from overspill.core.reasons import Reason
from overspill.core.snapshot import JobFacts, Snapshot
from overspill.core.vocabulary import Burst
from overspill.simulate.attempts import Running, Stay, running, told, told_anew
from overspill.simulate.history import History
from overspill.simulate.ledger import Ledger
from overspill.simulate.scenario import Scenario
from overspill.simulate.supply import HOME, Supply
from overspill.simulate.waiting import Waiting

Tell = Callable[[int, float], None]
"""Told now and then: jobs that have ended, the second of the history."""

_TOO_LATE = (str(Reason.DEADLINE_UNREACHABLE), str(Reason.DEADLINE_PASSED))
_PATIENCE_S = 180 * 86400
"""A job that finds no place for so long after the last one came never will."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How finely time is cut."""

    step_s: float = 60.0
    review_s: float = 3600.0
    """How often it is asked whether a rented job should move."""


@dataclass(frozen=True)
class Outcome:
    """What became of every job."""

    scenario: Scenario
    history: History
    runs: Sequence[Running]
    end_s: float
    plans: int
    """How often `plan()` was asked."""


def replay(
    history: History, scenario: Scenario, pace: Pace | None = None, tell: Tell | None = None
) -> Outcome:
    """The history under a scenario, from its first job until its last has ended."""
    return _Replay(history, scenario, pace or Pace(), tell or (lambda _done, _second: None)).run()


@dataclass
class _Replay:
    history: History
    scenario: Scenario
    pace: Pace
    tell: Tell
    events: list[tuple[float, int, str, Any]] = field(default_factory=list)
    order: Iterator[int] = field(default_factory=count)
    plans: int = 0
    done: int = 0
    home_grew: bool = True
    markets_changed: bool = False
    past: Past = field(default_factory=Past)
    reviews: list[tuple[float, int, Running, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.supply = Supply(self.history)
        self.runs = [running(j, self.history, self.scenario.changes) for j in self.history.jobs]
        priorities = {name: sla.priority for name, sla in self.scenario.classes.items()}
        self.waiting = Waiting(priorities)
        self.outside: dict[str, list[Running]] = defaultdict(list)
        self.inside: dict[str, list[Running]] = defaultdict(list)
        self.ledger = Ledger(self.history)
        self.firm = tuple(p.name for p in self.history.places if p.kind == "ondemand")
        self.last_submit_s = max((j.submit_s for j in self.history.jobs), default=0.0)
        self.to_come = len(self.runs)
        for run in self.runs:
            self._at(run.past.submit_s, "submit", run)
        first = min((r.past.submit_s for r in self.runs), default=0.0)
        for state in self.supply.places.values():
            self._follow(state.place.name, first)
        for fault in self.history.faults:
            self._at(fault.begin_s, "down", fault.node)
            self._at(fault.end_s, "up", fault.node)

    def run(self) -> Outcome:
        second = 0.0
        while self.done < len(self.runs) and not self._is_hopeless(second):
            second = self._next_look()
            self._happen(second)
            self._look(second)
            if self._must_ask(second):
                self._decide(second)
            self.tell(self.done, second)
        return Outcome(self.scenario, self.history, self.runs, second, self.plans)

    def _is_hopeless(self, second: float) -> bool:
        """Nobody runs, nobody comes, and nobody found a place for long."""
        if self.to_come or self.done + len(self.waiting) < len(self.runs):
            return False
        return second > self.last_submit_s + _PATIENCE_S or self._all_refused()

    def _all_refused(self) -> bool:
        return all(run.refused and run.now is None for run in self.waiting)

    def _next_look(self) -> float:
        """The next batch with anything in it; a time a decision named is kept to the second."""
        latest = self.last_submit_s + 2 * _PATIENCE_S
        nearest = self.events[0][0] if self.events else latest
        batch = math.ceil(nearest / self.pace.step_s - 1e-9) * self.pace.step_s
        wake = self.waiting.next_wake
        return batch if wake is None else min(batch, wake)

    # what happens by itself

    def _at(self, second: float, kind: str, subject: Any) -> None:
        heapq.heappush(self.events, (second, next(self.order), kind, subject))

    def _happen(self, until: float) -> None:
        while self.events and self.events[0][0] <= until:
            second, _, kind, subject = heapq.heappop(self.events)
            getattr(self, f"_on_{kind}")(second, subject)

    def _on_submit(self, _second: float, run: Running) -> None:
        self.to_come -= 1
        self.waiting.add(run)
        if run.past.deadline_s is not None:
            self._at(run.past.deadline_s, "late", run)

    def _on_end(self, second: float, subject: tuple[Running, int]) -> None:
        run, number = subject
        if run.now is not None and run.now.number == number:
            self._leave(run, second, run.past.work_s)
            run.finished_s = second
            self.done += 1

    def _on_fail(self, second: float, subject: tuple[Running, int]) -> None:
        run, number = subject
        if run.now is not None and run.now.number == number:
            self._lose(run, second)

    def _on_late(self, second: float, run: Running) -> None:
        if run.finished_s is not None or run.missed:
            return
        if run.now is not None and self.scenario.late_goes_out and run.now.place not in self.firm:
            self._leave(run, second, run.durable_s(second, planned=True))
        self._miss(run)

    def _on_place(self, second: float, name: str) -> None:
        state = self.supply.places[name]
        self.markets_changed = True
        while state.held > int(state.place.gpus.at(second)) and self.outside[name]:
            self._lose(self.outside[name][-1], second)
        self._follow(name, second)

    def _on_down(self, second: float, name: str) -> None:
        self.supply.nodes[name].down += 1
        for run in list(self.inside[name]):
            self._lose(run, second)

    def _on_room(self, _second: float, _run: Running) -> None:
        self.home_grew = True

    def _on_up(self, _second: float, name: str) -> None:
        self.supply.nodes[name].down -= 1
        self.home_grew = True

    def _follow(self, name: str, second: float) -> None:
        place = self.supply.places[name].place
        changes = (place.price.next_change(second), place.gpus.next_change(second))
        following = min((c for c in changes if c is not None), default=None)
        if following is not None:
            self._at(following, "place", name)

    # decisions

    def _must_ask(self, second: float) -> bool:
        wake = self.waiting.next_wake
        asks = self.home_grew or self.markets_changed or self.waiting.has_fresh
        due = bool(self.reviews) and self.reviews[0][0] <= second
        return asks or due or (wake is not None and wake <= second)

    def _decide(self, second: float) -> None:
        room = self.supply.free_at_home if self.home_grew else 0
        asked = self.waiting.to_ask(second, room, markets_changed=self.markets_changed)
        self.home_grew = self.markets_changed = False
        moving = self._to_review(second)
        if not asked and not moving:
            return
        self.plans += 1
        moving = [*moving, *self._tenants(asked)]
        by_name = {run.past.name: run for run in (*asked, *moving)}
        for decision in plan(self._snapshot(second, asked, moving), self.history.moment(second)):
            self._apply(second, by_name[decision.job.uid], decision)

    def _look(self, second: float) -> None:
        """Once a step the operator remembers what every place is like."""
        now = self.history.moment(second)
        if self.past.at(now) <= self.past.until and self.past.since is not None:
            return
        offers = self.supply.offers(second)
        self.past = look(self.past, offers, self.ledger.leases(), frozenset({HOME}), now)

    def _to_review(self, second: float) -> list[Running]:
        """Rented jobs whose time has come to be asked whether they should move."""
        found = []
        while self.reviews and self.reviews[0][0] <= second:
            _, _, run, number = heapq.heappop(self.reviews)
            if run.now is None or run.now.number != number:
                continue
            self._review_later(second, run)
            could_go_home = run.past.gpus <= self.supply.free_at_home
            if could_go_home or run.job.finish_by is not None:
                found.append(run)
        return found

    def _tenants(self, asked: Sequence[Running]) -> list[Running]:
        """Jobs at home that could make room for one of those asked."""
        if all(run.job.finish_by is None for run in asked):
            return []
        return list({r.past.name: r for runs in self.inside.values() for r in runs}.values())

    def _review_later(self, second: float, run: Running) -> None:
        assert run.now is not None  # noqa: S101  (asked of running jobs only)
        when = second + self.pace.review_s
        heapq.heappush(self.reviews, (when, next(self.order), run, run.now.number))

    def _snapshot(
        self, second: float, asked: Sequence[Running], moving: Sequence[Running]
    ) -> Snapshot:
        jobs, leases, facts = self._told(second, asked, moving)
        return Snapshot(
            jobs=tuple(jobs),
            leases=tuple(leases),
            offers=self.supply.offers(second),
            accounts=self.supply.accounts,
            classes=self.scenario.classes,
            facts=facts,
            past=self.past,
        )

    def _told(
        self, second: float, asked: Sequence[Running], moving: Sequence[Running]
    ) -> tuple[list[Job], list[Lease], Mapping[str, JobFacts]]:
        jobs = [told(r, self.history, r.done_s) if r.stays else r.job for r in asked]
        facts = {}
        for run in moving:
            durable = run.durable_s(second, planned=False)
            jobs.append(told_anew(run, self.history, durable))
            facts[run.past.name] = self._facts(run, second, durable)
        return jobs, [self.ledger.lease(run) for run in moving], facts

    def _facts(self, run: Running, second: float, durable_s: float) -> JobFacts:
        stay = run.now
        assert stay is not None  # noqa: S101  (asked of running jobs only)
        since = stay.begin_s + stay.start_s + max(0.0, durable_s - run.done_s)
        saved = self.history.moment(min(since, second)) if run.past.interval_s else None
        return JobFacts(running_lease=f"{run.past.name}-{stay.number}", last_checkpoint_at=saved)

    def _apply(self, second: float, run: Running, decision: Decision) -> None:
        if decision.action is Action.PLACE:
            self.waiting.remove(run)
            self._enter(run, second, decision)
        elif decision.action is Action.MOVE:
            self._move(run, second, decision)
        elif decision.action is Action.WAIT and run.now is not None:
            self._yield(run, second)
        elif run.now is None:
            self._keep_waiting(run, decision)

    def _keep_waiting(self, run: Running, decision: Decision) -> None:
        refused = decision.action is Action.REFUSE
        if refused and str(decision.reason) in _TOO_LATE:
            self._miss(run)
            return
        run.refused = decision.message if refused else ""
        if decision.wait_until is None:
            self.waiting.wake(run, None)
            return
        # "From now on" is answered once more a second later, not in this moment for ever.
        until = max(decision.wait_until, decision.decided_at + timedelta(seconds=1))
        self.waiting.wake(run, (until - self.history.origin).total_seconds())

    def _miss(self, run: Running) -> None:
        """The promise is broken, the work is not: it goes on without a finish-by."""
        run.missed = True
        changes: dict[str, Any] = {"finish_by": None}
        if self.scenario.late_goes_out:
            none = timedelta(0)
            changes |= {"burst": Burst.ALLOWED, "providers": self.firm, "burst_after": none}
        run.job = replace(run.job, **changes)
        if run.now is None:
            self.waiting.add(run)

    # coming and going

    def _enter(self, run: Running, second: float, decision: Decision) -> None:
        offer = decision.offer
        assert offer is not None  # noqa: S101  (whoever is placed has an offer)
        is_home = offer.provider == HOME
        number = len(run.stays) + 1
        nodes = tuple((offer.attribute("nodes") or offer.offer_id).split(",")) if is_home else ()
        place = None if is_home else self.supply.places[offer.provider].place
        run.now = Stay(
            number=number,
            place="" if place is None else place.name,
            nodes=nodes,
            begin_s=second,
            start_s=self.history.own_cold_start_s if place is None else place.cold_start_s,
            usd_per_hour=float(offer.price_usd_per_hour),
            offer=offer,
        )
        run.refused = ""
        run.stays.append(run.now)
        self._occupy(run, run.now, 1)
        self.ledger.opened(run)
        if place is not None:
            self._review_later(second, run)
        if place is not None and run.done_s:
            run.bill.egress += run.past.checkpoint_gib * place.egress_usd_per_gib
        fails = place is not None and _share(run.past.name, number) < place.boot_fail_share
        when = second + run.now.start_s if fails else run.ends_s
        self._at(when, "fail" if fails else "end", (run, number))

    def _occupy(self, run: Running, stay: Stay, sign: int) -> None:
        self.supply.take(stay.nodes, run.past.gpus_per_node, sign)
        lists = [self.inside[node] for node in stay.nodes]
        if stay.place:
            self.supply.places[stay.place].held += sign * run.past.gpus
            lists.append(self.outside[stay.place])
        for runs in lists:
            runs.append(run) if sign > 0 else runs.remove(run)

    def _leave(self, run: Running, second: float, durable_s: float, *, lost: bool = False) -> Stay:
        """Ends the present stay with this much durable work."""
        stay = run.now
        assert stay is not None  # noqa: S101  (only who runs can leave)
        run.charge(stay, second, durable_s - run.done_s)
        self.ledger.closed(run, second, lost=lost)
        run.done_s, run.now, stay.end_s = durable_s, None, second
        self._occupy(run, stay, -1)
        self.home_grew |= bool(stay.nodes)
        self.markets_changed |= bool(stay.place)
        return stay

    def _lose(self, run: Running, second: float) -> None:
        durable_s = run.durable_s(second, planned=False)
        self._leave(run, second, durable_s, lost=True).lost = True
        run.losses += 1
        run.moves += 1
        self.waiting.add(run)

    def _yield(self, run: Running, second: float) -> None:
        """It saves and leaves home to somebody who would rent dear; a batch later that is seen."""
        self._leave(run, second, run.durable_s(second, planned=True)).preempted = True
        run.preemptions += 1
        self.waiting.add(run)
        self._at(second + self.pace.step_s, "room", run)

    def _move(self, run: Running, second: float, decision: Decision) -> None:
        """The new place is ready first; the old one is charged until then."""
        left = self._leave(run, second, run.durable_s(second, planned=True))
        self._enter(run, second, decision)
        run.moves += 1
        assert run.now is not None  # noqa: S101  (it has just entered)
        twice = left.usd_per_hour * run.now.start_s / 3600
        run.bill.double += twice
        if left.place:
            run.bill.rented += twice
        else:
            run.bill.own += twice
        run.bill.wasted_gpu_h += run.past.gpus * run.now.start_s / 3600
        if left.place:
            old = self.supply.places[left.place].place
            run.bill.egress += run.past.checkpoint_gib * old.egress_usd_per_gib


def _share(name: str, number: int) -> float:
    """A share of one that looks like chance and is the same in every run."""
    digest = hashlib.sha256(f"{name}/{number}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
