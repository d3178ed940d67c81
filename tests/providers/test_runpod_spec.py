"""What we send to RunPod, and what the sandbox answers, is what the official file allows."""

from collections.abc import AsyncIterator

import jsonschema
import pytest

from overspill.core.lease import Handle
from overspill.testing.contract import drive

from .openapi_checked import Checked, Spec, spec_file
from .runpod_rig import DEVIATIONS, runpod_rig, spec
from .sandbox_rig import SandboxRig


def official() -> Spec:
    path = spec_file("runpod", "openapi-v2.json")
    if path is None:
        pytest.skip("no official RunPod specification beside the checkout; set OVERSPILL_SHARED")
    return spec(path)


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    official()
    async with runpod_rig(clouds="SECURE COMMUNITY", tcpPorts="5000", registry="cred") as made:
        yield made


async def test_a_whole_life_speaks_the_official_api(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    await rig.provider.observe(step.handle)
    await rig.provider.leases()
    await rig.provider.close(Handle(step.handle.key))
    checked = rig.wire.inner
    assert isinstance(checked, Checked)
    assert checked.operations == {
        "GET /v2/catalog/gpus",
        "POST /v2/pods",
        "GET /v2/pods/{id}",
        "GET /v2/pods",
        "DELETE /v2/pods/{id}",
    }


async def test_a_sandbox_pod_has_the_fields_of_the_market_and_no_other(rig: SandboxRig) -> None:
    await drive(rig, rig.request())
    shown = rig.rentals._pod(rig.only)  # type: ignore[attr-defined]  # its wire form
    schema = official().document["components"]["schemas"]["Pod"]
    known = official().names(schema)
    assert set(shown) <= known
    official().validate(shown, "components", "schemas", "Pod")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "x"},
        {"name": "x", "image": "y", "bogus": 1},
        {"name": "x", "image": "y", "disk": 0},
    ],
    ids=["no image", "an unknown field", "no disk"],
)
def test_the_check_refuses_what_the_market_would(wrong: dict[str, object]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        official().validate(wrong, "components", "schemas", "CreatePodRequest")


def test_every_deviation_says_why() -> None:
    assert all(len(why) > 20 for why in DEVIATIONS.values())
