"""Every verb sees the same cluster, on a terminal of 100 columns."""

import pytest

from overspill.testing.cli_samples import FakeCluster, the_cluster


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    monkeypatch.setenv("COLUMNS", "100")
    return the_cluster()
