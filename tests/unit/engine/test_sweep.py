"""The sweep ends what no record wants, on the second sighting, and nothing when in doubt."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overspill.core.lease import Handle, Lease
from overspill.core.observation import HeldLease
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import LeaseState, ProviderType
from overspill.engine.gate import GatedProvider
from overspill.engine.sweep import classify, sweep_once
from overspill.testing.market import FakeMarket, Held
from overspill.testing.placing import NOW, make_job, make_lease, rent
from overspill.testing.simulation import CLUSTER_ID

from .world import World

JOB = make_job()


def key(number: int) -> str:
    return f"gl-{CLUSTER_ID[:8]}-{number:018d}"


def record(number: int, state: LeaseState = LeaseState.ACTIVE, external_id: str = "") -> Lease:
    found = make_lease(JOB, rent("a1"), state, attempt=number)
    handle = Handle(key(number), external_id) if external_id else None
    return replace(found, name=key(number), uid=f"uid-{number}", handle=handle)


def held(number: int, external_id: str = "1", *, is_live: bool = True) -> HeldLease:
    return HeldLease(Handle(key(number), external_id), is_live, NOW)


def ids(found: Sequence[HeldLease]) -> list[str]:
    return [thing.handle.key for thing in found]


@pytest.mark.parametrize(
    "state", [s for s in LeaseState if s is not LeaseState.CLOSED], ids=lambda s: s.value
)
def test_what_a_record_still_cares_for_is_nobodys_orphan(state: LeaseState) -> None:
    found = classify([held(1)], [record(1, state)], CLUSTER_ID)
    assert (found.orphans, found.stop) == ([], "")


def test_what_is_recorded_as_gone_and_lives_is_an_orphan() -> None:
    found = classify([held(1)], [record(1, LeaseState.CLOSED)], CLUSTER_ID)
    assert ids(found.orphans) == [key(1)]


def test_a_key_that_no_record_knows_is_an_orphan() -> None:
    found = classify([held(1), held(2)], [record(1)], CLUSTER_ID)
    assert ids(found.orphans) == [key(2)]


@pytest.mark.parametrize("name", ["", "theirs", "gl-99999999-000000000000000001"])
def test_what_is_not_ours_is_never_touched(name: str) -> None:
    strange = HeldLease(Handle(name, "7"), True, NOW)
    found = classify([strange, held(1)], [record(1)], CLUSTER_ID)
    assert (found.orphans, found.surplus, found.stop) == ([], [], "")


def test_what_has_ended_is_left_alone() -> None:
    assert classify([held(2, is_live=False)], [record(1)], CLUSTER_ID).orphans == []


def test_a_second_thing_under_the_key_of_an_active_lease_is_surplus() -> None:
    found = classify([held(1, "a"), held(1, "b")], [record(1, external_id="a")], CLUSTER_ID)
    assert [thing.handle.external_id for thing in found.surplus] == ["b"]
    assert found.orphans == []


@pytest.mark.parametrize("state", [LeaseState.OPENING, LeaseState.CLOSING])
def test_surplus_is_judged_only_once_one_was_committed(state: LeaseState) -> None:
    found = classify([held(1, "a"), held(1, "b")], [record(1, state, "a")], CLUSTER_ID)
    assert found.surplus == []


def test_no_record_at_all_looks_like_a_deleted_crd_and_stops_everything() -> None:
    found = classify([held(1)], [], CLUSTER_ID)
    assert found.stop
    assert (found.orphans, found.names) == ((), frozenset())


@pytest.mark.parametrize(
    ("known", "unknown", "stops"), [(9, 3, False), (9, 4, True), (40, 5, False)]
)
def test_too_many_orphans_stop_everything(known: int, unknown: int, stops: bool) -> None:
    things = [held(n) for n in range(known + unknown)]
    records = [record(n) for n in range(known)]
    assert bool(classify(things, records, CLUSTER_ID).stop) is stops


def test_what_is_recorded_as_gone_says_nothing_against_the_records_however_much_lives() -> None:
    # A market hid all of it until its end was believed proven, and shows it again.
    records = [record(n, LeaseState.CLOSED) for n in range(9)]
    found = classify([held(n) for n in range(9)], records, CLUSTER_ID)
    assert (len(found.orphans), found.stop) == (9, "")


@given(
    things=st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ab"), st.booleans())),
    records=st.lists(
        st.tuples(st.integers(0, 6), st.sampled_from(LeaseState), st.sampled_from(["", "a", "b"])),
        unique_by=lambda r: r[0],
    ),
)
def test_an_active_lease_is_never_swept(
    things: list[tuple[int, str, bool]], records: list[tuple[int, LeaseState, str]]
) -> None:
    """I6: whatever lists say, the thing recorded under an Active lease is neither kind."""
    leases = [record(n, state, id_) for n, state, id_ in records]
    found = classify([held(n, i, is_live=live) for n, i, live in things], leases, CLUSTER_ID)
    wanted = {
        (x.key, x.handle.external_id) for x in leases if x.state is LeaseState.ACTIVE and x.handle
    }
    swept = {(t.handle.key, t.handle.external_id) for t in (*found.orphans, *found.surplus)}
    assert not swept & wanted
    assert not {k for k, _ in swept} & {
        x.key for x in leases if x.state in (LeaseState.PLANNED, LeaseState.OPENING)
    }


@pytest.fixture
def market(world: World) -> FakeMarket:
    found = FakeMarket(world.clock)
    found.sold = [Held("1", key(1), NOW), Held("2", key(2), NOW)]
    world.put(ProviderAccount("market", ProviderType.AKASH), record(1, external_id="1"))
    return found


async def test_an_orphan_is_ended_on_its_second_sighting(world: World, market: FakeMarket) -> None:
    gated = GatedProvider(market, world.gate)
    await sweep_once(world.engine, gated)
    assert market.closed_while_active == []
    await sweep_once(world.engine, gated)
    assert market.closed_while_active == [key(2)]


async def test_an_orphan_that_was_recorded_meanwhile_is_spared(
    world: World, market: FakeMarket
) -> None:
    gated = GatedProvider(market, world.gate)
    await sweep_once(world.engine, gated)
    world.put(record(2, LeaseState.OPENING))
    await sweep_once(world.engine, gated)
    world.cluster.leases.pop("uid-2")
    await sweep_once(world.engine, gated)
    assert market.closed_while_active == [], "the two sightings must follow each other"


async def test_a_stopped_sweep_ends_nothing_however_often_it_looks(
    world: World, market: FakeMarket
) -> None:
    world.cluster.leases.clear()
    for _ in range(4):
        await sweep_once(world.engine, GatedProvider(market, world.gate))
    assert market.closed_while_active == []
