import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv" / "witness" / "bin" / "python"
HERE = Path(__file__).parent


def _run(script: str, *arguments: str, **environment: str) -> dict[str, Any]:
    """What a market's own client saw; skips the test where it is not installed."""
    if not PYTHON.exists():
        pytest.skip("the markets' own clients are not installed; run hack/witness-venv")
    clean = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run(
        [str(PYTHON), str(HERE / script), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**clean, **environment, "HOME": "/nonexistent"},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.fixture
def witness() -> Callable[..., dict[str, Any]]:
    return _run
