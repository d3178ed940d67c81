"""`cost` adds up, for one job and for many."""

import json

import pytest

from overspill.cli.cost import one, several
from overspill.kube.resources import Kind
from overspill.testing.cli_samples import NOW, FakeCluster, active, lease_of, the_job


def test_one_job_lease_by_lease(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    assert one(cluster, "finetune-7b", as_json=False, now=NOW) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == [
        "finetune-7b", "Running", "3.10", "10.88", "41.66", "120.00", "23.70", "12.82",
    ]  # fmt: skip
    assert lines[4] == ["2", "akash/us-west", "2xh100", "Active", "2.00", "3.10", "6.20"]
    assert lines[5] == ["1", "home/node-7", "2xh100", "Closed", "1.95", "2.40", "4.68"]


def test_several_jobs_and_their_sum(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    other = the_job()
    other["metadata"] |= {"name": "eval", "namespace": "team-b", "uid": "u2"}
    other["status"] = {"phase": "Running"}
    cluster.objects[Kind.JOB].append(other)
    status = active("1.00", "2026-11-25T11:00:00Z")
    cluster.objects[Kind.LEASE].append(
        lease_of(5, namespace="team-b", job="eval", job_uid="u2", status=status)
    )
    cluster.namespace = ""
    assert several(cluster, as_json=False, now=NOW) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[0][0] == "NAMESPACE"
    assert lines[-1] == ["TOTAL", "4.10", "11.88", "29.70", "17.82"]


def test_json_is_decimal_strings(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    several(cluster, as_json=True, now=NOW)
    (money,) = json.loads(capsys.readouterr().out)
    assert money["spentUSD"] == "10.880000"
    assert money["maxTotalUSD"] == "120"


def test_an_empty_namespace_is_said(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.namespace = "empty"
    several(cluster, as_json=False, now=NOW)
    assert capsys.readouterr().out == "No GPUJob and no lease in namespace empty.\n"
