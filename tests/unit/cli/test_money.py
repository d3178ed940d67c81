"""Live money: price times time, the bill once there is one, and what the ledger forgot."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from overspill.cli.ledger import lease_view
from overspill.cli.money import all_money, leases_of, reference_rates, tally
from overspill.core.vocabulary import LeaseState
from overspill.kube.mapping import lease_manifest, lease_status
from overspill.kube.resources import Kind
from overspill.testing.cli_samples import (
    NOW,
    FakeCluster,
    active,
    closed,
    lease_of,
    the_job,
    the_leases,
)
from overspill.testing.kube_samples import full_lease

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({}, id="closed and billed"),
        pytest.param({"billed_usd": None}, id="closed without a bill"),
        pytest.param(
            {"state": LeaseState.ACTIVE, "billed_usd": None, "closed_at": None}, id="active"
        ),
        pytest.param(
            {"state": LeaseState.OPENING, "billed_usd": None, "active_since": None}, id="opening"
        ),
    ],
)
def test_a_lease_costs_what_the_core_says(changes: dict[str, Any]) -> None:
    lease = full_lease(**changes)
    written = lease_manifest(lease)
    written["status"] = lease_status(lease, AT)
    now = lease.created_at + timedelta(hours=7, minutes=13, seconds=5)
    assert lease_view(written).cost_usd(now) == lease.cost_usd(now)


def test_a_job_adds_up_its_ledger(cluster: FakeCluster) -> None:
    job = the_job()
    money = tally(job, leases_of(cluster, job), reference_rates(cluster), NOW)
    assert money.spent == Decimal("4.68") + Decimal("6.20")
    assert money.usd_per_hour == Decimal("3.10")
    assert money.cap == Decimal(120)
    # 2 GPUs x (1.95 h + 2 h) at 3.00
    assert money.reference == Decimal("23.70")
    assert money.saved == Decimal("12.82")


def test_an_attempt_that_left_the_ledger_still_counts(cluster: FakeCluster) -> None:
    cluster.objects[Kind.LEASE] = the_leases()[1:]
    money = tally(the_job(), leases_of(cluster, the_job()), {}, NOW)
    assert money.spent == Decimal("4.67") + Decimal("6.20")


def test_the_closed_total_counts_where_the_list_of_attempts_dropped_its_oldest(
    cluster: FakeCluster,
) -> None:
    job = the_job()
    job["status"]["closedCostUSD"] = "50.00"
    money = tally(job, leases_of(cluster, job), {}, NOW)
    assert money.spent == Decimal("50.00") + Decimal("6.20")


def test_a_closed_lease_is_not_counted_twice(cluster: FakeCluster) -> None:
    job = the_job()
    job["status"]["closedCostUSD"] = "4.67"
    money = tally(job, leases_of(cluster, job), {}, NOW)
    assert money.spent == Decimal("4.68") + Decimal("6.20")


def test_leases_of_a_namesake_are_another_jobs_money(cluster: FakeCluster) -> None:
    stranger = lease_of(9, job_uid="job-uid-0", status=active("100", "2026-11-25T00:00:00Z"))
    cluster.objects[Kind.LEASE].append(stranger)
    assert tally(the_job(), leases_of(cluster, the_job()), {}, NOW).spent == Decimal("10.88")


def test_a_deleted_job_is_still_in_the_bill(cluster: FakeCluster) -> None:
    cluster.objects[Kind.JOB] = []
    (money,) = all_money(cluster, NOW)
    assert (money.job, money.phase, money.spent) == ("finetune-7b", "Deleted", Decimal("10.88"))


def test_without_rates_the_reference_is_the_last_one_written(cluster: FakeCluster) -> None:
    cluster.forbidden = {Kind.PROVIDER}
    (money,) = all_money(cluster, NOW)
    assert money.reference == Decimal("12.00")


def test_a_model_without_a_rate_takes_the_rest_rate() -> None:
    view = replace(lease_view(the_leases()[1]), gpu_model="x1")
    assert view.reference_usd(NOW, {"*": Decimal(1)}) == Decimal(4)
    assert view.reference_usd(NOW, {"h100": Decimal(1)}) is None


def test_time_before_the_start_costs_nothing() -> None:
    view = lease_view(lease_of(1, status=active("3", "2026-11-25T13:00:00Z")))
    assert view.cost_usd(NOW) == 0


def test_a_bill_wins_over_price_times_time() -> None:
    status = closed("3", "2026-11-25T08:00:00Z", "2026-11-25T09:00:00Z", "0.5", "Finished")
    assert lease_view(lease_of(1, status=status)).cost_usd(NOW) == Decimal("0.5")
