"""Home nodes of one kind while a plan is made, and which of them a job takes.

Nodes are kept by what is free on them, so that a choice among thousands looks at a few. The one is
taken whose free GPUs stay most useful to the other open jobs (`core/packing`). Lives for one plan.
Made by `placement_capacity`, asked by `placement_search`.
"""

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import lru_cache

from overspill.core.filters import Needs, Refusal
from overspill.core.job import Job
from overspill.core.offer import NOTHING_BESIDE, Beside, Offer
from overspill.core.packing import WHOLE, Demand, Packer, Rank, Room, usual
from overspill.core.reasons import Reason
from overspill.core.vocabulary import Burst

Key = tuple[str, str]
"""(provider, offer_id)."""


@dataclass(slots=True)
class Node:
    """One home node: its offer and what is left of it in this plan."""

    offer: Offer
    free: int
    total: int
    beside_free: Beside | None = None
    """CPU and memory that are left of it in this plan; None: unknown."""

    @property
    def is_untouched(self) -> bool:
        """Nothing runs on it: kept for gangs as long as another node will do."""
        return self.free == self.total

    @property
    def shape(self) -> "Shape":
        """All that tells it from other nodes of its pool."""
        return self.free, self.beside_free

    def keep(self, requests: Beside) -> None:
        """Takes a pod's CPU and memory; of a pool's node, by the pool alone."""
        if self.beside_free is not None:
            self.beside_free = self.beside_free.less(requests)


Shape = tuple[int, Beside | None]
"""What is free on a node: GPUs, CPU and memory (None: unknown)."""


