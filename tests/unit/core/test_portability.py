"""What of a pod template can travel, and the sentence for each field that cannot."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overspill.core.offer import NOTHING_BESIDE, Beside
from overspill.core.portability import malformed, portable
from overspill.core.reasons import Reason
from overspill.core.workload import SecretEnv


def template(container: Mapping[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    base = {"name": "train", "image": "team/train:1", "command": ["python", "train.py"]}
    return {"spec": {"containers": [{**base, **(container or {})}], **spec}}


def test_a_plain_container_travels_as_it_is() -> None:
    found = portable(
        template(
            {
                "args": ["--epochs", "3"],
                "env": [{"name": "LEVEL", "value": "info"}],
                "ports": [{"containerPort": 8000}],
                "workingDir": "/work",
                "resources": {
                    "requests": {"cpu": "1500m", "memory": "24Gi", "ephemeral-storage": "50Gi"},
                    "limits": {"nvidia.com/gpu": 2, "memory": "32Gi"},
                },
            },
            volumes=[{"name": "scratch", "emptyDir": {}}],
            nodeSelector={"pool": "gpu"},
        ),
        gpu_count=2,
    )
    assert found.obstacles == ()
    assert found.reason is None
    workload = found.workload
    assert workload is not None
    assert (workload.image, workload.command, workload.args) == (
        "team/train:1",
        ("python", "train.py"),
        ("--epochs", "3"),
    )
    assert workload.env == (("LEVEL", "info"),)
    assert (workload.ports, workload.working_dir) == ((8000,), "/work")
    assert (workload.cpu_units, workload.memory_gib, workload.disk_gib) == (
        Decimal("1.5"),
        Decimal(24),
        Decimal(50),
    )


def test_what_the_template_leaves_open_is_rented_by_the_gpu() -> None:
    workload = portable(template(), gpu_count=4).workload
    assert workload is not None
    assert (workload.cpu_units, workload.memory_gib) == (Decimal(8), Decimal(32))


def test_a_secret_travels_as_a_reference() -> None:
    ref = {"name": "s3", "key": "token", "optional": True}
    env = [{"name": "TOKEN", "valueFrom": {"secretKeyRef": ref}}]
    workload = portable(template({"env": env}), 1).workload
    assert workload is not None
    assert workload.secret_env == (SecretEnv("TOKEN", "s3", "token", True),)
    assert workload.env == ()


def test_variables_are_expanded_as_kubernetes_would() -> None:
    env = [{"name": "A", "value": "x"}, {"name": "B", "value": "$(A)y $$(A) $(NOPE)"}]
    workload = portable(template({"env": env, "args": ["--out=$(B)"]}), 1).workload
    assert workload is not None
    assert dict(workload.env)["B"] == "xy $(A) $(NOPE)"
    assert workload.args == ("--out=xy $(A) $(NOPE)",)


def field_ref(kind: str) -> dict[str, Any]:
    return {"env": [{"name": "X", "valueFrom": {kind: {"key": "k", "name": "n"}}}]}


SECRET = {"name": "T", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}

TIES = {
    "a PersistentVolumeClaim": (
        template(volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "d"}}]),
        "volumes[0].persistentVolumeClaim",
    ),
    "a host path": (template(volumes=[{"hostPath": {"path": "/"}}]), "volumes[0].hostPath"),
    "a ConfigMap volume": (template(volumes=[{"configMap": {}}]), "volumes[0].configMap"),
    "a Secret volume": (template(volumes=[{"secret": {}}]), "volumes[0].secret"),
    "a kind of volume nobody knows": (template(volumes=[{"nfs": {}}]), "volumes[0].nfs"),
    "a ServiceAccount": (template(serviceAccountName="trainer"), "serviceAccountName"),
    "a mounted token": (
        template(automountServiceAccountToken=True),
        "automountServiceAccountToken",
    ),
    "init containers": (template(initContainers=[{"name": "i"}]), "initContainers"),
    "the host's network": (template(hostNetwork=True), "hostNetwork"),
    "a private image": (template(imagePullSecrets=[{"name": "r"}]), "imagePullSecrets"),
    "two containers": ({"spec": {"containers": [{}, {}]}}, "containers has 2"),
    "no containers": ({"spec": {}}, "containers has 0"),
    "environment from elsewhere": (template({"envFrom": [{}]}), "containers[0].envFrom"),
    "a field reference": (template(field_ref("fieldRef")), "env[0].valueFrom.fieldRef"),
    "a ConfigMap key": (template(field_ref("configMapKeyRef")), "valueFrom.configMapKeyRef"),
    "a privileged container": (
        template({"securityContext": {"privileged": True}}),
        "securityContext.privileged",
    ),
    "a host port": (template({"ports": [{"containerPort": 1, "hostPort": 1}]}), "hostPort"),
    "a UDP port": (template({"ports": [{"containerPort": 1, "protocol": "UDP"}]}), "protocol"),
    "a special device": (
        template({"resources": {"limits": {"rdma/hca": 1}}}),
        "resources.limits[rdma/hca]",
    ),
    "an unreadable amount": (
        template({"resources": {"limits": {"memory": "lots"}}}),
        "resources.limits[memory] cannot be read",
    ),
    "another number of GPUs": (
        template({"resources": {"limits": {"nvidia.com/gpu": "3"}}}),
        "spec.gpu.count is 1",
    ),
    "no image": (template({"image": ""}), "containers[0].image"),
    "a secret inside an argument": (
        template({"env": [SECRET], "args": ["$(T)"]}),
        "args[0] uses $(T)",
    ),
}


@pytest.mark.parametrize(("pod", "field"), TIES.values(), ids=TIES.keys())
def test_a_tie_to_the_cluster_is_named(pod: dict[str, Any], field: str) -> None:
    found = portable(pod, 1)
    assert found.workload is None
    assert found.reason is Reason.TEMPLATE_NOT_PORTABLE
    assert any(field in obstacle for obstacle in found.obstacles), found.obstacles
    assert all(o.startswith("spec.template.spec.") for o in found.obstacles)


def test_an_unknown_entrypoint_has_a_reason_of_its_own() -> None:
    found = portable(template({"command": []}), 1)
    assert found.workload is None
    assert found.reason is Reason.ENTRYPOINT_UNKNOWN
    assert "containers[0].command" in found.obstacles[0]


WORDS = st.sampled_from(
    [
        "",
        "name",
        "value",
        "valueFrom",
        "secretKeyRef",
        "limits",
        "memory",
        "$(A)",
        "emptyDir",
        "1Gi",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 70000) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["image", "command", "args", "env", "ports", "resources", "securityContext", "envFrom"]
)


@settings(deadline=None)  # two cores shared by everything else that runs
@given(
    container=st.dictionaries(FIELDS, JSON),
    spec=st.dictionaries(st.sampled_from(["volumes", "securityContext", "containers"]), JSON),
)
def test_rubbish_is_answered_with_obstacles_never_with_an_exception(
    container: dict[str, Any], spec: dict[str, Any]
) -> None:
    found = portable({"spec": {"containers": [container], **spec}}, 1)
    assert (found.workload is None) == bool(found.obstacles)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"metadata": {"labels": [7]}, **template()}, "spec.template.metadata.labels"),
        (template({"env": "text"}), "spec.template.spec.containers[0].env"),
        (template({"env": [7]}), "spec.template.spec.containers[0].env[0]"),
        (template(tolerations={"a": 1}), "spec.template.spec.tolerations"),
        (template(affinity=True), "spec.template.spec.affinity"),
    ],
    ids=["labels", "env", "an entry of env", "tolerations", "affinity"],
)
def test_a_shape_that_no_pod_has_is_told_with_its_field(wrong: dict[str, Any], told: str) -> None:
    assert malformed(wrong).startswith(told)
    assert portable(wrong, 1).invalid == malformed(wrong)
    assert malformed(template()) == ""


def _asking(cpu: object, memory: object, **more: object) -> dict[str, object]:
    return {"resources": {"requests": {"cpu": cpu, "memory": memory}}, **more}


@pytest.mark.parametrize(
    ("spec", "cpus", "gib"),
    [
        pytest.param({"containers": [_asking("500m", "2Gi")]}, "0.5", "2", id="one container"),
        pytest.param(
            {"containers": [_asking(2, "1Gi"), _asking(1, "1Gi")]}, "3", "2", id="together"
        ),
        pytest.param(
            {
                "containers": [_asking(1, "1Gi")],
                "initContainers": [_asking(4, "512Mi"), _asking(1, "1Gi", restartPolicy="Always")],
            },
            "4",
            "2",
            id="a larger init step, and a sidecar",
        ),
        pytest.param(
            {"containers": [{"resources": {"limits": {"cpu": 8}}}]}, "8", "0", id="limits stand in"
        ),
        pytest.param({"containers": [_asking("much", None)]}, "0", "0", id="what nobody can read"),
        pytest.param({}, "0", "0", id="nothing"),
    ],
)
def test_what_the_scheduler_keeps_for_a_pod(spec: dict[str, object], cpus: str, gib: str) -> None:
    found = portable({"spec": spec}, 1)
    assert found.requests == Beside(Decimal(cpus), Decimal(gib))
    assert (found.requests is NOTHING_BESIDE) == (cpus == gib == "0")
