"""RunPod's own client drives the same pods of the sandbox, through the API that it speaks."""

from collections.abc import Callable
from typing import Any

from overspill.sandbox.options import SandboxOptions
from overspill.testing.sandbox import Sandbox

Witness = Callable[..., dict[str, Any]]
NAME = "gl-c1u5ter8-witness"


def test_a_whole_lease_life(witness: Witness) -> None:
    with Sandbox.start(SandboxOptions(markets=("runpod",))) as market:
        seen = witness("runpod_life.py", market.api_key, NAME, RUNPOD_API_BASE_URL=market.url)
        assert market.summary()["held"] == {}
        events = [entry.event for entry in market.ledger() if entry.key == NAME]
    assert "NVIDIA H100 80GB HBM3" in seen["types"]
    assert (seen["gpu"]["securePrice"], seen["gpu"]["maxGpuCount"]) == (1.55, 8)
    pod = seen["seen"]
    assert (pod["name"], pod["gpuCount"], pod["dockerArgs"]) == (NAME, 1, "sleep 100")
    assert pod["env"] == ["GREETING=hello"]
    assert 1.55 <= pod["costPerHr"] < 1.56
    assert seen["listed"] == [seen["made"]["id"]]
    assert seen["after"] is None
    assert seen["again"] == "pod not found"  # HTTP 200 with errors, as that API refuses
    assert events[:3] == ["create_received", "created", "leased"]
    assert events[-1] == "closed"
