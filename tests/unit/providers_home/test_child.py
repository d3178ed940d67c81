"""The Job and the Service that are posted for a lease at home."""

from typing import Any

import pytest

from overspill.providers.in_cluster_child import child_job, gang_service, label_value
from overspill.testing.home import home_request, plain_template

TOLERATED = frozenset({"nvidia.com/gpu"})
SHARED = {
    "key": "nvidia.com/gpu.sharing-strategy",
    "operator": "NotIn",
    "values": ["time-slicing", "mps"],
}
PRODUCT = {
    "key": "nvidia.com/gpu.product",
    "operator": "In",
    "values": ["NVIDIA-H100-80GB-HBM3"],
}


def pod_spec(**request: Any) -> dict[str, Any]:
    job = child_job(home_request(**request), TOLERATED)
    spec: dict[str, Any] = job["spec"]["template"]["spec"]
    return spec


def env_of(spec: dict[str, Any]) -> dict[str, Any]:
    return {e["name"]: e.get("value", e.get("valueFrom")) for e in spec["containers"][0]["env"]}


def test_a_job_under_the_leases_name_that_tries_once() -> None:
    request = home_request(asked={"active_deadline_seconds": 600})

    job = child_job(request, TOLERATED)

    assert (job["metadata"]["name"], job["metadata"]["namespace"]) == (request.key, "team-a")
    assert "ownerReferences" not in job["metadata"]
    spec = job["spec"]
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 600)
    assert spec["podReplacementPolicy"] == "Failed"
    assert spec["podFailurePolicy"]["rules"] == [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    ]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert "completions" not in spec


def test_labels_of_job_and_pod() -> None:
    request = home_request(asked={"labels": (("kueue.x-k8s.io/queue-name", "gpus"), ("own", "x"))})

    job = child_job(request, TOLERATED)

    ours = {
        "overspill.dev/job": "train",
        "overspill.dev/job-uid": "job-uid-1",
        "overspill.dev/lease": request.key,
        "overspill.dev/attempt": "1",
        "overspill.dev/cluster": "0123abcd",
        "overspill.dev/provider": "home",
    }
    assert job["metadata"]["labels"] == {"kueue.x-k8s.io/queue-name": "gpus", **ours}
    assert job["spec"]["template"]["metadata"]["labels"] == {
        "team": "a",
        **ours,
        "overspill.dev/planned-node": "n1",
        "overspill.dev/gpu-product": "NVIDIA-H100-80GB-HBM3",
    }


def test_prefers_the_planned_node_and_demands_its_kind() -> None:
    affinity = pod_spec()["affinity"]["nodeAffinity"]

    [wish] = affinity["preferredDuringSchedulingIgnoredDuringExecution"]
    assert wish["preference"]["matchFields"] == [
        {"key": "metadata.name", "operator": "In", "values": ["n1"]}
    ]
    terms = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert terms == [{"matchExpressions": [SHARED, PRODUCT]}]


def test_the_users_own_affinity_stays_and_ours_is_demanded_beside_it() -> None:
    zone = {"key": "zone", "operator": "In", "values": ["a"]}
    rack = {"key": "rack", "operator": "In", "values": ["b"]}
    template = plain_template()
    template["spec"]["affinity"] = {
        "podAntiAffinity": {"kept": True},
        "nodeAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [zone]}, {"matchExpressions": [rack]}]
            },
            "preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {}}],
        },
    }

    affinity = pod_spec(template=template)["affinity"]

    node = affinity["nodeAffinity"]
    terms = node["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert [t["matchExpressions"] for t in terms] == [
        [zone, SHARED, PRODUCT],
        [rack, SHARED, PRODUCT],
    ]
    assert len(node["preferredDuringSchedulingIgnoredDuringExecution"]) == 2
    assert affinity["podAntiAffinity"] == {"kept": True}


def test_asks_for_gpus_where_the_template_does_not() -> None:
    [container] = pod_spec(asked={"gpu_count": 4})["containers"]

    assert container["resources"]["limits"] == {"nvidia.com/gpu": 4}


def test_a_templates_own_gpu_limit_stays() -> None:
    template = plain_template()
    template["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "1"}}

    [container] = pod_spec(template=template)["containers"]

    assert container["resources"]["limits"] == {"nvidia.com/gpu": "1"}


def test_tolerates_the_gpu_taint_once() -> None:
    template = plain_template()
    gpu = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
    template["spec"]["tolerations"] = [gpu, {"operator": "Exists"}]

    assert pod_spec(template=template)["tolerations"] == [gpu, {"operator": "Exists"}]
    assert pod_spec()["tolerations"] == [gpu]


@pytest.mark.parametrize(("own", "expected"), [(None, 45), (120, 120)])
def test_grace_is_the_templates_or_the_requests(own: int | None, expected: int) -> None:
    template = plain_template()
    if own is not None:
        template["spec"]["terminationGracePeriodSeconds"] = own

    spec = pod_spec(template=template, asked={"grace_period_seconds": 45})

    assert spec["terminationGracePeriodSeconds"] == expected


def test_the_token_is_put_in_when_sending_and_only_there() -> None:
    request = home_request(secrets={"OVERSPILL_REPORT_TOKEN": "s3cret"})

    job = child_job(request, TOLERATED)

    spec = job["spec"]["template"]["spec"]
    assert env_of(spec) == {"OVERSPILL_REPORT_TOKEN": "s3cret"}
    assert "s3cret" not in repr(request.lease)
    assert "env" not in request.lease.request.template["spec"]["containers"][0], "frozen"


def test_a_gang_is_an_indexed_job_whose_ranks_can_meet() -> None:
    request = home_request(asked={"num_nodes": 3, "home_node": ""})

    job = child_job(request, TOLERATED)

    spec = job["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    pod = spec["template"]["spec"]
    assert pod["subdomain"] == request.key
    env = env_of(pod)
    assert env["OVERSPILL_NUM_NODES"] == "3"
    assert env["OVERSPILL_MASTER_ADDR"] == f"{request.key}-0.{request.key}"
    path = "metadata.annotations['batch.kubernetes.io/job-completion-index']"
    assert env["OVERSPILL_NODE_RANK"] == {"fieldRef": {"fieldPath": path}}
    assert "overspill.dev/planned-node" not in spec["template"]["metadata"]["labels"]


def test_a_gangs_service_is_headless_and_goes_with_its_job() -> None:
    request = home_request(asked={"num_nodes": 2})

    service = gang_service(request, "the-jobs-uid")

    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"overspill.dev/lease": request.key}
    assert service["spec"]["publishNotReadyAddresses"] is True
    [owner] = service["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", request.key, "the-jobs-uid")


def test_a_long_name_becomes_a_label_value_of_its_own() -> None:
    long, other = "a" * 80, "a" * 79 + "b"

    assert len(label_value(long)) <= 63
    assert label_value(long) != label_value(other)
    assert label_value("short.name") == "short.name"
