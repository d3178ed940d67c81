"""Lium's own client drives the sandbox, and for the same intent its bodies equal ours."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers.lium_config import NOBODY, Config
from overspill.providers.lium_request import ENTRYPOINT, START, rent_of, template_of
from overspill.sandbox.options import SandboxOptions
from overspill.testing.sandbox import Sandbox

from .intent import NOW, intent, offered

Witness = Callable[..., dict[str, Any]]
NAME = "gl-c1u5ter8-witness"

INTENT: dict[str, Any] = {
    "template": {
        "name": NAME,
        "docker_image": "python:3.12",
        "docker_image_tag": "",
        "ports": [22, 8080],
        "start_command": START,
        "entrypoint": ENTRYPOINT,
        "environment": {"GREETING": "hello", "OVERSPILL_RUN": "exec sleep 100"},
        "one_time_template": True,
    },
    "rent": {
        "name": NAME,
        "gpu_count": 1,
        "termination_hours": 3,
        "ssh_keys": [NOBODY],
        "enable_volume_encryption": False,
        "enable_backups": False,
        "idempotency_key": NAME,
    },
}


def test_a_whole_lease_life_and_its_bodies_equal_ours(witness: Witness) -> None:
    """One life for both: it takes seconds."""
    with Sandbox.start(SandboxOptions(markets=("lium",))) as market:
        seen = witness(
            "lium_life.py",
            json.dumps(INTENT),
            LIUM_BASE_URL=f"{market.url}/api",
            LIUM_API_KEY=market.api_key,
        )
        assert market.summary()["held"] == {}
        events = [entry.event for entry in market.ledger() if entry.key == NAME]
    assert "rent_idempotency" in seen["features"]
    assert seen["node"] == ["H100", 16, 1.55, "secure", False]
    assert seen["reliability"] == 99.95
    assert seen["made"]  # the second rent was answered with the first one's pod
    assert (seen["status"], seen["name"], seen["gpus"]) == ("RUNNING", NAME, 1)
    assert (seen["price"], seen["ports"], seen["ssh_port"]) == (1.55, ["22", "8080"], 40022)
    assert (seen["ends_in_hours"], seen["scheduled"][:10]) == (3.0, "2099-01-01")
    assert 9_999 < seen["balance"] <= 10_000
    assert (seen["gone"], seen["after"]) == ("not_found", [])
    made = [event for event in events if event in {"created", "leased", "closed"}]
    assert made == ["created", "leased", "closed"]
    assert seen["key"] == NAME
    ours, theirs = _request(), seen["bodies"]
    assert template_of(ours) == theirs["templates"]
    # what the client sends null is unset
    meant = {name: value for name, value in theirs["rent"].items() if value is not None}
    config = Config(api_key="x", endpoint="https://lium.io/api")
    assert rent_of(ours, meant["template_id"], config) == meant


def _request() -> OpenRequest:
    workload = PortableWorkload(
        image="python:3.12",
        command=("sleep", "100"),
        env=(("GREETING", "hello"),),
        ports=(8080,),
    )
    offer = offered("lium", "node", ("node", "node"), ("leastGpus", "1"))
    return intent(NAME, offer, workload, NOW + timedelta(hours=2, minutes=30))
