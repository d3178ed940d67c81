"""Containers rented by the second: what they cost, what runs in them, and how they end.

Shared by the markets that rent whole containers (Vast.ai, RunPod). A market decides who may rent
what and speaks its own words; this keeps the hosts, the ledger and the executor in step.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Unpack

from overspill.sandbox.gpus import Gpu
from overspill.sandbox.ledger import Columns, Event
from overspill.sandbox.supply import Host, Slice
from overspill.sandbox.workload import Forward, Service, ServiceState, Workload
from overspill.sandbox.world import World

_HOUR = Decimal(3600)


@dataclass(frozen=True, slots=True)
class Rates:
    """USD per hour: for the running container without its disk, and for the disk all along."""

    running: Decimal
    disk: Decimal = Decimal(0)
    while_booting: bool = False


@dataclass(slots=True)
class Rental:
    """One container of the account. `state` is rented, stopped or ended."""

    id: str
    key: str
    host: Host
    slice: Slice
    rates: Rates
    service: Service
    created_at: float
    details: dict[str, Any]
    gpu: Gpu | None = None
    listed_at: float = 0.0
    state: str = "rented"
    ends_at: float | None = None
    ended_why: str = ""
    hides_endpoints: bool = False
    charged: Decimal = Decimal(0)
    settled_at: float = 0.0
    placed_at: float | None = None
    """When it came to its present host, where that was not at its creation."""

    @property
    def ready_at(self) -> float:
        """When the container runs."""
        began = self.created_at if self.placed_at is None else self.placed_at
        return began + self.host.boot_s

    @property
    def lease_name(self) -> str:
        """The executor's name of it."""
        return f"rental-{self.id}"


