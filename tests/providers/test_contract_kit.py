"""The contract kit is itself tested: for each of its checks an adapter that is wrong in just that.

The adapters are the toy market's, each with one thing broken; `CATCHES` says which check must
notice. A check that no broken adapter fails would be a check that checks nothing.
"""

import inspect
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from overspill.core.errors import (
    AuthRejected,
    LeaseNotFound,
    NoCapacity,
    OpenUncertain,
    ProviderError,
    RateLimited,
    Unavailable,
)
from overspill.core.lease import Handle
from overspill.core.observation import HeldLease, Observation
from overspill.core.vocabulary import BillEnd, Phase
from overspill.core.worst_case import Ending
from overspill.ports import IdempotencyClass, OpenRequest, OpenStep
from overspill.providers._http import Call
from overspill.testing.contract import ProviderContract
from overspill.testing.listing import Listing

from .test_toy_market import KEY, Market, ToyRig
from .toy.toy import Toy, _Box, _Boxes, _Kind, _Kinds


class LosesItsKeys(Toy):
    async def leases(self) -> Sequence[HeldLease]:
        return [replace(h, handle=Handle("", h.handle.external_id)) for h in await super().leases()]


class ClaimsASwitch(Toy):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, ending=Ending(BillEnd.NOTHING))


class OrdersAnew(Toy):
    async def open(self, request: OpenRequest) -> OpenStep:
        return await super().open(replace(request, handle=None))


class TakesAnyForItsOwn(Toy):
    async def open(self, request: OpenRequest) -> OpenStep:
        held = await self.leases()
        if held and request.handle is None:
            found = Handle(request.key, held[0].handle.external_id)
            request = replace(request, handle=found)
        return await super().open(request)


class Remembers(Toy):
    """The first step orders and keeps the id to itself."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.known: dict[str, OpenStep] = {}

    async def open(self, request: OpenRequest) -> OpenStep:
        if request.key in self.known:
            return self.known[request.key]
        self.known[request.key] = await super().open(request)
        return OpenStep(Handle(request.key), is_complete=False)


class RepeatsWhatCosts(Toy):
    async def open(self, request: OpenRequest) -> OpenStep:
        try:
            return await super().open(request)
        except OpenUncertain:
            return await super().open(request)


class PaysAnything(Toy):
    async def open(self, request: OpenRequest) -> OpenStep:
        return await super().open(replace(request, max_usd_per_hour=Decimal(1000)))


class KeepsWhatItRefuses(Toy):
    async def _delete(self, box: str) -> None:
        return


class NeverCloses(Toy):
    async def close(self, handle: Handle) -> None:
        return


class ClosesOnlyById(Toy):
    async def close(self, handle: Handle) -> None:
        if handle.external_id:
            await super().close(handle)


class ClosesAll(Toy):
    async def close(self, handle: Handle) -> None:
        for held in await self.leases():
            await super().close(held.handle)


class ComplainsOfTheGone(Toy):
    async def close(self, handle: Handle) -> None:
        if not await self._ids(handle.key):
            raise LeaseNotFound("gone", provider=self.name)
        await super().close(handle)


class SeesGhosts(Toy):
    async def observe(self, handle: Handle) -> Observation:
        try:
            return await super().observe(handle)
        except LeaseNotFound:
            return Observation(Phase.UNKNOWN)


class ListsLessThanItClaims(Toy):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, lists_whole=True)

    async def leases(self) -> Sequence[HeldLease]:
        return [replace(h, observation=None) for h in await super().leases()]


class ListsOldNews(Toy):
    async def leases(self) -> Sequence[HeldLease]:
        old = Observation(Phase.LOST)
        return [replace(h, observation=old) for h in await super().leases()]


class _Relabels(Toy):
    """Every error of a kind becomes another."""

    wrong: tuple[type[ProviderError], type[ProviderError]]

    async def _renamed(self, asked: Any) -> Any:
        before, after = self.wrong
        try:
            return await asked
        except before as error:
            raise after(str(error), provider=self.name) from None

    async def offers(self, requirements: Any) -> Any:
        return await self._renamed(super().offers(requirements))

    async def open(self, request: OpenRequest) -> OpenStep:
        step: OpenStep = await self._renamed(super().open(request))
        return step

    async def leases(self) -> Any:
        return await self._renamed(super().leases())


class DoubtsEverything(_Relabels):
    wrong = (Unavailable, OpenUncertain)


class IgnoresTheLimit(_Relabels):
    wrong = (RateLimited, Unavailable)


class BlamesTheMarket(_Relabels):
    wrong = (AuthRejected, Unavailable)


class ForgetsHowLongToWait(Toy):
    async def offers(self, requirements: Any) -> Any:
        try:
            return await super().offers(requirements)
        except RateLimited as error:
            wait = timedelta(0)
            raise RateLimited(str(error), provider=self.name, retry_after=wait) from None


class NeverGivesUp(Toy):
    async def leases(self) -> Sequence[HeldLease]:
        for _ in range(3):
            try:
                return await super().leases()
            except Unavailable:
                continue
        return await super().leases()


class FollowsAnywhere(Toy):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.http._client.follow_redirects = True


class Talks(Toy):
    async def offers(self, requirements: Any) -> Any:
        try:
            return await super().offers(requirements)
        except ProviderError as error:
            raise type(error)(f"{error} (key {KEY})", provider=self.name) from None


class WaitsForEver(Toy):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.http._client.timeout = httpx.Timeout(None)


class ReadsWhatCosts(Toy):
    """The order goes out as a read: repeated after an outcome that nobody knows."""

    async def open(self, request: OpenRequest) -> OpenStep:
        if request.handle is not None:
            return await super().open(request)
        body = {"tag": request.key}
        box = await self.http.read(Call("POST", "/boxes", "order a box", body=body), _Box)
        return await self._judged(request, box)


class ReadsTheFirstPage(Toy):
    async def _boxes(self) -> list[_Box]:
        return (await self.http.read(Call("GET", "/boxes", "list the boxes"), _Boxes)).boxes


class TakesWhatItGot(Toy):
    """The pages so far, when one fails midway."""

    async def _boxes(self) -> list[_Box]:
        found: list[_Box] = []
        after: str | None = ""
        while after is not None:
            call = Call("GET", "/boxes", "list the boxes", params={"after": after})
            try:
                page = await self.http.read(call, _Boxes)
            except Unavailable:
                if not found:
                    raise
                break
            found, after = found + page.boxes, page.next
        return found


class ShowsTwice(Toy):
    async def leases(self) -> Sequence[HeldLease]:
        held = await super().leases()
        return [*held, held[0]] if len(held) > 1 else held


class OffersTheFirstPage(Toy):
    async def _kinds(self) -> list[_Kind]:
        call = Call("GET", "/kinds", "read the kinds")
        return (await self.http.read(call, _Kinds)).kinds


class OffersWhatItGot(Toy):
    """The pages so far, when one fails midway."""

    async def _kinds(self) -> list[_Kind]:
        found: list[_Kind] = []
        after: str | None = ""
        while after is not None:
            call = Call("GET", "/kinds", "read the kinds", params={"after": after})
            try:
                page = await self.http.read(call, _Kinds)
            except Unavailable:
                if not found:
                    raise
                break
            found, after = found + page.kinds, page.next
        return found


class DeclaresNoLag(Toy):
    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, list_lag=timedelta(0))


class IsLessPatientThanTheListIsSlow(Toy):
    """The engine would take the silence of a fresh lease for its end."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, not_found_grace=timedelta(seconds=60))


