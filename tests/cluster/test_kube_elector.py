"""Electors as processes on the real API server: killed, stopped, blocked, cut off."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from overspill.kube.watchdog import EXIT_CODE
from overspill.testing.bed import Bed

pytestmark = pytest.mark.cluster

SOURCE = Path(__file__).resolve().parents[2] / "operator"


class Candidate:
    """One process that stands for election, with its words in a file."""

    def __init__(self, bed: Bed, namespace: str, identity: str, log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "overspill.testing.candidate"]
        with log.open("wb") as words, log.with_suffix(".err").open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, bed.kubeconfig, namespace, identity],
                stdout=words,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": str(SOURCE)},
            )

    def says(self, words: str, seconds: float = 30) -> None:
        """Waits for a line."""
        began = time.monotonic()
        while words not in self.log.read_text():
            assert time.monotonic() - began < seconds, self.log.with_suffix(".err").read_text()
            time.sleep(0.05)

    def acts(self) -> list[float]:
        """When it acted as the leader."""
        lines = self.log.read_text().splitlines()
        return [float(line.split()[1]) for line in lines if line.startswith("acting ")]

    def leads_after(self, moment: float, seconds: float) -> float:
        """How long after `moment` it first acted; fails when that takes longer than `seconds`."""
        while not (later := [at for at in self.acts() if at > moment]):
            assert time.monotonic() - moment < seconds, self.log.with_suffix(".err").read_text()
            time.sleep(0.05)
        return later[0] - moment

    def send(self, number: signal.Signals) -> float:
        """Sends a signal; returns the moment."""
        self.process.send_signal(number)
        return time.monotonic()


class Pair:
    """A leader and its standby."""

    def __init__(self, bed: Bed, namespace: str, tmp_path: Path) -> None:
        self.first = Candidate(bed, namespace, "first", tmp_path / "first")
        self.first.says("acting")
        self.second = Candidate(bed, namespace, "second", tmp_path / "second")
        self.second.says("sees first")

    def acted_together(self) -> bool:
        """Whether both ever acted within the same stretch of time."""
        first, second = self.first.acts(), self.second.acts()
        return bool(first and second and max(first) > min(second))

    def end(self) -> None:
        for candidate in (self.first, self.second):
            candidate.process.send_signal(signal.SIGCONT)
            candidate.process.kill()
            candidate.process.wait()


@pytest.fixture
def pair(bed: Bed, namespace: str, tmp_path: Path) -> Iterator[Pair]:
    pair = Pair(bed, namespace, tmp_path)
    yield pair
    pair.end()


def test_after_kill_9_the_standby_leads_within_20_seconds(pair: Pair):
    killed = pair.first.send(signal.SIGKILL)
    took = pair.second.leads_after(killed, 20)
    assert took > 10
    assert not pair.acted_together()


def test_after_sigterm_the_standby_leads_within_3_seconds(pair: Pair):
    asked = pair.first.send(signal.SIGTERM)
    assert pair.second.leads_after(asked, 3) < 3
    assert pair.first.process.wait(5) == 0
    assert not pair.acted_together()


def test_a_leader_whose_loop_is_blocked_is_ended_by_its_watchdog(pair: Pair):
    blocked = pair.first.send(signal.SIGUSR1)
    assert pair.first.process.wait(12) == EXIT_CODE
    assert time.monotonic() - blocked < 11.5
    pair.second.leads_after(blocked, 20)
    assert not pair.acted_together()


def test_a_stopped_leader_that_wakes_up_does_not_act_again(pair: Pair):
    stopped = pair.first.send(signal.SIGSTOP)
    pair.second.leads_after(stopped, 20)
    pair.first.send(signal.SIGCONT)
    assert pair.first.process.wait(3) == EXIT_CODE
    assert not pair.acted_together()


def test_a_hung_api_server_ends_the_leader_at_its_deadline(bed: Bed, pair: Pair):
    """Where the client's own elector went on working 20 seconds later."""
    bed.apiserver.pause()
    hung = time.monotonic()
    try:
        assert pair.first.process.wait(12) == EXIT_CODE
        assert time.monotonic() - hung < 11.5
    finally:
        bed.apiserver.resume()
    pair.second.leads_after(time.monotonic(), 20)
    assert not pair.acted_together()


def test_a_restart_of_the_api_server_does_not_cost_the_leadership(bed: Bed, pair: Pair):
    bed.apiserver.kill()
    bed.apiserver.start()
    back = time.monotonic()
    pair.first.leads_after(back + 5, 10)
    assert pair.first.process.poll() is None
    assert pair.second.acts() == []
