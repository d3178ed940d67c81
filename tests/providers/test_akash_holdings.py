"""What the wallet holds: complete with keys, or an error."""

from decimal import Decimal

import pytest

from overspill.core.errors import LeaseNotFound, Unavailable
from overspill.core.lease import Handle
from overspill.testing.contract import drive
from overspill.testing.wire_faults import Fault

from .akash_rig import double_rig


async def test_every_page_of_both_lists_is_read() -> None:
    rig = double_rig()
    rig.console.page = 2
    rig.console.offered = [("akash1good", "2000")]
    keys = []
    for attempt in range(1, 6):
        keys.append(rig.request(attempt).key)
        await rig.provider.open(rig.request(attempt))
    # the double's pages are smaller than asked for: `skip` must follow what came
    found = await rig.provider.leases()
    assert sorted(held.handle.key for held in found) == sorted(keys)
    assert all(held.is_live for held in found)


async def test_a_missing_page_is_an_error_not_a_shorter_list() -> None:
    rig = double_rig()
    rig.console.page = 2
    for attempt in range(1, 4):
        await rig.provider.open(rig.request(attempt))
    rig.wire.set(Fault.SERVER_ERROR, matches=lambda r: r.url.params.get("skip", "0") != "0")
    with pytest.raises(Unavailable):
        await rig.provider.leases()


async def test_a_missing_list_of_names_is_an_error() -> None:
    rig = double_rig()
    await rig.provider.open(rig.request())
    rig.wire.set(Fault.SERVER_ERROR, matches=lambda r: r.url.path.endswith("/list"))
    with pytest.raises(Unavailable):
        await rig.provider.leases()


async def test_a_name_that_the_public_list_lacks_is_asked_for() -> None:
    rig = double_rig()
    step = await rig.provider.open(rig.request())
    rig.console.hidden_names.add(step.handle.external_id)
    (held,) = await rig.provider.leases()
    assert held.handle == Handle(rig.request().key, step.handle.external_id)


async def test_what_one_list_lacks_the_other_brings() -> None:
    rig = double_rig()
    await rig.provider.open(rig.request(1))
    late = await rig.provider.open(rig.request(2))
    await rig.provider.leases()
    rig.console.hidden_own.update(rig.console.deployments)
    found = {held.handle.key: held.handle.external_id for held in await rig.provider.leases()}
    assert found.keys() == {rig.request(1).key, rig.request(2).key}
    assert found[rig.request(2).key] == late.handle.external_id


async def test_a_deployment_whose_name_nobody_tells_makes_the_list_incomplete() -> None:
    rig = double_rig()
    step = await rig.provider.open(rig.request())
    rig.console.hidden_names.add(step.handle.external_id)
    rig.console.refuse["GET /akash/deployment/v1beta4/deployments/info"] = (404, "not found")
    with pytest.raises(Unavailable, match="nobody tells the name"):
        await rig.provider.leases()


async def test_a_stranger_in_the_wallet_keeps_its_own_name() -> None:
    rig = double_rig()
    step = await rig.provider.open(rig.request())
    rig.console.deployments[step.handle.external_id]["name"] = "dcloud"
    (held,) = await rig.provider.leases()
    assert held.handle.key == "dcloud"


async def test_an_empty_wallet_is_an_empty_list() -> None:
    assert await double_rig().provider.leases() == []


async def test_price_is_told_and_a_live_lease_is_not_judged_by_the_list() -> None:
    rig = double_rig()
    await drive(rig, rig.request())
    (held,) = await rig.provider.leases()
    assert held.price_usd_per_hour == Decimal("1.2")
    assert held.observation is None
    assert held.created_at is not None


async def test_a_closed_deployment_tells_its_bill() -> None:
    rig = double_rig()
    step = await drive(rig, rig.request())
    paid = rig.console.deployments[step.handle.external_id]["escrow_account"]["state"]
    paid["transferred"] = [{"denom": "uact", "amount": "700000.25"}]
    await rig.provider.close(step.handle)
    with pytest.raises(LeaseNotFound) as gone:
        await rig.provider.observe(step.handle)
    assert gone.value.billed_usd == Decimal("0.70000025")


async def test_uakt_is_priced_by_the_markets_own_rate() -> None:
    rig = double_rig()
    step = await drive(rig, rig.request())
    lease = rig.console.deployments[step.handle.external_id]["leases"][0]
    lease["price"] = {"denom": "uakt", "amount": "1000"}
    seen = await rig.provider.observe(step.handle)
    assert seen.price_usd_per_hour == Decimal("1.2")


async def test_the_balance_is_what_is_free() -> None:
    assert await double_rig().provider.balance_usd() == Decimal("120.5")


async def test_at_stake_is_what_is_free_and_what_stands_in_escrow() -> None:
    assert await double_rig().provider.at_stake_usd() == Decimal("125.5")


async def test_a_close_that_did_nothing_is_an_error() -> None:
    rig = double_rig()
    step = await drive(rig, rig.request())
    rig.console.closes = False
    with pytest.raises(Unavailable):
        await rig.provider.close(step.handle)
