"""The operator's look: what we hold is not gone, and leases tell how long places last."""

from dataclasses import replace
from decimal import Decimal

from overspill.core.filters import Market
from overspill.core.lease import Lease
from overspill.core.policy_looks import look
from overspill.core.policy_past import Gang, Past, losses_of, place_of
from overspill.core.pricing import UNTOLD, mtbf_of
from overspill.core.vocabulary import ClosingReason, LeaseState
from overspill.testing.placing import AKASH, HOME, HOUR, NOW, make_job, make_lease, node, rent

AT_HOME = frozenset({"home"})
JOB = make_job()


def lost(number: int, hours: int = 5) -> Lease:
    lease = make_lease(JOB, rent("a1"), LeaseState.CLOSED, ended=ClosingReason.LOST)
    return replace(lease, uid=f"u{number}", active_since=NOW - hours * HOUR, closed_at=NOW)


def test_what_we_hold_at_a_market_counts_as_there() -> None:
    taken = rent("a1", unavailable_reason="rented")
    held = make_lease(JOB, rent("a1"), LeaseState.ACTIVE)
    past = look(Past(), [taken], [held], AT_HOME, NOW)
    (track,) = past.tracks.values()
    assert track.holds(track.changes[0], Gang(1, 1))


def test_what_we_use_at_home_is_as_busy_as_any_other() -> None:
    held = make_lease(JOB, node("n1", 0), LeaseState.ACTIVE)
    past = look(Past(), [node("n1", 0)], [held], AT_HOME, NOW)
    (track,) = past.tracks.values()
    assert not track.holds(track.changes[0], Gang(1, 1))


def test_the_ledger_tells_lives_after_a_restart() -> None:
    running = replace(lost(2), state=LeaseState.ACTIVE, closing=None, closed_at=None)
    past = look(Past(), [rent("a1")], [lost(1), running], AT_HOME, NOW)
    (lives,) = past.lives.values()
    assert sorted((one.hours, one.was_lost) for one in lives) == [(5.0, False), (5.0, True)]
    assert losses_of(past.lives, "akash") == (10.0, 1)


def test_a_lease_cut_from_a_divisible_offer_is_known_by_its_place() -> None:
    offer = rent("a1", "8", gpus=8, is_divisible=True)
    cut = replace(offer, gpu_count=2, is_divisible=False)
    lease = make_lease(JOB, cut, LeaseState.ACTIVE)
    past = look(Past(), [offer], [lease], AT_HOME, NOW)
    assert set(past.lives) == {place_of(offer, is_home=False)}


def test_a_lease_that_never_began_says_nothing() -> None:
    planned = make_lease(JOB, rent("a1"), LeaseState.PLANNED)
    assert look(Past(), [], [planned], AT_HOME, NOW).lives == {}


def market(node_hours: int, losses: int, *, told: int | None = None) -> Market:
    account = replace(AKASH, mtbf=None if told is None else told * HOUR)
    return Market(account, node_hours=Decimal(node_hours), losses=losses)


def test_without_a_loss_nothing_is_expected_of_an_account_that_told_nothing() -> None:
    assert mtbf_of(rent(), market(100, 0)) is None


def test_losses_shorten_what_was_told_and_quiet_hours_lengthen_it() -> None:
    assert mtbf_of(rent(), market(0, 0, told=40)) == 40 * HOUR
    assert mtbf_of(rent(), market(40, 3, told=40)) == 20 * HOUR
    assert mtbf_of(rent(), market(60, 0, told=40)) == 100 * HOUR


def test_a_first_loss_is_not_believed_alone() -> None:
    found = mtbf_of(rent(), market(1, 1))
    assert found is not None
    assert HOUR < found < UNTOLD


def test_home_is_named_by_its_account() -> None:
    past = look(Past(), [node("n1", 4)], [], frozenset({HOME.name}), NOW)
    assert [place.is_home for place in past.tracks] == [True]
