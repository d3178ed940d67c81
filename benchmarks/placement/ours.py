"""Ours: hands what the benchmark lets a policy see to the operator's `plan`, and takes its word.

Nothing is decided here: every tick becomes the snapshot that an operator with these places and
this past would have, with one job in it. Called by the suites.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache

from benchmarks.placement.simulate import View
from benchmarks.placement.world import Place, World
from overspill.core.decision import Action, Decision
from overspill.core.job import Attempt, Checkpoint, Job
from overspill.core.lease import JobRef, Lease
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.placement import plan
from overspill.core.policy_knowledge import Tuning
from overspill.core.policy_past import Past, Seen, Track, place_of
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts, ProviderAccount, Snapshot
from overspill.core.vocabulary import CapacityType, LeaseState, ProviderType, TrustTier
from overspill.core.workload import LeaseRequest

BEGAN = datetime(1970, 1, 1, tzinfo=UTC)
KINDS = {
    "own": CapacityType.SPOT,
    "p2p": CapacityType.COMMUNITY,
    "spot": CapacityType.SPOT,
    "ondemand": CapacityType.ON_DEMAND,
}
"""Own nodes of the traces are taken back by their users, held or not: to us they are spot."""
CLASS = SlaClass(
    "benchmark",
    is_default=True,
    capacity_types=(CapacityType.ON_DEMAND, CapacityType.SPOT, CapacityType.COMMUNITY),
    heartbeat_grace=timedelta(0),
    failback_min_saving_percent=0,
    failback_cooldown=timedelta(0),
)
"""The semantics of the benchmark: a loss is seen at once, and moves have no price beside theirs."""
REF = JobRef("benchmark", "job", "uid-job")
RICH = Decimal(1_000_000)
ONE = ((1, 1),)
NOTHING = 1e-9
"""A figure of zero would read as: not told."""


@dataclass(frozen=True)
class Overspill:
    """The operator's placement."""

    name: str = "overspill"
    tuning: Tuning = field(default_factory=Tuning)

    def choose(self, view: View) -> int | None:
        """The operator's decision, as a place of the world."""
        (decision,) = plan(self.snapshot(view), now_of(view))
        return place_in(view, decision)

    def snapshot(self, view: View, past: Past | None = None) -> Snapshot:
        """What an operator would see at this tick; `past`: where it is not all of the past."""
        offers = tuple(_offer(view, i) for i in range(len(view.world.places)))
        job = _job(view)
        leases = () if view.place is None else (_lease(view, offers[view.place]),)
        return Snapshot(
            jobs=(job,),
            leases=leases,
            offers=offers,
            accounts=_accounts(_World(view.world)),
            classes={CLASS.name: CLASS},
            facts={REF.uid: JobFacts(last_checkpoint_at=now_of(view))},
            past=past or past_of(view.world, view.tick, self.tuning),
        )


def now_of(view: View) -> datetime:
    """The moment of a tick."""
    return BEGAN + timedelta(seconds=view.tick * view.world.tick_s)


def place_in(view: View, decision: Decision) -> int | None:
    """Where a decision puts the job."""
    if decision.action is Action.REFUSE:
        raise ValueError(f"tick {view.tick}: {decision.message}")
    if decision.action is Action.WAIT:
        return None
    if decision.action is Action.STAY or decision.offer is None:
        return view.place
    names = [place.name for place in view.world.places]
    return names.index(decision.offer.provider)


def tracks_of(world: World) -> tuple[Track, ...]:
    """By place: its whole past and future."""
    return _tracks(_World(world))


def past_of(world: World, tick: int, tuning: Tuning) -> Past:
    """What had been seen by this tick."""
    tracks = tracks_of(world)
    counts = [track.count(tick) for track in tracks]
    seen = [_first(_World(world), i, count) for i, count in enumerate(counts)]
    step = timedelta(seconds=world.tick_s)
    return Past(step, 0, tick, {track.place: track for track in seen}, {}, tuning)


