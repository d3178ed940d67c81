"""Which leases belong to which job: kept up to date by the store's changes.

Asked for every step of every lease, so it must not walk the whole ledger.
"""

from overspill.core.lease import Lease
from overspill.ports import Cluster


class LeaseIndex:
    """Leases by job uid. `note` is called after every change of a GPULease."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._by_job: dict[str, set[str]] = {}
        self._job_of: dict[str, str] = {}
        self._uid_of: dict[str, str] = {}

    def note(self, lease_uid: str) -> str:
        """Takes in a change; returns the uid of the job concerned, "" when unknown."""
        lease = self._cluster.view().leases.get(lease_uid)
        if lease is None:
            job = self._job_of.pop(lease_uid, "")
            self._by_job.get(job, set()).discard(lease_uid)
            return job
        self._uid_of[lease.name] = lease_uid
        self._job_of[lease_uid] = lease.job.uid
        self._by_job.setdefault(lease.job.uid, set()).add(lease_uid)
        return lease.job.uid

    def of(self, job_uid: str) -> list[Lease]:
        """All leases of a job, oldest attempt first."""
        leases = self._cluster.view().leases
        found = [leases[uid] for uid in self._by_job.get(job_uid, ()) if uid in leases]
        return sorted(found, key=lambda lease: lease.attempt)

    def named(self, name: str) -> Lease | None:
        """A lease by its name, which is its key everywhere outside the API server."""
        return self._cluster.view().leases.get(self._uid_of.get(name, ""))
