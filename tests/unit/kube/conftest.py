"""A standing clock, an API server in memory, a store, and the Cluster port over them."""

import pytest

from overspill.kube.cluster import KubeCluster
from overspill.kube.store import Store
from overspill.testing.fakeapi import FakeApi
from overspill.testing.fakeclock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def cluster(api: FakeApi, store: Store, clock: FakeClock) -> KubeCluster:
    return KubeCluster(api, store, clock, "abcdef01-0000-4000-8000-000000000000", "pod-a")
