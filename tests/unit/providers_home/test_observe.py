"""What home says of a child, from pods in view and from the Job."""

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from overspill.core.errors import LeaseNotFound
from overspill.core.lease import Handle
from overspill.core.observation import Observation
from overspill.core.vocabulary import Phase
from overspill.ports import PodState
from overspill.providers.in_cluster import JOBS_TTL_S, InCluster
from overspill.providers.in_cluster_observe import STUCK_AFTER
from overspill.testing.clock import ManualClock
from overspill.testing.fakeapi import FakeApi
from overspill.testing.home import (
    CLUSTER_ID,
    NOON,
    FakeHome,
    gpu_node,
    home_account,
    home_request,
    pod_of,
)

JOBS = "/apis/batch/v1/namespaces/team-a/jobs"
KEY = home_request().key
INDEX = "batch.kubernetes.io/job-completion-index"


@dataclass
class Place:
    """One child at a home in memory."""

    api: FakeApi = field(default_factory=FakeApi)
    home: FakeHome = field(default_factory=lambda: FakeHome([gpu_node("n1"), gpu_node("n2")]))
    clock: ManualClock = field(default_factory=ManualClock)
    handle: Handle = field(default_factory=lambda: Handle(""))

    def __post_init__(self) -> None:
        self.provider = InCluster(home_account(), self.api, self.home, self.clock, CLUSTER_ID)

    async def opened(self, nodes: int = 1) -> "Place":
        asked = {"num_nodes": nodes}
        self.handle = (await self.provider.open(home_request(asked=asked))).handle
        self.api.calls.clear()
        return self

    async def see(self, *pods: PodState) -> Observation:
        self.home.pod_list = list(pods)
        return await self.provider.observe(self.handle)

    async def job(self, **changes: Any) -> None:
        path = f"{JOBS}/{KEY}"
        job = await self.api.get(path)
        job["metadata"].update(changes.pop("metadata", {}))
        job["spec"].update(changes.pop("spec", {}))
        await self.api.put(path, {**job, **changes})
        self.api.calls.clear()


def condition(kind: str, reason: str = "") -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": "True", "reason": reason, "message": "why"}]}


FULL = {"reason": "Unschedulable", "message": "0/9 nodes are available"}
PULLING = {"reason": "ContainerCreating", "message": ""}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        pytest.param(
            pod_of(KEY, node="", phase="Pending", **FULL),
            (Phase.PENDING, "Unschedulable", "0/9 nodes are available"),
            id="no node for it",
        ),
        pytest.param(
            pod_of(KEY, phase="Pending", **PULLING),
            (Phase.STARTING, "ContainerCreating", ""),
            id="bound, not running yet",
        ),
        pytest.param(pod_of(KEY), (Phase.RUNNING, "", ""), id="running"),
        pytest.param(pod_of(KEY, phase="Succeeded"), (Phase.SUCCEEDED, "", ""), id="done"),
        pytest.param(
            pod_of(KEY, deletion_requested=True),
            (Phase.TERMINATING, "Terminating", "pod p1 is ending"),
            id="on its way out",
        ),
    ],
)
async def test_the_pod_in_view_tells_without_a_request(
    pod: PodState, expected: tuple[Phase, str, str]
) -> None:
    place = await Place().opened()

    seen = await place.see(pod)

    assert (seen.phase, seen.reason, seen.message) == expected
    assert place.api.calls == []


async def test_charging_starts_when_the_last_pod_is_bound() -> None:
    place = await Place().opened(nodes=2)
    first, second = pod_of(KEY, "a"), pod_of(KEY, "b", node="n2")
    second = replace(second, bound_at=NOON + timedelta(minutes=5))

    waiting = await place.see(first, replace(second, node="", bound_at=None, phase="Pending"))
    bound = await place.see(first, second)

    assert waiting.bound_at is None
    assert bound.bound_at == NOON + timedelta(minutes=5)
    assert bound.node == "n1,n2"


async def test_the_end_is_told_with_its_time_and_code() -> None:
    place = await Place().opened()

    seen = await place.see(pod_of(KEY, phase="Succeeded", finished_at=NOON))

    assert (seen.exit_code, seen.ends_at) == (0, NOON)


