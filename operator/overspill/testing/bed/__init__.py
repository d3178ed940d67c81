"""A Kubernetes control plane on this machine, made of real programs, without containers.

    with Bed.start(BedOptions(real_node="no"), progress=print) as bed:
        bed.nodes.add("gpu-1", gpus=8)
        print(bed.kubectl("get", "nodes"))

The public names are the ones exported here.
"""

from __future__ import annotations

from overspill.testing.bed.bed import Bed
from overspill.testing.bed.build import Binaries, BuildError, build_all
from overspill.testing.bed.clients import HelmError, KubectlError
from overspill.testing.bed.cluster import Cluster
from overspill.testing.bed.component import Component, ComponentError
from overspill.testing.bed.metrics import Metrics, Sample
from overspill.testing.bed.node_spec import NodeSpec
from overspill.testing.bed.objectstore import ObjectStore
from overspill.testing.bed.options import BedOptions
from overspill.testing.bed.realnode import RealNode
from overspill.testing.bed.waiting import NotReachedError, until

__all__ = [
    "Bed",
    "BedOptions",
    "Binaries",
    "BuildError",
    "Cluster",
    "Component",
    "ComponentError",
    "HelmError",
    "KubectlError",
    "Metrics",
    "NodeSpec",
    "NotReachedError",
    "ObjectStore",
    "RealNode",
    "Sample",
    "build_all",
    "until",
]
