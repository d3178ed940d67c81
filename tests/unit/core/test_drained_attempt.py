"""What an attempt made durable while it was drained is not lost when its successor runs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from overspill.core.job import Attempt, Job
from overspill.core.jobstatus import Facts, Live, status_document
from overspill.core.lease import JobRef, Lease
from overspill.core.observation import Report
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.vocabulary import CapacityType, LeaseState, TrustTier
from overspill.core.workload import LeaseRequest

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
REF = JobRef("team-a", "finetune", "uid")
RENTED = Lease(
    name="gl-2", namespace="team-a", uid="u2", resource_version="1", job=REF, attempt=2,
    provider="akash", cluster_id="c", max_usd_per_hour=Decimal(4), max_total_usd=Decimal(9),
    offer=Offer("akash", "o", "akash", CapacityType.ON_DEMAND, TrustTier.AUDITED, "h100", 1,
                Decimal(3), NOW),
    request=LeaseRequest(gpu_count=1), hard_deadline=NOW + timedelta(hours=1), created_at=NOW,
    state=LeaseState.CLOSING, active_since=NOW,
)  # fmt: skip
HOME = replace(RENTED, name="gl-3", uid="u3", attempt=3, is_home=True, state=LeaseState.ACTIVE)
JOB = Job(
    ref=REF, resource_version="1", generation=1, created_at=NOW, gpu=GpuRequirements(1),
    template={}, durable_checkpoint_uri="s3://b/gl-2/step-20", durable_checkpoint_step=20,
    durable_checkpoint_at=NOW,
    attempts=(Attempt(2, "gl-2", "akash", "akash", NOW, checkpoint_uri="s3://b/gl-2/step-20",
                      checkpoint_step=20),),
)  # fmt: skip
DRAINED = Report("gl-2", 2, 1.0, NOW, True, checkpoint_uri="s3://b/gl-2/step-25",
                 checkpoint_step=25, checkpoint_at=NOW)  # fmt: skip
FRESH = Report("gl-3", 3, 2.0, NOW, True)


def told(*reports: Report) -> dict[str, object]:
    return status_document(
        Facts(JOB, (RENTED, HOME), None, Live(report=FRESH), reports=reports), NOW
    )


def test_the_drained_attempt_keeps_its_last_checkpoint():
    second, third = told(DRAINED, FRESH)["attempts"]
    assert (second["checkpointStep"], second["checkpointURI"]) == (25, "s3://b/gl-2/step-25")
    assert "checkpointStep" not in third


def test_the_job_resumes_from_it_if_its_successor_is_lost_at_once():
    progress = told(DRAINED, FRESH)["progress"]
    assert progress["lastCheckpointStep"] == 25
    assert progress["lastCheckpointURI"] == "s3://b/gl-2/step-25"


def test_an_older_report_takes_nothing_back():
    older = replace(DRAINED, checkpoint_uri="s3://b/gl-2/step-15", checkpoint_step=15)
    assert told(older, FRESH)["progress"]["lastCheckpointStep"] == 20
