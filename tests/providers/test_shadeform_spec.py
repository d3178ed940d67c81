"""What we send to Shadeform, and what the sandbox answers, is what the official file allows."""

from collections.abc import AsyncIterator

import httpx
import jsonschema
import pytest

from overspill.core.lease import Handle
from overspill.testing.contract import drive

from .openapi_checked import Checked, Spec, spec_file
from .sandbox_rig import KEY
from .shadeform_rig import DEVIATIONS, ShadeformRig, shadeform_rig, spec


def official() -> Spec:
    path = spec_file("shadeform", "openapi.yaml")
    if path is None:
        pytest.skip("no official Shadeform specification beside the checkout; set OVERSPILL_SHARED")
    return spec(path)


@pytest.fixture
async def rig() -> AsyncIterator[ShadeformRig]:
    official()
    async with shadeform_rig(os="ubuntu22.04_cuda12.2_shade_os") as made:
        yield made


async def test_a_whole_life_speaks_the_official_api(rig: ShadeformRig) -> None:
    step = await drive(rig, rig.request())
    await rig.provider.observe(step.handle)
    await rig.provider.leases()
    await rig.provider.close(Handle(step.handle.key))
    checked = rig.wire.inner
    assert isinstance(checked, Checked)
    assert checked.operations == {
        "GET /v1/instances/types",
        "POST /v1/instances/create",
        "GET /v1/instances/{id}/info",
        "GET /v1/instances",
        "POST /v1/instances/{id}/delete",
    }


@pytest.mark.parametrize(
    ("path", "name"), [("/v1/instances", "Instance"), ("info", "InstanceInfoResponse")]
)
async def test_the_sandbox_tells_the_fields_of_the_market_and_no_other(
    rig: ShadeformRig, path: str, name: str
) -> None:
    await drive(rig, rig.request())
    where = f"/v1/instances/{rig.only.id}/info" if path == "info" else path
    async with httpx.AsyncClient(base_url=rig.app.urls["shadeform"], trust_env=False) as client:
        told = (await client.get(where, headers={"x-api-key": KEY})).json()
    shown = told if path == "info" else told["instances"][0]
    known = official().names(official().document["components"]["schemas"][name])
    assert set(shown) <= known
    official().validate(shown, "components", "schemas", name)


@pytest.mark.parametrize("missing", ["cloud", "region", "shade_instance_type", "name"])
def test_the_check_refuses_what_the_market_would(missing: str) -> None:
    whole = {
        "cloud": "a",
        "region": "b",
        "shade_instance_type": "c",
        "shade_cloud": True,
        "name": "d",
    }
    official().validate(whole, "components", "schemas", "CreateRequest")
    del whole[missing]
    with pytest.raises(jsonschema.ValidationError):
        official().validate(whole, "components", "schemas", "CreateRequest")


def test_every_deviation_says_why() -> None:
    assert all(len(why) > 20 for why in DEVIATIONS.values())
