"""What a person sees of our kinds through kubectl: columns, explanations, names, scale, filters."""

import json
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import pytest
import yaml

from overspill.api.kinds import KINDS
from overspill.testing.bed import KubectlError
from overspill.testing.crd_probe import Probe

pytestmark = pytest.mark.cluster

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = sorted((ROOT / "manifests" / "samples").glob("*.yaml"))


@pytest.fixture(scope="module")
def probe(cluster) -> Iterator[Probe]:
    found = Probe(cluster)
    yield found
    found.close()


@pytest.fixture
def kubectl(probe, namespace):
    def run(*args: str, **options) -> str:
        return probe.cluster.kubectl("--namespace", namespace, *args, **options)

    return run


def cells(printed: str) -> dict[str, str]:
    """The first row of a table by its headings; columns are found by where headings start."""
    heading, row = printed.splitlines()[:2]
    names = heading.split()
    starts = [heading.index(name) for name in names]
    ends = [*starts[1:], None]
    return {n: row[s:e].strip() for n, s, e in zip(names, starts, ends, strict=True)}


def put_status(kubectl, document: dict, status: dict) -> None:
    name = f"{document['kind'].lower()}/{document['metadata']['name']}"
    patch = json.dumps({"status": status})
    kubectl("patch", name, "--subresource=status", "--type=merge", "-p", patch)


def job(name: str, **spec) -> dict:
    pod = {"spec": {"containers": [{"name": "main", "image": "a/b:1"}]}}
    return {
        "apiVersion": "overspill.dev/v1alpha1",
        "kind": "GPUJob",
        "metadata": {"name": name},
        "spec": {"gpu": {"count": 1}, "template": pod, **spec},
    }


def apply(kubectl, document: dict) -> None:
    kubectl("apply", "-f", "-", input=json.dumps(document))


def test_the_columns_of_a_job_tell_the_story_of_the_design(kubectl):
    document = job("finetune-7b", slaClassName="standard")
    apply(kubectl, document)
    put_status(
        kubectl,
        document,
        {
            "phase": "Running",
            "placement": {"place": "akash/us-west", "gpus": "2xh100", "pricePerHourUSD": "3.10"},
            "cost": {"spentUSD": "4.20"},
            "finishByTime": "2026-11-26T09:00:00Z",
        },
    )
    shown = cells(kubectl("get", "gpj"))
    assert shown.pop("AGE")
    assert shown == {
        "NAME": "finetune-7b",
        "STATUS": "Running",
        "SLA": "standard",
        "PLACE": "akash/us-west",
        "GPUS": "2xh100",
        "USD/H": "3.10",
        "SPENT": "4.20",
        "FINISH-BY": "2026-11-26T09:00:00Z",
    }


def test_a_job_that_waits_has_empty_columns(kubectl):
    document = job("eval-nightly", slaClassName="besteffort")
    apply(kubectl, document)
    put_status(kubectl, document, {"phase": "Waiting", "cost": {"spentUSD": "0.00"}})
    shown = cells(kubectl("get", "gpj"))
    assert (shown["STATUS"], shown["PLACE"], shown["SPENT"]) == ("Waiting", "", "0.00")


@pytest.mark.parametrize(
    ("example", "name", "expected"),
    [
        (
            "gpulease-rented",
            "gpl",
            {"JOB": "finetune-7b", "PROVIDER": "akash", "STATE": "Closing", "REASON": "Lost",
             "GPU": "h100", "USD/H": "3.1", "BILLED": "3.10"},
        ),
        (
            "gpuprovider-market",
            "gpp",
            {"TYPE": "Akash", "HEALTHY": "True", "LEASES": "2", "BALANCE": "-0.01",
             "OFFERS": "12"},
        ),
        (
            "slaclass",
            "slac",
            {"DEFAULT": "false", "CAPACITY": '["Own","Spot"]', "BURST-AFTER": "60"},
        ),
        (
            "gpubudget",
            "gpb",
            {"LIMIT": "5000", "PERIOD": "Weekly", "SPENT": "12.5", "COMMITTED": "30"},
        ),
    ],
)  # fmt: skip
def test_the_columns_of_the_other_kinds(kubectl, example, name, expected):
    path = ROOT / "tests" / "unit" / "api" / "whole" / f"{example}.yaml"
    document = yaml.safe_load(path.read_text())
    document["metadata"].pop("namespace", None)
    apply(kubectl, document)
    try:
        put_status(kubectl, document, document["status"])
        shown = cells(kubectl("get", name, document["metadata"]["name"]))
        assert {key: shown[key] for key in expected} == expected
        assert shown["AGE"]
    finally:
        kubectl("delete", name, document["metadata"]["name"])


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_explain_reads_well_for_every_kind(kubectl, kind):
    top = kubectl("explain", kind.short_name)
    assert " ".join(cleandoc(kind.model.__doc__).split()) in " ".join(top.split())
    for part in ("spec", "status"):
        text = kubectl("explain", f"{kind.plural}.{part}")
        assert "<no description>" not in text
        assert "FIELDS:" in text


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("gpj.spec.gpu.memoryMin", "Least memory of each GPU"),
        (
            "gpj.spec.template.spec.containers.command",
            "most markets replace the image's entrypoint",
        ),
        ("gpj.spec.deadline.workSeconds", "Your estimate of the work"),
        ("gpl.spec.offer.pricePerHourUSD", "USD per hour for all GPUs of the offer"),
        ("gpp.spec.nodeHealth.lostSeconds", "is lost, and its jobs go on elsewhere"),
        ("slac.spec.burstAfterSeconds", "Wait this long for own capacity before renting"),
        ("gpb.status.reservations.usd", "USD"),
    ],
)
def test_explain_reaches_deep_fields(kubectl, field, words):
    assert words in " ".join(kubectl("explain", field).split())


