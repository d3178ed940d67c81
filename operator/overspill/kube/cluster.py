"""The Cluster port: our five kinds on the API server, each write locked by its version.

The engine records changes here and reads its view; what the server answered to a write goes
into the store at once, so the next view already shows it.
"""

from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, TypeVar

from overspill.core.copies import Copy
from overspill.core.errors import (
    ClusterUnavailable,
    Conflict,
    Gone,
    OfferRejected,
    OverspillError,
    WorkloadRejected,
)
from overspill.core.job import Job
from overspill.core.lease import Lease
from overspill.core.snapshot import ProviderAccount
from overspill.kube import mapping
from overspill.kube.answers import Refused
from overspill.kube.events import Events
from overspill.kube.mapping import Unreadable
from overspill.kube.mapping.merging import difference
from overspill.kube.resources import (
    KUBE_SYSTEM,
    LEASE_FINALIZER,
    PROVIDER_FINALIZER,
    Kind,
    collection,
    item,
    status,
)
from overspill.kube.store import Store
from overspill.ports import (
    AccountEvent,
    BudgetStatus,
    Change,
    ChangeCopy,
    ClassStatus,
    Clock,
    DeleteJob,
    DeleteLease,
    Event,
    HoldProvider,
    JobStatus,
    KubeVerbs,
    LeaseStatus,
    MakeCopy,
    PlanLease,
    ProviderStatus,
    ReleaseLease,
    ReleaseProvider,
    View,
)

T = TypeVar("T")


async def cluster_id(verbs: KubeVerbs) -> str:
    """The uid of the kube-system namespace: the same for everyone who asks this cluster."""
    return str((await verbs.get(KUBE_SYSTEM))["metadata"]["uid"])


