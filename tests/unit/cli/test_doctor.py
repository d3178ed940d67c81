"""The doctor's verdicts, and the bounds of what a live run may do."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from overspill.api.crd import openapi
from overspill.api.kinds import JOB
from overspill.cli import doctor_live, main
from overspill.cli.doctor import doctor
from overspill.cli.doctor_account import records_of
from overspill.cli.doctor_checks import Examined, Records, Verdict, examine
from overspill.cli.doctor_live import Wish, manifest
from overspill.cli.errors import CliError
from overspill.core.errors import RateLimited, Unavailable
from overspill.core.lease import Handle
from overspill.core.observation import HeldLease
from overspill.core.vocabulary import BillEnd
from overspill.core.worst_case import Ending
from overspill.kube.resources import Kind
from overspill.testing.cli_samples import FakeCluster
from overspill.testing.clock import ManualClock
from overspill.testing.market import FakeMarket, Held

CLUSTER = "1a2b3c4d-0000-4000-8000-000000000000"
OURS, STRAY, FOREIGN = "gl-1a2b3c4d-one", "gl-1a2b3c4d-two", "gl-99999999-three"


def market(*keys: str) -> FakeMarket:
    clock = ManualClock()
    made = FakeMarket(clock)
    made.sold = [Held(f"x{i}", key, clock.now()) for i, key in enumerate(keys)]
    return made


def said(found: Examined, check: str) -> tuple[Verdict, str]:
    (one,) = [f for f in found.findings if f.check == check]
    return one.verdict, one.sentence


async def look(provider: FakeMarket, records: Records | None = None) -> Examined:
    return await examine(provider, records, provider.clock)


async def test_what_is_held_without_a_record_fails_and_is_named() -> None:
    records = Records(CLUSTER, frozenset({OURS}))
    verdict, told = said(await look(market(OURS, STRAY, FOREIGN), records), "leases")
    assert verdict is Verdict.FAIL
    assert told.startswith(f"{STRAY} are held without a record")
    assert told.endswith("1 more are not this cluster's")
    verdict, told = said(await look(market(OURS, FOREIGN), records), "leases")
    assert (verdict, told.split(",")[0]) == (Verdict.OK, "1 of this cluster's are held")


@pytest.mark.parametrize(
    ("records", "why"),
    [(None, "you may not read all GPULeases"), (Records(), "no lease was recorded yet")],
    ids=["forbidden", "a new cluster"],
)
async def test_without_records_nothing_is_called_a_stray(records: Records | None, why: str) -> None:
    verdict, told = said(await look(market(STRAY), records), "leases")
    assert (verdict, why in told) == (Verdict.NOTE, True)


@pytest.mark.parametrize(("by", "verdict"), [
    (BillEnd.DEADLINE, Verdict.OK), (BillEnd.PREPAID, Verdict.OK),
    (BillEnd.BALANCE, Verdict.NOTE), (BillEnd.NOTHING, Verdict.WARN),
])  # fmt: skip
async def test_how_a_bill_ends_without_us_is_told(by: BillEnd, verdict: Verdict) -> None:
    provider = market()
    provider.capabilities = replace(provider.capabilities, ending=Ending(by))
    assert said(await look(provider), "worst case")[0] is verdict


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Unavailable("no answer"), Verdict.FAIL),
        (RateLimited("not now", retry_after=timedelta(seconds=7)), Verdict.WARN),
    ],
    ids=["silent", "throttled"],
)
async def test_what_the_market_refuses_is_told_as_what_it_is(
    error: Exception, verdict: Verdict, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = market()

    async def fails(_: object) -> Sequence[Any]:
        raise error

    monkeypatch.setattr(provider, "offers", fails)
    assert said(await look(provider), "offers")[0] is verdict


def test_records_are_those_of_the_whole_cluster(cluster: FakeCluster) -> None:
    cluster.namespace = "another"
    found = records_of(cluster, "akash")
    assert found is not None
    assert (found.cluster_id, found.hourly_usd) == (CLUSTER, Decimal("3.10"))
    assert found.keys == {"gl-1a2b3c4d-000000000000000002"}
    cluster.forbidden = {Kind.LEASE}
    assert records_of(cluster, "akash") is None


def test_home_is_judged_by_what_the_operator_says(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> None:
    home = cluster.objects[Kind.PROVIDER][0]
    home["metadata"] |= {"generation": 2}
    home["status"] |= {"observedGeneration": 1, "offersSeen": 3}
    assert doctor(cluster, "home", as_json=True) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(f["check"], f["verdict"]) for f in found] == [("operator", "warn"), ("offers", "ok")]


def test_no_account_at_all_is_a_sentence() -> None:
    with pytest.raises(CliError, match="There is no GPUProvider"):
        doctor(FakeCluster(), "", as_json=False)


def test_a_live_run_names_its_account(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    config = tmp_path / "config"
    config.write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nusers: [{name: u, user: {}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:9'}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
    )
    assert main.main(["doctor", "--live", "--kubeconfig", str(config)]) == 2
    assert "name it with --provider" in capsys.readouterr().err


def test_the_job_of_a_live_run_is_bounded_on_every_side() -> None:
    job = manifest("vast", Wish(max_usd=Decimal("1.50")), "doctor-1", "besteffort")
    jsonschema.validate(job, openapi(JOB))
    spec = job["spec"]
    assert spec["budget"] == {"maxTotalUSD": "1.50"}
    assert spec["placement"] == {"burst": "Only", "providers": ["vast"]}
    assert (spec["backoffLimit"], spec["recovery"]["maxMoves"]) == (0, 0)
    assert spec["activeDeadlineSeconds"] <= 900


def test_home_is_not_rented(cluster: FakeCluster) -> None:
    cluster.objects[Kind.PROVIDER][0]["spec"] |= {"trustTier": "Own"}
    with pytest.raises(CliError, match="home is home: nothing is rented there"):
        doctor_live.live(cluster, "home", Wish())


class Scripted(FakeCluster):
    """A cluster in which an operator acts: each look at the job shows the next state."""

    def __init__(self, states: list[tuple[dict[str, Any], list[dict[str, Any]]]]) -> None:
        super().__init__()
        self.states = states
        self.deleted: list[str] = []

    def get(self, kind: Kind, name: str, namespace: str | None = None) -> dict[str, Any]:
        found = super().get(kind, name, namespace)
        if kind is Kind.JOB:
            status, leases = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            found["status"], self.objects[Kind.LEASE] = status, leases
        return found

    def delete(self, kind: Kind, obj: dict[str, Any]) -> None:
        self.deleted.append(obj["metadata"]["name"])
        super().delete(kind, obj)


def lease(state: str, **status: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": OURS, "namespace": "team-a", "creationTimestamp": ""},
        "spec": {
            "jobRef": {"name": "d", "uid": "uid-gpujobs"},
            "provider": "market",
            "clusterID": CLUSTER,
            "offer": {"place": "market/somewhere", "gpuModel": "h100"},
            "request": {"gpuCount": 1},
        },
        "status": {"state": state, **status},
    }


ACTIVE = lease("Active", pricePerHourUSD="2", permit={"seq": 1}, handle={"externalID": "18234567"})
CLOSED = lease("Closed", pricePerHourUSD="2", billedUSD="0.02", closing={"reason": "Finished"})


def rented(
    states: list[Any], held: Sequence[str], monkeypatch: pytest.MonkeyPatch, **wish: Any
) -> tuple[int, Scripted]:
    """A live run in that story; `held` is what the market lists in the end."""
    cluster = Scripted(states)
    provider = market(*held)
    provider.name = "market"
    well = Examined(held=[HeldLease(Handle(key, "1"), is_live=True) for key in held])
    monkeypatch.setattr(doctor_live, "examined", lambda *_: well)
    monkeypatch.setattr(doctor_live, "LOOK_S", 0)
    monkeypatch.setattr(doctor_live, "PROOF_S", 0.05)
    account = doctor_live.ProviderAccount("market", "Vast")
    return doctor_live._Run(cluster, account, Wish(**wish)).run(), cluster


def test_a_live_run_that_goes_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = [
        ({"phase": "Placing"}, []),
        ({"phase": "Running"}, [ACTIVE]),
        ({"phase": "Complete"}, [CLOSED]),
    ]
    code, cluster = rented(states, [], monkeypatch)
    printed = capsys.readouterr().out
    assert code == 0, printed
    assert "Active, 1xh100 at market/somewhere, permit 1, id 1823…, 2 USD/h" in printed
    assert "18234567" not in printed
    assert "lists 0 of 1 leases of this run" in printed
    assert "rented, ran, closed and proven gone; billed 0.02 USD" in printed
    assert cluster.deleted == [cluster.deleted[0]]
    assert cluster.objects[Kind.JOB] == []


@pytest.mark.parametrize(
    ("states", "held", "told"),
    [
        pytest.param(
            [({"phase": "Refused", "decision": {"reason": "ReportURLMissing"}}, [])], [],
            "nothing was rented, nothing was spent (ReportURLMissing", id="refused",
        ),
        pytest.param(
            [({"phase": "Failed"}, [CLOSED])], [], "the job ended as Failed", id="failed",
        ),
        pytest.param(
            [({"phase": "Complete"}, [ACTIVE])], [], "is still Active; the operator goes on",
            id="does not close",
        ),
        pytest.param(
            [({"phase": "Complete"}, [CLOSED])], [OURS], f"{OURS} is still held", id="a liar",
        ),
        pytest.param(
            [({"phase": "Complete"}, [lease("Closed", billedUSD="9")])], [],
            "9 USD were billed, over the 2 allowed", id="over the limit",
        ),
    ],
)  # fmt: skip
def test_a_live_run_that_does_not_go_well_says_so(
    states: list[Any],
    held: list[str],
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    code, cluster = rented(states, held, monkeypatch)
    assert code == 1
    assert told in capsys.readouterr().out
    assert cluster.objects[Kind.JOB] == [], "the job never stays behind"


def test_an_interrupted_run_leaves_no_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_live, "examined", lambda *_: Examined())
    cluster = Scripted([({"phase": "Running"}, [ACTIVE])])

    def interrupted(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor_live.time, "sleep", interrupted)
    account = doctor_live.ProviderAccount("market", "Vast")
    with pytest.raises(KeyboardInterrupt):
        doctor_live._Run(cluster, account, Wish()).run()
    assert cluster.objects[Kind.JOB] == []
