"""What every market adapter must do, as tests: subclass `ProviderContract` and give it a rig.

The same class runs against a double behind a mock transport and against the sandbox over real
HTTP; the faults are made on the client's side of the wire (`wire_faults.py`). The docstrings of
`ports.Provider` are the law it checks.
"""
# ruff: noqa: D102, S101  (these are tests: their names are sentences, and they assert)

import itertools
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Protocol

import httpx
import pytest

from overspill.core.errors import (
    AuthRejected,
    LeaseNotFound,
    NoCapacity,
    OfferRejected,
    OpenUncertain,
    ProviderError,
    RateLimited,
    Unavailable,
)
from overspill.core.lease import Handle
from overspill.core.vocabulary import BillEnd
from overspill.ports import IdempotencyClass, OpenRequest, OpenStep, Provider
from overspill.testing.listing import Listing
from overspill.testing.wire_faults import ELSEWHERE, EXECUTED, Fault, FaultyTransport

MOST_STEPS = 60
LEAST_USD = Decimal("0.000600")
"""A cap that no market's GPU can be had for; in every market's smallest unit it is still more
than nothing."""

LAG = timedelta(seconds=70)
"""A list lag that a user may set, and longer than the default patience with a missing lease."""


class Rig(Protocol):
    """One market account with an adapter on it."""

    provider: Provider
    wire: FaultyTransport
    secrets: tuple[str, ...]
    """Values that may appear in no error: the key, the workload's secrets."""

    def restarted(self) -> Provider:
        """A new adapter on the same account, with nothing in memory."""

    def request(self, attempt: int = 1) -> OpenRequest:
        """A request that this market can fulfil; another attempt has another key."""

    async def pass_time(self, after: timedelta) -> None:
        """Lets the time go by that a step asked for."""

    async def open_things(self) -> int:
        """How many things the market bills or holds now, by its own truth."""

    listing: Listing
    """How this market gives the list of what the account holds."""

    async def fill(self, count: int) -> list[str]:
        """Until the account holds so many leases; the keys of all that it holds then."""

    shelf: Listing
    """How this market gives the list of what it has to offer."""

    async def stock(self, count: int) -> list[str]:
        """Until the market has so many kinds of GPU; the canonical names of those added."""

    async def lag(self, after: timedelta) -> None:
        """From now on the market's lists show a new lease only so long `after` it was made.

        `provider` and `restarted` are then adapters with that list lag in their settings.
        """


def costs(request: httpx.Request) -> bool:
    """Whether a request may cost: no adapter spends money by GET or DELETE."""
    return request.method in {"POST", "PUT", "PATCH"}


async def drive(rig: Rig, request: OpenRequest, provider: Provider | None = None) -> OpenStep:
    """Opens to the end, as the engine does when nothing goes wrong."""
    market = provider or rig.provider
    for _ in range(MOST_STEPS):
        step = await market.open(request)
        if step.is_complete:
            return step
        request = replace(request, handle=step.handle)
        await rig.pass_time(step.retry_after)
    raise AssertionError(f"not open after {MOST_STEPS} steps")


async def found_by_key(provider: Provider, key: str) -> list[Handle]:
    """What recovery finds of a key."""
    return [held.handle for held in await provider.leases() if held.handle.key == key]


