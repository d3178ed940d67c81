"""What the operator writes fits the CRDs: an object refused at run time would stop a job.

The documents come from the code that writes them, the verdict from the schemas.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import jsonschema
import pytest

from overspill.api.crd import openapi
from overspill.api.kinds import CLASS, JOB, LEASE
from overspill.core import attainment, availability
from overspill.core.attainment import Attainment, Share
from overspill.core.availability import Standing, Uptime
from overspill.core.decision import Action, CostLine, Decision, Rejection
from overspill.core.job import Attempt, Job
from overspill.core.jobstatus import Facts, Live, status_document
from overspill.core.lease import Closing, Handle, JobRef, Lease, Permit
from overspill.core.observation import Observation, Report
from overspill.core.offer import GpuRequirements, Offer
from overspill.core.reasons import Reason
from overspill.core.sla import SlaClass
from overspill.core.vocabulary import (
    CapacityType,
    ClosingReason,
    InterconnectClass,
    LeaseState,
    Phase,
    TrustTier,
    Workload,
)
from overspill.core.workload import LeaseRequest, PortableWorkload, SecretEnv
from overspill.kube.mapping.lease_write import lease_manifest, lease_status

NOW = datetime(2026, 11, 25, 9, 0, 0, 123456, UTC)
REF = JobRef("team-a", "finetune", "1b4e28ba-2fa1-11d2-883f-0016d3cca427")
NAME = "gl-0a1b2c3d-0123456789abcdef01"
SCHEMAS = {kind.name: openapi(kind) for kind in (JOB, LEASE, CLASS)}
OFFER = Offer(
    provider="akash", offer_id="akash1/1", place="akash/us-west",
    capacity_type=CapacityType.ON_DEMAND, trust_tier=TrustTier.AUDITED, gpu_model="h100",
    gpu_count=2, price_usd_per_hour=Decimal(10) / Decimal(3), as_of=NOW, region="us-west",
    gpu_memory_gib=Decimal(80), compute_capability=(9, 0), interconnect=InterconnectClass.PCIE,
    is_firm=False, reliability=Decimal(1) / Decimal(3), egress_usd_per_gib=Decimal("1E-7"),
    cold_start=timedelta(minutes=4), mtbf=timedelta(days=5), available_until=NOW,
    attributes=(("bid", "1"),),
)  # fmt: skip
WORKLOAD = PortableWorkload(
    image="a/b:1", command=("python",), args=("-m", "x"), env=(("A", ""),),
    secret_env=(SecretEnv("K", "store", "key", optional=True),), ports=(8000,),
    memory_gib=Decimal(64000000000) / Decimal(1024**3), working_dir="/w",
)  # fmt: skip
RENTED = Lease(
    name=NAME, namespace="team-a", uid="u", resource_version="1", job=REF, attempt=1,
    provider="akash", cluster_id="0a1b2c3d-2fa1", offer=OFFER,
    request=LeaseRequest(gpu_count=2, workload=WORKLOAD, report_url="https://r", secret_digest="d"),
    max_usd_per_hour=Decimal(20) / Decimal(3), max_total_usd=Decimal(120), hard_deadline=NOW,
    created_at=NOW,
)  # fmt: skip
AT_HOME = replace(
    RENTED,
    provider="home",
    is_home=True,
    offer=Offer("home", "n1", "home/n1", CapacityType.OWN, TrustTier.OWN, "t4", 1, Decimal(0), NOW),
    request=LeaseRequest(
        gpu_count=1, template={"spec": {"containers": []}}, home_node="n1", labels=(("a", "b"),)
    ),
)
CLOSED = replace(
    RENTED,
    state=LeaseState.CLOSED,
    permit=Permit(2, "overspill-0", 3, NOW, NOW + timedelta(seconds=20)),
    handle=Handle(NAME, "1763", (("bid", "1"),)),
    price_usd_per_hour=Decimal(10) / Decimal(3),
    active_since=NOW,
    closed_at=NOW + timedelta(hours=1),
    billed_usd=Decimal(10) / Decimal(3),
    closing=Closing(ClosingReason.FINISHED, NOW, "done", 2),
    conditions=({"type": "Finished", "status": "True", "reason": "CommandSucceeded",
                 "message": "exit code 0"},),
)  # fmt: skip
JOB_VALUE = Job(
    ref=REF, resource_version="1", generation=2, created_at=NOW, gpu=GpuRequirements(2),
    template={}, finish_by=NOW, max_total_usd=Decimal(120),
    attempts=(Attempt(1, NAME, "akash", "akash/us-west", NOW, NOW, "Lost", 137, "s3://a/1", 5),),
)  # fmt: skip


CLASS_VALUE = SlaClass("standard", availability_target=Decimal("0.999"))


@pytest.mark.parametrize("lease", [RENTED, AT_HOME], ids=["rented", "at home"])
def test_the_manifest_of_a_lease_fits(lease):
    manifest = lease_manifest(lease)
    jsonschema.validate(manifest, SCHEMAS["GPULease"])
    assert LEASE.model.read(manifest).to_json()["spec"]["key"] == NAME


@pytest.mark.parametrize(
    "lease",
    [
        RENTED,
        CLOSED,
        replace(CLOSED, handle=Handle(NAME)),
        *(replace(CLOSED, state=state) for state in LeaseState),
        *(replace(CLOSED, closing=Closing(reason, NOW)) for reason in ClosingReason),
    ],
    ids=lambda lease: f"{lease.state} {lease.closing.reason if lease.closing else ''}",
)
def test_the_status_of_a_lease_fits(lease):
    document = lease_status(lease, NOW)
    jsonschema.validate(document, SCHEMAS["GPULease"]["properties"]["status"])


def decision(action: Action, reason: Reason) -> Decision:
    return Decision(
        job=REF, action=action, reason=reason, message="why", decided_at=NOW, offer=OFFER,
        price_usd_per_hour=Decimal(10) / Decimal(3), cost_lines=(CostLine("rent", Decimal("-1")),),
        total_usd=Decimal(7) / Decimal(3), expected_useful_usd_per_hour=Decimal("0.0000012"),
        rejected=tuple(
            Rejection("home", r, "no", 3, "t4", Decimal("0.0001")) for r in list(Reason)[:40]
        ),
        wait_until=NOW, saving_usd=Decimal("-0.5"),
    )  # fmt: skip


DECISIONS = [decision(action, Reason.NO_OFFER_FITS) for action in Action]
DECISIONS += [decision(Action.REFUSE, reason) for reason in Reason]


@pytest.mark.parametrize("made", DECISIONS, ids=lambda d: f"{d.action} {d.reason}")
def test_the_status_of_a_job_without_a_lease_fits(made):
    document = status_document(Facts(JOB_VALUE, (), made, cost={"spentUSD": "0.00"}), NOW)
    jsonschema.validate(document, SCHEMAS["GPUJob"]["properties"]["status"])


@pytest.mark.parametrize("state", list(LeaseState))
def test_the_status_of_a_job_with_leases_fits(state):
    report = Report(NAME, 1, 1.0, NOW, has_started=True, checkpoint_uri="s3://a/2",
                    checkpoint_step=7, checkpoint_at=NOW, progress_percent=100)  # fmt: skip
    live = Live(Observation(Phase.RUNNING), report, Reason.MARKET_UNREACHABLE, "away", True)
    leases = (CLOSED, replace(RENTED, state=state, attempt=2, name=NAME[:-1] + "2"))
    facts = Facts(JOB_VALUE, leases, DECISIONS[0], live, {"savedUSD": "-1.00"}, CLASS_VALUE)
    document = status_document(facts, NOW)
    jsonschema.validate(document, SCHEMAS["GPUJob"]["properties"]["status"])


@pytest.mark.parametrize("standing", list(Standing))
def test_the_status_of_a_service_fits(standing):
    uptime = Uptime(NOW).then(Standing.DOWN, NOW, NOW + timedelta(hours=1))
    uptime = uptime.then(Standing.UP, NOW + timedelta(minutes=5), NOW + timedelta(hours=1))
    known = {"service": availability.document(uptime)}
    job = replace(JOB_VALUE, workload=Workload.INFERENCE, finish_by=None, status={"sla": known})
    job = replace(job, suspend=standing is Standing.SUSPENDED)
    live = Live(Observation(Phase.RUNNING if standing is Standing.UP else Phase.STARTING))
    facts = Facts(job, (replace(RENTED, state=LeaseState.ACTIVE),), None, live, klass=CLASS_VALUE)
    document = status_document(facts, NOW + timedelta(days=2))
    assert document["sla"]["service"]["breaks"]
    jsonschema.validate(document, SCHEMAS["GPUJob"]["properties"]["status"])


def test_the_status_of_a_class_fits():
    shares = [Share(NOW), Share(uptime=Uptime(NOW).then(Standing.DOWN, NOW, NOW))]
    known = Attainment(NOW, NOW).counted(shares, NOW + timedelta(days=40))
    document = {"attained": attainment.document(known, CLASS_VALUE), "observedGeneration": 3}
    assert len(document["attained"]["days"]) == 31
    jsonschema.validate(document, SCHEMAS["SLAClass"]["properties"]["status"])
