"""Which node at home a job takes: the one whose free GPUs stay useful to the other jobs."""

import random
from collections.abc import Iterator, Sequence

import pytest

from overspill.core.decision import Action
from overspill.core.filters import Needs
from overspill.core.job import Job
from overspill.core.offer import Beside, GpuRequirements
from overspill.core.placement import plan
from overspill.core.placement_pool import Node, Pool, wanted_of
from overspill.core.snapshot import JobFacts
from overspill.core.vocabulary import Burst, CapacityType
from overspill.testing.placing import MINUTE, NOW, make_job, node, usd, world

TOTAL = 8


def home_jobs(sizes: Sequence[int]) -> list[Job]:
    """Jobs in this order of service."""
    return [
        make_job(f"j{i}", gpus, burst=Burst.NEVER, created_at=NOW - (99 - i) * MINUTE / 10)
        for i, gpus in enumerate(sizes)
    ]


def where(sizes: Sequence[int], **free: int) -> list[str]:
    nodes = [node(name, gpus) for name, gpus in free.items()]
    return [d.home_node for d in plan(world(home_jobs(sizes), nodes), NOW)]


def test_a_small_job_leaves_a_node_whole_that_fits_the_usual_ones() -> None:
    # Best-fit would break up the four that most jobs ask for.
    assert where([1, 4, 4, 4], n1=4, n2=5) == ["n2", "n1", "n2", ""]


def test_the_decision_says_why_a_fuller_node_was_passed_over() -> None:
    found = plan(world(home_jobs([1, 4, 4, 4]), [node("n1", 4), node("n2", 5)]), NOW)
    assert "a fuller node is left to the jobs that it suits better" in found[0].message
    assert "fuller" not in found[1].message


def test_an_untouched_node_is_kept_for_a_gang_that_may_come() -> None:
    assert where([1], n1=8, n2=3) == ["n2"]


def test_what_only_others_could_use_is_no_reason() -> None:
    """Jobs that may not be at home do not count, nor do those that have ended."""
    fours = [
        make_job(f"x{i}", 4, burst=Burst.ONLY, conditions=({"type": "Seen", "status": "True"},))
        for i in range(9)
    ]
    ended = [
        make_job(f"e{i}", 4, conditions=({"type": "Complete", "status": "True"},)) for i in range(9)
    ]
    jobs = [*home_jobs([1]), *fours, *ended]
    found = plan(world(jobs, [node("n1", 4), node("n2", 5)]), NOW)
    assert found[0].home_node == "n1"


def test_a_node_without_the_cpu_is_passed_over_in_silence() -> None:
    small, big = Beside(usd(1), usd(1)), Beside(usd(64), usd(64))
    nodes = [node("n1", 2, beside_free=small, beside_total=big), node("n2", 4)]
    (job,) = home_jobs([1])
    facts = {job.ref.uid: JobFacts(requests=Beside(usd(8), usd(8)))}
    (found,) = plan(world([job], nodes, facts=facts), NOW)
    assert (found.action, found.home_node) == (Action.PLACE, "n2")
    assert "fuller" not in found.message


Asked = tuple[int, Beside]
"""GPUs and what is requested beside them."""

HOST = Beside(usd(96), usd(1024))


def stranded(order: Sequence[Asked], *, first_fit: bool) -> int:
    """GPUs that are still free when every job of the order was tried once; none leaves."""
    asked = dict(zip((f"uid-j{i}" for i in range(len(order))), order, strict=True))
    jobs = home_jobs([gpus for gpus, _ in order])
    pool = Pool(node("n00", TOTAL), wanted=wanted_of(jobs, lambda uid: asked[uid][1]))
    for i in range(16):
        pool.add(f"n{i:02}", Node(node(f"n{i:02}", TOTAL), TOTAL, TOTAL, HOST))
    for gpus, beside in order:
        needs = Needs(GpuRequirements(gpus), 1, (CapacityType.OWN,))
        fitting = [n for n in pool.nodes.values() if n.free >= gpus and beside.fits(n.beside_free)]
        chosen = fitting[:1] if first_fit else pool.choose(needs, frozenset(), beside)
        pool.take(chosen, gpus, beside)
    return sum(n.free for n in pool.nodes.values())


def orders() -> Iterator[list[Asked]]:
    """Jobs for 130 % of the GPUs; some want many cores beside each."""
    dice = random.Random(3)  # noqa: S311  (an order of jobs, no secret)
    for _ in range(25):
        found = list[Asked]()
        while sum(gpus for gpus, _ in found) < 1.3 * 16 * TOTAL:
            gpus = dice.choices((1, 2, 4, 8), (6, 2, 2, 2))[0]
            cores = min(96, gpus * dice.choice((1, 4, 30)))
            found.append((gpus, Beside(usd(cores), usd(4 * gpus))))
        yield found


def test_fewer_gpus_are_stranded_than_by_first_fit() -> None:
    ours = [stranded(order, first_fit=False) for order in orders()]
    theirs = [stranded(order, first_fit=True) for order in orders()]
    assert sum(ours) < 0.95 * sum(theirs)


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_jobs_and_nodes_in_a_snapshot_changes_nothing(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  (a fleet, no secret)
    jobs = home_jobs(dice.choices((1, 2, 4, 8), k=12))
    nodes = [node(f"n{i}", dice.randrange(9)) for i in range(8)]
    found = {d.job.name: d.home_node for d in plan(world(jobs, nodes), NOW)}
    dice.shuffle(jobs)
    dice.shuffle(nodes)
    assert {d.job.name: d.home_node for d in plan(world(jobs, nodes), NOW)} == found