class Rentals:
    """The containers by id, and the rules by which they change."""

    def __init__(
        self, world: World, *, restarts: bool, backoff_s: float, ends_when_broke: bool = False
    ) -> None:
        self.world = world
        self.all: dict[str, Rental] = {}
        self.wallet = Decimal(0)
        self._restarts = restarts
        self._backoff_s = backoff_s
        self._ends_when_broke = ends_when_broke

    def open(self, rental: Rental) -> Rental:
        """Takes the host's slice and begins to boot."""
        now, faults = self.world.now(), self.world.faults
        context = {"key": rental.key, "provider": rental.host.name}
        lag = faults.take("list_lag", **context)
        lie = faults.take("wrong_gpu", **context)
        rental.listed_at = now + (lag.number("seconds", 30) if lag else 0)
        rental.gpu = Gpu(**lie.params["gpu"]) if lie else rental.host.lies_as or rental.host.gpu
        rental.hides_endpoints = bool(faults.take("empty_endpoints", **context))
        rental.settled_at = now
        rental.host.rented[rental.lease_name] = rental.slice
        self.all[rental.id] = rental
        self._log(Event.CREATED, rental)
        detail = {"host": rental.host.name, "gpus": rental.slice.gpus}
        rate = rental.rates.running + rental.rates.disk
        self._log(Event.LEASED, rental, rental.host.name, usd_per_hour=rate, detail=detail)
        self._start(rental)
        self._plan_loss(rental, context)
        return rental

    def open_stopped(self, rental: Rental) -> Rental:
        """Makes one that never ran and only pays for its disk."""
        rental.state, rental.listed_at = "stopped", self.world.now()
        rental.settled_at = self.world.now()
        rental.gpu = rental.host.gpu
        self.all[rental.id] = rental
        self._log(Event.CREATED, rental)
        return rental

    def place(self, rental: Rental, host: Host) -> None:
        """Puts it on a host, or on another one: its programs begin there on an empty disk."""
        self.settle(rental)
        has_run = rental.state == "rented"
        if has_run:
            rental.host.rented.pop(rental.lease_name, None)
            why = {"reason": "reallocated"}
            self._log(Event.LEASE_CLOSED, rental, rental.host.name, detail=why)
        rental.state, rental.host, rental.placed_at = "rented", host, self.world.now()
        rental.gpu = host.lies_as or host.gpu
        host.rented[rental.lease_name] = rental.slice
        rate = rental.rates.running + rental.rates.disk
        detail = {"host": host.name, "gpus": rental.slice.gpus}
        self._log(Event.LEASED, rental, host.name, usd_per_hour=rate, detail=detail)
        if has_run:
            self.world.executor.lose(rental.lease_name)
            self.world.executor.recover(rental.lease_name)
        else:
            self._start(rental)

    def stop(self, rental: Rental, why: str) -> None:
        """The container ends and its GPUs are free again; the disk stays and bills."""
        self.settle(rental)
        if rental.state != "rented":
            return
        self._release(rental)
        rental.state, rental.ended_why = "stopped", why
        self._log(Event.LEASE_CLOSED, rental, rental.host.name, detail={"reason": why})

    def end(self, rental: Rental, why: str) -> None:
        """The container and its disk are gone, the bill is final."""
        self.settle(rental)
        if rental.state == "ended":
            return
        was_leased = rental.state == "rented"
        self._release(rental)
        rental.state, rental.ended_why = "ended", why
        detail = {"reason": why}
        self.wallet -= rental.charged
        host = rental.host.name
        self._log(Event.CHARGED, rental, host, usd=rental.charged, detail=detail)
        if was_leased:
            self._log(Event.LEASE_CLOSED, rental, host, detail=detail)
        self._log(Event.CLOSED, rental, detail=detail)

    def close(self, rental: Rental) -> None:
        """The tenant ends it."""
        self._log(Event.CLOSE_RECEIVED, rental)
        if self.world.faults.take("close_sticks", key=rental.key) is None:
            self.end(rental, "owner")

    def settle(self, rental: Rental, *, was_online: bool | None = None) -> None:
        """Charges up to the present; a host that is away is not paid."""
        now = self.world.now()
        if rental.state == "ended" or now <= rental.settled_at:
            return
        since, rental.settled_at = rental.settled_at, now
        if not (rental.host.online if was_online is None else was_online):
            return
        rental.charged += rental.rates.disk * Decimal(str(now - since)) / _HOUR
        if rental.state == "rented":
            begin = since if rental.rates.while_booting else max(since, rental.ready_at)
            rental.charged += rental.rates.running * Decimal(str(max(0.0, now - begin))) / _HOUR

    def settle_all(self) -> None:
        """Charges everything; an empty wallet stops what runs, or ends it."""
        for rental in self.held():
            self.settle(rental)
        if self.balance_usd <= 0:
            for rental in self.held():
                (self.end if self._ends_when_broke else self.stop)(rental, "no_credit")

    @property
    def balance_usd(self) -> Decimal:
        """What is left of the money."""
        return self.wallet - sum((r.charged for r in self.held()), Decimal(0))

    def set_balance(self, usd: Decimal) -> None:
        """Sets it."""
        self.wallet = usd + sum((r.charged for r in self.held()), Decimal(0))

    def held(self) -> list[Rental]:
        """What is not ended."""
        return [rental for rental in self.all.values() if rental.state != "ended"]

    def listed(self) -> list[Rental]:
        """What the market's list shows."""
        now = self.world.now()
        return [rental for rental in self.held() if rental.listed_at <= now]

    def accrued(self) -> dict[str, Decimal]:
        """USD so far of what is not ended, by key."""
        found: dict[str, Decimal] = {}
        for rental in self.held():
            if rental.charged:
                found[rental.key] = found.get(rental.key, Decimal(0)) + rental.charged
        return found

    def find(self, wanted: str, *, only_running: bool = True) -> Iterator[Rental]:
        """Those of an id or a key."""
        for rental in self.all.values():
            if wanted in {rental.id, rental.key} and (rental.state == "rented" or not only_running):
                yield rental

    def on(self, host: Host) -> list[Rental]:
        """What runs on a host."""
        return [r for r in self.all.values() if r.host is host and r.state == "rented"]

    def host_down(self, host: Host) -> None:
        """Programs die with their host."""
        for rental in self.on(host):
            self.settle(rental, was_online=True)
            self.world.executor.lose(rental.lease_name)

    def host_up(self, host: Host) -> None:
        """They boot again, on empty disks."""
        for rental in self.on(host):
            self.settle(rental, was_online=False)
            self.world.executor.recover(rental.lease_name)

    def service(self, rental: Rental) -> ServiceState | None:
        """How the program does."""
        return next(iter(self.world.executor.services(rental.lease_name)), None)

    def forwards(self, rental: Rental) -> list[Forward]:
        """Where its ports came out."""
        found = self.service(rental)
        return [] if found is None or rental.hides_endpoints else list(found.forwards)

    def _start(self, rental: Rental) -> None:
        self.world.executor.start(
            Workload(
                lease=rental.lease_name,
                key=rental.key,
                host=rental.host.name,
                services=[rental.service],
                gpu=rental.gpu,
                gpus=rental.slice.gpus,
                boot_s=rental.host.boot_s,
                restart_backoff_s=self._backoff_s,
                restarts=self._restarts,
            )
        )

    def _release(self, rental: Rental) -> None:
        rental.host.rented.pop(rental.lease_name, None)
        self.world.executor.stop(rental.lease_name)

    def _plan_loss(self, rental: Rental, context: dict[str, str]) -> None:
        if rule := self.world.faults.take("lease_closes", **context):
            reason = rule.text("reason", "unstable")
            at = self.world.now() + rule.number("seconds", 0)
            self.world.timeline.at(at, lambda _: self.end(rental, reason))
        if rental.ends_at is not None:
            self.world.timeline.at(rental.ends_at, lambda _: self.end(rental, "contract_end"))

    def _log(
        self, event: Event, rental: Rental, host: str = "", **columns: Unpack[Columns]
    ) -> None:
        columns["id"], columns["provider"] = rental.id, host
        self.world.ledger.write(event, market=self.world.market, key=rental.key, **columns)


