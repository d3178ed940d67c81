"""The asks of every machine: so many GPUs of it, under an id that is consumed when rented."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

from overspill.sandbox.markets.vast import wire
from overspill.sandbox.supply import Host
from overspill.sandbox.world import World

SIZES = (1, 2, 4, 8, 16)
CONTRACT_S = 30 * 86_400.0
_FIRST_ASK = 20_000_001
_FIRST_MACHINE = 40_001


class Asks:
    """Ids of asks and machines; which of them can be rented now."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ids = itertools.count(_FIRST_ASK)
        self._asks: dict[tuple[str, int], int] = {}
        names = sorted(world.supply.hosts)
        self._machines = {name: _FIRST_MACHINE + n for n, name in enumerate(names)}
        self.contract_ends = world.now() + CONTRACT_S

    def machine_id(self, host: Host) -> int:
        """The market's number of a machine."""
        return self._machines.setdefault(host.name, _FIRST_MACHINE + len(self._machines))

    def search(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The offers that fit, cheapest first unless asked otherwise."""
        bid, disk = query.get("type") == "bid", float(query.get("allocated_storage", 8))
        seconds = self.contract_ends - self._world.now()
        found = [
            wire.ask_json(
                host,
                self.machine_id(host),
                ask=self._id(host, size),
                gpus=size,
                bid=bid,
                disk=disk,
                seconds=seconds,
            )
            for host, size in self._open()
        ]
        fitting = [offer for offer in found if _fits(offer, query)]
        for field, way in reversed(query.get("order") or [["dph_total", "asc"]]):
            fitting.sort(key=lambda offer: offer.get(field) or 0, reverse=way == "desc")
        return fitting[: int(query.get("limit") or len(fitting))]

    def find(self, ask: int) -> tuple[Host, int] | None:
        """The machine and the size of an ask that can be rented now."""
        for host, size in self._open():
            if self._id(host, size) == ask:
                return host, size
        return None

    def consume(self, host: Host, size: int) -> None:
        """The ask is rented; what is left of the machine gets another id."""
        self._asks.pop((host.name, size), None)

    def _open(self) -> Iterator[tuple[Host, int]]:
        for host in self._world.supply.hosts.values():
            for size in SIZES:
                if host.online and size <= host.free.gpus:
                    yield host, size

    def _id(self, host: Host, size: int) -> int:
        key = (host.name, size)
        if key not in self._asks:
            self._asks[key] = next(self._ids)
        return self._asks[key]


def _fits(offer: Mapping[str, Any], query: Mapping[str, Any]) -> bool:
    verified = query.get("verified", {"eq": True})
    if verified.get("eq") and offer["verification"] != "verified":
        return False
    filters = {k: v for k, v in query.items() if isinstance(v, dict) and k != "verified"}
    return all(_matches(_value(offer, name), wanted) for name, wanted in filters.items())


def _value(offer: Mapping[str, Any], name: str) -> Any:
    if name == "geolocation":
        return str(offer["geolocation"]).rsplit(", ", maxsplit=1)[-1]
    if name == "external":
        return bool(offer["external"])
    value = offer.get(name)
    return value.replace(" ", "_") if name == "gpu_name" and isinstance(value, str) else value


def _matches(value: Any, wanted: Mapping[str, Any]) -> bool:
    return all(_holds(value, operator, operand) for operator, operand in wanted.items())


def _like(value: Any, operand: Any) -> Any:
    """The market's own client sends numbers as text, and either spelling of a GPU's name."""
    if isinstance(value, str) and isinstance(operand, str):
        return operand.replace(" ", "_") if "_" in value else operand
    if isinstance(value, (int, float)) and isinstance(operand, str):
        return float(operand)
    if isinstance(operand, list):
        return [_like(value, entry) for entry in operand]
    return operand


def _holds(value: Any, operator: str, operand: Any) -> bool:
    operand = _like(value, operand)
    match operator:
        case "eq":
            return bool(value == operand)
        case "neq":
            return bool(value != operand)
        case "in":
            return value in operand
        case "notin":
            return value not in operand
    if value is None:
        return False
    compare = {"gt": value > operand, "gte": value >= operand, "lt": value < operand}
    return bool(compare.get(operator, value <= operand))
