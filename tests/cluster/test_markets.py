"""A job on every container market, side by side, through the operator, on a real API server."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from overspill.testing.bed import Bed, until
from overspill.testing.markets import market_stack, ready
from overspill.testing.stack import Stack

from .manifests import burst_only

pytestmark = pytest.mark.cluster

MARKETS = [name for name in ready() if name != "akash"]
"""Akash has tests of its own: test_path, test_ceiling, test_cut."""


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    workdir: Path = tmp_path_factory.mktemp("markets")
    settings = {"OVERSPILL_FAILOVER_STOP_S": "3"}  # every market loses its lease at once below
    with market_stack(bed, workdir, MARKETS, settings) as running:
        yield running


def test_bursts_run_to_their_end_and_are_paid_for_once(stack: Stack, namespace: str) -> None:
    script = "echo says $OVERSPILL_JOB; nvidia-smi -L; sleep 2"
    for market in MARKETS:
        stack.apply_job(namespace, market, _on(market, script))
    _all_complete(stack, namespace)
    summary = stack.market.summary()
    for market in MARKETS:
        lease = next(x for x in _leases(stack, namespace, market) if _has_run(x))
        key = lease["metadata"]["name"]
        assert lease["spec"]["provider"] == market
        said = stack.market.logs(key).values()
        assert any(f"says {namespace}/{market}" in text for text in said), market
        assert summary["by_key"][key]["creates_received"] == 1, market
        # our books say when it was ours; some markets bill from when their container runs
        apart = Decimal(lease["status"]["billedUSD"]) - Decimal(summary["by_key"][key]["usd"])
        assert abs(apart) < Decimal("0.01"), market


def test_lost_answers_are_found_again_and_nothing_is_doubled(stack: Stack, namespace: str) -> None:
    for market in MARKETS:
        _lose_the_answer(stack, market)
        stack.apply_job(namespace, market, _on(market, "sleep 1"))
    _all_complete(stack, namespace)
    stack.market.clear_faults()
    by_key = stack.market.summary()["by_key"]
    for market in MARKETS:
        keys = [lease["metadata"]["name"] for lease in _leases(stack, namespace, market)]
        sold = [by_key[key] for key in keys if key in by_key and by_key[key]["created"]]
        assert [(x["created"], x["creates_received"]) for x in sold] == [(1, 1)], market


def test_leases_that_the_hosts_end_are_lost_and_the_jobs_run_elsewhere(
    stack: Stack, namespace: str
) -> None:
    for market in MARKETS:
        stack.market.fault("lease_closes", market=market, seconds=6, count=1)
        stack.apply_job(namespace, market, _on(market, "sleep 10"))
    _all_complete(stack, namespace)
    stack.market.clear_faults()
    for market in MARKETS:
        ran = [x for x in _leases(stack, namespace, market) if _has_run(x)]
        why = [x["status"]["closing"]["reason"] for x in sorted(ran, key=_attempt)]
        assert why == ["Lost", "Finished"], market


def test_an_operator_that_never_comes_back_costs_no_more_than_was_declared(
    stack: Stack, namespace: str
) -> None:
    for market in MARKETS:
        stack.apply_job(namespace, market, _on(market, "sleep 100000"))
    declared = {market: _declared(stack, namespace, market) for market in MARKETS}
    stack.operator.kill()
    stack.market.advance(30 * 86_400)
    summary = stack.market.summary()
    for market, (key, most_usd) in declared.items():
        assert 0 < Decimal(summary["by_key"][key]["usd"]) <= most_usd, market
    assert (summary["doubles"], summary["double_creates"]) == ({}, {})


def _declared(stack: Stack, namespace: str, market: str) -> tuple[str, Decimal]:
    """The key of the job's lease, and what its GPUProvider says of the next 30 days with it."""
    stack.until_phase(namespace, market, "Running", timeout_s=180)
    (lease,) = [x for x in _leases(stack, namespace, market) if _has_run(x)]
    key = lease["metadata"]["name"]

    def told() -> dict[str, Any] | None:
        found = stack.cluster.kubectl("get", "gpp", market, "-o", "jsonpath={.status.worstCase}")
        worst: dict[str, Any] = json.loads(found or "{}")
        return worst if key in {x["leaseName"] for x in worst.get("leases", [])} else None

    worst = until(told, f"{market} to declare its worst case", 60, 0.5)
    assert worst is not None
    return key, Decimal(worst["within30DaysUSD"])


def _all_complete(stack: Stack, namespace: str) -> None:
    """Every job is Complete, every lease closed; nothing is held and nothing was doubled."""
    for market in MARKETS:
        stack.until_phase(namespace, market, "Complete", timeout_s=180)
    stack.until_settled(namespace)
    summary = stack.market.summary()
    assert (summary["doubles"], summary["double_creates"]) == ({}, {})
    ours = {lease["metadata"]["name"] for lease in stack.leases(namespace)}
    assert not ours & set(summary["held"].values())


def _lose_the_answer(stack: Stack, market: str) -> None:
    """Of the first request that carries a key of ours and may cost: the create."""
    for method in ("POST", "PUT"):
        action = "drop_response_after_commit"
        stack.market.fault(action, method=method, key="gl-.+", market=market, count=1)


def _leases(stack: Stack, namespace: str, job: str) -> list[dict[str, Any]]:
    return [x for x in stack.leases(namespace) if x["spec"]["jobRef"]["name"] == job]


def _has_run(lease: dict[str, Any]) -> bool:
    return bool(lease.get("status", {}).get("activeSinceTime"))


def _attempt(lease: dict[str, Any]) -> int:
    return int(lease["spec"]["attempt"])


def _on(market: str, script: str) -> dict[str, Any]:
    placement = {"burst": "Only", "providers": [market]}
    return burst_only("sh", "-c", script, placement=placement, activeDeadlineSeconds=3000)
