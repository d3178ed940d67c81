"""Supply replayed from traces: hosts come, go and change their price at the trace's times."""

import gzip
import json
import os
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from overspill.sandbox import traces
from overspill.sandbox.options import SandboxOptions
from overspill.sandbox.supply import Supply
from overspill.sandbox.traces import supply_of

from .conftest import open_market
from .market import Market

SHARED = Path(os.environ.get("OVERSPILL_SHARED", Path(__file__).parents[3] / "shared")) / "traces"
NAME = "us-west-2a_v100_8.json"


def line(minute: int, **sellers: float) -> dict[str, Any]:
    """One reading of the listings: the sellers that are there, and their USD per GPU-hour."""
    return {
        "timestamp": f"2025-10-19T21:{minute:02}:00+00:00",
        "gpu_type": "H100_80GB",
        "socket_type": "SXM5",
        "by_provider": {name: {"count": 2, "min": usd} for name, usd in sellers.items()},
    }


def listings(folder: Path, *lines: dict[str, Any]) -> Path:
    path = folder / "H100_80GB_SXM5.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, lines)).encode()))
    return path


def availability(folder: Path, *counts: int, gap_s: float = 600) -> Path:
    path = folder / NAME
    path.write_text(json.dumps({"metadata": {"gap_seconds": gap_s}, "data": counts}))
    return path


def replayed(*paths: Path, **options: Any) -> Supply:
    return supply_of(SandboxOptions(supply_traces=paths, **options))


def told(supply: Supply) -> list[tuple[float, str, str, Decimal | None]]:
    return [(e.at_s, e.host, e.do, e.usd_per_gpu_hour) for e in supply.events]


def test_a_seller_is_a_host_that_comes_goes_and_changes_its_price(tmp_path: Path) -> None:
    path = listings(
        tmp_path,
        line(0, acme=1.9),
        line(30, acme=2.25, Odd_Name=1.5),
        line(45, acme=2.25),
        line(59, acme=2.25, Odd_Name=1.6),
    )
    supply = replayed(path)
    acme, odd = "acme-h100-sxm", "odd-name-h100-sxm"
    assert {h.name: (h.online, h.usd_per_gpu_hour) for h in supply.hosts.values()} == {
        acme: (True, Decimal("1.9")),
        odd: (False, Decimal("1.5")),
    }
    assert told(supply) == [
        (1800, odd, "revive", None),
        (1800, acme, "price", Decimal("2.25")),
        (2700, odd, "kill", None),
        (3540, odd, "price", Decimal("1.6")),
        (3540, odd, "revive", None),
    ]


def test_one_is_available_and_fewer_leave_the_first_ones(tmp_path: Path) -> None:
    supply = replayed(availability(tmp_path, 1, 1, 2, 0, 1))
    one, two = "us-west-2a-v100x8-0", "us-west-2a-v100x8-1"
    assert {h.name: (h.online, h.gpus) for h in supply.hosts.values()} == {
        one: (True, 8),
        two: (False, 8),
    }
    assert [(at, host, do) for at, host, do, _ in told(supply)] == [
        (1200, two, "revive"),
        (1800, one, "kill"),
        (1800, two, "kill"),
        (2400, one, "revive"),
    ]


def test_traces_join_the_hosts_of_a_file_but_not_the_built_in_ones(tmp_path: Path) -> None:
    file = tmp_path / "supply.yaml"
    gpu = "{model: t4, ram: 16Gi}"
    file.write_text(f"hosts: [{{name: own, gpu: {gpu}, gpus: 1, usd_per_gpu_hour: 1}}]")
    both = (availability(tmp_path, 1), listings(tmp_path, line(0, acme=2)))
    assert set(replayed(*both, supply=file).hosts) == {*replayed(*both).hosts, "own"}
    assert len(replayed(*both).hosts) == 2
    with pytest.raises(ValueError, match="is there already"):
        replayed(both[0], both[0])


