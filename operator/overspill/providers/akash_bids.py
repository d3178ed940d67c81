"""Chooses among the bids of an Akash order: fitting, affordable, then cheapest per reliable hour.

Pure; called by `akash.py` with what it read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from overspill.providers.akash_prices import Rates, interface_of
from overspill.providers.akash_wire import Bid
from overspill.providers.akash_wire_market import Host

UNKNOWN_RELIABILITY = Decimal("0.9")
"""For a provider whose uptime nobody tells: worse than a good one, better than none."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a bid must give. `gpu` is the attribute of the SDL: model, ram, interface."""

    gpu_count: int
    max_usd_per_hour: Decimal
    gpu: Mapping[str, str] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    min_reliability: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Quote:
    """A bid that would do, with its price for the whole lease."""

    bid: Bid
    usd_per_hour: Decimal
    reliability: Decimal

    @property
    def usd_per_reliable_hour(self) -> Decimal:
        """What an hour that really runs costs."""
        return self.usd_per_hour / max(self.reliability, Decimal("0.01"))


def ranked(bids: Iterable[Bid], wanted: Wanted, rates: Rates, hosts: Sequence[Host]) -> list[Quote]:
    """The bids that would do, best first; the provider's address breaks ties."""
    by_owner = {host.owner: host for host in hosts}
    quotes = [_quote(bid, rates, by_owner.get(bid.id.provider)) for bid in bids]
    fitting = [q for q in quotes if q is not None and _would_do(q, wanted, by_owner)]
    return sorted(fitting, key=lambda q: (q.usd_per_reliable_hour, q.bid.id.provider))


def why_none(bids: Sequence[Bid], wanted: Wanted, rates: Rates) -> str:
    """One sentence on why no bid would do."""
    if not bids:
        return "no provider made a bid in time"
    prices = [price for bid in bids if (price := rates.usd_per_hour(bid.price)) is not None]
    if prices and min(prices) > wanted.max_usd_per_hour:
        return (
            f"{len(bids)} bids, the cheapest at {min(prices):.4f} USD per hour "
            f"where at most {wanted.max_usd_per_hour:.4f} may be paid"
        )
    return f"none of {len(bids)} bids fits (closed, wrong GPU, or too unreliable)"


def _quote(bid: Bid, rates: Rates, host: Host | None) -> Quote | None:
    usd = rates.usd_per_hour(bid.price)
    if usd is None:
        return None
    uptime = host.uptime7d if host is not None else None
    return Quote(bid, usd, UNKNOWN_RELIABILITY if uptime is None else uptime)


def _would_do(quote: Quote, wanted: Wanted, hosts: Mapping[str, Host]) -> bool:
    bid, host = quote.bid, hosts.get(quote.bid.id.provider)
    if bid.state != "open" or bid.id.provider in wanted.refused:
        return False
    if host is not None and not host.is_online:
        return False
    if wanted.min_reliability is not None and quote.reliability < wanted.min_reliability:
        return False
    return quote.usd_per_hour <= wanted.max_usd_per_hour and _has_gpus(bid, wanted)


def _has_gpus(bid: Bid, wanted: Wanted) -> bool:
    units = [offered.resources.gpu for offered in bid.resources_offer]
    if not units:
        return True  # a bid need not repeat the resources: it then accepts the order as it is
    if any(unit.units.val != str(wanted.gpu_count) for unit in units):
        return False
    return all(_is_same_gpu(pair.key, wanted.gpu) for unit in units for pair in unit.attributes)


def _is_same_gpu(key: str, gpu: Mapping[str, str]) -> bool:
    """`vendor/nvidia/model/h100/ram/80Gi/interface/sxm` against what was asked for."""
    parts = key.split("/")
    if parts[0] != "vendor":
        return True
    named = dict(zip(parts[::2], parts[1::2], strict=False))
    if named.get("model") == "*":
        return True
    if "interface" in named:
        named["interface"] = interface_of(named["interface"])
    return all(named.get(name, value) == value for name, value in gpu.items())
