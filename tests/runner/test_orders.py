"""Who may start, who must hold, and how a command is told to checkpoint or to end."""

import signal
import time
from pathlib import Path

from overspill.testing.runner import Endpoint, Machine, eventually

LONG = "exec sleep 600"
READY = "touch $OVERSPILL_DROP_DIR/ready; "
"""Tells the test that traps are set."""


def is_ready(machine: Machine) -> bool:
    return (machine.drop / "ready").exists()


def test_resumes_from_the_checkpoint_it_is_told(machine: Machine, endpoint: Endpoint) -> None:
    endpoint.answer = lambda report: (200, "run s3://old/ckpt-9")

    process = machine.start("echo from $OVERSPILL_RESUME_URI", OVERSPILL_RESUME_URI="s3://older")

    output, _ = process.communicate(timeout=20)
    assert output.decode() == "from s3://old/ckpt-9\n"


def test_keeps_the_checkpoint_of_its_environment(machine: Machine) -> None:
    process = machine.start("echo from $OVERSPILL_RESUME_URI", OVERSPILL_RESUME_URI="s3://older")

    output, _ = process.communicate(timeout=20)
    assert output.decode() == "from s3://older\n"


def test_waits_for_its_predecessor(machine: Machine, endpoint: Endpoint, tmp_path: Path) -> None:
    endpoint.answer = lambda r: (200, "wait" if endpoint.events().count("hello") < 3 else "run")

    assert machine.start(f"touch {tmp_path}/started").wait(25) == 0

    assert endpoint.events().count("hello") == 3
    assert (tmp_path / "started").exists()


