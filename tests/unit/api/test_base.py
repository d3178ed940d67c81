"""Names on the wire, lenient reading, and complaints that name the field."""

from decimal import Decimal

import pytest

from overspill.api.base import UnreadableError, json_name
from overspill.api.job import GPUJob
from overspill.api.lease import GPULease

JOB = {
    "metadata": {"name": "a", "namespace": "n"},
    "spec": {"gpu": {"count": 2}, "template": {"spec": {"containers": []}}},
}


@pytest.mark.parametrize(
    ("attribute", "name"),
    [
        ("max_total_usd", "maxTotalUSD"),
        ("price_per_gpu_hour_usd", "pricePerGPUHourUSD"),
        ("size_gib", "sizeGiB"),
        ("sla_class_name", "slaClassName"),
        ("egress_usd_per_gib", "egressUSDPerGiB"),
        ("observed_mtbf_seconds", "observedMTBFSeconds"),
        ("report_url", "reportURL"),
        ("last_checkpoint_uri", "lastCheckpointURI"),
        ("class_", "class"),
        ("usd", "usd"),
    ],
)
def test_attributes_are_written_in_camel_case_with_whole_acronyms(attribute, name):
    assert json_name(attribute) == name


def test_defaults_are_those_of_the_api():
    job = GPUJob.read(JOB)
    assert job.spec.num_nodes == 1
    assert job.spec.recovery.max_moves == 20
    assert job.spec.placement.burst is None
    assert job.status.conditions == []


def test_unknown_fields_are_ignored():
    job = GPUJob.read(JOB | {"spec": JOB["spec"] | {"ofALaterVersion": {"x": 1}}})
    assert "ofALaterVersion" not in job.to_json()["spec"]


def test_the_template_is_kept_as_it_is():
    template = {"spec": {"containers": [{"name": "a", "futureField": [1, {"b": None}]}]}}
    job = GPUJob.read(JOB | {"spec": JOB["spec"] | {"template": template}})
    assert job.spec.template == template
    assert job.to_json()["spec"]["template"] == template


@pytest.mark.parametrize(
    ("spec", "path"),
    [
        ({"gpu": {"count": "two"}}, "spec.gpu.count"),
        ({"gpu": {"interconnect": {"class": "Rope"}}}, "spec.gpu.interconnect.class"),
        ({"data": [{"uri": "s3://a", "sizeGiB": "big"}]}, "spec.data[0].sizeGiB"),
        ({"budget": {"maxTotalUSD": "much"}}, "spec.budget.maxTotalUSD"),
        ({"budget": {"maxTotalUSD": "NaN"}}, "spec.budget.maxTotalUSD"),
        ({"deadline": {"finishByTime": "2026-11-25T09:00:00"}}, "spec.deadline.finishByTime"),
    ],
)
def test_a_wrong_value_is_refused_with_its_path(spec, path):
    with pytest.raises(UnreadableError) as refusal:
        GPUJob.read(JOB | {"spec": JOB["spec"] | spec})
    assert str(refusal.value).startswith(f"GPUJob: {path}: ")


def test_a_missing_field_is_named():
    with pytest.raises(UnreadableError, match=r"^GPUJob: spec\.gpu: field required$"):
        GPUJob.read({"metadata": {"name": "a"}, "spec": {"template": {}}})


def test_a_complaint_repeats_no_value():
    with pytest.raises(UnreadableError) as refusal:
        GPUJob.read(JOB | {"spec": JOB["spec"] | {"budget": {"maxTotalUSD": "hunter2"}}})
    assert "hunter2" not in str(refusal.value)


def test_money_is_written_without_an_exponent():
    offer = {
        "provider": "p", "offerID": "o", "place": "p/r", "capacityType": "Spot",
        "trustTier": "Cloud", "gpuModel": "t4", "gpuCount": 1, "asOfTime": "2026-11-25T09:00:00Z",
        "pricePerHourUSD": str(Decimal("0.0000001")),
    }  # fmt: skip
    lease = GPULease.read(
        {
            "metadata": {"name": "gl-1"},
            "spec": {
                "jobRef": {"name": "a", "uid": "u"}, "attempt": 1, "provider": "p",
                "clusterID": "c", "key": "gl-1", "offer": offer, "request": {"gpuCount": 1},
                "maxHourlyUSD": "1E+2", "maxTotalUSD": 5,
                "hardDeadlineTime": "2026-11-25T10:00:00+01:00",
            },
        }
    )  # fmt: skip
    spec = lease.to_json()["spec"]
    assert spec["offer"]["pricePerHourUSD"] == "0.0000001"
    assert spec["maxHourlyUSD"] == "100"
    assert spec["maxTotalUSD"] == "5"
    assert spec["hardDeadlineTime"] == "2026-11-25T09:00:00Z"
