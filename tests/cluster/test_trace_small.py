"""A small replay of the real trace ends as the whole one must; without the trace it says so."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = ("--jobs", "24", "--nodes", "14", "--arrivals", "20", "--losses", "0", "--longest", "30")


def replay(*options: str, shared: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **({"OVERSPILL_SHARED": str(shared)} if shared else {})}
    command = [sys.executable, "-m", "demo.trace", *options]
    return subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=600, check=False
    )


def test_without_the_trace_it_ends_with_a_sentence(tmp_path: Path) -> None:
    done = replay(shared=tmp_path)
    assert done.returncode == 2
    assert f"The trace is not at {tmp_path}" in done.stderr
    assert "OVERSPILL_SHARED" in done.stderr


@pytest.mark.cluster
@pytest.mark.slow
def test_every_job_ends_and_the_books_are_those_of_the_market(tmp_path: Path) -> None:
    told = Path(os.environ.get("OVERSPILL_SHARED", ROOT.parent / "shared"))
    if not (told / "traces" / "alibaba-openb-v2023").is_dir():
        pytest.skip("the trace is not on this machine; see demo/trace_input.py")
    summary = tmp_path / "summary.json"
    done = replay(*SMALL, "--summary", str(summary))
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    figures: dict[str, Any] = json.loads(summary.read_text())
    assert figures["ends"] == {"Complete/CommandSucceeded": 24}
    assert figures["jobs_overspilt"] > 0
    assert (figures["orphans"], figures["doubles"], figures["held_at_the_end"]) == (0, 0, 0)
    assert figures["recorded_usd"] == figures["billed_usd"]
