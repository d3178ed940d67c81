"""An outcome in figures: cost, promises, waits, places; and its course over time, for plots.

Called by the command line, the report, and the benchmark's fleet suite.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from overspill.simulate.attempts import Running, Stay
from overspill.simulate.history import History
from overspill.simulate.replay import Outcome
from overspill.simulate.supply import HOME

WAITS = ((60.0, "1 min"), (600.0, "10 min"), (3600.0, "1 h"), (21600.0, "6 h"), (86400.0, "1 day"))
"""Within which the share of jobs that had started is told."""


@dataclass(frozen=True, slots=True)
class ClassLine:
    """One SLA class: what was promised and what was attained."""

    name: str
    jobs: int
    finished: int
    promised: int
    """Jobs with a finish-by."""
    kept: int
    usd: float

    @property
    def attained(self) -> float | None:
        """Share of the promises that was kept; None where nothing was promised."""
        return self.kept / self.promised if self.promised else None


@dataclass(frozen=True, slots=True)
class PlaceLine:
    """One place, home being one."""

    name: str
    stays: int
    losses: int
    gpu_h: float
    usd: float


@dataclass(frozen=True, slots=True)
class Summary:
    """One scenario in figures. USD, seconds, GPU-hours."""

    name: str
    jobs: int
    finished: int
    refused: int
    """Jobs that no place was ever found for."""
    promised: int
    missed: int
    own_usd: float
    rented_usd: float
    egress_usd: float
    start_usd: float
    rework_usd: float
    double_usd: float
    reference_usd: float | None
    """The useful GPU-hours of all finished jobs at the reference price."""
    useful_gpu_h: float
    wasted_gpu_h: float
    moves: int
    losses: int
    median_wait_s: float
    p95_wait_s: float
    started_within: tuple[float, ...]
    """Share of all jobs, by `WAITS`."""
    classes: tuple[ClassLine, ...]
    places: tuple[PlaceLine, ...]

    @property
    def usd(self) -> float:
        """Everything together."""
        return self.own_usd + self.rented_usd + self.egress_usd

    @property
    def saved_usd(self) -> float | None:
        """Against the reference price."""
        return None if self.reference_usd is None else self.reference_usd - self.usd

    @property
    def rework_share(self) -> float:
        """The part of the cost that paid for work done again."""
        return self.rework_usd / self.usd if self.usd else 0.0

    @property
    def rented_share(self) -> float:
        """The part of all GPU-hours that was rented."""
        total = sum(p.gpu_h for p in self.places)
        return sum(p.gpu_h for p in self.places if p.name != HOME) / total if total else 0.0


def summary(outcome: Outcome, reference: float | None) -> Summary:
    """The figures of an outcome; `reference` is USD per GPU-hour, None: the cheapest on demand."""
    runs, bills = outcome.runs, [run.bill for run in outcome.runs]
    waits = sorted(_wait(run, outcome.end_s) for run in runs)
    finished = [run for run in runs if run.finished_s is not None]
    promised = [run for run in runs if run.past.deadline_s is not None]
    return Summary(
        name=outcome.scenario.name,
        jobs=len(runs),
        finished=len(finished),
        refused=sum(1 for run in runs if run.first_start_s is None),
        promised=len(promised),
        missed=sum(run.missed for run in promised),
        own_usd=sum(b.own for b in bills),
        rented_usd=sum(b.rented for b in bills),
        egress_usd=sum(b.egress for b in bills),
        start_usd=sum(b.start for b in bills),
        rework_usd=sum(b.rework for b in bills),
        double_usd=sum(b.double for b in bills),
        reference_usd=_reference(outcome.history, finished, reference),
        useful_gpu_h=sum(run.past.work_s * run.past.gpus for run in finished) / 3600,
        wasted_gpu_h=sum(b.wasted_gpu_h for b in bills),
        moves=sum(run.moves for run in runs),
        losses=sum(run.losses for run in runs),
        median_wait_s=_quantile(waits, 0.5),
        p95_wait_s=_quantile(waits, 0.95),
        started_within=tuple(sum(w <= s for w in waits) / max(1, len(waits)) for s, _ in WAITS),
        classes=tuple(_classes(runs)),
        places=tuple(_places(runs)),
    )


@dataclass(frozen=True, slots=True)
class Course:
    """An outcome over time, cut into equal parts. `times` are their beginnings."""

    times: Sequence[float]
    width_s: float
    own: Sequence[float]
    """GPUs in use at home, on average."""
    rented: Sequence[float]
    spent: Sequence[float]
    """USD up to the end of each part; egress and the overlap of planned moves are left out."""


def course(outcome: Outcome, parts: int = 240) -> Course:
    """GPUs and dollars over time."""
    first = min((run.past.submit_s for run in outcome.runs), default=0.0)
    width = max(1.0, (outcome.end_s - first) / parts)
    own, rented, usd = [0.0] * parts, [0.0] * parts, [0.0] * parts
    for run in outcome.runs:
        for stay in run.stays:
            for index, seconds in _cut(stay, first, width, parts):
                into = rented if stay.place else own
                into[index] += run.past.gpus * seconds / width
                usd[index] += stay.usd_per_hour * seconds / 3600
    spent, total = [], 0.0
    for paid in usd:
        total += paid
        spent.append(total)
    return Course([first + i * width for i in range(parts)], width, own, rented, spent)


def _cut(stay: Stay, first: float, width: float, parts: int) -> Iterable[tuple[int, float]]:
    begin, end = stay.begin_s - first, (stay.end_s or stay.begin_s) - first
    index = int(begin // width)
    while index < parts and index * width < end:
        yield index, min(end, (index + 1) * width) - max(begin, index * width)
        index += 1


def _wait(run: Running, end_s: float) -> float:
    start = run.first_start_s
    return (end_s if start is None else start) - run.past.submit_s


def _reference(history: History, runs: Sequence[Running], given: float | None) -> float | None:
    total = 0.0
    for run in runs:
        past = run.past
        rate = history.cheapest_reliable(past.model, past.submit_s) if given is None else given
        if rate is None:
            return None
        total += rate * past.work_s * past.gpus / 3600
    return total


def _classes(runs: Sequence[Running]) -> Iterable[ClassLine]:
    by_name: dict[str, list[Running]] = defaultdict(list)
    for run in runs:
        by_name[run.job.sla_class].append(run)
    for name, members in sorted(by_name.items()):
        promised = [run for run in members if run.past.deadline_s is not None]
        yield ClassLine(
            name=name or "(default)",
            jobs=len(members),
            finished=sum(run.finished_s is not None for run in members),
            promised=len(promised),
            kept=sum(not run.missed for run in promised),
            usd=sum(run.bill.total for run in members),
        )


def _places(runs: Sequence[Running]) -> Iterable[PlaceLine]:
    by_name: dict[str, list[tuple[int, Stay]]] = defaultdict(list)
    for run in runs:
        for stay in run.stays:
            by_name[stay.place or HOME].append((run.past.gpus, stay))
    lines = [
        PlaceLine(
            name=name,
            stays=len(stays),
            losses=sum(stay.lost for _, stay in stays),
            gpu_h=sum(g * ((s.end_s or s.begin_s) - s.begin_s) for g, s in stays) / 3600,
            usd=sum(stay.paid_usd for _, stay in stays),
        )
        for name, stays in by_name.items()
    ]
    return sorted(lines, key=lambda line: (line.name != HOME, -line.usd, line.name))


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0
