"""The operator dies by kill -9 while jobs burst: nothing is leaked, nothing is rented twice.

Twenty moments drawn by a seed, and the calls around money one by one, on several markets. Between
two deaths there is always a burst on its way, in whatever state the last death left it. All
passages of the gate on every market are `benchmarks/chaos_crashes.py`.
"""

import random
import signal
import time
from collections.abc import Iterator

import pytest

from overspill.testing.bed import Bed
from overspill.testing.markets import market_stack
from overspill.testing.stack import Stack, StackOptions

from .deaths import FAST_ELECTION, assert_spared, hurry, kill_at_each
from .kubelet import Kubelet
from .proofs import assert_clean, hasten, rented, until_complete, until_leads

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

SEED = 20260301
KILLS = 20
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
OTHERS = ("vast", "runpod")
"""Markets whose create is one call, with the key in a label or a name."""
SAMPLE = ("open:before:1", "open:after:1", "close:after:1")


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    options = StackOptions(environment=FAST_ELECTION)
    with Stack.start(bed, tmp_path_factory.mktemp("kill9"), options) as running:
        hasten(running)
        yield running


def test_twenty_deaths_in_the_middle_of_bursts(stack: Stack, namespace: str) -> None:
    dice = random.Random(SEED)  # noqa: S311  (a seed, so that it can be repeated)
    found: set[str] = set()
    deaths = number = 0
    with Kubelet(stack.operator) as kubelet:  # a leader too slow to renew ends itself as well
        while deaths < KILLS:
            number += 1
            assert number < 2 * KILLS, f"only {deaths} of {number} lives ended by our hand"
            stack.apply_job(namespace, f"burst-{number}", rented("sleep 2"))
            until_leads(stack.operator)
            time.sleep(dice.uniform(0.1, 4))  # the moment itself, not a wait for anything
            with kubelet.away():
                stack.operator.kill()
                deaths += stack.operator.exit_code == -signal.SIGKILL
                found |= states(stack, namespace)
                stack.operator.restart()
        until_complete(stack, namespace)
    assert_clean(stack, namespace)
    assert {"Opening", "Active"} <= found, f"the deaths met leases in {found} only"


def states(stack: Stack, namespace: str) -> set[str]:
    """In which states the leases were when the operator died."""
    return {x.get("status", {}).get("state", "Planned") for x in stack.leases(namespace)}


def test_a_death_at_each_call_around_money(stack: Stack, namespace: str) -> None:
    missed = kill_at_each(stack, namespace, "akash", SITES)
    assert_clean(stack, namespace)
    assert missed == []


def test_a_death_at_the_calls_of_markets_that_only_show_our_key(
    bed: Bed, stack: Stack, namespace: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stack.operator.stop()  # its markets' accounts are not ours; one operator a cluster
    workdir = tmp_path_factory.mktemp("kill9-others")
    with market_stack(bed, workdir, OTHERS, FAST_ELECTION) as others:
        hurry(others)
        for market in OTHERS:
            sites = [f"{market}.{site}" for site in SAMPLE]
            assert kill_at_each(others, namespace, market, sites) == []
        assert_spared(others, namespace)