class CallsGoneWhatIsNotListed(Toy):
    async def _read_back(self, request: OpenRequest, handle: Handle) -> OpenStep:
        if not await self._ids(request.key):
            raise NoCapacity("it is gone", provider=self.name)
        return await super()._read_back(request, handle)


class OrdersWhatIsNotListed(Toy):
    async def _read_back(self, request: OpenRequest, handle: Handle) -> OpenStep:
        if not await self._ids(request.key):
            return await self.open(replace(request, handle=None))
        return await super()._read_back(request, handle)


class ClaimsToKnowItsKeys(Toy):
    """Class A is promised, so nobody waits before the order is sent again."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.capabilities = replace(self.capabilities, idempotency=IdempotencyClass.A)


CATCHES: dict[str, tuple[type[Toy], ...]] = {
    "test_open_opens_one_lease_that_the_list_shows_under_its_key": (LosesItsKeys,),
    "test_what_ends_the_bill_is_declared_as_the_dead_mans_switch_is": (ClaimsASwitch,),
    "test_open_twice_opens_once": (OrdersAnew,),
    "test_another_attempt_is_another_lease": (TakesAnyForItsOwn,),
    "test_a_restart_between_any_two_steps_opens_once": (Remembers,),
    "test_a_lost_answer_is_uncertain_sent_once_and_adopted_by_key": (
        RepeatsWhatCosts,
        ReadsWhatCosts,
        LosesItsKeys,
    ),
    "test_what_costs_more_than_the_cap_is_refused_and_nothing_is_left": (
        PaysAnything,
        KeepsWhatItRefuses,
    ),
    "test_close_ends_it_and_close_again_is_silent": (NeverCloses, ComplainsOfTheGone),
    "test_close_knows_a_lease_by_its_key_alone": (ClosesOnlyById, NeverCloses),
    "test_close_spares_the_others": (ClosesAll,),
    "test_closing_what_never_was_is_silent": (ComplainsOfTheGone,),
    "test_observing_what_never_was_is_not_found": (SeesGhosts,),
    "test_the_list_says_of_a_lease_what_reading_it_says": (ListsLessThanItClaims, ListsOldNews),
    "test_no_connection_is_known_to_cost_nothing": (DoubtsEverything,),
    "test_429_is_rate_limited_everywhere_and_nothing_is_executed": (
        IgnoresTheLimit,
        ForgetsHowLongToWait,
    ),
    "test_a_broken_read_is_unavailable_after_at_most_two_tries": (NeverGivesUp, DoubtsEverything),
    "test_no_redirect_is_followed_and_a_redirected_order_is_uncertain": (FollowsAnywhere,),
    "test_a_wrong_key_is_auth_rejected": (BlamesTheMarket,),
    "test_no_error_tells_a_secret": (Talks,),
    "test_a_list_of_several_pages_is_read_whole_or_is_an_error": (
        ReadsTheFirstPage,
        TakesWhatItGot,
        ShowsTwice,
    ),
    "test_offers_come_from_every_page_or_are_an_error": (OffersTheFirstPage, OffersWhatItGot),
    "test_what_is_not_listed_yet_is_not_opened_again_nor_called_gone": (
        DeclaresNoLag,
        IsLessPatientThanTheListIsSlow,
        CallsGoneWhatIsNotListed,
        OrdersWhatIsNotListed,
        ClaimsToKnowItsKeys,
    ),
    "test_every_request_has_every_timeout": (WaitsForEver,),
}

CHECKS = {
    name: check
    for name, check in inspect.getmembers(ProviderContract, inspect.isfunction)
    if name.startswith("test_")
}


def arguments(check: Any) -> list[dict[str, Any]]:
    """What the check is run with, once per case of its parameters."""
    marks = [m for m in getattr(check, "pytestmark", []) if m.name == "parametrize"]
    if not marks:
        return [{}]
    (mark,) = marks
    names, values = mark.args
    if isinstance(names, str):
        return [{names: value} for value in values]
    return [dict(zip(names, row, strict=True)) for row in values]


async def verdicts(name: str, adapter: type[Toy]) -> list[str]:
    """What the check says of the adapter, case by case; "" when it is content."""
    said = []
    for given in arguments(CHECKS[name]):
        try:
            await CHECKS[name](ProviderContract(), ToyRig(adapter), **given)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  (any failure counts)
            said.append(f"{type(error).__name__}: {error}")
        else:
            said.append("")
    return said


def test_every_check_has_an_adapter_that_it_catches() -> None:
    assert set(CATCHES) == set(CHECKS)


@pytest.mark.parametrize(
    ("check", "adapter"),
    [(name, adapter) for name, adapters in CATCHES.items() for adapter in adapters],
    ids=lambda value: value.__name__ if isinstance(value, type) else value.removeprefix("test_"),
)
async def test_a_broken_adapter_fails(check: str, adapter: type[Toy]) -> None:
    assert any(await verdicts(check, adapter)), f"{adapter.__name__} went unnoticed"


@pytest.mark.parametrize("check", sorted(CHECKS), ids=lambda name: name.removeprefix("test_"))
async def test_the_sound_adapter_passes(check: str) -> None:
    assert not any(await verdicts(check, Toy))


class BelievesNoLongList(Toy):
    async def _boxes(self) -> list[_Box]:
        found = await super()._boxes()
        if len(found) >= CUT.cut_at:
            raise Unavailable("the list may be cut", provider=self.name)
        return found


CUT = Listing(cut_at=4, why_whole="the toy's lists have no pages here")
WHOLE = Listing(why_whole="the toy's lists have no pages here")


@pytest.mark.parametrize(
    ("adapter", "listing", "is_content"),
    [(Toy, WHOLE, True), (Toy, CUT, False), (BelievesNoLongList, CUT, True)],
    ids=["one answer is whole", "one that may be cut is believed", "one that may be cut is none"],
)
async def test_a_list_without_pages_is_read_as_the_rig_declares(
    adapter: type[Toy], listing: Listing, is_content: bool
) -> None:
    market = Market(page=listing.cut_at or listing.several)
    rig = ToyRig(adapter, market, listing=listing)
    check = ProviderContract().test_a_list_of_several_pages_is_read_whole_or_is_an_error
    if is_content:
        await check(rig)
    else:
        with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
            await check(rig)


@pytest.mark.parametrize(
    "said", [{}, {"page": 2, "why_whole": "it has none"}], ids=["none", "both"]
)
def test_a_rig_says_how_the_list_comes(said: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="how many entries a page has"):
        Listing(**said)
