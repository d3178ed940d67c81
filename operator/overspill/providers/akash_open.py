"""Opens an Akash lease in safe steps: create the deployment, choose a bid, take the lease.

Used by `akash.py`. What must survive a crash is in the handle (the deployment's number, the
chosen bid); what may be lost is in memory here: the wait for bids, which a restart begins anew,
and the manifest, which can be rebuilt and is never stored because it holds secret values.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import ROUND_UP, Decimal

from cachetools import LRUCache

from overspill.core.errors import LeaseNotFound, NoCapacity, OfferRejected
from overspill.core.lease import Handle
from overspill.ports import Clock, OpenRequest, OpenStep
from overspill.providers import akash_wire as wire
from overspill.providers._fresh import Unseen
from overspill.providers.akash_api import Api, BidClosed, OrderTaken
from overspill.providers.akash_bids import Quote, Wanted, ranked, why_none
from overspill.providers.akash_config import Config
from overspill.providers.akash_manifest import is_hash_of, manifest
from overspill.providers.akash_observe import has_manifest, live_lease
from overspill.providers.akash_sdl import Asked, gpu_attribute, sdl_document, sdl_text


@dataclass
class _Quoting:
    """One order's wait for bids, on the monotonic clock."""

    since: float
    first_fit: float | None = None


