"""pytest fixtures on the test bed: one control plane a session, a namespace a test.

A conftest imports the fixtures by name. They share one bed even when several conftests do:
the session's configuration holds it. `OVERSPILL_REAL_NODE=1` gives the shared bed a real node;
`real_bed` gets one in any case, or skips and says why.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

import pytest

from overspill.testing import chart
from overspill.testing.bed import Bed, BedOptions, Cluster
from overspill.testing.bed.clients import KubectlError
from overspill.testing.bed.target import open_cluster

__all__ = [
    "bed",
    "cluster",
    "free_real_node",
    "namespace",
    "nothing_left",
    "real_bed",
    "real_namespace",
    "standing",
]

KINDS = ("gpujobs", "gpuleases", "gpuproviders", "slaclasses", "nodes", "namespaces", "pods")

_BED = pytest.StashKey[Bed]()
_REAL_BED = pytest.StashKey[Bed]()
_OTHER = pytest.StashKey[Cluster]()


@pytest.fixture(scope="session")
def bed(pytestconfig: pytest.Config) -> Bed:
    """The session's control plane, with simulated nodes only unless told otherwise."""
    if _BED not in pytestconfig.stash:
        if os.environ.get("CLUSTER", "local") != "local":
            pytest.skip("this test starts and kills components, so it needs CLUSTER=local")
        wanted = os.environ.get("OVERSPILL_REAL_NODE") == "1"
        pytestconfig.stash[_BED] = _start(pytestconfig, real=wanted)
    return pytestconfig.stash[_BED]


@pytest.fixture
def real_bed(pytestconfig: pytest.Config) -> Bed:
    """A bed with the machine's one real node: the shared bed if it has it, or a second one.

    Looked up for every test, for `free_real_node` may have ended the one that was there before.
    """
    shared = pytestconfig.stash.get(_BED, None)
    if shared is not None and shared.real_node is not None:
        return shared
    if _REAL_BED not in pytestconfig.stash:
        pytestconfig.stash[_REAL_BED] = _start(pytestconfig, real=True)
    found = pytestconfig.stash[_REAL_BED]
    if found.real_node is None:
        pytest.skip(f"no real node: {found.real_node_skipped}")
    return found


@pytest.fixture(scope="session")
def free_real_node(pytestconfig: pytest.Config) -> Callable[[], None]:
    """Gives the machine's one real node to a program that a test starts; `real_bed` starts anew."""

    def free() -> None:
        shared = pytestconfig.stash.get(_BED, None)
        if shared is not None and shared.real_node is not None:
            pytest.skip("the session's own bed has the real node; unset OVERSPILL_REAL_NODE")
        held = pytestconfig.stash.get(_REAL_BED, None)
        if held is not None:
            held.stop()
            del pytestconfig.stash[_REAL_BED]

    return free


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Cluster:
    """Whatever `CLUSTER` names; for tests that neither kill components nor make nodes."""
    if os.environ.get("CLUSTER", "local") == "local":
        shared: Bed = request.getfixturevalue("bed")
        return shared
    stash = request.config.stash
    if _OTHER not in stash:
        stash[_OTHER] = open_cluster(progress=_shown(request.config))
    return stash[_OTHER]


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[str]:
    """A namespace of this test's own."""
    with cluster.namespace() as name:
        yield name


@pytest.fixture(scope="module", autouse=True)
def nothing_left(pytestconfig: pytest.Config) -> Iterator[None]:
    """Ends each module without any object of ours, or any simulated node, that its tests made or
    changed on a shared bed: which module comes next is a matter of luck."""
    yield
    for key in (_BED, _REAL_BED):
        if key in pytestconfig.stash:
            chart.forget_everything(pytestconfig.stash[key])
            pytestconfig.stash[key].nodes.delete_all()


def standing(config: pytest.Config) -> str:
    """What a failed test leaves in its clusters, for its report."""
    told = []
    for key in (_BED, _REAL_BED):
        for kind in KINDS if key in config.stash else ():
            with contextlib.suppress(KubectlError):  # no such kind, or the API server failed
                told.append(config.stash[key].kubectl("get", kind, "-A", "-o", "wide"))
    return "\n".join(told)


@pytest.fixture
def real_namespace(real_bed: Bed) -> Iterator[str]:
    """A namespace of this test's own on the bed with the real node."""
    with real_bed.namespace() as name:
        yield name


def _start(config: pytest.Config, *, real: bool) -> Bed:
    keep = os.environ.get("OVERSPILL_KEEP") == "1"
    options = BedOptions(real_node="auto" if real else "no", keep=keep)
    started = Bed.start(options, _shown(config))
    config.add_cleanup(started.stop)
    return started


def _shown(config: pytest.Config) -> Callable[[str], None]:
    """Progress past pytest's capturing: a cold build takes minutes and must be seen."""
    capture = config.pluginmanager.getplugin("capturemanager")
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    # A worker of pytest-xdist speaks to its master on stdout.
    stream, label = (sys.stderr, f"{worker}: ") if worker else (sys.stdout, "")

    def show(line: str) -> None:
        if capture is None:
            print(f"{label}{line}", flush=True, file=stream)
            return
        with capture.global_and_fixture_disabled():
            print(f"\n{label}{line}", end="", flush=True, file=stream)

    return show
