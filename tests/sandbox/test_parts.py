"""The small parts: clock, timeline, ledger, supply files, addresses, expansion, pauses."""

import asyncio
from decimal import Decimal
from pathlib import Path

import pytest

from overspill.sandbox.clock import SandboxClock
from overspill.sandbox.executor.copy import pause
from overspill.sandbox.executor.expansion import expand
from overspill.sandbox.ledger import Event, Ledger, billed, double_creates, doubles, load, orphans
from overspill.sandbox.markets.akash.address import address, is_address
from overspill.sandbox.markets.akash.sdl import parse_cpu, parse_size
from overspill.sandbox.supply import load_supply
from overspill.sandbox.timeline import Timeline


async def test_a_jump_wakes_a_sleeper() -> None:
    clock = SandboxClock()
    sleeper = asyncio.create_task(clock.sleep(3600))
    await asyncio.sleep(0)
    clock.advance(3601)
    await asyncio.wait_for(sleeper, 5)


def test_time_is_compressed_and_never_goes_back() -> None:
    clock = SandboxClock(1e6)
    first = clock.now()
    assert clock.now() - first > 0
    with pytest.raises(ValueError, match="only goes forward"):
        clock.advance(-1)


def test_planned_things_happen_in_order_and_at_their_own_time() -> None:
    timeline, seen = Timeline(), list[float]()
    timeline.at(2, seen.append)
    timeline.at(1, lambda at: timeline.at(at + 0.5, seen.append))
    timeline.run(1.9)
    assert seen == [1.5]
    timeline.run(5)
    assert seen == [1.5, 2]


def test_the_ledger_tells_orphans_doubles_and_bills(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    ledger = Ledger(lambda: 0.0, path)
    for id_ in ("1", "2"):
        ledger.write(Event.CREATED, market="m", key="k", id=id_)
        ledger.write(Event.LEASED, market="m", key="k", id=id_)
        ledger.write(Event.CHARGED, market="m", key="k", id=id_, usd=Decimal("0.25"))
    ledger.write(Event.LEASE_CLOSED, market="m", key="k", id="1")
    ledger.write(Event.CLOSED, market="m", key="k", id="1")
    ledger.close()
    entries = load(path)
    assert entries == ledger.entries()
    assert orphans(entries, known_keys={"k"}) == {}
    assert orphans(entries, known_keys=set()) == {"2": "k"}
    assert doubles(entries) == double_creates(entries) == {"k": ["1", "2"]}
    assert billed(entries) == {"k": Decimal("0.50")}


def test_one_lease_after_another_is_no_double() -> None:
    ledger = Ledger(lambda: 0.0)
    for id_ in ("1", "2"):
        ledger.write(Event.LEASED, market="m", key="k", id=id_)
        ledger.write(Event.LEASE_CLOSED, market="m", key="k", id=id_)
    assert doubles(ledger.entries()) == {}


SUPPLY = """
hosts:
- {name: one, gpu: {model: h100, ram: 80Gi, interface: sxm}, gpus: 8, usd_per_gpu_hour: 1.5}
- name: liar
  gpu: {model: h100, ram: 80Gi}
  lies_as: {model: rtx3060, ram: 12Gi}
  gpus: 2
  usd_per_gpu_hour: "0.9"
  mtbf_s: 3600
events:
- {at_s: 60, host: one, do: kill}
- {at_s: 10, host: one, do: price, usd_per_gpu_hour: 2}
"""


def test_a_supply_file_gives_hosts_and_their_script(tmp_path: Path) -> None:
    path = tmp_path / "supply.yaml"
    path.write_text(SUPPLY)
    supply = load_supply(path, seed=3)
    assert supply.hosts["one"].usd_per_gpu_hour == Decimal("1.5")
    assert supply.hosts["liar"].lies_as is not None
    assert [e.do for e in supply.events if e.host == "one"] == ["price", "kill"]
    churn = [e.at_s for e in supply.events if e.host == "liar"]
    assert churn == [e.at_s for e in load_supply(path, seed=3).events if e.host == "liar"]
    assert churn != [e.at_s for e in load_supply(path, seed=4).events if e.host == "liar"]


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("[]", TypeError, "no list named 'hosts'"),
        ("hosts: [{name: a, colour: red}]", ValueError, "unknown fields"),
        ("hosts: []\nevents: [{at_s: 1, host: b, do: kill}]", ValueError, "unknown hosts"),
        ("hosts: []\nevents: [{at_s: 1, host: b, do: paint}]", ValueError, "must do one of"),
    ],
    ids=["no hosts", "unknown field", "unknown host", "unknown deed"],
)
def test_a_wrong_supply_file_is_refused_in_words(
    tmp_path: Path, text: str, error: type[Exception], words: str
) -> None:
    path = tmp_path / "supply.yaml"
    path.write_text(text)
    with pytest.raises(error, match=words):
        load_supply(path)


def test_addresses_have_a_checksum() -> None:
    made = address("aurora")
    assert made.startswith("akash1")
    assert len(made) == 44
    assert is_address(made)
    assert is_address("akash1q7spv2cw06yszgfp4f9ed59lkka6ytn8g4tkjf")  # a real one
    assert not is_address(made[:-1] + ("q" if made[-1] != "q" else "p"))


@pytest.mark.parametrize(
    ("text", "value"),
    [("16Gi", 16 * 2**30), ("512Mi", 2**29), ("1G", 10**9), ("1.5Ki", 1536), (42, 42)],
    ids=str,
)
def test_sizes(text: object, value: int) -> None:
    assert parse_size(text) == value


@pytest.mark.parametrize(("text", "milli"), [("100m", 100), ("0.5", 500), (4, 4000)], ids=str)
def test_cpus(text: object, milli: int) -> None:
    assert parse_cpu(text) == milli


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("a $(A) b", "a 1 b"),
        ("$(NOBODY)", "$(NOBODY)"),
        ("$$(A)", "$(A)"),
        ("$A ${A}", "$A ${A}"),
        ("pid $$", "pid $"),
        ("$(date +%s)", "$(date +%s)"),
        ("open $(A", "open $(A"),
        ("end $", "end $"),
    ],
    ids=[
        "known",
        "unknown",
        "escaped",
        "not ours",
        "two dollars",
        "a command",
        "open",
        "at the end",
    ],
)
def test_arguments_are_expanded_as_a_kubelet_does(text: str, made: str) -> None:
    assert expand(text, {"A": "1"}) == made


def test_restarts_wait_longer_each_time_up_to_five_minutes() -> None:
    assert [pause(n, 10) for n in (1, 2, 3, 4, 8, 50)] == [0, 10, 20, 40, 300, 300]