async def test_a_lease_on_a_host_that_leaves_ends_as_its_market_has_it(tmp_path: Path) -> None:
    path = listings(tmp_path, line(0, acme=1.9), line(30, other=1), line(59, acme=2.5))
    async with open_market(SandboxOptions(supply_traces=(path,))) as market:
        dseq = await market.leased()
        assert await states(market) == {"acme": True, "other": False}
        market.advance(1800)
        assert await states(market) == {"acme": False, "other": True}
        lease = await market.the_lease(dseq)  # the chain does not notice: it bills on
        assert (lease["state"], lease["status"]) == ("active", None)
        assert [e.provider for e in market.app.world.ledger.entries() if e.event == "host_down"]
        market.advance(1800)
        assert await states(market) == {"acme": True, "other": False}
        prices = (await market.http.get("/v1/gpu-prices")).json()["models"]
        assert prices[0]["price"]["med"] == 2.5


async def test_a_jump_replays_what_was_due_in_between_in_order(tmp_path: Path) -> None:
    path = availability(tmp_path, 1, 0, 1, 0, 1, gap_s=3600)
    async with open_market(SandboxOptions(supply_traces=(path,))) as market:
        began = market.app.world.clock.now()
        market.advance(86_400)
        seen = [e for e in market.app.world.ledger.entries() if e.event.startswith("host_")]
    assert [e.event for e in seen] == ["host_down", "host_up", "host_down", "host_up"]
    hours = [(datetime.fromisoformat(e.at).timestamp() - began) / 3600 for e in seen]
    assert [round(hour) for hour in hours] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "", "ends in none of"),
        (NAME, "{", "not as it should be"),
        (NAME, "[1]", "an object is missing"),
        (NAME, '{"data": []}', "has no 'metadata'"),
        (NAME, '{"metadata": {"gap_seconds": 60}, "data": [0, 0]}', "has 0 hosts"),
        (NAME, '{"metadata": {"gap_seconds": 0}, "data": [1]}', "gap_seconds is 0"),
        (NAME, '{"metadata": {"gap_seconds": NaN}, "data": [1]}', "NaN is no number"),
        (NAME, '{"metadata": {"gap_seconds": 60}, "data": [true]}', "'True' is no count"),
        (NAME, '{"metadata": {"gap_seconds": 60}, "data": [100000]}', "too many"),
        ("a_c3_1.json", '{"metadata": {"gap_seconds": 60}, "data": [1]}', "zone_gpu_count"),
        ("a.jsonl", "", "has 0 hosts"),
        ("a.jsonl", '{"gpu_type": "H100"}', "no GPU with its memory"),
        ("a.jsonl.gz", "not packed", "not a whole gzip file"),
        ("a.jsonl", "\n".join(map(json.dumps, [line(5, a=1), line(0, a=1)])), "an earlier time"),
        ("a.jsonl", json.dumps(line(0, a=-1)), "'-1' is no price"),
        ("a.jsonl", json.dumps(line(0, a=1)).replace("1}", '"x"}'), "not as it should be"),
    ],
    ids=[
        "another ending",
        "half a document",
        "no object",
        "no metadata",
        "never anything",
        "ticks of no length",
        "not a number",
        "true is not one",
        "too many machines",
        "no GPU in the name",
        "nothing",
        "another GPU",
        "not packed",
        "back in time",
        "a price below nothing",
        "a price in words",
    ],
)
def test_a_wrong_trace_is_refused_in_words(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as refused:
        replayed(path)
    assert str(path) in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


def test_a_trace_that_is_packed_small_and_is_large_is_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "LARGEST_BYTES", 1000)
    with pytest.raises(ValueError, match="larger than 1000 bytes"):
        replayed(listings(tmp_path, *[line(0, acme=1)] * 100))


@pytest.mark.parametrize("pattern", ["gpu-marketplace-prices/*.gz", "spot-traces/**/*_v100_*.json"])
def test_real_traces_are_replayed_the_same_each_time(pattern: str) -> None:
    found = sorted(SHARED.glob(pattern))
    if not found:
        pytest.skip(f"no traces {pattern} beside the checkout; set OVERSPILL_SHARED")
    for path in found:
        supply = replayed(path)
        assert told(supply) == told(replayed(path)), path.name
        assert {e.do for e in supply.events} <= {"kill", "revive", "price"}
        assert supply.hosts
        assert supply.events


async def states(market: Market) -> dict[str, bool]:
    hosts = (await market.http.get("/_sandbox/hosts")).json()["hosts"]
    return {host["name"].split("-")[0]: host["online"] for host in hosts}
