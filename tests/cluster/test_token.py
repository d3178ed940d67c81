"""A short-lived ServiceAccount token, rotated on disk and revoked, is no outage of the operator."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from overspill.testing.bed import Bed, until
from overspill.testing.bed.clients import KubectlError
from overspill.testing.stack import Stack

from .manifests import at_home
from .proofs import assert_clean, hasten, leads, rented, until_complete, until_leads

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SHORTEST_S = 600
"""The API server issues none that lasts less."""
ROTATIONS = 2


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    bed.nodes.add("token-1", gpus=2)
    with Stack.start(bed, tmp_path_factory.mktemp("token")) as running:
        hasten(running)
        yield running
    bed.nodes.delete("token-1")


def test_the_operator_works_on_with_each_new_token(
    stack: Stack, bed: Bed, namespace: str, tmp_path: Path
) -> None:
    until_leads(stack.operator)
    pid = stack.operator.pid
    stack.apply_job(namespace, "before", rented("sleep 30"))
    for number in range(ROTATIONS):
        old = token_of(stack)
        bed.rotate_token(stack.operator.kubeconfig, SHORTEST_S)
        until(lambda old=old: is_dead(bed, old, tmp_path), "the old token to be refused", 40, 0.5)
        assert leads(stack.operator)
        began = time.monotonic()
        stack.apply_job(namespace, f"near-{number}", at_home(1))
        stack.apply_job(namespace, f"far-{number}", rented("sleep 1"))
        stack.until_phase(namespace, f"near-{number}", "Complete", timeout_s=45)
        stack.until_phase(namespace, f"far-{number}", "Complete", timeout_s=60)
        assert time.monotonic() - began < 60
    until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert stack.operator.pid == pid, "it was restarted"
    assert leads(stack.operator)


def token_of(stack: Stack) -> str:
    """The token that the operator reads now."""
    kubeconfig = stack.operator.kubeconfig
    return kubeconfig.with_name(f"{kubeconfig.name}.token").read_text()


def is_dead(bed: Bed, token: str, tmp_path: Path) -> bool:
    """Whether the API server refuses the token; it may remember it for ten seconds."""
    own = tmp_path / "stale"
    if not own.exists():
        own.write_text(bed.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
        bed.kubectl("config", "set-context", "--current", "--user=stale", kubeconfig=own)
    bed.kubectl("config", "set-credentials", "stale", f"--token={token}", kubeconfig=own)
    try:
        bed.kubectl("get", "gpj", "-A", kubeconfig=own)
    except KubectlError as error:
        return "Unauthorized" in str(error) or "logged in" in str(error)
    return False
