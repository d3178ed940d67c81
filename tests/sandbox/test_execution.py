"""Leases really run: restarts on empty disks, own networks, real exit codes, clean ends."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from overspill.sandbox.executor.network import sweep_leftovers
from overspill.sandbox.options import SandboxOptions
from overspill.testing.sandbox import Sandbox

from .rig import Running, eventually, executing, isolated, listening


@pytest.fixture(scope="module")
def market() -> Iterator[Running]:
    with isolated() as running:
        yield running


def bridge_of(running: Running) -> str:
    shown = subprocess.run(["ip", "-json", "addr"], capture_output=True, text=True, check=True)
    for link in json.loads(shown.stdout):
        if any(i["local"] == running.sandbox.bridge_address for i in link["addr_info"]):
            return str(link["ifname"])
    raise AssertionError("the sandbox has no bridge")


def network_of(bridge: str) -> list[str]:
    """What is left of a bridge and its namespaces; other sandboxes may come and go meanwhile."""
    shown = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True)
    names = [line.split()[0] for line in shown.stdout.splitlines()]
    links = [path.name for path in Path("/sys/class/net").iterdir()]
    return [
        n for n in (*names, *links) if n == bridge or n.startswith((f"{bridge}-", f"{bridge}v"))
    ]


def processes_with(mark: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if mark in entry.read_bytes().decode(errors="replace"):
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def test_an_exited_command_runs_again_on_an_empty_disk(market: Running) -> None:
    script = 'ls -A . /tmp; touch left-behind /tmp/left-behind; echo "ran $HOME"; exit 3'
    market.lease(script, key="restart")
    eventually(lambda: len(market.exits("restart")) >= 3)
    output = market.output("restart")
    assert "left-behind" not in output
    homes = [line for line in output.splitlines() if line.startswith("ran ")]
    assert len(set(homes)) == len(homes) >= 3
    assert set(market.exits("restart")) == {3}


def test_exit_zero_is_restarted_too(market: Running) -> None:
    market.lease("exit 0", key="zero")
    eventually(lambda: market.exits("zero")[:2] == [0, 0])


def test_the_environment_is_the_sdl_and_the_host_and_nothing_of_ours(market: Running) -> None:
    os.environ["OVERSPILL_TEST_SECRET"] = "must not travel"
    dseq = market.lease(
        "env; echo end; sleep 100", key="env", service={"env": ["GREETING=hello=there"]}
    )
    output = eventually(lambda: "end\n" in market.output("env") and market.output("env"))
    assert "GREETING=hello=there" in output
    assert f"AKASH_DEPLOYMENT_SEQUENCE={dseq}" in output
    assert "must not travel" not in output


def test_the_leased_gpu_is_what_nvidia_smi_tells(market: Running) -> None:
    query = "nvidia-smi --query-gpu=name,memory.total,uuid --format=csv,noheader,nounits"
    gpu = {"units": 2, "attributes": {"vendor": {"nvidia": [{"model": "l40s"}]}}}
    market.lease(f"{query}; nvidia-smi -L; sleep 100", key="gpu", resources={"gpu": gpu})
    lines = eventually(lambda: len(market.output("gpu").splitlines()) == 4 and market.output("gpu"))
    first, second, listed, _ = lines.splitlines()
    assert first.startswith("NVIDIA L40S, 46068, GPU-")
    assert first != second
    assert listed.startswith("GPU 0: NVIDIA L40S (UUID: GPU-")


def test_a_host_may_carry_another_gpu_than_it_sold(market: Running) -> None:
    market.sandbox.fault("wrong_gpu", key="lie", gpu={"model": "rtx3060", "ram": "12Gi"})
    market.lease("nvidia-smi -L; sleep 100", key="lie")
    eventually(lambda: "RTX 3060" in market.output("lie"))


def test_a_lease_reaches_the_bridge_and_nothing_else_of_this_machine(market: Running) -> None:
    other = market.lease("exec python3 -m http.server 8000", key="neighbour")
    address = market.sandbox.bridge_address
    with listening(address) as (url, asked), listening("127.0.0.1") as (loopback, not_asked):
        neighbour = f"http://{address.rsplit('.', 1)[0]}.2:8000"
        script = (
            f"curl -s -m 5 {url}/report && echo reached;"
            f"curl -s -m 2 {loopback} || echo no loopback;"
            f"curl -s -m 2 {market.sandbox.url} || echo no sandbox;"
            f"for n in 2 3 4 5 6 7 8 9; do curl -s -m 1 {neighbour.replace('.2:', '.$n:')}"
            " -o /dev/null && echo neighbour; done; echo end; sleep 100"
        )
        market.lease(script, key="reach")
        output = eventually(
            lambda: "end\n" in market.output("reach") and market.output("reach"), 40
        )
    assert asked == ["/report"]
    assert not_asked == []
    assert "reached" in output
    assert "no loopback" in output
    assert "no sandbox" in output
    assert "neighbour" not in output
    market.close(other)


def test_a_cut_lease_runs_on_and_reports_again_when_healed(market: Running) -> None:
    with listening(market.sandbox.bridge_address) as (url, asked):
        beat = f"while :; do curl -s -m 1 {url}/beat; echo beat; sleep 0.1; done"
        dseq = market.lease(beat, key="cut")
        eventually(lambda: len(asked) > 2)
        market.sandbox.cut("cut")
        before = len(asked)
        said = market.output("cut").count("beat")
        eventually(lambda: market.output("cut").count("beat") > said + 2)
        assert len(asked) <= before + 1  # one may have been on its way
        assert market.status(dseq)["services"]["job"]["available"] == 1
        market.sandbox.heal("cut")
        heard = len(asked)
        eventually(lambda: len(asked) > heard + 2)


def test_a_port_of_a_lease_is_reached_through_its_forward(market: Running) -> None:
    script = "echo hello > index.html; exec python3 -m http.server 8080"
    dseq = market.lease(script, key="port")
    ports = eventually(lambda: market.status(dseq)["forwarded_ports"])
    port = ports["job"][0]
    assert port["port"] == 8080
    url = f"http://{port['host']}:{port['externalPort']}/index.html"

    def answer() -> str:
        try:
            return httpx.get(url, trust_env=False).text
        except httpx.TransportError:
            return ""

    assert eventually(answer) == "hello\n"


def test_closing_asks_first_and_then_ends_everything_the_lease_started(market: Running) -> None:
    mark = "97531.25"
    waits = "echo ready; while :; do sleep 0.1; done"
    script = f"trap 'echo asked; exit 0' TERM; setsid sleep {mark} & {waits}"
    dseq = market.lease(script, key="close")
    eventually(lambda: "ready" in market.output("close"))  # the trap is set by then
    assert processes_with(mark)
    market.close(dseq)
    eventually(lambda: not processes_with(mark))
    assert "asked" in market.output("close")
    assert market.exits("close") == []  # nobody may take the end of a lease for an exit


def test_a_dead_host_kills_its_leases_and_a_revived_one_starts_them_empty(
    market: Running,
) -> None:
    dseq = market.lease(
        "ls -A; touch mark; echo up; sleep 100",
        key="host",
        resources={
            "gpu": {"units": 1, "attributes": {"vendor": {"nvidia": [{"model": "rtx4090"}]}}}
        },
    )
    eventually(lambda: "up" in market.output("host"))
    market.sandbox.kill_host("fjord")
    assert market.status(dseq) is None
    market.sandbox.revive_host("fjord")
    market.sandbox.advance(5)
    eventually(lambda: market.output("host").count("up") == 2)
    assert "mark" not in market.output("host")


def test_a_service_without_command_says_why_it_does_not_run(market: Running) -> None:
    market.lease("", key="none", service={"command": None, "args": None})
    eventually(lambda: "pulls no images" in market.output("none"))


def test_a_lease_may_not_change_the_network_it_is_in(market: Running) -> None:
    market.lease("ip link set eth0 down || echo refused; sleep 100", key="caps")
    eventually(lambda: "refused" in market.output("caps"))


def test_the_gateway_streams_the_logs(market: Running) -> None:
    dseq = market.lease("echo first; sleep 1; echo second; sleep 100", key="logs")
    eventually(lambda: "second" in market.output("logs"))
    lease = market.http.get(f"/v1/deployments/{dseq}").json()["data"]["leases"][0]
    providers = market.http.get("/v1/providers").json()
    uri = next(p["hostUri"] for p in providers if p["owner"] == lease["id"]["provider"])
    url = f"{uri}/lease/{dseq}/1/1/logs"
    assert market.http.get(url).status_code == 401
    body = {"data": {"ttl": 60, "leases": {"access": "full"}}}
    token = market.http.post("/v1/create-jwt-token", json=body).json()["data"]["token"]
    assert _lines(f"{url}?tail=1", token) == [{"name": "job-0", "message": "second"}]


def _lines(url: str, token: str) -> list[dict[str, str]]:
    import asyncio  # noqa: PLC0415 -- the one test that needs a loop of its own

    import aiohttp  # noqa: PLC0415 -- likewise

    async def read() -> list[dict[str, str]]:
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.ws_connect(url) as socket,
        ):
            return [json.loads(message.data) async for message in socket]

    return asyncio.run(read())


def test_two_sandboxes_have_networks_of_their_own(market: Running) -> None:
    with isolated() as other:
        assert other.sandbox.bridge_address != market.sandbox.bridge_address
        other.lease("echo here; sleep 100", key="two")
        eventually(lambda: "here" in other.output("two"))


def test_a_stopped_sandbox_leaves_nothing(market: Running) -> None:
    mark = "86420.5"
    with isolated() as other:
        bridge = bridge_of(other)
        other.lease(f"sleep {mark}", key="stop")
        eventually(lambda: processes_with(mark))
        assert len(network_of(bridge)) == 3  # the bridge, a namespace and its link
    assert processes_with(mark) == []
    assert network_of(bridge) == []


def test_a_killed_sandbox_takes_its_leases_along_and_the_next_one_sweeps(
    market: Running,
) -> None:
    mark = "75319.5"
    with isolated() as other:
        bridge = bridge_of(other)
        other.lease(f"setsid sleep {mark} & exec sleep {mark}", key="kill")
        eventually(lambda: len(processes_with(mark)) >= 2)
        other.sandbox.process.send_signal(signal.SIGKILL)
        other.sandbox.process.wait()
        eventually(lambda: processes_with(mark) == [])
    sweep_leftovers()  # what the next sandbox does first
    assert network_of(bridge) == []


def test_without_isolation_leases_still_run_and_say_so() -> None:
    with executing(isolate=False) as running:
        assert not running.sandbox.is_isolated
        assert running.sandbox.bridge_address == "127.0.0.1"
        mark = "64208.5"
        dseq = running.lease(f"echo here; setsid sleep {mark} & sleep {mark} & wait", key="bare")
        eventually(lambda: "here" in running.output("bare"))
        with pytest.raises(RuntimeError, match="cannot be cut"):
            running.sandbox.cut("bare")
        running.close(dseq)
        eventually(lambda: processes_with(mark) == [])


def test_time_scale_shortens_the_boot() -> None:
    with executing(time_scale=50.0, isolate=False) as running:
        began = time.monotonic()
        running.lease("echo up; sleep 100", key="fast")
        eventually(lambda: "up" in running.output("fast"))
        assert time.monotonic() - began < 10


def test_a_network_that_cannot_be_had_is_a_sentence_and_an_exit_code(market: Running) -> None:
    taken = f"{market.sandbox.bridge_address}/32"
    options = SandboxOptions(allow_exec=True, bridge_cidr=taken)
    with pytest.raises(RuntimeError, match="ended with 1"):
        Sandbox.start(options)


def test_a_network_may_be_chosen(market: Running) -> None:
    with isolated(bridge_cidr="10.214.77.0/28") as other:
        assert other.sandbox.bridge_address == "10.214.77.1"
        other.lease("ip addr show eth0; sleep 100", key="chosen")
        eventually(lambda: "10.214.77." in other.output("chosen"))
