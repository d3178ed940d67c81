"""A lease whose GPUProvider was removed by force, or cannot be used, says what a person must do."""

from dataclasses import replace
from decimal import Decimal

import pytest
from prometheus_client import REGISTRY

from overspill.core.errors import AuthRejected
from overspill.core.lease import ABSENT, Lease
from overspill.core.reasons import Reason
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import LeaseState, Phase, ProviderType
from overspill.engine.care import care_for
from overspill.engine.closing import end_lease
from overspill.engine.stranded import note_count, what_to_do
from overspill.testing.market import FakeMarket, Held
from overspill.testing.placing import NOW, make_job, make_lease, rent

from .world import World, closing

JOB = make_job()
ACCOUNT = ProviderAccount("akash", ProviderType.AKASH, is_held=True)


async def ended(world: World) -> Lease:
    await end_lease(world.engine, world.cluster.leases["lease-train-1"])
    return world.cluster.leases["lease-train-1"]


def said(lease: Lease) -> tuple[str, str]:
    (found,) = [c for c in lease.conditions if c["type"] == "Stranded"]
    return found["reason"], found["message"]


async def test_without_its_account_it_stays_and_says_what_to_type(world: World) -> None:
    closing(world)
    found = await ended(world)
    assert found.state is LeaseState.CLOSING
    assert found.has_finalizer
    reason, message = said(found)
    assert reason == "ProviderMissing"
    assert "Create GPUProvider akash again, with the same type and credentials" in message
    assert "end 'gl-train-1' at the market, where it is 42" in message
    assert "kubectl overspill leases resolve gl-train-1 -n team --absent" in message
    await ended(world)
    assert len(world.cluster.changes) == 1, "said once"


async def test_an_account_that_cannot_be_built_names_what_to_mend(world: World) -> None:
    world.providers["akash"] = AuthRejected("the Secret gpu/akash does not exist; create it")
    await world.knows(ACCOUNT)
    closing(world)
    reason, message = said(await ended(world))
    assert reason == "ProviderUnusable"
    assert "the Secret gpu/akash does not exist; create it" in message


async def test_with_the_account_back_it_is_closed_by_itself_and_says_no_more(
    world: World,
) -> None:
    closing(world)
    await ended(world)
    market = FakeMarket(world.clock, name="akash")
    market.sold.append(Held("42", "gl-train-1", NOW))
    world.providers["akash"] = market
    await world.knows(ACCOUNT)
    assert (await ended(world)).conditions == ()
    assert market.live() == []


async def test_a_persons_word_ends_it_where_the_account_is_gone(world: World) -> None:
    began = world.clock.now()
    closing(world, active_since=began, price_usd_per_hour=Decimal(36), resolution=ABSENT)
    world.clock.advance(100)
    found = await ended(world)
    assert (found.state, found.billed_usd) == (LeaseState.CLOSED, Decimal(1))


async def test_nobodys_word_ends_it_while_the_account_is_there(world: World) -> None:
    world.providers["akash"] = AuthRejected("no key")
    await world.knows(ACCOUNT)
    closing(world, resolution=ABSENT)
    assert (await ended(world)).state is LeaseState.CLOSING


async def test_how_many_there_are_is_a_metric(world: World) -> None:
    closing(world)
    world.put(make_lease(JOB, rent("a1"), LeaseState.CLOSED, attempt=2))
    note_count(world.engine)
    assert REGISTRY.get_sample_value("overspill_leases_stranded") == 1
    world.providers["akash"] = FakeMarket(world.clock, name="akash")
    await world.knows(ACCOUNT)
    note_count(world.engine)
    assert REGISTRY.get_sample_value("overspill_leases_stranded") == 0


async def test_what_was_never_sent_needs_nobody(world: World) -> None:
    """R2: without a permit nothing left this cluster."""
    closing(world, permit=None, handle=None, active_since=None)
    assert (await ended(world)).state is LeaseState.CLOSED
    assert world.cluster.leases["lease-train-1"].billed_usd == 0


async def test_a_child_at_home_is_never_taken_for_unsent(world: World) -> None:
    closing(world, permit=None, handle=None, is_home=True)
    found = await ended(world)
    assert found.state is LeaseState.CLOSING
    assert "end the Job gl-train-1 of namespace team and say so" in said(found)[1]


async def test_a_running_one_is_degraded_at_once_while_the_old_adapter_still_lives(
    world: World,
) -> None:
    """After a restart nobody could close it any more: the time to mend it is now."""
    world.providers["akash"] = FakeMarket(world.clock, name="akash")
    await world.knows(ACCOUNT)
    world.put(JOB, make_lease(JOB, rent("a1"), LeaseState.ACTIVE))
    del world.cluster.accounts["akash"]
    lease = world.cluster.leases["lease-train-1"]
    world.sees(lease, Phase.RUNNING)
    await care_for(world.engine, lease)
    lease = world.cluster.leases["lease-train-1"]
    assert said(lease)[0] == "ProviderMissing"
    assert world.engine.memory.degraded[lease.name][0] is Reason.PROVIDER_MISSING
    world.put(ACCOUNT)
    await care_for(world.engine, lease)
    lease = world.cluster.leases["lease-train-1"]
    assert lease.conditions == ()
    assert lease.name not in world.engine.memory.degraded


@pytest.mark.parametrize("state", [LeaseState.ACTIVE, LeaseState.CLOSING], ids=str)
async def test_a_view_that_is_not_complete_accuses_nobody(
    world: World, state: LeaseState, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = world.cluster.view()
    monkeypatch.setattr(world.cluster, "view", lambda: replace(whole, synced=False))
    assert what_to_do(world.engine, make_lease(JOB, rent("a1"), state)) is None
