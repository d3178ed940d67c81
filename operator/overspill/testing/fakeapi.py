"""An API server in memory for unit tests of `kube/` and the engine: deterministic, no sockets.

Keeps what those tests turn on: resourceVersions, conflicts, finalizers, status subresources,
watches with bookmarks and 410. It validates nothing; the real API server does, in tests/cluster.
What it stores is never changed in place, so a write copies what it changes and nothing else.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from overspill.core.errors import ClusterUnavailable, Conflict, Gone, OverspillError
from overspill.kube.wire import DEFAULT_LIMITS, Listing, WatchLimits
from overspill.testing.fakeapi_parts import Place, Selector, copied, merged, parse, sent

Json = dict[str, Any]
T = TypeVar("T")


@dataclass
class Fault:
    """What happens to matching calls. `after`: the call is carried out, its answer is lost."""

    verb: str
    path: str
    error: OverspillError
    times: int = 1
    after: bool = False


class FakeApi:
    """`ports.KubeVerbs` and `kube.wire.Wire` over dictionaries."""

    def __init__(self, now: str = "2026-01-01T00:00:00Z") -> None:
        self.calls: list[tuple[str, str]] = []
        self.now = now
        self.on_write: Callable[[str, Json], None] = lambda _kind, _obj: None
        self._objects: dict[tuple[str, str, str], Json] = {}
        self._history: list[tuple[int, str, str, Json]] = []
        self._version = 100
        self._uids = 0
        self._oldest = 0
        self._faults: list[Fault] = []
        self._ends = 0
        self._wake = asyncio.Condition()
        self.muted = False
        self.page_size = 500

    # what tests do to it

    def fail(self, fault: Fault) -> None:
        """Makes the next matching calls fail."""
        self._faults.append(fault)

    def faults_end(self) -> None:
        """Calls succeed again."""
        self._faults.clear()

    async def put(self, path: str, obj: Mapping[str, Any]) -> Json:
        """Writes an object whole, status too, as a kubelet or another controller would."""
        place = parse(path)
        old = self._objects.get(place.key)
        return self._shown(await self._write(place, sent(obj), old))

    async def remove(self, path: str) -> None:
        """Removes an object at once, whatever its finalizers say (`kubectl` by force)."""
        await self._gone(parse(path))

    async def touch(self) -> None:
        """Lets waiting watches look again, after `muted` was changed."""
        async with self._wake:
            self._wake.notify_all()

    async def end_watches(self) -> None:
        """Ends every watch, as the server does after timeoutSeconds."""
        self._ends += 1
        await self.touch()

    async def compact(self) -> None:
        """Forgets history: watches from older versions get 410, in the stream or at the start."""
        self._oldest = self._version
        await self.touch()

    @property
    def version(self) -> str:
        """The newest resourceVersion."""
        return str(self._version)

    # the verbs

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Json:
        """GET of an object or a collection."""
        with self._call("get", path):
            place = parse(path)
            if place.name:
                return self._shown(self._found(place))
            listing = self._listing(place, params or {})
            return {"items": listing.items, "metadata": {"resourceVersion": self.version}}

    async def create(self, path: str, body: Mapping[str, Any]) -> Json:
        """POST; status is dropped where it is a subresource."""
        with self._call("create", path):
            collection = parse(path)
            obj = sent(body)
            place = collection.named(obj["metadata"]["name"])
            if place.key in self._objects:
                raise Conflict(f"{place} already exists")
            if place.has_status:
                obj.pop("status", None)
            return self._shown(await self._write(place, obj, None))

    async def patch(
        self,
        path: str,
        body: Mapping[str, Any],
        *,
        content_type: str = "application/merge-patch+json",
    ) -> Json:
        """A merge-patch of the object or of its status alone."""
        if content_type != "application/merge-patch+json":
            raise ValueError(f"{content_type} is not played")
        with self._call("patch", path):
            place = parse(path)
            old = self._found(place)
            _check_uid(old, body.get("metadata", {}))
            _check(old, body.get("metadata", {}))
            wanted = _without_lock(merged(old, sent(body)))
            return self._shown(await self._write(place, _allowed(place, old, wanted), old))

    async def replace(self, path: str, body: Mapping[str, Any]) -> Json:
        """PUT of a whole object."""
        with self._call("replace", path):
            place = parse(path)
            old = self._found(place)
            _check(old, body.get("metadata", {}))
            wanted = _allowed(place, old, sent(body))
            return self._shown(await self._write(place, wanted, old))

    async def delete(self, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """DELETE; waits for finalizers."""
        with self._call("delete", path):
            place = parse(path)
            old = self._found(place)
            _check(old, (body or {}).get("preconditions", {}))
            if not old["metadata"].get("finalizers"):
                await self._gone(place)
                return {"kind": "Status", "status": "Success"}
            meta = {"deletionTimestamp": self.now, **old["metadata"]}
            return self._shown(await self._write(place, {**old, "metadata": meta}, old))

    async def list_all(self, path: str, params: Mapping[str, str] | None = None) -> list[Json]:
        """A complete LIST."""
        return (await self.list_consistent(path, params)).items

    async def list_kept(
        self, path: str, keep: Callable[[Json], T], params: Mapping[str, str] | None = None
    ) -> list[T]:
        """What `keep` makes of each object of a complete LIST."""
        return [keep(item) for item in (await self.list_consistent(path, params)).items]

    async def list_consistent(self, path: str, params: Mapping[str, str] | None = None) -> Listing:
        """A complete LIST with its version."""
        with self._call("list", path):
            return self._listing(parse(path), params or {})

    async def list_pages(
        self, path: str, params: Mapping[str, str] | None = None
    ) -> AsyncGenerator[Listing, None]:
        """A LIST in pages of `page_size`; the loop runs between them, as with a real server."""
        whole = await self.list_consistent(path, params)
        for start in range(0, len(whole.items) or 1, self.page_size):
            page = whole.items[start : start + self.page_size]
            yield Listing(page, whole.resource_version)
            await asyncio.sleep(0)

    async def watch(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        limits: WatchLimits = DEFAULT_LIMITS,
    ) -> AsyncGenerator[tuple[str, Json], None]:
        """Events after `resourceVersion`; a bookmark when a test ends the watch.

        `limits` mean nothing here: tests end watches themselves.
        """
        with self._call("watch", path):
            place, selector = parse(path), Selector(params or {})
        position, ends = int((params or {}).get("resourceVersion", self.version)), self._ends
        while True:
            if position < self._oldest:
                raise Gone(f"watching {path}: too old resource version: {position}")
            if not self.muted:
                found, position = self._events(place, selector, position), self._version
                for kind, obj in found:
                    yield kind, self._shown(obj)
            if self._ends != ends:
                yield "BOOKMARK", {"metadata": {"resourceVersion": self.version}}
                return
            await self._news(position, ends)

    # inside

    async def _news(self, position: int, ends: int) -> None:
        async with self._wake:
            await self._wake.wait_for(
                lambda: (
                    self._ends != ends
                    or position < self._oldest
                    or (self._version > position and not self.muted)
                )
            )

    def _events(self, place: Place, selector: Selector, after: int) -> list[tuple[str, Json]]:
        found: list[tuple[str, Json]] = []
        for version, kind, collection, obj in self._history:
            if version > after and place.covers(collection, obj):
                found.extend(selector.event(kind, obj))
        return found

    def _listing(self, place: Place, params: Mapping[str, str]) -> Listing:
        selector = Selector(params)
        items = [
            self._shown(obj)
            for (collection, _, _), obj in sorted(self._objects.items())
            if place.covers(collection, obj) and selector.matches(obj)
        ]
        return Listing(items, self.version)

    def _shown(self, obj: Json) -> Json:
        """What a caller gets, who may do with it as he likes."""
        return copied(obj)

    def _found(self, place: Place) -> Json:
        if place.key not in self._objects:
            raise Gone(f"{place} not found")
        return self._objects[place.key]

    async def _write(self, place: Place, obj: Json, old: Json | None) -> Json:
        meta = {**obj.get("metadata", {}), "name": place.name}
        obj = {**obj, "metadata": meta}
        if place.namespace:
            meta["namespace"] = place.namespace
        if old is not None and _unchanged(old, obj):
            return old
        if not meta.get("finalizers"):
            meta.pop("finalizers", None)
        self._stamp(meta, obj, old)
        if old is not None and "deletionTimestamp" in meta and "finalizers" not in meta:
            self._version -= 1  # the answer bears the last version; the deletion has the new one
            meta["resourceVersion"] = old["metadata"]["resourceVersion"]
            self._objects[place.key] = obj
            await self._gone(place)
            return obj
        self._objects[place.key] = obj
        await self._record("MODIFIED" if old else "ADDED", place, obj)
        return obj

    def _stamp(self, meta: Json, obj: Json, old: Json | None) -> None:
        if old is None:
            self._uids += 1
            meta.setdefault("uid", f"00000000-0000-4000-8000-{self._uids:012x}")
            meta.setdefault("creationTimestamp", self.now)
            meta["generation"] = 1
        else:
            meta["uid"] = old["metadata"]["uid"]
            meta["creationTimestamp"] = old["metadata"]["creationTimestamp"]
            asked = "deletionTimestamp" in meta and "deletionTimestamp" not in old["metadata"]
            changed = asked or obj.get("spec") != old.get("spec")
            meta["generation"] = old["metadata"]["generation"] + int(changed)
        self._version += 1
        meta["resourceVersion"] = self.version

    async def _gone(self, place: Place) -> None:
        last = self._objects.pop(place.key)
        self._version += 1
        meta = {**last["metadata"], "resourceVersion": self.version}
        await self._record("DELETED", place, {**last, "metadata": meta})

    async def _record(self, kind: str, place: Place, obj: Json) -> None:
        self._history.append((self._version, kind, place.collection, obj))
        self.on_write(kind, self._shown(obj))
        async with self._wake:
            self._wake.notify_all()

    def _call(self, verb: str, path: str) -> "_Call":
        self.calls.append((verb, path))
        fault = next((f for f in self._faults if f.verb == verb and path.startswith(f.path)), None)
        if fault is None:
            return _Call(None)
        fault.times -= 1
        if fault.times <= 0:
            self._faults.remove(fault)
        return _Call(fault)


class _Call:
    """Raises a fault's error before the call, or after it was carried out."""

    def __init__(self, fault: Fault | None) -> None:
        self._fault = fault

    def __enter__(self) -> None:
        if self._fault is not None and not self._fault.after:
            raise self._fault.error

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None and self._fault is not None and self._fault.after:
            raise self._fault.error


