"""The chart renders to objects that Kubernetes knows, and refuses values that it does not."""

import subprocess
from collections.abc import Callable
from typing import Any

import kubernetes_validate
import pytest
import yaml

from overspill.settings import Settings
from overspill.testing import chart

VALUES = ("default", "everything", "minimal")
OURS = ("overspill.dev/v1alpha1", "monitoring.coreos.com/v1")
Render = Callable[..., list[dict[str, Any]]]
Helm = Callable[..., subprocess.CompletedProcess[str]]


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [d for d in documents if d["kind"] == kind]


def test_every_values_file_of_ci_is_in_the_matrix() -> None:
    names = {p.name.removesuffix("-values.yaml") for p in (chart.root() / "ci").iterdir()}
    assert names == set(VALUES)


@pytest.mark.parametrize("values", VALUES)
def test_lint_is_strictly_clean(helm: Helm, values: str) -> None:
    file = chart.root() / "ci" / f"{values}-values.yaml"
    done = helm("lint", "--strict", str(chart.root()), "-f", str(file))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("version", ["1.34", "1.37"])
@pytest.mark.parametrize("values", VALUES)
def test_objects_are_valid(render: Render, values: str, version: str) -> None:
    checked = [d for d in render(values) if d["apiVersion"] not in OURS]
    for document in checked:
        kubernetes_validate.validate(document, version, strict=True)
    assert len(checked) > 1


@pytest.mark.parametrize("values", VALUES)
def test_no_object_appears_twice(render: Render, values: str) -> None:
    keys = [
        (d["kind"], d["metadata"].get("namespace"), d["metadata"]["name"]) for d in render(values)
    ]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize(
    ("flag", "complaint"),
    [
        ("imgae.tag=x", "imgae"),
        ("image.tga=x", "tga"),
        ("report.url=overspill.example.com", "url"),
        ("report.url=https://overspill.example.com/", "url"),
        ("replicaCount=9", "replicaCount"),
        ("log.format=xml", "format"),
        ("rbac.providerSecrets[0]=*", "providerSecrets"),
        ("image.digest=latest", "digest"),
        ("networkPolicy.egressPorts[0]=0", "egressPorts"),
    ],
)
def test_a_wrong_value_is_refused_by_name(helm: Helm, flag: str, complaint: str) -> None:
    done = helm("template", "overspill", str(chart.root()), "--set", flag)
    assert done.returncode != 0
    assert complaint in done.stderr


def test_an_ingress_without_a_host_is_refused(helm: Helm) -> None:
    done = helm("template", "x", str(chart.root()), "--set", "report.ingress.enabled=true")
    assert "report.ingress.host is needed" in done.stderr


def test_crds_are_kept_on_uninstall_unless_told_otherwise(render: Render) -> None:
    kept = of_kind(render(), "CustomResourceDefinition")
    assert {d["metadata"]["annotations"]["helm.sh/resource-policy"] for d in kept} == {"keep"}
    bare = of_kind(render("default", "--set=crds.keep=false"), "CustomResourceDefinition")
    assert all("annotations" not in d["metadata"] for d in bare)
    assert len(kept) == len(bare) == 5


def test_crds_can_be_left_out(render: Render) -> None:
    assert not of_kind(render("minimal"), "CustomResourceDefinition")


def test_crds_are_those_of_the_api(render: Render) -> None:
    written = [
        yaml.safe_load(p.read_text()) for p in (chart.root().parents[1] / "crds").glob("*.yaml")
    ]
    rendered = of_kind(render("default", "--set=crds.keep=false"), "CustomResourceDefinition")
    by_name = {d["metadata"]["name"]: d for d in rendered}
    assert by_name == {d["metadata"]["name"]: d for d in written}


def test_the_pod_meets_the_restricted_standard(render: Render) -> None:
    pod = of_kind(render(), "Deployment")[0]["spec"]["template"]["spec"]
    container = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 65532
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["allowPrivilegeEscalation"] is False
    assert container["readOnlyRootFilesystem"] is True
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert all("hostPath" not in v for v in pod["volumes"])


def test_the_operator_is_started_by_module_over_all_namespaces(render: Render) -> None:
    args = of_kind(render(), "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]["args"]
    assert args[:4] == ["kopf", "run", "--module=overspill.app", "--all-namespaces"]


def test_every_environment_name_is_a_setting(render: Render) -> None:
    # POD_IP is read by overspill.wiring: where a replica listens is no setting.
    known = {"POD_IP", *(f"OVERSPILL_{name.upper()}" for name in Settings.model_fields)}
    for values in VALUES:
        container = of_kind(render(values), "Deployment")[0]["spec"]["template"]["spec"]
        env = [e["name"] for e in container["containers"][0]["env"]]
        assert set(env) <= known
        assert len(env) == len(set(env))


def test_ports_are_those_the_settings_listen_on(render: Render) -> None:
    container = of_kind(render(), "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]
    ports = {p["name"]: p["containerPort"] for p in container["ports"]}
    fields = Settings.model_fields
    assert fields["report_listen"].default.endswith(f":{ports['report']}")
    assert fields["metrics_listen"].default.endswith(f":{ports['metrics']}")


def test_a_secret_of_ours_never_stands_in_the_values_or_the_deployment(render: Render) -> None:
    secret = of_kind(render(), "Secret")[0]
    value = secret["data"]["secret"]
    assert len(value) > 80
    others = [d for d in render() if d["kind"] != "Secret"]
    assert value not in yaml.safe_dump_all(others)
    assert not of_kind(render("minimal"), "Secret")


def test_defaults_are_hooks_because_their_kinds_come_with_the_release(render: Render) -> None:
    defaults = [d for d in render() if d["apiVersion"] == OURS[0]]
    assert {d["metadata"]["name"] for d in defaults} == {
        "guaranteed",
        "standard",
        "besteffort",
        "home",
    }
    assert {d["metadata"]["annotations"]["helm.sh/hook"] for d in defaults} == {"post-install"}


def test_the_test_pod_is_not_selected_by_the_services(render: Render) -> None:
    documents = render()
    labels = of_kind(documents, "Pod")[0]["metadata"]["labels"]
    for service in of_kind(documents, "Service"):
        selector = service["spec"]["selector"]
        assert not selector.items() <= labels.items()
