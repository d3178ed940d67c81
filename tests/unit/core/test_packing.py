"""What is left on nodes stays useful: fragments by hand, choices, and nobody is overbooked."""

import random
from collections import Counter

import pytest

from overspill.core.packing import WHOLE, Demand, Kind, Packer, Room, fits, fragment, mix_of, taken

ONE, PAIR, HALF = Demand(), Demand(gpus=2), Demand(milli=500)
NONE = Demand(cpu=1, gpus=0)


@pytest.mark.parametrize(
    ("room", "demand", "does"),
    [
        (Room(0, 0, (1000,)), ONE, True),
        (Room(0, 0, (999,)), ONE, False),
        (Room(0, 0, (1000, 500)), PAIR, False),
        (Room(0, 0, (1000, 500)), HALF, True),
        (Room(3, 0, (1000,)), Demand(cpu=4), False),
        (Room(0, 3, (1000,)), Demand(memory=4), False),
        (Room(0, 0, (1000,), "T4"), Demand(models=frozenset({"A10"})), False),
        (Room(0, 0, (1000,), "T4"), Demand(models=frozenset({"A10", "T4"})), True),
        (Room(1, 0, ()), NONE, True),
    ],
)
def test_what_fits(room: Room, demand: Demand, does: bool) -> None:
    assert fits(room, demand) is does


def test_whole_gpus_leave_one_way_and_shares_one_per_different_gpu() -> None:
    room = Room(8, 8, (1000, 1000, 600))
    assert list(taken(room, PAIR)) == [Room(8, 8, (600, 0, 0))]
    assert set(taken(room, HALF)) == {Room(8, 8, (1000, 600, 500)), Room(8, 8, (1000, 1000, 100))}
    assert list(taken(room, NONE)) == [Room(7, 8, room.gpus)]


def test_a_fragment_is_what_the_mix_cannot_use() -> None:
    mix = (Kind(ONE, 0.5), Kind(HALF, 0.25), Kind(Demand(cpu=9), 0.25))
    # A whole job cannot use the 600, a half one can use all, one with 9 cores nothing.
    assert fragment(Room(8, 0, (1000, 600)), mix) == 0.5 * 600 + 0.25 * 0 + 0.25 * 1600


def test_a_share_goes_where_a_share_is_left() -> None:
    packer = Packer((Kind(ONE, 0.6), Kind(HALF, 0.4)))
    opened, whole = Room(8, 8, (500,)), Room(8, 8, (1000,))
    assert packer.choose([whole, opened], HALF) == (opened, Room(8, 8, (0,)))


def test_a_node_keeps_the_cores_that_its_gpus_need() -> None:
    packer = Packer((Kind(Demand(cpu=4), 1.0),))
    poor, rich = Room(4, 8, (1000, 1000)), Room(64, 8, (1000, 1000))
    found = packer.choose([rich, poor], Demand(cpu=1))
    assert found is not None
    # Of the poor node the second GPU is lost to the mix; of the rich one nothing is.
    assert found[0] == rich
    slight = Demand(gpus=0, cpu=1)
    assert packer.choose([rich, poor], slight) == (rich, Room(63, 8, (1000, 1000)))
    assert packer.choose([poor], Demand(cpu=8)) is None


def test_among_equals_the_one_with_the_least_left() -> None:
    packer = Packer((Kind(ONE, 1.0),))
    small, large = Room(9, 9, (1000, 0)), Room(9, 9, (1000, 1000))
    assert packer.choose([large, small], ONE) == (small, Room(9, 9, (0, 0)))


def test_a_growth_too_small_to_tell_leaves_the_choice_to_what_is_left() -> None:
    packer = Packer((Kind(ONE, 0.99), Kind(Demand(cpu=5), 0.01)))
    # The small node loses a hundredth of a GPU for the rare kind; it is still the fuller one.
    small, large = Room(5, 9, (1000, 1000)), Room(64000, 9, (1000, 1000))
    assert packer.choose([large, small], Demand(cpu=1)) == (small, Room(4, 9, (1000, 0)))


def test_the_mix_is_the_usual_kinds_only() -> None:
    demands = [ONE] * 90 + [HALF] * 8 + [PAIR] * 2 + [NONE] * 50
    assert [k.demand for k in mix_of(demands)] == [ONE, HALF]
    assert mix_of([]) == ()


@pytest.mark.parametrize("seed", range(4))
def test_nobody_is_overbooked_and_the_order_of_nodes_does_not_matter(seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311  (demands, no secret)
    demands = [
        Demand(dice.randint(1, 8), dice.randint(1, 64), gpus, milli)
        for gpus, milli in dice.choices([(1, WHOLE), (2, WHOLE), (1, 300), (0, WHOLE)], k=80)
    ]
    packer = Packer(mix_of(demands))
    free = Counter([Room(32, 256, (WHOLE,) * 4)] * 3 + [Room(16, 128, (WHOLE,) * 2)] * 3)
    for demand in demands:
        found = packer.choose(sorted(free, key=repr), demand)
        turned = packer.choose(sorted(free, key=repr, reverse=True), demand)
        assert (found is None) == (turned is None)
        if found is None:
            assert not any(fits(room, demand) for room in free)
            continue
        room, left = found
        assert fits(room, demand)
        assert room.free - left.free == demand.gpus * demand.milli
        assert min((left.cpu, left.memory, *left.gpus)) >= 0
        assert list(left.gpus) == sorted(left.gpus, reverse=True)
        free[room] -= 1
        free += Counter()
        free[left] += 1