class ProviderContract:
    """Inherit, and define an async fixture `rig`."""

    async def test_open_opens_one_lease_that_the_list_shows_under_its_key(self, rig: Rig) -> None:
        request = rig.request()
        step = await drive(rig, request)
        assert step.price_usd_per_hour is not None
        assert 0 < step.price_usd_per_hour <= request.max_usd_per_hour
        assert [h.external_id for h in await found_by_key(rig.provider, request.key)] == [
            step.handle.external_id
        ]
        assert await rig.open_things() == 1

    async def test_what_ends_the_bill_is_declared_as_the_dead_mans_switch_is(
        self, rig: Rig
    ) -> None:
        declared = rig.provider.capabilities
        has_switch = declared.ending.by in (BillEnd.DEADLINE, BillEnd.PREPAID)
        assert has_switch == declared.has_dead_mans_switch

    async def test_open_twice_opens_once(self, rig: Rig) -> None:
        request = rig.request()
        step = await drive(rig, request)
        again = await drive(rig, replace(request, handle=step.handle))
        assert again.handle.external_id == step.handle.external_id
        assert await rig.open_things() == 1

    async def test_another_attempt_is_another_lease(self, rig: Rig) -> None:
        one = await drive(rig, rig.request(1))
        two = await drive(rig, rig.request(2))
        assert one.handle.external_id != two.handle.external_id
        assert await rig.open_things() == 2

    async def test_a_restart_between_any_two_steps_opens_once(self, rig: Rig) -> None:
        request = rig.request()
        for _ in range(MOST_STEPS):
            step = await rig.restarted().open(request)
            if step.is_complete:
                break
            request = replace(request, handle=step.handle)
            await rig.pass_time(step.retry_after)
            if not step.next_costs and request.handle is not None:
                # a restart begins a wait anew, so it may not happen at every single poll
                request = await _poll_on(rig, request)
        assert step.is_complete
        assert await rig.open_things() == 1

    @pytest.mark.parametrize("fault", EXECUTED, ids=lambda fault: fault.name.lower())
    async def test_a_lost_answer_is_uncertain_sent_once_and_adopted_by_key(
        self, rig: Rig, fault: Fault
    ) -> None:
        request, lost = rig.request(), 0
        for _ in range(MOST_STEPS):
            sent_before = sum(map(costs, rig.wire.seen))
            rig.wire.set(fault, times=1, matches=costs)
            try:
                step = await rig.provider.open(request)
            except OpenUncertain:
                lost += 1
                assert sum(map(costs, rig.wire.seen)) == sent_before + 1
                rig.wire.heal()
                step = await _resolve(rig, request)
            rig.wire.heal()
            if step.is_complete:
                break
            request = replace(request, handle=step.handle)
            await rig.pass_time(step.retry_after)
        assert step.is_complete
        assert lost >= 1
        assert await rig.open_things() == 1

    async def test_what_costs_more_than_the_cap_is_refused_and_nothing_is_left(
        self, rig: Rig
    ) -> None:
        request = replace(rig.request(), max_usd_per_hour=LEAST_USD)
        with pytest.raises((NoCapacity, OfferRejected)):
            await drive(rig, request)
        await rig.pass_time(rig.provider.capabilities.list_lag)  # some markets end it in a while
        assert await found_by_key(rig.provider, request.key) == []
        assert await rig.open_things() == 0

    async def test_close_ends_it_and_close_again_is_silent(self, rig: Rig) -> None:
        step = await drive(rig, rig.request())
        await rig.provider.close(step.handle)
        await rig.provider.close(step.handle)
        await rig.pass_time(rig.provider.capabilities.list_lag)  # some markets end it in a while
        with pytest.raises(LeaseNotFound):
            await rig.provider.observe(step.handle)
        assert await found_by_key(rig.provider, step.handle.key) == []
        assert await rig.open_things() == 0

    async def test_close_knows_a_lease_by_its_key_alone(self, rig: Rig) -> None:
        step = await drive(rig, rig.request())
        await rig.restarted().close(Handle(step.handle.key))
        assert await rig.open_things() == 0

    async def test_close_spares_the_others(self, rig: Rig) -> None:
        one = await drive(rig, rig.request(1))
        two = await drive(rig, rig.request(2))
        await rig.provider.close(Handle(one.handle.key))
        assert [h.key for h in await found_by_key(rig.provider, two.handle.key)] == [two.handle.key]
        assert await rig.open_things() == 1

    async def test_closing_what_never_was_is_silent(self, rig: Rig) -> None:
        await rig.provider.close(Handle("gl-00000000-neverwas"))

    async def test_observing_what_never_was_is_not_found(self, rig: Rig) -> None:
        with pytest.raises(LeaseNotFound):
            await rig.provider.observe(Handle("gl-00000000-neverwas"))

    async def test_the_list_says_of_a_lease_what_reading_it_says(self, rig: Rig) -> None:
        """A poll believes the list where it confirms what is known, and reads the others."""
        step = await drive(rig, rig.request())
        await rig.pass_time(rig.provider.capabilities.list_lag)
        seen = await rig.provider.observe(step.handle)
        shown = [h for h in await rig.provider.leases() if h.handle.key == step.handle.key]
        (listed,) = [h.observation for h in shown]
        if rig.provider.capabilities.lists_whole:
            assert listed is not None
            assert listed.gist == seen.gist
        else:
            assert listed is None or listed.phase is seen.phase

    async def test_no_connection_is_known_to_cost_nothing(self, rig: Rig) -> None:
        rig.wire.set(Fault.NO_CONNECTION)
        with pytest.raises(Unavailable):
            await rig.provider.open(rig.request())
        assert await rig.open_things() == 0

    @pytest.mark.parametrize(
        ("fault", "seconds"), [(Fault.RATE_LIMITED, 1), (Fault.RATE_LIMITED_FOR_17_S, 17)]
    )
    async def test_429_is_rate_limited_everywhere_and_nothing_is_executed(
        self, rig: Rig, fault: Fault, seconds: int
    ) -> None:
        rig.wire.set(fault)
        for ask in (_offers, _leases, _open):
            with pytest.raises(RateLimited) as caught:
                await ask(rig)
            assert caught.value.retry_after >= timedelta(seconds=seconds)
        assert await rig.open_things() == 0

    @pytest.mark.parametrize(
        "fault", [*EXECUTED, Fault.NO_CONNECTION, Fault.REDIRECT], ids=lambda f: f.name.lower()
    )
    async def test_a_broken_read_is_unavailable_after_at_most_two_tries(
        self, rig: Rig, fault: Fault
    ) -> None:
        step = await drive(rig, rig.request())
        for ask in (_offers, _leases, _observing(step.handle)):
            rig.wire.set(fault)
            before = len(rig.wire.seen)
            with pytest.raises(Unavailable):
                await ask(rig)
            assert len(rig.wire.seen) - before <= 2

    async def test_no_redirect_is_followed_and_a_redirected_order_is_uncertain(
        self, rig: Rig
    ) -> None:
        rig.wire.set(Fault.REDIRECT, matches=costs)  # some markets are asked for a quote first
        with pytest.raises(OpenUncertain):
            await drive(rig, rig.request())
        assert all(not str(request.url).startswith(ELSEWHERE) for request in rig.wire.seen)

    async def test_a_wrong_key_is_auth_rejected(self, rig: Rig) -> None:
        rig.wire.set(Fault.UNAUTHORIZED)
        for ask in (_offers, _leases, _open):
            with pytest.raises(AuthRejected):
                await ask(rig)

    @pytest.mark.parametrize("fault", list(Fault), ids=lambda fault: fault.name.lower())
    async def test_no_error_tells_a_secret(self, rig: Rig, fault: Fault) -> None:
        rig.wire.set(fault)
        for ask in (_offers, _leases, _open):
            with pytest.raises(ProviderError) as caught:
                await ask(rig)
            told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
            assert all(secret not in told for secret in rig.secrets)
            assert caught.value.provider == rig.provider.name

    async def test_a_list_of_several_pages_is_read_whole_or_is_an_error(self, rig: Rig) -> None:
        keys, before = await rig.fill(rig.listing.several), len(rig.wire.seen)
        held = await rig.provider.leases()
        shown = sorted(h.handle.key for h in held)
        assert shown == sorted(keys), f"{len(shown)} shown of {len(keys)}"
        asked = len(rig.wire.seen) - before
        assert rig.listing.fits(asked), f"the list took {asked} requests"
        for answered in range(asked):
            rig.wire.set(Fault.SERVER_ERROR, matches=_after(answered))
            with pytest.raises(Unavailable):
                await rig.provider.leases()
        rig.wire.heal()
        if rig.listing.cut_at:
            await rig.fill(rig.listing.cut_at)
            with pytest.raises(Unavailable):
                await rig.provider.leases()

    async def test_offers_come_from_every_page_or_are_an_error(self, rig: Rig) -> None:
        models, before = await rig.stock(rig.shelf.several), len(rig.wire.seen)
        # a list may be kept for a while: each time an adapter that has read none
        shown = {offer.gpu_model for offer in await rig.restarted().offers(None)}
        missing = set(models) - shown
        assert not missing, f"{len(missing)} of {len(models)} kinds are not offered"
        if not rig.shelf.page:
            return  # how many requests a whole list takes is the market's affair
        asked = len(rig.wire.seen) - before
        assert rig.shelf.fits(asked), f"the offers took {asked} requests"
        for answered in range(asked):
            rig.wire.set(Fault.SERVER_ERROR, matches=_after(answered))
            with pytest.raises(Unavailable):
                await rig.restarted().offers(None)

    @pytest.mark.parametrize("restarts", [False, True], ids=["one adapter", "restarts"])
    async def test_what_is_not_listed_yet_is_not_opened_again_nor_called_gone(
        self, rig: Rig, restarts: bool
    ) -> None:
        await rig.lag(LAG)
        declared = rig.provider.capabilities
        assert LAG == declared.list_lag <= declared.not_found_grace  # the engine waits so long
        request = await _opened_unlisted(rig, restarts=restarts)
        again = await rig.restarted().open(request)
        assert again.handle.external_id == (request.handle or Handle("")).external_id
        lost = await _lost_unlisted(rig, rig.request(2))
        if declared.idempotency is IdempotencyClass.A:  # the only class that need not wait
            await drive(rig, lost, rig.restarted())
        await rig.pass_time(LAG)
        for key in (request.key, lost.key):
            assert len(await found_by_key(rig.restarted(), key)) == 1
        assert await rig.open_things() == 2

    async def test_every_request_has_every_timeout(self, rig: Rig) -> None:
        step = await drive(rig, rig.request())
        await rig.provider.offers(None)
        await rig.provider.leases()
        await rig.provider.close(step.handle)
        for request in rig.wire.seen:
            timeouts = request.extensions["timeout"]
            assert all(timeouts[name] for name in ("connect", "read", "write", "pool"))