def _job(view: View) -> Job:
    has_run = view.last is not None
    attempts = (Attempt(1, "gl-1", "", "", started_at=BEGAN),) if has_run else ()
    return Job(
        REF,
        "1",
        1,
        BEGAN + timedelta(seconds=view.job.start * view.world.tick_s),
        GpuRequirements(1),
        {},
        work=timedelta(seconds=view.left_s),
        finish_by=now_of(view) + timedelta(seconds=view.time_s),
        max_total_usd=RICH,
        max_moves=1_000_000,
        checkpoint=Checkpoint("s3://job", timedelta(seconds=view.job.loss_s), Decimal(1)),
        durable_checkpoint_uri="s3://job/1" if has_run else "",
        attempts=attempts,
    )


def _offer(view: View, index: int) -> Offer:
    """The move of the checkpoint is its egress: one GiB stands for all of it."""
    place = view.world.places[index]
    moved = 0.0 if index == view.place else view.world.egress_usd(view.last, index)
    moved = moved or NOTHING
    return replace(
        _plain(_World(view.world), index),
        price_usd_per_hour=Decimal(str(view.price(index))),
        as_of=now_of(view),
        egress_usd_per_gib=Decimal(str(moved)),
        cold_start=timedelta(seconds=view.job.cold_s),
        unavailable_reason="" if view.up[index] else f"{place.name} is away",
    )


def _lease(view: View, offer: Offer) -> Lease:
    now = now_of(view)
    running = timedelta(seconds=view.job.cold_s - view.overhead_s)
    return Lease(
        name="gl-2",
        namespace=REF.namespace,
        uid="lease-2",
        resource_version="1",
        job=REF,
        attempt=2,
        provider=offer.provider,
        cluster_id="benchmark",
        offer=offer,
        request=LeaseRequest(1),
        max_usd_per_hour=offer.price_usd_per_hour,
        max_total_usd=RICH,
        hard_deadline=now + timedelta(days=366),
        created_at=now - running,
        state=LeaseState.ACTIVE,
        active_since=now - running,
        price_usd_per_hour=offer.price_usd_per_hour,
    )


class _World:
    """A world as part of a cache's key: equal when its name is."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _World) and other.world.name == self.world.name

    def __hash__(self) -> int:
        return hash(self.world.name)


@lru_cache(maxsize=64)
def _accounts(wrapped: _World) -> dict[str, ProviderAccount]:
    return {
        place.name: ProviderAccount(
            place.name,
            ProviderType.VAST,
            capacity_type=KINDS[place.kind],
            cold_start=timedelta(0),
            egress_usd_per_gib=Decimal(str(_usual_move(wrapped.world, index))),
        )
        for index, place in enumerate(wrapped.world.places)
    }


def _usual_move(world: World, target: int) -> float:
    """The mean over where a checkpoint may come from."""
    others = [i for i in range(len(world.places)) if i != target]
    return sum(world.egress_usd(i, target) for i in others) / max(1, len(others))


@lru_cache(maxsize=1024)
def _plain(wrapped: _World, index: int) -> Offer:
    place = wrapped.world.places[index]
    return Offer(
        provider=place.name,
        offer_id=place.name,
        place=place.name,
        capacity_type=KINDS[place.kind],
        trust_tier=TrustTier.COMMUNITY,
        gpu_model="h100",
        gpu_count=1,
        price_usd_per_hour=Decimal(0),
        as_of=BEGAN,
        region=place.region,
    )


@lru_cache(maxsize=64)
def _tracks(wrapped: _World) -> tuple[Track, ...]:
    """The whole past and future of the places; only `past_of` reads it, up to a tick."""
    return tuple(_track(wrapped, i, p) for i, p in enumerate(wrapped.world.places))


def _track(wrapped: _World, index: int, place: Place) -> Track:
    changes: list[Seen] = []
    marks: list[int] = []
    for tick, (is_up, price) in enumerate(zip(place.up, place.price, strict=True)):
        room, usd = ONE if is_up else (), price
        if not changes or (changes[-1].room, changes[-1].usd) != (room, Decimal(str(usd))):
            changes.append(Seen(tick, room, Decimal(str(usd))))
            marks.append(hash((wrapped.world.name, index, len(changes))))
    key = place_of(_plain(wrapped, index), is_home=False)
    return Track(key, tuple(changes), tuple(marks))


@lru_cache(maxsize=65536)
def _first(wrapped: _World, index: int, count: int) -> Track:
    track = _tracks(wrapped)[index]
    return Track(track.place, track.changes[:count], track.marks[:count])
