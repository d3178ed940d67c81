"""Toy: a market that nobody has, to show that another one is one file. See `test_toy_market.py`.

The market's words: a *kind* is an offer, a *box* a lease; its id is our handle's external id and
its tag our key, which the list gives back (idempotency class B). `open` is one POST; price and
number of GPUs of the answer are enforced. Deleting the box ends the bill, and so does the hard
deadline, which goes along with the order.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal

import httpx
from cachetools import LRUCache
from pydantic import BaseModel

from overspill.core.errors import LeaseNotFound, NoCapacity, OfferRejected, Unavailable
from overspill.core.gpus import canonical_model
from overspill.core.lease import Handle
from overspill.core.observation import HeldLease, Observation
from overspill.core.offer import Offer, Requirements
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import BillEnd, Phase
from overspill.core.worst_case import Ending
from overspill.ports import Capabilities, Clock, IdempotencyClass, OpenRequest, OpenStep
from overspill.providers._http import Call, MarketHttp, Target
from overspill.providers._settings import MarketSettings, settings_of

PROVIDER_TYPE = "Toy"
MOST_PAGES = 400


class _Kind(BaseModel):
    id: str
    gpu: str
    gpus: int
    usd_per_hour: Decimal


class _Box(BaseModel):
    id: str
    tag: str
    state: str
    gpus: int
    usd_per_hour: Decimal


class _Kinds(BaseModel):
    kinds: list[_Kind]
    next: str | None


class _Boxes(BaseModel):
    boxes: list[_Box]
    next: str | None


def create(account: ProviderAccount, credentials: Mapping[str, str], clock: Clock) -> "Toy":
    """The adapter of one account; opens no connection yet."""
    config = settings_of(MarketSettings, account, credentials, "https://toy.invalid")
    return Toy(account, config, clock)


class Toy:
    """One account: the five calls of `ports.Provider`."""

    def __init__(
        self,
        account: ProviderAccount,
        config: MarketSettings,
        clock: Clock,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.name = account.name
        self.capabilities = Capabilities(
            idempotency=IdempotencyClass.B,
            list_lag=timedelta(seconds=config.list_lag_seconds),
            quarantine=timedelta(seconds=config.quarantine_seconds),
            not_found_grace=timedelta(seconds=config.list_lag_seconds + 30),
            has_dead_mans_switch=True,
            ending=Ending(BillEnd.DEADLINE),
        )
        self._account, self._clock = account, clock
        self._unseen: LRUCache[str, float] = LRUCache(maxsize=4096)
        """Since when an ordered box has not been readable, on the monotonic clock."""
        target = Target(account.name, config.endpoint, config.bearer())
        self.http = MarketHttp(target, clock, limits=config.limits(), transport=transport)

    async def offers(self, requirements: Requirements | None) -> Sequence[Offer]:
        """The kinds, each taken whole."""
        return [self._offer(kind) for kind in await self._kinds()]

    async def open(self, request: OpenRequest) -> OpenStep:
        """Orders the box; with a handle, reads it back."""
        if request.handle is not None and request.handle.external_id:
            return await self._read_back(request, request.handle)
        body = {
            "kind": request.offer.offer_id,
            "tag": request.key,
            "ends": request.hard_deadline.isoformat(),
        }
        call = Call("POST", "/boxes", "order a box", body=body, costs=True)
        return await self._judged(request, await self.http.send(call, _Box))

    async def observe(self, handle: Handle) -> Observation:
        """One box as the market sees it now."""
        box = await self._box(handle.external_id or "none")
        return Observation(
            Phase.RUNNING if box.state == "up" else Phase.UNKNOWN,
            price_usd_per_hour=box.usd_per_hour,
        )

    async def close(self, handle: Handle) -> None:
        """Deletes the box; by tag when it has no id."""
        for box in [handle.external_id] if handle.external_id else await self._ids(handle.key):
            await self._delete(box)

    async def leases(self) -> Sequence[HeldLease]:
        """Every box of the account, with its tag as key."""
        return [HeldLease(Handle(b.tag, b.id), is_live=True) for b in await self._boxes()]

    async def _read_back(self, request: OpenRequest, handle: Handle) -> OpenStep:
        try:
            return await self._judged(request, await self._box(handle.external_id))
        except LeaseNotFound:
            # a fresh box may not be readable yet; one that stays so was never there
            now = self._clock.monotonic()
            since = self._unseen.setdefault(handle.external_id, now)
            if now - since > self.capabilities.not_found_grace.total_seconds():
                words = f"{self.name}: the box was ordered and is gone"
                raise NoCapacity(words, provider=self.name) from None
            return OpenStep(handle, False, message="waits for the box to be listed")

    async def _judged(self, request: OpenRequest, box: _Box) -> OpenStep:
        if box.usd_per_hour > request.max_usd_per_hour or box.gpus < request.gpu_count:
            await self._delete(box.id)
            words = f"{self.name}: the box is not as offered; it is deleted"
            raise OfferRejected(words, provider=self.name)
        handle = Handle(request.key, box.id)
        return OpenStep(handle, is_complete=True, price_usd_per_hour=box.usd_per_hour)

    async def _box(self, box: str) -> _Box:
        return await self.http.read(Call("GET", f"/boxes/{box}", "read a box"), _Box)

    async def _kinds(self) -> list[_Kind]:
        """All pages or an error."""
        found: list[_Kind] = []
        after = ""
        for _ in range(MOST_PAGES):
            call = Call("GET", "/kinds", "read the kinds", params={"after": after})
            page = await self.http.read(call, _Kinds)
            found += page.kinds
            if not page.next:
                return found
            after = page.next
        raise Unavailable(f"{self.name}: the list of kinds does not end", provider=self.name)

    async def _boxes(self) -> list[_Box]:
        """All pages or an error."""
        found: dict[str, _Box] = {}
        after = ""
        for _ in range(MOST_PAGES):
            call = Call("GET", "/boxes", "list the boxes", params={"after": after})
            page = await self.http.read(call, _Boxes)
            found.update({box.id: box for box in page.boxes})
            if not page.next:
                return list(found.values())
            after = page.next
        raise Unavailable(f"{self.name}: the list of boxes does not end", provider=self.name)

    async def _ids(self, key: str) -> list[str]:
        return [box.id for box in await self._boxes() if box.tag == key]

    async def _delete(self, box: str) -> None:
        try:
            await self.http.no_content(Call("DELETE", f"/boxes/{box}", "delete a box"))
        except LeaseNotFound:
            return

    def _offer(self, kind: _Kind) -> Offer:
        return Offer(
            provider=self.name,
            offer_id=kind.id,
            place=f"{self.name}/{kind.id}",
            capacity_type=self._account.capacity_type,
            trust_tier=self._account.trust_tier,
            gpu_model=canonical_model(kind.gpu),
            gpu_count=kind.gpus,
            price_usd_per_hour=kind.usd_per_hour,
            as_of=self._clock.now(),
        )
