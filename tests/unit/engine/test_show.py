"""The status of a GPUProvider: what is left, how long it lasts, what it may cost at most."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from overspill.api.crd import openapi
from overspill.api.kinds import PROVIDER
from overspill.core.lease import Lease, Permit
from overspill.core.policy_past import Lived, Past, place_of
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import BillEnd, LeaseState, ProviderType
from overspill.core.worst_case import Ending
from overspill.engine.show import show_accounts
from overspill.ports import AccountEvent, ProviderStatus
from overspill.testing.market import FakeMarket
from overspill.testing.placing import make_job, make_lease, rent

from .world import World

SCHEMA = openapi(PROVIDER)["properties"]["status"]


class Purse(FakeMarket):
    """A market that tells its balance, and more that stands in escrow."""

    balance: Decimal | None = Decimal(100)
    escrow = Decimal(0)
    ending = Ending(BillEnd.BALANCE)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.capabilities = replace(self.capabilities, ending=self.ending)

    async def balance_usd(self) -> Decimal:
        assert self.balance is not None
        return self.balance

    async def at_stake_usd(self) -> Decimal:
        return await self.balance_usd() + self.escrow


@pytest.fixture
async def market(world: World) -> Purse:
    found = Purse(world.clock, name="akash")
    world.providers["akash"] = found
    world.put(ProviderAccount("akash", ProviderType.AKASH, resource_version="1"))
    return found


def held(world: World, number: int = 1, **changes: Any) -> Lease:
    """At 3 USD per hour, since now."""
    now = world.clock.now()
    lease = replace(
        make_lease(make_job(), rent("a1", "3"), LeaseState.ACTIVE, attempt=number),
        permit=Permit(1, "a", 1, now, now),
        created_at=now,
        active_since=now,
        hard_deadline=now + timedelta(hours=10),
    )
    lease = replace(lease, **changes)
    world.put(lease)
    return lease


async def shown(world: World) -> dict[str, Any]:
    """What stands in the status after one more pass, held against the CRD."""
    accounts = world.engine.accounts
    await accounts.follow(list(world.cluster.accounts.values()))
    await accounts.refresh_offers()
    await show_accounts(world.engine)
    for change in world.cluster.written(ProviderStatus):
        jsonschema.validate(change.status, SCHEMA)
        world.put(replace(change.account, status=change.status))
    return dict(world.cluster.accounts["akash"].status)


def low(status: dict[str, Any]) -> Sequence[tuple[str, str]]:
    return [(c["reason"], c["message"]) for c in status["conditions"] if c["type"] != "Ready"]


async def test_the_balance_and_how_long_it_lasts(world: World, market: Purse) -> None:
    held(world)
    status = await shown(world)
    assert (status["balanceUSD"], status["hourlyUSD"]) == ("100", "3")
    assert status["runwaySeconds"] == 120_000
    assert low(status) == []


async def test_the_worst_case_of_the_account_and_of_each_lease(world: World, market: Purse) -> None:
    market.escrow = Decimal(20)
    one, two = held(world, 1), held(world, 2)
    worst = (await shown(world))["worstCase"]
    assert (worst["billEnd"], worst["usd"], worst["within30DaysUSD"]) == ("Balance", "120", "120")
    assert [x["leaseName"] for x in worst["leases"]] == [one.name, two.name]
    assert {x["usd"] for x in worst["leases"]} == {"120"}, "each of them could take all of it"


async def test_a_bill_without_bound_says_so(world: World, market: Purse) -> None:
    market.capabilities = replace(market.capabilities, ending=Ending(BillEnd.NOTHING))
    held(world)
    worst = (await shown(world))["worstCase"]
    assert "usd" not in worst
    assert worst["within30DaysUSD"] == "2160"


async def test_a_switch_tells_when_it_ends(world: World, market: Purse) -> None:
    market.capabilities = replace(market.capabilities, ending=Ending(BillEnd.DEADLINE))
    held(world)
    worst = (await shown(world))["worstCase"]
    assert (worst["usd"], worst["endsTime"]) == ("30.0", "2026-01-01T10:00:00Z")


async def test_money_that_will_not_last_is_a_condition_and_one_event(
    world: World, market: Purse
) -> None:
    held(world)
    market.balance = Decimal(30)
    ((reason, message),) = low(await shown(world))
    assert reason == "RunwayShort"
    assert message.startswith("30.00 USD last for 10.0 h at 3.00 USD per hour")
    market.balance = Decimal(20)
    world.clock.advance(60)
    await shown(world)
    (event,) = world.cluster.written(AccountEvent)
    assert (event.account.name, event.is_warning) == ("akash", True)
    market.balance = Decimal(500)
    world.clock.advance(60)
    assert low(await shown(world)) == []


async def test_an_empty_account_is_low_even_when_nothing_runs(world: World, market: Purse) -> None:
    market.balance = Decimal(0)
    assert [reason for reason, _ in low(await shown(world))] == ["BalanceEmpty"]


async def test_a_balance_that_moves_a_little_is_not_worth_a_write(
    world: World, market: Purse
) -> None:
    held(world)
    market.balance = Decimal(148)
    await shown(world)
    writes = len(world.cluster.written(ProviderStatus))
    market.balance = Decimal(145)
    world.clock.advance(3600)
    await shown(world)
    assert len(world.cluster.written(ProviderStatus)) == writes
    market.balance = Decimal(139)
    world.clock.advance(7200)
    await shown(world)
    assert len(world.cluster.written(ProviderStatus)) == writes + 1


async def test_losses_of_our_leases_are_told_as_their_mean_distance(
    world: World, market: Purse
) -> None:
    held(world)
    assert "observedMTBFSeconds" not in await shown(world)
    place = place_of(rent("a1", "3"), is_home=False)
    lives = {place: (Lived(0, 9.5, was_lost=True), Lived(1, 20.0, was_lost=False))}
    world.engine.memory.past = Past(lives=lives)
    # 29.5 hours and half a loss in a week, over one loss and a half
    assert (await shown(world))["observedMTBFSeconds"] == 75 * 3600


async def test_a_deleted_account_says_which_leases_keep_it(world: World, market: Purse) -> None:
    gone = ProviderAccount(
        "akash", ProviderType.AKASH, resource_version="1", suspended=True, deletion_requested=True
    )
    world.put(gone)
    assert low(await shown(world)) == []
    held(world)
    ((reason, message),) = low(await shown(world))
    assert reason == "LeasesOpen"
    assert message.endswith("Open: team/gl-train-1 (Active, of train)")
    assert "delete or suspend its GPUJobs to end it now" in message
    for number in range(2, 8):
        held(world, number)
    assert low(await shown(world))[-1][1].endswith("and 2 more")
