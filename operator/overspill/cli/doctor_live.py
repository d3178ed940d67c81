"""`doctor --live`: rents the smallest lease of one account for a moment and proves it gone.

It does not speak to the market itself. It creates a GPUJob that may go nowhere else, with a budget,
a hard deadline and no second attempt, and watches; so the lease is recorded, permitted, capped,
swept and closed by the operator like any other, and goes on being so when this program is killed.
What a second witness can check, the market's own list, is read with the caller's right.
"""

import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

from overspill.api import API_VERSION
from overspill.cli import render, times
from overspill.cli.cluster import Cluster, Json
from overspill.cli.doctor_account import examined
from overspill.cli.doctor_checks import Verdict
from overspill.cli.errors import CliError
from overspill.cli.ledger import LeaseView, lease_view
from overspill.core.snapshot import ProviderAccount
from overspill.core.vocabulary import ProviderType
from overspill.kube.mapping import read_account
from overspill.kube.resources import Kind
from overspill.providers._heard import Exchange

Found = TypeVar("Found")

IMAGE = "nvidia/cuda:12.4.1-base-ubuntu22.04"
SCRIPT = "echo overspill doctor on attempt $OVERSPILL_ATTEMPT; nvidia-smi -L || true; sleep 10"
LONGEST_S = 900
LOOK_S = 1.0
PROOF_S = 600.0
"""How long the operator may take to prove the lease gone: permit, quarantine, two listings."""
OVER = ("Complete", "Failed", "Refused")


@dataclass(frozen=True, slots=True)
class Wish:
    """What the caller allows."""

    max_usd: Decimal = Decimal(2)
    image: str = IMAGE
    sla_class: str = ""
    timeout_s: float = 1800


def live(cluster: Cluster, provider: str, wish: Wish) -> int:
    """The live run; 0 when the lease ran, is closed, and nothing of it is left."""
    account = read_account(cluster.get(Kind.PROVIDER, provider))
    if account.type is ProviderType.IN_CLUSTER:
        raise CliError(f"{provider} is home: nothing is rented there.")
    if not cluster.namespace:
        raise CliError("--live creates one GPUJob: name its namespace with -n instead of -A.")
    return _Run(cluster, account, wish).run()


def manifest(account: str, wish: Wish, name: str, sla_class: str) -> Json:
    """The GPUJob: one GPU of any kind, at this account alone, bounded on every side."""
    container = {
        "name": "doctor",
        "image": wish.image,
        "command": ["/bin/sh", "-c", SCRIPT],
        "resources": {"limits": {"nvidia.com/gpu": 1, "cpu": "1", "memory": "2Gi"}},
    }
    spec: dict[str, Any] = {
        "workload": "Batch",
        "gpu": {"count": 1},
        "budget": {"maxTotalUSD": f"{wish.max_usd:f}"},
        "deadline": {"workSeconds": 60},
        "activeDeadlineSeconds": LONGEST_S,
        "backoffLimit": 0,
        "recovery": {"maxMoves": 0},
        "placement": {"burst": "Only", "providers": [account]},
        "ttlSecondsAfterFinished": 3600,
        "template": {"spec": {"containers": [container]}},
    }
    if sla_class:
        spec["slaClassName"] = sla_class
    meta = {"name": name, "labels": {"app.kubernetes.io/managed-by": "overspill-doctor"}}
    return {"apiVersion": API_VERSION, "kind": "GPUJob", "metadata": meta, "spec": spec}


