"""The report endpoint over real HTTP: who is let in, what is answered, and by which replica."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from overspill.clock import SystemClock
from overspill.serve.app import ServeOptions, Serving, report_app, start
from overspill.serve.reports import ReportBook
from overspill.testing.runner import Machine, NotInstalled, machine_of

LEASE = "gl-0123abcd-1"
BEAT = {"lease": LEASE, "attempt": "1", "event": "heartbeat"}
HELLO = {**BEAT, "event": "hello"}


@dataclass
class Replica:
    """One operator's endpoint. `leads` and `leader` are what its elector says."""

    book: ReportBook
    leads: bool = True
    leader: str = ""
    serving: Serving | None = None
    complaints: tuple[str, ...] = ()

    def is_leader(self) -> bool:
        return self.leads

    def leader_url(self) -> str:
        return self.leader

    @property
    def url(self) -> str:
        assert self.serving is not None
        return f"http://127.0.0.1:{self.serving.report_port}"

    @property
    def probes(self) -> str:
        assert self.serving is not None
        return f"http://127.0.0.1:{self.serving.metrics_port}"

    async def post(self, form: Any, token: str | None = None, **headers: str) -> tuple[int, str]:
        given = self.book.token(LEASE) if token is None else token
        headers["Authorization"] = f"Bearer {given}"
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{self.url}/v1/report", data=form, headers=headers) as answer,
        ):
            return answer.status, (await answer.text()).strip()


@pytest.fixture
async def replicas() -> AsyncIterator[Callable[[], Any]]:
    started: list[Replica] = []

    async def make() -> Replica:
        replica = Replica(ReportBook(b"secret", SystemClock()))
        options = ServeOptions(report_listen="127.0.0.1:0", metrics_listen="127.0.0.1:0")
        replica.serving = await start(
            options,
            report_app(options, replica.book, replica, SystemClock()),
            live=lambda: replica.complaints,
            ready=lambda: replica.complaints,
        )
        started.append(replica)
        return replica

    yield make
    for replica in started:
        if replica.serving is not None:
            await replica.serving.stop()


@pytest.fixture
async def replica(replicas: Callable[[], Any]) -> Replica:
    made: Replica = await replicas()
    return made


async def test_takes_a_report_and_answers(replica: Replica) -> None:
    replica.book.permit_start(LEASE, "s3://old/1")
    assert await replica.post(HELLO) == (200, "run s3://old/1")

    replica.book.command(LEASE, "checkpoint")
    assert await replica.post({**BEAT, "progress": "7"}) == (200, "checkpoint")
    report = replica.book.latest(LEASE)
    assert report is not None
    assert report.progress_percent == 7


@pytest.mark.parametrize("token", ["", "wrong", "0" * 64])
async def test_a_wrong_token_is_refused_and_changes_nothing(replica: Replica, token: str) -> None:
    status, text = await replica.post(BEAT, token)

    assert status == 401
    assert replica.book.token(LEASE) not in text
    assert replica.book.latest(LEASE) is None


async def test_a_token_of_another_lease_is_refused(replica: Replica) -> None:
    assert (await replica.post(BEAT, replica.book.token("gl-0123abcd-2")))[0] == 401


async def test_refuses_what_is_too_large_or_no_report(replica: Replica) -> None:
    assert (await replica.post({**BEAT, "junk": "x" * 20_000}))[0] == 413
    assert await replica.post({**BEAT, "progress": "much"}) == (
        400,
        "progress is not a whole number from 0 to 100",
    )
    assert (await replica.post(b"\xff\xff"))[0] == 400


async def test_an_attempt_that_is_over_gets_409(replica: Replica) -> None:
    replica.book.fence(LEASE)

    assert (await replica.post(BEAT))[0] == 409
    assert await replica.post(HELLO) == (200, "hold")


async def test_nobody_starts_before_the_engine_said_so(replica: Replica) -> None:
    assert (await replica.post(HELLO))[0] == 503


async def test_a_flood_is_held_back(replica: Replica) -> None:
    answers = [(await replica.post(BEAT))[0] for _ in range(25)]

    assert answers[:20] == [200] * 20
    assert 429 in answers[20:]


