"""When a home node is fit, suspect or lost."""

from dataclasses import replace
from datetime import timedelta

import pytest

from overspill.providers.in_cluster_nodes import NodeHealth, NodePolicy, NodeWatch, judge_node
from overspill.testing.clock import ManualClock
from overspill.testing.home import FakeHome, gpu_node, home_account

POLICY = NodePolicy.of(home_account())
NOT_READY = {"Ready": "Unknown"}


@pytest.mark.parametrize(
    ("changes", "age", "expected"),
    [
        pytest.param({}, 0.0, NodeHealth.FIT, id="a node that beats is fit"),
        pytest.param({}, None, NodeHealth.FIT, id="a node never seen beating is not lost for it"),
        pytest.param({}, 19.9, NodeHealth.FIT, id="just under the suspicion"),
        pytest.param({}, 20.0, NodeHealth.SUSPECT, id="silent for the suspicion"),
        pytest.param({"conditions": NOT_READY}, 20.0, NodeHealth.LOST, id="silent and not Ready"),
        pytest.param({"conditions": NOT_READY}, 5.0, NodeHealth.UNUSABLE, id="beats, not Ready"),
        pytest.param({}, 40.0, NodeHealth.LOST, id="silent for the loss, Ready as last written"),
        pytest.param({"unschedulable": True}, 0.0, NodeHealth.UNUSABLE, id="cordoned"),
        pytest.param(
            {"conditions": {"Ready": "True", "GPUMissing": "True"}},
            0.0,
            NodeHealth.UNHEALTHY,
            id="a bad condition is a loss",
        ),
        pytest.param(
            {"conditions": {"Ready": "True", "AcceleratedHardwareReady": "False"}},
            0.0,
            NodeHealth.UNHEALTHY,
            id="the other polarity",
        ),
        pytest.param(
            {"conditions": {"Ready": "True", "AcceleratedHardwareReady": "True"}},
            0.0,
            NodeHealth.FIT,
            id="the good status of such a condition",
        ),
        pytest.param(
            {"taints": ({"key": "team", "effect": "NoSchedule"},)},
            0.0,
            NodeHealth.UNUSABLE,
            id="a taint nobody tolerates",
        ),
        pytest.param(
            {"taints": ({"key": "team", "effect": "PreferNoSchedule"},)},
            0.0,
            NodeHealth.FIT,
            id="a wish is no bar",
        ),
    ],
)
def test_judges(changes: dict[str, object], age: float | None, expected: NodeHealth) -> None:
    verdict = judge_node(gpu_node(**changes), age, POLICY)

    assert verdict.health is expected
    assert bool(verdict.message) is (expected is not NodeHealth.FIT)


def test_the_account_sets_times_conditions_and_taints() -> None:
    account = home_account(
        suspect_after=timedelta(seconds=2),
        lost_after=timedelta(seconds=4),
        unhealthy_conditions=(("XIDErrors", "True"),),
        config={"tolerateTaints": "sku, dedicated"},
    )

    policy = NodePolicy.of(account)

    tainted = gpu_node(taints=({"key": "sku", "effect": "NoSchedule"},))
    assert judge_node(tainted, 1.0, policy).health is NodeHealth.FIT
    assert judge_node(tainted, 2.0, policy).health is NodeHealth.SUSPECT
    assert judge_node(tainted, 4.0, policy).health is NodeHealth.LOST
    sick = gpu_node(conditions={"Ready": "True", "XIDErrors": "True"})
    assert judge_node(sick, 0.0, policy).health is NodeHealth.UNHEALTHY
    absent = gpu_node(conditions={"Ready": "True", "GPUMissing": "True"})
    assert judge_node(absent, 0.0, policy).health is NodeHealth.FIT


def test_a_missing_node_is_believed_after_a_while_only() -> None:
    clock, home = ManualClock(), FakeHome()
    watch = NodeWatch(home, POLICY, clock)

    assert watch.lost_among(["gone"]) == {}
    clock.advance(19)
    assert watch.lost_among(["gone"]) == {}
    clock.advance(1)
    assert watch.lost_among(["gone"])["gone"].health is NodeHealth.GONE

    home.node_list = [gpu_node("gone")]
    assert watch.lost_among(["gone"]) == {}
    home.node_list = []
    assert watch.lost_among(["gone"]) == {}, "its absence is counted anew"


def test_a_stale_view_loses_no_node() -> None:
    node = gpu_node(conditions={"Ready": "Unknown"})
    home = FakeHome([node], ages={"n1": 3600.0}, stale=True)
    watch = NodeWatch(home, POLICY, ManualClock())

    assert watch.lost_among(["n1"]) == {}
    assert watch.verdict_of(replace(node, conditions={"Ready": "True"})).health is NodeHealth.FIT

    home.stale = False
    assert watch.lost_among(["n1"])["n1"].health is NodeHealth.LOST
