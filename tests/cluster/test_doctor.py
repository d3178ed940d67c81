"""The doctor on a real API server: what it says of accounts, and its live run through the operator.

The market's ledger is the judge of the live run: one lease sold, ended, paid within the limit.
"""

import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from overspill.testing.bed import Bed, until
from overspill.testing.markets import market_stack
from overspill.testing.stack import Stack

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
log = logging.getLogger(__name__)

BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with market_stack(bed, tmp_path_factory.mktemp("doctor"), ["vast"]) as running:
        yield running


def overspill(stack: Stack, *args: str) -> subprocess.CompletedProcess[str]:
    env = stack.cluster.clients.environment(None) | {"COLUMNS": "100"}
    command = [BIN / "overspill", *args]
    return subprocess.run(
        command, env=env, capture_output=True, text=True, check=False, timeout=240
    )


def test_a_live_run_rents_runs_closes_and_proves(stack: Stack, namespace: str) -> None:
    flags = ["--live", "--provider", "vast", "--max-usd", "2", "-n", namespace]
    ran = overspill(stack, "doctor", *flags)
    log.info("the transcript of a live run:\n%s", ran.stdout)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "proven gone" in ran.stdout
    (key,) = set(re.findall(r"gl-[0-9a-f]{8}-[0-9a-f]{18}", ran.stdout))
    sold = stack.market.summary()["by_key"][key]
    assert (sold["created"], sold["creates_received"]) == (1, 1)
    assert 0 < Decimal(sold["usd"]) <= 2
    assert key not in stack.market.summary()["held"].values()
    assert stack.market.api_key not in ran.stdout
    jobs = stack.cluster.kubectl("get", "gpj", "-n", namespace, "-o", "json")
    assert json.loads(jobs)["items"] == []
    (lease,) = stack.leases(namespace)
    assert lease["status"]["state"] == "Closed"


def test_what_no_offer_can_do_within_the_limit_spends_nothing(stack: Stack, namespace: str) -> None:
    flags = ["--live", "--provider", "vast", "--max-usd", "0.000001", "-n", namespace]
    ran = overspill(stack, "doctor", *flags, "--timeout", "20")
    assert ran.returncode == 1
    assert "nothing was rented, nothing was spent" in ran.stdout
    assert stack.leases(namespace) == []


def test_an_empty_account_is_a_condition_an_event_and_a_failure(stack: Stack) -> None:
    stack.market.wallet(Decimal(0), "vast")
    try:
        until(lambda: "BalanceEmpty" in conditions(stack), "the condition BalanceLow", 60, 1)
        events = stack.cluster.kubectl("get", "events", "-n", "default", "-o", "json")
        about = [
            e["involvedObject"]["name"]
            for e in json.loads(events)["items"]
            if e["reason"] == "BalanceEmpty"
        ]
        assert about == ["vast"]
        ran = overspill(stack, "doctor", "--provider", "vast")
        assert ran.returncode == 1
        assert "0.00 USD are left: top the account up" in ran.stdout
        assert 'overspill_provider_balance_usd{provider="vast"} 0.0' in (
            stack.operator.metrics_text()
        )
    finally:
        stack.market.wallet(Decimal(10_000), "vast")
    until(lambda: "BalanceEmpty" not in conditions(stack), "the condition to go", 60, 1)


def conditions(stack: Stack) -> str:
    """The conditions of the account, as text."""
    return stack.cluster.kubectl("get", "gpp", "vast", "-o", "jsonpath={.status.conditions}")


def test_every_account_is_looked_at(stack: Stack, namespace: str) -> None:
    ran = overspill(stack, "doctor", "--provider", "vast")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    log.info("an account that is well:\n%s", ran.stdout)
    assert "Nothing failed." in ran.stdout
    worst = stack.cluster.kubectl("get", "gpp", "vast", "-o", "wide")
    assert "WORST-30D" in worst
    assert "Balance" in worst
