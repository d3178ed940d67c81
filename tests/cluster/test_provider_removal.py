"""A GPUProvider that is deleted while it holds a lease stays until that is proven gone, whoever
restarts meanwhile; removed by force, its lease says what to do, and is closed once that is done.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from overspill.testing.bed import Bed, until
from overspill.testing.bed.clients import KubectlError
from overspill.testing.stack import NAMESPACE, PROVIDER, Stack, StackOptions, account

from .proofs import assert_clean, hasten, held_by, rented, until_leads

pytestmark = pytest.mark.cluster

LEASES = "overspill.dev/leases"
SECRET = {"namespace": NAMESPACE, "name": PROVIDER}
PATIENCE_S = 240
"""Seconds that each step may take on a busy machine; on a quiet one all of it takes two minutes."""


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # No faster election: on a busy machine such a leader ends itself, and nobody restarts it here.
    options = StackOptions(environment={"OVERSPILL_QUARANTINE_S": "1"})
    with Stack.start(bed, tmp_path_factory.mktemp("removal"), options) as running:
        yield running


def provider(stack: Stack) -> dict[str, Any]:
    """The GPUProvider; empty once it is gone."""
    found = stack.cluster.kubectl("get", "gpp", PROVIDER, "--ignore-not-found", "-o", "json")
    return dict(json.loads(found or "{}"))


def is_kept(stack: Stack) -> bool:
    return LEASES in provider(stack).get("metadata", {}).get("finalizers", [])


def said(thing: dict[str, Any], kind: str) -> tuple[str, str]:
    """(reason, message) of a condition."""
    conditions = thing.get("status", {}).get("conditions", [])
    found = next((c for c in conditions if c["type"] == kind), {})
    return found.get("reason", ""), found.get("message", "")


def running(stack: Stack, namespace: str) -> None:
    account(stack.cluster, stack.market)
    hasten(stack)
    stack.apply_job(namespace, "far", rented("sleep 100000"))
    stack.until_phase(namespace, "far", "Running", timeout_s=PATIENCE_S)


def restarted(stack: Stack) -> None:
    stack.operator.kill()
    stack.operator.restart()
    until_leads(stack.operator, PATIENCE_S)


def test_a_deleted_account_stays_until_its_lease_is_proven_gone(
    stack: Stack, namespace: str
) -> None:
    running(stack, namespace)
    assert is_kept(stack), "kept before anything was sent"
    stack.cluster.kubectl("delete", "gpp", PROVIDER, "--wait=false")
    until(
        lambda: said(provider(stack), "InUse")[0] == "LeasesOpen", "it to say why", PATIENCE_S, 0.5
    )
    assert f"{namespace}/gl-" in said(provider(stack), "InUse")[1]
    restarted(stack)
    assert stack.phase(namespace, "far") == "Running"
    assert len(held_by(stack, namespace)) == 1
    stack.cluster.kubectl("-n", namespace, "delete", "gpujob", "far", "--wait=false")
    until(lambda: not provider(stack), "the account to go", PATIENCE_S, 0.5)
    stack.until_settled(namespace, PATIENCE_S)
    assert_clean(stack, namespace)


def test_one_removed_by_force_is_asked_for_again_and_then_closed(
    stack: Stack, namespace: str
) -> None:
    running(stack, namespace)
    stack.operator.kill()
    stack.cluster.kubectl("delete", "gpp", PROVIDER, "--wait=false")
    free = '{"metadata":{"finalizers":null}}'
    stack.cluster.kubectl("patch", "gpp", PROVIDER, "--type=merge", "-p", free)
    stack.cluster.kubectl("-n", namespace, "delete", "gpujob", "far", "--wait=false")
    stack.operator.restart()

    def stranded() -> tuple[str, str]:
        return said(stack.leases(namespace)[0], "Stranded")

    until(lambda: stranded()[0] == "ProviderMissing", "the lease to say so", PATIENCE_S, 0.5)
    assert f"Create GPUProvider {PROVIDER} again" in stranded()[1]
    assert len(held_by(stack, namespace)) == 1
    account(stack.cluster, stack.market)
    stack.until_settled(namespace, PATIENCE_S)
    assert_clean(stack, namespace)
    until(lambda: not is_kept(stack), "the idle account to be let go", PATIENCE_S, 0.5)


def test_the_operator_may_write_nothing_else_of_an_account(stack: Stack) -> None:
    """As the operator's account: the policy of the chart, on top of the role."""
    name = {"metadata": {"name": "papers"}}
    spec = {"type": "Akash", "suspended": True, "credentialsSecretRef": SECRET}
    kind = {"apiVersion": "overspill.dev/v1alpha1", "kind": "GPUProvider"}
    stack.apply({**kind, **name, "spec": spec})
    who = "--as=system:serviceaccount:overspill-system:overspill"

    def patch(change: dict[str, Any]) -> None:
        body = json.dumps(change)
        stack.cluster.kubectl("patch", "gpp", "papers", "--type=merge", "-p", body, who)

    patch({"metadata": {"finalizers": [LEASES]}})
    patch({"metadata": {"finalizers": []}})
    for change in (
        {"spec": {"limits": {"maxHourlyUSD": "1000"}}},
        {"metadata": {"labels": {"mine": "yes"}}},
        {"metadata": {"annotations": {"mine": "yes"}}},
    ):
        with pytest.raises(KubectlError, match="the operator writes no"):
            patch(change)
