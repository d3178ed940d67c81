"""The money of a service: all copies together never commit more than its budget, whatever happens.

The machine interleaves two leaders that read early and write late, crashes, scaling, edits and
deletions by hand. Nothing in it tells a leader what the other one does but the recorded objects.
"""

import random
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.core.copies import copy_name
from overspill.core.copies_money import (
    Books,
    Record,
    Stand,
    caps_of,
    divide,
    exceeded,
    least_needed,
    next_record,
    record_document,
    shares_of,
)
from overspill.core.cost import spent_usd
from overspill.core.job import Job
from overspill.core.lease import JobRef, Lease
from overspill.core.vocabulary import Burst, LeaseState, Workload
from overspill.testing.placing import NOW, decide, make_job, make_lease, rent, usd

ZERO = Decimal(0)


def stand(copy: int, granted: str, used: str = "0", *, is_wanted: bool = True) -> Stand:
    return Stand(copy, usd(granted), usd(used), is_wanted)


@pytest.mark.parametrize(
    ("stands", "found"),
    [
        pytest.param([stand(0, "90"), stand(1, "0")], ["45", "0"], id="lowered before it is given"),
        pytest.param([stand(0, "45"), stand(1, "0")], ["45", "45"], id="then given"),
        pytest.param([stand(0, "90", "90"), stand(1, "0")], ["90", "0"], id="what runs keeps its"),
        pytest.param(
            [stand(0, "45"), stand(1, "45", "5", is_wanted=False)],
            ["45", "5"],
            id="who is not wanted keeps what it spent",
        ),
        pytest.param(
            [stand(0, "45"), stand(1, "5", "5", is_wanted=False)], ["85", "5"], id="and the rest is"
        ),
        pytest.param([stand(0, "70", "60"), stand(1, "10")], ["60", "20"], id="who used more than"),
        pytest.param([stand(0, "100", "100")], ["100"], id="a budget that was lowered"),
    ],
)
def test_a_limit_of_ninety_is_divided(stands: list[Stand], found: list[str]) -> None:
    assert list(divide(usd(90), stands).values()) == [usd(part) for part in found]


def test_a_part_that_buys_nothing_goes_to_fewer_copies_the_lowest() -> None:
    three = [stand(0, "30"), stand(1, "30"), stand(2, "30")]
    assert list(divide(usd(90), three, usd(40)).values()) == [usd(30), usd(30), usd(0)]
    then = [stand(0, "30"), stand(1, "30"), stand(2, "0")]
    assert list(divide(usd(90), then, usd(40)).values()) == [usd(45), usd(45), usd(0)]
    assert list(divide(usd(90), [stand(0, "90"), stand(1, "0")], usd(99)).values()) == [90, 0]


def test_who_was_refused_for_its_price_says_what_a_copy_needs() -> None:
    job = make_job(burst=Burst.ONLY, max_hourly_usd=usd(1))
    assert least_needed([decide(job, rent("a", "3"), rent("b", "2"))]) == {"maxHourlyUSD": 2}
    poor = make_job(burst=Burst.ONLY, max_total_usd=usd(1))
    assert least_needed([decide(poor, rent("b", "2"))]) == {"maxTotalUSD": 3}
    assert least_needed([decide(make_job(burst=Burst.ONLY), rent("b", "2"))]) == {}


def test_a_copy_that_was_deleted_counts_with_its_part() -> None:
    share = {"number": 1, "uid": "uid-was", "maxTotalUSD": "30"}
    own = {"number": 0, "uid": "uid-chat", "maxTotalUSD": "30"}
    job = make_service(90, {"shares": [own, share]})
    record = next_record({0: job}, frozenset({0, 1}), Books({}), NOW)
    assert record.gone == {"uid-was": 30}
    assert {k: s.max_total_usd for k, s in record.shares.items()} == {0: 30, 1: 30}


def test_once_its_leases_are_closed_a_deleted_copy_counts_with_what_it_cost() -> None:
    was = replace(make_job("chat-1"), ref=JobRef("team", "chat-1", "uid-was"))
    closed = make_lease(was, rent(), LeaseState.CLOSED, billed_usd=usd(4))
    gone = [{"uid": "uid-was", "maxTotalUSD": "30"}]
    job = make_service(90, {"shares": [], "gone": gone})
    for leases, counts in (
        ([closed], 4),
        ([replace(closed, attempt=2)], 30),
        ([closed, replace(closed, state=LeaseState.CLOSING, attempt=2)], 30),
    ):
        record = next_record({0: job}, frozenset({0}), Books({}, leases), NOW)
        assert record.gone == {"uid-was": counts}
    forgotten = next_record({0: job}, frozenset({0}), Books({}), NOW)
    assert (forgotten.gone, forgotten.gone_usd) == ({}, 30)


