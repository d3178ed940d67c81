"""Akash's units: amounts per block into USD per hour, and its price list into offers.

A block takes about six seconds, so an hour has 600 of them; `uact` is a millionth of a dollar.
`uakt` floats and needs a rate. The list's prices are of GPUs alone: the market takes them from bids
on orders with next to no CPU, memory and disk. Hosts charge for those too, so offers carry their
rates. Called by `akash.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from statistics import median

from overspill.core.gpus import canonical_model, gpu_info
from overspill.core.offer import BesideRates, Offer
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import InterconnectClass, TrustTier
from overspill.providers.akash_wire import Price
from overspill.providers.akash_wire_market import GpuModel, GpuPrices, Host

BLOCKS_PER_HOUR = 600
MICRO = Decimal(10**6)


@dataclass(frozen=True, slots=True)
class Rates:
    """USD of one whole coin by its micro denomination."""

    usd: Mapping[str, Decimal] = field(default_factory=lambda: {"uact": Decimal(1)})

    def usd_of(self, price: Price) -> Decimal | None:
        """USD of an amount, None for a coin without a rate."""
        rate = self.usd.get(price.denom)
        return None if rate is None else price.amount * rate / MICRO

    def usd_per_hour(self, price: Price) -> Decimal | None:
        """USD per hour of a price per block."""
        usd = self.usd_of(price)
        return None if usd is None else usd * BLOCKS_PER_HOUR


def usd_per_hour_to_block(usd_per_hour: Decimal) -> Decimal:
    """`uact` per block for a price in USD per hour."""
    return usd_per_hour * MICRO / BLOCKS_PER_HOUR


def memory_gib(raw: str) -> Decimal | None:
    """`80Gi` as a number; None when the market does not say."""
    digits = raw.lower().removesuffix("gb").removesuffix("gi").strip()
    return Decimal(digits) if digits.isdecimal() and digits.isascii() else None


def interface_of(raw: str) -> str:
    """`sxm` or `pcie` as the SDL spells them, "" for anything else."""
    word = raw.lower()
    return next((name for name in ("sxm", "pcie") if word.startswith(name)), "")


@dataclass(frozen=True)  # no slots: what is read off the hosts is kept
class Catalogue:
    """Everything that makes offers out of one reading of the price list."""

    account: ProviderAccount
    prices: GpuPrices
    hosts: Sequence[Host]
    as_of: datetime
    region: str = ""
    max_gpus: int = 8
    beside: BesideRates | None = None

    def offers(self) -> list[Offer]:
        """One divisible offer per model that was bid on lately; without bids there is no price."""
        return [
            self._offer(model, model.price.med)
            for model in self.prices.models
            if model.vendor == "nvidia" and model.price is not None
        ]

    def _offer(self, model: GpuModel, usd_per_gpu_hour: Decimal) -> Offer:
        memory = memory_gib(model.ram)
        name = canonical_model(f"{model.model} {model.interface}", memory)
        info = gpu_info(name)
        count = max(1, min(self.max_gpus, model.availability.available))
        return Offer(
            provider=self.account.name,
            offer_id=f"{model.model}/{model.ram}/{model.interface}",
            place=self.account.name,
            capacity_type=self.account.capacity_type,
            # the console takes bids of audited providers only
            trust_tier=TrustTier.AUDITED,
            gpu_model=name,
            gpu_count=count,
            price_usd_per_hour=usd_per_gpu_hour * count,
            as_of=self.as_of,
            region=self.region,
            gpu_memory_gib=memory or (info.memory_gib if info else None),
            compute_capability=info.compute_capability if info else None,
            interconnect=_INTERCONNECT.get(interface_of(model.interface), InterconnectClass.NONE),
            is_divisible=True,
            is_firm=False,
            reliability=self._reliability(model),
            verification="audited",
            egress_usd_per_gib=self.account.egress_usd_per_gib,
            cold_start=self.account.cold_start,
            mtbf=self.account.mtbf,
            unavailable_reason="" if model.availability.available > 0 else _NONE_FREE,
            attributes=_attributes(model),
            beside_rates=self.beside,
        )

    def _reliability(self, model: GpuModel) -> Decimal | None:
        """The middle uptime of those who could bid; the bid's own provider is judged later."""
        uptimes = self.uptimes.get((model.model, model.ram))
        return Decimal(median(uptimes)) if uptimes else None

    @cached_property
    def uptimes(self) -> Mapping[tuple[str, str], Sequence[Decimal]]:
        """The uptimes of the hosts that could bid, by GPU and its memory."""
        found: dict[tuple[str, str], list[Decimal]] = {}
        for host in self.hosts:
            if host.is_online and host.is_audited and host.uptime7d is not None:
                for gpu in {(g.model, g.ram) for g in host.gpu_models}:
                    found.setdefault(gpu, []).append(host.uptime7d)
        return found


_NONE_FREE = "no GPU of this model is free at an audited provider now"
_INTERCONNECT = {"sxm": InterconnectClass.NVLINK, "pcie": InterconnectClass.PCIE}


def _attributes(model: GpuModel) -> tuple[tuple[str, str], ...]:
    facts = {
        "model": model.model,
        "ram": model.ram,
        "interface": interface_of(model.interface),
        "available": str(model.availability.available),
    }
    return tuple((name, value) for name, value in facts.items() if value)
