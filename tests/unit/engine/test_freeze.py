"""What is recorded before anything is asked for: complete, capped, the same however often sent."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from overspill.core.decision import Action, Decision
from overspill.core.job import Job
from overspill.core.lease import lease_name
from overspill.core.offer import Offer
from overspill.core.vocabulary import Workload
from overspill.engine.freeze import UNLIMITED, frozen_lease
from overspill.testing.placing import make_checkpoint, make_job, node, rent
from overspill.testing.simulation import CLUSTER_ID

from .world import World

TEMPLATE = {
    "spec": {
        "terminationGracePeriodSeconds": 45,
        "containers": [
            {
                "name": "main",
                "image": "team/train:1",
                "command": ["python", "train.py"],
                "args": ["--fast"],
                "env": [{"name": "OVERSPILL_ATTEMPT", "value": "forged"}],
            }
        ],
    }
}
JOB = replace(make_job(), template=TEMPLATE)


def decided(world: World, offer: Offer, **changes: Any) -> Decision:
    found = Decision(
        JOB.ref, Action.PLACE, "CheapestFitting", "", world.clock.now(), offer=offer,
        max_total_usd=Decimal(20), hard_deadline=world.clock.now() + timedelta(hours=9),
    )  # fmt: skip
    return replace(found, **changes)


def frozen(world: World, job: Job = JOB, offer: Offer | None = None, **changes: Any):
    chosen = offer or rent("a1", "2")
    decision = decided(world, chosen, **changes)
    return frozen_lease(world.engine, job, decision, 3, home=chosen.provider == "home")


async def test_the_name_is_the_key_and_anyone_can_compute_it(world: World) -> None:
    lease = frozen(world)
    assert lease.name == lease.key == lease_name(CLUSTER_ID, JOB.ref.uid, 3)
    assert (lease.job, lease.attempt, lease.cluster_id) == (JOB.ref, 3, CLUSTER_ID)


async def test_the_same_decision_freezes_into_the_same_lease(world: World) -> None:
    assert frozen(world) == frozen(world)


@pytest.mark.parametrize("missing", ["max_total_usd", "hard_deadline"])
async def test_nothing_is_rented_without_a_cap_and_a_deadline(world: World, missing: str) -> None:
    with pytest.raises(ValueError, match="cap and a deadline"):
        frozen(world, **{missing: None})


async def test_a_decision_without_an_offer_is_no_lease(world: World) -> None:
    decision = replace(decided(world, rent("a1")), offer=None)
    with pytest.raises(ValueError, match="needs an offer"):
        frozen_lease(world.engine, JOB, decision, 1, home=False)


async def test_home_without_limits_may_stay_a_year_and_is_capped_by_it(world: World) -> None:
    lease = frozen(world, offer=node("n1", 1), max_total_usd=None, hard_deadline=None)
    assert lease.is_home
    assert lease.hard_deadline == world.clock.now() + UNLIMITED
    assert lease.max_total_usd == Decimal("1.00") * 366 * 24


CAPS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "placement's own": ({}, {"max_usd_per_hour": Decimal("2.07")}, "2.07"),
    "a firm price": ({}, {}, "2"),
    "an auction's estimate and a little more": ({"is_firm": False}, {}, "2.2"),
}


@pytest.mark.parametrize("case", CAPS, ids=str)
async def test_the_hourly_cap(world: World, case: str) -> None:
    offer, decision, expected = CAPS[case]
    lease = frozen(world, offer=replace(rent("a1", "2"), **offer), **decision)
    assert lease.max_usd_per_hour == Decimal(expected)


async def test_the_jobs_own_hourly_cap_is_never_passed(world: World) -> None:
    job = replace(JOB, max_hourly_usd=Decimal("2.10"))
    lease = frozen(world, job, replace(rent("a1", "2"), is_firm=False))
    assert lease.max_usd_per_hour == Decimal("2.10")


async def test_a_rented_command_runs_under_the_runner_and_cannot_forge_its_facts(
    world: World,
) -> None:
    world.settle(report_url="https://reports.example")
    lease = frozen(world)
    workload = lease.request.workload
    assert workload is not None
    assert workload.command[:2] == ("/bin/sh", "-c")
    assert workload.command[-3:] == ("python", "train.py", "--fast")
    env = dict(workload.env)
    assert env["OVERSPILL_ATTEMPT"] == "3"
    assert env["OVERSPILL_RUNNER_MODE"] == "hold"
    assert env["OVERSPILL_REPORT_URL"] == lease.request.report_url == "https://reports.example"
    assert int(env["OVERSPILL_HARD_DEADLINE"]) == int(lease.hard_deadline.timestamp())
    assert "OVERSPILL_REPORT_TOKEN" not in env, "it is a secret, resolved when sending"


async def test_each_attempt_has_its_own_checkpoint_prefix(world: World) -> None:
    job = replace(
        JOB, checkpoint=make_checkpoint(), durable_checkpoint_uri="s3://team/train/gl-2/7",
        durable_checkpoint_step=7,
    )  # fmt: skip
    lease = frozen(world, job)
    assert lease.request.workload is not None
    env = dict(lease.request.workload.env)
    assert env["OVERSPILL_CHECKPOINT_URI"] == f"s3://team/train/{lease.name}"
    assert env["OVERSPILL_RESUME_URI"] == "s3://team/train/gl-2/7"


async def test_at_home_the_template_stays_the_users_but_for_our_facts(world: World) -> None:
    lease = frozen(world, offer=node("n1", 1), home_node="n1")
    container = lease.request.template["spec"]["containers"][0]
    assert container["command"] == ["python", "train.py"]
    assert {e["name"]: e["value"] for e in container["env"]}["OVERSPILL_ATTEMPT"] == "3"
    assert (lease.request.home_node, lease.request.grace_period_seconds) == ("n1", 45)
    assert lease.request.report_url == ""


@pytest.mark.parametrize(("asked", "expected"), [(-5, 1), (0, 0), ("soon", 30)])
async def test_a_grace_period_means_what_the_api_server_makes_of_it(
    world: World, asked: object, expected: int
) -> None:
    spec = {**JOB.template["spec"], "terminationGracePeriodSeconds": asked}
    lease = frozen(world, replace(JOB, template={**JOB.template, "spec": spec}))
    assert lease.request.grace_period_seconds == expected


async def test_at_home_a_checkpoint_contract_brings_the_runner_along(world: World) -> None:
    world.settle(home_report_url="http://overspill")
    job = replace(JOB, checkpoint=make_checkpoint())
    lease = frozen(world, job, node("n1", 1))
    container = lease.request.template["spec"]["containers"][0]
    assert container["command"][:2] == ["/bin/sh", "-c"]
    env = {e["name"]: e["value"] for e in container["env"]}
    assert env["OVERSPILL_RUNNER_MODE"] == "exit"
    assert lease.request.report_url == "http://overspill"


async def test_a_service_opens_its_port(world: World) -> None:
    job = replace(JOB, workload=Workload.INFERENCE, endpoint_port=8000)
    lease = frozen(world, job)
    assert lease.request.workload is not None
    assert 8000 in lease.request.workload.ports
