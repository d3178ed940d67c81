"""Maps the JSON of our five kinds to core values and back. Called by the store and the cluster.

Reading is lenient: unknown fields are skipped, absent ones get the API's defaults. What cannot
be understood raises `Unreadable`, whose sentence names the field.
"""

from collections.abc import Callable, Mapping
from typing import Any

from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.sla import Budget, SlaClass
from overspill.core.snapshot import ProviderAccount
from overspill.kube.mapping.copy import copy_manifest, copy_spec, shape_of
from overspill.kube.mapping.job import read_job
from overspill.kube.mapping.lease import read_lease
from overspill.kube.mapping.lease_write import lease_manifest, lease_status
from overspill.kube.mapping.policy import read_account, read_budget, read_class
from overspill.kube.mapping.reading import Unreadable
from overspill.kube.resources import Kind

__all__ = [
    "Unreadable",
    "Value",
    "copy_manifest",
    "copy_spec",
    "lease_manifest",
    "lease_status",
    "read",
    "read_account",
    "read_budget",
    "read_class",
    "read_job",
    "read_lease",
    "shape_of",
]

Value = Job | Lease | ProviderAccount | SlaClass | Budget

_READERS: dict[Kind, Callable[[Mapping[str, Any]], Value]] = {
    Kind.PROVIDER: read_account,
    Kind.SLA_CLASS: read_class,
    Kind.BUDGET: read_budget,
}


def read(kind: Kind, obj: Mapping[str, Any], before: Value | None = None) -> Value:
    """The core value of an object of that kind, or `Unreadable`.

    `before` is the value of an older version, which spares reading what cannot have changed.
    """
    match kind:
        case Kind.JOB:
            return read_job(obj, before if isinstance(before, Job) else None)
        case Kind.LEASE:
            return read_lease(obj, before if isinstance(before, Lease) else None)
        case _:
            return _READERS[kind](obj)
