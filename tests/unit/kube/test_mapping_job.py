"""A GPUJob is read as its user wrote it, with the API's own defaults."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from overspill.api.job import GPUJob
from overspill.core.job import Checkpoint
from overspill.core.statusparts import stamp
from overspill.core.vocabulary import Burst, CapacityType, Fencing, InterconnectClass
from overspill.kube.mapping import Unreadable, read_job
from overspill.testing.kube_samples import JOB_UID, job_json, stored

CREATED = datetime(2026, 3, 1, 12, 30, 15, tzinfo=UTC)


def read(**spec: object):
    return read_job(stored(job_json(**spec), JOB_UID, 5))


def test_absent_fields_mean_what_the_api_server_would_fill_in():
    bare = stored(job_json(), JOB_UID, 5)
    filled = {**GPUJob.read(bare).to_json(), "metadata": bare["metadata"]}
    # the template is kept as it is, and an empty status is no status
    filled["spec"]["template"] = bare["spec"]["template"]
    filled.pop("status")
    assert read_job(filled) == read_job(bare)


def test_the_designs_example_is_read_whole():
    job = read(
        workload="Training",
        slaClassName="standard",
        gpu={
            "count": 2,
            "models": ["h100", "a100-80gb"],
            "memoryMin": "80Gi",
            "computeCapabilityMin": "8.0",
            "interconnect": {"class": "NVLink", "mode": "Preferred"},
        },
        numNodes=3,
        deadline={"finishWithinSeconds": 86400, "workSeconds": 43200},
        budget={"maxTotalUSD": "120", "maxHourlyUSD": "6"},
        checkpoint={"uri": "s3://team-a/x", "intervalSeconds": 1800, "sizeGiB": 14},
        data=[{"uri": "s3://a", "sizeGiB": 5}, {"uri": "s3://b", "sizeGiB": 7}],
        placement={"burst": "Only", "burstAfterSeconds": 0, "capacityTypes": ["Spot"]},
        failback={"policy": "OnCheckpoint", "minSavingPercent": 20},
        recovery={"maxMoves": 0, "onExitCodes": [75, 76], "fencing": "WaitForPod"},
    )
    assert job.gpus_total == 6
    assert job.gpu.memory_min_gib == Decimal(80)
    assert job.gpu.compute_capability_min == (8, 0)
    assert job.gpu.interconnect is InterconnectClass.NVLINK
    assert job.finish_by == CREATED + timedelta(days=1)
    assert job.work == timedelta(hours=12)
    assert (job.max_total_usd, job.max_hourly_usd) == (Decimal(120), Decimal(6))
    assert job.data_gib == Decimal(12)
    assert job.checkpoint == Checkpoint("s3://team-a/x", timedelta(seconds=1800), Decimal(14))
    assert job.burst is Burst.ONLY
    assert job.burst_after == timedelta(0)
    assert job.capacity_types == (CapacityType.SPOT,)
    assert job.failback_min_saving_percent == 20
    assert (job.max_moves, job.retry_exit_codes) == (0, (75, 76))
    assert job.fencing is Fencing.WAIT_FOR_POD


@pytest.mark.parametrize(
    ("spec", "burst"),
    [
        ({}, Burst.NEVER),
        ({"budget": {"maxTotalUSD": "1"}}, Burst.ALLOWED),
        ({"budget": {"maxTotalUSD": "1"}, "placement": {"burst": "Never"}}, Burst.NEVER),
    ],
    ids=["no budget, no burst", "a budget allows it", "unless it is said otherwise"],
)
def test_a_job_leaves_the_cluster_only_with_a_budget(spec: dict, burst: Burst):
    assert read(**spec).burst is burst


@pytest.mark.parametrize(
    ("told", "year"),
    [("0001-01-01T00:00:00+01:00", 1970), ("9999-12-31T23:59:59-01:00", 9000)],
)
def test_times_at_the_ends_of_the_calendar_are_long_ago_or_never(told: str, year: int):
    found = read(deadline={"finishByTime": told}).finish_by
    assert found is not None
    assert found.year == year
    assert stamp(found) == f"{year}-01-01T00:00:00Z"


def test_status_is_read_back():
    obj = stored(job_json(), JOB_UID, 5)
    obj["status"] = {
        "conditions": [{"type": "Complete", "status": "True"}],
        "attempts": [
            {"number": 1, "leaseName": "gl-1", "costUSD": "1.5", "endTime": "2026-03-01T13:00:00Z"},
            {"number": 2, "leaseName": "gl-2", "exitCode": 0},
        ],
        "moves": 1,
        "closedCostUSD": "0.25",
        "progress": {"lastCheckpointURI": "s3://c", "lastCheckpointStep": 0, "percentage": 40},
    }
    job = read_job(obj)
    assert job.is_finished
    assert job.last_attempt == 2
    assert job.attempts[0].cost_usd == Decimal("1.5")
    assert job.attempts[1].exit_code == 0
    assert (job.durable_checkpoint_uri, job.durable_checkpoint_step) == ("s3://c", 0)
    assert (job.progress_percent, job.closed_cost_usd) == (40, Decimal("0.25"))
    assert job.status == obj["status"]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ({"gpu": {"memoryMin": "80 Gigs"}}, "spec.gpu.memoryMin is not a quantity"),
        ({"gpu": {"models": "h100"}}, "spec.gpu.models is not a list"),
        (
            {"gpu": {"computeCapabilityMin": "new"}},
            "spec.gpu.computeCapabilityMin is not a version",
        ),
        ({"placement": {"burst": "Maybe"}}, "spec.placement.burst is not one of Never, Allowed"),
        ({"recovery": {"onExitCodes": ["1"]}}, "spec.recovery.onExitCodes is not whole numbers"),
        ({"deadline": {"finishByTime": "2026-03-01"}}, "spec.deadline.finishByTime is not an RFC"),
        ({"checkpoint": {}}, "spec.checkpoint.uri is missing"),
        ({"budget": {"maxTotalUSD": True}}, "spec.budget.maxTotalUSD is not a decimal number"),
    ],
)
def test_an_unreadable_field_is_named(spec: dict, complaint: str):
    with pytest.raises(Unreadable) as caught:
        read(**spec)
    assert str(caught.value).startswith(complaint)
