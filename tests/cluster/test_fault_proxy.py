"""L4 and L4s on the real control plane: answers lost, late, doubled and torn between the operator
and the API server, and between the operator and two markets; events unseen; a restart into the
past. A sample: `python -m benchmarks.chaos_proxy` runs as many as wanted.
"""

from collections.abc import Iterator

import pytest

from overspill.testing.bed import Bed
from overspill.testing.faultproxy.campaign import cases, run_wave
from overspill.testing.faultproxy.sieve import (
    Checkpoint,
    Reference,
    drops,
    learn,
    stale,
    unobserved,
)
from overspill.testing.faultproxy.world import World, opened

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SEEDS = (0, 5, 7, 11)
"""Lost answers, late requests, events, and what breaks the assumptions of class B."""
EVERY = 9
"""The sample of events that never come."""


@pytest.fixture(scope="module")
def world(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with opened(bed, tmp_path_factory.mktemp("proxy")) as running:
        yield running


@pytest.fixture(scope="module")
def reference(world: World) -> Reference:
    """An undisturbed case: what there is to disturb, and what should come of it."""
    return learn(world)


def test_seeded_faults_leak_nothing_double_nothing_and_every_job_ends(world: World) -> None:
    wave = run_wave(world, cases(SEEDS))
    assert [(case.replay, case.violations) for case in wave.cases if case.violations] == []
    assert all(case.lane.struck for case in wave.cases), "a case that met no fault proves nothing"


def test_an_event_that_never_comes_changes_nothing_in_the_end(
    world: World, reference: Reference
) -> None:
    assert all(count > 0 for count in reference.events.values()), reference.events
    unseen = drops(reference)[::EVERY]
    unobserved(world, reference, unseen)
    assert [(case.rules.name, case.violations) for case in unseen if case.violations] == []
    # a life may have an event less than the reference had, so the last one need not come
    assert sum(sum(case.lane.struck.values()) for case in unseen) >= len(unseen) - 1


def test_a_restart_into_the_past_changes_nothing_in_the_end(
    world: World, reference: Reference
) -> None:
    checkpoint = Checkpoint("vast", shown="Planned", died="Active")
    stale(world, reference, checkpoint, 0)
    assert checkpoint.violations == []
