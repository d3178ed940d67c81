"""What the disasters have in common: the rig they strike, a kubelet, and the ledger's verdict.

One control plane of its own, because disasters reach everything on it; one operator that is
started again whenever it ends, as a kubelet would; one market account on which strangers rent too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import yaml

from overspill.sandbox.ledger import Event
from overspill.testing.bed import Bed, BedOptions, until
from overspill.testing.operator import OperatorProcess
from overspill.testing.stack import NAMESPACE, PROVIDER, Stack, StackOptions

from .kubelet import Kubelet
from .proofs import SWIFT, hasten, lease_of, rented, sla_class

SWEEP_S = 2.0
QUICK = {
    "OVERSPILL_SWEEP_PERIOD_S": f"{SWEEP_S:g}",
    "OVERSPILL_TRUTH_PERIOD_S": "5",
    "OVERSPILL_LEASE_DURATION_S": "8",
    "OVERSPILL_RENEW_DEADLINE_S": "6",
}
"""Beside the test settings: what a disaster waits for most."""
KEPT = ("kept-1", "kept-2")
"""Jobs that nobody strikes: one lease each must carry them through everything."""
STRUCK = ("stripped", "forced", "missed", "moved")
SPACES = ("kept", "struck", "doomed")
STRANGERS = ("gl-0ther000-cafe", "somebodys-web")
"""Keys on the same account: another cluster's, and what a person rented by hand."""
RIGHTS = ("clusterrolebinding", "overspill")
PATIENT = {"name": "OVERSPILL_HEARTBEAT_SECONDS", "value": "4"}


@dataclass
class Rig:
    """Everything a disaster may strike, and what is known of it from outside."""

    bed: Bed
    stack: Stack
    kubelet: Kubelet
    backup: Path
    console: httpx.Client
    keys: dict[str, str] = field(default_factory=dict)
    """Job → the key of its first lease."""
    kept: str = "kept"
    struck: str = "struck"
    doomed: str = "doomed"

    @property
    def operator(self) -> OperatorProcess:
        """The one replica."""
        return self.stack.operator

    def key(self, job: str, attempt: int = 1) -> str:
        """The key of one attempt of a job of the rig."""
        space = self.kept if job in KEPT else self.struck
        return str(lease_of(self.stack, space, job, attempt)["metadata"]["name"])

    def held(self) -> set[str]:
        """The keys of everything that the account holds, strangers' left out."""
        return set(self.stack.market.summary()["held"].values()) - set(STRANGERS)

    def metric(self, name: str, label: str = "") -> float:
        """A metric of the operator for the account, all its samples; -1 when it has none."""
        found = []
        with contextlib.suppress(OSError):
            for line in self.operator.metrics_text().splitlines():
                is_ours = f'provider="{PROVIDER}"' in line and label in line
                if is_ours and line.startswith(f"{name}{{"):
                    found.append(float(line.rpartition(" ")[2]))
        return sum(found) if found else -1.0

    def swept(self) -> None:
        """Waits until the account was listed three times, so that two lists began after this."""
        until(lambda: self._listed() >= 0, "a first sweep", 60, 0.2)
        last, counted = self._listed(), 0.0

        def three() -> bool:
            nonlocal last, counted
            now = max(0.0, self._listed())
            counted += now - last if now >= last else now  # a new process counts from nought
            last = now
            return counted >= 3

        until(three, "three sweeps", 60, 0.2)

    def _listed(self) -> float:
        return self.metric("overspill_provider_call_seconds_count", 'call="leases"')


@contextlib.contextmanager
def rig(workdir: Path) -> Iterator[Rig]:
    """A control plane, an operator, and every job at work; strangers on the account too."""
    with contextlib.ExitStack() as closing:
        bed = closing.enter_context(Bed.start(BedOptions(real_node="no")))
        made = Stack.start(bed, workdir, StackOptions(environment=QUICK))
        stack = closing.enter_context(made)
        hasten(stack, bidSettleSeconds="0.3")
        sla_class(stack, SWIFT, heartbeatGraceSeconds=15)
        for space in SPACES:
            bed.kubectl("create", "namespace", space)
        key = {"x-api-key": stack.market.api_key}
        console = httpx.Client(base_url=stack.market.url, headers=key, trust_env=False)
        closing.callback(console.close)
        kubelet = closing.enter_context(Kubelet(stack.operator))
        found = Rig(bed, stack, kubelet, workdir / "backup", console)
        _people(found)
        yield found