class KubeCluster:
    """`ports.Cluster` over raw verbs and the store."""

    def __init__(
        self, verbs: KubeVerbs, store: Store, clock: Clock, cluster_id: str, identity: str = ""
    ) -> None:
        self.cluster_id = cluster_id
        self._verbs = verbs
        self._store = store
        self._clock = clock
        self._events = Events(verbs, clock, identity)

    def view(self) -> View:
        """The cached view; may be stale."""
        return self._store.view()

    async def job(self, namespace: str, name: str) -> Job | None:
        """Quorum read of a GPUJob; None when absent."""
        obj = await self._read(Kind.JOB, namespace, name)
        return None if obj is None else _readable(mapping.read_job, obj)

    async def lease(self, namespace: str, name: str) -> Lease | None:
        """Quorum read of a GPULease; None when absent."""
        obj = await self._read(Kind.LEASE, namespace, name)
        return None if obj is None else _readable(mapping.read_lease, obj)

    async def all_leases(self) -> Sequence[Lease]:
        """Quorum LIST of every GPULease, complete or an error.

        A lease that cannot be read is an error too: without it the sweep would take what it
        holds at the market for an orphan.
        """
        known = self._store.view().leases  # a spec never changes: only statuses are read anew

        def read(obj: Mapping[str, Any]) -> Lease:
            return mapping.read_lease(obj, known.get(obj["metadata"]["uid"]))

        return await self._verbs.list_kept(collection(Kind.LEASE), lambda obj: _readable(read, obj))

    async def record(self, change: Change) -> Lease | None:
        """Applies one change on the version it was decided on."""
        match change:
            case PlanLease(lease):
                return await self._plan(lease)
            case LeaseStatus(lease):
                return await self._lease_status(lease)
            case ReleaseLease(lease):
                return await self._release(lease)
            case MakeCopy(service, copy):
                await self._make_copy(service, copy)
            case ChangeCopy(service, known, copy):
                await self._change_copy(service, known, copy)
            case _:
                await self._record_other(change)
        return None

    async def _record_other(self, change: Change) -> None:
        match change:
            case DeleteLease(lease):
                where = (Kind.LEASE, lease.namespace, lease.name)
                await self._delete(where, lease.uid, lease.resource_version)
            case JobStatus(job, document):
                where = (Kind.JOB, job.ref.namespace, job.ref.name)
                await self._write_status(where, job.ref.uid, job.resource_version, document)
            case DeleteJob(job):
                where = (Kind.JOB, job.ref.namespace, job.ref.name)
                await self._delete(where, job.ref.uid, job.resource_version)
            case ProviderStatus(account, document):
                where = (Kind.PROVIDER, "", account.name)
                await self._named_status(where, account.resource_version, document)
            case HoldProvider(account):
                await self._hold(account)
            case ReleaseProvider(account):
                await self._let_go(account)
            case BudgetStatus(budget, document):
                where = (Kind.BUDGET, budget.namespace, budget.name)
                await self._named_status(where, budget.resource_version, document)
            case ClassStatus(klass, document):
                where = (Kind.SLA_CLASS, "", klass.name)
                await self._named_status(where, klass.resource_version, document)
            case Event() | AccountEvent():
                await self._events.post(change)

    def _lease_in(self, obj: Mapping[str, Any]) -> Lease:
        """A lease that we have just written; its spec, which never changes, is not read again."""
        known = self._store.entry(Kind.LEASE, str(obj["metadata"]["uid"]))
        before = known.value if known is not None and isinstance(known.value, Lease) else None
        return _readable(lambda found: mapping.read_lease(found, before), obj)

    async def _read(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """A GET without resourceVersion is a quorum read. What the view had under that name before
        it, and the server has no more, is forgotten: no ear may ever tell of that deletion."""
        known = self._store.find(kind, namespace, name)
        try:
            obj = await self._verbs.get(item(kind, namespace, name))
        except Gone:
            if known is not None:
                self._store.note_deleted(kind, known.uid)
            return None
        self._store.note_write(kind, obj)
        return obj

    async def _plan(self, lease: Lease) -> Lease:
        where = collection(Kind.LEASE, lease.namespace)
        try:
            obj = await self._verbs.create(where, mapping.lease_manifest(lease))
        except Refused as refused:
            raise _no_such_lease(refused) from refused
        self._store.note_write(Kind.LEASE, obj)
        return self._lease_in(obj)

    async def _lease_status(self, lease: Lease) -> Lease:
        where = (Kind.LEASE, lease.namespace, lease.name)
        document = mapping.lease_status(lease, self._clock.now())
        written = await self._write_status(where, lease.uid, lease.resource_version, document)
        return lease if written is None else self._lease_in(written)

    async def _release(self, lease: Lease) -> Lease:
        """Other people's finalizers stay; the version says that nobody changed the list."""
        path = item(Kind.LEASE, lease.namespace, lease.name)
        found = await self._verbs.get(path)
        _same(found, lease.uid, lease.resource_version)
        held = _finalizers(found)
        if LEASE_FINALIZER not in held:
            return self._lease_in(found)
        held.remove(LEASE_FINALIZER)
        return self._lease_in(await self._finalize(Kind.LEASE, path, found, held))

    async def _make_copy(self, service: Job, copy: Copy) -> None:
        """What has the name already is read, so that the view knows it, and left alone."""
        namespace = service.ref.namespace
        manifest = mapping.copy_manifest(await self._service(service), copy)
        try:
            obj = await self._verbs.create(collection(Kind.JOB, namespace), manifest)
        except Conflict:
            await self._read(Kind.JOB, namespace, copy.name)
            raise
        self._store.note_write(Kind.JOB, obj)

    async def _change_copy(self, service: Job, known: Job, copy: Copy) -> None:
        whole = await self._service(service)
        path = item(Kind.JOB, known.ref.namespace, known.ref.name)
        found = await self._verbs.get(path)
        self._store.note_write(Kind.JOB, found)
        _same(found, known.ref.uid, known.resource_version)
        lock = {"uid": known.ref.uid, "resourceVersion": known.resource_version}
        meta = {**lock, "annotations": mapping.shape_of(whole)}
        spec = difference(found["spec"], mapping.copy_spec(whole, copy))
        body = {"metadata": meta, **({"spec": spec} if spec else {})}
        self._store.note_write(Kind.JOB, await self._verbs.patch(path, body))

    async def _service(self, service: Job) -> dict[str, Any]:
        """Copy 0's whole document, as it was when its copies were decided on."""
        found = await self._verbs.get(item(Kind.JOB, service.ref.namespace, service.ref.name))
        self._store.note_write(Kind.JOB, found)
        meta = found["metadata"]
        if meta["uid"] != service.ref.uid or meta.get("deletionTimestamp"):
            raise Gone(f"{meta['name']} is not that service any more")
        if meta.get("generation", 1) != service.generation:
            raise Conflict(f"{meta['name']} was edited since its copies were decided on")
        return found

    async def _hold(self, account: ProviderAccount) -> None:
        """A quorum read decides: the API server takes no new finalizer on what is being deleted."""
        path = item(Kind.PROVIDER, "", account.name)
        found = await self._verbs.get(path)
        held = _finalizers(found)
        if PROVIDER_FINALIZER in held:
            self._store.note_write(Kind.PROVIDER, found)
        elif found["metadata"].get("deletionTimestamp"):
            raise Conflict(f"GPUProvider {account.name} is being deleted")
        else:
            await self._finalize(Kind.PROVIDER, path, found, [*held, PROVIDER_FINALIZER])

    async def _let_go(self, account: ProviderAccount) -> None:
        path = item(Kind.PROVIDER, "", account.name)
        found = await self._verbs.get(path)
        _same(found, account.uid, account.resource_version)
        held = [name for name in _finalizers(found) if name != PROVIDER_FINALIZER]
        await self._finalize(Kind.PROVIDER, path, found, held)

    async def _finalize(
        self, kind: Kind, path: str, found: Mapping[str, Any], held: list[str]
    ) -> dict[str, Any]:
        """Writes the list of finalizers on the version that was read."""
        meta = {key: found["metadata"][key] for key in ("uid", "resourceVersion")}
        obj = await self._verbs.patch(path, {"metadata": {**meta, "finalizers": held}})
        self._store.note_write(kind, obj)
        return obj

    async def _delete(self, where: tuple[Kind, str, str], uid: str, version: str) -> None:
        body = {
            "preconditions": {"uid": uid, "resourceVersion": version},
            "propagationPolicy": "Background",
        }
        answer = await self._verbs.delete(item(*where), body)
        if answer.get("kind") == where[0].value:  # a finalizer holds it: its last version yet
            self._store.note_write(where[0], answer)
        else:
            self._store.note_deleted(where[0], uid)

    async def _named_status(
        self, where: tuple[Kind, str, str], version: str, document: Mapping[str, Any]
    ) -> None:
        """For kinds whose core values carry no uid: the version alone is the lock."""
        entry = self._store.find(*where)
        await self._write_status(where, entry.uid if entry else "", version, document)

    async def _write_status(
        self, where: tuple[Kind, str, str], uid: str, version: str, document: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Sends the difference to the status that `version` had; None when there is none."""
        patch = difference(await self._status_at(where, uid, version), document)
        if not patch:
            return None
        body = {"metadata": {"resourceVersion": version}, "status": patch}
        if uid:
            body["metadata"]["uid"] = uid
        obj = await self._verbs.patch(status(*where), body)
        self._store.note_write(where[0], obj)
        return obj

    async def _status_at(
        self, where: tuple[Kind, str, str], uid: str, version: str
    ) -> Mapping[str, Any]:
        """The status of exactly that version: remembered, or read; Conflict when it has passed."""
        kind, namespace, name = where
        entry = self._store.entry(kind, uid)
        if entry is not None and str(entry.version) == version:
            return entry.status
        found = await self._verbs.get(item(kind, namespace, name))
        self._store.note_write(kind, found)
        _same(found, uid, version)
        document: Mapping[str, Any] = found.get("status") or {}
        return document


def _no_such_lease(refused: Refused) -> OverspillError:
    """A record that the schema does not take: the job's fault, or its offer's, for ever.

    Anything else (forbidden, a quota, somebody's webhook) may be another tomorrow.
    """
    if refused.status != HTTPStatus.UNPROCESSABLE_ENTITY:
        return refused
    is_request = any(field.startswith("spec.request") for field in refused.fields)
    return (WorkloadRejected if is_request else OfferRejected)(str(refused))


def _same(found: Mapping[str, Any], uid: str, version: str) -> None:
    """Whether the server still has what the change was decided on."""
    meta = found["metadata"]
    if uid and meta["uid"] != uid:
        raise Gone(f"{meta['name']} is another object of the same name now")
    if meta["resourceVersion"] != version:
        raise Conflict(f"{meta['name']} changed since the decision was made")


def _finalizers(found: Mapping[str, Any]) -> list[str]:
    return list(found["metadata"].get("finalizers") or [])


def _readable(read: Callable[[Mapping[str, Any]], T], obj: Mapping[str, Any]) -> T:
    try:
        return read(obj)
    except Unreadable as error:
        name = obj["metadata"].get("name")
        raise ClusterUnavailable(f"{name} cannot be read: {error}") from error
