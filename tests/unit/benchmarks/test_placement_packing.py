"""S4's harness: what is packed adds up, and best-fit meets the published figure on the trace."""

from __future__ import annotations

import pytest
from benchmarks.placement import packing, traces
from benchmarks.placement.packing import best_fit, pack, published, stream
from benchmarks.placement.packing_suite import entry

from overspill.core.packing import Demand, Packer, Room, mix_of


def test_packing_counts_what_is_taken_and_skips_what_does_not_fit() -> None:
    rooms = [Room(8, 8, (1000, 1000)), Room(8, 8, (1000,))]
    demands = [Demand(gpus=2), Demand(gpus=2), Demand(milli=250), Demand(gpus=0, cpu=1)]
    share = pack(rooms, demands, Packer(mix_of(demands)).choose)
    assert share == pytest.approx(2250 / 3000)


@pytest.mark.skipif(not traces.present(), reason="the shared traces are not beside the checkout")
def test_the_stream_asks_for_130_percent_of_the_published_cluster() -> None:
    rooms, demands = stream("default", 0)
    assert sum(room.free for room in rooms) == 6212_000
    asked = sum(d.gpus * d.milli for d in demands)
    assert 1.3 <= asked / 6212_000 < 1.301
    assert stream("default", 0)[1] == demands
    assert stream("default", 1)[1] != demands


@pytest.mark.skipif(not traces.present(), reason="the shared traces are not beside the checkout")
def test_the_published_figures_are_told_beside_ours() -> None:
    assert published("default")["05-BestFit"] == pytest.approx(93.076)
    assert set(published("multigpu20")) >= {"05-BestFit", "06-FGD"}


@pytest.mark.skipif(not traces.present(), reason="the shared traces are not beside the checkout")
def test_the_summary_tells_ours_against_what_ran_here_and_against_the_paper() -> None:
    found = {"overspill": [0.95, 0.96], "FGD": [0.9, 0.9], "best-fit": [0.96, 0.95]}
    one = entry("default", found)
    assert one.ours == "4.50 % unallocated"
    assert one.against == [
        "ahead of FGD; level with best-fit (here: FGD 10.00 %, best-fit 4.50 %)",
        "published: FGD 4.61 % (-0.11), best-fit 6.92 % (-2.42)",
    ]


def test_best_fit_takes_the_fullest_node_and_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    large, small = Room(8, 8, (1000, 1000)), Room(8, 8, (1000, 400))
    monkeypatch.setattr(packing, "_nodes", lambda: [large, small])
    choose = best_fit([])
    assert choose([large, small], Demand(milli=300)) == (small, Room(8, 8, (1000, 100)))
    assert choose([large, small], Demand(gpus=2)) == (large, Room(8, 8, (0, 0)))
    assert choose([small], Demand(gpus=2)) is None
