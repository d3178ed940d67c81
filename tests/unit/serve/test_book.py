"""What the report book remembers and answers."""

from collections.abc import Callable

import pytest

from overspill.core.observation import GpuEvidence
from overspill.serve import book as book_module
from overspill.serve.book import AttemptOver, Event, NotToldYet, ReportBook, Told
from overspill.testing.clock import ManualClock

LEASE = "gl-0123abcd-1"
GPU = GpuEvidence("NVIDIA H100 80GB HBM3", 81559, "GPU-1")
HELLO = Told(LEASE, 1, Event.HELLO)
BEAT = Told(LEASE, 1, Event.HEARTBEAT)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def book(clock: ManualClock) -> ReportBook:
    return ReportBook(b"cluster-secret", clock, public_url="https://reports.example")


def exited(code: int) -> Told:
    return Told(LEASE, 1, Event.EXITED, exit_code=code)


def checkpoint(step: int) -> Told:
    return Told(LEASE, 1, Event.HEARTBEAT, checkpoint_uri=f"s3://b/{step}", checkpoint_step=step)


def test_nobody_starts_before_the_engine_said_so(book: ReportBook) -> None:
    with pytest.raises(NotToldYet):
        book.receive(HELLO)
    report = book.latest(LEASE)
    assert report is not None, "it was heard all the same"
    assert not report.has_started


@pytest.mark.parametrize(
    ("steer", "answer"),
    [
        pytest.param(lambda b: b.permit_start(LEASE, ""), "run", id="permitted"),
        pytest.param(lambda b: b.permit_start(LEASE, "s3://x/9"), "run s3://x/9", id="resumes"),
        pytest.param(lambda b: b.make_wait(LEASE), "wait", id="its predecessor drains"),
        pytest.param(lambda b: b.fence(LEASE), "hold", id="fenced"),
        pytest.param(lambda b: b.forget(LEASE), "hold", id="closed"),
    ],
)
def test_answers_hello(book: ReportBook, steer: Callable[[ReportBook], None], answer: str) -> None:
    steer(book)

    assert book.receive(HELLO) == answer


def test_waits_and_then_starts(book: ReportBook) -> None:
    book.make_wait(LEASE)
    assert book.receive(HELLO) == "wait"
    book.permit_start(LEASE, "s3://old/3")
    assert book.receive(HELLO) == "run s3://old/3"


def test_a_fence_is_for_ever(book: ReportBook) -> None:
    book.fence(LEASE)
    book.permit_start(LEASE, "")
    book.make_wait(LEASE)

    assert book.receive(HELLO) == "hold"
    with pytest.raises(AttemptOver):
        book.receive(BEAT)


def test_a_zombie_of_a_closed_lease_changes_nothing(book: ReportBook) -> None:
    book.receive(checkpoint(5))
    book.forget(LEASE)
    book.permit_start(LEASE, "")
    book.fence(LEASE)

    with pytest.raises(AttemptOver):
        book.receive(checkpoint(9))
    assert book.latest(LEASE) is None


def test_a_finished_command_is_not_started_again(book: ReportBook) -> None:
    book.permit_start(LEASE, "")
    book.receive(exited(0))

    assert book.receive(HELLO) == "hold"


def test_a_stopped_command_may_be_started_again_from_its_own_checkpoint(book: ReportBook) -> None:
    book.permit_start(LEASE, "s3://old/3")
    book.receive(checkpoint(7))
    book.receive(Told(LEASE, 1, Event.STOPPED, exit_code=143))
    report = book.latest(LEASE)
    assert report is not None
    assert (report.has_stopped, report.exit_code) == (True, None)

    assert book.receive(HELLO) == "run s3://b/7"
    report = book.latest(LEASE)
    assert report is not None
    assert not report.has_stopped


def test_a_command_is_given_once_and_stop_beats_checkpoint(book: ReportBook) -> None:
    book.command(LEASE, "checkpoint")
    assert [book.receive(BEAT), book.receive(BEAT)] == ["checkpoint", "run"]

    book.command(LEASE, "stop")
    book.command(LEASE, "checkpoint")
    assert [book.receive(BEAT), book.receive(BEAT)] == ["stop", "run"]


def test_a_report_never_takes_back_what_was_said(book: ReportBook, clock: ManualClock) -> None:
    book.receive(Told(LEASE, 1, Event.HEARTBEAT, progress_percent=40, gpus=(GPU,)))
    book.receive(exited(3))
    clock.advance(5)

    book.receive(BEAT)  # was under way when the command ended
    book.receive(exited(0))

    report = book.latest(LEASE)
    assert report is not None
    assert (report.exit_code, report.progress_percent, report.gpus) == (3, 40, (GPU,))
    assert report.seen_at_monotonic_s == clock.monotonic()


def test_a_checkpoint_is_dated_when_it_changes(book: ReportBook, clock: ManualClock) -> None:
    book.receive(checkpoint(1))
    first = clock.now()
    clock.advance(60)
    book.receive(checkpoint(1))
    assert book.latest(LEASE).checkpoint_at == first  # type: ignore[union-attr]  # just received

    book.receive(checkpoint(2))
    assert book.latest(LEASE).checkpoint_at == clock.now()  # type: ignore[union-attr]  # as above


def test_reports_that_overtake_each_other_keep_the_newer_checkpoint(book: ReportBook) -> None:
    book.receive(checkpoint(8))
    book.receive(checkpoint(7))

    assert book.latest(LEASE).checkpoint_uri == "s3://b/8"  # type: ignore[union-attr]  # just received


def test_every_report_taken_in_is_announced(clock: ManualClock) -> None:
    heard: list[str] = []
    book = ReportBook(b"k", clock, on_report=heard.append)

    book.receive(BEAT)
    book.fence(LEASE)
    with pytest.raises(AttemptOver):
        book.receive(BEAT)

    assert heard == [LEASE]


def test_tokens_belong_to_one_lease_and_one_cluster(book: ReportBook, clock: ManualClock) -> None:
    token = book.token(LEASE)

    assert book.is_token(LEASE, token)
    assert not book.is_token(f"{LEASE}2", token)
    assert not book.is_token(LEASE, "")
    assert not book.is_token(LEASE, "ü\udcff")
    assert not ReportBook(b"other", clock).is_token(LEASE, token)


def test_without_a_secret_no_token_is_right(clock: ManualClock) -> None:
    book = ReportBook(b"", clock)

    assert not book.is_token(LEASE, "")
    with pytest.raises(ValueError, match="OVERSPILL_CLUSTER_SECRET"):
        book.token(LEASE)


def test_the_secret_is_in_no_representation(book: ReportBook) -> None:
    assert "cluster-secret" not in repr(book)


def test_fences_of_closed_leases_are_bounded(
    book: ReportBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(book_module, "MAX_TOMBSTONES", 2)
    for name in ("a", "b", "c"):
        book.forget(name)

    assert book.receive(Told("a", 1, Event.HEARTBEAT)) == "run", "the oldest was dropped"
    assert book.receive(Told("c", 1, Event.HELLO)) == "hold"


def test_of_round_trips_the_shortest_is_kept(book: ReportBook) -> None:
    book.permit_start(LEASE, "")
    for trip in (None, 80.0, 84.5, None, 90.0):
        book.receive(Told(LEASE, 1, Event.HEARTBEAT, rtt_ms=trip))
    report = book.latest(LEASE)
    assert report is not None
    assert report.rtt_ms == 80.0
