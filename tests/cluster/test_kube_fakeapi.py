"""The API server in memory answers like the real one wherever unit tests rely on it."""

from collections.abc import AsyncIterator, Awaitable

import pytest

from overspill.core.errors import OverspillError
from overspill.kube.mapping import lease_manifest
from overspill.kube.resources import LEASE_FINALIZER, Kind, collection
from overspill.kube.verbs import Verbs
from overspill.kube.wire import Listing, WatchLimits, Wire
from overspill.testing.bed import Bed
from overspill.testing.connection import connected
from overspill.testing.fakeapi import FakeApi
from overspill.testing.kube_bed import install_crds
from overspill.testing.kube_samples import planned_lease

pytestmark = pytest.mark.cluster


@pytest.fixture
async def verbs(bed: Bed) -> AsyncIterator[Verbs]:
    install_crds(bed)
    async with connected(bed.kubeconfig) as verbs:
        yield verbs


class Script:
    """Plays the same calls on any API server and notes what each one comes to."""

    def __init__(self, wire: Wire, namespace: str) -> None:
        self.wire = wire
        self.leases = collection(Kind.LEASE, namespace)
        self.body = lease_manifest(planned_lease(namespace=namespace))
        self.path = f"{self.leases}/{self.body['metadata']['name']}"
        self.notes: list[str] = []
        self.seen: dict = {}

    async def note(self, what: str, call: Awaitable[dict]) -> dict:
        """One line: how it ended, and what the object then is."""
        try:
            obj = await call
        except OverspillError as error:
            self.notes.append(f"{what}: {type(error).__name__}")
            return {}
        self.notes.append(f"{what}: {self.told(obj)}")
        if "resourceVersion" in obj.get("metadata", {}):
            self.seen = obj
        return obj

    def told(self, obj: dict) -> str:
        meta, old = obj.get("metadata", {}), self.seen.get("metadata", {})
        if not meta.get("uid"):
            return "no object"
        moved = meta["resourceVersion"] != old.get("resourceVersion")
        return (
            f"generation {meta['generation']}, {'new' if moved else 'same'} version, "
            f"finalizers {meta.get('finalizers')}, deleting {'deletionTimestamp' in meta}, "
            f"state {obj.get('status', {}).get('state')}, labels {sorted(meta.get('labels', {}))}"
        )

    async def play(self) -> list[str]:
        wire, path = self.wire, self.path
        await self.note("absent", wire.get(path))
        await self.note("patch absent", wire.patch(path, {"metadata": {"labels": {"a": "b"}}}))
        first = await self.note(
            "create, status is dropped",
            wire.create(self.leases, {**self.body, "status": {"state": "Active"}}),
        )
        begin: Listing = await wire.list_consistent(self.leases)
        await self.note("create again", wire.create(self.leases, self.body))
        await self.note("status", wire.patch(f"{path}/status", {"status": {"state": "Opening"}}))
        await self.note(
            "the same status", wire.patch(f"{path}/status", {"status": {"state": "Opening"}})
        )
        await self.note(
            "status by the main path", wire.patch(path, {"status": {"state": "Active"}})
        )
        await self.note(
            "labels by the status path",
            wire.patch(f"{path}/status", {"metadata": {"labels": {"x": "y"}}}),
        )
        await self.note("a label", wire.patch(path, {"metadata": {"labels": {"x": "y"}}}))
        await self.note(
            "another uid", wire.patch(path, {"metadata": {"uid": "another", "labels": {"x": "z"}}})
        )
        stale = {"resourceVersion": first["metadata"]["resourceVersion"]}
        await self.note(
            "a stale version",
            wire.patch(f"{path}/status", {"metadata": stale, "status": {"state": "Active"}}),
        )
        await self.note(
            "delete by another uid", wire.delete(path, {"preconditions": {"uid": "another"}})
        )
        await self.note("delete by a stale version", wire.delete(path, {"preconditions": stale}))
        await self.note("delete with a finalizer", wire.delete(path))
        await self.note("delete again", wire.delete(path))
        await self.note(
            "status while deleting", wire.patch(f"{path}/status", {"status": {"state": "Closing"}})
        )
        await self.note("the finalizer goes", wire.patch(path, {"metadata": {"finalizers": []}}))
        await self.note("gone", wire.get(path))
        await self.note("delete what is gone", wire.delete(path))
        self.notes.extend(await self.events(begin.resource_version))
        return self.notes

    async def events(self, version: str) -> list[str]:
        if isinstance(self.wire, FakeApi):
            await self.wire.end_watches()
        params = {"resourceVersion": version}
        watch = self.wire.watch(self.leases, params, WatchLimits(timeout_s=1))
        if isinstance(self.wire, FakeApi):
            found = []
            async for kind, obj in watch:
                found.append((kind, obj))
                if kind == "DELETED":
                    break
            await watch.aclose()
        else:
            found = [event async for event in watch]
        return [
            f"{kind} {obj.get('status', {}).get('state')}, {'deletionTimestamp' in obj['metadata']}"
            for kind, obj in found
            if kind != "BOOKMARK"
        ]


async def test_the_double_agrees_with_the_real_server(verbs: Verbs, namespace: str):
    real = await Script(verbs, namespace).play()
    double = await Script(FakeApi(), namespace).play()
    assert double == real
    assert any(LEASE_FINALIZER in note for note in real)
