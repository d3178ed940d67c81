"""A job nears its ceiling: it is told, it checkpoints, and its lease is closed before it."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

import pytest

from overspill.testing.bed import Bed
from overspill.testing.stack import Stack, StackOptions

from .proofs import assert_clean, hasten, rented, until_condition

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

PRICE = Decimal(60)
"""USD per GPU-hour, a dollar a minute: so that the ceiling is near."""
CEILING = Decimal("4.4")
"""Three minutes to close, at the highest rate the market may charge, and some 50 s to run."""
SAVES_WHEN_TOLD = """
echo started
while :; do
  if grep -q checkpoint "$OVERSPILL_DROP_DIR/command" 2>/dev/null; then
    printf 's3://models/told\\n7\\n' > "$OVERSPILL_DROP_DIR/.new"
    mv "$OVERSPILL_DROP_DIR/.new" "$OVERSPILL_DROP_DIR/checkpoint"
    rm "$OVERSPILL_DROP_DIR/command"
  fi
  sleep 0.5
done
"""
"""Never ends by itself; saves only when the operator asks for it."""


@pytest.fixture(scope="module")
def stack(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    # The price moves while the first offers are asked for: a bid above an older cap is no bid.
    options = StackOptions(environment={"OVERSPILL_REFUSED_OFFER_S": "10"})
    with Stack.start(bed, tmp_path_factory.mktemp("ceiling"), options) as running:
        running.market.price("harbor", PRICE)
        hasten(running)
        yield running


def test_it_is_told_saved_and_closed_before_the_ceiling(stack: Stack, namespace: str) -> None:
    spec = rented(
        SAVES_WHEN_TOLD,
        gpu={"count": 1, "models": ["v100-32gb"]},
        budget={"maxTotalUSD": str(CEILING)},
        deadline={"workSeconds": 20},
        checkpoint={"uri": "s3://models", "intervalSeconds": 3600},
    )
    stack.apply_job(namespace, "dear", spec)
    stack.until_phase(namespace, "dear", "Running")
    told = until_condition(stack, namespace, "dear", "BudgetExceeded", "NearCeiling", 120)
    assert "checkpoint" in told
    stack.until_phase(namespace, "dear", "Failed", timeout_s=60)
    stack.until_settled(namespace)
    assert_failed_for_money(stack, namespace)
    assert_closed_in_time(stack, namespace)


def assert_failed_for_money(stack: Stack, namespace: str) -> None:
    """What a person reads: why, and from where a new job may go on."""
    failed = stack.condition(namespace, "dear", "Failed")
    assert failed["reason"] == "CeilingReached"
    assert "raise the budget" in failed["message"]
    assert stack.job(namespace, "dear")["status"]["progress"]["lastCheckpointStep"] == 7


def assert_closed_in_time(stack: Stack, namespace: str) -> None:
    """By the market's bill, by the clock, and without another attempt that ran."""
    leases = stack.leases(namespace)
    (lease,) = [x for x in leases if x["status"]["closing"]["reason"] != "Rejected"]
    asked = datetime.fromisoformat(lease["status"]["closing"]["requestedTime"])
    deadline = datetime.fromisoformat(lease["spec"]["hardDeadlineTime"])
    assert abs((asked - deadline).total_seconds()) < 5
    sold = stack.market.summary()["by_key"][lease["metadata"]["name"]]
    assert 0 < Decimal(sold["usd"]) < CEILING
    assert Decimal(stack.job(namespace, "dear")["status"]["cost"]["spentUSD"]) < CEILING
    assert_clean(stack, namespace)


def test_what_cannot_be_paid_is_refused_before_anything_is_spent(
    stack: Stack, namespace: str
) -> None:
    spec = rented("sleep 1", gpu={"count": 1, "models": ["v100-32gb"]}, budget={"maxTotalUSD": "1"})
    stack.apply_job(namespace, "poor", spec)
    told = until_condition(stack, namespace, "poor", "Placed", "BudgetTooSmall")
    assert "USD are left of spec.budget.maxTotalUSD" in told
    assert stack.leases(namespace) == []
