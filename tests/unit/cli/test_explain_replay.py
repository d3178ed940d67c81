"""`explain --replay`: the recorded decision comes out again, and what would change it."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from overspill.cli import record
from overspill.cli.errors import CliError
from overspill.cli.explain import replay
from overspill.cli.main import main
from overspill.core.placement import plan
from overspill.engine.record import Shelf
from overspill.testing.placing import HOUR, NOW, STANDARD, make_job, rent, world

JOB = make_job(regions=("us-west",), work=10 * HOUR)
CALM = {"standard": replace(STANDARD, burst_after=timedelta(0))}
SEEN = world([JOB], [rent("a1", "6"), rent("a2", "4", region="eu")], classes=CALM)


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "100")
    shelf = Shelf()
    shelf.keep(NOW, SEEN, plan(SEEN, NOW))
    found = shelf.find("team", "train")
    assert found is not None
    return record.save(found, tmp_path / "train.json.gz")


def test_the_same_decision_comes_out_again(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay(saved, what_if=False, now=NOW) == 0
    out = capsys.readouterr().out
    assert "Place: BurstToProviderSelected" in out
    assert "Chosen: akash, offer a1, h100 at 6.00 USD/h" in out
    assert out.rstrip().endswith("The same decision came out again.")


def test_what_would_change_it_is_told_in_dollars(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(saved, what_if=True, now=NOW) == 0
    (row,) = [line for line in capsys.readouterr().out.splitlines() if "allow region" in line]
    assert row.split() == ["allow", "region", "eu", "akash/a2", "4.00", "40.20", "20.10"]


def test_another_outcome_is_said_and_is_a_failure(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = record.load(saved)
    found["decision"]["pricePerHourUSD"] = "5.00"
    record.save(found, saved)
    assert replay(saved, what_if=False, now=NOW) == 1
    assert "This is not the recorded decision" in capsys.readouterr().out


def test_a_replay_needs_no_cluster(saved: Path) -> None:
    assert main(["explain", "--replay", str(saved)]) == 0


def test_without_job_and_file_the_usage_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["explain"])
    assert "name a GPUJob" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["", "[]", json.dumps({"version": 7})])
def test_a_file_that_is_no_record_is_a_sentence(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(CliError, match="record"):
        replay(path, what_if=False, now=NOW)


def test_a_missing_file_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="failed"):
        record.load(tmp_path / "nowhere.json")
