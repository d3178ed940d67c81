"""The operator dies by kill -9 while jobs burst: nothing is leaked, nothing is rented twice.

Twenty moments drawn by a seed, and the calls around money one by one. Between two deaths there
is always a burst on its way, in whatever state the last death left it.
"""

import random
import signal
import time
from collections.abc import Iterator

import pytest

from overspill.testing.bed import Bed, until
from overspill.testing.stack import Stack, StackOptions

from .proofs import assert_clean, hasten, rented, until_complete, until_leads

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SEED = 20260301
KILLS = 20
FAST_ELECTION = {
    "OVERSPILL_LEASE_DURATION_S": "2",
    "OVERSPILL_RENEW_DEADLINE_S": "1.6",
    "OVERSPILL_RETRY_PERIOD_S": "0.3",
    "OVERSPILL_REQUEST_S": "1.5",
    "OVERSPILL_PERMIT_S": "2.5",
    "OVERSPILL_QUARANTINE_S": "1",
}
SITES = (
    "cluster.PlanLease:after:1",
    "cluster.LeaseStatus:after:1",
    "akash.open:before:1",
    "akash.open:after:1",
    "akash.open:before:3",
    "akash.open:after:3",
    "akash.close:after:1",
    "cluster.ReleaseLease:before:1",
)
"""Where a death hurts most: around each write of a lease and each call that costs or ends cost."""


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    options = StackOptions(environment=FAST_ELECTION)
    with Stack.start(bed, tmp_path_factory.mktemp("kill9"), options) as running:
        hasten(running)
        yield running


def test_twenty_deaths_in_the_middle_of_bursts(stack: Stack, namespace: str) -> None:
    dice = random.Random(SEED)  # noqa: S311  (a seed, so that it can be repeated)
    found: set[str] = set()
    for number in range(KILLS):
        stack.apply_job(namespace, f"burst-{number}", rented("sleep 2"))
        until_leads(stack.operator)
        time.sleep(dice.uniform(0.1, 4))  # the moment itself, not a wait for anything
        stack.operator.kill()
        assert stack.operator.exit_code == -signal.SIGKILL
        found |= states(stack, namespace)
        stack.operator.restart()
    until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert {"Opening", "Active"} <= found, f"the deaths met leases in {found} only"


def states(stack: Stack, namespace: str) -> set[str]:
    """In which states the leases were when the operator died."""
    return {x.get("status", {}).get("state", "Planned") for x in stack.leases(namespace)}


def test_a_death_at_each_call_around_money(stack: Stack, namespace: str) -> None:
    missed = []
    for number, site in enumerate(SITES):
        stack.operator.environment["OVERSPILL_FAILPOINT"] = site
        stack.operator.restart()
        stack.apply_job(namespace, f"site-{number}", rented("sleep 1"))
        if not dies(stack):
            missed.append(site)
    stack.operator.environment["OVERSPILL_FAILPOINT"] = ""
    stack.operator.restart()
    until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert missed == []


def dies(stack: Stack) -> bool:
    """Whether the failpoint strikes; a life without it ends here too."""
    try:
        until(lambda: not stack.operator.running, "the failpoint", 45, 0.1)
    except TimeoutError:
        return False
    return stack.operator.exit_code == -signal.SIGKILL
