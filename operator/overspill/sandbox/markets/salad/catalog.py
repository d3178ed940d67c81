"""SaladCloud's GPU classes over the sandbox's hosts, and which host may take a group.

A class is a model on audited hosts (secure) or on the others (community), one GPU an instance, at
the price of its cheapest host for the highest priority; the lower ones are cheaper.
"""

import re
import uuid
from collections.abc import Collection, Iterable
from decimal import Decimal
from typing import Any

from overspill.sandbox.gpus import Gpu
from overspill.sandbox.supply import Host, Slice
from overspill.sandbox.world import World

_NAMESPACE = uuid.UUID("00000000-0000-0000-0000-0000005a1ad0")
_SHARE = {
    "high": Decimal(1),
    "medium": Decimal("0.9"),
    "low": Decimal("0.8"),
    "batch": Decimal("0.6"),
}
_MOST_VCPU, _MOST_MB, _MOST_BYTES = 64, 256 * 1024, 2 * 2**40


class Catalog:
    """Classes as one reading of the hosts gives them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def classes(self) -> list[dict[str, Any]]:
        """Every class with its prices."""
        found = {class_id(host): host for host in self._world.supply.hosts.values()}
        return [self._class(id_, host) for id_, host in sorted(found.items())]

    def knows(self, id_: str) -> bool:
        """Whether there is such a class."""
        return any(class_id(host) == id_ for host in self._world.supply.hosts.values())

    def price(self, id_: str, priority: str) -> Decimal:
        """USD for an hour of one instance."""
        rates = [h.usd_per_gpu_hour for h in self._hosts([id_])]
        return (min(rates) * _SHARE[priority]).quantize(Decimal("0.0001"))

    def free(self, classes: Collection[str], countries: Collection[str]) -> int:
        """How many instances would find a machine now."""
        fitting = self._hosts(classes, countries)
        return sum(max(0, host.free.gpus) for host in fitting if host.online)

    def host(
        self,
        classes: Collection[str],
        wanted: Slice,
        countries: Collection[str],
        but: Host | None = None,
    ) -> Host | None:
        """A host with room, cheapest first."""
        fitting = [
            host
            for host in self._hosts(classes, countries)
            if host.online and host is not but and wanted.fits(host.free)
        ]
        return min(fitting, key=lambda host: host.usd_per_gpu_hour, default=None)

    def any_host(self, classes: Collection[str]) -> Host:
        """Some host of these classes, busy or away."""
        return next(iter(self._hosts(classes)))

    def _hosts(self, classes: Collection[str], countries: Collection[str] = ()) -> Iterable[Host]:
        for host in self._world.supply.hosts.values():
            if class_id(host) in classes and (not countries or host.country.lower() in countries):
                yield host

    def _class(self, id_: str, host: Host) -> dict[str, Any]:
        return {
            "id": id_,
            "name": name_of(host.gpu),
            "prices": [
                {"priority": priority, "price": str(self.price(id_, priority))}
                for priority in _SHARE
            ],
            "gpu_count": 1,
            "gpu_class_type": "secure" if host.audited else "community",
            "is_high_demand": self.free([id_], ()) == 0,
            "min_vcpu": 1,
            "max_vcpu": _MOST_VCPU,
            "min_ram": 1024,
            "max_ram": _MOST_MB,
            "min_storage": 2**30,
            "max_storage": _MOST_BYTES,
        }


def class_id(host: Host) -> str:
    """The class of a host."""
    gpu = host.gpu
    kind = "secure" if host.audited else "community"
    return str(uuid.uuid5(_NAMESPACE, f"{gpu.model}/{gpu.ram}/{gpu.interface}/{kind}"))


def machine_id(host: Host) -> str:
    """The market's name of a machine."""
    return str(uuid.uuid5(_NAMESPACE, host.name))


def name_of(gpu: Gpu) -> str:
    """ "RTX 4090 (24 GB)"."""
    model = re.sub(r"^(rtx|gtx)(\d)", r"\1 \2", gpu.model).upper()
    form = " SXM" if gpu.interface == "sxm" else ""
    return f"{model}{form} ({gpu.ram.removesuffix('Gi')} GB)"
