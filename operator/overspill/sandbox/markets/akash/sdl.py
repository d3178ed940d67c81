"""Reads a tenant's SDL: checks it the way the chain and the console would, and prices it.

Called by the chain on create and update. What it hands out is plain: services, and one group
per placement with its requirements, its resource units and the price the tenant will pay at most.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import yaml

from overspill.sandbox.markets.akash.errors import ApiError
from overspill.sandbox.supply import Slice


@dataclass(frozen=True, slots=True)
class Unit:
    """`count` copies of one compute profile; `price` is the cap per copy and block, in uact."""

    profile: str
    compute: Mapping[str, Any]
    services: tuple[str, ...]
    count: int
    price: Decimal
    slice: Slice


@dataclass(frozen=True, slots=True)
class Group:
    """A placement of the SDL: one order on the market."""

    name: str
    attributes: Mapping[str, str]
    any_of: tuple[str, ...]
    all_of: tuple[str, ...]
    units: tuple[Unit, ...]

    @property
    def cap(self) -> Decimal:
        """The most the tenant pays per block for the whole group."""
        return sum((unit.price * unit.count for unit in self.units), Decimal(0))

    @property
    def slice(self) -> Slice:
        """Everything the group needs of one host."""
        counted = [(unit.slice, unit.count) for unit in self.units]
        return Slice(
            gpus=sum(s.gpus * n for s, n in counted),
            milli_cpu=sum(s.milli_cpu * n for s, n in counted),
            memory_bytes=sum(s.memory_bytes * n for s, n in counted),
            storage_bytes=sum(s.storage_bytes * n for s, n in counted),
        )


@dataclass(frozen=True, slots=True)
class Sdl:
    """A checked SDL."""

    document: Mapping[str, Any]
    groups: tuple[Group, ...]
    reclamation_s: int | None

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """The services by name, as written."""
        services: Mapping[str, Mapping[str, Any]] = self.document["services"]
        return services


def parse_sdl(text: str) -> Sdl:
    """The SDL, or a 400 that says what is wrong with it."""
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise _invalid("it is not YAML") from error
    if not isinstance(document, dict):
        raise _invalid("it is not a mapping")
    if str(document.get("version")) not in {"2.0", "2.1"}:
        raise _invalid('version must be "2.0" or "2.1"')
    for part in ("services", "profiles", "deployment"):
        if not isinstance(document.get(part), dict) or not document[part]:
            raise _invalid(f"{part} is missing or empty")
    for name, service in document["services"].items():
        _check_service(str(name), service)
    return Sdl(document, _groups(document), _reclamation(document))


def parse_size(text: Any) -> int:
    """Bytes of "16Gi", "512Mi", "1G" or a number."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([a-zA-Z]*)", str(text))
    if match is None or match[2].lower() not in _SIZES:
        raise _invalid(f"{text!r} is not a size")
    return int(Decimal(match[1]) * _SIZES[match[2].lower()])


def parse_cpu(units: Any) -> int:
    """Thousandths of a CPU of "100m", "0.5" or a number."""
    text = str(units)
    try:
        value = Decimal(text.removesuffix("m")) * (1 if text.endswith("m") else 1000)
    except InvalidOperation as error:
        raise _invalid(f"{units!r} is not a number of CPUs") from error
    if value <= 0:
        raise _invalid("cpu.units must be greater than zero")
    return int(value)


def parse_gpus(gpu: Mapping[str, Any] | None) -> int:
    """Whole GPUs; units and vendor attributes go together or not at all."""
    units = int(str((gpu or {}).get("units", 0)))
    vendor = ((gpu or {}).get("attributes") or {}).get("vendor")
    if not isinstance(vendor, dict | None) or (units > 0) != bool(vendor):
        raise _invalid("gpu.units and gpu.attributes.vendor go together")
    if units > 0 and set(vendor or ()) != {"nvidia"}:
        raise ApiError(400, "Failed to create deployment: Invalid GPU attributes")
    return units


