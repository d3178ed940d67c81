"""Runs the market's own SDK (npm `@akashnetwork/chain-sdk`), where it and node are at hand."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent


def ask_sdk(script: str, text: str) -> Any:
    """What a script beside this file prints for a text; skips where the SDK is not to be had."""
    node, folder = shutil.which("node"), os.environ.get("AKASH_SDK_DIR", "")
    if node is None:
        pytest.skip("no node on this machine to run the market's SDK")
    if not (Path(folder) / "node_modules" / "@akashnetwork" / "chain-sdk").is_dir() or not folder:
        pytest.skip("AKASH_SDK_DIR names no folder where @akashnetwork/chain-sdk is installed")
    done = subprocess.run(
        [node, str(HERE / script)],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ, "AKASH_SDK_DIR": folder},
    )
    return json.loads(done.stdout)