@dataclass(slots=True)
class _Run:
    """One run. Every line that is printed is part of the transcript."""

    cluster: Cluster
    account: ProviderAccount
    wish: Wish
    name: str = field(default_factory=lambda: f"doctor-{secrets.token_hex(3)}")
    last: dict[str, str] = field(default_factory=dict)
    is_deleted: bool = False

    def run(self) -> int:
        """Examines, creates, watches, deletes, proves."""
        self._examine_first()
        self._tell("plan", f"GPUJob {self.cluster.namespace}/{self.name}: one GPU at "
                   f"{self.account.name}, at most {self.wish.max_usd} USD in all, at most "
                   f"{LONGEST_S // 60} minutes, no second attempt")  # fmt: skip
        document = manifest(self.account.name, self.wish, self.name, self._sla_class())
        created = self.cluster.create(Kind.JOB, document)
        try:
            job = self._watched(created)
            leases = self._closed(job)
        finally:
            self._delete(created)
        return self._verdict(job, leases)

    def _examine_first(self) -> None:
        """Nothing is spent at an account that is not well."""
        found = examined(self.cluster, self.account)
        self._told_exchanges(found.exchanges)
        bad = [f"{f.check}: {f.sentence}" for f in found.findings if f.verdict is Verdict.FAIL]
        if bad:
            told = "; ".join(bad)
            raise CliError(f"{self.account.name} is not well, so nothing is rented: {told}")

    def _told_exchanges(self, exchanges: Sequence[Exchange]) -> None:
        """What went over the wire: no header, no body, no query, and no whole id of the market."""
        for one in exchanges:
            path = re.sub(r"[0-9A-Za-z]*[0-9][0-9A-Za-z-]{5,}", "…", one.path)
            self._tell("market", f"{one.method} {path} {one.status or 'no answer'}", always=True)

    def _sla_class(self) -> str:
        if self.wish.sla_class:
            return self.wish.sla_class
        try:
            classes = self.cluster.list_all(Kind.SLA_CLASS)
        except CliError:
            return ""
        names = [c["metadata"]["name"] for c in classes]
        return "besteffort" if "besteffort" in names else ""

    def _watched(self, created: Json) -> Json:
        """The job once it is over; told all along."""
        return self._until(partial(self._look, created), _is_over, self.wish.timeout_s)

    def _closed(self, job: Json) -> list[LeaseView]:
        """The job's leases, all of them Closed, or as they were when patience ended."""
        if _phase(job) not in ("Complete", "Failed"):
            self._delete(job)  # a job that waits or was refused goes on for ever otherwise
        return self._until(partial(self._told_leases, job), _are_closed, PROOF_S)

    def _until(
        self, look: Callable[[], Found], is_over: Callable[[Found], bool], limit_s: float
    ) -> Found:
        ends = time.monotonic() + limit_s
        while True:
            found = look()
            if is_over(found) or time.monotonic() > ends:
                return found
            time.sleep(LOOK_S)

    def _look(self, created: Json) -> Json:
        job = self.cluster.get(Kind.JOB, created["metadata"]["name"])
        decision = (job.get("status") or {}).get("decision") or {}
        self._tell("job", " ".join(filter(None, (_phase(job), decision.get("reason", "")))))
        self._told_leases(job)
        return job

    def _told_leases(self, job: Json) -> list[LeaseView]:
        uid = job["metadata"]["uid"]
        found = [x for x in self.cluster.list_all(Kind.LEASE) if lease_view(x).job_uid == uid]
        for lease in found:
            self._tell(lease["metadata"]["name"], _state(lease))
        return [lease_view(x) for x in found]

    def _delete(self, job: Json) -> None:
        if not self.is_deleted:
            self.cluster.delete(Kind.JOB, job)
            self.is_deleted = True
            self._tell("job", "deleted; whatever it still holds is closed by the operator")

    def _verdict(self, job: Json, leases: list[LeaseView]) -> int:
        faults = [*_faults(job, leases, self.wish), *self._leftovers(leases)]
        billed = sum((v.billed_usd or Decimal(0) for v in leases), Decimal(0))
        for fault in faults:
            self._tell("FAIL", fault)
        if not faults:
            self._tell("ok", f"rented, ran, closed and proven gone; billed {billed} USD")
        return int(bool(faults))

    def _leftovers(self, leases: list[LeaseView]) -> Iterator[str]:
        """The second witness: the market's own list, read by us."""
        found = examined(self.cluster, self.account)
        self._told_exchanges(found.exchanges)
        held = found.held
        if held is None:
            yield "the market's list could not be read again; the operator's proof stands alone"
            return
        keys = {v.name for v in leases}
        left = sorted(h.handle.key for h in held if h.is_live and h.handle.key in keys)
        self._tell("market", f"lists {len(left)} of {len(keys)} leases of this run")
        for key in left:
            yield f"{key} is still held: kubectl overspill leases, and the market's console"

    def _tell(self, what: str, said: str, *, always: bool = False) -> None:
        """One line, when it is news."""
        if not said or (self.last.get(what) == said and not always):
            return
        self.last[what] = said
        clock = times.now().strftime("%H:%M:%SZ")
        render.console().print(f"{clock}  {what}  {said}", soft_wrap=True)


def _phase(job: Mapping[str, Any]) -> str:
    return str((job.get("status") or {}).get("phase", ""))


def _is_over(job: Mapping[str, Any]) -> bool:
    return _phase(job) in OVER or _is_stalled(job)


def _are_closed(leases: Sequence[LeaseView]) -> bool:
    return all(not lease.is_open for lease in leases)


def _is_stalled(job: Mapping[str, Any]) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or []
    return any(c["type"] == "Stalled" and c["status"] == "True" for c in conditions)


def _state(lease: Json) -> str:
    """The record of a lease in one line; the market's own id is cut, it may open a door."""
    view, status = lease_view(lease), lease.get("status") or {}
    permit = (status.get("permit") or {}).get("seq")
    shown = f"id {view.external_id[:4]}…" if view.external_id else ""
    words = (
        f"{view.state} ({view.reason})" if view.reason else view.state,
        f"{view.gpus}x{view.gpu_model} at {view.place}",
        f"permit {permit}" if permit else "",
        shown,
        f"{view.usd_per_hour} USD/h" if view.usd_per_hour is not None else "",
        f"billed {view.billed_usd} USD" if view.billed_usd is not None else "",
    )
    return ", ".join(word for word in words if word)


def _faults(job: Json, leases: list[LeaseView], wish: Wish) -> Iterator[str]:
    if not leases:
        decision = (job.get("status") or {}).get("decision") or {}
        why = f"{decision.get('reason', 'no decision')}: {decision.get('message', '')}"
        yield f"nothing was rented, nothing was spent ({why})"
    elif _phase(job) != "Complete":
        yield f"the job ended as {_phase(job) or 'nothing'}, not Complete"
    for lease in leases:
        if lease.is_open:
            yield f"{lease.name} is still {lease.state}; the operator goes on closing it"
    billed = sum((v.billed_usd or Decimal(0) for v in leases), Decimal(0))
    if billed > wish.max_usd:
        yield f"{billed} USD were billed, over the {wish.max_usd} allowed"
