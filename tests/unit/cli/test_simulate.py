"""`simulate`: a table of 100 columns, JSON, a report, and sentences where something is wrong."""

import json
from pathlib import Path

import pytest

from overspill.cli.main import main

JOBS = "id,submit_s,gpus,work_s\n" + "".join(f"j{i},{i * 60},4,7200\n" for i in range(9))
SUPPLY = ["--own", "1x8:h100", "--place", "cloud:ondemand:4:64:h100"]


@pytest.fixture
def history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "100")
    path = tmp_path / "jobs.csv"
    path.write_text(JOBS, encoding="utf-8")
    return path


def test_the_table_fits_100_columns(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = "*.burstAfterSeconds=1000000,standard.capacityTypes=Own+Spot"
    words = ["simulate", str(history), *SUPPLY, "--compare", "always-wait", "--compare", other]
    assert main(words) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[:3] == ["A: overspill", "B: always-wait", f"C: {other}"]
    cells = {line[:30].strip(): line[30:].split() for line in lines if line[:30].strip()}
    assert cells["finished"] == ["9", "9", "9"]
    assert "9 jobs" in err


def test_json_is_for_machines(history: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["simulate", str(history), *SUPPLY, "-o", "json", "--quiet", "--finish-within", "3"])
    out, err = capsys.readouterr()
    (found,) = json.loads(out)
    assert err == ""
    assert (found["name"], found["jobs"], found["promised"]) == ("overspill", 9, 9)
    assert found["usd"] == pytest.approx(
        found["own_usd"] + found["rented_usd"] + found["egress_usd"]
    )


def test_the_report_is_written(history: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    assert main(["simulate", str(history), *SUPPLY, "--html", str(page), "--quiet"]) == 0
    text = page.read_text(encoding="utf-8")
    assert text.count("<svg") == 3
    assert "4 places" not in text
    assert "1 place to rent" in text


def test_a_directory_brings_its_nodes_places_and_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "jobs.csv": JOBS,
        "own_nodes.csv": "id,gpus,gpu_model\nn1,8,h100\nn2,8,h100\n",
        "own_faults.csv": "node,begin_s,end_s\nn1,3000,4000\n",
        "places.csv": "id,kind,gpu_model,usd_per_gpu_h\ncloud,ondemand,h100,4\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert main(["simulate", str(tmp_path), "-o", "json", "--quiet"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert {p["name"] for p in found["places"]} == {"home", "cloud"}
    assert found["losses"] >= 1


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        ([], 2, "nothing to run on"),
        (["--own", "many"], 2, "NODESxGPUS"),
        (["--place", "cloud:4"], 2, "NAME:KIND:USD"),
        (["--own", "1x8", "--compare", "faster"], 1, "'faster' is no scenario"),
        (["--own", "1x8", "--sla", "gold"], 1, "SLA class 'gold'"),
        (["--own", "1x8", "--markets", "/nowhere"], 2, "no places.csv"),
    ],
)
def test_mistakes_are_sentences(
    history: Path,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    assert main(["simulate", str(history), *words]) == code
    assert sentence in capsys.readouterr().err
