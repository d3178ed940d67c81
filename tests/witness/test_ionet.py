"""io.net's own client drives the sandbox, and for the same intent its body equals ours."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from overspill.core.workload import PortableWorkload, SecretEnv
from overspill.ports import OpenRequest
from overspill.providers.ionet_config import Config
from overspill.providers.ionet_request import body_of, resource_id, shape_of
from overspill.sandbox.options import SandboxOptions
from overspill.testing.sandbox import Sandbox

from .intent import NOW, intent, offered

Witness = Callable[..., dict[str, Any]]
NAME = "gl-c1u5ter8-witness"
HARDWARE, PLACE = 204, 5
"""H100 SXM in the US, as the sandbox numbers its own hosts."""

INTENT = {
    "name": NAME,
    "image": "python:3.12",
    "gpu": f"{HARDWARE}:1",
    "hours": 3,
    "port": 8080,
    "env": {"GREETING": "hello"},
    "secrets": {"TOKEN": "not-told"},
    "entrypoint": ["/bin/sh"],
    "args": ["-c", "sleep 100"],
    "location": PLACE,
    "resource_id": resource_id(NAME),
}


def test_a_whole_lease_life(witness: Witness) -> None:
    with Sandbox.start(SandboxOptions(markets=("ionet",))) as market:
        seen = _lived(witness, market)
        assert market.summary()["held"] == {}
        ledger = [entry for entry in market.ledger() if entry.key == NAME]
    assert "H100 80GB HBM3" in seen["hardware"]
    assert seen["id"] == resource_id(NAME)
    assert (seen["status"], seen["containers"]) == ("running", ["running"])
    assert seen["listed"] == {seen["id"]: NAME}
    assert seen["name_of_one"] is None  # the list alone tells it
    assert seen["paid"] == seen["quote"]
    assert round(seen["hourly"] * 3, 6) == round(seen["paid"], 6)
    assert seen["after"] == "destroyed"
    assert (seen["unknown"], seen["invalid"]) == (404, ["duration_hours"])
    assert [entry.event for entry in ledger][:3] == ["create_received", "created", "leased"]
    (charged,) = [entry.usd for entry in ledger if entry.event == "charged"]
    assert Decimal(charged) == Decimal(str(seen["paid"]))  # nothing is given back


def test_for_the_same_intent_its_body_equals_ours(witness: Witness) -> None:
    with Sandbox.start(SandboxOptions(markets=("ionet",))) as market:
        theirs = _lived(witness, market)["body"]
    request, config = _request(), Config(api_key="x", endpoint="https://api.io.solutions")
    ours = body_of(request, config, shape_of(request, config, NOW), PLACE)
    assert ours == theirs


def _lived(witness: Witness, market: Sandbox) -> dict[str, Any]:
    return witness(
        "ionet_life.py",
        json.dumps(INTENT),
        IOCLOUD_BASE_URL=market.url,
        IOCLOUD_API_KEY=market.api_key,
        IOCLOUD_DISABLE_KEYRING="1",
    )


def _request() -> OpenRequest:
    workload = PortableWorkload(
        image="python:3.12",
        command=("/bin/sh", "-c", "sleep 100"),
        env=(("GREETING", "hello"),),
        secret_env=(SecretEnv("TOKEN", "s", "k"),),
        ports=(8080,),
    )
    offer = offered("ionet", str(HARDWARE), ("hardware", str(HARDWARE)))
    asked = intent(NAME, offer, workload, NOW + timedelta(hours=2, minutes=30))
    return replace(asked, secrets={"TOKEN": "not-told"})