async def _poll_on(rig: Rig, request: OpenRequest) -> OpenRequest:
    """Polls with one adapter until the next step would cost."""
    provider = rig.restarted()
    for _ in range(MOST_STEPS):
        step = await provider.open(request)
        request = replace(request, handle=step.handle)
        if step.next_costs or step.is_complete:
            return request
        await rig.pass_time(step.retry_after)
    raise AssertionError(f"still polling after {MOST_STEPS} steps")


async def _opened_unlisted(rig: Rig, *, restarts: bool) -> OpenRequest:
    """Opens to the end while the list does not show the lease; the request with its handle."""
    request, was_hidden = rig.request(), False
    for _ in range(MOST_STEPS):
        step = await (rig.restarted() if restarts else rig.provider).open(request)
        request = replace(request, handle=step.handle)
        assert await rig.open_things() <= 1
        if step.handle.external_id and not was_hidden:
            was_hidden = not await found_by_key(rig.provider, request.key)
            assert was_hidden, "the rig's market does not lag"
        if step.is_complete:
            return request
        await rig.pass_time(step.retry_after)
    raise AssertionError(f"not open after {MOST_STEPS} steps")


async def _lost_unlisted(rig: Rig, request: OpenRequest) -> OpenRequest:
    """The answer to what costs is lost, and the list does not show it yet."""
    asked = request
    for _ in range(MOST_STEPS):
        rig.wire.set(Fault.LOST_ANSWER, times=1, matches=costs)
        try:
            step = await rig.provider.open(asked)
        except OpenUncertain:
            rig.wire.heal()
            assert await found_by_key(rig.provider, request.key) == []
            return request
        asked = replace(asked, handle=step.handle)
        await rig.pass_time(step.retry_after)
    raise AssertionError(f"nothing was ordered in {MOST_STEPS} steps")


def _after(answered: int) -> Callable[[httpx.Request], bool]:
    """Matches every request but the first so many."""
    numbers = itertools.count()
    return lambda _: next(numbers) >= answered


async def _resolve(rig: Rig, request: OpenRequest) -> OpenStep:
    """R5: what carries the key is adopted, by an adapter that remembers nothing."""
    await rig.pass_time(rig.provider.capabilities.list_lag)
    provider = rig.restarted()
    (handle,) = await found_by_key(provider, request.key)
    return await provider.open(replace(request, handle=handle))


async def _offers(rig: Rig) -> object:
    return await rig.provider.offers(None)


async def _leases(rig: Rig) -> object:
    return await rig.provider.leases()


async def _open(rig: Rig) -> object:
    return await rig.provider.open(rig.request())


def _observing(handle: Handle) -> Callable[[Rig], Awaitable[object]]:
    async def observe(rig: Rig) -> object:
        return await rig.provider.observe(handle)

    return observe
