"""How often a lease may report, and which watches are too old."""

from overspill.serve.health import old_watches
from overspill.serve.reports import Throttle
from overspill.testing.clock import ManualClock


def test_a_burst_is_borne_and_then_a_steady_rate() -> None:
    clock = ManualClock()
    throttle = Throttle(clock, burst=3, per_s=1)

    assert [throttle.admits("a") for _ in range(4)] == [True, True, True, False]
    assert throttle.admits("b"), "another lease is not held back"

    clock.advance(1.5)
    assert [throttle.admits("a"), throttle.admits("a")] == [True, False]


def test_a_refused_report_does_not_push_the_next_one_out() -> None:
    clock = ManualClock()
    throttle = Throttle(clock, burst=1, per_s=1)
    assert throttle.admits("a")
    for _ in range(10):
        throttle.admits("a")

    clock.advance(1)

    assert throttle.admits("a")


def test_silent_watches_are_named() -> None:
    assert old_watches({"nodes": 150.0, "pods": 151.0}) == [
        "the watch of pods has been silent for 151 s"
    ]
