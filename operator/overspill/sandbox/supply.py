"""The simulated hosts behind every market: what they have, ask, and how they come and go.

Read from a YAML or JSON file, or the built-in set below. Markets rent from it; faults and the
control routes kill and revive its hosts. Prices are USD per GPU-hour.
"""

import copy
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from overspill.sandbox.gpus import Gpu


@dataclass(slots=True)
class Host:
    """One host. `lies_as` is the GPU it really carries; `markets` sell it, every one if empty."""

    name: str
    gpu: Gpu
    gpus: int
    usd_per_gpu_hour: Decimal
    region: str = "us-west"
    country: str = "US"
    audited: bool = True
    uptime: float = 0.999
    cpu_units: int = 128
    memory_gib: int = 1024
    storage_gib: int = 10_000
    bid_delay_s: float = 2.0
    boot_s: float = 3.0
    reclamation_window_s: int | None = None
    price_jitter: Decimal = Decimal(0)
    lies_as: Gpu | None = None
    online: bool = True
    mtbf_s: float | None = None
    repair_s: float = 600.0
    markets: tuple[str, ...] = ()
    rented: dict[str, "Slice"] = field(default_factory=dict)

    @property
    def free(self) -> "Slice":
        """What is left to rent."""
        taken = self.rented.values()
        return Slice(
            gpus=self.gpus - sum(s.gpus for s in taken),
            milli_cpu=self.cpu_units * 1000 - sum(s.milli_cpu for s in taken),
            memory_bytes=self.memory_gib * 2**30 - sum(s.memory_bytes for s in taken),
            storage_bytes=self.storage_gib * 2**30 - sum(s.storage_bytes for s in taken),
        )

    def usd_per_hour(self, wanted: "Slice") -> Decimal:
        """What it asks for a slice: GPUs at its rate, the rest as a host does out of the box."""
        cpu = Decimal(wanted.milli_cpu) / 1000 * _USD_PER_CPU_MONTH
        memory = Decimal(wanted.memory_bytes) / 2**30 * _USD_PER_GIB_MONTH
        disk = Decimal(wanted.storage_bytes) / 2**30 * _USD_PER_DISK_GIB_MONTH
        return self.usd_per_gpu_hour * wanted.gpus + (cpu + memory + disk) / _HOURS_PER_MONTH


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a host."""

    gpus: int = 0
    milli_cpu: int = 0
    memory_bytes: int = 0
    storage_bytes: int = 0

    def fits(self, free: "Slice") -> bool:
        """True when all of it is there."""
        return (
            self.gpus <= free.gpus
            and self.milli_cpu <= free.milli_cpu
            and self.memory_bytes <= free.memory_bytes
            and self.storage_bytes <= free.storage_bytes
        )


@dataclass(frozen=True, slots=True)
class HostEvent:
    """Something that happens to a host `at_s` seconds after the start: kill, revive or price."""

    at_s: float
    host: str
    do: str
    usd_per_gpu_hour: Decimal | None = None


class Supply:
    """The hosts by name, and the script of what happens to them."""

    def __init__(
        self, hosts: list[Host], events: list[HostEvent] | None = None, seed: int = 0
    ) -> None:
        self.hosts = {host.name: host for host in hosts}
        self.random = random.Random(seed)  # noqa: S311 -- simulation, repeatable by seed
        self.events = sorted([*(events or []), *self._churn(hosts)], key=lambda e: e.at_s)

    def add(self, host: Host, events: list[HostEvent]) -> None:
        """One more host with its script; nothing of it is random."""
        self.hosts[host.name] = host
        self.events = sorted([*self.events, *events], key=lambda e: e.at_s)

    def of(self, market: str) -> "Supply":
        """The hosts that one market sells; what happens to them stays with the whole."""
        sold = [h for h in self.hosts.values() if not h.markets or market in h.markets]
        seen = copy.copy(self)
        seen.hosts, seen.events = {host.name: host for host in sold}, []
        return seen

    def _churn(self, hosts: list[Host]) -> list[HostEvent]:
        events: list[HostEvent] = []
        for host in hosts:
            at = 0.0
            while host.mtbf_s is not None and at < _CHURN_HORIZON_S:
                at += self.random.expovariate(1 / host.mtbf_s)
                events.append(HostEvent(at, host.name, "kill"))
                at += host.repair_s
                events.append(HostEvent(at, host.name, "revive"))
        return events


def load_supply(path: Path | None, seed: int = 0) -> Supply:
    """The supply of a YAML or JSON file, or the built-in one."""
    if path is None:
        return Supply(default_hosts(), seed=seed)
    text = path.read_text(encoding="utf-8")
    document = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    if not isinstance(document, dict) or not isinstance(document.get("hosts"), list):
        raise TypeError(f"The supply file {path} has no list named 'hosts'.")
    hosts = [_host(entry) for entry in document["hosts"]]
    events = [_event(entry) for entry in document.get("events") or []]
    unknown = {event.host for event in events} - {host.name for host in hosts}
    if unknown:
        raise ValueError(f"The supply file {path} has events for unknown hosts: {sorted(unknown)}.")
    return Supply(hosts, events, seed)


def default_hosts() -> list[Host]:
    """A few hosts with the spread of a real market; one of them is not audited."""
    return [
        _host({**_gpu(model, ram, interface), **rest})
        for model, ram, interface, rest in (
            ("h100", "80Gi", "sxm", _at("aurora", 16, "1.55", "us-west", "US", 0.9995)),
            ("h100", "80Gi", "pcie", _at("borealis", 8, "1.42", "eu-west", "DE", 0.992)),
            ("a100", "80Gi", "sxm", _at("cascade", 16, "0.86", "us-east", "US", 0.998)),
            ("a100", "40Gi", "pcie", _at("dune", 8, "0.62", "eu-central", "CZ", 0.985)),
            ("l40s", "48Gi", "pcie", _at("ember", 8, "0.71", "us-west", "US", 0.997)),
            ("rtx4090", "24Gi", "pcie", _at("fjord", 16, "0.34", "eu-north", "NO", 0.975)),
            ("t4", "16Gi", "pcie", _at("glade", 16, "0.12", "us-east", "US", 0.99)),
            ("v100", "32Gi", "sxm", _at("harbor", 16, "0.24", "eu-west", "NL", 0.99)),
            ("p100", "16Gi", "pcie", _at("inlet", 16, "0.15", "us-east", "US", 0.98)),
            ("h100", "80Gi", "sxm", _at("zero", 8, "0.40", "us-west", "US", 0.90, audited=False)),
        )
    ]


_HOURS_PER_MONTH = Decimal(730)
_USD_PER_CPU_MONTH = Decimal("1.60")
_USD_PER_GIB_MONTH = Decimal("0.80")
_USD_PER_DISK_GIB_MONTH = Decimal("0.02")
"""Defaults of `price_script_generic.sh`, which Akash's chart for providers bids with."""
_CHURN_HORIZON_S = 30 * 86_400.0


