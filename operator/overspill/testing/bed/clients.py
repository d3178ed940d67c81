"""kubectl and Helm against one kubeconfig, never against the user's own context."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class KubectlError(RuntimeError):
    """kubectl ended with an error; `stderr` is what it said."""

    def __init__(self, command: str, stderr: str) -> None:
        super().__init__(f"{command}: {stderr.strip()}")
        self.stderr = stderr


class HelmError(KubectlError):
    """Helm ended with an error; `stderr` is what it said."""


class Clients:
    """Runs the two tools with caches and configuration kept in the bed's own directory."""

    def __init__(self, binaries: Path, kubeconfig: Path, home: Path) -> None:
        self.kubectl_path = binaries / "kubectl"
        self.helm_path = binaries / "helm"
        self._kubeconfig = kubeconfig
        self._home = home

    def kubectl(
        self,
        *args: str,
        input: str | None = None,  # noqa: A002 - named as in subprocess.run
        kubeconfig: Path | None = None,
    ) -> str:
        """What kubectl printed."""
        result = self._run(self.kubectl_path, args, input, kubeconfig)
        if result.returncode != 0:
            raise KubectlError(f"kubectl {' '.join(args)}", result.stderr)
        return result.stdout

    def helm(self, *args: str) -> str:
        """What Helm printed."""
        result = self._run(self.helm_path, args, None, None)
        if result.returncode != 0:
            raise HelmError(f"helm {' '.join(args)}", result.stderr)
        return result.stdout

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """The environment for a child that runs these tools itself."""
        home = self._home
        return {
            **os.environ,
            "KUBECONFIG": str(kubeconfig or self._kubeconfig),
            "KUBECACHEDIR": str(home / "kubectl"),
            "KUBERC": "off",
            "HELM_CACHE_HOME": str(home / "helm" / "cache"),
            "HELM_CONFIG_HOME": str(home / "helm" / "config"),
            "HELM_DATA_HOME": str(home / "helm" / "data"),
        }

    def _run(
        self, tool: Path, args: tuple[str, ...], given: str | None, kubeconfig: Path | None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tool, *args],
            input=given,
            env=self.environment(kubeconfig),
            capture_output=True,
            text=True,
            check=False,
        )
