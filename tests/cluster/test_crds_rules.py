"""Every CEL rule of the CRDs on a real API server: one object it lets pass, one it refuses.

A case changes a whole example (tests/unit/api/whole). Rules of change (`oldSelf`) are tried on a
stored object.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from overspill.api.crd import openapi
from overspill.api.kinds import KINDS
from overspill.testing.crd_probe import Probe, changed, rules

pytestmark = pytest.mark.cluster

WHOLE = Path(__file__).resolve().parents[1] / "unit" / "api" / "whole"
Changes = dict[str, Any]
GONE = ...


@dataclass(frozen=True)
class Case:
    """Two changes of an example. `field` is where the refusal must point."""

    message: str
    example: str
    accepted: Changes
    refused: Changes
    field: str
    is_update: bool = False
    is_status: bool = False


JOB, SERVICE, BY = "gpujob-training", "gpujob-inference", "gpujob-finish-by"
LEASE, HOME, MARKET = "gpulease-rented", "gpuprovider-home", "gpuprovider-market"
POOL, CLASS, BUDGET = "gpuprovider-pool", "slaclass", "gpubudget"
CONTAINER = "spec.template.spec.containers.0"
LIMIT = f"{CONTAINER}.resources.limits"
IN_30_DAYS = "2026-12-25T00:00:00Z"
MORE = "must be more than 0"


def fixed(field: str, example: str, accepted: Changes, refused: Changes, at: str = "") -> Case:
    """A field that cannot change; the accepted change leaves it alone."""
    return Case(f"{field} cannot be", example, accepted, refused, at or f"spec.{field}", True)


RULES = (
    # GPUJob: shape
    Case("metadata.name is at most 63", JOB, {"metadata.name": "a" * 63},
         {"metadata.name": "a" * 64}, "<nil>"),
    Case("memoryMin must be more than 0", JOB, {"spec.gpu.memoryMin": "100m"},
         {"spec.gpu.memoryMin": "0"}, "spec.gpu.memoryMin"),
    Case("give finishByTime or finishWithinSeconds, not both", BY, {},
         {"spec.deadline.finishWithinSeconds": 60}, "spec.deadline.finishWithinSeconds"),
    Case("give finishByTime, finishWithinSeconds or workSeconds", BY,
         {"spec.deadline": {"workSeconds": 60}}, {"spec.deadline": {}}, "spec.deadline"),
    Case("workSeconds is more than finishWithinSeconds", JOB,
         {"spec.deadline": {"workSeconds": 60, "finishWithinSeconds": 60}},
         {"spec.deadline": {"workSeconds": 61, "finishWithinSeconds": 60}},
         "spec.deadline.workSeconds"),
    Case("uri must not carry credentials", JOB, {"spec.checkpoint.uri": "s3://bucket/me@home"},
         {"spec.checkpoint.uri": "s3://key:secret@bucket/x"}, "spec.checkpoint.uri"),
    Case("dataClass Confidential never leaves", JOB,
         {"spec.placement": {"burst": "Never", "dataClass": "Confidential"}},
         {"spec.placement": {"burst": "Only", "dataClass": "Confidential"}},
         "spec.placement.dataClass"),
    Case("burstAfterSeconds has no meaning", JOB, {"spec.placement": {"burst": "Never"}},
         {"spec.placement": {"burst": "Never", "burstAfterSeconds": 1}},
         "spec.placement.burstAfterSeconds"),
    Case("to leave the cluster a job needs budget", BY, {"spec.placement": {"burst": "Never"}},
         {"spec.placement": {"burst": "Allowed"}}, "spec.budget"),
    Case("only an Inference job has replicas", SERVICE, {}, {"spec.workload": "Batch",
         "spec.endpoint": GONE}, "spec.replicas"),
    Case("an Inference job runs on single nodes", SERVICE, {}, {"spec.numNodes": 2},
         "spec.numNodes"),
    Case("only an Inference job has an endpoint", SERVICE, {},
         {"spec.workload": "Batch", "spec.replicas": 1}, "spec.endpoint"),
    Case("an Inference job does not finish", BY, {}, {"spec.workload": "Inference"},
         "spec.deadline"),
    Case("failback OnCheckpoint needs a checkpoint", BY,
         {"spec.failback": {"policy": "WhenCheaper"}},
         {"spec.failback": {"policy": "OnCheckpoint"}}, "spec.checkpoint"),
    Case("the containers' nvidia.com/gpu limits", JOB, {LIMIT: {"nvidia.com/gpu": "2"}},
         {LIMIT: {"nvidia.com/gpu": 4}}, "spec.template"),
    Case(MORE, JOB, {"spec.budget.maxTotalUSD": "0.000001"},
         {"spec.budget.maxTotalUSD": "0.00"}, "spec.budget.maxTotalUSD"),
    Case(MORE, JOB, {"spec.budget.maxHourlyUSD": "1"},
         {"spec.budget.maxHourlyUSD": "0"}, "spec.budget.maxHourlyUSD"),
    # GPUJob: changes
    fixed("workload", JOB, {"spec.suspend": False}, {"spec.workload": "Batch"}),
    fixed("gpu", JOB, {"spec.slaClassName": "besteffort"}, {"spec.gpu.models": ["t4"]}),
    fixed("numNodes", JOB, {"spec.budget.maxTotalUSD": "500"}, {"spec.numNodes": 3}),
    fixed("template", JOB, {"spec.deadline": GONE}, {f"{CONTAINER}.env": [{"name": "A"}]}),
    fixed("managedBy", JOB, {"spec.placement.burst": "Never",
          "spec.placement.burstAfterSeconds": GONE}, {"spec.managedBy": GONE}),
    fixed("uri", JOB, {"spec.checkpoint.intervalSeconds": 60},
          {"spec.checkpoint.uri": "s3://team-a/other"}, "spec.checkpoint.uri"),
    Case("checkpoint cannot be added or removed", JOB, {"spec.failback": GONE},
         {"spec.failback": GONE, "spec.checkpoint": GONE}, "spec.checkpoint", True),
    # GPULease
    Case("spec.key is the lease's own name", LEASE, {}, {"spec.key": "gl-other"}, "<nil>"),
    Case("the spec of a GPULease cannot be changed", LEASE, {"metadata.labels": {"a": "b"}},
         {"spec.maxTotalUSD": "121"}, "spec", True),
    Case("a lease that is Closing only becomes Closed", LEASE, {"status.state": "Closed"},
         {"status.state": "Active"}, "status.state", True, True),
    Case("the number of a permit never goes back", LEASE, {"status.permit.seq": 3},
         {"status.permit.seq": 1}, "status.permit.seq", True, True),
    # GPUProvider
    Case("metadata.name is at most 63", HOME, {"metadata.name": "a" * 63},
         {"metadata.name": "a.b"}, "<nil>"),
    fixed("type", MARKET, {"spec.suspended": False}, {"spec.type": "Vast"}),
    Case("a market needs credentialsSecretRef", MARKET, {}, {"spec.credentialsSecretRef": GONE},
         "spec.credentialsSecretRef"),
    Case("home has neither endpoint nor", HOME, {}, {"spec.endpoint": "https://a.example"},
         "spec.type"),
    Case("home needs ratesUSD", HOME, {"spec.ratesUSD": {"*": "0"}},
         {"spec.ratesUSD": {"h100": "1"}}, "spec.ratesUSD"),
    Case("ratesUSD, referenceRatesUSD, nodeHealth and pool belong", MARKET, {},
         {"spec.ratesUSD": {"*": "1"}}, "spec.type"),
    Case("give usdPerNodeHour, or instanceType", POOL, {"spec.pool.usdPerNodeHour": GONE},
         {"spec.pool.usdPerNodeHour": GONE, "spec.pool.instanceType": GONE},
         "spec.pool.usdPerNodeHour"),
    Case("trustTier Own is home's", MARKET, {"spec.trustTier": "Cloud"},
         {"spec.trustTier": "Own"}, "spec.trustTier"),
    Case("capacityType Own is home's", MARKET, {"spec.capacityType": "Reserved"},
         {"spec.capacityType": "Own"}, "spec.capacityType"),
    Case("endpoint must be https", MARKET, {"spec.endpoint": "http://127.0.0.1:8443/v1"},
         {"spec.endpoint": "http://10.example.org"}, "spec.endpoint"),
    Case("lostSeconds must be more", HOME, {"spec.nodeHealth.lostSeconds": 21},
         {"spec.nodeHealth.lostSeconds": 20}, "spec.nodeHealth.lostSeconds"),
    Case(MORE, MARKET, {"spec.limits.maxHourlyUSD": "0.5"},
         {"spec.limits.maxHourlyUSD": "0"}, "spec.limits.maxHourlyUSD"),
    Case(MORE, MARKET, {"spec.limits.maxExposureUSD": "0.5"},
         {"spec.limits.maxExposureUSD": "0"}, "spec.limits.maxExposureUSD"),
    # SLAClass and GPUBudget
    Case("metadata.name is at most 63", CLASS, {"metadata.name": "a" * 63},
         {"metadata.name": "a" * 64}, "<nil>"),
    Case("each capacity type stands once", CLASS, {"spec.capacityTypes": ["Spot", "Own"]},
         {"spec.capacityTypes": ["Spot", "Own", "Spot"]}, "spec.capacityTypes"),
    Case(MORE, CLASS, {"spec.maxLossUSD": "0.1"}, {"spec.maxLossUSD": "0"}, "spec.maxLossUSD"),
    Case(MORE, BUDGET, {"spec.limitUSD": "0.01"}, {"spec.limitUSD": "0"}, "spec.limitUSD"),
)  # fmt: skip


@pytest.fixture(scope="module")
def probe(cluster) -> Iterator[Probe]:
    found = Probe(cluster)
    yield found
    found.close()


def example(name: str) -> dict[str, Any]:
    return yaml.safe_load((WHOLE / f"{name}.yaml").read_text())


def with_changes(document: dict[str, Any], changes: Changes) -> dict[str, Any]:
    for path, value in changes.items():
        plain = path.replace("nvidia.com", "nvidia#com").split(".")
        steps = [int(s) if s.isdigit() else s.replace("#", ".") for s in plain]
        document = changed(document, steps, value)
    return document


def case_id(case: Case) -> str:
    return f"{case.example}: {case.message} at {case.field}"


@pytest.mark.parametrize("case", [c for c in RULES if not c.is_update], ids=case_id)
def test_a_rule_of_shape_accepts_one_and_refuses_one(probe, case):
    base = example(case.example)
    assert probe.create(with_changes(base, case.accepted)).is_accepted
    assert_refused(probe.create(with_changes(base, case.refused)), case)


@pytest.mark.parametrize("case", [c for c in RULES if c.is_update], ids=case_id)
def test_a_rule_of_change_accepts_one_and_refuses_one(probe, namespace, case):
    base = example(case.example)
    if "namespace" in base["metadata"]:
        base = changed(base, ["metadata", "namespace"], namespace)
    assert probe.create(base, keep=True).is_accepted
    try:
        ask = probe.update_status if case.is_status else probe.update
        if case.is_status:
            assert probe.update_status(stored(probe, base), keep=True).is_accepted
        accepted = with_changes(stored(probe, base), case.accepted)
        assert ask(accepted).is_accepted, ask(accepted)
        assert_refused(ask(with_changes(stored(probe, base), case.refused)), case)
    finally:
        probe.delete(base)


def stored(probe: Probe, base: dict[str, Any]) -> dict[str, Any]:
    """The example at the version that is stored now."""
    version = probe.read(base)["metadata"]["resourceVersion"]
    return changed(base, ["metadata", "resourceVersion"], version)


def assert_refused(verdict, case: Case) -> None:
    assert any(f == case.field and case.message in m for f, m in verdict.causes), verdict


def test_every_rule_of_the_crds_has_a_case(probe):
    told = {(example(case.example)["kind"], case.message) for case in RULES}
    kinds = {kind.name: list(rules(openapi(kind))) for kind in KINDS}
    missing = [
        (kind, place, rule["message"])
        for kind, found in kinds.items()
        for place, rule in found
        if not any(k == kind and rule["message"].startswith(m) for k, m in told)
    ]
    assert missing == []


def test_every_amount_of_money_a_person_writes_has_a_case():
    told = {(example(c.example)["kind"], c.field) for c in RULES if c.message == MORE}
    found = {
        (kind.name, place)
        for kind in KINDS
        for place, rule in rules(openapi(kind))
        if rule["message"] == MORE
    }
    assert found == told


SWAPS = (
    {"spec.template.spec.nodeSelector": GONE, "spec.template.spec.tolerations": []},
    {f"{CONTAINER}.env": GONE, f"{CONTAINER}.envFrom": []},
    {f"{CONTAINER}.resources.requests": GONE, f"{CONTAINER}.resources.claims": []},
)


@pytest.mark.parametrize("swap", SWAPS, ids=str)
def test_swapping_one_field_of_the_template_for_another_is_a_change(probe, namespace, swap):
    """CEL's equality overlooks this for fields that the schema does not name."""
    base = changed(example(JOB), ["metadata", "namespace"], namespace)
    assert probe.create(base, keep=True).is_accepted
    verdict = probe.update(with_changes(stored(probe, base), swap))
    assert verdict.names("spec.template"), verdict


def test_what_may_change_can_be_changed_together(probe, namespace):
    base = changed(example(JOB), ["metadata", "namespace"], namespace)
    assert probe.create(base, keep=True).is_accepted
    changes = {
        "spec.suspend": False,
        "spec.budget": {"maxTotalUSD": "500"},
        "spec.deadline": {"finishByTime": IN_30_DAYS},
        "spec.placement": {"burst": "Only"},
        "spec.failback": {"policy": "Never"},
        "spec.slaClassName": "guaranteed",
        "spec.recovery.maxMoves": 50,
        "spec.activeDeadlineSeconds": GONE,
        "spec.ttlSecondsAfterFinished": 1,
    }
    verdict = probe.update(with_changes(stored(probe, base), changes))
    assert verdict.is_accepted, verdict
