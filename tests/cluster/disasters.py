"""Twelve disasters: what is struck, what is expected, and how it is seen on the market's ledger.

`test_disasters.py` runs them as tests, `benchmarks/chaos_disasters.py` as the campaign. Their
order matters: the later ones destroy more.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from overspill.testing.bed import KubectlError, until
from overspill.testing.stack import PROVIDER

from .proofs import lease_of, until_leads
from .ruins import KEPT, RIGHTS, SPACES, Rig, assert_kept, give_rights_back, holds, leaks, start

LEASES = "gpuleases.overspill.dev"
CRD = Path(__file__).parents[2] / "crds" / "overspill.dev_gpuleases.yaml"
NO_FINALIZER = json.dumps({"metadata": {"finalizers": None}})
STOPPED = "overspill_sweep_stopped"
NOTHING = {"deployments": [], "pagination": {"total": 0, "skip": 0, "limit": 500, "hasMore": False}}
NO_NAMES = {"deployments": [], "pagination": {"next_key": None, "total": "0"}}
"""What the two lists of the market say of an account that holds nothing."""


@dataclass(frozen=True)
class Disaster:
    """`strike` may come long before `seen`, which heals, asserts, and says what it saw."""

    name: str
    expected: str
    strike: Callable[[Rig], None]
    seen: Callable[[Rig], str]


# People and records. These strike at once, so that one wait serves all.


def strip_finalizer(rig: Rig) -> None:
    _strip(rig, rig.struck, rig.keys["stripped"])
    rig.bed.kubectl("delete", "gpj", "stripped", "-n", rig.struck, "--wait=false")


def ended_without_finalizer(rig: Rig) -> str:
    key = rig.keys["stripped"]
    until(lambda: key not in rig.held(), "the stripped lease to be ended", 120, 0.5)
    until(lambda: _state(rig, "stripped") == "Closed", "its record to be closed", 120, 0.5)
    status = lease_of(rig.stack, rig.struck, "stripped")["status"]
    return f"closed for certain ({status['closing']['reason']}), {status['billedUSD']} USD recorded"


def force_delete(rig: Rig) -> None:
    _strip(rig, rig.struck, rig.keys["forced"])
    rig.bed.kubectl("delete", "gpl", rig.keys["forced"], "-n", rig.struck, "--ignore-not-found")


def ended_by_the_sweep(rig: Rig) -> str:
    until(lambda: rig.keys["forced"] not in rig.held(), "the orphan to be ended", 120, 0.5)
    until(lambda: _state(rig, "forced", 2) == "Active", "the next attempt to run", 90, 0.5)
    return "the orphan was ended by the sweep, attempt 2 runs"


def delete_namespace(rig: Rig) -> None:
    rig.bed.kubectl("delete", "namespace", rig.doomed, "--wait=false")


def namespace_waits_for_proof(rig: Rig) -> str:
    until(lambda: not _exists(rig, "namespace", rig.doomed), "the namespace to go", 90, 0.5)
    assert rig.keys["doomed"] not in rig.held(), "the namespace went before its lease did"
    return "the namespace went once its lease was proven gone"


def delete_while_down(rig: Rig) -> None:
    with rig.kubelet.away():
        rig.operator.kill()
        rig.bed.kubectl("delete", "gpj", "missed", "-n", rig.struck, "--wait=false")
        until(lambda: not _exists(rig, "gpj", "missed", rig.struck), "the job to go", 20, 0.2)


def closed_after_the_start(rig: Rig) -> str:
    until(lambda: rig.keys["missed"] not in rig.held(), "its lease to be ended", 120, 0.5)
    until(lambda: _state(rig, "missed") == "Closed", "its record to be closed", 120, 0.5)
    status = lease_of(rig.stack, rig.struck, "missed")["status"]
    assert status["closing"]["reason"] == "JobGone", status
    return "closed as JobGone after the start"


def nothing(_rig: Rig) -> None:
    """The strangers rent since the beginning."""


def strangers_untouched(rig: Rig) -> str:
    holds(lambda: assert_kept(rig), rig)  # the verdict that follows asks for the strangers
    return "both still held after every sweep so far"


# The control plane.


def kill_both(rig: Rig) -> None:
    rig.operator.kill()
    rig.bed.apiserver.kill()


def both_return(rig: Rig) -> str:
    before = rig.kubelet.restarts
    rig.bed.apiserver.start()
    until_leads(rig.operator)
    holds(lambda: assert_kept(rig), rig)
    return f"leads again after {rig.kubelet.restarts - before + 1} starts, every lease kept"


def kill_apiserver(rig: Rig) -> None:
    rig.bed.apiserver.kill()


def apiserver_returns(rig: Rig) -> str:
    """Long past the renew deadline: the leader ends itself, its successor waits for the API."""
    before, said = rig.kubelet.restarts, _said(rig)
    until(lambda: rig.kubelet.restarts > before, "the leader to end itself", 60, 0.2)
    until(lambda: "will try again" in said(), "its successor to find nobody", 60, 0.2)
    assert {rig.keys[job] for job in KEPT} <= rig.held(), "ended while the records were away"
    rig.bed.apiserver.start()
    back = time.monotonic()
    until_leads(rig.operator)
    waited = time.monotonic() - back
    holds(lambda: assert_kept(rig), rig)
    return f"the leader ended itself; the next acts {waited:.0f} s after the API is back, all kept"


def revoke_rights(rig: Rig) -> None:
    rig.bed.kubectl("delete", *RIGHTS)
    start(rig, rig.struck, "later", "sleep 1")


def rights_return(rig: Rig) -> str:
    said = _said(rig)
    until(lambda: "forbidden" in said(), "a refusal", 120, 0.5)
    assert {rig.keys[job] for job in KEPT} <= rig.held(), "ended without any right to know"
    assert rig.stack.phase(rig.struck, "later") == "", "somebody else acted"
    give_rights_back(rig)
    rig.stack.until_phase(rig.struck, "later", "Complete", timeout_s=120)
    assert_kept(rig)
    return "nothing was ended while forbidden, the log names the right; goes on once it is back"


# The market.


def revoke_key(rig: Rig) -> None:
    body = {"error": "Unauthorized", "message": "Invalid API key"}
    rig.stack.market.fault("status", path="/v1/.*", status=401, body=body)


def key_returns(rig: Rig) -> str:
    told = _until_marked(rig, "AuthRejected")
    assert "put credentials that work into its Secret" in told
    assert_kept(rig)
    rig.stack.market.clear_faults()
    until(lambda: _ready(rig)["status"] == "True", "the account to be usable again", 90, 0.5)
    assert_kept(rig)
    return f"every lease kept; GPUProvider Ready=False: {told}"


def empty_lists(rig: Rig) -> None:
    lists = {"/v1/deployments": {"data": NOTHING}, "/akash/deployment/.*/list": NO_NAMES}
    for path, body in lists.items():
        rig.stack.market.fault("status", method="GET", path=path, status=200, body=body)


def lists_return(rig: Rig) -> str:
    start(rig, rig.struck, "hidden", "sleep 1")
    rig.swept()
    holds(lambda: assert_kept(rig), rig)
    rig.stack.market.clear_faults()
    rig.stack.until_phase(rig.struck, "hidden", "Complete", timeout_s=120)
    until(lambda: not leaks(rig), "what ended under the lie to be gone", 120, 0.5)
    assert_kept(rig)
    return "no lease was lost, closed or forgotten in four sweeps of empty lists"


# The records as a whole.


def restore_backup(rig: Rig) -> None:
    """Younger than the backup: one lease, one failover, and a job that nobody will remember."""
    etcd, data = rig.bed.etcd, rig.bed.layout.etcd_data
    etcd.stop()
    shutil.copytree(data, rig.backup)
    etcd.start()
    rig.bed.apiserver.wait_ready()
    start(rig, rig.struck, "young")
    rig.stack.market.end_lease(rig.keys["moved"])
    rig.stack.until_phase(rig.struck, "young", "Running", timeout_s=120)
    until(lambda: _state(rig, "moved", 2) == "Active", "the failover", 90, 0.5)
    rig.keys["young"], rig.keys["moved/2"] = rig.key("young"), rig.key("moved", 2)
    rig.bed.apiserver.kill()
    etcd.kill()
    shutil.rmtree(data)
    shutil.copytree(rig.backup, data)
    etcd.start()
    rig.bed.apiserver.start()
    for part in (rig.bed.controller_manager, rig.bed.scheduler, rig.bed.kwok):
        part.restart()


def restored(rig: Rig) -> str:
    assert not _exists(rig, "gpj", "young", rig.struck), "the backup was not older"
    until_leads(rig.operator, 90)
    until(lambda: rig.keys["young"] not in rig.held(), "the unknown lease to be ended", 90, 0.5)
    until(lambda: _state(rig, "moved", 2) == "Active", "the failover once more", 120, 0.5)
    holds(lambda: assert_kept(rig), rig)
    sold = rig.stack.market.summary()["by_key"][rig.keys["moved/2"]]
    return (
        "what the backup knows was kept, what it does not know was ended; the attempt that was "
        f"planned twice: {sold['created']} made, {len(sold['open'])} open"
    )


def delete_crd(rig: Rig) -> None:
    """By force, as people do when a CRD hangs in deletion; and made anew, without its objects."""
    held = rig.held()
    for space in SPACES:
        for lease in rig.stack.leases(space):
            _strip(rig, space, lease["metadata"]["name"])
    said = _said(rig)
    rig.bed.kubectl("delete", "crd", LEASES)
    until(lambda: "listing gpuleases" in said(), "the operator to miss its records", 60, 0.2)
    assert rig.held() == held, "something was ended while there were no records"
    rig.bed.kubectl("apply", "--server-side", "-f", str(CRD))
    until(lambda: _serves(rig), "the API server to serve it", 30, 0.2)


def breaker_holds(rig: Rig) -> str:
    until(lambda: rig.metric(STOPPED) == 1, "the sweep's breaker to hold", 60, 0.2)
    held = rig.held()
    assert {rig.keys[job] for job in KEPT} <= held, "ended because its record was gone"
    told = _until_marked(rig, "SweepStopped")
    rig.swept()
    assert rig.held() == held, "something was ended or rented while the breaker held"
    _close_by_hand(rig)
    until(lambda: rig.metric(STOPPED) == 0, "the breaker to let go", 60, 0.2)
    for job in KEPT:
        rig.stack.until_phase(rig.kept, job, "Running", timeout_s=120)
    return f"nothing ended, nothing rented, until a person had closed them; told: {told}"


DISASTERS = (
    Disaster(
        "finalizer stripped, job deleted",
        "the lease is closed for certain all the same",
        strip_finalizer,
        ended_without_finalizer,
    ),
    Disaster(
        "record deleted by force",
        "the sweep ends what it held; the job goes on in a next attempt",
        force_delete,
        ended_by_the_sweep,
    ),
    Disaster(
        "namespace deleted",
        "it hangs until its lease is proven gone",
        delete_namespace,
        namespace_waits_for_proof,
    ),
    Disaster(
        "job deleted while the operator is down",
        "the lease is closed at the next start",
        delete_while_down,
        closed_after_the_start,
    ),
    Disaster(
        "strangers on the same account",
        "another cluster's leases and what people rent are not touched",
        nothing,
        strangers_untouched,
    ),
    Disaster(
        "operator and API server killed at once",
        "every lease is kept",
        kill_both,
        both_return,
    ),
    Disaster(
        "API server away for long",
        "the leader ends itself; every lease is kept",
        kill_apiserver,
        apiserver_returns,
    ),
    Disaster(
        "rights revoked and given back",
        "nothing is ended; what was asked for meanwhile is done afterwards",
        revoke_rights,
        rights_return,
    ),
    Disaster(
        "account's key revoked",
        "every lease is kept; the account says what to do",
        revoke_key,
        key_returns,
    ),
    Disaster(
        "lists empty with 200",
        "nothing wanted is lost or closed, nothing is forgotten",
        empty_lists,
        lists_return,
    ),
    Disaster(
        "etcd restored from an older backup",
        "what it knows is kept, what it does not know is ended, nothing is doubled",
        restore_backup,
        restored,
    ),
    Disaster(
        "CRD deleted by force and made anew",
        "the breaker holds everything until a person decides, and says so",
        delete_crd,
        breaker_holds,
    ),
)

SINGLE = DISASTERS[:5]
"""These concern single records: all strike at once, and are looked at one by one."""


def _strip(rig: Rig, space: str, lease: str) -> None:
    rig.bed.kubectl("patch", "gpl", lease, "-n", space, "--type=merge", "-p", NO_FINALIZER)


def _state(rig: Rig, job: str, attempt: int = 1) -> str:
    leases = [x for x in rig.stack.leases(rig.struck) if x["spec"]["jobRef"]["name"] == job]
    found = next((x for x in leases if x["spec"]["attempt"] == attempt), {})
    return str(found.get("status", {}).get("state", ""))


def _exists(rig: Rig, kind: str, name: str, space: str = "") -> bool:
    where = ("-n", space) if space else ()
    return bool(rig.bed.kubectl("get", kind, name, *where, "--ignore-not-found", "-o", "name"))


def _serves(rig: Rig) -> bool:
    """Whether leases can be listed; `kubectl wait` stumbles over a CRD without a status."""
    try:
        return rig.stack.leases(rig.kept) == []
    except KubectlError:
        return False


def _said(rig: Rig) -> Callable[[], str]:
    """What the operator has said from now on."""
    size = rig.operator.log.stat().st_size
    return lambda: rig.operator.log.read_bytes()[size:].decode(errors="replace")


def _ready(rig: Rig) -> dict[str, str]:
    found = json.loads(rig.bed.kubectl("get", "gpp", PROVIDER, "-o", "json"))
    conditions = found.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == "Ready"), {"status": "", "reason": ""})


def _until_marked(rig: Rig, reason: str) -> str:
    until(lambda: _ready(rig)["reason"] == reason, f"the account to be {reason}", 120, 0.5)
    return _ready(rig)["message"]


def _close_by_hand(rig: Rig) -> None:
    """What docs/operations.md tells a person to do: close on the market's console."""
    unknown = leaks(rig)
    for dseq, key in rig.stack.market.summary()["held"].items():
        if key in unknown:
            rig.console.delete(f"/v1/deployments/{dseq}").raise_for_status()
