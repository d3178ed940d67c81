"""`logs` finds the workload where it runs."""

import base64
import gc
from collections.abc import AsyncIterator, Mapping

import pytest

from overspill.cli import accounts
from overspill.cli.errors import CliError
from overspill.cli.logs import Wanted, logs
from overspill.cli.market_logs import market_log
from overspill.core.errors import LeaseNotFound, Unavailable
from overspill.core.lease import Handle
from overspill.core.vocabulary import ProviderType
from overspill.kube.mapping import lease_manifest, lease_status
from overspill.kube.resources import Kind
from overspill.testing.cli_samples import NOW, FakeCluster, active, lease_of, the_leases
from overspill.testing.kube_samples import full_lease

LEASE = "gl-1a2b3c4d-000000000000000001"
SELECTOR = f"overspill.dev/lease={LEASE}"


@pytest.fixture
def at_home(cluster: FakeCluster) -> FakeCluster:
    cluster.objects[Kind.LEASE] = the_leases()[:1]
    cluster.pods_by_selector = {SELECTOR: ["train-0"]}
    cluster.pod_logs = {"train-0": [b"step 1\nst", b"ep 2\n"], "train-1": [b"other\nlast"]}
    return cluster


def test_a_pods_log_is_passed_through(
    at_home: FakeCluster, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert logs(at_home, Wanted("finetune-7b", tail=5, follow=True)) == 0
    assert capsysbinary.readouterr().out == b"step 1\nstep 2\n"
    assert at_home.asked == [("train-0", True, 5)]


@pytest.mark.parametrize("follow", [False, True])
def test_a_gang_prints_whole_lines_with_the_pods_name(
    at_home: FakeCluster, capsysbinary: pytest.CaptureFixture[bytes], follow: bool
) -> None:
    at_home.pods_by_selector = {SELECTOR: ["train-1", "train-0"]}
    logs(at_home, Wanted("finetune-7b", follow=follow))
    lines = sorted(capsysbinary.readouterr().out.splitlines())
    assert lines == [
        b"[train-0] step 1",
        b"[train-0] step 2",
        b"[train-1] last",
        b"[train-1] other",
    ]


def test_an_earlier_attempt_can_be_named(
    cluster: FakeCluster, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    cluster.pods_by_selector = {SELECTOR: ["train-0"]}
    cluster.pod_logs = {"train-0": [b"old\n"]}
    logs(cluster, Wanted("finetune-7b", attempt=1))
    assert capsysbinary.readouterr().out == b"old\n"


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (Wanted("finetune-7b", attempt=7), "holds no attempt 7"),
        (Wanted("finetune-7b", attempt=1), "is over and its pods are gone"),
        (Wanted("nobody"), "not found"),
    ],
)
def test_a_log_that_is_not_there_is_explained(
    cluster: FakeCluster, wanted: Wanted, sentence: str
) -> None:
    with pytest.raises(CliError, match=sentence):
        logs(cluster, wanted)


def test_a_job_without_a_place_says_what_was_decided(cluster: FakeCluster) -> None:
    cluster.objects[Kind.LEASE] = []
    with pytest.raises(CliError, match=r"was not placed yet.*BurstToProviderSelected"):
        logs(cluster, Wanted("finetune-7b"))


# Rented: the market's log, behind the right to read its Secret.


class Market:
    """An adapter with a log; remembers how it was made."""

    def __init__(self, credentials: Mapping[str, str], error: Exception | None = None) -> None:
        self.credentials = credentials
        self.error = error
        self.closed = False
        self.asked: tuple[str, bool, int] | None = None

    async def logs(self, handle: Handle, *, follow: bool, tail: int) -> AsyncIterator[bytes]:
        self.asked = (handle.external_id, follow, tail)
        yield b"epoch 1"
        if self.error:
            raise self.error
        yield b"epoch 2"

    async def aclose(self) -> None:
        self.closed = True


