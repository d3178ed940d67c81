"""Two replicas: the leader is killed, or paused and resumed; the other takes over, nothing doubles.

Timed with the test settings (6 s lease); the figures of the default settings are the same law.
"""

import logging
import signal
import time
from collections.abc import Iterator

import pytest

from overspill.kube.watchdog import EXIT_CODE
from overspill.testing.bed import Bed, until
from overspill.testing.operator import OperatorProcess
from overspill.testing.stack import Stack

from .proofs import assert_clean, hasten, leads, rented, until_complete, until_leads

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

log = logging.getLogger(__name__)
LEASE_S = 6.0
TAKEOVER_S = LEASE_S + 6.0
"""The lease has to run out, then comes the next look; the rest is for a busy machine."""


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack.start(bed, tmp_path_factory.mktemp("leaders")) as running:
        hasten(running)
        yield running


@pytest.fixture(scope="module")
def standby(stack: Stack) -> Iterator[OperatorProcess]:
    """A second replica, with the settings of the first."""
    until_leads(stack.operator)
    own = ("OVERSPILL_METRICS_LISTEN", "OVERSPILL_REPORT_LISTEN")
    environment = {k: v for k, v in stack.operator.environment.items() if k not in own}
    first = stack.operator
    second = OperatorProcess.start(first.kubeconfig, first.workdir, environment, "standby")
    second.wait_ready()
    yield second
    second.stop()


def pair(stack: Stack, standby: OperatorProcess) -> tuple[OperatorProcess, OperatorProcess]:
    """(the leader, the other)."""
    both = (stack.operator, standby)
    until(lambda: any(leads(one) for one in both), "a leader", 60)
    return both if leads(stack.operator) else (standby, stack.operator)


def test_the_standby_takes_over_from_a_killed_leader(
    stack: Stack, standby: OperatorProcess, namespace: str
) -> None:
    leader, other = pair(stack, standby)
    for number in range(3):
        stack.apply_job(namespace, f"burst-{number}", rented("sleep 8"))
    until(lambda: stack.leases(namespace), "the first lease", 60)
    leader.kill()
    killed = time.monotonic()
    until_leads(other, TAKEOVER_S)
    log.info("takeover_after_kill_s %s", round(time.monotonic() - killed, 1))
    leader.restart()  # the kubelet; workloads report to its address
    until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert len(stack.leases(namespace)) == 3


def test_a_leader_that_is_told_to_end_hands_over_at_once(
    stack: Stack, standby: OperatorProcess
) -> None:
    leader, other = pair(stack, standby)
    other.wait_ready()
    leader.send(signal.SIGTERM)
    told = time.monotonic()
    until_leads(other, LEASE_S)
    log.info("takeover_after_sigterm_s %s", round(time.monotonic() - told, 1))
    until(lambda: not leader.running, "the old leader to end", 20)
    assert leader.exit_code == 0
    leader.restart()
    leader.wait_ready()


def test_a_paused_leader_ends_itself_when_it_comes_back(
    stack: Stack, standby: OperatorProcess, namespace: str
) -> None:
    leader, other = pair(stack, standby)
    other.wait_ready()
    for number in range(3):
        stack.apply_job(namespace, f"burst-{number}", rented("sleep 8"))
    until(lambda: stack.leases(namespace), "the first lease", 60)
    leader.send(signal.SIGSTOP)
    until_leads(other, TAKEOVER_S)
    until(lambda: len(stack.leases(namespace)) == 3, "the other to place the rest", 60)
    leader.send(signal.SIGCONT)
    until(lambda: not leader.running, "the paused leader to end itself", 10, 0.05)
    assert leader.exit_code == EXIT_CODE
    leader.restart()
    until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert len(stack.leases(namespace)) == 3
