"""Remembers, for this process only, what the view cannot show: used by `InCluster`.

Nothing here is needed for safety. After a restart a replaced pod is not noticed (the work of
that attempt is then done from its older checkpoint), and a child opened a moment ago may be
counted free until its pods are in view (the scheduler then leaves one of the two Pending).
"""

from collections.abc import Sequence
from dataclasses import replace

from overspill.core.portability import requests_of
from overspill.ports import Clock, OpenRequest, PodState
from overspill.providers.in_cluster_child import LEASE_LABEL, label_value
from overspill.providers.in_cluster_observe import INDEX_LABEL
from overspill.providers.in_cluster_offers import Reservation

RESERVED_S = 60.0
"""Pods are created within a second; a queue that holds the Job longer has not admitted it."""


class PodMemory:
    """Tells whether the cluster exchanged a pod of a lease for another one.

    The Job controller replaces pods taken by a disruption. The new pod is the same attempt with
    the resume point of its beginning, so it counts as a loss: the next attempt resumes later.
    """

    def __init__(self) -> None:
        self._first: dict[str, dict[str, str]] = {}
        self._bound: set[str] = set()

    def note(self, key: str, pods: Sequence[PodState]) -> bool:
        """Takes in the pods of a lease; True when some rank has been seen with two pods."""
        first = self._first.setdefault(key, {}) if pods else {}
        if any(pod.node for pod in pods):
            self._bound.add(key)
        ranks = ((pod.labels.get(INDEX_LABEL, ""), pod.uid) for pod in pods)
        return not all([first.setdefault(rank, uid) == uid for rank, uid in ranks])

    def was_bound(self, key: str) -> bool:
        """Whether a pod of the lease was ever seen on a node."""
        return key in self._bound

    def forget(self, key: str) -> None:
        """The lease is gone."""
        self._first.pop(key, None)
        self._bound.discard(key)


class Opened:
    """Children opened by us whose pods have not come into view."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._by_lease: dict[str, tuple[float, Reservation]] = {}

    def note(self, request: OpenRequest) -> None:
        """A child was just opened."""
        asked = request.lease.request
        planned = label_value(asked.home_node) if asked.home_node else ""
        product = request.offer.attribute("product")
        reservation = Reservation(
            request.lease.name,
            planned,
            product,
            asked.gpu_count,
            asked.num_nodes,
            requests_of(asked.template),
        )
        self._by_lease[request.lease.name] = (self._clock.monotonic(), reservation)

    def drop(self, key: str) -> None:
        """The child is closed or gone."""
        self._by_lease.pop(key, None)

    def unseen(self, pods: Sequence[PodState]) -> list[Reservation]:
        """What is still to be reserved; forgets what is in view or waited too long."""
        seen: dict[str, int] = {}
        for pod in pods:
            lease = pod.labels.get(LEASE_LABEL, "")
            seen[lease] = seen.get(lease, 0) + 1
        limit = self._clock.monotonic() - RESERVED_S
        self._by_lease = {
            key: (at, kept)
            for key, (at, kept) in self._by_lease.items()
            if at > limit and seen.get(key, 0) < kept.pods
        }
        return [
            replace(r, pods=r.pods - seen.get(key, 0)) for key, (_, r) in self._by_lease.items()
        ]
