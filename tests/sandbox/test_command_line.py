"""The command line explains itself, prints where it listens, and fails in a sentence."""

import argparse
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from overspill.cli import sandbox as verb
from overspill.sandbox.faults import HTTP_ACTIONS, MARKET_ACTIONS
from overspill.sandbox.main import options_from, parser
from overspill.sandbox.options import SandboxOptions
from overspill.testing.sandbox import Sandbox, arguments

from .rig import eventually


def test_help_names_every_fault_and_option() -> None:
    text = parser("overspill sandbox").format_help()
    for word in (*HTTP_ACTIONS, *MARKET_ACTIONS, "--allow-exec", "--supply", "/_sandbox/summary"):
        assert word in text


def test_the_verb_takes_the_same_options() -> None:
    root = argparse.ArgumentParser()
    verb.add(root.add_subparsers())
    args = root.parse_args(["sandbox", "--seed", "7", "--listen", "127.0.0.1:9"])
    assert args.run is verb.run
    assert options_from(args).seed == 7
    assert options_from(args).port == 9


def test_options_survive_the_command_line() -> None:
    options = SandboxOptions(
        port=8,
        api_key="k",
        ledger=Path("l"),
        supply=Path("s"),
        supply_traces=(Path("t.json"), Path("u.jsonl.gz")),
        seed=3,
        time_scale=2.5,
        allow_exec=True,
        isolate=False,
        bridge_cidr="10.9.0.0/24",
        share=(Path("a"), Path("b")),
        restart_backoff_s=0.5,
        trial=True,
        until_stdin_closes=True,
    )
    assert options_from(parser().parse_args(list(arguments(options)))) == options


def test_it_starts_answers_and_leaves_its_ledger(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.jsonl"
    with Sandbox.start(SandboxOptions(ledger=ledger, api_key="k")) as market:
        answer = httpx.get(f"{market.url}/v1/balances", headers={"x-api-key": "k"}, trust_env=False)
        assert answer.json()["data"]["balance"] == 10_000
        market.kill_host("aurora")
        assert [h["online"] for h in market.hosts() if h["name"] == "aurora"] == [False]
    assert market.process.returncode == 0
    assert '"host_down"' in ledger.read_text()


def test_it_ends_with_whoever_started_it() -> None:
    source = str(Path(__file__).parents[2] / "operator")
    program = (
        "from overspill.testing.sandbox import Sandbox; import os, signal;"
        "print(Sandbox.start().process.pid, flush=True); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": source},
    )
    assert done.returncode == -9
    started = Path("/proc") / done.stdout.strip() / "cmdline"
    eventually(lambda: not started.exists() or not started.read_bytes())  # gone, or not yet reaped


@pytest.mark.parametrize(
    "wrong",
    [
        ["--supply", "/nonexistent"],
        ["--supply-trace", "/nonexistent.json"],
        ["--time-scale", "0"],
        ["--listen", "127.0.0.1:x"],
    ],
    ids=["no such supply", "no such trace", "time stands still", "not a port"],
)
def test_what_cannot_work_is_one_sentence(wrong: list[str]) -> None:
    source = str(Path(__file__).parents[2] / "operator")
    done = subprocess.run(
        [sys.executable, "-m", "overspill.sandbox", *wrong],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PYTHONPATH": source},
    )
    assert done.returncode == 1
    assert done.stderr.startswith("The sandbox could not start: ")
    assert len(done.stderr.splitlines()) == 1
