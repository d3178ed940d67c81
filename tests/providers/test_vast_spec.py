"""What we send to Vast.ai, and what the sandbox answers, is what the official file allows."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jsonschema
import pytest

from overspill.core.lease import Handle
from overspill.testing.contract import drive

from .openapi_checked import Checked, Spec, spec_file
from .sandbox_rig import SandboxRig
from .vast_rig import DEVIATIONS, spec, vast_rig


def official() -> Spec:
    path = spec_file("vast", "openapi.yaml")
    if path is None:
        pytest.skip("no official Vast.ai specification beside the checkout; set OVERSPILL_SHARED")
    return spec(path)


@pytest.fixture
async def rig() -> AsyncIterator[SandboxRig]:
    official()
    async with vast_rig() as made:
        yield made


async def test_a_whole_life_speaks_the_official_api(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    await rig.provider.observe(step.handle)
    await rig.provider.leases()
    await rig.provider.balance_usd()
    await rig.provider.close(Handle(step.handle.key))
    checked = rig.wire.inner
    assert isinstance(checked, Checked)
    assert checked.operations == {
        "POST /api/v0/bundles",
        "PUT /api/v0/asks/{id}",
        "GET /api/v0/instances/{id}",
        "GET /api/v1/instances",
        "GET /api/v0/users/current",
        "DELETE /api/v0/instances/{id}",
    }


async def test_the_sandbox_tells_no_field_that_the_market_does_not(rig: SandboxRig) -> None:
    step = await drive(rig, rig.request())
    document = official().document
    rows = document["paths"]["/api/v1/instances"]["get"]["responses"]["200"]["content"]
    known = set(
        rows["application/json"]["schema"]["properties"]["instances"]["items"]["properties"]
    )
    known |= set(document["components"]["schemas"]["Instance"]["properties"])
    await rig.provider.leases()
    shown = await _last(rig)
    assert set(shown["instances"][0]) <= known
    assert str(shown["instances"][0]["id"]) == step.handle.external_id
    search = document["paths"]["/api/v0/bundles"]["post"]["responses"]["200"]["content"]
    example = search["application/json"]["example"]["offers"]
    await rig.provider.offers(None)
    offers = (await _last(rig))["offers"]
    # `datacenter` can be searched by, so it is told as well
    assert set(offers[0]) - set(example) == {"datacenter"}


def test_the_check_refuses_what_the_market_would() -> None:
    place = ("paths", "/api/v0/asks/{id}", "put", "requestBody", "content")
    with pytest.raises(jsonschema.ValidationError):
        official().validate({"image": "x", "disk": "much"}, *place, "application/json", "schema")


async def test_the_check_refuses_a_path_that_is_not_there() -> None:
    checked = Checked(httpx.MockTransport(lambda _: httpx.Response(200)), official())
    async with httpx.AsyncClient(transport=checked, base_url="http://x") as http:
        with pytest.raises(AssertionError, match="has no GET"):
            await http.get("/api/v0/nothing")


def test_every_deviation_says_why() -> None:
    assert all(len(why) > 20 for why in DEVIATIONS.values())


async def _last(rig: SandboxRig) -> dict[str, Any]:
    """The body of the newest answer, asked for again."""
    request = rig.wire.seen[-1]
    headers = {"authorization": request.headers["authorization"]}
    async with httpx.AsyncClient(trust_env=False) as http:
        answer = await http.request(
            request.method, request.url, headers=headers, content=request.content
        )
    found: dict[str, Any] = json.loads(answer.content)
    return found
