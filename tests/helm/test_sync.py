"""Copies and renderings in the repository are what their sources say."""

import subprocess
import sys
from pathlib import Path

import yaml

from overspill.testing import chart

ROOT = chart.root().parents[1]


def test_nothing_generated_is_stale() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "helm" / "sync.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"run `make manifests`:\n{done.stdout}{done.stderr}"


def test_plain_manifests_need_no_helm() -> None:
    text = (ROOT / "manifests" / "install.yaml").read_text()
    assert "helm.sh/" not in text
    assert "managed-by" not in text


def test_plain_manifests_hold_everything_but_objects_of_our_kinds() -> None:
    kinds = [d["kind"] for d in _documents(ROOT / "manifests" / "install.yaml")]
    assert kinds[0] == "Namespace"
    assert kinds.count("CustomResourceDefinition") == 5
    assert {"Deployment", "ServiceAccount", "ClusterRole", "Service"} <= set(kinds)
    assert not {"SLAClass", "GPUProvider", "Secret", "Pod"} & set(kinds)


def test_the_readme_names_every_value() -> None:
    readme = (chart.root() / "README.md").read_text()
    values = yaml.safe_load((chart.root() / "values.yaml").read_text())
    missing = [key for key in _paths(values) if f"`{key}`" not in readme]
    assert not missing


def _documents(path: Path) -> list[dict[str, str]]:
    return [d for d in yaml.safe_load_all(path.read_text()) if d]


def _paths(values: dict[str, object], prefix: str = "") -> list[str]:
    found: list[str] = []
    for key, value in values.items():
        if (
            isinstance(value, dict)
            and value
            and key not in ("resources", "podSecurityContext", "securityContext")
        ):
            found += _paths(value, f"{prefix}{key}.")
        else:
            found.append(prefix + key)
    return found
