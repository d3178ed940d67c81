"""Names our five kinds and their paths on the API server. Used by everything in `kube/`."""

from enum import StrEnum

from overspill.api import API_VERSION, GROUP

LEASE_FINALIZER = f"{GROUP}/lease"
LEASE_LABEL = f"{GROUP}/lease"
PROVIDER_FINALIZER = f"{GROUP}/leases"
"""On a GPUProvider, as long as leases are open that only its account can close."""
RESOLVE_ANNOTATION = f"{GROUP}/resolve"
"""On a GPULease, by a person: `absent` or `adopt=ID`; see core/lease.Lease.resolution."""

NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
KUBE_SYSTEM = "/api/v1/namespaces/kube-system"
NODE_LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


class Kind(StrEnum):
    """Our kinds, spelled as in a manifest."""

    JOB = "GPUJob"
    LEASE = "GPULease"
    PROVIDER = "GPUProvider"
    SLA_CLASS = "SLAClass"
    BUDGET = "GPUBudget"

    @property
    def plural(self) -> str:
        """The name in a path and in RBAC."""
        return _PLURALS[self]

    @property
    def is_namespaced(self) -> bool:
        """Whether objects live in a namespace; providers and classes do not."""
        return self not in (Kind.PROVIDER, Kind.SLA_CLASS)


_PLURALS = {
    Kind.JOB: "gpujobs",
    Kind.LEASE: "gpuleases",
    Kind.PROVIDER: "gpuproviders",
    Kind.SLA_CLASS: "slaclasses",
    Kind.BUDGET: "gpubudgets",
}


def collection(kind: Kind, namespace: str = "") -> str:
    """The path of a collection; the whole cluster's when `namespace` is empty."""
    inside = f"/namespaces/{namespace}" if namespace else ""
    return f"/apis/{API_VERSION}{inside}/{kind.plural}"


def item(kind: Kind, namespace: str, name: str) -> str:
    """The path of one object."""
    return f"{collection(kind, namespace if kind.is_namespaced else '')}/{name}"


def status(kind: Kind, namespace: str, name: str) -> str:
    """The path of one object's status."""
    return f"{item(kind, namespace, name)}/status"
