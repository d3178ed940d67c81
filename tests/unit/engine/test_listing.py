"""Many ask, few listings are made, and none that began before it was asked for."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest

from overspill.core.errors import Unavailable
from overspill.core.observation import HeldLease
from overspill.engine.listing import SharedListing
from overspill.testing.virtualtime import run_virtual


class Account:
    """A market whose list takes ten seconds; remembers when each one began."""

    def __init__(self) -> None:
        self.began: list[float] = []
        self.fails = False

    async def read(self) -> Sequence[HeldLease]:
        """One listing."""
        self.began.append(asyncio.get_running_loop().time())
        await asyncio.sleep(10)
        if self.fails:
            raise Unavailable("no answer")
        return ()


def played(scenario: Callable[[Account, SharedListing], Awaitable[None]]) -> None:
    async def play() -> None:
        account = Account()
        await scenario(account, SharedListing(account.read))

    run_virtual(play())


def test_all_who_ask_at_once_share_one() -> None:
    async def scenario(account: Account, listing: SharedListing) -> None:
        await asyncio.gather(*(listing() for _ in range(50)))
        assert account.began == [0]

    played(scenario)


def test_who_asks_while_one_is_under_way_gets_the_next() -> None:
    async def scenario(account: Account, listing: SharedListing) -> None:
        first = asyncio.create_task(listing())
        await asyncio.sleep(4)
        late = [asyncio.create_task(listing()) for _ in range(5)]
        await asyncio.sleep(1)
        late += [asyncio.create_task(listing()) for _ in range(5)]
        await asyncio.gather(first, *late)
        assert account.began == [0, 10]
        assert asyncio.get_running_loop().time() == 20

    played(scenario)


def test_none_is_kept_for_later() -> None:
    async def scenario(account: Account, listing: SharedListing) -> None:
        for _ in range(3):
            await listing()
        assert account.began == [0, 10, 20]

    played(scenario)


def test_an_error_is_everybodys_who_waits_and_the_next_begins_anew() -> None:
    async def scenario(account: Account, listing: SharedListing) -> None:
        account.fails = True
        found = await asyncio.gather(listing(), listing(), return_exceptions=True)
        assert [type(answer) for answer in found] == [Unavailable, Unavailable]
        account.fails = False
        assert await listing() == ()

    played(scenario)


def test_who_gives_up_takes_nothing_from_the_others() -> None:
    async def scenario(account: Account, listing: SharedListing) -> None:
        impatient = asyncio.create_task(listing())
        patient = asyncio.create_task(listing())
        await asyncio.sleep(1)
        impatient.cancel()
        assert await patient == ()
        assert account.began == [0]
        account.fails = True
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(listing(), 1)
        await asyncio.sleep(20)  # its error is heard by nobody, and that is no warning

    played(scenario)
