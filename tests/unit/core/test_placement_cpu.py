"""Home counts CPU and memory too: a pod that no node has room for is not placed as if it fitted."""

from collections.abc import Mapping

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.lease import Closing
from overspill.core.offer import Beside, Offer
from overspill.core.placement import plan
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.snapshot import JobFacts
from overspill.core.vocabulary import CapacityType, ClosingReason, LeaseState
from overspill.testing.placing import (
    HOUR,
    MINUTE,
    NOW,
    decide,
    make_checkpoint,
    make_job,
    make_lease,
    node,
    rent,
    usd,
    world,
)

WHOLE = Beside(usd(64), usd(512))


def pc(name: str, cpus: int, gib: int = 512, free: int = 8, **changes: object) -> Offer:
    """A home node of 64 CPUs and 512 GiB, so much of them free."""
    return node(name, free, beside_free=Beside(usd(cpus), usd(gib)), beside_total=WHOLE, **changes)


def asking(cpus: int, gib: int = 8) -> JobFacts:
    return JobFacts(requests=Beside(usd(cpus), usd(gib)))


def placed(job: Job, facts: JobFacts, *offers: Offer) -> Decision:
    return decide(job, *offers, facts={job.ref.uid: facts})


def test_it_goes_where_cpu_and_memory_are_left_not_only_gpus() -> None:
    """The fuller node would be taken first."""
    offers = (pc("fuller", 8, free=2), pc("roomy", 64, free=8))
    assert placed(make_job(), asking(16), *offers).home_node == "roomy"
    assert placed(make_job(), asking(4), *offers).home_node == "fuller"
    assert placed(make_job(), asking(4, gib=600), *offers).action is not Action.PLACE


def test_without_room_it_waits_for_home_and_bursts_when_it_may_wait_no_longer() -> None:
    busy, job = pc("n1", 8), make_job()
    found = placed(job, asking(32, 64), busy, rent(price="2"))
    assert (found.action, found.reason) == (Action.WAIT, Reason.WAITING_FOR_HOME)
    (why,) = [r for r in found.rejected if r.provider == "home"]
    assert why.message == (
        "1 nodes have 1 GPUs free, 0 of them 32 CPUs and 64.0 GiB of memory as well"
    )
    at_once = make_job(burst_after=NOW - NOW)
    assert placed(at_once, asking(32, 64), busy, rent(price="2")).offer == rent(price="2")


def test_what_no_node_has_even_when_empty_is_not_waited_for() -> None:
    found = placed(make_job(), asking(96), pc("n1", 64), rent(price="2"))
    assert found.offer == rent(price="2"), "home will never do, so nothing is waited for"
    alone = placed(make_job(), asking(96), pc("n1", 64))
    (why,) = [r for r in alone.rejected if r.provider == "home"]
    assert why.reason is Reason.NODE_TOO_SMALL
    assert why.message == "fewer than 1 of its nodes have 96 CPUs and 8.0 GiB of memory"


def test_what_one_job_takes_the_next_cannot_have() -> None:
    jobs = [make_job(name) for name in ("a", "b", "c")]
    facts = {job.ref.uid: asking(24) for job in jobs}
    found = plan(world(jobs, [pc("n1", 64)], facts=facts), NOW)
    assert [d.action for d in found] == [Action.PLACE, Action.PLACE, Action.WAIT]


def test_a_gang_needs_the_room_on_each_node() -> None:
    gang = make_job(num_nodes=2)
    assert placed(gang, asking(24), pc("n1", 64), pc("n2", 8)).action is Action.WAIT
    found = placed(gang, asking(24), pc("n1", 64), pc("n2", 24))
    assert found.offer is not None
    assert found.offer.attribute("nodes") == "n1,n2"
    assert (found.offer.beside_free, found.offer.beside_total) == (None, None)


def test_a_lease_that_home_has_not_seen_yet_keeps_its_cpu() -> None:
    first, second = make_job("first"), make_job("second")
    lease = make_lease(first, pc("n1", 64), LeaseState.PLANNED)
    facts = {job.ref.uid: asking(40) for job in (first, second)}
    snapshot = world([first, second], [pc("n1", 64)], leases=(lease,), facts=facts)
    assert [d.action for d in plan(snapshot, NOW)] == [Action.STAY, Action.WAIT]


def test_nodes_that_do_not_tell_and_jobs_that_ask_for_nothing_are_as_before() -> None:
    assert placed(make_job(), asking(999), node("n1", 8)).action is Action.PLACE
    assert placed(make_job(), JobFacts(), pc("n1", 0, 0)).action is Action.PLACE


ANY = (CapacityType.OWN, CapacityType.ON_DEMAND)
GOLD = SlaClass("gold", capacity_types=ANY, priority=100, availability_target=usd("0.999"))
NONE = SlaClass(
    "none", capacity_types=ANY, priority=-100, burst_after=8 * HOUR, failover_within=8 * HOUR
)
COMES = make_job("comes", 1, sla_class="gold", work=4 * HOUR, max_total_usd=usd(10000))
RUNS = make_job(
    "runs", 4, sla_class="none", work=10 * HOUR, created_at=NOW - HOUR, checkpoint=make_checkpoint()
)


def meeting(tenants_cpus: int, **lease: object) -> Mapping[str, Decision]:
    """COMES needs 32 CPUs where GPUs are free and 4 CPUs are left, beside a job that may leave."""
    home, dear = pc("n1", 4, free=4), rent("a1", "88")
    held = make_lease(RUNS, home, LeaseState.ACTIVE, **lease)
    saved = NOW - MINUTE
    facts = {
        COMES.ref.uid: asking(32),
        RUNS.ref.uid: JobFacts(requests=asking(tenants_cpus).requests, last_checkpoint_at=saved),
    }
    classes = {c.name: c for c in (GOLD, NONE)}
    snapshot = world([COMES, RUNS], [home, dear], leases=(held,), facts=facts, classes=classes)
    return {d.job.name: d for d in plan(snapshot, NOW)}


def test_room_is_made_where_who_leaves_frees_the_cpu() -> None:
    found = meeting(40)
    assert found["comes"].reason is Reason.WAITING_FOR_ROOM
    assert found["runs"].reason is Reason.MAKES_ROOM


def test_nobody_waits_for_room_that_would_not_do_when_it_comes() -> None:
    """GPUs are free already: it is CPU that is missing, and nobody there has it to give."""
    found = meeting(8)
    assert found["comes"].action is Action.PLACE
    assert found["runs"].reason is not Reason.MAKES_ROOM


@pytest.mark.parametrize(("cpus", "waits"), [(40, True), (8, False)], ids=["enough", "too little"])
def test_cpu_that_is_on_its_way_counts_as_room(cpus: int, waits: bool) -> None:
    left = Closing(ClosingReason.PREEMPTED, NOW - MINUTE)
    home, dear = pc("n1", 4, free=4), rent("a1", "88")
    held = make_lease(RUNS, home, LeaseState.CLOSING, closing=left)
    facts = {COMES.ref.uid: asking(32), RUNS.ref.uid: asking(cpus)}
    classes = {c.name: c for c in (GOLD, NONE)}
    snapshot = world([COMES, RUNS], [home, dear], leases=(held,), facts=facts, classes=classes)
    found = {d.job.name: d for d in plan(snapshot, NOW)}["comes"]
    assert (found.reason is Reason.WAITING_FOR_ROOM) == waits
