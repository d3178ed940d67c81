"""RunPod's catalogue over the sandbox's hosts: GPU types by cloud, data centers, stock in words.

A type has one list price per cloud, that of its cheapest host; audited hosts are SECURE.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from overspill.sandbox.gpus import Gpu
from overspill.sandbox.supply import Host
from overspill.sandbox.world import World

CLOUDS = ("SECURE", "COMMUNITY")
_CONTINENT = {"US": "", "CA": "", "JP": "AP-", "AU": "OC-"}


class Catalog:
    """Types and places as one reading of the hosts gives them."""

    def __init__(self, world: World) -> None:
        self._world = world

    def gpus(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """Every type, with what is left of it where that was asked for."""
        countries = set(filter(None, query.get("countryCodes", "").split(",")))
        types = sorted({host.gpu.product_name: host.gpu for host in self._hosts()}.items())
        found = []
        for name, gpu in types:
            if countries and not any(h.country in countries for h in self.hosts(name)):
                continue
            entry = self._gpu(name, gpu)
            if "AVAILABILITY" in query.get("include", ""):
                entry |= self._stock(name, query, countries)
            found.append(entry)
        return found

    def data_centers(self) -> list[dict[str, Any]]:
        """Every data center."""
        places = sorted({data_center(host): host for host in self._hosts()}.items())
        return [{"id": id_, "name": host.region} for id_, host in places]

    def hosts(self, gpu: str, cloud: str = "") -> list[Host]:
        """The hosts of a type, cheapest first."""
        fitting = [
            host
            for host in self._hosts()
            if host.gpu.product_name == gpu and (not cloud or cloud_of(host) == cloud)
        ]
        return sorted(fitting, key=lambda host: host.usd_per_gpu_hour)

    def price(self, gpu: str, cloud: str) -> Decimal:
        """USD per GPU and hour; 0 where a cloud does not have the type."""
        hosts = self.hosts(gpu, cloud)
        return hosts[0].usd_per_gpu_hour if hosts else Decimal(0)

    def _hosts(self) -> Iterator[Host]:
        yield from self._world.supply.hosts.values()

    def _gpu(self, name: str, gpu: Gpu) -> dict[str, Any]:
        most = {c: max((h.gpus for h in self.hosts(name, c)), default=0) for c in CLOUDS}
        return {
            "id": name,
            "name": name.removeprefix("NVIDIA "),
            "pool": None,
            "manufacturer": "NVIDIA",
            "memory": int(gpu.ram.removesuffix("Gi")),
            "secure": most["SECURE"] > 0,
            "community": most["COMMUNITY"] > 0,
            "price": {c.lower(): float(self.price(name, c)) for c in CLOUDS},
            "maxCount": {c.lower(): min(count, 8) for c, count in most.items()},
        }

    def _stock(self, name: str, query: Mapping[str, str], countries: set[str]) -> dict[str, Any]:
        count = int(query.get("count", "1"))
        hosts = [
            host
            for host in self.hosts(name, query.get("cloud", "SECURE"))
            if not countries or host.country in countries
        ]
        places: dict[str, int] = {}
        for host in hosts:
            free = host.free.gpus if host.online and host.free.gpus >= count else 0
            places[data_center(host)] = places.get(data_center(host), 0) + free
        centers = [
            {"id": id_, "name": id_, "availability": _word(free)} for id_, free in places.items()
        ]
        stock: dict[str, Any] = {"availability": _word(sum(places.values()))}
        return stock | ({"dataCenters": centers} if any(places.values()) else {})


def cloud_of(host: Host) -> str:
    """Which cloud a host belongs to."""
    return "SECURE" if host.audited else "COMMUNITY"


def data_center(host: Host) -> str:
    """The id of a host's place: `US-KS-2`, `EU-NL-1`."""
    prefix = _CONTINENT.get(host.country, "EU-")
    return f"{prefix}{host.country}-1" if prefix else f"{host.country}-KS-2"


def _word(free: int) -> str:
    if free >= 8:
        return "HIGH"
    return "MEDIUM" if free >= 4 else "LOW" if free else "NONE"