async def test_a_failed_command_is_the_job_controllers_word() -> None:
    place = await Place().opened()
    await place.job(status=condition("Failed", "BackoffLimitExceeded"))

    seen = await place.see(pod_of(KEY, phase="Failed", exit_code=7))

    assert (seen.phase, seen.reason, seen.exit_code) == (Phase.FAILED, "BackoffLimitExceeded", 7)


async def test_a_failed_pod_is_not_a_failed_command_before_that() -> None:
    place = await Place().opened()

    seen = await place.see(pod_of(KEY, phase="Failed", exit_code=143))

    assert (seen.phase, seen.reason) == (Phase.TERMINATING, "PodFailed")
    assert seen.exit_code is None


async def test_a_pod_taken_by_a_disruption_is_a_loss_of_the_place() -> None:
    place = await Place().opened()
    await place.see(pod_of(KEY, "old"))

    beside = await place.see(
        pod_of(KEY, "old", phase="Failed", exit_code=143), pod_of(KEY, "new", node="n2")
    )
    alone = await place.see(pod_of(KEY, "new", node="n2"))

    assert [(s.phase, s.reason) for s in (beside, alone)] == [(Phase.LOST, "PodReplaced")] * 2


async def test_ranks_of_a_gang_are_not_taken_for_replacements() -> None:
    place = await Place().opened(nodes=2)
    ranks = [pod_of(KEY, n, labels={INDEX: i}) for n, i in (("a", "0"), ("b", "1"))]

    half = await place.see(ranks[0])
    whole = await place.see(*ranks)
    ending = await place.see(replace(ranks[0], phase="Succeeded"), ranks[1])
    done = await place.see(*(replace(r, phase="Succeeded") for r in ranks))

    phases = [s.phase for s in (half, whole, ending, done)]
    assert phases == [Phase.PENDING, Phase.RUNNING, Phase.RUNNING, Phase.SUCCEEDED]
    assert half.message == "1 of 2 pods exist"


async def test_a_silent_node_loses_its_pod() -> None:
    place = await Place().opened()
    place.home.ages["n1"] = 41.0

    seen = await place.see(pod_of(KEY))

    assert (seen.phase, seen.reason, seen.node) == (Phase.LOST, "NodeHeartbeatStopped", "n1")
    assert place.api.calls == []


async def test_one_lost_rank_loses_the_gang() -> None:
    place = await Place().opened(nodes=2)
    place.home.ages["n2"] = 41.0

    seen = await place.see(pod_of(KEY, "a"), pod_of(KEY, "b", node="n2"))

    assert (seen.phase, seen.node) == (Phase.LOST, "n2")


async def test_a_finished_pod_is_not_lost_with_its_node() -> None:
    place = await Place().opened()
    place.home.ages["n1"] = 3600.0

    assert (await place.see(pod_of(KEY, phase="Succeeded"))).phase is Phase.SUCCEEDED


async def test_a_stale_view_cannot_tell() -> None:
    place = await Place().opened()
    place.home.ages["n1"] = 3600.0
    place.home.stale = True

    assert (await place.see(pod_of(KEY))).phase is Phase.UNKNOWN
    assert (await place.see()).phase is Phase.UNKNOWN
    await place.api.remove(f"{JOBS}/{KEY}")
    assert (await place.see()).phase is Phase.UNKNOWN, "a blind eye proves no absence of pods"


async def test_a_pod_stuck_on_a_dead_node_is_lost_before_and_terminating_after_the_close() -> None:
    place = await Place().opened()
    place.home.ages["n1"] = 41.0
    stuck = pod_of(KEY, deletion_requested=True)

    before = await place.see(stuck)
    await place.job(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["f"]})
    after = await place.see(stuck)
    await place.api.remove(f"{JOBS}/{KEY}")
    orphan = await place.see(stuck)

    assert before.phase is Phase.LOST
    assert [(s.phase, s.reason) for s in (after, orphan)] == [(Phase.TERMINATING, "NodeLost")] * 2
    with pytest.raises(LeaseNotFound):
        await place.see()


