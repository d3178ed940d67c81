"""How many copies of a service run and where, as `core/serving` says, within one plan.

Asked for services whose class promises availability and leaves the spares to the operator, once
enough of the past is known. Home comes first as for everybody; what home does not hold is spread
over rented hosts: a region of a market is one, what nobody takes back there is another. Called by
`placement`; docs/designs/0006.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from itertools import combinations
from math import exp

from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.placement_apart import hosts_of
from overspill.core.placement_arrangement import Arrangement, Rented
from overspill.core.placement_candidate import Candidate
from overspill.core.placement_options import (
    AWAY,
    Ground,
    Spot,
    gang_of,
    moved_of,
    spot_of,
)
from overspill.core.placement_ranking import Ranking
from overspill.core.placement_search import Fit, Search
from overspill.core.policy_knowledge import Setting
from overspill.core.policy_learn import Learner, rounded, seen_enough
from overspill.core.policy_lifetime import Hazards
from overspill.core.policy_looks import known_as
from overspill.core.serving import Host, Service, Spread, Together, best, cheapest
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts, Snapshot
from overspill.core.statusparts import usd
from overspill.core.transition import WANTED_STATES
from overspill.core.vocabulary import CapacityType, LeaseState, Workload

LOOK_H = 0.05
"""A loss is seen and its replacement asked for within so many hours."""
HORIZON_H = 24.0
"""Lives are not counted beyond."""
FIRM_LIFE_H = 0.98 * HORIZON_H
"""What is expected to last so long of the next `HORIZON_H` hours is not reckoned to be lost."""
UNFORESEEN_PER_H = 0.02
"""Losses that no past of a place foretells: of what had been up for a day on the tuning split, so
many were lost in an hour, whatever had been learnt of them."""
MOST_SPARES = 100
SURGE = 0.25
"""The part of a service's copies that may change their place at a time: while they do, both are
paid. As a Deployment's."""


@dataclass(slots=True)
class _Seen:
    """A host while it is looked at."""

    spot: Spot
    fits: list[Candidate] = field(default_factory=list)


