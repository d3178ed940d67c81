"""A process whose clean-up has begun ends, even when kopf does not."""

import subprocess
import sys
from pathlib import Path

from overspill.kube.watchdog import EXIT_CODE

HANGS = """
import asyncio, time, types
from overspill import app
app.END_S = 0.1
asyncio.run(app.stop(memo=types.SimpleNamespace()))
time.sleep(60)
"""


def test_a_kopf_that_does_not_end_after_its_clean_up_is_ended() -> None:
    source = str(Path(__file__).parents[2] / "operator")
    ended = subprocess.run(
        [sys.executable, "-c", HANGS],
        env={"PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == EXIT_CODE, ended.stderr
    assert "kopf did not end" in ended.stderr
