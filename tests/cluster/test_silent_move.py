"""SaladCloud moves a running group without a word: one lease, begun twice, ended once."""

from collections.abc import Iterator

import pytest

from overspill.testing.bed import Bed
from overspill.testing.markets import market_stack
from overspill.testing.stack import Stack

from .manifests import burst_only

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with market_stack(bed, tmp_path_factory.mktemp("salad"), ["salad"]) as running:
        yield running


def test_a_silent_move_begins_the_command_again_and_is_no_loss(
    stack: Stack, namespace: str
) -> None:
    # booted after 3 seconds, moved after 7, booted again after 10
    stack.market.fault("reallocated", seconds=7, market="salad", count=1)
    script = "echo begins; sleep 6; echo ends"
    placement = {"burst": "Only", "providers": ["salad"]}
    job = burst_only("sh", "-c", script, placement=placement, activeDeadlineSeconds=3000)
    stack.apply_job(namespace, "moved", job)
    stack.until_phase(namespace, "moved", "Complete", timeout_s=120)
    stack.until_settled(namespace)
    (lease,) = stack.leases(namespace)
    assert lease["status"]["closing"]["reason"] == "Finished"
    key = lease["metadata"]["name"]
    said = "".join(stack.market.logs(key).values()).split()
    assert said == ["begins", "begins", "ends"]
    assert stack.market.summary()["doubles"] == {}
