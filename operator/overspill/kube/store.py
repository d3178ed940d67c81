"""Remembers what is known of our five kinds, as core values, keyed by uid.

Two ears feed it (kopf's events and the truth LIST), and so do our own writes: what the server
answered is seen by the next `view` at once. Versions only go forward; a uid that was deleted
never returns. `cluster.KubeCluster` shows the content, the engine's queue listens.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from overspill.core.job import Job
from overspill.kube import mapping
from overspill.kube.frozenmap import FrozenMap
from overspill.kube.mapping import Unreadable, Value
from overspill.kube.packed import packed
from overspill.kube.resources import Kind
from overspill.ports import View

Listener = Callable[[Kind, str], None]
MAX_TOMBSTONES = 20_000
MANY = (Kind.JOB, Kind.LEASE)
"""Kinds of which there may be thousands: their part of the view is never made anew."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One object: its value, or why it has none, and the status document last seen."""

    kind: Kind
    uid: str
    namespace: str
    name: str
    version: int
    value: Value | None
    error: str
    status: Mapping[str, Any]


class Store:
    """The operator's cached view. Not thread-safe: it belongs to the event loop."""

    def __init__(self) -> None:
        self._entries: dict[Kind, dict[str, Entry]] = {kind: {} for kind in Kind}
        self._uids: dict[Kind, dict[tuple[str, str], str]] = {kind: {} for kind in Kind}
        """By namespace and name."""
        self._listed_at: dict[Kind, int] = {}
        self._eras: dict[Kind, int] = dict.fromkeys(Kind, 0)
        self._tombstones: OrderedDict[str, None] = OrderedDict()
        self._unheard: dict[Kind, dict[str, int]] = {kind: {} for kind in Kind}
        self._listeners: list[Listener] = []
        self._many: dict[Kind, FrozenMap[Any]] = {kind: FrozenMap() for kind in MANY}
        self._errors: FrozenMap[str] = FrozenMap()
        self._view: View | None = None

    @property
    def synced(self) -> bool:
        """Whether every kind was listed at least once."""
        return len(self._listed_at) == len(Kind)

    def listen(self, listener: Listener) -> None:
        """Calls `listener(kind, uid)` after every change, whoever brought it."""
        self._listeners.append(listener)

    def put(self, kind: Kind, obj: Mapping[str, Any]) -> bool:
        """Takes an object from an ear; False when it is not newer than what is known."""
        uid, version = _identity(obj)
        if self._unheard[kind].get(uid, version + 1) <= version:
            del self._unheard[kind][uid]
        return self._take(kind, obj)

    def drop(self, kind: Kind, uid: str) -> bool:
        """Takes a deletion from an ear; False when the object was not known."""
        self._unheard[kind].pop(uid, None)
        return self._forget(kind, uid)

    def note_write(self, kind: Kind, obj: Mapping[str, Any]) -> None:
        """Takes the server's answer to our own write or quorum read."""
        meta = obj["metadata"]
        if meta.get("deletionTimestamp") and not meta.get("finalizers"):
            self._forget(kind, str(meta["uid"]))  # that write was what the deletion waited for
        else:
            self._take(kind, obj)

    def note_deleted(self, kind: Kind, uid: str) -> None:
        """Takes the server's word that an object is gone."""
        self._forget(kind, uid)

    def replace(self, kind: Kind, objects: Iterable[Mapping[str, Any]], version: str) -> int:
        """Takes a complete quorum LIST made at `version`, with deletes for what it lacks.

        Returns how many changes no ear had brought yet; `settle` says which were really missed.
        """
        merge = self.merge(kind, version)
        merge.take(objects)
        return merge.finish()

    def merge(self, kind: Kind, version: str) -> "Merge":
        """Begins to take a quorum LIST made at `version`, page by page."""
        return Merge(self, kind, _number(version))

    def settle(self, kind: Kind) -> int:
        """How many changes of the last LIST no ear has brought since; forgets them."""
        missed = len(self._unheard[kind])
        self._unheard[kind].clear()
        return missed

    def listed_at(self, kind: Kind) -> int:
        """The version of the last complete LIST, 0 before the first one."""
        return self._listed_at.get(kind, 0)

    def era(self, kind: Kind) -> int:
        """How often the versions went back: what was heard before means nothing after."""
        return self._eras[kind]

    def entry(self, kind: Kind, uid: str) -> Entry | None:
        """What is known of one object."""
        return self._entries[kind].get(uid)

    def find(self, kind: Kind, namespace: str, name: str) -> Entry | None:
        """What is known of one object by its name."""
        return self._entries[kind].get(self._uids[kind].get((namespace, name), ""))

    def view(self) -> View:
        """The content as core values: jobs and leases by uid, accounts and classes by name."""
        if self._view is None:
            self._view = self._fresh_view()
        return self._view

    def _take(self, kind: Kind, obj: Mapping[str, Any]) -> bool:
        uid, version = _identity(obj)
        known = self._entries[kind].get(uid)
        if uid in self._tombstones or (known is not None and known.version >= version):
            return False
        before = known.value if known is not None else None
        entry = _entry(kind, obj, before)
        if not self._is_newest_of_its_name(entry):
            return False
        self._entries[kind][uid] = entry
        self._uids[kind][entry.namespace, entry.name] = uid
        self._show(kind, uid, entry)
        self._changed(kind, uid)
        return True

    def _is_newest_of_its_name(self, entry: Entry) -> bool:
        """Of two objects with one name the older is gone, whether its deletion was heard or not."""
        other = self.find(entry.kind, entry.namespace, entry.name)
        if other is None or other.uid == entry.uid:
            return True
        self._forget(entry.kind, min(entry, other, key=lambda one: one.version).uid)
        return other.version < entry.version

    def _forget(self, kind: Kind, uid: str) -> bool:
        self._tombstones[uid] = None
        if len(self._tombstones) > MAX_TOMBSTONES:
            self._tombstones.popitem(last=False)
        known = self._entries[kind].pop(uid, None)
        if known is None:
            return False
        del self._uids[kind][known.namespace, known.name]
        self._show(kind, uid, None)
        self._changed(kind, uid)
        return True

    def _rewind(self, kind: Kind) -> None:
        self._eras[kind] += 1
        del self._listed_at[kind]  # not synced until the new list is complete
        forgotten, self._entries[kind] = self._entries[kind], {}
        self._uids[kind].clear()
        self._tombstones.clear()
        for uid in forgotten:
            self._show(kind, uid, None)
            self._changed(kind, uid)

    def _show(self, kind: Kind, uid: str, entry: Entry | None) -> None:
        """Brings one object's place in the view up to date."""
        error = entry.error if entry else ""
        self._errors = self._errors.having(uid, error) if error else self._errors.lacking(uid)
        if kind in self._many:
            known, value = self._many[kind], entry.value if entry else None
            self._many[kind] = known.lacking(uid) if value is None else known.having(uid, value)

    def _changed(self, kind: Kind, uid: str) -> None:
        self._view = None
        for listener in self._listeners:
            listener(kind, uid)

    def _fresh_view(self) -> View:
        return View(
            synced=self.synced,
            jobs=self._many[Kind.JOB],
            leases=self._many[Kind.LEASE],
            accounts=self._by_name(Kind.PROVIDER),
            classes=self._by_name(Kind.SLA_CLASS),
            budgets=tuple(self._values(Kind.BUDGET)),
            invalid=self._errors,
        )

    def _by_name(self, kind: Kind) -> dict[str, Any]:
        return {e.name: e.value for e in self._entries[kind].values() if e.value is not None}

    def _values(self, kind: Kind) -> list[Any]:
        return [e.value for e in self._entries[kind].values() if e.value is not None]


