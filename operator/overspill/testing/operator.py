"""Runs the real operator as a host process against any cluster: for tests, demo and benchmarks.

    operator = OperatorProcess.start(kubeconfig, workdir, {"OVERSPILL_POLL_PERIOD_S": "1"})
    operator.kill(); operator.restart(); operator.stop()

It is started as in a pod, `kopf run -m overspill.app`, with nothing but its settings.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import URLError

from overspill.testing.bed.ports import PortClaims

FAST: Mapping[str, str] = {
    "OVERSPILL_POLL_PERIOD_S": "1",
    "OVERSPILL_READ_EACH_UP_TO": "0",
    "OVERSPILL_DETAIL_PERIOD_S": "2",
    "OVERSPILL_HEARTBEAT_POLL_S": "1",
    "OVERSPILL_SWEEP_PERIOD_S": "5",
    "OVERSPILL_TRUTH_PERIOD_S": "15",
    "OVERSPILL_PLACE_PERIOD_S": "2",
    "OVERSPILL_PERMIT_S": "4",
    "OVERSPILL_QUARANTINE_S": "2",
    "OVERSPILL_REQUEST_S": "3",
    "OVERSPILL_ABSENCE_INTERVAL_S": "0.5",
    "OVERSPILL_LEASE_DURATION_S": "6",
    "OVERSPILL_RENEW_DEADLINE_S": "4",
    "OVERSPILL_RETRY_PERIOD_S": "0.5",
    "OVERSPILL_DRAIN_S": "5",
    "OVERSPILL_SECRET_REREAD_S": "3",
    "OVERSPILL_FAILOVER_STOP_S": "10",
}
"""The protocol's intervals, compressed alike, for a market on this machine."""


_CLAIMS = PortClaims()


def free_port() -> int:
    """A port that is free on every address, and no other test's as long as this process lives.

    Not one of the kernel's choice: any connection that goes out may take that before the operator
    does.
    """
    return _CLAIMS.claim("0.0.0.0")  # noqa: S104  (asked of, not listened on)


@dataclass
class OperatorProcess:
    """One replica. `report_address` is where workloads reach it (a bridge's address)."""

    kubeconfig: Path
    workdir: Path
    environment: dict[str, str] = field(default_factory=dict)
    name: str = "operator"
    _process: subprocess.Popen[bytes] | None = None

    @classmethod
    def start(
        cls,
        kubeconfig: Path,
        workdir: Path,
        environment: Mapping[str, str] | None = None,
        name: str = "operator",
    ) -> OperatorProcess:
        """Starts a replica and returns at once; `wait_ready` waits until it is synced."""
        ports = {
            "OVERSPILL_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
            "OVERSPILL_RECORDS_LISTEN": f"127.0.0.1:{free_port()}",
            "OVERSPILL_REPORT_LISTEN": f"0.0.0.0:{free_port()}",
            "OVERSPILL_CLUSTER_SECRET": "a secret of this test alone",
        }
        made = cls(kubeconfig, workdir, {**FAST, **ports, **(environment or {})}, name)
        made.restart()
        return made

    @property
    def log(self) -> Path:
        """Everything it ever said, over all restarts."""
        return self.workdir / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """The process id, 0 when it does not run."""
        return self._process.pid if self.running and self._process else 0

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How it ended; None while it runs or before it started."""
        return self._process.poll() if self._process else None

    def restart(self) -> None:
        """Starts it (again), with the same settings."""
        if self.running:
            self.stop()
        env = {k: v for k, v in os.environ.items() if not k.startswith(("KUBE", "OVERSPILL_"))}
        env |= self.environment | {"OVERSPILL_KUBECONFIG": str(self.kubeconfig)}
        env["PYTHONPATH"] = str(Path(__file__).parents[2])
        command = [sys.executable, "-m", "kopf", "run", "-m", "overspill.app", "--all-namespaces"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=env, stdout=log, stderr=log)

    def kill(self) -> None:
        """kill -9, as a node that goes away."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, as the kubelet does; SIGKILL after 20 seconds."""
        self._end(signal.SIGTERM)

    def send(self, number: signal.Signals) -> None:
        """Any signal, e.g. SIGSTOP and SIGCONT for a paused leader."""
        if self.running and self._process:
            self._process.send_signal(number)

    def wait_ready(self, timeout_s: float = 60) -> None:
        """Waits for /readyz; raises RuntimeError with the end of its log."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if not self.running:
                break
            if self._is_ready():
                return
            time.sleep(0.1)
        tail = self.log.read_text(errors="replace")[-3000:]
        raise RuntimeError(f"the operator was not ready within {timeout_s:g} s:\n{tail}")

    def metrics_text(self) -> str:
        """Its /metrics."""
        return self._get("/metrics")

    def _is_ready(self) -> bool:
        try:
            self._get("/readyz")
        except (URLError, OSError):
            return False
        return True

    def _get(self, path: str) -> str:
        url = f"http://{self.environment['OVERSPILL_METRICS_LISTEN']}{path}"
        with urllib.request.urlopen(url, timeout=2) as answer:
            text: str = answer.read().decode()
            return text

    def _end(self, number: signal.Signals) -> None:
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(number)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
