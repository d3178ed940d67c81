"""Small manifests for the tests of the whole path."""

from typing import Any


def template(*command: str, **annotations: str) -> dict[str, Any]:
    """A pod template with one container on one GPU."""
    container = {
        "name": "main",
        "image": "busybox:1",
        "command": list(command),
        "resources": {"limits": {"nvidia.com/gpu": "1"}},
    }
    return {"metadata": {"annotations": annotations}, "spec": {"containers": [container]}}


def lasting(seconds: int) -> dict[str, str]:
    """Annotations that make a simulated pod run for so long."""
    stage = "pod-complete.stage.kwok.x-k8s.io"
    return {f"{stage}/delay": f"{seconds}s", f"{stage}/jitter-delay": f"{seconds}s"}


def burst_only(*command: str, **spec: Any) -> dict[str, Any]:
    """A batch job that rents."""
    return {
        "workload": "Batch",
        "gpu": {"count": 1},
        "budget": {"maxTotalUSD": "20"},
        "placement": {"burst": "Only"},
        "template": template(*command),
        **spec,
    }


def at_home(seconds: int, **spec: Any) -> dict[str, Any]:
    """A batch job that never leaves and runs for some seconds on a simulated node."""
    return {
        "workload": "Batch",
        "gpu": {"count": 1},
        "placement": {"burst": "Never"},
        "template": template("sleep", str(seconds), **lasting(seconds)),
        **spec,
    }