class Merge:
    """One quorum LIST on its way into the store. Unfinished, it deletes nothing."""

    def __init__(self, store: Store, kind: Kind, listed_at: int) -> None:
        self._store = store
        self._kind = kind
        self._listed_at = listed_at
        self._present: set[str] = set()
        self._found: dict[str, int] = {}
        if listed_at < store._listed_at.get(kind, 0):
            store._rewind(kind)  # etcd was restored from a backup: versions and uids come back

    def take(self, objects: Iterable[Mapping[str, Any]]) -> None:
        """Takes one page."""
        for obj in objects:
            uid, version = _identity(obj)
            self._present.add(uid)
            if self._store._take(self._kind, obj):
                self._found[uid] = version

    def finish(self) -> int:
        """Deletes what the LIST lacked; returns how many changes no ear had brought yet."""
        store, kind = self._store, self._kind
        for uid, known in list(store._entries[kind].items()):
            if uid not in self._present and known.version <= self._listed_at:
                store._forget(kind, uid)
                self._found[uid] = known.version + 1
        is_first = kind not in store._listed_at
        store._listed_at[kind] = self._listed_at
        store._view = None
        if is_first:
            return 0
        store._unheard[kind].update(self._found)
        return len(self._found)


def _entry(kind: Kind, obj: Mapping[str, Any], before: Value | None) -> Entry:
    """Maps an object once per version; one that cannot be read keeps the reason."""
    meta = obj["metadata"]
    value: Value | None = None
    error = ""
    try:
        value = mapping.read(kind, obj, before)
    except Unreadable as unreadable:
        error = str(unreadable)
    uid, version = _identity(obj)
    namespace = str(meta.get("namespace") or "")
    status = value.status if isinstance(value, Job) else packed(obj.get("status") or {})
    return Entry(kind, uid, namespace, str(meta["name"]), version, value, error, status)


def _identity(obj: Mapping[str, Any]) -> tuple[str, int]:
    meta = obj["metadata"]
    return str(meta["uid"]), _number(meta["resourceVersion"])


def _number(version: object) -> int:
    """resourceVersions of our kinds are comparable integers (promised since Kubernetes 1.35)."""
    return int(str(version))