def storage_volumes(resources: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The volumes; one may stand without a list."""
    storage = resources["storage"]
    return list(storage) if isinstance(storage, list) else [storage]


_SIZES = {"": 1, "b": 1}
for _power, _letter in enumerate("kmgtpe", start=1):
    _SIZES[_letter] = 1000**_power
    _SIZES[_letter + "i"] = 1024**_power


def _invalid(what: str) -> ApiError:
    return ApiError(400, f"Invalid SDL: {what}.")


def _check_service(name: str, service: Any) -> None:
    if not isinstance(service, dict) or not service.get("image"):
        raise _invalid(f"services.{name}.image is missing")
    for part in ("command", "args", "env"):
        value = service.get(part)
        if value is not None and not _is_strings(value):
            raise _invalid(f"services.{name}.{part} must be a list of strings")
    for expose in service.get("expose") or []:
        if not isinstance(expose, dict) or not 1 <= int(expose.get("port", 0)) <= 65535:
            raise _invalid(f"services.{name}.expose needs a port between 1 and 65535")


def _is_strings(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _groups(document: Mapping[str, Any]) -> tuple[Group, ...]:
    placements: dict[str, dict[str, list[tuple[str, int]]]] = {}
    for service in sorted(document["services"]):
        where = document["deployment"].get(service)
        if not where:
            raise _invalid(f"service {service} is not deployed anywhere")
        for placement, entry in where.items():
            profiles = placements.setdefault(str(placement), {})
            profiles.setdefault(entry["profile"], []).append((service, int(entry["count"])))
    return tuple(_group(document, name, placements[name]) for name in sorted(placements))


def _group(
    document: Mapping[str, Any], name: str, profiles: Mapping[str, list[tuple[str, int]]]
) -> Group:
    infra = (document["profiles"].get("placement") or {}).get(name)
    if not isinstance(infra, dict):
        raise _invalid(f"profiles.placement.{name} is missing")
    signed = infra.get("signedBy") or {}
    return Group(
        name=name,
        attributes={str(k): str(v) for k, v in sorted((infra.get("attributes") or {}).items())},
        any_of=tuple(signed.get("anyOf") or ()),
        all_of=tuple(signed.get("allOf") or ()),
        units=tuple(_unit(document, infra, profile, used) for profile, used in profiles.items()),
    )


def _unit(
    document: Mapping[str, Any],
    infra: Mapping[str, Any],
    profile: str,
    used: list[tuple[str, int]],
) -> Unit:
    compute = (document["profiles"].get("compute") or {}).get(profile)
    if not isinstance(compute, dict) or "resources" not in compute:
        raise _invalid(f"profiles.compute.{profile} is missing")
    return Unit(
        profile=profile,
        compute=compute,
        services=tuple(service for service, _ in used),
        count=sum(count for _, count in used),
        price=_price((infra.get("pricing") or {}).get(profile), profile),
        slice=_slice(compute["resources"], profile),
    )


def _price(coin: Any, profile: str) -> Decimal:
    if not isinstance(coin, dict) or "amount" not in coin:
        raise _invalid(f"there is no pricing for {profile}")
    if coin.get("denom") not in {"uakt", "uact"}:
        raise ApiError(400, "Failed to create deployment: Invalid coin denominations")
    try:
        amount = Decimal(str(coin["amount"]))
    except InvalidOperation as error:
        raise _invalid(f"the price of {profile} is not a number") from error
    if amount <= 0:
        raise _invalid(f"the price of {profile} must be greater than zero")
    return amount


def _slice(resources: Mapping[str, Any], profile: str) -> Slice:
    for part in ("cpu", "memory", "storage"):
        if part not in resources:
            raise _invalid(f"profiles.compute.{profile}.resources.{part} is missing")
    return Slice(
        gpus=parse_gpus(resources.get("gpu")),
        milli_cpu=parse_cpu(resources["cpu"]["units"]),
        memory_bytes=parse_size(resources["memory"]["size"]),
        storage_bytes=sum(parse_size(v["size"]) for v in storage_volumes(resources)),
    )


def _reclamation(document: Mapping[str, Any]) -> int | None:
    window = (document.get("reclamation") or {}).get("min_window")
    if window is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]*)([smh])", str(window))
    if match is None:
        raise _invalid("reclamation.min_window must be like 1h, 90m or 3600s")
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2]]
