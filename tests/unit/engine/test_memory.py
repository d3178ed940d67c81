"""What is remembered between two looks: ages on our own clock, nothing of what is gone."""

from dataclasses import fields, replace

import pytest

from overspill.core.lease import Lease, Permit
from overspill.core.observation import HeldLease, Observation
from overspill.core.reasons import Reason
from overspill.core.vocabulary import LeaseState, Phase
from overspill.engine.memory import Drain, Memory, StepMemo
from overspill.testing.placing import NOW, make_job, make_lease, rent

LEASE = make_lease(make_job(), rent("a1"), LeaseState.OPENING)
UNKEYED = ("past", "past_kept_at", "past_kept_until", "shelf")
"""Kept by place, by look and by batch."""
RUNNING, UNKNOWN = Observation(Phase.RUNNING), Observation(Phase.UNKNOWN)


def permitted(seq: int) -> Lease:
    return replace(LEASE, permit=Permit(seq, "a", 1, NOW, NOW))


def test_the_age_of_a_phase_counts_from_its_first_sighting() -> None:
    memory = Memory()
    assert memory.note("x", RUNNING, 10)
    assert not memory.note("x", RUNNING, 20)
    assert memory.seen["x"].phase_since == 10
    assert memory.note("x", UNKNOWN, 30)
    assert memory.seen["x"].phase_since == 30
    assert memory.phase("x") is Phase.UNKNOWN
    assert memory.phase("y") is None


def test_whatever_is_seen_is_not_missing() -> None:
    memory = Memory()
    memory.missing_since["x"] = 5
    memory.note("x", UNKNOWN, 10)
    assert memory.missing_since == {}


def test_quarantine_counts_from_when_we_first_read_this_permit() -> None:
    memory = Memory()
    assert memory.quarantine_left(permitted(1), 80, 1000) == 80
    assert memory.quarantine_left(permitted(1), 80, 1030) == 50
    assert memory.quarantine_left(permitted(1), 80, 2000) == 0


def test_another_permit_starts_another_quarantine() -> None:
    memory = Memory()
    memory.quarantine_left(permitted(1), 80, 1000)
    assert memory.quarantine_left(permitted(2), 80, 1070) == 80


def test_a_restart_waits_again_in_full() -> None:
    Memory().quarantine_left(permitted(1), 80, 1000)
    assert Memory().quarantine_left(permitted(1), 80, 1070) == 80


def test_without_a_permit_nothing_was_sent() -> None:
    assert Memory().quarantine_left(LEASE, 80, 1000) == 0


@pytest.mark.parametrize("stays", [[(0.0, "a"), (30.0, "b"), (59.0, "a")]])
def test_losses_are_counted_by_lease_within_a_minute(stays: list[tuple[float, str]]) -> None:
    memory = Memory()
    memory.losses.extend(stays)
    assert memory.lost_lately(60) == 2
    assert memory.lost_lately(100) == 1
    assert memory.lost_lately(200) == 0


def test_nothing_is_kept_of_a_lease_that_is_no_more() -> None:
    memory, name = Memory(), LEASE.name
    memory.first_read[(name, 1)] = 1.0
    memory.first_read[("other", 1)] = 1.0
    memory.steps[name] = StepMemo(1, None, next_costs=True)
    memory.note(name, RUNNING, 1)
    memory.opened_at[name] = memory.absences[name] = memory.lost_since[name] = 1.0
    memory.missing_since[name] = 1.0
    memory.bills[name] = HeldLease(None, True)  # type: ignore[arg-type]  # only kept
    memory.drains[name] = Drain(1.0, "")
    memory.degraded[name] = (Reason.MARKET_UNREACHABLE, "")
    memory.near_ceiling.add(name)
    memory.forget_lease(name)
    for table in (t for t in fields(memory) if t.name not in UNKEYED):
        kept = getattr(memory, table.name)
        assert name not in kept, table.name
    assert list(memory.first_read) == [("other", 1)]
