"""How hosts answer an order: when, at what price, and until when their bids stand.

Called by the chain when an order is opened and when a bid is to be taken.
"""

import random
from collections.abc import Callable, Mapping
from decimal import ROUND_DOWN, Decimal
from functools import partial
from typing import Any

from overspill.sandbox.markets.akash import errors
from overspill.sandbox.markets.akash.address import address
from overspill.sandbox.markets.akash.errors import ApiError
from overspill.sandbox.markets.akash.matching import may_bid
from overspill.sandbox.markets.akash.state import (
    BLOCKS_PER_HOUR,
    UACT_PER_USD,
    Bid,
    Deployment,
    Order,
)
from overspill.sandbox.supply import Host
from overspill.sandbox.world import World


class Bidding:
    """The hosts' side of the auction. `height` tells the block of a time."""

    def __init__(self, world: World, height: Callable[[float], int], lifetime_s: float) -> None:
        self._world = world
        self._height = height
        self._lifetime_s = lifetime_s

    def ask(self, deployment: Deployment, order: Order) -> None:
        """Plans the moment every host looks at the order."""
        if self._world.faults.take("no_bids", key=deployment.key):
            return
        late = self._world.faults.take("late_bid", key=deployment.key)
        extra = late.number("seconds", 60) if late else 0.0
        for host in self._world.supply.hosts.values():
            chance = self._chance(deployment, host)
            when = deployment.created_at + host.bid_delay_s * chance.uniform(0.5, 1.5) + extra
            price = self._price(host, order, chance)
            bid = Bid(order.gseq, host, address(host.name), price, 0)
            self._world.timeline.at(when, partial(self._arrive, deployment, order, bid))

    def take(self, deployment: Deployment, wanted: Mapping[str, Any]) -> Bid:
        """The wanted bid, still open; else the chain's words for why not."""
        if deployment.state != "active":
            raise ApiError(400, "Failed to create lease: Deployment closed")
        order = deployment.order(int(wanted["gseq"]))
        if order is None or order.state != "open":
            raise ApiError(400, errors.ORDER_NOT_OPEN)
        for bid in deployment.bids:
            if bid.gseq == order.gseq and bid.provider == wanted["provider"]:
                self._close_if_gone(deployment, order, bid)
                if bid.state == "open":
                    return bid
        raise ApiError(400, errors.BID_NOT_OPEN)

    def _arrive(self, deployment: Deployment, order: Order, bid: Bid, at: float) -> None:
        if deployment.state != "active" or order.state != "open" or bid.price > order.group.cap:
            return
        if may_bid(bid.host, order.group, deployment.sdl.reclamation_s):
            bid.height = self._height(at)
            deployment.bids.append(bid)
            self._world.timeline.at(at + self._lifetime_s, lambda _: _expire(bid))

    def _close_if_gone(self, deployment: Deployment, order: Order, bid: Bid) -> None:
        context = {"key": deployment.key, "provider": bid.host.name}
        closes = self._world.faults.take("bid_closes", **context)
        if bid.state == "open" and (closes or not order.group.slice.fits(bid.host.free)):
            bid.state = "closed"

    def _chance(self, deployment: Deployment, host: Host) -> random.Random:
        # seeded by what is asked and whom, so that the order of requests changes nothing
        return random.Random(f"{self._world.seed}:{deployment.key}:{host.name}")  # noqa: S311 -- simulation, repeatable by seed

    def _price(self, host: Host, order: Order, chance: random.Random) -> Decimal:
        exact = host.usd_per_hour(order.group.slice) * UACT_PER_USD / BLOCKS_PER_HOUR
        exact *= 1 + Decimal(chance.uniform(-1, 1)) * host.price_jitter
        return exact.quantize(Decimal("0.000001"), rounding=ROUND_DOWN)


def _expire(bid: Bid) -> None:
    if bid.state == "open":
        bid.state = "closed"