class RentalMarket:
    """The part of `markets.market.Market` that every market over rentals answers alike."""

    rentals: Rentals
    world: World

    def settle(self) -> None:
        """Brings bills and states up to the present."""
        self.rentals.settle_all()

    def accrued(self) -> dict[str, Decimal]:
        """USD of rented containers so far, by key."""
        return self.rentals.accrued()

    @property
    def balance_usd(self) -> Decimal:
        """The money in the account."""
        return self.rentals.balance_usd

    @balance_usd.setter
    def balance_usd(self, amount: Decimal) -> None:
        self.rentals.set_balance(amount)

    def leases(self, wanted: str, *, only_running: bool = True) -> list[str]:
        """The executor's names of the containers of an id or key."""
        return [r.lease_name for r in self.rentals.find(wanted, only_running=only_running)]

    def leases_on(self, host: Host) -> list[str]:
        """The ids of what runs on a host."""
        return [rental.id for rental in self.rentals.on(host)]

    def end(self, wanted: str, reason: str) -> None:
        """The host ends them."""
        for rental in list(self.rentals.find(wanted)):
            self.rentals.end(rental, reason)

    def reclaim(self, wanted: str, window_s: float) -> None:
        """The host takes them back, after the window."""
        for rental in list(self.rentals.find(wanted)):
            when = self.world.now() + window_s
            self.world.timeline.at(when, partial(self._reclaimed, rental))

    def _reclaimed(self, rental: Rental, _at: float) -> None:
        self.rentals.end(rental, "reclaimed")

    def host_down(self, host: Host) -> None:
        """The host vanished with everything on it."""
        self.rentals.host_down(host)

    def host_up(self, host: Host) -> None:
        """The host is back with empty disks."""
        self.rentals.host_up(host)