def _gpu(model: str, ram: str, interface: str) -> dict[str, Any]:
    return {"gpu": {"model": model, "ram": ram, "interface": interface}}


def _at(
    name: str, gpus: int, usd: str, region: str, country: str, uptime: float, audited: bool = True
) -> dict[str, Any]:
    return {
        "name": name,
        "gpus": gpus,
        "usd_per_gpu_hour": usd,
        "region": region,
        "country": country,
        "uptime": uptime,
        "audited": audited,
    }


def _host(entry: Mapping[str, Any]) -> Host:
    known = {f.name for f in fields(Host)} - {"rented"}
    unknown = set(entry) - known
    if unknown:
        raise ValueError(f"A host of the supply has unknown fields: {sorted(unknown)}.")
    values = dict(entry)
    values["usd_per_gpu_hour"] = Decimal(str(values["usd_per_gpu_hour"]))
    values["price_jitter"] = Decimal(str(values.get("price_jitter", 0)))
    values["markets"] = tuple(values.get("markets") or ())
    values["gpu"] = Gpu(**values["gpu"])
    if values.get("lies_as"):
        values["lies_as"] = Gpu(**values["lies_as"])
    return Host(**values)


def _event(entry: Mapping[str, Any]) -> HostEvent:
    if entry.get("do") not in {"kill", "revive", "price"}:
        raise ValueError("A supply event must do one of: kill, revive, price.")
    price = entry.get("usd_per_gpu_hour")
    return HostEvent(
        float(entry["at_s"]),
        str(entry["host"]),
        str(entry["do"]),
        None if price is None else Decimal(str(price)),
    )
