"""io.net's hardware list and prices over the sandbox's hosts: one kind per GPU type and country."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from overspill.sandbox.supply import Host
from overspill.sandbox.world import World

FEE_PERCENT = Decimal(4)
CONVERSION_PERCENT = Decimal(1)
_FIRST_ID = 201


class Catalog:
    """Kinds, locations and prices as one reading of the hosts gives them."""

    def __init__(self, world: World) -> None:
        self._world = world
        hosts = list(world.supply.hosts.values())
        names = sorted({host.gpu.product_name for host in hosts})
        self.ids = {name: _FIRST_ID + n for n, name in enumerate(names)}
        countries = sorted({host.country for host in hosts})
        self.places = {country: n + 1 for n, country in enumerate(countries)}

    def hardware(self) -> list[dict[str, Any]]:
        """Every kind in every country that has it."""
        seen: dict[tuple[str, str], list[Host]] = {}
        for host in self._world.supply.hosts.values():
            self.ids.setdefault(host.gpu.product_name, _FIRST_ID + len(self.ids))
            seen.setdefault((host.gpu.product_name, host.country), []).append(host)
        return [
            {
                "hardware_id": self.ids[name],
                "hardware_name": name.removeprefix("NVIDIA "),
                "brand_name": "NVIDIA",
                "location": country,
                "price": float(min(h.usd_per_gpu_hour for h in hosts)),
                "available": sum(h.free.gpus for h in hosts if h.online),
                "network": sum(1 for h in hosts if h.online and h.free.gpus),
                "max_gpus_per_container": min(8, max(h.gpus for h in hosts)),
                "min_gpus_per_container": None,
                "confidential_compute": False,
            }
            for (name, country), hosts in sorted(seen.items())
        ]

    def locations(self, hardware: str, gpus: int) -> list[dict[str, Any]]:
        """Where a container of so many GPUs could start, and how often."""
        found: dict[str, int] = {}
        for host in self.hosts(hardware):
            fits = host.free.gpus // max(1, gpus) if host.online else 0
            found[host.country] = found.get(host.country, 0) + fits
        return [
            {
                "id": self.places[country],
                "iso2": country,
                "name": country,
                "available_replicas": fits,
            }
            for country, fits in sorted(found.items())
        ]

    def hosts(self, hardware: str, place: int | None = None) -> list[Host]:
        """The hosts of a kind, cheapest first."""
        fitting = [h for h in self._of(hardware) if place in {None, self.places[h.country]}]
        return sorted(fitting, key=lambda host: host.usd_per_gpu_hour)

    def total(self, host: Host, gpus: int, hours: int) -> Decimal:
        """USDC for a whole booking with its fees."""
        base = host.usd_per_gpu_hour * gpus * hours
        return (base * (100 + FEE_PERCENT + CONVERSION_PERCENT) / 100).quantize(Decimal("0.000001"))

    def quote(self, host: Host, gpus: int, hours: int) -> dict[str, Any]:
        """A price in the market's fields."""
        base = host.usd_per_gpu_hour * gpus * hours
        return {
            "replica_count": 1,
            "gpus_per_container": gpus,
            "available_replica_count": [host.free.gpus // gpus],
            "discount": 0.0,
            "ionet_fee": float(base * FEE_PERCENT / 100),
            "ionet_fee_percent": float(FEE_PERCENT),
            "currency_conversion_fee": float(base * CONVERSION_PERCENT / 100),
            "currency_conversion_fee_percent": float(CONVERSION_PERCENT),
            "total_cost_usdc": float(self.total(host, gpus, hours)),
        }

    def _of(self, hardware: str) -> Iterator[Host]:
        for host in self._world.supply.hosts.values():
            if str(self.ids[host.gpu.product_name]) == hardware:
                yield host
