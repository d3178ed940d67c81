"""Silence is not death: reports cut off, the API server away, the market away.

In every case the lease that runs is kept, none is opened beside it, a condition says why, and
the world goes on when the silence ends.
"""

import signal
from collections.abc import Iterator

import pytest

from overspill.kube.watchdog import EXIT_CODE
from overspill.testing.bed import Bed, until
from overspill.testing.stack import PROVIDER, Stack

from .manifests import at_home
from .proofs import (
    assert_clean,
    hasten,
    held_by,
    lease_of,
    provider_ready,
    rented,
    stays,
    until_complete,
    until_condition,
    until_leads,
)

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

GRACE_S = 6.0
"""heartbeatGraceSeconds of the class `swift`."""


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    bed.nodes.add("cut-1", gpus=4)
    with Stack.start(bed, tmp_path_factory.mktemp("cut")) as running:
        hasten(running)
        yield running
    bed.nodes.delete("cut-1")


@pytest.fixture
def running(stack: Stack, namespace: str) -> str:
    """A rented job that runs for a while; the key of its lease."""
    stack.apply_job(namespace, "far", rented("sleep 25"))
    stack.until_phase(namespace, "far", "Running")
    return str(lease_of(stack, namespace, "far")["metadata"]["name"])


def is_kept(stack: Stack, namespace: str) -> bool:
    """One lease, Active, still held by the market."""
    leases = stack.leases(namespace)
    states = [lease["status"]["state"] for lease in leases]
    return states == ["Active"] and len(held_by(stack, namespace)) == 1


def test_a_lease_whose_reports_are_cut_off_is_neither_lost_nor_opened_again(
    stack: Stack, namespace: str, running: str
) -> None:
    if not stack.market.is_isolated:
        pytest.skip("a lease's network can only be cut where it has a namespace of its own")
    stack.market.cut(running)
    told = until_condition(stack, namespace, "far", "Degraded", "ReportsUnreachable")
    assert "report URL" in told
    assert stays(lambda: is_kept(stack, namespace), 3 * GRACE_S), stack.leases(namespace)
    stack.market.heal(running)
    until_complete(stack, namespace)
    assert stack.condition(namespace, "far", "Degraded") == {}
    assert len(stack.leases(namespace)) == 1
    assert_clean(stack, namespace)


def test_a_market_that_hangs_loses_nothing_and_home_goes_on(
    stack: Stack, namespace: str, running: str
) -> None:
    stack.market.process.send_signal(signal.SIGSTOP)
    try:
        until_condition(stack, namespace, "far", "Degraded", "MarketUnreachable")
        until(lambda: not provider_ready(stack, PROVIDER), "the provider to be marked", 60, 0.5)
        stack.apply_job(namespace, "near", at_home(1))
        stack.until_phase(namespace, "near", "Complete")
        stack.apply_job(namespace, "waits", rented("sleep 1"))
        until_condition(stack, namespace, "waits", "Placed", "ProviderUnusable")
        assert is_wanted(stack, namespace)
    finally:
        stack.market.process.send_signal(signal.SIGCONT)
    until(lambda: provider_ready(stack, PROVIDER), "the provider to be usable again", 90, 0.5)
    until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert attempts(stack, namespace, "far") == 1


RUBBISH = {
    "a page of HTML": {"action": "html", "status": 200},
    "rate limits": {"action": "status", "status": 429, "headers": {"Retry-After": "2"}},
    "empty lists": {"action": "empty_list"},
}
"""One of each: no answer, an answer to wait, and a well-formed lie. Other rubbish ends as the
first one does (tests/unit/providers/test_http.py).
"""


@pytest.mark.parametrize("kind", RUBBISH, ids=str)
def test_a_market_that_answers_rubbish_loses_nothing(
    stack: Stack, namespace: str, running: str, kind: str
) -> None:
    action = dict(RUBBISH[kind])
    stack.market.fault(str(action.pop("action")), path="/v1/.*", **action)
    try:
        stack.apply_job(namespace, "later", rented("sleep 1"))
        kept = stays(lambda: is_wanted(stack, namespace), 2 * GRACE_S)
        assert kept, stack.leases(namespace)
    finally:
        stack.market.clear_faults()
    until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert attempts(stack, namespace, "far") == 1
    assert stack.operator.running


def is_wanted(stack: Stack, namespace: str) -> bool:
    """The lease of the running job is wanted, or its command has ended and said so itself."""
    status = lease_of(stack, namespace, "far")["status"]
    return status["state"] == "Active" or status["closing"]["reason"] == "Finished"


def test_an_api_server_that_hangs_ends_the_leader_and_loses_nothing(
    stack: Stack, bed: Bed, namespace: str, running: str
) -> None:
    before = stack.market.summary()["by_key"][running]
    bed.apiserver.pause()
    try:
        until(lambda: not stack.operator.running, "the leader to end itself", 20, 0.1)
        assert stack.operator.exit_code == EXIT_CODE
        held = stack.market.summary()
        assert running in held["held"].values()
    finally:
        bed.apiserver.resume()
    bed.apiserver.wait_ready()
    stack.operator.restart()
    until_leads(stack.operator)
    assert stack.market.summary()["by_key"][running]["created"] == before["created"]
    until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert attempts(stack, namespace, "far") == 1


def attempts(stack: Stack, namespace: str, job: str) -> int:
    """How many leases a job ever had."""
    return sum(1 for x in stack.leases(namespace) if x["spec"]["jobRef"]["name"] == job)
