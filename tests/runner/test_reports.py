"""What the runner reports, with every shell and every HTTP client."""

from collections.abc import Callable

import pytest

from overspill.testing.runner import Endpoint, Machine, eventually

WRITE_CHECKPOINT = (
    'printf "s3://b/a b&c+d%%\\n12\\n" >$OVERSPILL_DROP_DIR/new; '
    "mv $OVERSPILL_DROP_DIR/new $OVERSPILL_DROP_DIR/checkpoint; "
)


@pytest.mark.parametrize("shell", ["dash", "busybox"])
@pytest.mark.parametrize("client", ["curl", "wget", "python3"])
def test_tells_the_whole_life(
    machine_with: Callable[[str, str | None], Machine],
    endpoint: Endpoint,
    shell: str,
    client: str,
) -> None:
    machine = machine_with(shell, client)
    wait = "while [ ! -e $OVERSPILL_DROP_DIR/go ]; do sleep 1; done; exit 7"
    process = machine.start(WRITE_CHECKPOINT + "echo 40 >$OVERSPILL_DROP_DIR/progress; " + wait)

    eventually("a heartbeat with the checkpoint", lambda: _has_checkpoint(endpoint))
    (machine.drop / "go").touch()

    assert process.wait(20) == 7
    assert endpoint.tokens == {"Bearer tok+en"}
    assert endpoint.events()[0] == "hello"
    assert endpoint.events().count("exited") == 1
    last = endpoint.last("exited")
    assert (last["lease"], last["attempt"], last["exit_code"]) == ("gl-0123abcd-1", "3", "7")
    assert (last["checkpoint_uri"], last["checkpoint_step"]) == ("s3://b/a b&c+d%", "12")
    assert (last["progress"], last["path"]) == ("40", "/v1/report")


def _has_checkpoint(endpoint: Endpoint) -> bool:
    return any(r["event"] == "heartbeat" and "checkpoint_uri" in r for r in endpoint.reports)


def test_a_new_checkpoint_is_told_long_before_the_next_heartbeat(
    machine: Machine, endpoint: Endpoint
) -> None:
    machine.start(WRITE_CHECKPOINT + "exec sleep 600", OVERSPILL_HEARTBEAT_SECONDS="600")

    eventually("the checkpoint", lambda: _has_checkpoint(endpoint), 15)


def test_shows_the_gpus(machine: Machine, endpoint: Endpoint) -> None:
    shim = machine.path / "nvidia-smi"
    shim.write_text(
        f"#!{machine.shell}\n"
        'echo "NVIDIA H100 80GB HBM3, 81559, GPU-1"\necho "NVIDIA H100 80GB HBM3, 81559, GPU-2"\n'
    )
    shim.chmod(0o755)

    assert machine.start("exit 0").wait(20) == 0

    line = "NVIDIA H100 80GB HBM3, 81559, GPU-"
    assert endpoint.last("hello")["gpus"] == f"{line}1|{line}2"


def test_the_command_gets_its_arguments_as_they_are(machine: Machine) -> None:
    words = ("a b", "$HOME", "", "'\"", "*", "-n", "two\nlines")
    script = 'for w in "$@"; do printf "<%s>" "$w"; done'

    process = machine.start_command((machine.shell, "-c", script, "name", *words), {})

    output, _ = process.communicate(timeout=20)
    assert output.decode() == "".join(f"<{word}>" for word in words)


def test_the_command_never_sees_the_token(machine: Machine) -> None:
    output, _ = machine.start("env").communicate(timeout=20)

    assert "tok+en" not in output.decode()
    assert "OVERSPILL_DROP_DIR" in output.decode()


def test_a_command_that_does_not_exist_ends_with_127(machine: Machine, endpoint: Endpoint) -> None:
    process = machine.start_command(("/no/such/command",), {})

    assert process.wait(20) == 127
    assert endpoint.last("exited")["exit_code"] == "127"


@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_without_any_client_the_job_still_runs(
    machine_with: Callable[[str, str | None], Machine], endpoint: Endpoint, shell: str
) -> None:
    assert machine_with(shell, None).start("exit 5").wait(20) == 5
    assert endpoint.reports == []


def test_without_a_report_url_the_job_still_runs(machine: Machine) -> None:
    assert machine.start("exit 6", OVERSPILL_REPORT_URL="").wait(20) == 6


def test_an_endpoint_that_is_away_never_stops_a_job_at_home(machine: Machine) -> None:
    away = "http://127.0.0.1:9"  # nothing listens on the discard port

    process = machine.start("exit 4", OVERSPILL_REPORT_URL=away, OVERSPILL_HELLO_SECONDS="1")

    assert process.wait(25) == 4


def test_an_endpoint_that_goes_away_half_way_changes_nothing(
    machine: Machine, endpoint: Endpoint
) -> None:
    endpoint.answer = lambda r: (200, "run") if r["event"] == "hello" else (500, "broken")

    process = machine.start("sleep 3; exit 9")

    assert process.wait(25) == 9
    assert endpoint.events().count("exited") > 1, "its last word was repeated"


def test_the_last_word_is_repeated_until_heard(machine: Machine, endpoint: Endpoint) -> None:
    def deaf_twice(report: dict[str, str]) -> tuple[int, str]:
        heard = report["event"] != "exited" or endpoint.events().count("exited") > 2
        return (200, "run") if heard else (503, "")

    endpoint.answer = deaf_twice

    assert machine.start("exit 3").wait(25) == 3
    assert endpoint.events().count("exited") == 3


def test_an_image_with_no_place_to_write_still_runs(machine: Machine, endpoint: Endpoint) -> None:
    nowhere = {"OVERSPILL_DROP_DIR": "/proc/nowhere", "TMPDIR": "/proc/nowhere"}

    assert machine.start("exit 8", **nowhere).wait(20) == 8
    assert endpoint.last("exited")["exit_code"] == "8"


def test_short_commands_leave_nothing_behind(machine: Machine) -> None:
    for _ in range(10):
        # Ends only when the last process that holds the output is gone.
        output, _ = machine.start("echo done").communicate(timeout=20)
        assert output == b"done\n"


@pytest.mark.parametrize("shell", ["dash", "busybox"])
def test_with_curl_the_next_report_tells_how_long_it_took_to_connect(
    machine_with: Callable[[str, str | None], Machine], endpoint: Endpoint, shell: str
) -> None:
    machine = machine_with(shell, "curl")
    assert machine.start("exit 3").wait(20) == 3
    assert "trip" not in endpoint.last("hello")
    last = endpoint.last("exited")
    lookup, connect = (float(part) for part in last["trip"].split(","))
    assert 0 <= lookup < connect < 20