def _people(rig: Rig) -> None:
    """Everybody who rents."""
    for stranger in STRANGERS:
        rig.console.post(
            "/v1/deployments", json={"data": {"sdl": _sdl(stranger)}}
        ).raise_for_status()
    wanted = [(rig.kept, x) for x in KEPT] + [(rig.struck, x) for x in STRUCK]
    wanted.append((rig.doomed, "doomed"))
    for space, name in wanted:
        start(rig, space, name)
    for space, name in wanted:
        rig.stack.until_phase(space, name, "Running", timeout_s=120)
        rig.keys[name] = str(lease_of(rig.stack, space, name)["metadata"]["name"])


def start(rig: Rig, space: str, name: str, script: str = "sleep 3000") -> None:
    """A rented job that runs until something ends it."""
    spec = rented(script, deadline={"workSeconds": 3600})
    spec["template"]["spec"]["containers"][0]["env"] = [PATIENT]
    rig.stack.apply_job(space, name, spec)


def assert_kept(rig: Rig) -> None:
    """The jobs nobody struck: the first lease, Active, held, made once, never asked to close."""
    closes = {e.key for e in rig.stack.market.ledger() if e.event == Event.CLOSE_RECEIVED}
    summary = rig.stack.market.summary()
    leases = {x["spec"]["jobRef"]["name"]: x for x in rig.stack.leases(rig.kept)}
    for job in KEPT:
        key = rig.keys[job]
        assert leases[job]["metadata"]["name"] == key, f"{job} has another lease"
        assert leases[job]["status"]["state"] == "Active", leases[job]["status"]
        assert key in summary["held"].values(), f"{job} is not held any more"
        assert key not in closes, f"{job} was asked to close"
        assert summary["by_key"][key]["created"] == 1, f"{job} was made again"


def verdict(rig: Rig) -> None:
    """0 leaks, 0 doubles, and the strangers' things as they were; waits for what is on its way."""
    until(lambda: not leaks(rig), "what no open record wants to be ended", 90, 0.5)
    summary = rig.stack.market.summary()
    assert summary["doubles"] == {}, "two running leases under one key"
    assert summary["double_creates"] == {}, "two deployments under one key"
    held = list(summary["held"].values())
    assert {held.count(x) for x in STRANGERS} == {1}, "a stranger's lease was touched"


def leaks(rig: Rig) -> set[str]:
    """Keys held without an open record."""
    records = [x for space in SPACES for x in rig.stack.leases(space)]
    still_open = {
        x["metadata"]["name"] for x in records if x.get("status", {}).get("state") != "Closed"
    }
    return rig.held() - still_open


def mend(rig: Rig) -> None:
    """Whatever a disaster that was not borne left broken, so that the next one can be seen."""
    rig.bed.etcd.start()
    rig.bed.apiserver.start()
    rig.stack.market.clear_faults()
    give_rights_back(rig)


def give_rights_back(rig: Rig) -> None:
    """The operator's ClusterRoleBinding, when it is gone."""
    if not rig.bed.kubectl("get", *RIGHTS, "--ignore-not-found", "-o", "name"):
        subject = f"--serviceaccount={NAMESPACE}:overspill"
        rig.bed.kubectl("create", *RIGHTS, "--clusterrole=overspill", subject)


def holds(claim: Callable[[], object], rig: Rig) -> None:
    """Two sweeps long a claim must hold; it raises AssertionError when it does not."""
    claim()
    rig.swept()
    claim()


def _sdl(key: str) -> str:
    """One H100 under a stranger's key."""
    resources = {
        "cpu": {"units": 1},
        "memory": {"size": "1Gi"},
        "storage": {"size": "1Gi"},
        "gpu": {"units": 1, "attributes": {"vendor": {"nvidia": [{"model": "h100"}]}}},
    }
    web = {"image": "nginx:1", "expose": [{"port": 80, "to": [{"global": True}]}]}
    price = {"pricing": {"web": {"denom": "uakt", "amount": 100_000}}}
    document = {
        "version": "2.0",
        "services": {"web": web},
        "profiles": {"compute": {"web": {"resources": resources}}, "placement": {key: price}},
        "deployment": {"web": {key: {"profile": "web", "count": 1}}},
    }
    return yaml.safe_dump(document)
