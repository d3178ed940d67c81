"""SaladCloud's own client drives the sandbox, and for the same intent its body equals ours."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from overspill.core.workload import PortableWorkload
from overspill.ports import OpenRequest
from overspill.providers.salad_request import LOADER, body_of
from overspill.sandbox.options import SandboxOptions
from overspill.testing.sandbox import Sandbox

from .intent import intent, offered

Witness = Callable[..., dict[str, Any]]
NAME = "gl-c1u5ter8-witness"

INTENT: dict[str, Any] = {
    "name": NAME,
    "autostart_policy": True,
    "replicas": 1,
    "restart_policy": "never",
    "country_codes": ["us"],
    "container": {
        "image": "python:3.12",
        "command": ["/bin/sh", "-c", LOADER],
        "environment_variables": {"GREETING": "hello", "OVERSPILL_RUN_0": "exec sleep 100"},
        "priority": "high",
        "resources": {"cpu": 4, "memory": 8192, "storage_amount": 20 * 2**30},
    },
    "networking": {"protocol": "http", "port": 8080, "auth": False},
}


def test_a_whole_lease_life_and_its_body_equals_ours(witness: Witness) -> None:
    """One life for both: it takes seconds."""
    with Sandbox.start(SandboxOptions(markets=("salad",))) as market:
        seen = witness("salad_life.py", market.url, market.api_key, json.dumps(INTENT))
        assert market.summary()["held"] == {}
        events = [entry.event for entry in market.ledger() if entry.key == NAME]
    assert seen["class"] == [
        "H100 SXM (80 GB)",
        1,
        {"high": "1.5500", "medium": "1.3950", "low": "1.2400", "batch": "0.9300"},
    ]
    assert seen["free"] == 16
    assert (seen["again"], seen["gone"], seen["reused"]) == (400, 404, 400)
    assert (seen["name"], seen["status"], seen["running"]) == (NAME, "running", 1)
    assert seen["instance"] == ["running", True, True]
    assert seen["dns"].endswith(".salad.cloud")
    assert (seen["listed"], seen["used"], seen["logs"]) == ([NAME], 1, 0)
    made = [event for event in events if event in {"created", "leased", "closed"}]
    assert made == ["created", "leased", "closed"]
    assert events.count("create_refused") >= 2
    (gpu,) = seen["body"]["container"]["resources"]["gpu_classes"]
    assert body_of(_request(gpu), ("us",)) == seen["body"]


def _request(gpu: str) -> OpenRequest:
    workload = PortableWorkload(
        image="python:3.12",
        command=("sleep", "100"),
        env=(("GREETING", "hello"),),
        ports=(8080,),
        cpu_units=Decimal("3.5"),
        memory_gib=Decimal(8),
        disk_gib=Decimal(20),
    )
    return intent(NAME, offered("salad", gpu, ("class", gpu), ("priority", "high")), workload)