class Endless(Market):
    """Goes on until it is left; `done` tells in which order its parts ended."""

    done: tuple[str, ...] = ()

    async def logs(self, handle: Handle, *, follow: bool, tail: int) -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"again"
        finally:
            self.done = (*self.done, "stream")

    async def aclose(self) -> None:
        self.done = (*self.done, "connections")


class Mute:
    """An adapter of a market without logs."""


@pytest.fixture
def rented(cluster: FakeCluster) -> FakeCluster:
    lease = full_lease()
    written = lease_manifest(lease)
    written["status"] = lease_status(lease, NOW)
    written["metadata"] |= {
        "uid": "u",
        "resourceVersion": "1",
        "creationTimestamp": "2026-11-25T08:00:00Z",
    }
    job = cluster.objects[Kind.JOB][0]
    job["metadata"]["uid"] = lease.job.uid
    cluster.objects[Kind.LEASE] = [written]
    akash = cluster.objects[Kind.PROVIDER][1]
    akash["spec"]["credentialsSecretRef"] = {"namespace": "overspill-system", "name": "akash"}
    cluster.secrets = {"akash": {"apiKey": base64.b64encode(b"k3y").decode()}}
    return cluster


def use(monkeypatch: pytest.MonkeyPatch, market: object) -> None:
    def create(_account: object, credentials: Mapping[str, str], _clock: object) -> object:
        if isinstance(market, Market):
            market.credentials = credentials
        return market

    monkeypatch.setattr(accounts, "adapters", lambda: {ProviderType.AKASH: create})


def test_a_rented_log_comes_from_the_market(
    rented: FakeCluster,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    market = Market({})
    use(monkeypatch, market)
    assert logs(rented, Wanted("finetune-7b", tail=9)) == 0
    assert capsysbinary.readouterr().out == b"epoch 1\nepoch 2\n"
    assert market.asked == ("18234", False, 9)
    assert market.credentials == {"apiKey": "k3y"}
    assert market.closed


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (Unavailable("no answer"), "Reading the log from akash failed: no answer"),
        (LeaseNotFound("404"), "does not know the lease any more"),
    ],
)
def test_a_market_that_fails_is_a_sentence(
    rented: FakeCluster, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    market = Market({}, error)
    use(monkeypatch, market)
    with pytest.raises(CliError, match=sentence):
        logs(rented, Wanted("finetune-7b"))
    assert market.closed


def test_a_log_that_is_read_no_further_is_left_from_the_outside_in(
    rented: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = Endless({})
    use(monkeypatch, market)
    lines = market_log(rented, rented.objects[Kind.LEASE][0], follow=True, tail=None)
    assert next(lines) == b"again"
    del lines  # as when the reader of a pipe leaves
    gc.collect()
    assert market.done == ("stream", "connections")


def test_who_may_not_read_the_secret_may_not_read_the_log(
    rented: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    rented.secrets = {}
    use(monkeypatch, Market({}))
    with pytest.raises(CliError, match="needs the right to read its Secret overspill-system/akash"):
        logs(rented, Wanted("finetune-7b"))


def test_a_market_without_logs_says_what_to_do(
    rented: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Mute())
    with pytest.raises(CliError, match="Akash gives no log through its API: open 18234"):
        logs(rented, Wanted("finetune-7b"))


def test_a_lease_that_is_not_open_yet_has_no_log(rented: FakeCluster) -> None:
    rented.objects[Kind.LEASE][0]["status"].pop("handle")
    with pytest.raises(CliError, match="has not opened lease"):
        logs(rented, Wanted("finetune-7b"))


def test_an_unreadable_record_is_a_sentence(cluster: FakeCluster) -> None:
    broken = lease_of(4, status=active("1", "2026-11-25T11:00:00Z"))
    del broken["spec"]["clusterID"]
    cluster.objects[Kind.LEASE] = [broken]
    with pytest.raises(CliError, match=r"cannot be read: spec\.clusterID is missing"):
        logs(cluster, Wanted("finetune-7b"))
