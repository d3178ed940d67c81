"""The doctor against every market of the sandbox, over real HTTP: well, and ill in each way."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from overspill.cli.doctor import doctor
from overspill.cli.doctor_live import Wish, _Run, live
from overspill.cli.errors import CliError
from overspill.kube.mapping import read_account
from overspill.kube.resources import Kind
from overspill.sandbox.app import SandboxApp, running
from overspill.sandbox.options import SandboxOptions
from overspill.testing.cli_samples import FakeCluster, lease_of
from overspill.testing.markets import account_of, ready

KEY = "a-key-of-the-sandbox"


@dataclass
class Served:
    """What `account_of` wants to know of a sandbox."""

    urls: dict[str, str]
    api_key: str = KEY


@pytest.fixture(params=ready())
async def market(request: pytest.FixtureRequest) -> AsyncIterator[tuple[str, SandboxApp]]:
    async with running(SandboxOptions(api_key=KEY, markets=(request.param,))) as app:
        yield request.param, app


def cluster_of(name: str, app: SandboxApp, **spec: Any) -> FakeCluster:
    """A cluster with one account, as the operator has found it usable."""
    secret, provider = account_of(name, Served(app.urls))  # type: ignore[arg-type]  # all it reads
    provider["metadata"] |= {"resourceVersion": "1", "generation": 1, "uid": "u"}
    provider["spec"] |= spec
    ready = {"type": "Ready", "status": "True", "reason": "Usable", "message": ""}
    provider["status"] = {"observedGeneration": 1, "conditions": [ready]}
    data = {k: base64.b64encode(v.encode()).decode() for k, v in secret["stringData"].items()}
    return FakeCluster(objects={Kind.PROVIDER: [provider]}, secrets={name: data})


async def found_by(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str]
) -> tuple[int, dict[str, tuple[str, str]]]:
    """Exit code, and verdict and sentence by check."""
    code = await asyncio.to_thread(doctor, cluster, "", as_json=True)
    printed = json.loads(capsys.readouterr().out)
    return code, {f["check"]: (f["verdict"], f["sentence"]) for f in printed}


async def test_an_account_that_is_well(
    market: tuple[str, SandboxApp], capsys: pytest.CaptureFixture[str]
) -> None:
    code, found = await found_by(cluster_of(*market), capsys)
    assert code == 0, found
    wanted = {"operator", "reach", "clock", "offers", "credentials", "leases", "balance"}
    assert wanted <= set(found)
    assert {found[check][0] for check in ("operator", "reach", "clock", "credentials")} == {"ok"}
    assert "can be had now; the cheapest GPU is a" in found["offers"][1]
    assert "without us" in found["worst case"][1]


async def test_a_wrong_key_is_told_and_nothing_else_is_blamed(
    market: tuple[str, SandboxApp], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_of(*market)
    wrong = base64.b64encode(b"another-key").decode()
    cluster.secrets = {name: dict.fromkeys(data, wrong) for name, data in cluster.secrets.items()}
    code, found = await found_by(cluster, capsys)
    assert code == 1
    assert found["credentials"][0] == "FAIL"
    assert "put credentials that work into its Secret" in found["credentials"][1]
    assert "another-key" not in str(found)
    assert found["reach"][0] == "ok"


async def test_an_endpoint_where_nobody_listens(
    market: tuple[str, SandboxApp], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_of(*market, endpoint="http://127.0.0.1:9")
    code, found = await found_by(cluster, capsys)
    assert code == 1
    assert "does not answer: look at spec.endpoint" in found["reach"][1]


async def test_a_secret_that_may_not_be_read_is_a_finding(
    market: tuple[str, SandboxApp], capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_of(*market)
    cluster.secrets = {}
    code, found = await found_by(cluster, capsys)
    assert code == 1
    assert "needs the right to read its Secret" in found["credentials"][1]


async def test_nothing_is_rented_at_an_account_that_is_not_well(
    market: tuple[str, SandboxApp],
) -> None:
    name, app = market
    cluster = cluster_of(name, app, endpoint="http://127.0.0.1:9")
    with pytest.raises(CliError, match="is not well, so nothing is rented"):
        await asyncio.to_thread(live, cluster, name, Wish())
    assert Kind.JOB not in cluster.objects


@pytest.fixture
async def vast() -> AsyncIterator[SandboxApp]:
    async with running(SandboxOptions(api_key=KEY, markets=("vast",))) as app:
        yield app


async def test_money_that_will_not_last_is_a_warning(
    vast: SandboxApp, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_of("vast", vast)
    lease = lease_of(1, status={"state": "Active", "pricePerHourUSD": "2"})
    lease["spec"]["provider"] = "vast"
    lease["status"]["activeSinceTime"] = "2026-11-25T10:00:00Z"
    cluster.objects[Kind.LEASE] = [lease]
    vast.markets["vast"].balance_usd = 10  # type: ignore[assignment]
    code, found = await found_by(cluster, capsys)
    assert (code, found["balance"]) == (0, ("warn", "10.00 USD are left, 5.0 h at 2.00 USD/h"))


async def test_an_empty_account_fails(vast: SandboxApp, capsys: pytest.CaptureFixture[str]) -> None:
    vast.markets["vast"].balance_usd = 0  # type: ignore[assignment]
    code, found = await found_by(cluster_of("vast", vast), capsys)
    assert (code, found["balance"]) == (1, ("FAIL", "0.00 USD are left: top the account up"))


async def test_what_the_operator_says_is_told(
    vast: SandboxApp, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_of("vast", vast)
    status = cluster.objects[Kind.PROVIDER][0]["status"]
    low = {"type": "BalanceLow", "status": "True", "reason": "RunwayShort", "message": "top it up"}
    status["conditions"].append(low)
    _, found = await found_by(cluster, capsys)
    assert found["operator"] == ("warn", "RunwayShort: top it up")
    status.pop("observedGeneration")
    code, found = await found_by(cluster, capsys)
    assert code == 1
    assert found["operator"][1].startswith("the operator has never looked at this account")


async def test_a_clock_that_is_wrong_fails(
    vast: SandboxApp, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import datetime, timedelta  # noqa: PLC0415  (used here alone)

    from overspill.clock import SystemClock  # noqa: PLC0415

    real = SystemClock.now

    def late(self: SystemClock) -> datetime:
        return real(self) - timedelta(minutes=6)

    monkeypatch.setattr(SystemClock, "now", late)
    code, found = await found_by(cluster_of("vast", vast), capsys)
    assert (code, found["clock"][0]) == (1, "FAIL")
    assert "set the clock (NTP)" in found["clock"][1]


async def test_the_transcript_tells_neither_keys_nor_whole_ids(
    vast: SandboxApp, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = cluster_of("vast", vast)
    account = read_account(cluster.objects[Kind.PROVIDER][0])
    await asyncio.to_thread(_Run(cluster, account, Wish())._examine_first)
    printed = capsys.readouterr().out
    assert "POST /api/v0/bundles/ 200" in printed
    assert KEY not in printed
