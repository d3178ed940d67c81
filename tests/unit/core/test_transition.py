"""The life of a lease: what may follow what, and what no sequence of events can bring about."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from overspill.core import transition
from overspill.core.lease import Handle, Lease
from overspill.core.transition import ALLOWED, WANTED_STATES, IllegalTransitionError
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.testing.placing import HOUR, NOW, make_job, make_lease, rent

JOB = make_job()
HOLDER = ("replica-a", 3)
VALID = timedelta(seconds=20)
HANDLE = Handle("gl-train-1", "1234")


def lease(state: LeaseState = LeaseState.PLANNED, **changes: object) -> Lease:
    return replace(make_lease(JOB, rent("a1", "2"), state), **changes)  # type: ignore[arg-type]


STEPS = {
    LeaseState.OPENING: lambda le: transition.permitted(le, HOLDER, NOW, VALID, None),
    LeaseState.ACTIVE: lambda le: transition.active(le, HANDLE, None, NOW),
    LeaseState.UNCERTAIN: lambda le: transition.uncertain(le, "nobody can tell"),
    LeaseState.CLOSING: lambda le: transition.closing(le, ClosingReason.LOST, NOW),
    LeaseState.CLOSED: lambda le: transition.closed(le, NOW),
}
PAIRS = [(before, after) for before in LeaseState for after in STEPS]


@pytest.mark.parametrize(("before", "after"), PAIRS)
def test_only_what_the_protocol_allows_is_done(before: LeaseState, after: LeaseState) -> None:
    step = STEPS[after]
    if after in ALLOWED[before]:
        assert step(lease(before)).state is after
    else:
        with pytest.raises(IllegalTransitionError, match=f"{before} may not become {after}"):
            step(lease(before))


def test_closing_leads_to_closed_only_and_closed_to_nothing() -> None:
    assert ALLOWED[LeaseState.CLOSING] == (LeaseState.CLOSED,)
    assert ALLOWED[LeaseState.CLOSED] == ()
    assert LeaseState.CLOSING not in WANTED_STATES


def test_a_permit_carries_who_when_and_until() -> None:
    permit = transition.permitted(lease(), HOLDER, NOW, VALID, None).permit
    assert permit is not None
    assert (permit.seq, permit.holder, permit.leader_epoch) == (1, "replica-a", 3)
    assert (permit.issued_at, permit.not_after) == (NOW, NOW + VALID)


def test_a_new_permit_keeps_the_handle_unless_a_better_one_is_known() -> None:
    first = transition.permitted(lease(), HOLDER, NOW, VALID, HANDLE)
    assert transition.permitted(first, HOLDER, NOW, VALID, None).handle == HANDLE
    better = Handle("gl-train-1", "99")
    assert transition.permitted(first, HOLDER, NOW, VALID, better).handle == better


def test_an_active_lease_costs_what_the_market_said_else_what_was_offered() -> None:
    opened = transition.permitted(lease(), HOLDER, NOW, VALID, None)
    told = transition.active(opened, HANDLE, Decimal("1.75"), NOW)
    assert told.cost_usd(NOW + HOUR) == Decimal("1.75")
    assert transition.active(opened, HANDLE, None, NOW).cost_usd(NOW + HOUR) == Decimal(2)


def test_the_bill_of_the_market_replaces_our_reckoning() -> None:
    ended = transition.closing(lease(LeaseState.ACTIVE), ClosingReason.FINISHED, NOW)
    assert transition.closed(ended, NOW).cost_usd(NOW + HOUR) == Decimal(2)  # an hour at 2
    assert transition.closed(ended, NOW, Decimal("1.9")).cost_usd(NOW + HOUR) == Decimal("1.9")


def test_a_lost_home_lease_is_charged_until_it_was_lost() -> None:
    lost = transition.charging_stopped(lease(LeaseState.ACTIVE), NOW)
    ended = transition.closing(lost, ClosingReason.LOST, NOW)
    assert transition.closed(ended, NOW + 5 * HOUR).billed_usd == Decimal(2)


@pytest.mark.parametrize(("code", "reason"), [(0, "CommandSucceeded"), (137, "CommandFailed")])
def test_the_exit_code_outlives_memory(code: int, reason: str) -> None:
    ended = transition.finished(lease(LeaseState.ACTIVE), code, NOW)
    assert transition.exit_code_of(ended) == code
    assert ended.conditions[-1]["reason"] == reason
    assert ended.closing is not None
    assert ended.closing.reason is ClosingReason.FINISHED


def test_a_lease_that_did_not_finish_has_no_exit_code() -> None:
    lost = transition.closing(lease(LeaseState.ACTIVE), ClosingReason.LOST, NOW, "exit code 3")
    assert transition.exit_code_of(lost) is None


def test_a_condition_is_set_once() -> None:
    once = transition.with_condition(lease(), "Uncertain", "A", "first")
    twice = transition.with_condition(once, "Uncertain", "B", "second")
    assert [c["message"] for c in twice.conditions] == ["second"]


class LifeOfALease(RuleBasedStateMachine):
    """Any order of events, at any time, twice: whatever the state does not allow is refused."""

    def __init__(self) -> None:
        super().__init__()
        self.lease = lease()
        self.now = NOW
        self.seq = 0
        self.first_reason: ClosingReason | None = None
        self.cost = Decimal(0)

    def tried(self, after: LeaseState, step: Callable[[], Lease]) -> None:
        try:
            changed = step()
        except IllegalTransitionError:
            assert after not in ALLOWED[self.lease.state]
        else:
            assert after in ALLOWED[self.lease.state]
            self.lease = changed

    @rule(seconds=st.integers(0, 7200))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(holder=st.sampled_from(["a", "b"]), epoch=st.integers(1, 9))
    def somebody_asks_for_a_permit(self, holder: str, epoch: int) -> None:
        self.tried(
            LeaseState.OPENING,
            lambda: transition.permitted(self.lease, (holder, epoch), self.now, VALID, None),
        )

    @rule(price=st.one_of(st.none(), st.decimals("0.01", "9", places=2)))
    def the_market_says_yes(self, price: Decimal | None) -> None:
        self.tried(
            LeaseState.ACTIVE,
            lambda: transition.active(self.lease, HANDLE, price, self.now),
        )

    @rule()
    def nobody_can_tell(self) -> None:
        self.tried(LeaseState.UNCERTAIN, lambda: transition.uncertain(self.lease, "?"))

    @rule(reason=st.sampled_from(ClosingReason))
    def it_is_not_wanted_any_more(self, reason: ClosingReason) -> None:
        self.tried(LeaseState.CLOSING, lambda: transition.closing(self.lease, reason, self.now))
        if self.lease.closing and self.first_reason is None:
            self.first_reason = self.lease.closing.reason

    @rule(code=st.integers(0, 255))
    def the_command_ends(self, code: int) -> None:
        self.tried(LeaseState.CLOSING, lambda: transition.finished(self.lease, code, self.now))
        if self.lease.closing and self.first_reason is None:
            self.first_reason = self.lease.closing.reason

    @precondition(lambda self: self.lease.state is LeaseState.CLOSING)
    @rule(billed=st.one_of(st.none(), st.decimals("0", "50", places=4)))
    def it_is_proven_gone(self, billed: Decimal | None) -> None:
        self.lease = transition.closed(self.lease, self.now, billed)
        self.cost = Decimal(0)  # the bill replaces the reckoning

    @rule()
    def it_is_said_to_be_gone_out_of_turn(self) -> None:
        if self.lease.state is LeaseState.CLOSING:
            return
        with pytest.raises(IllegalTransitionError):
            transition.closed(self.lease, self.now)

    @invariant()
    def permits_only_grow(self) -> None:
        seq = self.lease.permit.seq if self.lease.permit else 0
        assert seq >= self.seq
        self.seq = seq

    @invariant()
    def the_first_reason_stands(self) -> None:
        if self.first_reason is not None:
            assert self.lease.state in (LeaseState.CLOSING, LeaseState.CLOSED)
            assert self.lease.closing is not None
            assert self.lease.closing.reason is self.first_reason

    @invariant()
    def nothing_is_asked_for_without_a_permit(self) -> None:
        if self.lease.state in (LeaseState.OPENING, LeaseState.UNCERTAIN):
            assert self.lease.permit is not None

    @invariant()
    def cost_never_falls(self) -> None:
        cost = self.lease.cost_usd(self.now)
        assert cost >= self.cost
        self.cost = cost


TestLifeOfALease = LifeOfALease.TestCase
TestLifeOfALease.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
