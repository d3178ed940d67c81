"""What the rendered roles grant: least for the operator, GPUJobs alone for tenants."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

Document = dict[str, Any]
Render = Callable[..., list[Document]]

MONEY_AND_POLICY = ("gpuleases", "gpubudgets", "slaclasses", "gpuproviders")
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def grants(documents: list[Document], *names: str) -> Iterator[tuple[str, str, str, bool]]:
    """(group, resource, verb, by name) of the named roles; of all when none is named."""
    for document in documents:
        if document["kind"] not in ("Role", "ClusterRole"):
            continue
        if names and document["metadata"]["name"] not in names:
            continue
        for rule in document["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        yield group, resource, verb, bool(rule.get("resourceNames"))


@pytest.mark.parametrize("values", ["default", "everything"])
def test_no_role_has_a_wildcard_or_escalates(render: Render, values: str) -> None:
    found = list(grants(render(values)))
    assert found
    for group, resource, verb, _ in found:
        assert "*" not in (group, resource, verb)
        assert verb not in ("escalate", "bind", "impersonate")
        assert group != "rbac.authorization.k8s.io"


def test_secrets_are_never_listed_and_by_default_not_read(render: Render) -> None:
    assert not [g for g in grants(render()) if g[1] == "secrets"]
    found = [g for g in grants(render("everything")) if g[1] == "secrets"]
    assert {verb for _, _, verb, _ in found} == {"get"}


def test_secrets_of_the_own_namespace_are_read_by_name_only(render: Render) -> None:
    roles = [
        d
        for d in render("everything")
        if d["kind"] == "Role" and d["metadata"]["namespace"] == "gpu"
    ]
    named = [r for d in roles for r in d["rules"] if "secrets" in r["resources"]]
    assert [r["resourceNames"] for r in named] == [["akash", "vast"]]


def test_the_operator_never_writes_a_spec_of_a_person(render: Render) -> None:
    people = ("gpujobs", "gpubudgets", "slaclasses", "gpuproviders")
    found = {(r, v) for _, r, v, _ in grants(render(), "overspill") if r in people}
    # ttlSecondsAfterFinished: a finished job is deleted, never changed. Of a GPUProvider the
    # operator writes finalizers, of GPUJobs the copies of a service that it made itself; a
    # ValidatingAdmissionPolicy each refuses it everything else.
    assert {(r, v) for r, v in found if v in WRITES} == {
        ("gpujobs", "create"),
        ("gpujobs", "patch"),
        ("gpujobs", "delete"),
        ("gpuproviders", "patch"),
    }
    policies = [d for d in render() if d["kind"] == "ValidatingAdmissionPolicy"]
    found = {p["metadata"]["name"]: p["spec"] for p in policies}
    assert {name: _first_words(spec) for name, spec in found.items()} == {
        "overspill-finalizers-only": ["object.spec", "object.metadata.?labels"],
        "overspill-copies-only": ["has(object.metadata.ownerReferences)", "request.operation"],
    }
    for spec in found.values():
        (condition,) = spec["matchConditions"]
        assert '"system:serviceaccount:gpu:overspill"' in condition["expression"]


def _first_words(spec: Document) -> list[str]:
    return [v["expression"].split()[0] for v in spec["validations"]]


def test_tenants_write_gpujobs_alone(render: Render) -> None:
    written = {(g, r) for g, r, v, _ in grants(render(), "overspill-edit") if v in WRITES}
    assert written == {("overspill.dev", "gpujobs"), ("overspill.dev", "gpujobs/scale")}


def test_readers_read_alone(render: Render) -> None:
    for name in ("overspill-view", "overspill-catalogue"):
        verbs = {v for _, _, v, _ in grants(render(), name)}
        assert verbs
        assert not verbs & WRITES


def test_only_the_two_user_roles_are_aggregated(render: Render) -> None:
    aggregated = {
        d["metadata"]["name"]: sorted(
            k.rsplit("-", 1)[1] for k in d["metadata"]["labels"] if "aggregate-to" in k
        )
        for d in render()
        if d["kind"] == "ClusterRole"
    }
    assert {k: v for k, v in aggregated.items() if v} == {
        "overspill-view": ["admin", "edit", "view"],
        "overspill-edit": ["admin", "edit"],
    }


def test_platform_admins_do_not_create_or_delete_leases(render: Render) -> None:
    found = {v for _, r, v, _ in grants(render(), "overspill-platform-admin") if r == "gpuleases"}
    assert found & WRITES == {"patch"}


def test_roles_can_be_left_out(render: Render) -> None:
    kinds = {d["kind"] for d in render("minimal")}
    assert not kinds & {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"}