@dataclass(slots=True)
class Pool:
    """Interchangeable home nodes; `sample` is any of them, for filters and prices.

    Nodes are kept by how much is free, so that a choice among thousands looks at a few. Which of
    them is taken follows from `core/packing`.
    """

    sample: Offer
    nodes: dict[str, Node] = field(default_factory=dict)
    is_held: bool = False
    changes: int = 0
    """How often what is free has changed."""
    _levels: dict[Shape, list[tuple[bool, str]]] = field(default_factory=dict)
    """By what is free: (is untouched, name) in order."""
    _sizes: Counter[int] = field(default_factory=Counter)
    _fitting: dict[int, int] = field(default_factory=dict)
    _busy: dict[tuple[int, int], Refusal] = field(default_factory=dict)
    """Answers to questions asked since a node last changed."""
    _roomy: dict[tuple[int, Beside], int] = field(default_factory=dict)
    """At most so many nodes have so much free: in a plan it only becomes less."""
    _large: dict[tuple[int, Beside], int] = field(default_factory=dict)
    wanted: Mapping[Demand, int] = field(default_factory=dict)
    """What the open jobs take of a node, and how many do."""
    _packer: Packer | None = None
    _ranks: dict[tuple[Shape, Demand], Rank] = field(default_factory=dict)

    def add(self, name: str, node: Node) -> None:
        """One more node; of two with one name the later counts."""
        if name in self.nodes:
            old = self.nodes[name]
            self._sizes[old.total] -= 1
            level = self._levels[old.shape]
            level.remove((old.is_untouched, name))
            if not level:
                del self._levels[old.shape]
        self.nodes[name] = node
        self._sizes[node.total] += 1
        self._forget()
        self._roomy.clear()
        self._large.clear()
        self._ranks.clear()
        self._packer = None
        insort(self._levels.setdefault(node.shape, []), (node.is_untouched, name))

    def could_ever_hold(self, needs: Needs) -> bool:
        """Whether the pool would do if it were empty and all its nodes healthy."""
        big = sum(nodes for total, nodes in self._sizes.items() if total >= needs.gpu.count)
        return big >= needs.num_nodes

    @property
    def largest(self) -> int:
        """GPUs of its largest node, free or taken."""
        return max(self._sizes)

    @property
    def most_free(self) -> int:
        """GPUs free on one node, at most."""
        return max(free for free, _ in self._levels)

    def fitting(self, count: int) -> int:
        """How many nodes have so many GPUs free."""
        if count not in self._fitting:
            levels = self._levels.items()
            self._fitting[count] = sum(len(lv) for (free, _), lv in levels if free >= count)
        return self._fitting[count]

    def choose(
        self, needs: Needs, excluded: frozenset[Key], requests: Beside = NOTHING_BESIDE
    ) -> list[Node]:
        """The nodes for the job; empty when it does not fit now.

        Those whose free GPUs stay most useful to the other jobs, the fullest among equals.
        """
        provider, chosen = self.sample.provider, list[Node]()
        if self.fitting(needs.gpu.count) < needs.num_nodes:
            return []
        known = self._roomy.get((needs.gpu.count, requests))
        if known is not None and known < needs.num_nodes:
            return []
        if excluded and self.is_excluded(excluded):
            return []
        for shape in self._in_order(needs.gpu.count, requests):
            for _, name in self._levels[shape]:
                if not excluded or (provider, name) not in excluded:
                    chosen.append(self.nodes[name])
                if len(chosen) == needs.num_nodes:
                    return chosen
        return []

    def spares_fuller(self, node: Node, count: int, requests: Beside) -> bool:
        """Whether a fuller node would do, but is left to jobs that it suits better."""
        mine, demand = self._rank(node.shape, _demand(count, requests)), (count, requests)
        fuller = [shape for shape in self._fitting_shapes(*demand) if shape[0] < node.free]
        return any(self._rank(shape, _demand(*demand)) > mine for shape in fuller)

    def _in_order(self, count: int, requests: Beside) -> list[Shape]:
        """What may be free on a node for it to be taken, best first."""
        fitting = self._fitting_shapes(count, requests)
        if len(fitting) < 2:
            return fitting
        demand = _demand(count, requests)
        return sorted(fitting, key=lambda at: (self._rank(at, demand), self._levels[at][0]))

    def _fitting_shapes(self, count: int, requests: Beside) -> list[Shape]:
        found = [shape for shape in self._levels if shape[0] >= count]
        if requests is NOTHING_BESIDE:
            return found
        return [shape for shape in found if requests.fits(shape[1])]

    def _rank(self, shape: Shape, demand: Demand) -> Rank:
        key = (shape, demand)
        if key not in self._ranks:
            if self._packer is None:
                # Gangs come seldom and need whole nodes: one is always reckoned with.
                whole = Demand(gpus=self.largest)
                counts = {**self.wanted, whole: self.wanted.get(whole, 0) + 1}
                self._packer = Packer(usual(counts))
            rank = self._packer.rank(_room(shape, self.sample.gpu_model), demand)
            self._ranks[key] = rank or (0, float(shape[0]))
        return self._ranks[key]

    def busy(self, needs: Needs) -> Refusal:
        """Why `choose` found nothing."""
        count = needs.gpu.count
        key = (count, needs.num_nodes)
        if key not in self._busy:
            self._busy[key] = self._busy_with(self.fitting(count), needs)
        return self._busy[key]

    def _busy_with(self, fitting: int, needs: Needs) -> Refusal:
        count = needs.gpu.count
        if fitting >= needs.num_nodes:
            told = "the nodes with room were refused or withdrawn for this job a moment ago"
            return Refusal(Reason.RECENTLY_REFUSED, told, clears=True)
        if fitting:
            told = f"{fitting} of {needs.num_nodes} nodes have {count} GPUs free"
            return Refusal(Reason.GANG_WOULD_SPLIT, f"only {told}; a gang is never split", True)
        told = f"no node has {count} GPUs free now (at most {self.most_free} on one)"
        return Refusal(Reason.NO_CAPACITY_NOW, told, clears=True)

    def cramped(self, needs: Needs, requests: Beside) -> Refusal | None:
        """Whether CPU or memory is what `choose` did not find; None: it is something else."""
        count, beside = needs.gpu.count, _told(requests)
        if self._with_size(count, requests) < needs.num_nodes:
            told = f"fewer than {needs.num_nodes} of its nodes have {beside}"
            return Refusal(Reason.NODE_TOO_SMALL, told)
        fitting = self.fitting(count)
        if fitting < needs.num_nodes:
            return None
        roomy = self._with_room(count, requests, needs.num_nodes)
        if roomy >= needs.num_nodes:
            return None
        told = f"{fitting} nodes have {count} GPUs free, {roomy} of them {beside} as well"
        return Refusal(Reason.NO_CAPACITY_NOW, told, clears=True)

    def _with_size(self, count: int, requests: Beside) -> int:
        """How many nodes have so much beside so many GPUs, free or taken."""
        key = (count, requests)
        if key not in self._large:
            big = (n for n in self.nodes.values() if n.total >= count)
            self._large[key] = sum(requests.fits(n.offer.beside_total) for n in big)
        return self._large[key]

    def _with_room(self, count: int, requests: Beside, wanted: int) -> int:
        """How many have it free; counted anew only while it may be as many as are wanted."""
        key = (count, requests)
        if self._roomy.get(key, wanted) >= wanted:
            fitting = self._fitting_shapes(count, requests)
            self._roomy[key] = sum(len(self._levels[shape]) for shape in fitting)
        return self._roomy[key]

    def take(self, nodes: Iterable[Node], count: int, requests: Beside = NOTHING_BESIDE) -> None:
        """Marks `count` GPUs on each node as gone, and what is kept beside them."""
        for node in nodes:
            beside = node.beside_free
            self._move(node, (node.free - count, beside and beside.less(requests)))

    def hold(self, needs: Needs) -> None:
        """Keeps the nodes nearest to fitting from everybody who comes later in this plan.

        For one job at a time: it is the next to go, and more would leave too much idle.
        """
        if self.is_held:
            return
        self.is_held = True
        count = needs.gpu.count
        big = [(-n.free, name) for name, n in self.nodes.items() if n.total >= count]
        for _, name in sorted(big)[: needs.num_nodes]:
            self._move(self.nodes[name], (0, self.nodes[name].beside_free))

    def is_excluded(self, excluded: frozenset[Key]) -> bool:
        """Whether the job was refused lately on every node; one that never came speaks for all."""
        asked = any if self.sample.attribute("bootSeconds") else all
        return asked((self.sample.provider, name) in excluded for name in self.nodes)

    def _move(self, node: Node, shape: Shape) -> None:
        """To where nodes stand that have so much free."""
        name, level = node.offer.offer_id, self._levels[node.shape]
        del level[bisect_left(level, (node.is_untouched, name))]
        if not level:
            del self._levels[node.shape]
        node.free, node.beside_free = shape
        self._forget()
        insort(self._levels.setdefault(shape, []), (node.is_untouched, name))

    def _forget(self) -> None:
        self.changes += 1
        self._fitting.clear()
        self._busy.clear()


