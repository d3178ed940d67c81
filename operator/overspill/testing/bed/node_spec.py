"""Describes a GPU node as NVIDIA's device plugin and feature discovery would label it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from overspill.testing.bed.flags import KWOK_LABEL

GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class NodeSpec:
    """A simulated node; the defaults are one eight-GPU H100 machine."""

    name: str
    gpus: int = 8
    product: str = "NVIDIA-H100-80GB-HBM3"
    memory_mib: int = 81559
    family: str = "hopper"
    compute: tuple[int, int] = (9, 0)
    cpu: str = "96"
    memory: str = "1Ti"
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: Sequence[Mapping[str, str]] = ()
    pods: int = 250

    def manifest(self) -> dict[str, Any]:
        """The Node object; the simulated kubelet keeps capacity and fills in conditions."""
        resources = {"cpu": self.cpu, "memory": self.memory, "pods": str(self.pods)}
        if self.gpus:
            resources[GPU] = str(self.gpus)
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {"name": self.name, "labels": self._labels()},
            "spec": {"taints": [dict(taint) for taint in self.taints]},
            "status": {"capacity": resources, "allocatable": resources},
        }

    def _labels(self) -> dict[str, str]:
        base = {
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
            KWOK_LABEL: "true",
        }
        discovered = gpu_labels(self) if self.gpus else {}
        return {**base, **discovered, **self.labels}


def gpu_labels(spec: NodeSpec) -> dict[str, str]:
    """The labels of GPU feature discovery, all values strings as there."""
    return {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": spec.product,
        "nvidia.com/gpu.count": str(spec.gpus),
        "nvidia.com/gpu.replicas": "1",
        "nvidia.com/gpu.sharing-strategy": "none",
        "nvidia.com/gpu.memory": str(spec.memory_mib),
        "nvidia.com/gpu.family": spec.family,
        "nvidia.com/gpu.compute.major": str(spec.compute[0]),
        "nvidia.com/gpu.compute.minor": str(spec.compute[1]),
        "nvidia.com/gpu.mode": "compute",
        "nvidia.com/mig.capable": "false",
        "nvidia.com/mig.strategy": "none",
    }