async def test_another_replica_hands_the_report_on(replicas: Callable[[], Any]) -> None:
    leader, follower = await replicas(), await replicas()
    follower.leads, follower.leader = False, leader.url
    leader.book.permit_start(LEASE, "")

    assert await follower.post(HELLO) == (200, "run")
    leader.book.fence(LEASE)
    assert (await follower.post(BEAT))[0] == 409

    assert follower.book.latest(LEASE) is None
    assert leader.book.latest(LEASE) is not None


async def test_a_report_makes_one_hop_at_most(replicas: Callable[[], Any]) -> None:
    one, two = await replicas(), await replicas()
    one.leads, one.leader = False, two.url
    two.leads, two.leader = False, one.url

    assert (await asyncio.wait_for(one.post(BEAT), 10))[0] == 503


@pytest.mark.parametrize("leader", ["", "http://127.0.0.1:9"])
async def test_without_a_reachable_leader_it_is_503(replica: Replica, leader: str) -> None:
    replica.leads, replica.leader = False, leader

    assert (await replica.post(BEAT))[0] == 503


async def test_a_wrong_token_does_not_reach_the_leader(replicas: Callable[[], Any]) -> None:
    follower = await replicas()
    follower.leads, follower.leader = False, "http://127.0.0.1:9"

    assert (await follower.post(BEAT, "wrong"))[0] == 401


async def test_probes_and_metrics(replica: Replica) -> None:
    async with aiohttp.ClientSession() as session:
        for path in ("/healthz", "/readyz"):
            async with session.get(replica.probes + path) as answer:
                assert (answer.status, await answer.text()) == (200, "ok\n")
        replica.complaints = ("the watch of pods has been silent for 151 s",)
        async with session.get(f"{replica.probes}/healthz") as answer:
            assert (answer.status, "pods" in await answer.text()) == (503, True)
        async with session.get(f"{replica.probes}/metrics") as answer:
            assert "overspill_loop_lag_seconds" in await answer.text()
        async with session.get(f"{replica.url}/metrics") as answer:
            assert answer.status == 404, "the public door shows nothing else"


async def test_an_address_that_is_taken_leaves_nothing_open(replica: Replica) -> None:
    assert replica.serving is not None
    options = ServeOptions(
        report_listen="127.0.0.1:0",
        metrics_listen=f"127.0.0.1:{replica.serving.metrics_port}",
    )
    app = report_app(options, replica.book, replica, SystemClock())

    with pytest.raises(OSError, match="address already in use"):
        await start(options, app, live=tuple, ready=tuple)
    with pytest.raises(ValueError, match="host:port"):
        await start(ServeOptions(metrics_listen="8080"), None, live=tuple, ready=tuple)


@pytest.mark.parametrize("shell", ["dash", "busybox"])
async def test_a_real_runner_against_the_real_endpoint(
    replica: Replica, tmp_path: Path, shell: str
) -> None:
    try:
        machine: Machine = machine_of(
            tmp_path, shell, "curl" if shell == "dash" else "wget", replica.url
        )
    except NotInstalled as error:
        pytest.skip(str(error))
    heard = asyncio.Event()
    replica.book.on_report = lambda lease: heard.set()
    replica.book.permit_start(LEASE, "s3://old/3")
    script = (
        'printf "$OVERSPILL_RESUME_URI+1\\n4\\n" >$OVERSPILL_DROP_DIR/new; '
        "mv $OVERSPILL_DROP_DIR/new $OVERSPILL_DROP_DIR/checkpoint; exit 6"
    )

    process = machine.start(script, OVERSPILL_REPORT_TOKEN=replica.book.token(LEASE))
    try:
        assert await asyncio.to_thread(process.wait, 20) == 6
    finally:
        machine.stop()

    assert heard.is_set()
    report = replica.book.latest(LEASE)
    assert report is not None
    assert (report.exit_code, report.checkpoint_uri) == (6, "s3://old/3+1")
    assert (report.checkpoint_step, report.attempt) == (4, 3)