def wanted_of(jobs: Iterable[Job], requests: Callable[[str], Beside]) -> Mapping[Demand, int]:
    """What these jobs take of a node at home, and how many do; a gang counts for each node."""
    counts: Counter[tuple[int, tuple[str, ...], Beside]] = Counter()
    for job in jobs:
        if job.burst is not Burst.ONLY:
            counts[job.gpu.count, job.gpu.models, requests(job.ref.uid)] += job.num_nodes
    found: Counter[Demand] = Counter()
    for (gpus, models, beside), number in counts.items():
        found[replace(_demand(gpus, beside), models=frozenset(models))] += number
    return found


def _told(requests: Beside) -> str:
    cpus, memory = requests.cpu_units.normalize(), requests.memory_gib
    return f"{cpus:f} CPUs and {memory:.1f} GiB of memory"


def _room(shape: Shape, model: str) -> Room:
    free, beside = shape
    if beside is None:
        return Room(_ENOUGH, _ENOUGH, (WHOLE,) * free, model)
    return Room(_milli(beside.cpu_units), _mib(beside.memory_gib), (WHOLE,) * free, model)


@lru_cache(maxsize=1024)
def _demand(gpus: int, requests: Beside) -> Demand:
    return Demand(_milli(requests.cpu_units), _mib(requests.memory_gib), gpus)


def _milli(cpus: Decimal) -> int:
    return int(cpus * 1000)


def _mib(gib: Decimal) -> int:
    return int(gib * 1024)


_ENOUGH = 10**9
"""Of what a node does not tell."""
