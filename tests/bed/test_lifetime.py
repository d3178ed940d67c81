"""A bed whose owner is killed leaves no process, and the next bed removes its files."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from overspill.testing.bed import Bed, registry, until

pytestmark = pytest.mark.cluster

OWNER = """
import json, sys, time
from overspill.testing.bed import Bed, BedOptions
bed = Bed.start(BedOptions(real_node="no"))
parts = (bed.etcd, bed.apiserver, bed.controller_manager, bed.scheduler, bed.kwok)
print(json.dumps([str(bed.workdir), [part.pid for part in parts]]), flush=True)
time.sleep(600)
"""


def test_killed_owner_takes_its_processes_along_and_is_swept(bed: Bed) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], env=_env(), stdout=-1) as owner:
        assert owner.stdout is not None
        workdir, pids = json.loads(owner.stdout.readline())
        assert all(Path(f"/proc/{pid}").exists() for pid in pids)
        owner.send_signal(signal.SIGKILL)
    until(lambda: not any(_alive(pid) for pid in pids), "components ended", 10)
    registry.sweep(lambda _state: None)
    assert not Path(workdir).exists()
    assert bed.apiserver.running


def test_background_bed_comes_up_and_goes_down(tmp_path: Path) -> None:
    env = {**_env(), "TMPDIR": str(tmp_path)}
    assert "no bed is up" in _command(env, "status", expect=1)
    assert "export KUBECONFIG=" in _command(env, "up", "--real-node=no", "--gpu-nodes=1")
    assert "up at https://127.0.0.1:" in _command(env, "status")
    assert _command(env, "down") == "down\n"
    assert "no bed is up" in _command(env, "status", expect=1)


def _command(env: dict[str, str], *args: str, expect: int = 0) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "overspill.testing.bed", *args],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == expect, result.stderr
    return result.stdout


def _env() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _alive(pid: int) -> bool:
    """A killed process nobody has collected yet is not alive."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
