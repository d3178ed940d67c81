"""When a job is told to be Running: what was seen now, and what was so before, decide."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from overspill.core.job import Job
from overspill.core.jobstatus import Facts, Live, status_document
from overspill.core.lease import JobRef, Lease
from overspill.core.observation import Observation, Report
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.vocabulary import CapacityType, LeaseState, Phase, TrustTier
from overspill.core.workload import LeaseRequest

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
REF = JobRef("team-a", "finetune", "uid")
JOB = Job(
    ref=REF, resource_version="1", generation=1, created_at=NOW, gpu=GpuRequirements(1), template={}
)
RAN = replace(
    JOB,
    conditions=(
        {"type": "Running", "status": "True", "lastTransitionTime": "2026-11-25T09:00:00Z"},
    ),
)
LEASE = Lease(
    name="gl-2", namespace="team-a", uid="u2", resource_version="1", job=REF, attempt=2,
    provider="akash", cluster_id="c", max_usd_per_hour=Decimal(4), max_total_usd=Decimal(9),
    offer=Offer("akash", "o", "akash", CapacityType.ON_DEMAND, TrustTier.AUDITED, "h100", 1,
                Decimal(3), NOW),
    request=LeaseRequest(gpu_count=1), hard_deadline=NOW + timedelta(hours=1), created_at=NOW,
    state=LeaseState.ACTIVE, active_since=NOW,
)  # fmt: skip
STARTED = Report("gl-2", 2, 1.0, NOW, has_started=True)
EARLIER = Report("gl-1", 1, 1.0, NOW, has_started=True, progress_percent=40)


def phase(job: Job, seen: Phase, report: Report | None = None, *others: Report) -> str:
    live = Live(Observation(seen), report)
    return str(status_document(Facts(job, (LEASE,), None, live, reports=others), NOW)["phase"])


@pytest.mark.parametrize("seen", [Phase.UNKNOWN, Phase.TERMINATING])
def test_a_place_that_tells_nothing_changes_nothing(seen: Phase) -> None:
    assert phase(JOB, seen) == "Moving"
    assert phase(RAN, seen) == "Running"


def test_what_the_place_or_the_runner_says_counts() -> None:
    assert phase(JOB, Phase.RUNNING) == "Running"
    assert phase(JOB, Phase.UNKNOWN, STARTED) == "Running"
    assert phase(RAN, Phase.STARTING) == "Moving"


def test_the_word_of_an_earlier_attempt_is_not_the_word_of_this_one() -> None:
    assert phase(JOB, Phase.STARTING, None, EARLIER) == "Moving"


def test_progress_is_that_of_the_newest_attempt_that_told_any() -> None:
    facts = Facts(JOB, (LEASE,), None, Live(report=STARTED), reports=(EARLIER,))
    assert status_document(facts, NOW)["progress"] == {"percentage": 40}
    ahead = replace(STARTED, progress_percent=55)
    facts = Facts(JOB, (LEASE,), None, Live(report=ahead), reports=(EARLIER, ahead))
    assert status_document(facts, NOW)["progress"] == {"percentage": 55}
