"""Which node a job should take so that what is left stays useful: the least growing fragmentation.

FGD's measure (Weng et al., ATC'23): of a node's free GPUs, the part that a job drawn from the usual
mix could not use there. The node is taken whose measure grows least; among those that grow about
equally (`STEP`) the one with the least left, cores and GPUs together. GPUs are counted in
thousandths, so shares of one can be packed too. Pure; nodes that have the same left are one
`Room`, which keeps large clusters cheap. Placement at home and the benchmark's suite S4 ask here.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

WHOLE = 1000
"""Thousandths of one GPU."""

COVERED = 0.95
"""The part of all jobs whose kinds make the mix; rare kinds say little and cost time."""


STEP = 40
"""Thousandths of a GPU: growths that differ by less say nothing, and the least left decides."""

CORES = 16
"""So many cores weigh as one GPU when what is left is compared."""


@dataclass(frozen=True, slots=True)
class Room:
    """What is free on a node. GPUs most free first."""

    cpu: int
    memory: int
    gpus: tuple[int, ...]
    model: str = ""

    @property
    def free(self) -> int:
        """All GPUs together, thousandths."""
        return sum(self.gpus)


@dataclass(frozen=True, slots=True)
class Demand:
    """What a job takes of one node: `gpus` of them, `milli` of each."""

    cpu: int = 0
    memory: int = 0
    gpus: int = 1
    milli: int = WHOLE
    models: frozenset[str] = frozenset()
    """Empty: any."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of job and how usual it is."""

    demand: Demand
    share: float


def mix_of(demands: Iterable[Demand]) -> tuple[Kind, ...]:
    """The usual kinds of GPU job among these, most usual first."""
    return usual(Counter(demand for demand in demands if demand.gpus))


def usual(counts: Mapping[Demand, int]) -> tuple[Kind, ...]:
    """The same, of jobs that were counted by what they take."""
    total, found, covered = sum(counts.values()), [], 0
    for demand, count in sorted(counts.items(), key=lambda item: (-item[1], _name(item[0]))):
        if covered >= COVERED * total:
            break
        covered += count
        found.append(Kind(demand, count / total))
    return tuple(found)


def _name(demand: Demand) -> tuple[object, ...]:
    return demand.cpu, demand.memory, demand.gpus, demand.milli, sorted(demand.models)


def fits(room: Room, demand: Demand) -> bool:
    """Whether the node could take the job."""
    if demand.cpu > room.cpu or demand.memory > room.memory:
        return False
    if demand.models and room.model not in demand.models:
        return False
    return not demand.gpus or (
        len(room.gpus) >= demand.gpus and room.gpus[demand.gpus - 1] >= demand.milli
    )


def taken(room: Room, demand: Demand) -> Iterator[Room]:
    """What could be left: one way for whole GPUs, one per different GPU for a share."""
    cpu, memory = room.cpu - demand.cpu, room.memory - demand.memory
    if not demand.gpus:
        yield Room(cpu, memory, room.gpus, room.model)
        return
    if demand.gpus > 1 or demand.milli == WHOLE:
        left = [*room.gpus[demand.gpus :], *(g - demand.milli for g in room.gpus[: demand.gpus])]
        yield Room(cpu, memory, tuple(sorted(left, reverse=True)), room.model)
        return
    for free in sorted({g for g in room.gpus if g >= demand.milli}):
        gpus = list(room.gpus)
        gpus[gpus.index(free)] -= demand.milli
        yield Room(cpu, memory, tuple(sorted(gpus, reverse=True)), room.model)


def fragment(room: Room, mix: Sequence[Kind]) -> float:
    """Thousandths of GPU that a job of the mix is expected not to be able to use here."""
    free, unusable = room.free, _unusable(room, mix)
    found = 0.0
    for kind in mix:
        stuck = unusable[kind.demand.milli] if fits(room, kind.demand) else free
        found += kind.share * stuck
    return found


def _unusable(room: Room, mix: Sequence[Kind]) -> Mapping[int, int]:
    """What lies on GPUs with too little left, by what a job takes of each."""
    return {m: sum(g for g in room.gpus if g < m) for m in {k.demand.milli for k in mix}}


Rank = tuple[int, float]
"""How much the fragments grow, in steps; what is left on the node."""


@dataclass
class Packer:
    """Chooses nodes for one mix of jobs; remembers what it worked out, nothing else."""

    mix: Sequence[Kind]
    _fragments: dict[Room, float] = field(default_factory=dict)
    _best: dict[tuple[Room, Demand], tuple[float, Room] | None] = field(default_factory=dict)

    def choose(self, rooms: Iterable[Room], demand: Demand) -> tuple[Room, Room] | None:
        """The node to take and what is left of it; None: nobody has room."""
        best: tuple[Rank, Room] | None = None
        for room in rooms:
            rank = self.rank(room, demand)
            if rank is not None and (best is None or rank < best[0]):
                best = (rank, room)
        if best is None:
            return None
        found = self._grows(best[1], demand)
        return None if found is None else (best[1], found[1])

    def rank(self, room: Room, demand: Demand) -> Rank | None:
        """Its place among nodes, the lowest is taken; None: it has no room."""
        found = self._grows(room, demand)
        if found is None:
            return None
        growth, left = found
        return round(growth / STEP), left.free + left.cpu / CORES

    def _grows(self, room: Room, demand: Demand) -> tuple[float, Room] | None:
        key = (room, demand)
        if key not in self._best:
            self._best[key] = self._grows_afresh(room, demand)
        return self._best[key]

    def _grows_afresh(self, room: Room, demand: Demand) -> tuple[float, Room] | None:
        if not fits(room, demand):
            return None
        before = self._fragment(room)
        ways = ((self._fragment(left) - before, left) for left in taken(room, demand))
        # Sums of shares that are equal may differ in their last digits.
        return min(((round(g, 6), left) for g, left in ways), key=lambda way: way[0])

    def _fragment(self, room: Room) -> float:
        if room not in self._fragments:
            self._fragments[room] = fragment(room, self.mix)
        return self._fragments[room]
