"""Histories as people have them: other names, dates or seconds, packed, and mistakes told."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path

import pytest

from overspill.simulate.reading import (
    Clock,
    Defaults,
    ReadingError,
    clock_of,
    jobs,
    own_faults,
    own_nodes,
    places,
)

BARE = Defaults(interval_s=None)


def written(folder: Path, text: str, name: str = "jobs.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_seconds_and_our_own_names(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        "id,submit_s,gpus,gpu_model,work_s,deadline_s,sla,ckpt_interval_s,ckpt_gb\n"
        "a,60,16,H100,3600,9000,guaranteed,600,14\n",
    )
    (job,) = jobs(path, clock_of(path), BARE)
    assert (job.name, job.submit_s, job.gpus, job.nodes) == ("a", 60.0, 16, 2)
    assert (job.model, job.sla, job.deadline_s) == ("h100", "guaranteed", 9000.0)
    assert (job.interval_s, job.checkpoint_gib) == (600.0, 14.0)


def test_dates_and_the_names_of_others(tmp_path: Path) -> None:
    text = "timestamp,duration,num_gpus\n2017-10-03 00:01:00,120.0,1\n2017-10-03 00:00:00,60,4\n"
    path = tmp_path / "jobs.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    clock = clock_of(path)
    assert clock.origin == datetime(2017, 10, 3, tzinfo=UTC)
    late, early = jobs(path, clock, BARE)
    assert (late.submit_s, early.submit_s, early.gpus) == (60.0, 0.0, 4)
    assert late.sla == "standard"


def test_what_is_silent_gets_the_defaults(tmp_path: Path) -> None:
    path = written(tmp_path, "submit_s,work_s,gpus\n10,100,1\n")
    (job,) = jobs(path, Clock(), Defaults("besteffort", "A100 80GB", 900.0, slack=1.5))
    assert (job.sla, job.model, job.interval_s) == ("besteffort", "a100-80gb", 900.0)
    assert job.deadline_s == 160.0


def test_jobs_without_gpus_or_work_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "submit_s,work_s,gpus\n1,0,1\n2,10,0\n3,10,1\n")
    assert [j.submit_s for j in jobs(path, Clock(), BARE)] == [3.0]


@pytest.mark.parametrize(("gpus", "nodes"), [(1, 1), (8, 1), (12, 2), (16, 2), (24, 3), (20, 4)])
def test_gangs_take_the_fewest_equal_machines(tmp_path: Path, gpus: int, nodes: int) -> None:
    path = written(tmp_path, f"submit_s,work_s,gpus\n0,10,{gpus}\n")
    assert jobs(path, Clock(), BARE)[0].nodes == nodes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("submit_s,work_s,gpus\n0,10,one\n", r"line 2: gpus is 'one', not a number"),
        ("submit_s,gpus\n0,1\n", r"line 2: there is no work_s or duration"),
        ("submit_s,work_s,gpus\n", r"there is no job"),
        ("submit_s,work_s,gpus\nyesterday,10,1\n", r"neither seconds nor a date"),
        ("id,submit_s,work_s,gpus\na,0,1,1\na,0,1,1\n", r"two jobs are called 'a'"),
    ],
)
def test_mistakes_are_told_with_their_place(tmp_path: Path, text: str, told: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ReadingError, match=told):
        jobs(path, clock_of(path), BARE)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ReadingError, match="cannot be read"):
        clock_of(tmp_path / "none.csv")


def test_nodes_and_their_faults(tmp_path: Path) -> None:
    nodes = written(tmp_path, "id,gpus,gpu_model\nn1,8,NVIDIA H100 80GB HBM3\n", "own_nodes.csv")
    faults = written(tmp_path, "node,begin_s,end_s\nn1,10,20\n", "own_faults.csv")
    (node,) = own_nodes(nodes)
    assert (node.name, node.gpus, node.model) == ("n1", 8, "h100")
    (fault,) = own_faults(faults, Clock())
    assert (fault.begin_s, fault.end_s) == (10.0, 20.0)


def test_places_with_prices_and_capacity_that_repeat(tmp_path: Path) -> None:
    written(tmp_path, "id,kind,cold_start_s\nspot-a,spot,60\n", "places.csv")
    written(tmp_path, "t,spot-a\n0,1.5\n600,1.5\n1200,2.0\n", "price.csv")
    written(tmp_path, "t,spot-a\n0,8\n600,0\n1200,16\n", "capacity.csv")
    (place,) = places(tmp_path, Clock())
    assert (place.kind, place.cold_start_s) == ("spot", 60.0)
    assert [place.price.at(t) for t in (0, 700, 1300, 1900)] == [1.5, 1.5, 2.0, 1.5]
    assert [place.gpus.at(t) for t in (0, 700, 1300, 2500)] == [8, 0, 16, 0]


def test_a_place_of_an_unknown_kind_is_told(tmp_path: Path) -> None:
    written(tmp_path, "id,kind,usd_per_gpu_h\nx,magic,1\n", "places.csv")
    with pytest.raises(ReadingError, match="kind is 'magic', not one of p2p, spot, ondemand"):
        places(tmp_path, Clock())
