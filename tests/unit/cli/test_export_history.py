"""`export-history` writes what `simulate` reads: the round trip on the fixture's cluster."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from overspill.cli.errors import CliError
from overspill.cli.export_history import export
from overspill.cli.main import main
from overspill.kube.resources import Kind
from overspill.testing.cli_samples import NOW, FakeCluster, closed, lease_of, the_job


def provider(name: str, kind: str, *offers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name},
        "spec": {"type": kind, **spec},
        "status": {"offers": list(offers)},
    }


def offer(offer_id: str, gpus: int, price: str, **more: Any) -> dict[str, Any]:
    told = {"offerID": offer_id, "gpuCount": gpus, "gpuModel": "h100", "available": True}
    return {**told, "pricePerGPUHourUSD": price, **more}


@pytest.fixture
def full(cluster: FakeCluster) -> FakeCluster:
    job = the_job()
    job["spec"] |= {"gpu": {"count": 2, "models": ["h100"]}, "slaClassName": "standard"}
    job["spec"] |= {"checkpoint": {"intervalSeconds": 1800, "sizeGiB": 14}}
    cluster.objects[Kind.JOB] = [job]
    forgotten = closed("2", "2026-11-25T08:00:00Z", "2026-11-25T09:00:00Z", "2", "Finished")
    cluster.objects[Kind.LEASE].append(
        lease_of(7, job="old", job_uid="gone-uid", status=forgotten, home=True)
    )
    cluster.objects[Kind.PROVIDER] = [
        provider("home", "InCluster", offer("node-7", 6, "1.20"), offer("node-8", 8, "1.20")),
        provider(
            "vast",
            "Vast",
            offer("1", 4, "1.9", region="eu"),
            offer("2", 8, "1.7", region="eu"),
            capacityType="Spot",
            priors={"coldStartSeconds": 240, "mtbfSeconds": 36000},
        ),
    ]
    metadata = {"name": "standard", "resourceVersion": "1", "uid": "u"}
    spec = {"isDefault": True, "capacityTypes": ["Own", "Spot"], "burstAfterSeconds": 60}
    cluster.objects[Kind.SLA_CLASS] = [{"metadata": metadata, "spec": spec}]
    return cluster


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_jobs_come_from_objects_and_from_the_ledger(full: FakeCluster, tmp_path: Path) -> None:
    assert export(full, tmp_path, NOW) == 0
    kept, deleted = rows(tmp_path / "jobs.csv")
    assert (kept["gpus"], kept["gpu_model"], kept["sla"]) == ("2", "h100", "standard")
    assert kept["work_s"] == str(round(3600 * (2.0 + 1.95)))
    assert (kept["deadline_s"], kept["max_total_usd"]) == ("2026-11-26T09:00:00Z", "120")
    assert (deleted["id"], deleted["work_s"]) == ("team-a/old/gone-uid", "3600")


def test_nodes_and_places_are_those_last_published(full: FakeCluster, tmp_path: Path) -> None:
    export(full, tmp_path, NOW)
    assert [(n["id"], n["gpus"]) for n in rows(tmp_path / "own_nodes.csv")] == [
        ("node-7", "6"),
        ("node-8", "8"),
    ]
    (place,) = rows(tmp_path / "places.csv")
    assert (place["id"], place["kind"], place["usd_per_gpu_h"]) == ("vast/eu/h100", "spot", "1.7")
    assert (place["gpus"], place["cold_start_s"], place["mtbf_h"]) == ("12", "240", "10.0")


def test_simulate_reads_it_with_the_clusters_own_classes(
    full: FakeCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(full, tmp_path, NOW)
    capsys.readouterr()
    assert main(["simulate", str(tmp_path), "-o", "json", "--quiet"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["jobs"], found["finished"]) == (2, 2)
    assert [c["name"] for c in found["classes"]] == ["standard"]


def test_an_empty_cluster_is_said(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="no history"):
        export(FakeCluster(), tmp_path, NOW)