def lost_answer(verb: str, path: str) -> Fault:
    """The call is carried out, but its answer never arrives."""
    return Fault(verb, path, ClusterUnavailable(f"{verb} {path}: no answer"), after=True)


def _check(old: Json, meta: Mapping[str, Any]) -> None:
    for name in ("uid", "resourceVersion"):
        if meta.get(name) not in (None, "", old["metadata"][name]):
            raise Conflict(f"{old['metadata']['name']}: {name} is {old['metadata'][name]} now")


def _check_uid(old: Json, meta: Mapping[str, Any]) -> None:
    """A patch for an object that was replaced by another one of its name (422 on metadata.uid)."""
    is_same_version = meta.get("resourceVersion") in (None, "", old["metadata"]["resourceVersion"])
    if is_same_version and meta.get("uid") not in (None, "", old["metadata"]["uid"]):
        raise Gone(f"{old['metadata']['name']} is another object now")


def _without_lock(obj: Json) -> Json:
    meta = {k: v for k, v in obj["metadata"].items() if k != "resourceVersion"}
    return {**obj, "metadata": meta}


def _allowed(place: Place, old: Json, wanted: Json) -> Json:
    """The main path changes all but the status, the status path nothing but the status."""
    if not place.has_status:
        return wanted
    inner = {k: v for k, v in (old if place.is_status else wanted).items() if k != "status"}
    status = (wanted if place.is_status else old).get("status")
    return inner if status is None else {**inner, "status": status}


def _unchanged(old: Json, new: Json) -> bool:
    """A write that changes nothing makes no new version, as on the real server."""
    return _bare(old) == _bare(new)


def _bare(obj: Json) -> Json:
    system = ("resourceVersion", "generation", "uid", "creationTimestamp")
    meta = {k: v for k, v in obj["metadata"].items() if k not in system}
    return {**{k: v for k, v in obj.items() if k not in ("apiVersion", "kind")}, "metadata": meta}
