"""L4s: every event unseen once, every restart into the past; called by `chaos_proxy`."""

from collections.abc import Callable, Sequence

from benchmarks.chaos_lines import Line
from overspill.testing.faultproxy.campaign import Case
from overspill.testing.faultproxy.manifests import MARKETS
from overspill.testing.faultproxy.sieve import (
    Checkpoint,
    Reference,
    checkpoints,
    drops,
    learn,
    stale,
    unobserved,
)
from overspill.testing.faultproxy.world import World

AT_ONCE = 8
SAMPLE = 10
"""A sample takes every tenth event and checkpoint; the seed says which."""

Show = Callable[[str], None]
Chosen = Callable[[int, str], bool]
"""Whether to run the case of that number and name."""


def whole(_number: int, _name: str) -> bool:
    """All of it."""
    return True


def sample(seed: int) -> Chosen:
    """A tenth of it."""
    return lambda number, _name: number % SAMPLE == seed % SAMPLE


def only(name: str) -> Chosen:
    """One case, as its failure named it."""
    return lambda _number, known: known == name


def sieved(world: World, chosen: Chosen, show: Show) -> list[Line]:
    """The lines of L4s."""
    reference = learn(world)
    unseen = [c for n, c in enumerate(drops(reference)) if chosen(n, c.rules.name)]
    marks = [m for n, m in enumerate(checkpoints(tuple(MARKETS))) if chosen(n, str(m))]
    return [
        _unobserved(world, reference, unseen, show),
        _stale(world, reference, marks, show),
    ]


def _unobserved(world: World, reference: Reference, unseen: Sequence[Case], show: Show) -> Line:
    for first in range(0, len(unseen), AT_ONCE):
        wave = unseen[first : first + AT_ONCE]
        unobserved(world, reference, wave)
        for case in wave:
            _tell(case.rules.name, case.violations, show)
        show(f"  sieve  {first + len(wave)}/{len(unseen)} events unseen once")
    failed = sum(1 for case in unseen if case.violations)
    events = ", ".join(f"{count} {kind}" for kind, count in reference.events.items())
    told = f"{failed} of {len(unseen)} differ (a case has {events})"
    return Line("L4s each event unseen: as the reference", told, failed == 0)


def _stale(world: World, reference: Reference, marks: Sequence[Checkpoint], show: Show) -> Line:
    for number, mark in enumerate(marks):
        try:
            stale(world, reference, mark, number)
        except (RuntimeError, TimeoutError) as error:  # the others are to be seen all the same
            mark.violations.append(f"not lived: {error}")
        _tell(str(mark), mark.violations, show)
        show(f"  sieve  {number + 1}/{len(marks)} restarts into the past: {mark}")
    failed = sum(1 for mark in marks if mark.violations)
    told = f"{failed} of {len(marks)} checkpoints differ"
    return Line("L4s restart into the past: as the reference", told, failed == 0)


def _tell(name: str, violations: Sequence[str], show: Show) -> None:
    if violations:
        show("\n".join([f"  sieve  {name}  FAILED", *(f"    {v}" for v in violations)]))
        show(f'    replay: python -m benchmarks.chaos_proxy --cases 0 --only "{name}"')
