"""What a job has cost: derived from its leases, whichever account of the past is ahead."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from overspill.core.cost import committed_usd, gpu_hours, job_cost, reference_usd, spent_usd
from overspill.core.job import Attempt, Job
from overspill.core.lease import Lease
from overspill.core.vocabulary import CapacityType, LeaseState
from overspill.testing.placing import HOUR, NOW, make_job, make_lease, node, rent, usd

JOB = make_job(gpus=2, work=10 * HOUR, progress_percent=50)
HERE = rent("a1", "3", 2)
REFERENCE = {"h100": usd(6), "*": usd(2)}


def lease(state: LeaseState = LeaseState.ACTIVE, **changes: Any) -> Lease:
    """At 3 USD per hour, charged for one hour."""
    return replace(make_lease(JOB, HERE, state), **changes)


def closed(attempt: int, billed: str) -> Lease:
    name = f"gl-train-{attempt}"
    return lease(LeaseState.CLOSED, attempt=attempt, name=name, billed_usd=usd(billed))


def attempt(number: int, cost: str) -> Attempt:
    return Attempt(number, f"gl-train-{number}", "akash", "akash/a1", cost_usd=usd(cost))


@pytest.mark.parametrize(
    ("job", "leases", "spent"),
    [
        pytest.param(JOB, [], "0", id="nothing was leased"),
        pytest.param(JOB, [lease()], "3", id="a running lease counts by the hour"),
        pytest.param(JOB, [closed(1, "2.5")], "2.5", id="a closed lease counts by its bill"),
        pytest.param(
            JOB, [closed(1, "2.5"), lease(attempt=2)], "5.5",
            id="the status lags behind a lease that closed just now",
        ),
        pytest.param(
            replace(JOB, closed_cost_usd=usd("2.5")), [closed(1, "2.5"), lease(attempt=2)], "5.5",
            id="a closed lease that the status has counted is not counted twice",
        ),
        pytest.param(
            replace(JOB, closed_cost_usd=usd(9)), [lease(attempt=40)], "12",
            id="the ledger forgot the old leases and the status did not",
        ),
        pytest.param(
            replace(JOB, attempts=(attempt(1, "4"),)), [lease(attempt=2)], "7",
            id="an attempt remembers what the ledger forgot",
        ),
    ],
)  # fmt: skip
def test_everything_spent_is_counted_once(job: Job, leases: list[Lease], spent: str) -> None:
    assert spent_usd(job, leases, NOW) == usd(spent)


def test_a_node_of_a_pool_that_was_had_without_a_cap_is_told_as_no_commitment() -> None:
    grown = lease(is_home=True)
    without = job_cost(replace(JOB, max_total_usd=None), [grown], {}, NOW)
    assert without.committed_usd == 0
    assert job_cost(JOB, [grown], {}, NOW).committed_usd == usd(97)


def test_a_paid_lease_commits_what_it_may_still_cost_and_our_own_nodes_nothing() -> None:
    assert committed_usd(lease(), NOW) == usd(97)
    assert committed_usd(lease(is_home=True), NOW) == usd(97), "a node that an autoscaler added"
    own = replace(lease().offer, capacity_type=CapacityType.OWN)
    assert committed_usd(lease(is_home=True, offer=own), NOW) == 0
    assert committed_usd(closed(1, "2"), NOW) == 0


def test_gpu_hours_count_every_gpu_of_the_gang_while_it_is_charged() -> None:
    assert gpu_hours(lease(), NOW + HOUR) == 4
    assert gpu_hours(lease(active_since=None), NOW) == 0
    assert gpu_hours(lease(closed_at=NOW), NOW + 9 * HOUR) == 2


def test_the_lines_of_a_running_job() -> None:
    cost = job_cost(JOB, [lease()], REFERENCE, NOW)
    assert (cost.spent_usd, cost.committed_usd, cost.projected_usd) == (usd(3), usd(97), usd(18))
    assert (cost.reference_usd, cost.saved_usd) == (usd(12), usd(9))
    assert cost.document() == {
        "spentUSD": "3.00",
        "committedUSD": "97.00",
        "projectedUSD": "18.00",
        "referenceUSD": "12.00",
        "savedUSD": "9.00",
    }


def test_what_is_not_known_is_left_out() -> None:
    cost = job_cost(replace(JOB, work=None), [lease()], {}, NOW)
    assert (cost.projected_usd, cost.reference_usd, cost.saved_usd) == (None, None, None)
    assert set(cost.document()) == {"spentUSD", "committedUSD"}


def test_a_model_without_a_rate_of_its_own_takes_the_rest_rate() -> None:
    odd = make_lease(JOB, node("n1", 8, gpu_model="g2"), LeaseState.ACTIVE)
    assert reference_usd(JOB, [odd], REFERENCE, NOW) == usd(4)


def test_cost_never_falls_as_time_passes() -> None:
    leases = [closed(1, "2.5"), lease(attempt=2)]
    costs = [spent_usd(JOB, leases, NOW + n * HOUR) for n in range(5)]
    assert costs == sorted(costs)
    assert costs[-1] - costs[0] == Decimal(12)