async def test_a_pod_that_its_node_does_not_end_is_a_lost_place_until_the_close() -> None:
    """No other pod comes while it is there: the gang would wait for ever."""
    place = await Place().opened(nodes=2)
    due = place.clock.now() + timedelta(seconds=30)
    first, other = (pod_of(KEY, n, labels={INDEX: i}) for n, i in (("a", "0"), ("b", "1")))
    gang = replace(first, phase="Pending", deletion_requested=True, ends_by=due), other

    place.clock.advance(30 + STUCK_AFTER.total_seconds())
    patient = await place.see(*gang)
    place.clock.advance(1)
    stuck = await place.see(*gang)
    await place.job(metadata={"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["f"]})
    closing = await place.see(*gang)

    phases = [(s.phase, s.reason) for s in (patient, stuck, closing)]
    ending = (Phase.TERMINATING, "Terminating")
    assert phases == [ending, (Phase.LOST, "PodStuck"), ending]
    assert stuck.message == "pod a should have ended at 00:00:30 UTC, its node keeps it"


async def test_a_job_without_pods_waits_for_its_queue_or_its_quota() -> None:
    place = await Place().opened()

    assert (await place.see()).reason == "NoPods"
    await place.job(spec={"suspend": True})
    place.clock.advance(JOBS_TTL_S)
    held = await place.see()

    assert (held.phase, held.reason) == (Phase.PENDING, "Suspended")


async def test_a_queue_that_takes_the_quota_back_takes_the_place() -> None:
    place = await Place().opened()
    await place.see(pod_of(KEY))
    await place.job(spec={"suspend": True})

    seen = await place.see()

    assert (seen.phase, seen.reason) == (Phase.LOST, "Suspended")


async def test_a_job_ended_by_its_deadline_is_told_after_its_pods_are_gone() -> None:
    place = await Place().opened()
    await place.job(status=condition("Failed", "DeadlineExceeded"))

    seen = await place.see()

    assert (seen.phase, seen.reason, seen.exit_code) == (Phase.FAILED, "DeadlineExceeded", None)


async def test_waiting_children_share_one_list() -> None:
    place = await Place().opened()
    others = [
        (await place.provider.open(home_request(job_uid=f"job-{n}"))).handle for n in range(9)
    ]
    place.api.calls.clear()

    for _ in range(3):
        for handle in (place.handle, *others):
            await place.provider.observe(handle)

    assert place.api.calls == [("list", "/apis/batch/v1/jobs")]


async def test_a_job_younger_than_the_shared_list_is_known_from_its_creation() -> None:
    place = await Place().opened()
    await place.see()
    young = (await place.provider.open(home_request(job_uid="young"))).handle
    place.api.calls.clear()

    assert (await place.provider.observe(young)).phase is Phase.PENDING
    assert place.api.calls == []


async def test_a_job_that_the_shared_list_lacks_is_asked_for() -> None:
    place = await Place().opened()
    await place.see()
    young = (await place.provider.open(home_request(job_uid="young"))).handle
    place.provider._jobs.clear()
    place.api.calls.clear()

    assert (await place.provider.observe(young)).phase is Phase.PENDING
    assert place.api.calls == [("get", f"{JOBS}/{young.key}")]


async def test_a_closed_child_is_looked_for_afresh() -> None:
    place = await Place().opened()
    await place.see()
    await place.provider.close(place.handle)

    with pytest.raises(LeaseNotFound):
        await place.provider.observe(place.handle)


async def test_pods_of_other_leases_and_namespaces_do_not_count() -> None:
    place = await Place().opened()

    seen = await place.see(pod_of("gl-other"), pod_of(KEY, namespace="team-b"))

    assert (seen.phase, seen.reason) == (Phase.PENDING, "NoPods")


@pytest.mark.parametrize(
    ("kind", "phase", "exit_code"),
    [("Complete", Phase.SUCCEEDED, 0), ("Failed", Phase.FAILED, 42)],
)
async def test_a_job_that_ended_before_its_pods_came_into_view(
    kind: str, phase: Phase, exit_code: int
) -> None:
    """Without the pods it would have cost nothing, and 42 would have been no exit code at all."""
    place = await Place().opened()
    ended = NOON + timedelta(seconds=9)
    pod = pod_of(KEY, phase=phase.value, exit_code=exit_code, finished_at=ended)
    place.home.unseen = [pod, replace(pod, namespace="another", uid="x", exit_code=1)]
    await place.job(status=condition(kind))
    seen = await place.see()
    assert (seen.phase, seen.exit_code) == (phase, exit_code)
    assert (seen.bound_at, seen.ends_at) == (NOON, ended)
