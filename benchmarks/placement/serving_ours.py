"""S6 under the operator's own plan: every tick is the snapshot that an operator would see.

Nothing is decided here. Copies are GPUJobs of their own as `engine/copies` makes them: the service
has `replicas` and the spares that placement chose, the highest numbers go first, and a copy that
moves is up at its old place until the new one serves. Called by `serving`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from benchmarks.placement.serving_input import ON_DEMAND_USD, TICK_S, Zone
from benchmarks.placement.serving_sim import FIRM, START_S, State
from overspill.core.copies import Spares, chosen, copies_wanted
from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.lease import JobRef, Lease
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.placement import plan
from overspill.core.policy_past import Past, Place, Seen, Track, place_of
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts, ProviderAccount, Snapshot
from overspill.core.vocabulary import CapacityType, LeaseState, ProviderType, TrustTier, Workload
from overspill.core.workload import LeaseRequest

BEGAN = datetime(1970, 1, 1, tzinfo=UTC)
STEP = timedelta(seconds=TICK_S)
FAR = datetime(2100, 1, 1, tzinfo=UTC)
START = timedelta(seconds=START_S)
RICH = Decimal(1_000_000)
ROOM = 1000
"""GPUs that a zone which is up has for whoever asks."""
SERVICE = Job(
    JobRef("benchmark", "chat", "uid-chat"),
    "1",
    1,
    BEGAN,
    GpuRequirements(1),
    {},
    workload=Workload.INFERENCE,
    max_total_usd=RICH,
    max_moves=1_000_000,
)
ACCOUNT = ProviderAccount("", ProviderType.VAST, cold_start=START)


@dataclass
class Fleet:
    """The copies as they are: by number where they stand, and what they are about to leave."""

    where: dict[int, str] = field(default_factory=dict)
    left: dict[int, str] = field(default_factory=dict)
    since: dict[int, int] = field(default_factory=dict)
    """The tick at which each came to where it stands."""
    fresh: set[int] = field(default_factory=set)
    """Those that do not serve yet."""
    lost: set[int] = field(default_factory=set)
    """Those that lost their place at this tick."""
    spares: Spares | None = None

    def lose(self, up: set[str]) -> None:
        """What stood in a zone that is down is gone; what moved has arrived."""
        self.lost = {k for k, zone in self.where.items() if zone not in up}
        self.where = {k: zone for k, zone in self.where.items() if zone in up}
        self.left, self.fresh = {}, set()

    def began(self, number: int) -> datetime | None:
        """Since when it serves; None: it is on its way."""
        return None if number in self.fresh else BEGAN + self.since.get(number, 0) * STEP

    def keep(self, wanted: int) -> None:
        """The highest numbers are suspended."""
        self.where = {k: zone for k, zone in self.where.items() if k < wanted}
        self.left = {k: zone for k, zone in self.left.items() if k < wanted}
        self.lost = {k for k in self.lost if k < wanted}

    def counts(self) -> Mapping[str, int]:
        """Copies per place, those included that are about to be left."""
        return Counter([*self.where.values(), *self.left.values()])


@dataclass
class Planned:
    """The operator, for a class with that promise."""

    promised: float | None
    name: str = "overspill"
    fleet: Fleet = field(default_factory=Fleet)

    def wanted(self, state: State) -> Mapping[str, int]:
        """As many rounds as the operator needs to count its copies: money divided, then placed."""
        fleet = self.fleet
        fleet.lose({z.name for z in state.zones if state.up(z)} | {FIRM})
        for _ in range(3):
            before = fleet.spares.count if fleet.spares else None
            self._round(state)
            if fleet.spares is None or fleet.spares.count == before:
                break
        return fleet.counts()

    def _round(self, state: State) -> None:
        """One plan, and what follows from it."""
        fleet, now = self.fleet, BEGAN + state.tick * STEP
        for number, decision in enumerate(plan(self._snapshot(state), now)):
            if decision.spares is not None:
                fleet.spares = chosen(fleet.spares, decision.spares, decision.spares_told, now)
            self._follow(number, decision, state.tick)

    def _follow(self, number: int, decision: Decision, tick: int) -> None:
        if decision.offer is None or decision.action not in (Action.PLACE, Action.MOVE):
            return
        if decision.action is Action.MOVE:
            self.fleet.left[number] = self.fleet.where[number]
        self.fleet.where[number] = decision.offer.provider
        self.fleet.fresh.add(number)
        self.fleet.since[number] = tick

    def _snapshot(self, state: State) -> Snapshot:
        klass, spares = _class(self.promised), self.fleet.spares
        service = replace(SERVICE, replicas=state.needed)
        wanted = copies_wanted(service, klass, spares.count if spares else None)
        self.fleet.keep(wanted)
        jobs = tuple(replace(service, **_copy(k)) if k else service for k in range(wanted))
        offers = {
            z.name: _offer(z.name, z.price[state.tick], is_up=state.up(z)) for z in state.zones
        }
        offers[FIRM] = _offer(FIRM, ON_DEMAND_USD, is_up=True)
        facts = JobFacts(
            served_h=state.elapsed_s / 3600,
            missed_h=state.missed_s / 3600,
            spares=spares.count if spares else None,
        )
        fleet = self.fleet
        held = [_lease(jobs[k], offers[zone], fleet.began(k)) for k, zone in fleet.where.items()]
        held += [_lease(jobs[k], offers[zone], BEGAN) for k, zone in fleet.left.items()]
        held += [replace(_lease(jobs[k], offers[FIRM], BEGAN), **_CLOSED) for k in fleet.lost]
        return Snapshot(
            jobs=jobs,
            leases=tuple(held),
            offers=tuple(offers.values()),
            accounts=_accounts(tuple(offers)),
            classes={klass.name: klass},
            facts={service.ref.uid: facts},
            past=_past(tuple(state.zones), state.tick),
        )


_CLOSED = {"name": "gl-before", "uid": "lease-before", "state": LeaseState.CLOSED}
"""A lease of before, where it does not matter which."""


@lru_cache(maxsize=8)
def _class(promised: float | None) -> SlaClass:
    """As shipped, but that a promise may be kept on spot. Without one the cheapest goes first."""
    kinds = (CapacityType.ON_DEMAND, CapacityType.SPOT)
    return SlaClass(
        "serving",
        is_default=True,
        capacity_types=kinds if promised is not None else kinds[::-1],
        availability_target=None if promised is None else Decimal(str(promised)),
        priority=-100 if promised is None else 0,
    )


@lru_cache(maxsize=4096)
def _copy(number: int) -> Mapping[str, object]:
    ref = JobRef("benchmark", f"chat-{number}", f"uid-chat-{number}")
    return {"ref": ref, "owner_name": "chat", "owner_uid": SERVICE.ref.uid, "replicas": 1}


@lru_cache(maxsize=64)
def _accounts(names: tuple[str, ...]) -> Mapping[str, ProviderAccount]:
    return {name: replace(ACCOUNT, name=name, capacity_type=_kind(name)) for name in names}


def _kind(name: str) -> CapacityType:
    return CapacityType.ON_DEMAND if name == FIRM else CapacityType.SPOT


@lru_cache(maxsize=4096)
def _offer(name: str, usd: float, *, is_up: bool) -> Offer:
    return Offer(
        provider=name,
        offer_id=name,
        place=name,
        capacity_type=_kind(name),
        trust_tier=TrustTier.CLOUD,
        gpu_model="v100",
        gpu_count=ROOM,
        price_usd_per_hour=Decimal(str(usd)) * ROOM,
        as_of=BEGAN,
        region=name,
        is_divisible=True,
        cold_start=START,
        unavailable_reason="" if is_up else f"{name} is away",
    )


def _lease(job: Job, offer: Offer, began: datetime | None) -> Lease:
    """A lease that serves since then, or (None) is on its way."""
    price = offer.price_per_gpu_hour
    return Lease(
        name=f"gl-{job.ref.name}",
        namespace=job.ref.namespace,
        uid=f"lease-{job.ref.name}",
        resource_version="1",
        job=job.ref,
        attempt=1,
        provider=offer.provider,
        cluster_id="benchmark",
        offer=replace(offer, gpu_count=1, price_usd_per_hour=price),
        request=LeaseRequest(1),
        max_usd_per_hour=price,
        max_total_usd=Decimal(1000),
        hard_deadline=FAR,
        created_at=began or BEGAN,
        state=LeaseState.OPENING if began is None else LeaseState.ACTIVE,
        active_since=began,
        price_usd_per_hour=price,
    )


def _past(zones: tuple[Zone, ...], tick: int) -> Past:
    """What had been seen by this tick."""
    tracks = [_firm_track(), *map(_track, zones)]
    seen = [_until(track, track.count(tick)) for track in tracks]
    return Past(STEP, 0, tick, {track.place: track for track in seen})


@lru_cache(maxsize=64)
def _track(zone: Zone) -> Track:
    """Its whole past and future; only `_past` reads it, up to a tick."""
    changes: list[Seen] = []
    marks: list[int] = []
    for tick, (is_up, price) in enumerate(zip(zone.up, zone.price, strict=False)):
        seen = Seen(tick, ((ROOM, 1),) if is_up else (), Decimal(str(price)))
        if not changes or (changes[-1].room, changes[-1].usd) != (seen.room, seen.usd):
            changes.append(seen)
            marks.append(hash((zone.name, len(changes))))
    return Track(_place(zone.name), tuple(changes), tuple(marks))


def _firm_track() -> Track:
    return Track(_place(FIRM), (Seen(0, ((ROOM, 1),), Decimal(str(ON_DEMAND_USD))),), (0,))


def _place(name: str) -> Place:
    return place_of(_offer(name, 1.0, is_up=True), is_home=False)


@lru_cache(maxsize=4096)
def _until(track: Track, count: int) -> Track:
    return Track(track.place, track.changes[:count], track.marks[:count])