def test_an_attempt_that_is_over_is_not_started(
    machine: Machine, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.answer = lambda report: (200, "hold")

    process = machine.start(f"touch {tmp_path}/started")

    eventually("it goes on asking", lambda: endpoint.events().count("hello") > 1)
    assert process.poll() is None, "waits to be closed"
    assert not (tmp_path / "started").exists()


def test_in_mode_hold_nothing_starts_before_an_answer(
    machine: Machine, endpoint: Endpoint, tmp_path: Path
) -> None:
    endpoint.answer = lambda r: (503, "") if endpoint.events().count("hello") < 4 else (200, "run")

    machine.start(
        f"touch {tmp_path}/started; {LONG}",
        OVERSPILL_RUNNER_MODE="hold",
        OVERSPILL_HELLO_SECONDS="0",
    )

    eventually("the start", (tmp_path / "started").exists)
    assert endpoint.events().count("hello") == 4


def test_in_mode_hold_it_reports_and_waits_to_be_closed(
    machine: Machine, endpoint: Endpoint
) -> None:
    process = machine.start("exit 7", OVERSPILL_RUNNER_MODE="hold")

    eventually("its last word, again and again", lambda: endpoint.events().count("exited") > 1)
    assert process.poll() is None
    assert endpoint.last("exited")["exit_code"] == "7"

    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 143


def test_a_restarted_runner_does_not_run_a_finished_attempt_again(
    machine: Machine, endpoint: Endpoint, tmp_path: Path
) -> None:
    def answer(report: dict[str, str]) -> tuple[int, str]:
        return (200, "hold" if report["event"] == "hello" and endpoint.has("exited") else "run")

    endpoint.answer = answer
    count = f"echo run >>{tmp_path}/runs"
    first = machine.start(count, OVERSPILL_RUNNER_MODE="hold")
    eventually("the first end", lambda: endpoint.has("exited"))
    first.send_signal(signal.SIGTERM)
    first.wait(20)
    hellos = endpoint.events().count("hello")

    machine.start(count, OVERSPILL_RUNNER_MODE="hold")

    eventually("two more hellos", lambda: endpoint.events().count("hello") > hellos + 1)
    assert (tmp_path / "runs").read_text() == "run\n"


def test_asks_the_workload_for_a_checkpoint(machine: Machine, endpoint: Endpoint) -> None:
    endpoint.answer = lambda r: (200, "checkpoint" if r["event"] == "heartbeat" else "run")

    machine.start(READY + LONG)

    eventually("the command file", lambda: machine.dropped("command") == "checkpoint\n")
    assert machine.started[0].poll() is None, "no signal for a workload that did not ask for it"


def test_signals_a_workload_that_asked_for_it(machine: Machine, endpoint: Endpoint) -> None:
    endpoint.answer = lambda r: (200, "checkpoint" if r["event"] == "heartbeat" else "run")
    handler = "trap 'touch $OVERSPILL_DROP_DIR/saved' USR1; touch $OVERSPILL_DROP_DIR/handles-usr1;"

    machine.start(handler + "while :; do sleep 1; done")

    eventually("the signal", (machine.drop / "saved").exists)


def test_stops_when_told_and_kills_after_the_grace(machine: Machine, endpoint: Endpoint) -> None:
    endpoint.answer = lambda r: (200, "stop" if r["event"] == "heartbeat" else "run")

    process = machine.start("trap '' TERM; while :; do sleep 1; done", OVERSPILL_GRACE_SECONDS="1")

    assert process.wait(25) == 137
    assert machine.dropped("command") == "stop\n"
    assert endpoint.last("stopped")["exit_code"] == "137"
    assert not endpoint.has("exited"), "what was ordered is no outcome"


def test_a_fence_ends_a_zombie(machine: Machine, endpoint: Endpoint) -> None:
    endpoint.answer = lambda r: (200, "run") if r["event"] == "hello" else (409, "over")

    assert machine.start(LONG).wait(25) == 143
    assert endpoint.has("stopped")


def test_everything_the_command_started_ends_with_it(machine: Machine, tmp_path: Path) -> None:
    script = f"sleep 987 & echo $! >{tmp_path}/child; {READY} wait"
    process = machine.start(script)
    eventually("the child", lambda: is_ready(machine))
    child = int((tmp_path / "child").read_text())

    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 143
    eventually("the child's end", lambda: not Path(f"/proc/{child}").exists())


def test_the_places_signal_reaches_the_command_and_is_no_outcome(
    machine: Machine, endpoint: Endpoint
) -> None:
    script = "trap 'sleep 1; exit 3' TERM; " + READY + "while :; do sleep 1; done"
    process = machine.start(script)
    eventually("its trap", lambda: is_ready(machine))

    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 3, "the command's own code"
    assert endpoint.last("stopped")["exit_code"] == "3"
    assert not endpoint.has("exited")


def test_saving_and_ending_well_on_a_signal_is_not_a_success(
    machine: Machine, endpoint: Endpoint
) -> None:
    process = machine.start("trap 'exit 0' TERM; " + READY + "while :; do sleep 1; done")
    eventually("its trap", lambda: is_ready(machine))

    process.send_signal(signal.SIGTERM)

    assert process.wait(20) == 143
    assert endpoint.last("stopped")["exit_code"] == "0"


def test_a_command_that_ignores_the_signal_is_waited_for(
    machine: Machine, endpoint: Endpoint
) -> None:
    script = "trap '' TERM; " + READY + "while [ ! -e $OVERSPILL_DROP_DIR/go ]; do sleep 1; done"
    process = machine.start(script + "; exit 5")
    eventually("its trap", lambda: is_ready(machine))

    for _ in range(3):
        process.send_signal(signal.SIGTERM)
    eventually("a heartbeat after that", lambda: endpoint.events().count("heartbeat") > 1)
    assert process.poll() is None
    (machine.drop / "go").touch()

    assert process.wait(20) == 5


def test_the_hard_deadline_ends_the_command_with_nobody_there(machine: Machine) -> None:
    deadline = str(int(time.time()) + 2)

    process = machine.start(LONG, OVERSPILL_REPORT_URL="", OVERSPILL_HARD_DEADLINE=deadline)

    assert process.wait(25) == 143


def test_a_deadline_in_the_past_ends_it_at_once(machine: Machine, endpoint: Endpoint) -> None:
    process = machine.start(LONG, OVERSPILL_HARD_DEADLINE="1000")

    assert process.wait(25) == 143
    assert endpoint.has("stopped")
