"""What we send to Akash, and what our double answers, is what the official files allow."""

import json

import jsonschema
import pytest
import yaml

from overspill.core.lease import Handle
from overspill.core.workload import PortableWorkload
from overspill.providers.akash_sdl import Asked, sdl_document, sdl_text
from overspill.testing.contract import drive

from .akash_deviations import DEVIATIONS
from .akash_rig import double_rig, request
from .akash_spec import openapi, sdl_schema, spec_folder


async def test_a_whole_life_speaks_the_official_api() -> None:
    rig = double_rig(spec_folder())
    rig.console.hidden_names.add("1780000000000")
    await rig.provider.offers(None)
    first = await drive(rig, rig.request())
    rig.console.deployments[first.handle.external_id]["leases"][0]["price"]["denom"] = "uakt"
    await rig.provider.observe(first.handle)
    await rig.provider.leases()
    await rig.provider.balance_usd()
    await rig.provider.close(Handle(first.handle.key))
    assert rig.wire.inner.operations == {  # type: ignore[attr-defined]  # Checked
        "GET /v1/gpu-prices",
        "GET /v1/providers",
        "POST /v1/deployments",
        "GET /v1/bids",
        "PATCH /v2/deployment-settings/{dseq}",
        "POST /v2/deployment-settings",
        "POST /v1/leases",
        "GET /v1/deployments/{dseq}",
        "GET /v1/deployments",
        "GET /akash/deployment/{version}/deployments/list",
        "GET /akash/deployment/{version}/deployments/info",
        "GET /v1/market-data/{coin?}",
        "GET /v1/balances",
        "DELETE /v1/deployments/{dseq}",
    }


@pytest.mark.parametrize(
    "asked",
    [Asked(), Asked(region="us-west", auditors=("akash1auditor",))],
    ids=["plain", "with region and auditor"],
)
def test_the_sdl_fits_the_official_schema(asked: Asked) -> None:
    schema = sdl_schema(spec_folder())
    bare = PortableWorkload(image="a", command=("true",))
    for asks in (request(), request(workload=bare)):
        jsonschema.validate(yaml.safe_load(sdl_text(sdl_document(asks, asked))), schema)


def test_the_schema_refuses_what_we_must_not_send() -> None:
    document = sdl_document(request(), Asked())
    document["services"]["job"]["env"] = {"A": "b"}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(document, sdl_schema(spec_folder()))


def test_the_listed_deviations_are_all_that_is_changed() -> None:
    raw = (spec_folder() / "openapi.json").read_text()
    assert raw.count(json.dumps("^d+$")) == 44
    assert json.dumps(openapi(spec_folder())).count(json.dumps(r"^\d+$")) >= 44
    assert list(DEVIATIONS) == ["^d+$"]