class Services:
    """The services of one plan."""

    def __init__(self, snapshot: Snapshot, ground: Ground, learner: Learner) -> None:
        self._snapshot, self._ground, self._learner = snapshot, ground, learner
        self._is_ready = seen_enough(snapshot.past, snapshot.past.until)
        self._jobs = {job.ref.uid: job for job in snapshot.jobs} if self._is_ready else {}
        self._leases: dict[str, list[Lease]] = defaultdict(list)
        self._known: dict[str, Arrangement | None] = {}
        self._moving: Counter[str] = Counter()
        """By service: its copies that are changing their place."""
        self._copies: dict[str, set[str]] = defaultdict(set)
        """By service: its copies that have a place."""
        self._serving: dict[str, set[str]] = defaultdict(set)
        self._once: dict[str, set[str]] = defaultdict(set)
        """By service: its copies that serve, and those that served before."""
        for lease in snapshot.leases if self._is_ready else ():
            job = self._jobs.get(lease.job.uid)
            if job is not None and _is_served(job):
                self._count(job, lease)

    def _count(self, job: Job, lease: Lease) -> None:
        service = job.owner_uid or job.ref.uid
        if lease.state not in WANTED_STATES:
            if lease.active_since is not None:
                self._once[service].add(job.ref.uid)
            return
        if lease.state is LeaseState.ACTIVE:
            self._serving[service].add(job.ref.uid)
        if job.ref.uid in self._copies[service]:
            self._moving[service] += 1
        self._copies[service].add(job.ref.uid)
        self._leases[service].append(lease)

    def owner(self, job: Job, sla: SlaClass | None) -> Job | None:
        """Copy 0 of a service that is arranged here; None: it is none, or nothing is known yet."""
        if not self._is_ready or not _is_served(job) or sla is None or not sla.chooses_spares:
            return None
        owner = self._jobs.get(job.owner_uid or job.ref.uid)
        if owner is None or len(owner.capacity_types) > 1:  # its own order is its word
            return None
        return owner if owner.replicas > 0 else None

    def arranged(self, search: Search, ranking: Ranking) -> Arrangement | None:
        """The arrangement of the service that the job is a copy of."""
        owner = self.owner(search.case.job, search.case.sla)
        if owner is None:
            return None
        uid = owner.ref.uid
        if uid not in self._known:
            self._known[uid] = self._arrange(owner, search, ranking)
        return self._known[uid]

    def host_of(self, lease: Lease) -> Rented | None:
        """The host of a copy; None: it is at home."""
        if lease.is_home or lease.offer.capacity_type is CapacityType.OWN:
            return None
        provider, region = hosts_of(lease.offer)[0]
        return Rented(provider, region, self._is_firm(lease))

    def is_uncounted(self, job: Job, arranged: Arrangement) -> bool:
        """Whether a budget must be divided first among more copies than were counted with."""
        owner = self._jobs[job.owner_uid or job.ref.uid]
        facts = self._snapshot.facts.get(owner.ref.uid)
        is_limited = owner.max_total_usd is not None or owner.max_hourly_usd is not None
        return is_limited and arranged.spares > 0 and (facts is None or facts.spares is None)

    def known(self, owner: Job) -> Arrangement | None:
        """What was arranged in this plan already."""
        return self._known.get(owner.ref.uid)

    def may_move(self, job: Job) -> bool:
        """Whether one more copy of the service may change its place now."""
        service = job.owner_uid or job.ref.uid
        return self._moving[service] < max(1, int(SURGE * len(self._copies[service])))

    def note_move(self, job: Job) -> None:
        """A copy will change its place."""
        self._moving[job.owner_uid or job.ref.uid] += 1

    def _is_firm(self, lease: Lease) -> bool:
        return known_as(lease, self._ground.past.tracks).capacity_type in _FIRM

    def _arrange(self, owner: Job, search: Search, ranking: Ranking) -> Arrangement | None:
        seen = self._hosts(search, ranking)
        if not seen:
            return None
        rented = [h for h in map(self.host_of, self._leases[owner.ref.uid]) if h is not None]
        held, at_home = Counter(rented), len(self._leases[owner.ref.uid]) - len(rented)
        lives = self._lives(search, [one.spot for one in seen.values()])
        hosts = [_host(h, one.spot, lives, held[h]) for h, one in seen.items()]
        service = self._asked(owner, search, max(0, owner.replicas - at_home), seen.values())
        if not service.needed:
            return Arrangement({}, 0, "home holds every copy", held, {})
        if service.promised is not None:
            spots = {h.label: one.spot for h, one in seen.items()}
            looked_at = {h.name: spots[h.name] for h in cheapest(hosts, service)}
            service = replace(service, together=self._together(search, looked_at))
        return self._arrangement(hosts, service, seen, held)

    def _arrangement(
        self,
        hosts: Sequence[Host],
        service: Service,
        seen: Mapping[Rented, _Seen],
        held: Counter[Rented],
    ) -> Arrangement:
        found = best(hosts, service)
        names = {h.label: h for h in seen}
        targets = {names[name]: count for name, count in found.copies.items()}
        spares = min(MOST_SPARES, max(0, sum(targets.values()) - service.needed))
        places = {h: one.fits for h, one in seen.items()}
        return Arrangement(targets, spares, _told(found, service, spares), held, places)

    def _hosts(self, search: Search, ranking: Ranking) -> dict[Rented, _Seen]:
        """The rented hosts where a copy could stand now, each with its cheapest place."""
        first = next(iter(ranking), None)
        found: dict[Rented, _Seen] = {}
        moved = moved_of(search)
        for candidate in ranking.alike(first) if first is not None else ():
            place = candidate.stand.place
            if candidate.is_home or place not in self._ground.past.tracks:
                continue
            fit = search.attempt(candidate)
            if not isinstance(fit, Fit) and fit.reason not in AWAY:
                continue
            provider, region = hosts_of(candidate.offer)[0]
            host = Rented(provider, region, place.capacity_type in _FIRM)
            spot = spot_of(candidate, self._ground, moved, is_up=isinstance(fit, Fit))
            known = found.setdefault(host, _Seen(spot))
            if isinstance(fit, Fit):
                if not known.fits or spot.price < known.spot.price:
                    known.spot = spot
                known.fits.append(candidate)
        return found

    def _lives(self, search: Search, spots: Iterable[Spot]) -> Mapping[str, Hazards]:
        """How what is held at each place is lost."""
        studied = tuple({id(s.studied): s.studied for s in spots}.values())
        step_h = self._snapshot.past.step / timedelta(hours=1)
        setting = rounded(Setting(step_h, LOOK_H, 1.0, HORIZON_H, HORIZON_H))
        known = self._learner.knowledge(studied, gang_of(search), setting)
        return {name: life.up for name, life in known.lives.items()}

    def _asked(self, owner: Job, search: Search, needed: int, seen: Iterable[_Seen]) -> Service:
        sla, facts = search.case.sla, self._snapshot.facts.get(owner.ref.uid) or JobFacts()
        start = max([LOOK_H, *(one.spot.start for one in seen)])
        is_short = facts.served_h > 0 and self._is_short(owner)
        target = sla.availability_target if sla is not None else None
        return Service(
            needed,
            start_h=start,
            until_next_h=start,
            promised=None if target is None else float(target),
            elapsed_h=facts.served_h,
            # What is missing now is missed until its replacement serves.
            missed_h=facts.missed_h + (start if is_short else 0.0),
        )

    def _is_short(self, owner: Job) -> bool:
        """Whether fewer copies serve than are needed because some lost their place."""
        serving, once = self._serving[owner.ref.uid], self._once[owner.ref.uid]
        return len(serving) < owner.replicas and bool(once - serving)

    def _together(self, search: Search, hosts: Mapping[str, Spot]) -> Together:
        """How often these hosts were lost at the same look."""
        gang = gang_of(search)
        return {
            frozenset((one, other)): self._learner.lost_together(
                hosts[one].studied, hosts[other].studied, gang
            )
            for one, other in combinations(hosts, 2)
        }


_FIRM = (CapacityType.RESERVED.value, CapacityType.ON_DEMAND.value)


def _is_served(job: Job) -> bool:
    return job.workload is Workload.INFERENCE and not job.is_held


def _host(host: Rented, one: Spot, lives: Mapping[str, Hazards], held: int) -> Host:
    """As `core/serving` sees it. Hours, USD per hour of one copy."""
    up = lives[one.place.label]
    age = one.option.age
    lasts = up.life(age, HORIZON_H)
    is_firm = host.is_firm and lasts >= FIRM_LIFE_H
    span = max(LOOK_H, one.start)
    return Host(
        host.label,
        one.price,
        is_up=one.option.is_up or held > 0,
        is_reliable=is_firm,
        loss=0.0 if is_firm else 1.0 - up.survival(age, span) * exp(-UNFORESEEN_PER_H * span),
        life_h=max(span, lasts),
        held=held,
    )


def _told(found: Spread, service: Service, spares: int) -> str:
    """Why so many, for a person."""
    where = ", ".join(f"{count} at {name}" for name, count in sorted(found.copies.items()))
    told = f"{service.needed} needed and {spares} to spare: {where}, "
    told += f"{usd(Decimal(str(round(found.usd_per_hour, 4))))} USD/h; expected to be short "
    return told + f"{found.short:.3%} of the time, {service.allowed:.3%} may be planned with"
