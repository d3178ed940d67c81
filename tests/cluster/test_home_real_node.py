"""The runner in a real pod: a kubelet expands its text, a container runs it, HTTP carries it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from overspill.clock import SystemClock
from overspill.core.lease import Handle
from overspill.core.observation import Observation
from overspill.core.vocabulary import Phase
from overspill.runner.wrap import RunnerMode, wrapped_template
from overspill.serve.app import ServeOptions, report_app, start
from overspill.serve.reports import ReportBook
from overspill.testing.bed import Bed, RealNode
from overspill.testing.home_bed import HomeBed, home_on

pytestmark = [pytest.mark.cluster, pytest.mark.real_node]

BUSYBOX = "overspill.dev/busybox:1"
WRITE_CHECKPOINT = (
    'printf "$OVERSPILL_RESUME_URI/next\\n5\\n" >$OVERSPILL_DROP_DIR/new; '
    "mv $OVERSPILL_DROP_DIR/new $OVERSPILL_DROP_DIR/checkpoint; "
)


class Leader:
    """Leads."""

    def is_leader(self) -> bool:
        return True

    def leader_url(self) -> str:
        return ""


@pytest.fixture
def node(real_bed: Bed) -> RealNode:
    assert real_bed.real_node is not None
    real_bed.real_node.set_gpus(2)
    return real_bed.real_node


@pytest.fixture
async def home(real_bed: Bed) -> AsyncIterator[HomeBed]:
    async with home_on(real_bed) as started:
        yield started


@pytest.fixture
async def desk(real_bed: Bed) -> AsyncIterator[tuple[ReportBook, str]]:
    """A report endpoint that pods can reach, and its URL."""
    book = ReportBook(b"secret", SystemClock())
    options = ServeOptions(report_listen=f"{real_bed.bridge_address}:0")
    app = report_app(options, book, Leader(), SystemClock())
    serving = await start(options, app, tuple, tuple)
    yield book, f"http://{real_bed.bridge_address}:{serving.report_port}"
    await serving.stop()


@pytest.fixture
def opened(
    real_namespace: str, node: RealNode, home: HomeBed, desk: tuple[ReportBook, str]
) -> Callable[[str], Awaitable[Handle]]:
    """Opens a lease whose one container runs a script under the runner."""
    book, url = desk

    async def open_with(script: str) -> Handle:
        drawn = await home.request(real_namespace, node.name, pod_template(node, script))
        env = (
            ("OVERSPILL_LEASE", drawn.key),
            ("OVERSPILL_ATTEMPT", "1"),
            ("OVERSPILL_REPORT_URL", url),
            ("OVERSPILL_RUNNER_MODE", RunnerMode.EXIT.value),
            ("OVERSPILL_HEARTBEAT_SECONDS", "1"),
        )
        template = wrapped_template(drawn.lease.request.template, env, with_runner=True)
        frozen = replace(drawn.lease.request, template=template)
        request = replace(
            drawn,
            lease=replace(drawn.lease, request=frozen),
            secrets={"OVERSPILL_REPORT_TOKEN": book.token(drawn.key)},
        )
        book.permit_start(drawn.key, "s3://old/4")
        return (await home.provider.open(request)).handle

    return open_with


def pod_template(node: RealNode, script: str) -> dict[str, Any]:
    container = {
        "name": "train",
        "image": BUSYBOX,
        "imagePullPolicy": "Never",
        "command": ["sh", "-c", script],
    }
    return {
        "spec": {
            "containers": [container],
            "nodeSelector": {"kubernetes.io/hostname": node.name},
            "terminationGracePeriodSeconds": 10,
        }
    }


async def test_reports_from_a_real_pod(
    home: HomeBed, desk: tuple[ReportBook, str], opened: Callable[[str], Awaitable[Handle]]
) -> None:
    handle = await opened(WRITE_CHECKPOINT + "sleep 3; exit 7")

    failed = await home.reaches(handle, Phase.FAILED)

    assert failed.exit_code == 7
    report = desk[0].latest(handle.key)
    assert report is not None
    assert (report.exit_code, report.checkpoint_uri) == (7, "s3://old/4/next")
    assert (report.checkpoint_step, report.attempt) == (5, 1)


async def test_an_evicted_pod_checkpoints_and_is_a_loss(
    home: HomeBed,
    real_namespace: str,
    desk: tuple[ReportBook, str],
    opened: Callable[[str], Awaitable[Handle]],
) -> None:
    handle = await opened(
        f"trap '{WRITE_CHECKPOINT.replace(chr(39), '')} exit 0' TERM; while :; do sleep 1; done"
    )
    await home.reaches(handle, Phase.RUNNING)

    async def has_begun() -> bool:
        report = desk[0].latest(handle.key)
        return report is not None and report.has_started

    await home.eventually("its first heartbeat", has_begun)
    pods = f"/api/v1/namespaces/{real_namespace}/pods"
    [pod] = await home.verbs.list_all(pods)
    name = pod["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    await home.verbs.create(f"{pods}/{name}/eviction", eviction)

    async def has_saved() -> bool:
        report = desk[0].latest(handle.key)
        return report is not None and report.has_stopped and report.checkpoint_step == 5

    await home.eventually("its last checkpoint", has_saved)
    ended = await home.eventually("its end", lambda: settled(home, handle))
    assert (ended.phase, ended.reason) == (Phase.LOST, "PodReplaced"), "its exit 0 is no success"
    report = desk[0].latest(handle.key)
    assert report is not None
    assert report.exit_code is None, "what was ordered is no outcome"


async def settled(home: HomeBed, handle: Handle) -> Observation | None:
    """What the child came to."""
    seen = await home.provider.observe(handle)
    running = (Phase.RUNNING, Phase.TERMINATING, Phase.PENDING, Phase.STARTING)
    return None if seen.phase in running else seen