class Opening:
    """The step machine behind `Akash.open`."""

    def __init__(self, api: Api, config: Config, clock: Clock, region: str) -> None:
        self._api, self._config, self._clock = api, config, clock
        self._asked = Asked(config.denom, region, config.auditors)
        self._manifests: LRUCache[str, str] = LRUCache(maxsize=512)
        self._quoting: LRUCache[str, _Quoting] = LRUCache(maxsize=4096)
        self._unseen = Unseen(api.name, "deployment", clock, config.patience)
        """Since when a deployment with a chosen bid has not been readable."""

    async def create(self, request: OpenRequest) -> OpenStep:
        """Step one. Its answer alone carries the manifest."""
        sdl = sdl_document(request, self._asked)
        made = await self._api.create(sdl_text(sdl), self._deposit_usd(request))
        if made.sign_tx.code != 0:
            raise OfferRejected(
                f"{self._api.name}: the chain refused the deployment (code {made.sign_tx.code})",
                provider=self._api.name,
            )
        self._manifests[made.dseq] = made.manifest
        self._quoting[made.dseq] = _Quoting(self._clock.monotonic())
        handle = Handle(request.key, made.dseq)
        return OpenStep(handle, False, retry_after=self._pause(), message="waiting for bids")

    async def choose(self, request: OpenRequest, handle: Handle) -> OpenStep:
        """Step two, repeated freely until a bid is chosen or the window is over."""
        known = await self._adopted_at_first_sight(request, handle)
        if known is not None:
            return known
        bids = await self._api.bids(handle.external_id)
        if any(bid.state == "active" for bid in bids):
            known = await self._adopt(request, handle)
            if known is not None:
                return known
        return await self._pick(request, handle, bids)

    async def take(self, request: OpenRequest, handle: Handle) -> OpenStep:
        """Step three. The same bid may be sent again: the market skips what exists."""
        manifest_text = self._manifests.get(handle.external_id)
        if manifest_text is None:
            # we restarted since the order was made: the lease may stand already
            before = await self._known(handle)
            if isinstance(before, OpenStep):
                return before
            lease = live_lease(before)
            if lease is not None and has_manifest(lease):
                return await self._complete(request, handle, lease)
            manifest_text = await self._rebuilt_manifest(request, before)
        try:
            held = await self._api.take(manifest_text, _bid_of(handle))
        except BidClosed:
            return _without_bid(handle)
        except OrderTaken:
            known = await self._adopt(request, handle)
            if known is None:
                await self._drop(handle.external_id)
                raise
            return known
        lease = live_lease(held)
        if lease is None:
            return OpenStep(handle, False, next_costs=True, retry_after=timedelta(seconds=5))
        return await self._complete(request, handle, lease)

    def forget(self, dseq: str) -> None:
        """Drops what memory holds of an order that is done with; the manifest has secrets."""
        self._manifests.pop(dseq, None)
        self._quoting.pop(dseq, None)
        self._unseen.forget(dseq)

    async def _drop(self, dseq: str) -> None:
        self.forget(dseq)
        await self._api.drop(dseq)

    async def _adopted_at_first_sight(
        self, request: OpenRequest, handle: Handle
    ) -> OpenStep | None:
        """Adopted by key, or we restarted: a lease may be there already."""
        if handle.external_id in self._quoting:
            return None
        self._quoting[handle.external_id] = _Quoting(self._clock.monotonic())
        return await self._adopt(request, handle)

    async def _pick(self, request: OpenRequest, handle: Handle, bids: list[wire.Bid]) -> OpenStep:
        dseq, wanted = handle.external_id, self._wanted(request, handle)
        rates = await self._api.rates(bid.price for bid in bids)
        quotes = ranked(bids, wanted, rates, await self._api.hosts())
        if quotes and self._is_settled(dseq):
            return await self._chosen(request, handle, quotes[0])
        if not quotes and self._waited(dseq) >= self._config.bid_window_seconds:
            await self._drop(dseq)
            why = why_none(bids, wanted, rates)
            raise NoCapacity(f"{self._api.name}: {why}", provider=self._api.name)
        message = f"{len(bids)} bids so far"
        return OpenStep(handle, False, retry_after=self._pause(), message=message)

    async def _chosen(self, request: OpenRequest, handle: Handle, best: Quote) -> OpenStep:
        lasts = await self._lasts(request, handle.external_id, best.usd_per_hour)
        return OpenStep(
            _with_lease(handle, best.bid.id),
            is_complete=False,
            next_costs=True,
            retry_after=timedelta(0),
            price_usd_per_hour=best.usd_per_hour,
            message=f"takes a bid at {best.usd_per_hour:.4f} USD per hour"
            + ("" if lasts else "; its escrow may run dry before the lease's ceiling"),
        )

    async def _lasts(self, request: OpenRequest, dseq: str, usd_per_hour: Decimal) -> bool:
        """Whether the escrow lasts to the ceiling; asks the market to refill one that does not.

        Managed accounts ignore the deposit asked for and put in a few dollars.
        """
        try:
            held = await self._api.held(dseq)
        except LeaseNotFound:
            return False
        funds = held.escrow_account.state.funds
        rates = await self._api.rates(funds)
        free = sum((rates.usd_of(price) or Decimal(0) for price in funds), Decimal(0))
        if free >= min(request.max_total_usd, usd_per_hour * self._hours_left(request)):
            return True
        return self._config.auto_top_up and await self._api.refill(dseq)

    async def _adopt(self, request: OpenRequest, handle: Handle) -> OpenStep | None:
        """The step for a lease that exists already; None when there is none to adopt."""
        try:
            held = await self._api.held(handle.external_id)
        except LeaseNotFound:
            return None  # too fresh to be read, or gone: the wait for bids decides
        if held.deployment.state != "active":
            raise NoCapacity(
                f"{self._api.name}: the market has closed the deployment", provider=self._api.name
            )
        lease = live_lease(held)
        if lease is None:
            return None
        if has_manifest(lease):
            return await self._complete(request, handle, lease)
        return OpenStep(_with_lease(handle, lease.id), is_complete=False, next_costs=True)

    async def _complete(
        self, request: OpenRequest, handle: Handle, lease: wire.WireLease
    ) -> OpenStep:
        price = (await self._api.rates([lease.price])).usd_per_hour(lease.price)
        if price is None or price > request.max_usd_per_hour:
            await self._drop(handle.external_id)
            raise OfferRejected(
                f"{self._api.name}: the lease came at {price} USD per hour, over the cap of "
                f"{request.max_usd_per_hour}; it is being closed",
                provider=self._api.name,
            )
        self.forget(handle.external_id)
        return OpenStep(_with_lease(handle, lease.id), True, price_usd_per_hour=price)

    async def _known(self, handle: Handle) -> wire.Held | OpenStep:
        """A step that waits for what is too fresh to be read; one that stays so is gone."""
        try:
            held = await self._api.held(handle.external_id)
        except LeaseNotFound:
            return replace(self._unseen.waits(handle), next_costs=True)
        self._unseen.forget(handle.external_id)
        return held

    async def _rebuilt_manifest(self, request: OpenRequest, held: wire.Held) -> str:
        """The manifest made again, and proven equal by the hash that the chain recorded."""
        rebuilt = manifest(sdl_document(request, self._asked))
        recorded = held.deployment.hash
        if not recorded or is_hash_of(recorded, rebuilt):
            return rebuilt
        await self._drop(held.deployment.id.dseq)
        raise OfferRejected(
            f"{self._api.name}: the deployment was made from other values (a Secret changed "
            "since); it is being closed",
            provider=self._api.name,
        )

    def _wanted(self, request: OpenRequest, handle: Handle) -> Wanted:
        return Wanted(
            gpu_count=request.gpu_count,
            max_usd_per_hour=request.max_usd_per_hour,
            gpu=gpu_attribute(request.offer),
            refused=frozenset(handle.get("refused").split()),
            min_reliability=self._config.min_reliability,
        )

    def _pause(self) -> timedelta:
        """Until the next look; many orders at once look less often, within the pace."""
        share = 2 * len(self._quoting) / self._config.requests_per_second
        return timedelta(seconds=max(2.0, share))

    def _waited(self, dseq: str) -> float:
        return self._clock.monotonic() - self._quoting[dseq].since

    def _is_settled(self, dseq: str) -> bool:
        quoting, now = self._quoting[dseq], self._clock.monotonic()
        if quoting.first_fit is None:
            quoting.first_fit = now
        is_window_over = now - quoting.since >= self._config.bid_window_seconds
        return is_window_over or now - quoting.first_fit >= self._config.bid_settle_seconds

    def _deposit_usd(self, request: OpenRequest) -> Decimal:
        """Sized to the ceiling, so that the escrow ends what we might forget (where it counts)."""
        for_time = request.max_usd_per_hour * self._hours_left(request)
        wanted = min(request.max_total_usd, for_time)
        return max(wanted, self._config.min_deposit_usd).quantize(Decimal("0.01"), ROUND_UP)

    def _hours_left(self, request: OpenRequest) -> Decimal:
        left = (request.hard_deadline - self._clock.now()).total_seconds()
        return Decimal(max(left, 0.0)) / 3600


def _bid_of(handle: Handle) -> dict[str, str | int]:
    return {
        "dseq": handle.external_id,
        "gseq": int(handle.get("gseq")),
        "oseq": int(handle.get("oseq")),
        "provider": handle.get("provider"),
    }


def _with_lease(handle: Handle, lease: wire.LeaseId) -> Handle:
    found = {
        **dict(handle.data),
        "provider": lease.provider,
        "gseq": str(lease.gseq),
        "oseq": str(lease.oseq),
    }
    return Handle(handle.key, handle.external_id, tuple(found.items()))


def _without_bid(handle: Handle) -> OpenStep:
    refused = f"{handle.get('refused')} {handle.get('provider')}".strip()
    again = Handle(handle.key, handle.external_id, (("refused", refused),))
    return OpenStep(again, False, retry_after=timedelta(0), message="the bid was gone, next one")