def test_nobody_is_given_anything_while_no_copy_is_wanted() -> None:
    own = {"number": 0, "uid": "uid-chat", "maxTotalUSD": "30"}
    job = make_service(90, {"shares": [own]})
    assert next_record({0: job}, frozenset(), Books({}), NOW).shares == shares_of(job)


def make_service(budget: int, copies: dict[str, object] | None = None) -> Job:
    status = {"copies": copies} if copies else {}
    job = make_job("chat", workload=Workload.INFERENCE, max_total_usd=usd(budget), status=status)
    return replace(job, max_hourly_usd=usd(budget))


@dataclass
class Leader:
    """What one leader has read and not yet written."""

    record: tuple[str, Record] | None = None
    seen: tuple[Job, dict[int, Job]] | None = None


class Money:
    """The recorded objects, two leaders with old views of them, and dice that say what is next."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)  # noqa: S311  (seeded, reproducible on purpose)
        self.version = self.uids = 0
        self.job = make_service(90)
        self.copies: dict[int, Job] = {}
        self.leases: dict[str, Lease] = {}
        self.sent: set[str] = set()
        self.most = usd(90)
        self.least = ZERO
        self.taken = ZERO
        self.leaders = [Leader(), Leader()]

    def run(self, steps: int) -> None:
        self._edit(replicas=self.dice.randint(1, 4))
        acts = {
            self.scale: 2, self.budget: 1, self.price: 1, self.delete: 1, self.look: 2,
            self.reckon: 4, self.record: 5, self.make_and_mirror: 3, self.plan: 6, self.open: 6,
            self.end: 3, self.crash: 1, self.settle: 2, self.forget: 1,
        }  # fmt: skip
        for act in self.dice.choices(list(acts), list(acts.values()), k=steps):
            act()
            self.the_budget_holds()

    # what people do

    def scale(self) -> None:
        self._edit(replicas=self.dice.randint(0, 4))

    def budget(self) -> None:
        limit = usd(self.dice.randint(30, 120))
        self.most = max(self.most, limit)
        self._edit(max_total_usd=limit, max_hourly_usd=limit)

    def price(self) -> None:
        self.least = usd(self.dice.choice([0, 0, 25, 50]))

    def delete(self) -> None:
        if self.copies:
            gone = self.copies.pop(self.dice.choice(sorted(self.copies)))
            for lease in self._of(gone):
                self._close(lease)

    # what leaders do: read now, write later, or never

    def look(self) -> None:
        self.dice.choice(self.leaders).seen = (self.job, dict(self.copies))

    def reckon(self) -> None:
        """The leases are listed now, after the record was seen."""
        leader, (job, copies) = self._somebody()
        if any(  # the API server is asked before a part is given up
            k and k not in copies and k in self.copies and self.copies[k].ref.uid == s.uid
            for k, s in shares_of(job).items()
        ):
            return
        members = {0: job, **copies}
        wanted = frozenset(range(job.replicas))
        found = next_record(members, wanted, self._books(members), NOW)
        leader.record = (job.resource_version, found)

    def record(self) -> None:
        """By compare-and-swap."""
        leader = self.dice.choice(self.leaders)
        found, leader.record = leader.record, None
        if found is not None and found[0] == self.job.resource_version:
            self._edit(status={"copies": record_document(found[1])})

    def make_and_mirror(self) -> None:
        """The copies' own specs say what the record said when somebody looked."""
        _, (job, _) = self._somebody()
        for number, share in shares_of(job).items():
            if 0 < number < job.replicas:
                known = self.copies.get(number) or self._made(number)
                caps = {"max_total_usd": share.max_total_usd}
                caps["max_hourly_usd"] = share.max_hourly_usd
                self.copies[number] = replace(known, **caps)

    def plan(self) -> None:
        """By the caps that were seen, also by one who does not know that they were lowered."""
        _, (job, copies) = self._somebody()
        for copy in (job, *copies.values()):
            self._plan(copy, Decimal(self.dice.choice(["0.4", "1", "1"])))

    def open(self) -> None:
        """Copy 0 is read now, and what is sent is sent then."""
        jobs = {j.ref.uid: j for j in (self.job, *self.copies.values())}
        for lease in self._some(LeaseState.PLANNED):
            job = jobs.get(lease.job.uid)
            if job is None or exceeded(self.job, job, lease, self._of(job), NOW):
                self._close(lease)
            else:
                self.leases[lease.name] = replace(lease, state=LeaseState.ACTIVE)
                self.sent.add(lease.name)

    def end(self) -> None:
        for lease in self._some(LeaseState.ACTIVE):
            spent = lease.max_total_usd * Decimal(self.dice.choice(["0.1", "1"]))
            self._close(replace(lease, billed_usd=spent))

    def forget(self) -> None:
        """The ledger's retention: of jobs that are gone, the oldest first."""
        uids = {j.ref.uid for j in (self.job, *self.copies.values())}
        old = [n for n, x in sorted(self.leases.items()) if x.job.uid not in uids]
        closed = [n for n in old if self.leases[n].state is LeaseState.CLOSED]
        if closed:
            self.taken += self.leases.pop(closed[0]).billed_usd or ZERO

    def crash(self) -> None:
        self.leaders[self.dice.randint(0, 1)] = Leader()

    def settle(self) -> None:
        """What a leader does again and again comes to rest, and its copies are made."""
        self._until_at_rest()
        members = shares_of(self.job)
        for number, share in members.items():
            if 0 < number < self.job.replicas:
                known = self.copies.get(number) or self._made(number)
                caps = (share.max_total_usd, share.max_hourly_usd)
                self.copies[number] = replace(known, max_total_usd=caps[0], max_hourly_usd=caps[1])
        self._until_at_rest()

    def the_budget_holds(self) -> None:
        bound = [self.leases[name] for name in self.sent if name in self.leases]
        ended = (x.billed_usd or ZERO for x in bound if x.state is LeaseState.CLOSED)
        spent = sum(ended, self.taken)
        active = [x for x in bound if x.state is LeaseState.ACTIVE]
        assert spent + sum((x.max_total_usd for x in active), ZERO) <= self.most
        assert sum((x.max_usd_per_hour for x in active), ZERO) <= self.most

    def _until_at_rest(self) -> None:
        for _ in range(5):
            before = self.job.status
            members = {0: self.job, **self.copies}
            wanted = frozenset(range(self.job.replicas))
            found = next_record(members, wanted, self._books(members), NOW)
            told = {"copies": record_document(found)}
            if before == told:
                return
            self._edit(status=told)
        raise AssertionError(f"still not at rest: {before}")

    def _somebody(self) -> tuple[Leader, tuple[Job, dict[int, Job]]]:
        """One of the leaders, who looks anew, or acts on what was seen last."""
        leader = self.dice.choice(self.leaders)
        if leader.seen is None or self.dice.random() < 0.5:
            leader.seen = (self.job, dict(self.copies))
        return leader, leader.seen

    def _some(self, state: LeaseState) -> list[Lease]:
        found = [x for _, x in sorted(self.leases.items()) if x.state is state]
        return [x for x in found if self.dice.random() < 0.6]

    def _edit(self, **changes: Any) -> None:
        self.version += 1
        self.job = replace(self.job, resource_version=f"v{self.version}", **changes)

    def _made(self, number: int) -> Job:
        self.uids += 1
        name = copy_name("chat", number)
        job = make_job(name, workload=Workload.INFERENCE, owner_name="chat")
        ref = JobRef("team", name, f"uid-{self.uids}")
        return replace(job, ref=ref, owner_uid=self.job.ref.uid)

    def _plan(self, job: Job, part: Decimal) -> None:
        mine = self._of(job)
        hourly, total = caps_of(job)
        left = (total or ZERO) - spent_usd(job, mine, NOW)
        attempt = max((x.attempt for x in mine), default=0) + 1
        if left <= 0 or any(x.state is not LeaseState.CLOSED for x in mine):
            return
        name = f"{job.ref.uid}/{attempt}"
        caps = {"max_total_usd": left * part, "max_usd_per_hour": (hourly or ZERO) * part}
        lease = make_lease(job, rent(), LeaseState.PLANNED, attempt=attempt, **caps)
        self.leases[name] = replace(lease, name=name, billed_usd=ZERO)

    def _of(self, job: Job) -> list[Lease]:
        return [x for x in self.leases.values() if x.job.uid == job.ref.uid]

    def _close(self, lease: Lease) -> None:
        self.leases[lease.name] = replace(lease, state=LeaseState.CLOSED, closed_at=NOW)

    def _books(self, members: dict[int, Job]) -> Books:
        uids = {job.ref.uid for job in members.values()}
        rest = [x for x in self.leases.values() if x.job.uid not in uids]
        by_uid = {job.ref.uid: self._of(job) for job in members.values()}
        return Books(by_uid, rest, {"maxTotalUSD": self.least, "maxHourlyUSD": self.least})


@settings(max_examples=300, deadline=timedelta(seconds=5))
@given(seed=st.integers(0, 2**32))
def test_all_copies_together_keep_to_the_budget(seed: int) -> None:
    Money(seed).run(steps=80)
