"""What we send to SaladCloud, and what the sandbox answers, is what the official file allows."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import jsonschema
import pytest

from overspill.core.lease import Handle
from overspill.sandbox.markets.salad import wire
from overspill.sandbox.markets.salad.errors import ProblemError
from overspill.testing.contract import drive

from .openapi_checked import Checked, Spec, spec_file
from .salad_rig import DEVIATIONS, salad_rig, spec
from .sandbox_rig import KEY, SandboxRig

GROUPS = "/organizations/{organization_name}/projects/{project_name}/containers"


def official() -> Spec:
    path = spec_file("salad", "openapi.yaml")
    if path is None:
        pytest.skip("no official SaladCloud specification beside the checkout; OVERSPILL_SHARED")
    return spec(path)


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    official()
    async with salad_rig(regions=("US",)) as made:
        yield made


async def test_a_whole_life_speaks_the_official_api(rig: SandboxRig) -> None:
    rig.clock.advance(rig.app.world.clock.now() - rig.clock.now().timestamp())
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    await rig.provider.observe(step.handle)
    await rig.provider.leases()
    rig.log(b"one")
    assert [x async for x in rig.provider.logs(step.handle, follow=False, tail=1)] == [b"one"]
    await rig.provider.close(Handle(step.handle.key))
    checked = rig.wire.inner
    assert isinstance(checked, Checked)
    assert checked.operations == {
        "GET /organizations/{organization_name}/gpu-classes",
        "POST /organizations/{organization_name}/availability/sce-gpu-availability",
        "POST /organizations/{organization_name}/log-entries",
        f"GET {GROUPS}",
        f"POST {GROUPS}",
        f"GET {GROUPS}/{{container_group_name}}",
        f"GET {GROUPS}/{{container_group_name}}/instances",
        f"DELETE {GROUPS}/{{container_group_name}}",
    }


async def test_a_group_of_the_sandbox_has_the_fields_of_the_market_and_no_other(
    rig: SandboxRig,
) -> None:
    await drive(rig, rig.request())
    group = wire.group_json(rig.rentals.rentals, rig.only)
    schemas = official().document["components"]["schemas"]
    assert set(group) <= official().names(schemas["ContainerGroup"])
    assert set(group["container"]) <= official().names(schemas["Container"])
    assert set(group["current_state"]) <= official().names(schemas["ContainerGroupState"])
    official().validate(group, "components", "schemas", "ContainerGroup")


async def test_no_answer_of_the_sandbox_has_a_field_of_its_own(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    await rig.pass_time(timedelta(seconds=5))
    rig.log(b"one")
    organization = f"{rig.app.urls['salad']}/organizations/our-org"
    group = f"{organization}/projects/bursts/containers/{step.handle.key}"
    span = {"start_time": "2026-01-01T00:00:00Z", "end_time": "2099-01-01T00:00:00Z", "query": ""}
    async with httpx.AsyncClient(headers={"Salad-Api-Key": KEY}, trust_env=False) as http:
        answers = {
            "Quotas": [(await http.get(f"{organization}/quotas")).json()],
            "GpuClass": (await http.get(f"{organization}/gpu-classes")).json()["items"],
            "ContainerGroupInstance": (await http.get(f"{group}/instances")).json()["instances"],
            "LogEntry": (await http.post(f"{organization}/log-entries", json=span)).json()["items"],
        }
    schemas = official().document["components"]["schemas"]
    for name, found in answers.items():
        assert found, name
        for one in found:
            assert set(one) <= official().names(schemas[name])
            official().validate(one, "components", "schemas", name)


def test_a_refusal_is_a_problem_of_the_file() -> None:
    problem = ProblemError(400, "no").body
    official().validate(problem, "components", "schemas", "ProblemDetails")


@pytest.mark.parametrize(
    "change",
    [
        {"name": "Upper"},
        {"replicas": 501},
        {"restart_policy": "sometimes"},
        {"container": {"image": "x", "resources": {"cpu": 0, "memory": 1024}}},
        {"container": {"image": "x", "command": ["a\nb"], "resources": {"cpu": 1, "memory": 1024}}},
        {"networking": {"port": 80, "protocol": "tcp", "auth": False}},
    ],
    ids=["name", "replicas", "policy", "cpu", "two lines", "protocol"],
)
def test_the_check_refuses_what_the_market_would(change: dict[str, Any]) -> None:
    good = {
        "name": "gl-x",
        "autostart_policy": True,
        "replicas": 1,
        "restart_policy": "never",
        "container": {"image": "x", "resources": {"cpu": 1, "memory": 1024}},
    }
    place = ("components", "schemas", "ContainerGroupPrototype")
    official().validate(good, *place)
    with pytest.raises(jsonschema.ValidationError):
        official().validate({**good, **change}, *place)


def test_every_deviation_says_why() -> None:
    assert all(len(why) > 20 for why in DEVIATIONS.values())
