"""Accounts follow the GPUProviders; a broken one is marked and stands in nobody's way."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from overspill.core.errors import AuthRejected, ClusterUnavailable, ProviderError, Unavailable
from overspill.core.offer import Offer, Requirements
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.engine.accounts import EMPTY_S, OFFER_DEADLINE_S, RETRY_S
from overspill.ports import Capabilities, IdempotencyClass
from overspill.testing.market import FakeMarket
from overspill.testing.virtualtime import run_virtual

from .world import World

TTL_S = 900.0


class Market(FakeMarket):
    """A market whose offers last long, and which fails when told to."""

    asked = 0
    fails: ProviderError | None = None
    hangs = False
    is_empty = False

    def __post_init__(self) -> None:
        self.capabilities = Capabilities(IdempotencyClass.A, offer_ttl=timedelta(seconds=TTL_S))

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """Counts the questions."""
        self.asked += 1
        if self.hangs:
            await asyncio.sleep(3600)
        if self.fails is not None:
            raise self.fails
        return [] if self.is_empty else await super().offers(requirements)


def spec(name: str = "market", **changes: object) -> ProviderAccount:
    return replace(ProviderAccount(name, ProviderType.AKASH), **changes)  # type: ignore[arg-type]


async def one(world: World) -> Market:
    market = Market(world.clock)
    world.providers["market"] = market
    await world.engine.accounts.follow([spec()])
    return market


async def test_offers_are_asked_once_per_lifetime(world: World) -> None:
    market = await one(world)
    assert await world.engine.accounts.refresh_offers()
    world.clock.advance(TTL_S - 1)
    assert not await world.engine.accounts.refresh_offers()
    assert market.asked == 1
    world.clock.advance(1)
    await world.engine.accounts.refresh_offers()
    assert market.asked == 2


@pytest.mark.parametrize("fails", [False, True])
async def test_what_a_replaced_adapter_still_answers_is_not_taken_for_the_new_ones_word(
    world: World, fails: bool
) -> None:
    old, new = Market(world.clock, price=Decimal(9)), Market(world.clock, price=Decimal(2))
    begun, answer = asyncio.Event(), asyncio.Event()
    said = old.offers

    async def slowly(requirements: Requirements | None) -> Sequence[Offer]:
        begun.set()
        await answer.wait()
        old.fails = AuthRejected("an old key") if fails else None
        return await said(requirements)

    old.offers = slowly  # type: ignore[method-assign]  # the answer comes after the edit
    world.providers["market"] = old
    accounts = world.engine.accounts
    await accounts.follow([spec()])
    asking = asyncio.create_task(accounts.refresh_offers())
    await begun.wait()
    world.providers["market"], world.prints["market"] = new, "edited"
    await accounts.follow([spec()])
    answer.set()
    await asking
    assert accounts.health()["market"].is_usable
    assert await accounts.refresh_offers()
    assert {o.price_usd_per_hour for o in accounts.market_offers()} == {2 * new.gpus}


async def test_a_market_that_failed_is_asked_again_soon_not_after_a_lifetime(world: World) -> None:
    market = await one(world)
    market.fails = Unavailable("no answer")
    await world.engine.accounts.refresh_offers()
    assert world.engine.accounts.market_offers() == []
    market.fails = None
    world.clock.advance(RETRY_S)
    assert await world.engine.accounts.refresh_offers()
    assert len(world.engine.accounts.market_offers()) == 1


async def test_an_empty_list_is_not_believed_for_a_lifetime(world: World) -> None:
    market = await one(world)
    market.is_empty = True
    await world.engine.accounts.refresh_offers()
    assert world.engine.accounts.health()["market"].is_usable
    market.is_empty = False
    world.clock.advance(EMPTY_S - 1)
    assert not await world.engine.accounts.refresh_offers()
    world.clock.advance(1)
    assert await world.engine.accounts.refresh_offers()
    assert len(world.engine.accounts.market_offers()) == 1


async def test_old_offers_are_kept_while_a_market_fails(world: World) -> None:
    market = await one(world)
    await world.engine.accounts.refresh_offers()
    market.fails = Unavailable("no answer")
    world.clock.advance(TTL_S)
    await world.engine.accounts.refresh_offers()
    assert len(world.engine.accounts.market_offers()) == 1


async def test_a_market_that_keeps_failing_is_marked_and_recovers_when_it_answers(
    world: World,
) -> None:
    market = await one(world)
    market.fails = Unavailable("no answer")
    for _ in range(3):
        await world.engine.accounts.refresh_offers()
        world.clock.advance(RETRY_S)
    assert not world.engine.accounts.health()["market"].is_usable
    asked = market.asked
    await world.engine.accounts.refresh_offers()
    assert market.asked == asked, "it is left in peace while its circuit is open"
    market.fails = None
    world.clock.advance(20)
    await world.engine.accounts.refresh_offers()
    assert world.engine.accounts.health()["market"].is_usable


def test_a_market_that_hangs_counts_as_silent() -> None:
    async def play() -> None:
        world = World()
        market = await one(world)
        market.hangs = True
        for _ in range(3):
            await world.engine.accounts.refresh_offers()
            world.clock.advance(RETRY_S)
        health = world.engine.accounts.health()["market"]
        assert (health.is_usable, health.reason) == (False, "Unavailable")
        assert f"within {OFFER_DEADLINE_S:.0f} s" in health.message

    run_virtual(play())


async def test_a_secret_that_cannot_be_used_is_told_and_the_others_go_on(world: World) -> None:
    world.providers |= {"broken": AuthRejected("create it"), "market": Market(world.clock)}
    await world.engine.accounts.follow([spec("broken"), spec("market")])
    await world.engine.accounts.refresh_offers()
    health = world.engine.accounts.health()
    assert (health["broken"].reason, health["broken"].message) == ("NotConfigured", "create it")
    assert health["market"].is_usable
    assert len(world.engine.accounts.market_offers()) == 1


async def test_leases_can_still_be_closed_when_the_secret_went_away(world: World) -> None:
    market = await one(world)
    world.providers["market"] = AuthRejected("create it")
    await world.engine.accounts.follow([spec()])
    world.engine.accounts.note("market", None)  # what runs is still answered for
    assert not world.engine.accounts.health()["market"].is_usable
    provider = world.engine.accounts.provider("market")
    assert provider is not None
    assert provider.inner is market


async def test_a_mended_secret_is_taken_up(world: World) -> None:
    market = await one(world)
    market.fails = AuthRejected("wrong key")
    await world.engine.accounts.refresh_offers()
    assert world.engine.accounts.health()["market"].reason == "AuthRejected"
    world.providers["market"], world.prints["market"] = Market(world.clock), "another key"
    await world.engine.accounts.follow([spec()])
    assert await world.engine.accounts.refresh_offers()
    assert world.engine.accounts.health()["market"].is_usable


async def test_an_api_server_that_is_away_says_nothing_about_an_account(world: World) -> None:
    market = await one(world)
    world.providers["market"] = ClusterUnavailable("no answer")
    await world.engine.accounts.follow([spec()])
    assert world.engine.accounts.health()["market"].is_usable
    provider = world.engine.accounts.provider("market")
    assert provider is not None
    assert provider.inner is market


async def test_a_deleted_account_takes_nothing_new_but_keeps_its_adapter(world: World) -> None:
    await one(world)
    await world.engine.accounts.follow([])
    assert world.engine.accounts.by_name["market"].spec.suspended
    assert world.engine.accounts.provider("market") is not None


async def test_a_bug_in_one_adapter_is_that_accounts_alone(world: World) -> None:
    world.providers |= {"broken": ZeroDivisionError("oops"), "market": Market(world.clock)}
    await world.engine.accounts.follow([spec("broken"), spec("market")])
    health = world.engine.accounts.health()
    assert "ZeroDivisionError" in health["broken"].message
    assert "oops" not in health["broken"].message, "who knows what a bug's message carries"
    assert health["market"].is_usable


async def test_a_quote_that_was_not_renewed_expires(world: World) -> None:
    market = await one(world)
    await world.engine.accounts.refresh_offers()
    market.fails = Unavailable("no answer")
    world.clock.advance(2 * TTL_S + EMPTY_S)
    assert not world.engine.accounts.market_offers()[0].unavailable_reason
    world.clock.advance(1)
    await world.engine.accounts.refresh_offers()
    (old,) = world.engine.accounts.market_offers()
    assert old.unavailable_reason.startswith("the quote has expired")
    market.fails = None
    world.clock.advance(RETRY_S)
    await world.engine.accounts.refresh_offers()
    assert not world.engine.accounts.market_offers()[0].unavailable_reason