def test_explain_names_the_words_of_a_closed_list(kubectl):
    text = kubectl("explain", "gpj.spec.placement.burst")
    assert "ENUM: Never Allowed Only" in " ".join(text.split())


def test_all_kinds_are_in_the_category(kubectl):
    named = kubectl("api-resources", "--categories=overspill", "-o", "name").split()
    assert sorted(named) == sorted(f"{kind.plural}.overspill.dev" for kind in KINDS)


def test_a_service_is_scaled_and_a_gang_is_not(kubectl):
    apply(kubectl, job("chat", workload="Inference"))
    kubectl("scale", "gpj/chat", "--replicas=3")
    assert kubectl("get", "gpj/chat", "-o", "jsonpath={.spec.replicas}") == "3"
    apply(kubectl, job("gang", numNodes=2))
    with pytest.raises(KubectlError, match="only an Inference job has replicas"):
        kubectl("scale", "gpj/gang", "--replicas=3")


def test_scale_shows_status_and_selector(kubectl, namespace):
    document = job("chat", workload="Inference")
    apply(kubectl, document)
    put_status(kubectl, document, {"replicas": 2, "selector": "overspill.dev/job-uid=1"})
    path = f"/apis/overspill.dev/v1alpha1/namespaces/{namespace}/gpujobs/chat/scale"
    status = json.loads(kubectl("get", "--raw", path))["status"]
    assert status == {"replicas": 2, "selector": "overspill.dev/job-uid=1"}


def test_jobs_are_selected_by_field(kubectl):
    for name, phase in (("a", "Running"), ("b", "Waiting")):
        document = job(name, slaClassName=f"class-{name}")
        apply(kubectl, document)
        put_status(kubectl, document, {"phase": phase, "placement": {"provider": f"p-{name}"}})
    for selector in ("status.phase=Running", "spec.slaClassName=class-a",
                     "status.placement.provider=p-a"):  # fmt: skip
        found = kubectl("get", "gpj", "--field-selector", selector, "-o", "name").split()
        assert found == ["gpujob.overspill.dev/a"], selector
    with pytest.raises(KubectlError, match="field label not supported"):
        kubectl("get", "gpj", "--field-selector", "spec.workload=Training")


def test_leases_are_selected_by_field(kubectl):
    path = ROOT / "tests" / "unit" / "api" / "whole" / "gpulease-rented.yaml"
    document = yaml.safe_load(path.read_text())
    document["metadata"].pop("namespace")
    apply(kubectl, document)
    put_status(kubectl, document, {"state": "Active"})
    for selector, count in (
        ("spec.provider=akash", 1),
        ("spec.provider=home", 0),
        ("status.state=Active", 1),
        ("status.state=Closed", 0),
        ("spec.jobRef.name=finetune-7b", 1),
    ):
        found = kubectl("get", "gpl", "--field-selector", selector, "-o", "name").split()
        assert len(found) == count, selector


def test_defaults_are_filled_in(kubectl):
    apply(kubectl, job("plain"))
    spec = json.loads(kubectl("get", "gpj/plain", "-o", "json"))["spec"]
    assert spec["workload"] == "Training"
    assert (spec["numNodes"], spec["replicas"], spec["backoffLimit"]) == (1, 1, 6)
    assert spec["placement"] == {"dataClass": "Internal"}
    assert spec["recovery"] == {"maxMoves": 20, "fencing": "Immediate"}
    assert "budget" not in spec
    assert "interconnect" not in spec["gpu"]


def test_a_misspelt_field_is_refused_by_kubectl(kubectl):
    with pytest.raises(KubectlError, match=r'unknown field "spec\.slaClass"'):
        apply(kubectl, job("typo", slaClass="standard"))


@pytest.mark.parametrize("path", SAMPLES, ids=lambda p: p.stem)
def test_the_samples_are_accepted(kubectl, path):
    kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path))


@pytest.mark.parametrize("name", ["slaclasses", "home-provider"])
def test_the_shipped_manifests_are_accepted(kubectl, name):
    path = ROOT / "manifests" / f"{name}.yaml"
    kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(path))


def test_one_shipped_class_is_the_default():
    text = (ROOT / "manifests" / "slaclasses.yaml").read_text()
    classes = list(yaml.safe_load_all(text))
    default = [c["metadata"]["name"] for c in classes if c["spec"].get("isDefault")]
    assert default == ["standard"]
    assert {c["metadata"]["name"] for c in classes} == {"guaranteed", "standard", "besteffort"}
